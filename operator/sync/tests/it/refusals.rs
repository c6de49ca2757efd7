//! What is refused, and that the refusal says what to do and changes nothing.

use homeport_sync::{Engine, Error, Postgres, Tls, TlsMode};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::servers::{PASSWORD, Pair};

const ORDERS: &str =
    "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'source')";

async fn refusal(pair: &Pair) -> Error {
    let error = Postgres
        .plan(&pair.task, &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    error
}

#[tokio::test]
async fn a_target_with_rows_of_its_own() {
    let Some(pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.target
        .batch_execute(
            "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (9, 'mine')",
        )
        .await
        .unwrap();
    let error = pair.copy().await.unwrap_err();
    assert!(
        matches!(&error, Error::TargetNotEmpty { tables, .. } if tables == &["public.orders"]),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(
        pair.target_count("SELECT count(*) FROM orders WHERE note = 'mine'")
            .await,
        1
    );
    assert_eq!(
        pair.target_count("SELECT count(*) FROM pg_namespace WHERE nspname = 'homeport'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_target_with_large_objects_of_its_own() {
    let Some(pair) = Pair::new("SELECT lo_from_bytea(1, 'source')").await else {
        return;
    };
    pair.target
        .batch_execute("SELECT lo_from_bytea(2, 'mine')")
        .await
        .unwrap();
    let error = pair.copy().await.unwrap_err();
    assert!(
        matches!(&error, Error::TargetNotEmpty { tables, .. } if tables == &["large objects"]),
        "{error}"
    );
    assert_eq!(
        pair.target_count("SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 2")
            .await,
        1
    );
}

#[tokio::test]
async fn a_target_table_of_another_shape() {
    let Some(pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.target
        .batch_execute("CREATE TABLE orders (id bigint PRIMARY KEY, note text)")
        .await
        .unwrap();
    let message = refusal(&pair).await.to_string();
    assert!(
        message.contains("public.orders") && message.contains("bigint instead of integer"),
        "{message}"
    );
}

#[tokio::test]
async fn the_same_database_twice() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.target = pair.task.source.clone();
    pair.task.target.host = "localhost".into();
    assert_eq!(refusal(&pair).await.reason(), "SameDatabase");
}

#[rstest]
#[case::wrong_password("postgres", "wrong", "AuthenticationFailed")]
#[case::unknown_user("nobody", PASSWORD, "AuthenticationFailed")]
#[tokio::test]
async fn who_may_not_enter(#[case] user: &str, #[case] password: &str, #[case] reason: &str) {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.target.user = user.into();
    pair.task.target.password = password.to_owned().into();
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), reason, "{error}");
    assert!(!error.is_transient());
    assert!(
        error.to_string().contains("target") && error.to_string().contains("pg_hba.conf"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_database() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.source.database = "nowhere".into();
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), "DatabaseMissing", "{error}");
}

/// The system takes connections for a server that hangs, and keeps them alive.
#[tokio::test]
async fn somebody_listens_and_never_answers() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    let hanging = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    pair.task.target.port = hanging.local_addr().unwrap().port();
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), "TargetUnreachable", "{error}");
    assert!(error.to_string().contains("does not answer in time"), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.target.port = 1;
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), "TargetUnreachable", "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_server_without_tls() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.source.tls = Tls {
        mode: TlsMode::Require,
        ca_pem: None,
    };
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), "TLSFailed", "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_source_that_may_not_be_read() {
    let sql = format!("{ORDERS}; CREATE ROLE stranger LOGIN PASSWORD 'stranger'");
    let Some(mut pair) = Pair::new(&sql).await else {
        return;
    };
    pair.task.source.user = "stranger".into();
    pair.task.source.password = "stranger".into();
    let error = refusal(&pair).await;
    assert_eq!(error.reason(), "PermissionDenied", "{error}");
    assert!(error.to_string().contains("orders"), "{error}");
}

#[tokio::test]
async fn a_target_that_may_not_be_written() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.target
        .batch_execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        .await
        .unwrap();
    pair.task.target.user = "guest".into();
    pair.task.target.password = "guest".into();
    let error = pair.copy().await.unwrap_err();
    assert_eq!(error.reason(), "PermissionDenied", "{error}");
    assert!(error.to_string().contains("grant the user"), "{error}");
}

#[tokio::test]
async fn a_task_that_makes_no_sense() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.parallelism = 0;
    let message = refusal(&pair).await.to_string();
    assert!(
        message.contains("parallelism") && message.contains("1 to 64"),
        "{message}"
    );
}

#[tokio::test]
async fn no_pg_dump_at_hand() {
    let Some(mut pair) = Pair::new(ORDERS).await else {
        return;
    };
    pair.task.tuning.client_tools = Some("/nonexistent".into());
    let message = refusal(&pair).await.to_string();
    assert!(
        message.contains("pg_dump") && message.contains("postgresql-client-"),
        "{message}"
    );
}
