//! Whatever comes over a connection, whether from somebody with the token or not: it is refused or bounded, and the
//! next client finds the server as before.

use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Served, connector, install_provider};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";

/// Sends bytes over TLS as HTTP/1.1 and returns all that comes back until the server or `until` ends it.
async fn exchange(served: &Served, bytes: &[u8], until: Option<&str>) -> String {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector(served, "http/1.1").connect(name, stream).await.unwrap();
    // The server may refuse before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
        let text = String::from_utf8_lossy(&answer);
        if until.is_some_and(|until| text.contains(until)) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn is_well(served: &Served) {
    let request = format!(
        "GET {CONFIGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        served.token()
    );
    let answer = exchange(served, request.as_bytes(), None).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("ConfigMapList") && !answer.contains("smuggled"),
        "{answer}"
    );
}

/// What two readers could take for different requests gets one answer at most, and stores nothing.
#[rstest]
#[case::both_lengths("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::two_lengths("Content-Length: 0\r\nContent-Length: 44\r\n\r\n")]
#[case::lengths_in_one("Content-Length: 0, 44\r\n\r\n")]
#[case::signed_length("Content-Length: +0\r\n\r\n")]
#[case::hex_length("Content-Length: 0x10\r\n\r\n")]
#[case::huge_length("Content-Length: 99999999999999999999999\r\n\r\n")]
#[case::unknown_coding("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")]
#[case::coding_not_last("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")]
#[case::space_before_colon("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")]
#[case::folded("X-Folded: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")]
#[case::bad_chunk_size("Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n")]
#[case::huge_chunk_size("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n")]
#[case::nul_in_header("X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n")]
#[case::lone_cr("X-Cr: a\rb\r\nContent-Length: 0\r\n\r\n")]
#[tokio::test]
async fn ambiguous_requests_are_one_request_or_none(#[case] rest: &str) {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let body = json!({"metadata": {"name": "smuggled"}}).to_string();
    let inner = format!(
        "POST {CONFIGS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let request =
        format!("POST {CONFIGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{rest}{inner}");
    let answer = exchange(&served, request.as_bytes(), None).await;
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
    is_well(&served).await;
    served.stop().await;
}

#[rstest]
#[case::http_0_9("GET /version\r\n", "")]
#[case::http_3("GET /version HTTP/3.0\r\nHost: x\r\n\r\n", "")]
#[case::http_2_preface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "")]
#[case::connect("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", " 401")]
#[case::absolute(
    "GET http://example.com/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    " 200"
)]
#[case::asterisk("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", " 401")]
#[case::upgrade(
    "GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
     HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    " 200"
)]
#[case::dots("GET /version/../api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n", " 401")]
#[case::encoded_dots(
    "GET /livez/%2e%2e/api/v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    " 200"
)]
#[case::slashes("GET //api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n", " 401")]
#[case::garbage("\u{16}\u{3}\u{1}\u{0}\u{7f}\r\n\r\n", " 400")]
#[tokio::test]
async fn odd_requests_open_nothing(#[case] request: &str, #[case] expected: &str) {
    install_provider();
    let served = Served::start().await;
    let until = if expected == " 401" {
        Some("\"code\":401}")
    } else {
        None
    };
    let answer = exchange(&served, request.as_bytes(), until).await;
    let status = answer.lines().next().unwrap_or("");
    assert!(status.contains(expected), "{answer}");
    assert!(!answer.contains("SecretList"), "{answer}");
    is_well(&served).await;
    served.stop().await;
}

#[tokio::test]
async fn heads_beyond_the_limit_are_refused() {
    install_provider();
    let served = Served::start().await;
    let many: String = (0..20_000).map(|count| format!("X-{count}: y\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "y".repeat(300_000));
    for headers in [many, long] {
        let request = format!("GET /version HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let answer = exchange(&served, request.as_bytes(), None).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(300_000));
    let answer = exchange(&served, target.as_bytes(), None).await;
    assert!(
        answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    is_well(&served).await;
    served.stop().await;
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_and_half_of_one_stores_nothing() {
    install_provider();
    let served = Served::start().await;
    let head = format!(
        "POST {CONFIGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        served.token()
    );
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(60));
    let until = "\"code\":413}";
    let answer = exchange(&served, endless.as_bytes(), Some(until)).await;
    assert!(answer.contains(until), "{answer}");
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "smuggled"}}).to_string();
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector(&served, "http/1.1")
        .connect(name, stream)
        .await
        .unwrap();
    let half = format!("{head}Content-Length: {}\r\n\r\n{object}", object.len() + 10);
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 2"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    for deep in ["[".repeat(1_000_000), "{\"a\":".repeat(500_000)] {
        let request = format!(
            "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{deep}",
            deep.len()
        );
        let answer = exchange(&served, request.as_bytes(), None).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    is_well(&served).await;
    served.stop().await;
}

/// A stranger's body is not read, however much of it is announced.
#[tokio::test]
async fn strangers_are_answered_before_they_have_sent_anything() {
    install_provider();
    let served = Served::start().await;
    for (path, until) in [(CONFIGS, "\"code\":401}"), ("/readyz", "ok")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nhalf");
        let answer = exchange(&served, request.as_bytes(), Some(until)).await;
        assert!(answer.contains(until), "{answer}");
    }
    for path in [
        "/metrics",
        "/api",
        "/apis",
        "/openapi/v2",
        "/openapi/v3",
        "/",
        "/livezz",
        "/version/x",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n");
        let answer = exchange(&served, request.as_bytes(), Some("\"code\":401}")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_closed() {
    install_provider();
    let served = Served::start().await;
    let hello = [0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03];
    let with_zeros = [&hello[..], &[0; 0x4000]].concat();
    for garbage in [
        &b"\0".repeat(100)[..],
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        &with_zeros,
        &[0xff; 70_000],
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let mut answer = Vec::new();
        // Ended by the server, with an alert or without a word.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    is_well(&served).await;
    served.stop().await;
}

/// CVE-2023-44487: requests that are taken back at once cost the server more than the client, so they end the
/// connection when there are too many.
#[tokio::test]
async fn requests_taken_back_at_once_end_the_connection() {
    install_provider();
    let served = Served::start().await;
    let (mut client, connection) = served.h2().await;
    let connection = tokio::spawn(connection);
    let mut sent = 0;
    let ended = loop {
        client = match client.ready().await {
            Ok(client) => client,
            Err(error) => break error,
        };
        let request = http::Request::get(format!("https://localhost{CONFIGS}"))
            .body(())
            .unwrap();
        match client.send_request(request, true) {
            Ok((response, mut stream)) => {
                stream.send_reset(h2::Reason::CANCEL);
                drop(response);
            }
            Err(error) => break error,
        }
        sent += 1;
        assert!(sent < 1_000_000, "the server takes anything");
        if sent % 100 == 0 {
            // Let the frames out.
            tokio::task::yield_now().await;
        }
    };
    let reason = connection.await.unwrap().err().and_then(|error| error.reason());
    assert!(
        reason == Some(h2::Reason::ENHANCE_YOUR_CALM)
            || ended.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM),
        "{reason:?} {ended}"
    );
    is_well(&served).await;
    served.stop().await;
}

/// CVE-2024-27316: a head that never ends.
#[tokio::test]
async fn a_head_in_endless_pieces_ends_the_connection() {
    install_provider();
    let served = Served::start().await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector(&served, "h2").connect(name, stream).await.unwrap();
    let frame = |kind: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, stream], payload].concat()
    };
    let (settings, headers, continuation) = (4, 1, 9);
    let begin = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(settings, 0, b""),
        &frame(headers, 1, b""),
    ];
    stream.write_all(&begin.concat()).await.unwrap();
    // Literal fields without an index: name "a", value of 100 bytes.
    let field = [&[0, 1, b'a', 100][..], &[b'x'; 100]].concat();
    let piece = frame(continuation, 1, &field.repeat(150));
    let mut pieces = 0;
    while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
        pieces += 1;
        assert!(pieces < 20_000, "the server takes any head");
    }
    is_well(&served).await;
    served.stop().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_wait() {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let (mut client, connection) = served.h2().await;
    let connection = tokio::spawn(connection);
    let mut open = Vec::new();
    // Nothing is there to be sent, so that only the watches themselves are open.
    let watch = || {
        http::Request::get("https://localhost/api/v1/namespaces/none/configmaps?watch=1")
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap()
    };
    for _ in 0..250 {
        client = client.ready().await.unwrap();
        open.push(client.send_request(watch(), true).unwrap().0.await.unwrap());
    }
    assert_eq!(client.current_max_send_streams(), 250);
    // One ends, and the next finds its place.
    let (waiting, _) = client.send_request(watch(), true).unwrap();
    open.pop();
    assert_eq!(waiting.await.unwrap().status(), 200);
    drop((client, open));
    connection.abort();
    is_well(&served).await;
    served.stop().await;
}

/// What the metrics say after a few requests.
#[tokio::test]
async fn metrics_tell_what_was_done() {
    install_provider();
    let served = Served::start().await;
    let token = served.token();
    let send = async |method: &str, path: &str, body: &Value| {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&served, request.as_bytes(), None).await
    };
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    send("POST", CONFIGS, &object).await;
    send("POST", CONFIGS, &object).await;
    send("GET", CONFIGS, &Value::Null).await;
    send("GET", "/api/v1/nonsense-that-makes-no-series", &Value::Null).await;
    let text = send("GET", "/metrics", &Value::Null).await;
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(!text.contains("nonsense"), "{text}");
    let labels = |verb: &str, scope: &str| {
        format!(
            "verb=\"{verb}\",group=\"\",version=\"v1\",resource=\"configmaps\",subresource=\"\",scope=\"{scope}\",\
             dry_run=\"\",component=\"apiserver\""
        )
    };
    let (post, list) = (labels("POST", "resource"), labels("LIST", "namespace"));
    for expected in [
        format!("apiserver_request_total{{{post},code=\"201\"}} 1\n"),
        format!("apiserver_request_total{{{post},code=\"409\"}} 1\n"),
        format!("apiserver_request_duration_seconds_count{{{post}}} 2\n"),
        format!("apiserver_request_duration_seconds_count{{{list}}} 1\n"),
        "apiserver_storage_objects{resource=\"namespaces\"} 3\n".to_owned(),
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1\n".to_owned(),
        "homeport_connections 1\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
    let number = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap_or(-1.0)
    };
    for name in [
        "homeport_store_commit_duration_seconds_count",
        "homeport_store_log_rows",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(number(name) > 0.0, "{name}\n{text}");
    }
    assert!(
        number("process_cpu_seconds_total").max(number("process_cpu_seconds")) >= 0.0,
        "{text}"
    );
    served.stop().await;
}
