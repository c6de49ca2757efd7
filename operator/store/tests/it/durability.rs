//! What was acknowledged survives the process being killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use homeport_store::{Error, Options, Store, check};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{WIDGETS, client, get, must_list_again, post, send, widget, widget_definition};

/// Tells the child, which is this same binary, where to write.
const STATE: &str = "HOMEPORT_STORE_TEST_STATE";
/// Tells it where to begin to count, so that what is written later is more.
const FIRST: &str = "HOMEPORT_STORE_TEST_FIRST";

/// How many times the process is killed, if not [`ROUNDS`].
const ROUNDS_VARIABLE: &str = "HOMEPORT_KILL_ROUNDS";
const ROUNDS: u64 = 50;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// Not a test by itself: the process that gets killed. It writes for ever and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by acknowledged_writes_survive_kill_9"]
async fn write_until_killed() {
    let Some(path) = std::env::var_os(STATE) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Store::open(Options::file(PathBuf::from(path))).await.unwrap();
    let writers = (0..4).map(|writer| {
        let configs: Api<ConfigMap> = Api::namespaced(client(&store), "default");
        let secrets: Api<Secret> = Api::namespaced(client(&store), "default");
        tokio::spawn(async move {
            for count in first.. {
                // Few names, so that they are overwritten and superseded as well as created.
                let name = format!("w{writer}-{}", count % 5);
                let parameters = PatchParams::apply("test").force();
                let patch = Patch::Apply(json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                    "data": {"count": count.to_string(), "padding": "x".repeat(2000)},
                }));
                let written = configs.patch(&name, &parameters, &patch).await.unwrap();
                println!(
                    "acknowledged {name} {count} {}",
                    written.metadata.resource_version.unwrap()
                );
                // Kept in memory only, and of versions that must not come back all the same.
                let patch = Patch::Apply(json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                    "stringData": {"count": count.to_string()},
                }));
                let written = secrets.patch(&name, &parameters, &patch).await.unwrap();
                println!("acknowledged - 0 {}", written.metadata.resource_version.unwrap());
            }
        })
    });
    futures::future::join_all(writers).await;
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(state: &Path, first: u64) -> Killed {
    // This very program, even if it has been built anew meanwhile.
    let child = Command::new("/proc/self/exe")
        .args([
            "--exact",
            "durability::write_until_killed",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(STATE, state)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Killed(child)
}

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |text| text.parse().unwrap());
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut versions: BTreeSet<u64> = BTreeSet::new();
    for round in 1..=rounds {
        let mut child = start(&state, round * 1_000_000);
        let output = BufReader::new(child.0.stdout.take().unwrap());
        let mut this_round: BTreeMap<String, u64> = BTreeMap::new();
        let mut seen = 0;
        let enough = rand::random_range(10..300);
        // The pipe is read to its end: what was acknowledged just before the kill counts too.
        for line in output.lines() {
            let line = line.unwrap();
            let Some(words) = line.split_once("acknowledged ").map(|(_, words)| words) else {
                continue;
            };
            let words: Vec<&str> = words.split(' ').collect();
            let [name, count, version] = words.as_slice() else {
                continue;
            };
            let (Ok(count), Ok(version)) = (count.parse::<u64>(), version.parse::<u64>()) else {
                continue;
            };
            assert!(
                versions.insert(version),
                "{version} was used twice, the second time in round {round}"
            );
            if *name != "-" {
                let known = this_round.entry((*name).to_owned()).or_default();
                *known = count.max(*known);
            }
            seen += 1;
            if seen == enough {
                child.0.kill().unwrap();
            }
        }
        drop(child);
        assert!(seen >= enough, "the child ended by itself after {seen} writes");
        acknowledged.extend(this_round);

        let report = check(&state).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        let store = Store::open(Options::file(&state)).await.unwrap();
        let configs: Api<ConfigMap> = Api::namespaced(client(&store), "default");
        for (name, count) in &acknowledged {
            let found = configs.get(name).await.unwrap().data.unwrap()["count"]
                .parse::<u64>()
                .unwrap();
            // One more may have been written than was told.
            assert!(
                found >= *count,
                "round {round}, {name}: {count} was acknowledged, {found} is there"
            );
        }
        let list = configs.list(&ListParams::default()).await.unwrap();
        let now: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
        let last = versions.last().copied().unwrap_or(0);
        assert!(
            now > last,
            "round {round}: versions went back from {last} to {now}"
        );
        store.close().await;
    }
    println!(
        "killed {rounds} times, {} writes were acknowledged",
        versions.len()
    );
}

#[tokio::test]
async fn secrets_are_forgotten_and_helms_records_kept() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = Store::open(Options::file(&state)).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client(&store), "default");
    let make = |name: &str, kind: &str, value: &str| -> Secret {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "type": kind, "stringData": {"value": value},
        }))
        .unwrap()
    };
    let params = PostParams::default();
    secrets
        .create(&params, &make("password", "Opaque", "correct-horse"))
        .await
        .unwrap();
    secrets
        .create(&params, &make("release", "helm.sh/release.v1", "release-record"))
        .await
        .unwrap();
    let before: u64 = secrets
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap()
        .parse()
        .unwrap();
    store.close().await;

    // Base64 of the value: that is how it would have been stored.
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for needle in ["correct-horse", "Y29ycmVjdC1ob3JzZQ=="] {
            assert!(
                !bytes
                    .windows(needle.len())
                    .any(|window| window == needle.as_bytes()),
                "{needle}"
            );
        }
    }
    let store = Store::open(Options::file(&state)).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client(&store), "default");
    let list = secrets.list(&ListParams::default()).await.unwrap();
    let restarted = list
        .metadata
        .resource_version
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    let names: Vec<_> = list
        .items
        .iter()
        .filter_map(|secret| secret.metadata.name.as_deref())
        .collect();
    assert_eq!(names, ["release"]);
    assert!(restarted > before);
    must_list_again(&store, SECRETS, before).await;
    store.close().await;

    let store = Store::open(Options::file(&state)).await.unwrap();
    must_list_again(&store, SECRETS, restarted).await;
    store.close().await;
}

/// Field ownership nests deeper than the object it describes, and a patch may nest deeper than its own document.
#[tokio::test]
async fn what_was_accepted_can_be_read_again_however_deep() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = Store::open(Options::file(&state)).await.unwrap();
    let mut definition = widget_definition();
    let free = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    definition["spec"]["versions"][0]["schema"] = free;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(post(&store, definitions, &definition).await.0, 201);

    let nested = |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!({"a": inner}));
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    for levels in 80..125 {
        let name = format!("created-{levels}");
        let mut object = widget(&name, 1);
        object["spec"] = nested(levels);
        let (code, answer) = post(&store, WIDGETS, &object).await;
        match code {
            201 => accepted.push(name),
            422 => refused.push(answer["message"].clone()),
            _ => panic!("{levels}: {code} {answer}"),
        }
        let name = format!("patched-{levels}");
        let mut object = widget(&name, 1);
        object["spec"] = nested(levels - 60);
        assert_eq!(post(&store, WIDGETS, &object).await.0, 201);
        accepted.push(name.clone());
        let place = "/spec".to_owned() + &"/a".repeat(59);
        let patch = json!([
            {"op": "replace", "path": "/spec", "value": nested(60)},
            {"op": "replace", "path": place, "value": nested(levels - 59)},
        ]);
        let media_type = [("content-type", "application/json-patch+json")];
        let path = format!("{WIDGETS}/{name}");
        match send(&store, "PATCH", &path, &media_type, patch.to_string()).await {
            (200, _, _) => {}
            (422, _, answer) => refused.push(answer["message"].clone()),
            (code, _, answer) => panic!("{levels}: {code} {answer}"),
        }
    }
    assert!(accepted.contains(&"created-80".to_owned()), "{accepted:?}");
    assert!(refused.len() > 40, "{refused:?}");
    for message in &refused {
        assert!(message.as_str().unwrap().contains("levels deep"), "{message}");
    }
    store.close().await;

    let store = Store::open(Options::file(&state)).await.unwrap();
    for name in accepted {
        get(&store, &format!("{WIDGETS}/{name}")).await;
    }
    store.close().await;
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = Store::open(Options::file(&state)).await.unwrap();
    let refused = Store::open(Options::file(&state)).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another process"));
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    store.close().await;
    Store::open(Options::file(&state)).await.unwrap().close().await;
}
