//! HprtBundle on the in-process API: real archives, and where something is deployed, a real container engine.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use homeport_crds::HprtBundle;
use homeport_crds::common::Outcome;
use homeport_crds::conditions::{
    self, DEPLOYED, FETCHED, HEALTHY, READY, SECRETS_RESOLVED, STALLED, TARGET_REACHABLE, VERIFIED,
};
use homeport_tests::{DockerProxy, find_in_files, find_in_text};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use kube::runtime::wait::{await_condition, conditions as wait};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{
    ARCHIVE, DATABASE, SECRETS_FILE, VALUES, World, condition, eventually, in_time, message, ready,
};

const PASSWORD: &str = "correct-horse-7f3a91";

/// The annotation of the published documents that says which archive they are of.
const DIGEST: &str = "homeport.dev/bundle-digest";

/// The shop, deployed from its archive with its secret from a file.
async fn deployed_shop() -> Option<World> {
    let world = World::with_containers().await?;
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_bundle(json!({})).await;
    world.create_binding(json!({})).await;
    world.until_bundle_is("True", "Healthy").await;
    Some(world)
}

/// Waits until all of a bundle has been done but what a person must give: its secret.
async fn until_verified(world: &World) -> HprtBundle {
    let bundle = world.until_bundle_is("Unknown", "WaitingForSecrets").await;
    for type_ in [FETCHED, VERIFIED] {
        assert_eq!(
            condition(&bundle, type_).map(|(status, _)| status),
            Some("True"),
            "{type_}"
        );
    }
    bundle
}

fn stalled(bundle: &HprtBundle, reason: &str) -> bool {
    condition(bundle, STALLED) == Some(("True", reason)) && ready(bundle) == Some(("False", reason))
}

fn runs(bundle: &HprtBundle) -> Vec<(&str, Option<i64>, Outcome)> {
    let history = &bundle.status.as_ref().unwrap().history;
    history
        .iter()
        .map(|run| (run.action.as_str(), run.revision, run.outcome))
        .collect()
}

fn revision(bundle: &HprtBundle) -> Option<i64> {
    bundle.status.as_ref()?.revision
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_deployed_and_its_secret_is_nowhere_else() {
    let Some(world) = deployed_shop().await else {
        return;
    };
    let bundle = world.until_bundle_is("True", "Healthy").await;
    let stages = [
        FETCHED,
        VERIFIED,
        SECRETS_RESOLVED,
        TARGET_REACHABLE,
        DEPLOYED,
        HEALTHY,
    ];
    for type_ in stages {
        assert_eq!(
            condition(&bundle, type_).map(|(status, _)| status),
            Some("True"),
            "{type_}"
        );
    }
    let status = bundle.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, bundle.metadata.generation.unwrap());
    assert_eq!(status.stacks_ready.as_deref(), Some("2/2"));
    assert_eq!(status.required_secrets, ["PASSWORD"]);
    assert_eq!(status.revision, Some(1));
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Succeeded)]);

    let started = |stack: &str| -> jiff::Timestamp {
        let container = world.container(stack);
        container.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert!(started("database") < started("web"), "web depends on database");
    assert!(world.environment("database").contains(PASSWORD));

    eventually("an event of each stage", async || {
        let told = events_of_bundle(&world).await;
        ["Verified", "Deploying", "Deployed", "Healthy"]
            .iter()
            .all(|reason| told.iter().any(|is| is == reason))
    })
    .await;

    assert_eq!(world.secret(VALUES).await.unwrap()["PASSWORD"], PASSWORD);
    let secrets = [("PASSWORD".to_owned(), PASSWORD.to_owned())];
    let (kinds, text) = everything_but_secrets(&world.client).await;
    for kind in ["HprtBundle", "SecretBinding", "ConfigMap", "Event"] {
        assert!(kinds.iter().any(|known| known == kind), "{kinds:?}");
    }
    assert_eq!(find_in_text(&secrets, "the API", text.as_bytes()), []);
    assert_eq!(find_in_files(&secrets, &world.state_dir()), []);
}

/// The reasons of the events of the bundle.
async fn events_of_bundle(world: &World) -> Vec<String> {
    let events: Api<Event> = world.api();
    let mut events = events.list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| event.regarding.as_ref().and_then(|of| of.name.as_ref()) == Some(&world.name));
    events.into_iter().filter_map(|event| event.reason).collect()
}

/// The kinds of all objects but Secrets, and the objects as `kubectl get --output=json` shows them.
async fn everything_but_secrets(client: &Client) -> (Vec<String>, String) {
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let (mut kinds, mut text) = (Vec::new(), String::new());
    let resources = discovery.groups().flat_map(|group| group.recommended_resources());
    for (resource, capabilities) in resources {
        if resource.kind == "Secret" || !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in api.list(&ListParams::default()).await.unwrap() {
            text.push_str(&serde_json::to_string(&object).unwrap());
            kinds.push(resource.kind.clone());
        }
    }
    (kinds, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_homeport_touches_nothing_that_runs() {
    let Some(mut world) = deployed_shop().await else {
        return;
    };
    let containers = world.containers();
    world.stop().await;
    world.begin();
    world.ask_bundle("after a restart").await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(world.containers(), containers);
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Succeeded)]);

    // Standalone, values are in memory only, so that a restart loses them; the file cannot be read at first.
    world.stop().await;
    world.delete::<Secret>(VALUES).await;
    let (file, away) = (world.path(SECRETS_FILE), world.path("away.env"));
    std::fs::rename(&file, &away).unwrap();
    world.begin();
    let bundle = world.until_bundle_is("Unknown", "WaitingForSecrets").await;
    assert!(
        message(&bundle, READY).contains(VALUES),
        "{}",
        message(&bundle, READY)
    );
    assert_eq!(
        condition(&bundle, SECRETS_RESOLVED),
        Some(("False", "WaitingForSecrets"))
    );
    world.until_binding_is("False", "SourceUnreadable").await;
    assert_eq!(world.containers(), containers);

    std::fs::rename(&away, &file).unwrap();
    world.ask_binding("the file is back").await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(world.containers(), containers);
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Succeeded)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_secret_is_waited_for_by_name() {
    let Some(world) = World::with_containers().await else {
        return;
    };
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets("OTHER=1\n");
    world.create_binding(json!({})).await;
    world.create_bundle(json!({})).await;
    let binding = world.until_binding_is("False", "Partial").await;
    assert!(
        message(&binding, READY).contains("PASSWORD"),
        "{}",
        message(&binding, READY)
    );
    let bundle = world
        .until_bundle("WaitingForSecrets, by name", |bundle| {
            ready(bundle) == Some(("Unknown", "WaitingForSecrets"))
                && message(bundle, SECRETS_RESOLVED).contains("no value for PASSWORD")
        })
        .await;
    assert_eq!(
        condition(&bundle, SECRETS_RESOLVED),
        Some(("False", "WaitingForSecrets"))
    );
    assert_eq!(world.in_docker(), Vec::<String>::new());

    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.ask_binding("given").await;
    world.until_bundle_is("True", "Healthy").await;
    assert!(world.environment("database").contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bundle_in_the_file_is_a_new_revision_and_the_old_one_can_be_had_back() {
    let Some(world) = deployed_shop().await else {
        return;
    };
    let database = world.container("database");
    let bundles = record_changes::<HprtBundle>(&world).await;
    let documents = record_changes::<ConfigMap>(&world).await;
    let first = digest_of_documents(&world).await;

    let second = world.pack_shop(ARCHIVE, "two");
    let bundle = world
        .until_bundle("revision 2", |bundle| {
            revision(bundle) == Some(2) && ready(bundle) == Some(("True", "Healthy"))
        })
        .await;
    assert_ne!(first, second);
    assert_eq!(
        runs(&bundle),
        [
            ("Deploy", Some(2), Outcome::Succeeded),
            ("Deploy", Some(1), Outcome::Succeeded)
        ]
    );
    assert!(world.environment("web").contains("RELEASE=two"));
    assert_eq!(world.container("database"), database, "it did not change");

    // Whoever waits for Deployed must never find the new documents beside what was true of the old ones.
    eventually("both watches have told all", async || {
        let last = bundle.resource_version();
        let documents = documents.lock().unwrap();
        bundles
            .lock()
            .unwrap()
            .iter()
            .any(|seen| seen.resource_version() == last)
            && documents.iter().any(|seen| is_of(seen, &second))
    })
    .await;
    let opened = bundles
        .lock()
        .unwrap()
        .iter()
        .find(|bundle| {
            conditions::find(&bundle.status.as_ref().unwrap().conditions, DEPLOYED)
                .is_some_and(|deployed| deployed.status == "Unknown" && deployed.reason == "NewBundle")
        })
        .map(version)
        .expect("Deployed was open before the new bundle was deployed");
    let published = documents
        .lock()
        .unwrap()
        .iter()
        .find(|documents| is_of(documents, &second))
        .map(version)
        .unwrap();
    assert!(opened < published, "opened at {opened}, published at {published}");

    world.patch_bundle(json!({ "spec": { "revision": 1 } })).await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(revision(&bundle), Some(1));
    assert_eq!(runs(&bundle)[0], ("RollBack", Some(1), Outcome::Succeeded));
    assert!(world.environment("web").contains("RELEASE=one"));
    assert_eq!(digest_of_documents(&world).await, first);

    world.patch_bundle(json!({ "spec": { "revision": null } })).await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(revision(&bundle), Some(2));
    assert!(world.environment("web").contains("RELEASE=two"));
    assert_eq!(digest_of_documents(&world).await, second);
    assert_eq!(world.container("database"), database);
}

/// All that a watch tells of a kind, from now on.
async fn record_changes<K>(world: &World) -> Arc<Mutex<Vec<K>>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let changes: Arc<Mutex<Vec<K>>> = Arc::default();
    let (api, seen) = (world.api::<K>(), Arc::clone(&changes));
    tokio::spawn(async move {
        let mut watch = pin!(watcher(api, watcher::Config::default()).applied_objects());
        while let Some(Ok(object)) = watch.next().await {
            seen.lock().unwrap().push(object);
        }
    });
    eventually("the watch has begun", async || {
        !changes.lock().unwrap().is_empty()
    })
    .await;
    changes
}

/// Where a change is in the one order of all changes, which is homeport's own API's and no promise of Kubernetes.
fn version(object: &impl ResourceExt) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

fn is_of(documents: &ConfigMap, digest: &str) -> bool {
    documents.annotations().get(DIGEST).map(String::as_str) == Some(digest)
}

async fn digest_of_documents(world: &World) -> String {
    let name = homeport_controllers::bundle::documents::config_map_name(&world.name);
    let documents: ConfigMap = world.api().get(&name).await.unwrap();
    documents.annotations()[DIGEST].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_plans_and_touches_nothing() {
    let Some(world) = World::with_containers().await else {
        return;
    };
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_binding(json!({})).await;
    world.create_bundle(json!({ "mode": "DryRun" })).await;
    let bundle = world.until_bundle_is("True", "Planned").await;
    let status = bundle.status.as_ref().unwrap();
    assert_eq!(status.plan.len(), 2, "{:?}", status.plan);
    for stack in ["stack database: create", "stack web: create"] {
        assert!(
            status.plan.iter().any(|line| line.starts_with(stack)),
            "{:?}",
            status.plan
        );
    }
    assert_eq!(message(&bundle, READY), "create database, web");
    assert_eq!(condition(&bundle, DEPLOYED), None);
    assert!(status.history.is_empty());
    assert_eq!(world.in_docker(), Vec::<String>::new());
    until_releases_are(&world, &[]).await;

    world.patch_bundle(json!({ "spec": { "mode": "Apply" } })).await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert!(bundle.status.unwrap().plan.is_empty());
    let (containers, kept) = (world.containers(), releases(&world));
    assert_eq!(kept.len(), 1);

    // And over what runs.
    world.pack_shop("next.hprt", "two");
    world
        .patch_bundle(json!({ "spec": { "mode": "DryRun", "source": { "path": "next.hprt" } } }))
        .await;
    let bundle = world.until_bundle_is("True", "Planned").await;
    assert_eq!(message(&bundle, READY), "update web; leave database");
    assert_eq!(revision(&bundle), Some(1));
    assert_eq!(world.containers(), containers);
    until_releases_are(&world, &kept).await;
}

/// A pass that plans has the release on disk while it looks at it: what counts is that none stays.
async fn until_releases_are(world: &World, wanted: &[String]) {
    for _ in 0..100 {
        if releases(world) == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(releases(world), wanted, "a dry run left a release behind");
}

/// The releases that are on the target.
fn releases(world: &World) -> Vec<String> {
    let directory = world
        .state_dir()
        .join("releases/default")
        .join(&world.name)
        .join("releases");
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn some_stacks_alone_are_deployed() {
    let Some(world) = World::with_containers().await else {
        return;
    };
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_binding(json!({})).await;
    world.create_bundle(json!({ "stacks": ["database"] })).await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(condition(&bundle, HEALTHY), Some(("True", "Healthy")));
    let status = bundle.status.as_ref().unwrap();
    assert_eq!(status.stacks_ready.as_deref(), Some("1/1"));
    assert_eq!(world.containers(), [world.container("database")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_bundle_stays_as_it_is() {
    let Some(world) = deployed_shop().await else {
        return;
    };
    world.patch_bundle(json!({ "spec": { "suspend": true } })).await;
    world.until_bundle_is("Unknown", "Suspended").await;
    let web = world.container("web");
    world.docker(&["rm", "--force"], "web", &[]);
    let left = world.containers();
    world.ask_bundle("look").await;
    world.until_bundle_is("Unknown", "Suspended").await;
    assert_eq!(world.containers(), left);

    world.patch_bundle(json!({ "spec": { "suspend": false } })).await;
    world.until_bundle_is("True", "Healthy").await;
    assert_ne!(world.container("web"), web);
    assert_eq!(
        world.containers().len(),
        left.len() + 1,
        "what was gone is back, and nothing else is new"
    );
    assert!(
        left.iter()
            .all(|container| world.containers().contains(container))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_another_digest_is_refused() {
    let world = World::start().await;
    let digest = world.pack(ARCHIVE, &[("database", "", DATABASE)], &["PASSWORD"]);
    let wrong = "0".repeat(64);
    world
        .create_bundle(json!({ "source": { "path": ARCHIVE, "sha256": wrong } }))
        .await;
    let bundle = world
        .until_bundle("ChecksumMismatch", |bundle| stalled(bundle, "ChecksumMismatch"))
        .await;
    assert_eq!(condition(&bundle, FETCHED), Some(("False", "ChecksumMismatch")));
    assert!(
        message(&bundle, READY).contains(&digest),
        "{}",
        message(&bundle, READY)
    );
    world
        .patch_bundle(json!({ "spec": { "source": { "sha256": digest } } }))
        .await;
    until_verified(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_with_a_password_is_refused_until_the_file_is_another() {
    let world = World::start().await;
    let value = "Tr0ub4dor-and-3-91fe";
    let leaking = DATABASE.replace("${PASSWORD:?is not set}", value);
    let line = 1 + leaking.lines().position(|line| line.contains(value)).unwrap();
    world.pack(ARCHIVE, &[("database", "", &leaking)], &["PASSWORD"]);
    world.create_bundle(json!({})).await;
    let bundle = world
        .until_bundle("BundleRefused", |bundle| stalled(bundle, "BundleRefused"))
        .await;
    assert_eq!(condition(&bundle, VERIFIED), Some(("False", "BundleRefused")));
    let place = format!("compose/database.yml:{line}");
    assert!(
        message(&bundle, READY).contains(&place),
        "{}",
        message(&bundle, READY)
    );
    let secrets = [("PASSWORD".to_owned(), value.to_owned())];
    let (_, text) = everything_but_secrets(&world.client).await;
    assert_eq!(find_in_text(&secrets, "the API", text.as_bytes()), []);
    assert_eq!(
        find_in_files(&secrets, &world.state_dir()),
        [],
        "nothing is left of it"
    );

    // Nobody tells homeport.
    world.pack(ARCHIVE, &[("database", "", DATABASE)], &["PASSWORD"]);
    let bundle = until_verified(&world).await;
    assert_eq!(condition(&bundle, STALLED), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_waited_for() {
    let Some(world) = World::with_containers().await else {
        return;
    };
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_binding(json!({})).await;
    let socket = world.path("docker.sock");
    let address = format!("unix://{}", socket.display());
    world
        .create_bundle(json!({ "target": { "local": { "dockerHost": address } } }))
        .await;
    let bundle = world.until_bundle_is("False", "TargetUnreachable").await;
    assert_eq!(
        condition(&bundle, TARGET_REACHABLE),
        Some(("False", "TargetUnreachable"))
    );
    assert_eq!(condition(&bundle, STALLED), None);

    let mut engine = DockerProxy::open_at(&socket);
    world.until_bundle_is("True", "Healthy").await;
    let containers = world.containers();
    assert_eq!(containers.len(), 2);

    engine.shut();
    let bundle = world.until_bundle_is("False", "TargetUnreachable").await;
    assert_eq!(
        condition(&bundle, TARGET_REACHABLE),
        Some(("False", "TargetUnreachable"))
    );
    assert_eq!(
        condition(&bundle, HEALTHY).map(|(status, _)| status),
        Some("Unknown")
    );
    engine.open();
    world.until_bundle_is("True", "Healthy").await;
    assert_eq!(world.containers(), containers, "all ran on meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_deleted_bundle_is_as_its_policy_says() {
    let Some(world) = deployed_shop().await else {
        return;
    };
    let containers = world.containers();
    world.delete::<HprtBundle>(&world.name).await;
    assert_eq!(world.containers(), containers);

    // The same bundle takes over what runs.
    world.create_bundle(json!({ "deletionPolicy": "Delete" })).await;
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(world.containers(), containers);
    assert_eq!(revision(&bundle), Some(1));
    assert!(
        world
            .in_docker()
            .iter()
            .any(|name| name.contains("-database-") && name.ends_with("_data")),
        "the database has a volume"
    );
    world.delete::<HprtBundle>(&world.name).await;
    assert_eq!(world.in_docker(), Vec::<String>::new());
}

/// A world whose bundle is of one stack that is not healthy before [`make_healthy`].
async fn slow_database() -> Option<World> {
    let world = World::with_containers().await?;
    let slow = DATABASE.replace("sleep 1; touch /tmp/ready; ", "");
    assert_ne!(slow, DATABASE);
    world.pack(ARCHIVE, &[("database", "", &slow)], &["PASSWORD"]);
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_binding(json!({})).await;
    Some(world)
}

fn make_healthy(world: &World) {
    world.docker(&["exec"], "database", &["touch", "/tmp/ready"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_was_interrupted_is_taken_up_where_it_was() {
    let Some(mut world) = slow_database().await else {
        return;
    };
    world.create_bundle(json!({})).await;
    let is_waiting = |bundle: &HprtBundle| {
        ready(bundle) == Some(("Unknown", "Deploying")) && message(bundle, READY).contains("0/1")
    };
    world.until_bundle("database is waited for", is_waiting).await;
    let database = world.container("database");

    world.stop().await;
    world.begin();
    world.ask_bundle("after a restart").await;
    world.until_bundle("database is waited for", is_waiting).await;

    world.patch_bundle(json!({ "spec": { "suspend": true } })).await;
    world.until_bundle_is("Unknown", "Suspended").await;
    world.patch_bundle(json!({ "spec": { "suspend": false } })).await;
    world.until_bundle("database is waited for", is_waiting).await;

    make_healthy(&world);
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(world.container("database"), database);
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Succeeded)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_failed_is_tried_again_and_tells_so_once() {
    let Some(world) = slow_database().await else {
        return;
    };
    world
        .create_bundle(json!({ "deploy": { "timeout": "2s" } }))
        .await;
    let bundle = world.until_bundle_is("False", "Unhealthy").await;
    assert_eq!(condition(&bundle, DEPLOYED), Some(("False", "Unhealthy")));
    assert_eq!(condition(&bundle, STALLED), None);
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Failed)]);
    let first = bundle.status.unwrap().history[0].started_at.clone();
    let bundle = world
        .until_bundle("another try", |bundle| {
            ready(bundle) == Some(("False", "Unhealthy"))
                && bundle.status.as_ref().unwrap().history[0].started_at != first
        })
        .await;
    assert_eq!(runs(&bundle), [("Deploy", Some(1), Outcome::Failed)]);

    make_healthy(&world);
    let bundle = world.until_bundle_is("True", "Healthy").await;
    assert_eq!(revision(&bundle), Some(1));
    assert_eq!(
        runs(&bundle),
        [
            ("Deploy", Some(1), Outcome::Succeeded),
            ("Deploy", Some(1), Outcome::Failed)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_reaches_those_who_use_it() {
    let Some(world) = deployed_shop().await else {
        return;
    };
    let (database, web) = (world.container("database"), world.container("web"));
    let changed = "another-horse-55d2c0";
    world.write_secrets(&format!("PASSWORD={changed}\n"));
    world.ask_binding("changed").await;
    eventually("the binding has written it", async || {
        world.secret(VALUES).await.unwrap()["PASSWORD"] == changed
    })
    .await;
    let bundle = world
        .until_bundle("deployed again", |bundle| {
            ready(bundle) == Some(("True", "Healthy")) && runs(bundle).len() == 2
        })
        .await;
    assert_eq!(revision(&bundle), Some(1));
    assert_ne!(world.container("database"), database);
    assert!(world.environment("database").contains(changed));
    assert_eq!(world.container("web"), web, "it does not use it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_cannot_be_done_says_how_to_let_go() {
    let Some(world) = World::with_containers().await else {
        return;
    };
    world.pack_shop(ARCHIVE, "one");
    world.write_secrets(&format!("PASSWORD={PASSWORD}\n"));
    world.create_binding(json!({})).await;
    let socket = world.path("docker.sock");
    let mut engine = DockerProxy::open_at(&socket);
    let target = json!({ "local": { "dockerHost": format!("unix://{}", socket.display()) } });
    world
        .create_bundle(json!({ "target": target, "deletionPolicy": "Delete" }))
        .await;
    world.until_bundle_is("True", "Healthy").await;
    let containers = world.containers();

    engine.shut();
    let bundles: Api<HprtBundle> = world.api();
    bundles
        .delete(&world.name, &DeleteParams::default())
        .await
        .unwrap();
    let bundle = world
        .until_bundle("how to let go", |bundle| {
            bundle.metadata.deletion_timestamp.is_some()
                && ready(bundle).is_some_and(|(status, _)| status == "False")
                && message(bundle, READY).contains("spec.deletionPolicy to Retain")
        })
        .await;
    assert_eq!(ready(&bundle), Some(("False", "TargetUnreachable")));

    let uid = bundle.uid().unwrap();
    let gone = await_condition(bundles, &world.name, wait::is_deleted(&uid));
    world
        .patch_bundle(json!({ "spec": { "deletionPolicy": "Retain" } }))
        .await;
    in_time("the bundle is gone", gone).await.unwrap();
    assert_eq!(world.containers(), containers);
}

/// A web server that counts what it is asked, and has nothing until it is given something.
struct WebServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Instant>>>,
    content: Arc<Mutex<Option<Vec<u8>>>>,
}

impl WebServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            content: Arc::default(),
        };
        let (requests, content) = (Arc::clone(&server.requests), Arc::clone(&server.content));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                requests.lock().unwrap().push(Instant::now());
                let (line, body) = match content.lock().unwrap().clone() {
                    Some(body) => ("200 OK", body),
                    None => ("404 Not Found", Vec::new()),
                };
                let head = format!(
                    "HTTP/1.1 {line}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            }
        });
        server
    }

    fn requests(&self) -> Vec<Instant> {
        self.requests.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_downloaded_once_it_is_there() {
    let world = World::start().await;
    let server = WebServer::start().await;
    let digest = world.pack(ARCHIVE, &[("database", "", DATABASE)], &["PASSWORD"]);
    let url = format!("http://{}/shop.hprt?token=hunter2", server.address);
    world
        .create_bundle(json!({ "source": { "url": url, "sha256": digest } }))
        .await;
    let bundle = world.until_bundle_is("False", "DownloadFailed").await;
    let said = message(&bundle, FETCHED);
    assert!(said.contains("404") && said.contains("/shop.hprt"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    // A hot loop, or a constant delay, would ask again sooner than after the waits of 1, 2, 4 and 8 seconds (less a
    // quarter, by chance) that there are between five tries.
    eventually("five tries", async || server.requests().len() >= 5).await;
    let tries = server.requests();
    for (n, least) in [(2, 1500), (3, 3000), (4, 6000)] {
        assert!(
            tries[n] - tries[n - 1] >= Duration::from_millis(least),
            "{tries:?}"
        );
    }

    *server.content.lock().unwrap() = Some(std::fs::read(world.path(ARCHIVE)).unwrap());
    let bundle = until_verified(&world).await;
    assert_eq!(
        bundle.status.unwrap().bundle.unwrap().digest,
        format!("sha256:{digest}")
    );

    let tries = server.requests().len();
    world.ask_bundle("again").await;
    until_verified(&world).await;
    assert_eq!(
        server.requests().len(),
        tries,
        "what is here is not downloaded again"
    );
}
