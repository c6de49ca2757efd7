//! What protects a connection, and that passwords turn up neither in command lines nor in messages, logs or `Debug`.

use std::os::unix::fs::PermissionsExt;

use homeport_sync::{Engine, Postgres, Tls, TlsMode};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::servers::{PASSWORD, Pair, servers};

#[tokio::test]
async fn the_password_is_nowhere_to_be_seen() {
    let Some(mut pair) = Pair::new("CREATE TABLE a (id int); INSERT INTO a VALUES (1)").await else {
        return;
    };
    // A pg_dump that notes how it was called before it becomes the real one.
    let tools = tempfile::tempdir().unwrap();
    let called = tools.path().join("called");
    let script = format!(
        "#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline >> {}\nexec {} \"$@\"\n",
        called.display(),
        servers().unwrap().bin.join("pg_dump").display()
    );
    let program = tools.path().join("pg_dump");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    pair.task.tuning.client_tools = Some(tools.path().to_owned());

    let report = pair.copy().await.unwrap();
    let command_lines = std::fs::read_to_string(&called).unwrap();
    assert!(command_lines.contains("--schema-only"), "{command_lines}");
    assert!(!command_lines.contains(PASSWORD));
    assert!(!format!("{:?}", pair.task).contains(PASSWORD));
    assert!(!format!("{report:?}").contains(PASSWORD));
    let state: String = pair
        .target
        .query_one("SELECT string_agg(o::text, ' ') FROM homeport.sync_object o", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!state.contains(PASSWORD));
    assert!(!servers().unwrap().logs().contains(PASSWORD));
}

/// Which certificate authority the task trusts.
enum Authority {
    Web,
    Own,
    Other,
}

#[rstest]
#[case::any_certificate(TlsMode::Require, Authority::Web, "127.0.0.1", true)]
#[case::any_name(TlsMode::Require, Authority::Own, "127.0.0.1", true)]
#[case::another_authority(TlsMode::Require, Authority::Other, "127.0.0.1", false)]
#[case::right_name(TlsMode::VerifyFull, Authority::Own, "localhost", true)]
#[case::wrong_name(TlsMode::VerifyFull, Authority::Own, "127.0.0.1", false)]
#[case::unknown_authority(TlsMode::VerifyFull, Authority::Web, "localhost", false)]
#[tokio::test]
async fn certificates_are_looked_at_as_asked(
    #[case] mode: TlsMode,
    #[case] authority: Authority,
    #[case] host: &str,
    #[case] trusted: bool,
) {
    let Some(mut pair) = Pair::new("CREATE TABLE a (id int)").await else {
        return;
    };
    let ca_pem = match authority {
        Authority::Web => None,
        Authority::Own => Some(servers().unwrap().authority_pem.clone()),
        Authority::Other => Some(
            rcgen::generate_simple_self_signed(["localhost".to_owned()])
                .unwrap()
                .cert
                .pem(),
        ),
    };
    pair.task.target.tls = Tls { mode, ca_pem };
    pair.task.target.host = host.into();
    match Postgres.plan(&pair.task, &CancellationToken::new()).await {
        Ok(_) => assert!(trusted),
        Err(error) => {
            assert_eq!(error.reason(), "TLSFailed", "{error}");
            assert!(!trusted, "{error}");
        }
    }
}
