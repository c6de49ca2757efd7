//! Many clients at once: thousands of watches, strangers that come in crowds, and clients that do not read.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tower::ServiceExt as _;

use crate::server::{Served, connector, install_provider};
use crate::support::{WIDGETS, post, send, store, widget};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
/// Watches, each on a connection of its own: both ends of which are in this process.
const WATCHES: usize = 2_000;

struct Connection {
    reader: BufReader<ReadHalf<TlsStream<TcpStream>>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

impl Connection {
    async fn open(served: &Served, connector: &tokio_rustls::TlsConnector) -> Self {
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (reader, writer) = tokio::io::split(stream);
        Connection {
            reader: BufReader::with_capacity(1024, reader),
            writer,
        }
    }

    async fn request(&mut self, method: &str, path: &str, token: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.writer.write_all(request.as_bytes()).await.unwrap();
        self.writer.flush().await.unwrap();
    }

    /// Reads until `text` has come.
    async fn until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        loop {
            let count = self.reader.read(&mut byte).await.unwrap();
            assert_ne!(count, 0, "closed after {}", String::from_utf8_lossy(&read));
            read.push(byte[0]);
            if read.ends_with(text.as_bytes()) {
                return String::from_utf8(read).unwrap();
            }
        }
    }
}

/// Waits for all, some hundreds at a time as clients would come.
async fn all<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures::stream::iter(work).buffer_unordered(200).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_watches_hear_of_each_change() {
    install_provider();
    let served = Served::start().await;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if files
        .current
        .is_some_and(|limit| limit < 2 * WATCHES as u64 + 500)
    {
        eprintln!("skipped: {files:?} is too few open files for {WATCHES} connections");
        return served.stop().await;
    }
    let token = served.token();
    let connector = connector(&served, "http/1.1");
    let watch = |_| async {
        let mut connection = Connection::open(&served, &connector).await;
        let path = format!("{CONFIGS}?watch=1&resourceVersion=1");
        connection.request("GET", &path, &token, "").await;
        let head = connection.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        connection
    };
    let mut watches = all((0..WATCHES).map(watch)).await;

    let mut client = Connection::open(&served, &connector).await;
    client.request("GET", "/metrics", &token, "").await;
    let series = "apiserver_registered_watchers{group=\"\",version=\"v1\",kind=\"ConfigMap\"} ";
    client.until(series).await;
    let count = client.until("\n").await;
    assert_eq!(count.trim().parse::<usize>().unwrap(), WATCHES);
    client.until("process_cpu_seconds").await;

    for name in ["one", "two"] {
        let mut client = Connection::open(&served, &connector).await;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        client.request("POST", CONFIGS, &token, &object.to_string()).await;
        client.until("201 Created").await;
        let expected = format!("\"name\":\"{name}\"");
        let mut heard: FuturesUnordered<_> = watches.iter_mut().map(|watch| watch.until(&expected)).collect();
        while heard.next().await.is_some() {}
    }
    drop(watches);
    served.stop().await;
}

/// Whoever fills the places of strangers keeps nobody out who has the token, whether he was there before or comes later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_strangers_keeps_nobody_out() {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let connector = connector(&served, "http/1.1");
    let mut known = Connection::open(&served, &connector).await;
    known.request("GET", CONFIGS, &token, "").await;
    known.until("200 OK").await;

    let mut crowd = Vec::new();
    for _ in 0..1500 {
        crowd.push(TcpStream::connect(served.address).await.unwrap());
    }
    let mut later = Connection::open(&served, &connector).await;
    later.request("GET", "/metrics", &token, "").await;
    later.until("\nhomeport_connections_evicted_total ").await;
    let evicted: u64 = later.until("\n").await.trim().parse().unwrap();
    assert!(evicted > 900, "{evicted}");
    known.request("GET", "/version", &token, "").await;
    known.until("gitVersion").await;
    drop(crowd);
    served.stop().await;
}

/// Over one HTTP/2 connection, as client-go has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_share_a_connection() {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let (mut client, connection) = served.h2().await;
    let connection = tokio::spawn(connection);
    let mut heard = Vec::new();
    for _ in 0..200 {
        client = client.ready().await.unwrap();
        let request = http::Request::get(format!("https://localhost{CONFIGS}?watch=1&resourceVersion=1"))
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        heard.push(tokio::spawn(async move {
            let mut text = String::new();
            while !text.contains("\"name\":\"one\"") {
                let piece = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                text.push_str(std::str::from_utf8(&piece).unwrap());
            }
        }));
    }
    let h1 = connector(&served, "http/1.1");
    let mut other = Connection::open(&served, &h1).await;
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}});
    other.request("POST", CONFIGS, &token, &object.to_string()).await;
    other.until("201 Created").await;
    for heard in heard {
        heard.await.unwrap();
    }
    drop(client);
    connection.abort();
    served.stop().await;
}

/// The next piece of a watch, as JSON lines.
async fn piece(body: &mut homeport_store::ResponseBody) -> Vec<Value> {
    let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
    data.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

async fn watch(store: &homeport_store::Store, path: &str) -> homeport_store::ResponseBody {
    let request = http::Request::get(path)
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    store.service().oneshot(request).await.unwrap().into_body()
}

/// A client that does not read holds a piece of what it is sent, and is told when it has missed the rest.
#[tokio::test]
async fn a_watch_that_is_not_read_costs_nothing_and_is_told_what_it_missed() {
    let store = Arc::new(store().await);
    let mut slow = watch(&store, &format!("{CONFIGS}?watch=1&resourceVersion=1")).await;
    let mut other = watch(&store, &format!("{WIDGETS}?watch=1&resourceVersion=1")).await;
    let object = |name: &str| json!({"metadata": {"name": name}, "data": {"a": "x".repeat(500_000)}});
    for count in 0..8 {
        assert_eq!(post(&store, CONFIGS, &object(&format!("c{count}"))).await.0, 201);
    }
    let first = piece(&mut slow).await;
    assert_eq!(first.len(), 1, "a piece holds no more than it must");
    for count in 8..40 {
        assert_eq!(post(&store, CONFIGS, &object(&format!("c{count}"))).await.0, 201);
    }
    let missed = piece(&mut slow).await;
    assert_eq!(
        (&missed[0]["type"], &missed[0]["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert!(slow.frame().await.is_none(), "the watch has ended");

    // Who watches something else has missed nothing of it.
    assert_eq!(post(&store, WIDGETS, &widget("a", 1)).await.0, 201);
    let events = piece(&mut other).await;
    assert_eq!(
        (&events[0]["type"], &events[0]["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("a"))
    );
}

/// The initial list comes in pieces too.
#[tokio::test]
async fn an_initial_list_is_sent_in_pieces() {
    let store = store().await;
    for count in 0..20 {
        let object = json!({"metadata": {"name": format!("c{count:02}")}, "data": {"a": "x".repeat(20_000)}});
        assert_eq!(post(&store, CONFIGS, &object).await.0, 201);
    }
    let mut body = watch(&store, &format!("{CONFIGS}?watch=1")).await;
    let mut names = Vec::new();
    while names.len() < 21 {
        let events = piece(&mut body).await;
        assert!(events.len() <= 5, "{} objects in a piece", events.len());
        names.extend(
            events
                .into_iter()
                .map(|event| event["object"]["metadata"]["name"].clone()),
        );
    }
    names.sort_by_key(Value::to_string);
    assert_eq!(
        (&names[0], &names[20]),
        (&json!("c00"), &json!("kube-root-ca.crt"))
    );
}

/// A bookmark is not older than what has happened elsewhere.
#[tokio::test(start_paused = true)]
async fn bookmarks_of_a_quiet_resource_go_on_with_the_others() {
    let store = store().await;
    let mut quiet = watch(
        &store,
        &format!("{WIDGETS}?watch=1&resourceVersion=1&allowWatchBookmarks=1"),
    )
    .await;
    assert_eq!(
        post(&store, CONFIGS, &json!({"metadata": {"name": "a"}})).await.0,
        201
    );
    let (_, _, list) = send(&store, "GET", WIDGETS, &[], "").await;
    let bookmark = piece(&mut quiet).await;
    assert_eq!(bookmark[0]["type"], "BOOKMARK");
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let version = &bookmark[0]["object"]["metadata"]["resourceVersion"];
    assert!(
        number(version) >= number(&list["metadata"]["resourceVersion"]),
        "{version}"
    );
}

/// More writes than are answered at a time, over one connection, each longer than what fits into a frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_do_not_hold_up_those_that_have_begun() {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let (client, connection) = served.h2().await;
    let connection = tokio::spawn(connection);
    let mut writes = Vec::new();
    for count in 0..240 {
        let mut client = client.clone().ready().await.unwrap();
        let request = http::Request::post(format!("https://localhost{CONFIGS}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let object =
            json!({"metadata": {"name": format!("c{count}")}, "data": {"padding": "x".repeat(200_000)}});
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(object.to_string().into(), true).unwrap();
        writes.push(tokio::spawn(async move { response.await.unwrap().status() }));
    }
    for write in writes {
        assert_eq!(write.await.unwrap(), 201);
    }
    drop(client);
    connection.abort();
    served.stop().await;
}
