//! The local API, beside kube-apiserver with etcd.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use homeport_tests::{KubeApiserver, free_port, kube_apiserver_missing, search_path};
use http::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::api_client::Server;
use crate::measure::{Comparison, median, release_program};

const PEER: &str = "kube-apiserver + etcd";
/// Clients that write at a time.
const WRITERS: usize = 16;
/// What one object carries, in bytes.
const PAYLOAD: usize = 900;
/// Within this homeport has to be ready.
const READY_SECONDS: f64 = 0.2;

/// Rates of durable writes, lists, memory, and the time to start.
pub(crate) fn api(scale: f64, rounds: usize) -> Vec<Comparison> {
    if let Some(why) = kube_apiserver_missing() {
        eprintln!("SKIPPED: the local API beside {PEER}: {why}");
        return Vec::new();
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure_api(scale, rounds))
}

async fn measure_api(scale: f64, rounds: usize) -> Vec<Comparison> {
    let objects = (10_000.0 * scale) as usize;
    let writes = (8_000.0 * scale) as usize;
    eprintln!(
        "API: {objects} objects, {writes} creates and as many updates by {WRITERS} clients, {rounds} rounds"
    );
    let directory = TempDir::new().expect("a directory");
    let state = directory.path().join("homeport");
    let mut homeport = Homeport::start(&state);
    let reference = KubeApiserver::start(&directory.path().join("reference"));
    let ours = Server::of_kubeconfig(&homeport.kubeconfig()).await;
    let theirs = Server::of_kubeconfig(&reference.kubeconfig()).await;

    for server in [&ours, &theirs] {
        create(server, "many", objects).await;
    }
    let (mut our_lists, mut their_lists) = (vec![], vec![]);
    // One takes so little time that anything else on the machine shows in it.
    for _ in 0..rounds * 5 {
        our_lists.push(list(&ours, objects).await);
        their_lists.push(list(&theirs, objects).await);
    }
    let our_memory = resident_mib(homeport.child.id());
    let their_memory = reference
        .processes()
        .into_iter()
        .filter(|(program, _)| *program != "kube-controller-manager")
        .map(|(_, process)| resident_mib(process))
        .sum();

    let (mut empty, mut full) = (vec![], vec![]);
    for round in 0..rounds {
        let fresh = Homeport::start(&directory.path().join(format!("fresh-{round}")));
        empty.push(fresh.ready_after.as_secs_f64());
        drop(fresh);
        drop(homeport);
        homeport = Homeport::start(&state);
        full.push(homeport.ready_after.as_secs_f64());
    }

    let ours = Server::of_kubeconfig(&homeport.kubeconfig()).await;
    let (mut our_writes, mut their_writes) = (vec![], vec![]);
    for round in 0..rounds {
        let namespace = format!("writes-{round}");
        our_writes.push(create_and_update(&ours, &namespace, writes).await);
        their_writes.push(create_and_update(&theirs, &namespace, writes).await);
    }

    let (our_list, their_list) = (median(our_lists), median(their_lists));
    let (our_rate, their_rate) = (median(our_writes), median(their_writes));
    let limit = |name: &str, seconds: Vec<f64>| {
        let seconds = median(seconds);
        comparison(
            name,
            "limit",
            (seconds, READY_SECONDS),
            "s",
            READY_SECONDS / seconds,
            1.0,
        )
    };
    vec![
        comparison(
            "API create + update",
            PEER,
            (our_rate, their_rate),
            "/s",
            our_rate / their_rate,
            5.0,
        ),
        comparison(
            &format!("API list of {objects}"),
            PEER,
            (our_list, their_list),
            "s",
            their_list / our_list,
            2.0,
        ),
        comparison(
            &format!("API memory with {objects}"),
            PEER,
            (our_memory, their_memory),
            "MiB",
            their_memory / our_memory,
            4.0,
        ),
        limit("API start to ready, empty", empty),
        limit(&format!("API start to ready, {objects} stored"), full),
    ]
}

fn comparison(
    name: &str,
    peer: &str,
    (ours, theirs): (f64, f64),
    unit: &'static str,
    ratio: f64,
    bar: f64,
) -> Comparison {
    Comparison {
        name: name.to_owned(),
        peer: peer.to_owned(),
        ours,
        theirs,
        unit,
        ratio,
        peak_mib: None,
        bar,
    }
}

/// `homeport up` as users start it. Killed when dropped.
struct Homeport {
    child: Child,
    state: PathBuf,
    /// From the start of the process until it says that it is ready.
    ready_after: Duration,
}

impl Homeport {
    fn start(state: &Path) -> Self {
        fs::create_dir_all(state).expect("a directory");
        let log = fs::File::create(state.with_extension("log")).expect("writable");
        let begin = Instant::now();
        let mut child = Command::new(release_program("homeport"))
            .args([
                "up",
                "--listen",
                &format!("127.0.0.1:{}", free_port()),
                "--state-dir",
            ])
            .arg(state)
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("homeport can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("its output can be read");
        let ready_after = begin.elapsed();
        assert!(
            line.contains("ready"),
            "homeport did not become ready: {line}{}",
            fs::read_to_string(state.with_extension("log")).unwrap_or_default()
        );
        Self {
            child,
            state: state.to_owned(),
            ready_after,
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }
}

impl Drop for Homeport {
    fn drop(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }
}

fn config_map(name: &str, version: usize) -> String {
    let payload: String = ('a'..='z').cycle().skip(version).take(PAYLOAD).collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench", "version": version.to_string()}},
        "data": {"config.yaml": payload},
    })
    .to_string()
}

async fn make_namespace(server: &Server, namespace: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let mut client = server.connect().await;
    client
        .call(Method::POST, "/api/v1/namespaces", body.to_string())
        .await;
}

/// Has so many clients each write their share of the objects; returns how long it took.
async fn write(server: &Server, namespace: &str, count: usize, update: bool) -> Duration {
    make_namespace(server, namespace).await;
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        clients.push(server.connect().await);
    }
    let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
    let begin = Instant::now();
    let mut writers = JoinSet::new();
    for (first, mut client) in clients.into_iter().enumerate() {
        let collection = collection.clone();
        writers.spawn(async move {
            for number in (first..count).step_by(WRITERS) {
                let name = format!("object-{number}");
                client.call(Method::POST, &collection, config_map(&name, 0)).await;
                if update {
                    let path = format!("{collection}/{name}");
                    client.call(Method::PUT, &path, config_map(&name, 1)).await;
                }
            }
        });
    }
    writers.join_all().await;
    begin.elapsed()
}

async fn create(server: &Server, namespace: &str, count: usize) {
    write(server, namespace, count, false).await;
}

/// Writes a second.
async fn create_and_update(server: &Server, namespace: &str, count: usize) -> f64 {
    2.0 * count as f64 / write(server, namespace, count, true).await.as_secs_f64()
}

/// Seconds for one list of all that [`create`] made.
async fn list(server: &Server, count: usize) -> f64 {
    let mut client = server.connect().await;
    let begin = Instant::now();
    let answer = client
        .call(Method::GET, "/api/v1/namespaces/many/configmaps", String::new())
        .await;
    let seconds = begin.elapsed().as_secs_f64();
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    let items = answer["items"].as_array().expect("a list");
    let ours = items
        .iter()
        .filter(|item| item["metadata"]["labels"]["app"] == "bench");
    assert_eq!(ours.count(), count, "all objects are listed");
    seconds
}

/// The memory that a process has now.
fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("Linux counts it");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("a number");
    kib / 1024.0
}
