//! Checks of a small HTTP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use homeport_cutover::check::{HttpProbe, TcpProbe, Verdict};
use homeport_cutover::{Check, Checker, Probe};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every request in turn with one of these, the last one for ever.
async fn serve(answers: &'static [&'static str]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            let length = stream.read(&mut request).await.unwrap_or(0);
            if length == 0 {
                continue;
            }
            let turn = counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream
                .write_all(answers[turn.min(answers.len() - 1)].as_bytes())
                .await;
        }
    });
    (address, count)
}

const PAGE: &str = "HTTP/1.1 200 OK\r\nX-Place: new\r\nContent-Length: 34\r\nConnection: close\r\n\r\n{\"status\":\"ok\",\"books\":12,\"a\":[1]}";
const ERROR: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const MOVED: &str =
    "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn check(probe: HttpProbe) -> Check {
    Check {
        interval: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
        ..Check::new("page", Probe::Http(probe))
    }
}

type Change = fn(HttpProbe) -> HttpProbe;

#[rstest]
#[case::plain(&[PAGE], |p| p, None)]
#[case::status(&[ERROR], |p| p, Some("status 500 instead of 200 to 299"))]
#[case::wanted_status(&[ERROR], |p| HttpProbe { status: (500, 500), ..p }, None)]
#[case::redirects_are_answers(&[MOVED], |p| HttpProbe { status: (301, 301), ..p }, None)]
#[case::body(&[PAGE], |p| HttpProbe { body_contains: Some("books".into()), ..p }, None)]
#[case::other_body(&[PAGE], |p| HttpProbe { body_contains: Some("films".into()), ..p }, Some("does not contain"))]
#[case::pattern(&[PAGE], |p: HttpProbe| p.matching("books\":[0-9]+").unwrap(), None)]
#[case::other_pattern(&[PAGE], |p: HttpProbe| p.matching("films").unwrap(), Some("nothing in the body matches"))]
#[case::json(&[PAGE], |p| HttpProbe { json_equals: vec![("/a/0".into(), 1.into())], ..p }, None)]
#[case::other_json(&[PAGE], |p| HttpProbe { json_equals: vec![("/books".into(), 13.into())], ..p }, Some("/books in the body is 12 instead of 13"))]
#[case::absent_json(&[PAGE], |p| HttpProbe { json_equals: vec![("/x".into(), 1.into())], ..p }, Some("has no /x"))]
#[case::header(&[PAGE], |p| HttpProbe { header_equals: vec![("x-place".into(), "new".into())], ..p }, None)]
#[case::other_header(&[PAGE], |p| HttpProbe { header_equals: vec![("x-place".into(), "old".into())], ..p }, Some("header x-place"))]
#[tokio::test]
async fn an_answer_is_judged(
    #[case] answers: &'static [&'static str],
    #[case] change: Change,
    #[case] fault: Option<&str>,
) {
    let (address, _) = serve(answers).await;
    let probe = change(HttpProbe::get(format!("http://{address}/")));
    let measured = Checker::new().unwrap().attempt(&check(probe)).await;
    match fault {
        None => assert_eq!(measured.verdict, Verdict::Pass, "{measured}"),
        Some(says) => assert!(
            !measured.passed() && measured.message.contains(says),
            "{measured}"
        ),
    }
}

#[tokio::test]
async fn the_new_place_is_checked_under_the_old_name() {
    let (address, count) = serve(&[PAGE]).await;
    let url = format!("http://www.shop.example:{}/", address.port());
    let measured = Checker::new()
        .unwrap()
        .attempt(&check(HttpProbe::get(url).resolved_to(address)))
        .await;
    assert!(measured.passed(), "{measured}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::a_success_ends_it(&[ERROR, ERROR, PAGE], 5, 1, true, 3)]
#[case::attempts_run_out(&[ERROR], 3, 1, false, 3)]
#[case::several_in_a_row(&[PAGE, ERROR, PAGE, PAGE], 9, 2, true, 4)]
#[case::too_few_left(&[ERROR, ERROR, PAGE], 3, 2, false, 2)]
#[tokio::test]
async fn attempts_are_repeated(
    #[case] answers: &'static [&'static str],
    #[case] attempts: u32,
    #[case] successes: u32,
    #[case] passes: bool,
    #[case] asked: usize,
) {
    let (address, count) = serve(answers).await;
    let probe = HttpProbe::get(format!("http://{address}/"));
    let measured = Checker::new()
        .unwrap()
        .run(&Check {
            attempts,
            successes,
            ..check(probe)
        })
        .await;
    assert_eq!(measured.passed(), passes, "{measured}");
    assert_eq!(count.load(Ordering::SeqCst), asked);
}

#[tokio::test]
async fn nobody_there() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let checker = Checker::new().unwrap();
    let http = checker
        .attempt(&check(HttpProbe::get(format!("http://user:hunter2@{closed}/"))))
        .await;
    assert!(http.message.starts_with("no connection"), "{http}");
    assert!(!http.to_string().contains("hunter2"), "{http}");

    let tcp = |port| {
        Check::new(
            "port",
            Probe::Tcp(TcpProbe {
                host: "127.0.0.1".into(),
                port,
            }),
        )
    };
    let measured = checker.attempt(&tcp(closed.port())).await;
    assert!(
        measured.message.contains("no connection to 127.0.0.1"),
        "{measured}"
    );
    let (open, _) = serve(&[PAGE]).await;
    assert!(checker.attempt(&tcp(open.port())).await.passed());
}

#[tokio::test]
async fn an_answer_that_does_not_come() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probe = HttpProbe::get(format!("http://{}/", silent.local_addr().unwrap()));
    let check = Check {
        timeout: Duration::from_millis(50),
        ..check(probe)
    };
    let measured = Checker::new().unwrap().attempt(&check).await;
    assert!(measured.message.contains("no answer"), "{measured}");
}
