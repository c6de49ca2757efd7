//! Cases put to a server.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use kube::client::Body as ClientBody;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::case::{Action, Body, Case, Request, Step};
use crate::expect::differences;

/// Cases at a time: each has a namespace of its own, and most wait for a disk.
const PARALLEL: usize = 16;
/// What takes this long will never come. Not a measurement: nothing passes for being fast.
const STUCK: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A server with a name for messages.
pub(crate) struct Server {
    name: &'static str,
    client: Client,
    /// Whether it stays after the cases, and they must leave nothing there.
    lasting: bool,
}

/// What came of a request.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

/// A watch that is open.
struct Watch {
    body: ClientBody,
    read: Vec<u8>,
}

/// One case on its way: what its names in braces stand for, and its watches.
struct Run<'a> {
    client: &'a Client,
    names: HashMap<String, String>,
    watches: HashMap<&'static str, Watch>,
}

impl Server {
    /// The server that the kubeconfig leads to.
    pub(crate) async fn new(name: &'static str, kubeconfig: &Path, lasting: bool) -> Server {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig can be read");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("the kubeconfig is complete");
        // What the server answers is what is looked at, also where a client would ask again.
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client can be made of the kubeconfig");
        Server {
            name,
            client,
            lasting,
        }
    }

    /// Puts all cases to the server.
    ///
    /// # Panics
    /// If one fails, after all have ended, with what differs.
    pub(crate) async fn conforms(&self, cases: Vec<(&'static str, Case)>) {
        let count = cases.len();
        let ended: Vec<(Run<'_>, Option<String>)> = futures::stream::iter(cases)
            .map(async |(behaviour, case)| {
                let mut run = Run::new(&self.client);
                let failure = run.case(&case).await.err();
                let failure =
                    failure.map(|failure| format!("{} · {behaviour}: {}\n{failure}\n", self.name, case.name));
                (run, failure)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        if self.lasting {
            // Not earlier: the ends of hundreds of namespaces would hold up the cases that are about that.
            for (run, _) in &ended {
                run.remove_all().await;
            }
        }
        let failures: Vec<String> = ended.into_iter().filter_map(|(_, failure)| failure).collect();
        println!("{}: {} of {count} cases pass", self.name, count - failures.len());
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

impl<'a> Run<'a> {
    /// Names for a case.
    fn new(client: &'a Client) -> Self {
        let unique = unique();
        let namespace = format!("conformance-{unique}");
        let names = [
            ("ns", format!("/api/v1/namespaces/{namespace}")),
            ("group", format!("{unique}.conformance.test")),
            ("namespace", namespace),
            ("unique", unique),
        ];
        Run {
            client,
            names: names
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
            watches: HashMap::new(),
        }
    }

    /// Does what the case says, in a namespace of its own.
    async fn case(&mut self, case: &Case) -> Result<(), String> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{namespace}"}});
        let begin = crate::case::case("")
            .post("/api/v1/namespaces", namespace)
            .is(201);
        for (number, step) in begin.steps.iter().chain(&case.steps).enumerate() {
            let done = tokio::time::timeout(STUCK, self.step(step)).await;
            done.unwrap_or_else(|_| Err(format!("nothing came of it within {} s", STUCK.as_secs())))
                .map_err(|failure| format!("  step {number}: {}\n{failure}", self.describe(step)))?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Request(request) => {
                let answer = self.send(request).await?;
                self.judge(step, &answer)?;
                self.keep(step, &answer.body)
            }
            Action::Until(request) => self.repeat(step, request).await,
            Action::WholeWatch(request) => {
                let mut watch = self.watch(request).await?;
                let mut events = Vec::new();
                while let Some(event) = watch.next().await? {
                    events.push(event);
                }
                let events = Value::from(events);
                let parts = step.parts.iter().map(|part| self.fill(part));
                report(
                    parts.flat_map(|part| differences(&part, &events)).collect(),
                    &events,
                )?;
                self.keep(step, &events)
            }
            Action::Open(name, request) => {
                let watch = self.watch(request).await?;
                self.watches.insert(name, watch);
                Ok(())
            }
            Action::Next(name, expected) => {
                let expected: Vec<Value> = expected.iter().map(|event| self.fill(event)).collect();
                let watch = self
                    .watches
                    .get_mut(name)
                    .ok_or("  no watch of that name is open")?;
                let mut last = Value::Null;
                for event in expected {
                    let found = watch.next_change(event["type"] == "BOOKMARK").await?;
                    report(differences(&event, &found), &found)?;
                    last = found;
                }
                self.keep(step, &last)
            }
        }
    }

    /// Repeats a request until its answer is what is expected; if it never is, says what differed at the end.
    async fn repeat(&mut self, step: &Step, request: &Request) -> Result<(), String> {
        let begin = std::time::Instant::now();
        loop {
            let answer = self.send(request).await?;
            match self.judge(step, &answer) {
                Ok(()) => return self.keep(step, &answer.body),
                Err(difference) if begin.elapsed() > STUCK / 2 => return Err(difference),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn judge(&self, step: &Step, answer: &Answer) -> Result<(), String> {
        let mut lines = Vec::new();
        match step.status {
            Some(status) if status != answer.status => {
                lines.push(format!(" expected status {status}, found {}", answer.status));
            }
            None if answer.status >= 300 => lines.push(format!(" expected success, found {}", answer.status)),
            _ => {}
        }
        for part in &step.parts {
            lines.extend(differences(&self.fill(part), &answer.body));
        }
        for (name, part) in &step.headers {
            let header = answer.headers.get(*name);
            let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let found = differences(&self.fill(part), &json!(header));
            lines.extend(found.iter().map(|line| format!("header {name}{line}")));
        }
        report(lines, &answer.body)
    }

    fn keep(&mut self, step: &Step, body: &Value) -> Result<(), String> {
        for (name, pointer) in &step.kept {
            let value = body
                .pointer(pointer)
                .ok_or_else(|| format!("  nothing at {pointer} to keep in {body}"))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.names.insert((*name).to_owned(), text);
        }
        Ok(())
    }

    async fn send(&self, request: &Request) -> Result<Answer, String> {
        let response = self.client.send(self.http(request)).await;
        let response = response.map_err(|error| format!("  no answer: {error}"))?;
        let (head, body) = response.into_parts();
        let bytes = body
            .collect()
            .await
            .map_err(|error| format!("  the answer broke off: {error}"))?
            .to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    async fn watch(&self, request: &Request) -> Result<Watch, String> {
        let response = self.client.send(self.http(request)).await;
        let response = response.map_err(|error| format!("  no answer: {error}"))?;
        if response.status() != 200 {
            return Err(format!("  the watch was answered with {}", response.status()));
        }
        Ok(Watch {
            body: response.into_body(),
            read: Vec::new(),
        })
    }

    fn http(&self, request: &Request) -> http::Request<ClientBody> {
        let mut built = http::Request::builder()
            .method(request.method)
            .uri(self.fill_text(&request.path));
        for (name, value) in &request.headers {
            built = built.header(*name, self.fill_text(value));
        }
        let body = match &request.body {
            Body::Empty => Vec::new(),
            Body::Json(value) => self.fill(value).to_string().into_bytes(),
            Body::Text(text) => self.fill_text(text).into_bytes(),
        };
        built
            .body(ClientBody::from(body))
            .expect("a case makes valid requests")
    }

    /// The value with what its names in braces stand for.
    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| (self.fill_text(name), self.fill(field)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let filled =
            |text: String, (name, value): (&String, &String)| text.replace(&format!("{{{name}}}"), value);
        self.names.iter().fold(text.to_owned(), filled)
    }

    fn describe(&self, step: &Step) -> String {
        match &step.action {
            Action::Request(request) => format!("{} {}", request.method, self.fill_text(&request.path)),
            Action::Until(request) => format!("{} until", self.fill_text(&request.path)),
            Action::WholeWatch(request) | Action::Open(_, request) => {
                format!("watch {}", self.fill_text(&request.path))
            }
            Action::Next(name, _) => format!("next events of the watch '{name}'"),
        }
    }

    async fn remove_all(&self) {
        let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}";
        for path in ["{ns}", "/api/v1/namespaces/{unique}-other", definition] {
            // Not every case has all of them, and what fails here concerns no case.
            let _ = self
                .send(&Request {
                    method: "DELETE",
                    path: path.to_owned(),
                    headers: Vec::new(),
                    body: Body::Empty,
                })
                .await;
        }
    }
}

impl Watch {
    /// The next event; nothing at the end.
    async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| format!("  an event is no JSON: {error}"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(format!("  the watch broke off: {error}")),
                Some(Ok(frame)) => self.read.extend(frame.data_ref().into_iter().flatten()),
            }
        }
    }

    async fn next_change(&mut self, bookmark_counts: bool) -> Result<Value, String> {
        loop {
            let event = self.next().await?.ok_or("  the watch has ended")?;
            if bookmark_counts || event["type"] != "BOOKMARK" {
                return Ok(event);
            }
        }
    }
}

fn report(lines: Vec<String>, found: &Value) -> Result<(), String> {
    if lines.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("    {line}")).collect();
    let mut found = found.to_string();
    found.truncate(found.floor_char_boundary(2000));
    Err(format!("{}\n    in {found}", lines.join("\n")))
}

/// A word that no other case, and no run before on the same server, has used.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("the clock is past 1970");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("c{:x}{count:03x}", now.as_millis() % (1 << 32))
}
