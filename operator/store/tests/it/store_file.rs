//! The life of the state file: backups, the way back from one, checks, and files of earlier versions.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use homeport_store::{Error, Options, Store, backup, check, restore};
use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{get, must_list_again, post, send};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
const DEEP: &str = "/apis/test.dev/v1/namespaces/default/widgets/deep";

async fn open(state: &Path) -> Store {
    Store::open(Options::file(state)).await.unwrap()
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

async fn create(store: &Store, name: &str) {
    let (code, answer) = post(store, CONFIGS, &config(name)).await;
    assert_eq!(code, 201, "{answer}");
}

async fn names(store: &Store) -> Vec<String> {
    let list = get(store, CONFIGS).await;
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn version(store: &Store) -> u64 {
    let list = get(store, CONFIGS).await;
    list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A state with a few objects, not in use.
async fn some_state(directory: &Path) -> PathBuf {
    let state = directory.join("state.db");
    let store = open(&state).await;
    for name in ["a", "b", "c"] {
        create(&store, name).await;
    }
    let deleted = send(&store, "DELETE", &format!("{CONFIGS}/c"), &[], "").await;
    assert_eq!(deleted.0, 200);
    store.close().await;
    state
}

/// State files are read in use: the backup is of one moment, and writers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_state_is_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = open(&state).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), std::sync::Arc::clone(&stop));
        async move {
            let mut written = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                create(&store, &format!("c{written:05}")).await;
                written += 1;
            }
            written
        }
    });
    let mut before = 0;
    for round in 0..10 {
        let file = directory.path().join("backup.db");
        let source = state.clone();
        let target = file.clone();
        let report = tokio::task::spawn_blocking(move || backup(&source, &target))
            .await
            .unwrap()
            .unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.file, file);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        // The names were written in order, so those in the backup have no gap.
        let restored = directory.path().join(format!("restored-{round}.db"));
        restore(&file, &restored, false).unwrap();
        let copy = open(&restored).await;
        let found = names(&copy).await;
        let expected: Vec<String> = (0..found.len()).map(|count| format!("c{count:05}")).collect();
        assert_eq!(found, expected);
        assert!(found.len() >= before, "{} after {before}", found.len());
        before = found.len();
        copy.close().await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert_eq!(names(&store).await.len(), written, "the writer was not disturbed");
    store.close().await;
    assert!(check(&state).unwrap().is_sound());
    let left = files(directory.path());
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[tokio::test]
async fn a_backup_does_not_need_the_state_to_be_in_use_and_never_replaces_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    let file = directory.path().join("new/backup.db");
    let report = backup(&state, &file).unwrap();
    assert_eq!(report.objects["configmaps"], 2);
    assert_eq!(files(file.parent().unwrap()), ["backup.db"]);
    let refused = backup(&state, &state).unwrap_err();
    assert!(matches!(refused, Error::SameFile { .. }), "{refused}");
    let missing = backup(&directory.path().join("none.db"), &file).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    assert!(
        check(&file).unwrap().is_sound(),
        "the backup from before is still there"
    );
}

#[tokio::test]
async fn a_backup_holds_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = open(&state).await;
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"a": "correct-horse"}});
    assert_eq!(
        post(&store, "/api/v1/namespaces/default/secrets", &secret)
            .await
            .0,
        201
    );
    create(&store, "public").await;
    let file = directory.path().join("backup.db");
    let report = backup(&state, &file).unwrap();
    assert_eq!(report.objects.get("secrets"), None);
    let bytes = std::fs::read(&file).unwrap();
    let contains = |needle: &str| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    assert!(contains("public"), "the search itself works");
    // In base64 as it would be stored.
    assert!(!contains("correct-horse") && !contains("Y29ycmVjdC1ob3JzZQ=="));
    store.close().await;
}

#[tokio::test]
async fn restored_versions_go_on_beyond_all_that_were_seen() {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    let file = directory.path().join("backup.db");
    backup(&state, &file).unwrap();
    let store = open(&state).await;
    let since = version(&store).await;
    for count in 0..5 {
        create(&store, &format!("later-{count}")).await;
    }
    let seen = version(&store).await;
    let refused = restore(&file, &state, true).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    store.close().await;

    let refused = restore(&file, &state, false).unwrap_err();
    assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
    let restored = restore(&file, &state, true).unwrap();
    let replaced = restored.replaced.unwrap();
    assert_eq!(check(&replaced).unwrap().objects["configmaps"], 7);
    assert_eq!(
        std::fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let store = open(&state).await;
    assert_eq!(names(&store).await, ["a", "b"]);
    assert!(version(&store).await > seen);
    for before in [since, seen, seen + 1000] {
        must_list_again(&store, CONFIGS, before).await;
    }
    // What was written before the backup has the versions of then, and can be changed as ever.
    create(&store, "new").await;
    assert!(get(&store, &format!("{CONFIGS}/a")).await["metadata"]["resourceVersion"].is_string());
    store.close().await;
    assert!(check(&state).unwrap().is_sound());
}

/// A write-ahead log that a killed process left behind belongs to the old file, and must never be applied to the new.
#[tokio::test]
async fn a_write_ahead_log_goes_with_the_state_that_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    let file = directory.path().join("backup.db");
    backup(&state, &file).unwrap();

    let store = open(&state).await;
    create(&store, "only-in-the-write-ahead-log").await;
    let killed = directory.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(directory.path().join(name), killed.join(name)).unwrap();
    }
    store.close().await;
    let replaced = restore(&file, &killed.join("state.db"), true)
        .unwrap()
        .replaced
        .unwrap();
    let store = open(&killed.join("state.db")).await;
    assert_eq!(names(&store).await, ["a", "b"]);
    store.close().await;
    let store = open(&replaced).await;
    assert_eq!(names(&store).await, ["a", "b", "only-in-the-write-ahead-log"]);
    store.close().await;

    // Nor when the old file can no longer be read.
    std::fs::write(killed.join("state.db"), "x".repeat(5000)).unwrap();
    std::fs::write(killed.join("state.db-wal"), "y".repeat(5000)).unwrap();
    let replaced = restore(&file, &killed.join("state.db"), true)
        .unwrap()
        .replaced
        .unwrap();
    let store = open(&killed.join("state.db")).await;
    assert_eq!(names(&store).await, ["a", "b"]);
    store.close().await;
    assert_eq!(std::fs::read_to_string(replaced).unwrap(), "x".repeat(5000));
}

#[tokio::test]
async fn what_is_no_sound_backup_is_not_restored() {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    let new = directory.path().join("new.db");
    let file = directory.path().join("backup.db");
    backup(&state, &file).unwrap();
    Connection::open(&file)
        .unwrap()
        .execute(
            "UPDATE log SET value = 'x' WHERE rev = (SELECT max(rev) FROM log)",
            [],
        )
        .unwrap();
    let refused = restore(&file, &new, false).unwrap_err();
    assert!(matches!(refused, Error::Unsound { .. }), "{refused}");
    std::fs::write(&file, "a file of somebody else").unwrap();
    let refused = restore(&file, &new, false).unwrap_err();
    assert!(matches!(refused, Error::NotAStore { .. }), "{refused}");
    let refused = restore(&state, &state, true).unwrap_err();
    assert!(matches!(refused, Error::SameFile { .. }), "{refused}");
    assert!(!new.exists());
    assert!(check(&state).unwrap().is_sound());
}

#[rstest]
#[case::nothing("SELECT 1", "")]
#[case::not_json("UPDATE log SET value = CAST('{' AS BLOB) WHERE key LIKE '%/a'", "not JSON")]
#[case::not_a_blob("UPDATE log SET value = 7 WHERE key LIKE '%/a'", "no blob")]
#[case::key("UPDATE log SET key = 'nowhere' WHERE key LIKE '%/a'", "names no object")]
#[case::other_key(
    "UPDATE log SET key = '/configmaps/default/z' WHERE key LIKE '%/a'",
    "its name says"
)]
#[case::other_resource(
    "UPDATE log SET key = 'x.io/y/default/a' WHERE key LIKE '%/a'",
    "its group says"
)]
#[case::operation("UPDATE log SET op = 3 WHERE key LIKE '%/a'", "unknown operation")]
#[case::other_revision(
    "UPDATE log SET rev = rev + 100 WHERE key LIKE '%/a'",
    "its resourceVersion says"
)]
#[case::negative("UPDATE log SET rev = -rev WHERE key LIKE '%/a'", "negative")]
#[case::mark("UPDATE mark SET value = 1", "would be used twice")]
#[case::no_mark("DELETE FROM mark", "cannot be read to its end")]
#[case::floor("UPDATE mark SET value = value + 5000 WHERE name = 'floor'", "never used")]
#[case::same_uid(
    "UPDATE log SET value = CAST(replace(CAST(value AS TEXT), json_extract(CAST(value AS TEXT), '$.metadata.uid'),
        (SELECT json_extract(CAST(value AS TEXT), '$.metadata.uid') FROM log WHERE key LIKE '%/b')) AS BLOB)
        WHERE key LIKE '%configmaps/default/a'",
    "has the uid"
)]
#[case::secret(
    "INSERT INTO log SELECT value, '/secrets/default/s', 1, CAST(
        '{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":\"Opaque\",\"metadata\":{\"name\":\"s\",\
        \"namespace\":\"default\",\"uid\":\"u\",\"resourceVersion\":\"' || value || '\"}}' AS BLOB)
        FROM mark WHERE name = 'reserved'",
    "must not be in the file"
)]
#[tokio::test]
async fn each_damage_is_found(#[case] damage: &str, #[case] expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    Connection::open(&state).unwrap().execute_batch(damage).unwrap();
    let report = check(&state).unwrap();
    if expected.is_empty() {
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.objects["configmaps"], 2);
        assert_eq!(report.objects["namespaces"], 3);
        assert!(report.revision <= report.reserved);
    } else {
        assert!(!report.is_sound());
        assert!(report.problems[0].to_string().contains(expected), "{report:?}");
    }
}

/// Bytes overwritten in the middle of a page are found by SQLite or by what no longer parses.
#[tokio::test]
async fn overwritten_pages_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let state = some_state(directory.path()).await;
    let sound = std::fs::read(&state).unwrap();
    for page in 1..sound.len() / 4096 {
        let mut bytes = sound.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&state, &bytes).unwrap();
        let found = check(&state);
        assert!(!found.is_ok_and(|report| report.is_sound()), "page {page}");
    }
}

fn version_1(state: &Path) {
    let sql = include_str!("../fixtures/state-v1.sql");
    Connection::open(state).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_file_of_version_1_is_upgraded_and_a_copy_kept() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    version_1(&state);
    let before = check(&state).unwrap();
    assert!(before.is_sound(), "{before:?}");
    assert_eq!(before.format, 1);

    let store = open(&state).await;
    assert_eq!(names(&store).await, ["changed", "kept"]);
    let changed = get(&store, &format!("{CONFIGS}/changed")).await;
    assert_eq!(
        (&changed["data"]["a"], &changed["metadata"]["resourceVersion"]),
        (&json!("2"), &json!("16"))
    );
    let release = get(&store, "/api/v1/namespaces/default/secrets/release").await;
    assert_eq!(release["type"], "helm.sh/release.v1");
    assert!(version(&store).await > before.reserved);
    create(&store, "new").await;
    store.close().await;

    let after = check(&state).unwrap();
    assert!(after.is_sound(), "{after:?}");
    assert_eq!(after.format, 2);
    let copies: Vec<String> = files(directory.path());
    let copies: Vec<&String> = copies.iter().filter(|name| name.contains(".v1-")).collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let copy = check(&directory.path().join(copies[0])).unwrap();
    assert_eq!((copy.format, copy.objects), (1, before.objects));

    open(&state).await.close().await;
    assert_eq!(
        files(directory.path())
            .iter()
            .filter(|name| name.contains(".v1-"))
            .count(),
        1
    );
}

/// A backup of an earlier version can be restored: it is upgraded when it is opened.
#[tokio::test]
async fn a_backup_of_version_1_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old.db");
    version_1(&old);
    let state = directory.path().join("state.db");
    assert_eq!(restore(&old, &state, false).unwrap().report.format, 1);
    let store = open(&state).await;
    assert_eq!(names(&store).await, ["changed", "kept"]);
    store.close().await;
}

/// Earlier versions stored what is nested deeper than would be accepted today.
#[tokio::test]
async fn what_was_stored_too_deep_is_served_and_can_be_mended() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    version_1(&state);
    let report = check(&state).unwrap();
    assert!(
        report.warnings[0].to_string().contains("151 levels deep"),
        "{report:?}"
    );

    let store = open(&state).await;
    let merge = [("content-type", "application/merge-patch+json")];
    let label = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let (code, _, answer) = send(&store, "PATCH", DEEP, &merge, label).await;
    assert_eq!(code, 200, "{answer}");
    let (_, _, answer) = send(&store, "GET", DEEP, &[], "").await;
    let text = answer.as_str().expect("too deep for this client's parser");
    assert!(text.contains("\"a\":\"b\"") && text.matches("{\"a\":").count() > 100);

    let inner = (0..100).fold(json!(1), |inner, _| json!({"b": inner}));
    let place = "/spec".to_owned() + &"/a".repeat(100) + "/b";
    let deeper = json!([{"op": "add", "path": place, "value": inner}]).to_string();
    let json_patch = [("content-type", "application/json-patch+json")];
    let (code, _, answer) = send(&store, "PATCH", DEEP, &json_patch, deeper).await;
    assert!(matches!(code, 413 | 422), "{code} {answer}");
    let flat = json!({"spec": null}).to_string();
    assert_eq!(send(&store, "PATCH", DEEP, &merge, flat).await.0, 200);
    store.close().await;
    let store = open(&state).await;
    assert_eq!(get(&store, DEEP).await["spec"], Value::Null);
    assert_eq!(send(&store, "DELETE", DEEP, &[], "").await.0, 200);
    store.close().await;
    assert_eq!(check(&state).unwrap().objects.get("widgets.test.dev"), None);
}

#[tokio::test]
async fn what_was_stored_too_deep_can_be_deleted_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    version_1(&state);
    let file = Connection::open(&state).unwrap();
    let deepest = |levels: usize| {
        format!(
            "{{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Widget\",\"metadata\":{{\"name\":\"deep\",\
             \"namespace\":\"default\",\"uid\":\"u\",\"resourceVersion\":\"20\"}},\"spec\":{}1{}}}",
            "{\"a\":".repeat(levels),
            "}".repeat(levels)
        )
    };
    let set = |levels: usize| {
        let bytes = deepest(levels).into_bytes();
        file.execute("UPDATE log SET value = ?1 WHERE rev = 20", [bytes])
            .unwrap();
    };
    // Deeper than can be handled: not served, not lost, and nothing else is held up by it.
    set(2000);
    let store = open(&state).await;
    assert_eq!(send(&store, "GET", DEEP, &[], "").await.0, 404);
    assert_eq!(names(&store).await, ["changed", "kept"]);
    store.close().await;
    let report = check(&state).unwrap();
    assert!(report.is_sound());
    assert!(
        report.warnings[0].to_string().contains("not served"),
        "{report:?}"
    );
    let backup_file = directory.path().join("backup.db");
    backup(&state, &backup_file).unwrap();

    set(499);
    let store = open(&state).await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let widgets = DEEP.trim_end_matches("/deep");
    assert_eq!(send(&store, "GET", widgets, &table, "").await.0, 200);
    assert_eq!(send(&store, "DELETE", DEEP, &[], "").await.0, 200);
    store.close().await;
    let store = open(&state).await;
    assert_eq!(get(&store, widgets).await["items"], json!([]));
    store.close().await;
}
