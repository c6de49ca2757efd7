//! Wrong documents are refused with file, field, value and remedy.

use homeport_bundle::Error;
use rstest::rstest;

use crate::support::Scene;

#[rstest]
#[case::unknown_dependency(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z","stacks":[{"name":"a","depends_on":["b"]}]}"#,
    &["manifest.json: stacks[0].depends_on[0] is \"b\""]
)]
#[case::cycle(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z",
        "stacks":[{"name":"a","depends_on":["b"]},{"name":"b","depends_on":["a"]}]}"#,
    &["\"a -> b\"", "in a circle"]
)]
#[case::names_twice_and_bad(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z","stacks":[{"name":"a"},{"name":"a"},{"name":"A b"}]}"#,
    &["stacks[1].name is \"a\": another one has this name", "stacks[2].name is \"A b\""]
)]
#[case::no_compose_file(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z","stacks":[{"name":"a","compose_file":"compose/b.yml"}]}"#,
    &["stacks[0].compose_file is \"compose/b.yml\": the bundle has no such file"]
)]
#[case::bad_requirement(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z","dependencies":{"docker":"new"}}"#,
    &["dependencies.docker is \"new\""]
)]
#[case::bad_size(
    "manifest.json",
    r#"{"version":"1.0.0","format":"hprt","created":"2024-01-15T10:30:00Z","stacks":[{"name":"a","estimated_sync_size":"big"}]}"#,
    &["manifest.json: ", "\"big\" is not a size"]
)]
#[case::other_format(
    "manifest.json",
    r#"{"version":"1.0.0","format":"zip"}"#,
    &["format is \"zip\""]
)]
#[case::later_major(
    "manifest.json",
    r#"{"version":"2.0.0","format":"hprt","stacks":17}"#,
    &["format version 2.0.0 cannot be read"]
)]
#[case::secret_with_value(
    "secrets/secrets-manifest.json",
    r#"{"secrets":[{"name":"DB","source":"manual","value":"hunter2"},{"name":"1 x","source":"env"}]}"#,
    &["secrets[0].value", "secrets[1].name is \"1 x\""]
)]
#[case::unknown_source(
    "secrets/secrets-manifest.json",
    r#"{"secrets":[{"name":"DB","source":"post-it"}]}"#,
    &["secrets/secrets-manifest.json: ", "post-it", "aws-secrets-manager"]
)]
#[case::undeclared_secret(
    "data-sync/sync-manifest.json",
    r#"{"tasks":[{"name":"main","type":"database","engine":"postgres","stack":"nope",
        "source":{"host":"a","password_secret":"DB"},"target":{"host":"b","url":"postgres://u:p@b/"}}]}"#,
    &["tasks[0].stack is \"nope\"", "tasks[0].source.password_secret is \"DB\"", "tasks[0].target.url is \"(not shown)\""]
)]
#[case::engine_of_another_type(
    "data-sync/sync-manifest.json",
    r#"{"tasks":[{"name":"main","type":"storage","engine":"postgres","source":{"bucket":"a"},"target":{}}]}"#,
    &["tasks[0].type", "tasks[0].target.bucket"]
)]
#[case::dns_records(
    "dns/records.json",
    r#"{"zone":"shop.example","records":[{"name":"@","type":"A","ttl":60,"values":["10.0.0.300"]},
        {"name":"a..b","type":"X","ttl":4000000000,"values":[]}]}"#,
    &["records[0].values[0] is \"10.0.0.300\"", "records[1].name", "records[1].type", "records[1].ttl", "records[1].values"]
)]
#[case::cutover(
    "dns/cutover.json",
    r#"{"dns_changes":[{"domain":"a.example","record_type":"A","new_value":"10.0.0.1"},
        {"domain":"A.example","record_type":"A","new_value":"10.0.0.2"}],
        "pre_checks":[{"name":"up","type":"http","url":"ftp://x"},{"name":"up","type":"tcp"}]}"#,
    &["dns_changes[1].domain", "pre_checks[0].url is \"ftp://x\"", "pre_checks[1].name", "pre_checks[1].port"]
)]
#[case::bad_duration(
    "dns/cutover.json",
    r#"{"timeout":"soon"}"#,
    &["dns/cutover.json: ", "\"soon\" is not a duration"]
)]
#[case::response_without_endpoint(
    "validation/expected-responses.json",
    r#"{"responses":[{"endpoint":"home","status":999}]}"#,
    &["responses[0].status is \"999\"", "responses[0].endpoint is \"home\""]
)]
#[case::trigger(
    "validation/rollback-triggers.json",
    r#"{"triggers":[{"name":"errors","type":"error-rate","threshold":50}]}"#,
    &["triggers[0].threshold is \"50\": write a share"]
)]
#[case::duplicate_key(
    "validation/endpoints.json",
    "{\"endpoints\": [],\n\"endpoints\": []}",
    &["validation/endpoints.json: line 2 has the key \"endpoints\" a second time"]
)]
fn refused(#[case] path: &str, #[case] content: &str, #[case] expected: &[&str]) {
    let scene = Scene::new();
    scene.write(path, content);
    let error = scene.pack().unwrap_err();
    assert!(!error.is_transient());
    let message = error.to_string();
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    assert_eq!(scene.names(), ["tree"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let scene = Scene::new();
    scene.write("dns/records.json", r#"{"zone":"-..","records":[]}"#);
    scene.write(
        "validation/endpoints.json",
        r#"{"endpoints":[{"name":"a","type":"http"}]}"#,
    );
    let Err(Error::Invalid { problems }) = scene.pack() else {
        panic!("must be refused")
    };
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn right_documents_are_read() {
    let scene = Scene::new();
    scene.write(
        "secrets/secrets-manifest.json",
        r#"{"secrets":[{"name":"DB_PASSWORD","source":"aws-secrets-manager","key":"prod/db"},
            {"name":"API_KEY","source":"manual","description":"Third-party key","required":false}]}"#,
    );
    scene.write(
        "data-sync/sync-manifest.json",
        r#"{"tasks":[{"name":"main","type":"database","engine":"postgres","stack":"app","estimated_size":"50GB",
            "source":{"host":"rds","database":"shop","user":"app","password_secret":"DB_PASSWORD","tls":"verify-full"},
            "target":{"host":"127.0.0.1","port":5433,"database":"shop","user":"app","password_secret":"DB_PASSWORD"}}]}"#,
    );
    scene.write(
        "validation/endpoints.json",
        r#"{"endpoints":[{"name":"home","type":"http","url":"http://localhost:8080/","timeout":"5s"}]}"#,
    );
    scene.write(
        "validation/expected-responses.json",
        r#"{"responses":[{"endpoint":"home","status":200}]}"#,
    );
    let bundle = scene.pack().unwrap().archive.bundle;
    let secrets = bundle.secrets.unwrap();
    assert_eq!(secrets.get("DB_PASSWORD").unwrap().lookup_key(), "prod/db");
    assert!(secrets.get("DB_PASSWORD").unwrap().required && !secrets.get("API_KEY").unwrap().required);
    let task = &bundle.sync.unwrap().tasks[0];
    assert_eq!(task.estimated_size.unwrap().bytes(), 50_000_000_000);
    assert_eq!(task.source.port.or(task.engine.default_port()), Some(5432));
}
