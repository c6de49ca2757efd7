//! Cutover on the in-process API, with a real BIND and a place to cut over to.

#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homeport_bundle::Bundle;
use homeport_controllers::bundle::documents::{self, Documents};
use homeport_controllers::cutover::CutoverReconciler;
use homeport_controllers::{Context, Settings, runtime};
use homeport_crds::conditions::{self, CUT_OVER, DEPLOYED, HEALTHY, READY, Verdict};
use homeport_crds::{
    Cutover, CutoverStatus, DataSync, DataSyncStatus, HprtBundle, HprtBundleStatus, RECONCILE_AT,
    SecretBinding, SecretBindingStatus,
};
use homeport_cutover::{
    ChangeSet, DnsProvider, Observed, Plan, RecordChange, RecordKey, RecordSet, RecordType, Rfc2136Provider,
    TsigAlgorithm, TsigKey, observe,
};
use homeport_store::{Options, Store};
use homeport_tests::PostgresServer;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions as wait};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Not a measurement: what takes longer is stuck.
const STUCK: Duration = Duration::from_secs(120);
const NAMED: &str = "/usr/sbin/named";
const TSIG_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD: [&str; 2] = ["203.0.113.1", "203.0.113.2"];
const NEW: &str = "192.0.2.9";

/// A BIND whose zone one key may update.
struct Bind {
    server: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bind {
    async fn start() -> Option<Self> {
        if !Path::new(NAMED).exists() {
            eprintln!("SKIPPED: {NAMED} is not installed (Debian package bind9)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = folder.path().display();
        let zone = "$ORIGIN shop.example.\n$TTL 300\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\n\
                    ns A 127.0.0.1\nwww A 203.0.113.1\nwww A 203.0.113.2\n";
        std::fs::write(folder.path().join("zone"), zone).unwrap();
        let config = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
               pid-file \"{path}/pid\"; session-keyfile \"{path}/session.key\"; recursion no;
               dnssec-validation no; notify no; managed-keys-directory \"{path}\"; }};
             controls {{ }};
             key \"homeport.\" {{ algorithm hmac-sha256; secret \"{TSIG_SECRET}\"; }};
             zone \"shop.example\" {{ type primary; file \"{path}/zone\";
               update-policy {{ grant homeport. zonesub ANY; }}; }};"
        );
        std::fs::write(folder.path().join("named.conf"), config).unwrap();
        let child = Command::new(NAMED)
            .args(["-g", "-c", &format!("{path}/named.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bind = Self {
            server: SocketAddr::from(([127, 0, 0, 1], port)),
            child,
            _folder: folder,
        };
        let answers = async {
            while bind.provider().read(&www()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(STUCK, answers).await.expect("named answers");
        Some(bind)
    }

    fn provider(&self) -> Rfc2136Provider {
        let key = TsigKey {
            name: "homeport".into(),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: TSIG_SECRET.into(),
        };
        Rfc2136Provider::new(self.server, &key).unwrap()
    }

    /// The records of the cutover and their marks, as the server has them.
    async fn records(&self) -> Observed {
        observe(&self.provider(), &BTreeSet::from([www()])).await.unwrap()
    }

    async fn values(&self) -> Vec<String> {
        let records = self.records().await.records;
        records
            .get(&www())
            .map(|set| set.values.clone())
            .unwrap_or_default()
    }

    /// Changes the record by other means than homeport's.
    async fn change(&self, value: &str, owns: bool) {
        let change = RecordChange {
            key: www(),
            wanted: RecordSet::parse(RecordType::A, 60, &[value.to_owned()]).unwrap(),
            expected_before: None,
        };
        let plan = Plan {
            adopt: true,
            ..Plan::new("default/shop", vec![change]).unwrap()
        };
        let mut changes = ChangeSet::forward(&plan, &self.records().await, true).unwrap();
        if !owns {
            for change in &mut changes.changes {
                change.owner_after = change.owner_before.clone();
            }
        }
        self.provider().apply(&changes).await.unwrap();
    }
}

fn www() -> RecordKey {
    RecordKey::new("shop.example", "www.shop.example", RecordType::A).unwrap()
}

/// A port that is free for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = StdListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// The application in its new place, which answers as it is told.
struct Target {
    address: SocketAddr,
    healthy: Arc<AtomicBool>,
}

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let healthy = Arc::new(AtomicBool::new(true));
        let answers = healthy.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let line = if answers.load(Ordering::SeqCst) {
                    "200 OK"
                } else {
                    "500 No"
                };
                let answer = format!("HTTP/1.1 {line}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nshop");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, healthy }
    }

    fn check(&self, name: &str) -> Value {
        let url = format!("http://www.shop.example:{}/", self.address.port());
        let http = json!({ "url": url, "expectBody": "shop", "resolve": self.address.to_string() });
        json!({ "name": name, "http": http, "attempts": 1, "interval": "1s" })
    }
}

/// An API with the definitions, and the controller on it.
struct World {
    client: Client,
    context: Context,
    shutdown: CancellationToken,
    controller: Option<JoinHandle<()>>,
    bind: Bind,
    target: Target,
    _store: Store,
    _state: TempDir,
}

impl World {
    /// A world with a controller, or None where there is no BIND.
    async fn start() -> Option<Self> {
        let mut world = Self::without_controller().await?;
        world.begin();
        Some(world)
    }

    async fn without_controller() -> Option<Self> {
        let bind = Bind::start().await?;
        let store = Store::open(Options::memory()).await.unwrap();
        let client = Client::new(store.service(), "default");
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in homeport_crds::definitions() {
            definitions
                .create(&PostParams::default(), &definition)
                .await
                .unwrap();
            let established = wait::is_crd_established();
            await_condition(definitions.clone(), &definition.name_any(), established)
                .await
                .unwrap();
        }
        let state = tempfile::tempdir().unwrap();
        let settings = Settings {
            state_dir: state.path().into(),
            working_dir: state.path().into(),
        };
        let world = Self {
            context: Context::new(client.clone(), settings),
            client,
            shutdown: CancellationToken::new(),
            controller: None,
            bind,
            target: Target::start().await,
            _store: store,
            _state: state,
        };
        world.put_secret("dns", "key", TSIG_SECRET).await;
        Some(world)
    }

    fn begin(&mut self) {
        let reconciler = CutoverReconciler::new(self.context.clone());
        let drive = runtime::drive(reconciler, self.context.clone(), self.shutdown.clone());
        self.controller = Some(tokio::spawn(drive));
    }

    fn cutovers(&self) -> Api<Cutover> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Creates a Cutover with these fields beside those that all tests have.
    async fn create(&self, fields: Value) -> Cutover {
        let tsig = json!({ "keyName": "homeport", "secretRef": { "name": "dns", "key": "key" } });
        let mut spec = json!({
            "provider": { "rfc2136": { "server": self.bind.server.to_string(), "tsig": tsig } },
            "changes": [{ "zone": "shop.example", "name": "www.shop.example", "type": "A", "values": [NEW] }],
            "gates": { "preChecks": [self.target.check("ready")] },
            "postChecks": [self.target.check("page")],
            "adopt": true,
        });
        let all = spec.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        let cutover = Cutover::new("shop", serde_json::from_value(spec).unwrap());
        self.cutovers()
            .create(&PostParams::default(), &cutover)
            .await
            .unwrap()
    }

    async fn patch(&self, patch: Value) {
        let merge = Patch::Merge(patch);
        self.cutovers()
            .patch("shop", &PatchParams::default(), &merge)
            .await
            .unwrap();
    }

    async fn want(&self, desired: &str) {
        self.patch(json!({ "spec": { "desired": desired } })).await;
    }

    async fn ask_again(&self, value: &str) {
        self.patch(json!({ "metadata": { "annotations": { RECONCILE_AT: value } } }))
            .await;
    }

    async fn put_secret(&self, name: &str, key: &str, value: &str) {
        let secret: Secret = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { key: value },
        }))
        .unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "default");
        let apply = PatchParams::apply("test").force();
        secrets.patch(name, &apply, &Patch::Apply(&secret)).await.unwrap();
    }

    /// Waits until the cutover is as wanted, and returns it.
    async fn until(&self, what: &str, is_so: impl Fn(&Cutover) -> bool + Send + Sync + Copy) -> Cutover {
        let condition = move |cutover: Option<&Cutover>| cutover.is_some_and(is_so);
        match tokio::time::timeout(STUCK, await_condition(self.cutovers(), "shop", condition)).await {
            Ok(cutover) => cutover.unwrap().unwrap(),
            Err(_) => {
                let cutover = self.cutovers().get("shop").await.unwrap();
                panic!(
                    "still waiting for: {what}\n{}",
                    serde_json::to_string_pretty(&cutover).unwrap()
                );
            }
        }
    }

    /// Waits for a status and reason of `Ready`, at the current generation and after what was asked for last.
    async fn until_ready(&self, status: &'static str, reason: &'static str) -> Cutover {
        self.until(reason, |cutover| ready(cutover) == Some((status, reason)))
            .await
    }

    async fn create_bundle(&self, bundle: Bundle) -> HprtBundle {
        let bundles: Api<HprtBundle> = Api::namespaced(self.client.clone(), "default");
        let spec = json!({ "source": { "path": "web.hprt" }, "target": { "local": {} } });
        let object = HprtBundle::new("web", serde_json::from_value(spec).unwrap());
        let object = bundles.create(&PostParams::default(), &object).await.unwrap();
        let documents = Documents {
            digest: "ab".repeat(32),
            bundle,
        };
        documents::publish(&self.client, &object, &documents)
            .await
            .unwrap();
        object
    }

    async fn set_bundle(&self, types: &[&str]) {
        let mut status = HprtBundleStatus::default();
        for type_ in types {
            conditions::set(&mut status.conditions, 1, type_, true, "AsItIs", "all is well");
        }
        let bundles: Api<HprtBundle> = Api::namespaced(self.client.clone(), "default");
        let patch = Patch::Merge(json!({ "status": status }));
        bundles
            .patch_status("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn create_sync(&self) {
        let syncs: Api<DataSync> = Api::namespaced(self.client.clone(), "default");
        let sync = DataSync::new(
            "db",
            serde_json::from_value(json!({ "bundleRef": { "name": "web" } })).unwrap(),
        );
        syncs.create(&PostParams::default(), &sync).await.unwrap();
    }

    async fn set_sync(&self, verdict: Verdict) {
        let mut status = DataSyncStatus::default();
        status.observed_generation = conditions::summarize(&mut status.conditions, 1, -1, &verdict);
        let syncs: Api<DataSync> = Api::namespaced(self.client.clone(), "default");
        let patch = Patch::Merge(json!({ "status": status }));
        syncs
            .patch_status("db", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn ready(cutover: &Cutover) -> Option<(&str, &str)> {
    let status = cutover.status.as_ref()?;
    let asked = cutover.annotations().get(RECONCILE_AT);
    if asked.is_some() && asked != status.last_handled_reconcile_at.as_ref() {
        return None;
    }
    let ready = conditions::find(&status.conditions, READY)?;
    (ready.observed_generation == cutover.metadata.generation).then_some((&ready.status, &ready.reason))
}

fn message(cutover: &Cutover) -> &str {
    let conditions = &cutover.status.as_ref().unwrap().conditions;
    &conditions::find(conditions, READY).unwrap().message
}

fn is_cut_over(cutover: &Cutover) -> bool {
    let generation = cutover.metadata.generation.unwrap();
    conditions::is_true_at(&cutover.status.as_ref().unwrap().conditions, CUT_OVER, generation)
}

fn steps(cutover: &Cutover) -> Vec<(&str, &str)> {
    let steps = &cutover.status.as_ref().unwrap().steps;
    steps
        .iter()
        .map(|step| (step.name.as_str(), step.state.as_str()))
        .collect()
}

fn actions(cutover: &Cutover) -> Vec<&str> {
    let history = &cutover.status.as_ref().unwrap().history;
    history.iter().map(|run| run.action.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_and_there_again() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world.create(json!({ "soak": "1s" })).await;
    let cutover = world.until_ready("True", "CutOver").await;
    assert!(is_cut_over(&cutover));
    assert_eq!(world.bind.values().await, [NEW]);
    assert_eq!(world.bind.records().await.owners[&www()], "default/shop");
    let status = cutover.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("CutOver"));
    assert_eq!(status.observed_generation, cutover.metadata.generation.unwrap());
    let record = &status.records[0];
    let was = record.before.as_ref().unwrap();
    assert_eq!(
        (was.ttl, was.values.as_slice()),
        (300, OLD.map(String::from).as_slice())
    );
    assert_eq!(record.after.as_ref().unwrap().values, [NEW]);
    assert!(
        steps(&cutover).iter().all(|(_, state)| *state == "Done"),
        "{:?}",
        steps(&cutover)
    );
    assert!(
        status
            .steps
            .iter()
            .all(|step| step.started_at.is_some() && step.finished_at.is_some())
    );
    assert!(status.observed[0].matches && status.observed[0].values == [NEW]);
    let checks: Vec<_> = status
        .checks
        .iter()
        .map(|check| (check.phase.as_str(), check.passed))
        .collect();
    assert_eq!(checks, [("PreCheck", true), ("PostCheck", true)]);
    assert!(status.switched_at.is_some());

    world.want("RolledBack").await;
    let cutover = world.until_ready("True", "RolledBack").await;
    assert!(!is_cut_over(&cutover));
    assert_eq!(
        world.bind.records().await,
        before,
        "values, times to live and marks"
    );
    assert_eq!(actions(&cutover), ["RollBack", "CutOver"]);

    world.want("CutOver").await;
    let cutover = world.until_ready("True", "CutOver").await;
    assert_eq!(world.bind.values().await, [NEW]);
    assert_eq!(actions(&cutover), ["CutOver", "RollBack", "CutOver"]);

    // What is gone from the API stays as it is in DNS.
    world
        .cutovers()
        .delete("shop", &DeleteParams::default())
        .await
        .unwrap();
    let uid = cutover.uid().unwrap();
    let deleted = wait::is_deleted(&uid);
    await_condition(world.cutovers(), "shop", deleted).await.unwrap();
    assert_eq!(world.bind.values().await, [NEW]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rolled_back_before_anything_is_nothing_to_do() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world.create(json!({ "desired": "RolledBack" })).await;
    let cutover = world.until_ready("True", "RolledBack").await;
    assert!(
        message(&cutover).contains("nothing had been changed"),
        "{}",
        message(&cutover)
    );
    assert_eq!(world.bind.records().await, before);
    world.want("CutOver").await;
    world.until_ready("True", "CutOver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_touches_nothing() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world.create(json!({ "mode": "DryRun" })).await;
    let cutover = world.until_ready("True", "Planned").await;
    let status = cutover.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("Planned"));
    assert_eq!(
        status.plan,
        ["change www.shop.example A: 203.0.113.1, 203.0.113.2 (TTL 300 s) to 192.0.2.9 (TTL 60 s)"]
    );
    assert!(status.records.is_empty() && !is_cut_over(&cutover));
    assert_eq!(world.bind.records().await, before);

    world.patch(json!({ "spec": { "mode": "Apply" } })).await;
    let cutover = world.until_ready("True", "CutOver").await;
    assert!(cutover.status.unwrap().plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_switched_before_a_person_approves() {
    let Some(world) = World::start().await else { return };
    world.create(json!({ "approval": { "required": true } })).await;
    world.until_ready("Unknown", "WaitingForApproval").await;
    assert_eq!(world.bind.values().await, OLD);
    world
        .patch(json!({ "spec": { "approval": { "approved": true } } }))
        .await;
    world.until_ready("True", "CutOver").await;
    assert_eq!(world.bind.values().await, [NEW]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_ready_is_waited_for() {
    let Some(world) = World::start().await else { return };
    world.target.healthy.store(false, Ordering::SeqCst);
    world.create(json!({})).await;
    let cutover = world.until_ready("Unknown", "PreChecksFailing").await;
    assert!(
        message(&cutover).contains("ready: status 500"),
        "{}",
        message(&cutover)
    );
    assert_eq!(world.bind.values().await, OLD);
    world.target.healthy.store(true, Ordering::SeqCst);
    world.until_ready("True", "CutOver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_post_check_rolls_back_by_itself() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world
        .create(json!({ "gates": null, "triggers": { "consecutiveFailures": 2 }, "soak": "10m" }))
        .await;
    world.until_ready("Unknown", "Soaking").await;
    assert_eq!(world.bind.values().await, [NEW]);
    world.target.healthy.store(false, Ordering::SeqCst);
    let cutover = world.until_ready("False", "TriggerFired").await;
    let status = cutover.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("RolledBack"));
    let why = status.triggered_by.as_deref().unwrap();
    assert!(why.contains("page failed 2 times in a row: status 500"), "{why}");
    assert_eq!(world.bind.records().await, before);
    assert_eq!(actions(&cutover), ["RollBack", "CutOver"]);

    // It stays so until a person asks again.
    world.target.healthy.store(true, Ordering::SeqCst);
    world.patch(json!({ "spec": { "soak": "1s" } })).await;
    world.until_ready("True", "CutOver").await;
    assert_eq!(world.bind.values().await, [NEW]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_leaves_the_records_and_goes_on_when_asked() {
    let Some(world) = World::start().await else { return };
    world
        .create(json!({ "onFailure": "Pause", "triggers": { "consecutiveFailures": 1 }, "soak": "5s" }))
        .await;
    world.until_ready("Unknown", "Soaking").await;
    world.target.healthy.store(false, Ordering::SeqCst);
    let cutover = world.until_ready("False", "TriggerFired").await;
    assert_eq!(cutover.status.as_ref().unwrap().state.as_deref(), Some("Halted"));
    assert!(message(&cutover).contains("RolledBack") && message(&cutover).contains(RECONCILE_AT));
    assert_eq!(world.bind.values().await, [NEW]);
    world.target.healthy.store(true, Ordering::SeqCst);
    world.ask_again("mended").await;
    let cutover = world.until_ready("True", "CutOver").await;
    assert_eq!(cutover.status.unwrap().triggered_by, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_others_is_left_alone_until_it_is_adopted() {
    let Some(world) = World::start().await else { return };
    world.create(json!({ "adopt": false })).await;
    let cutover = world.until_ready("False", "RecordNotOwned").await;
    assert!(message(&cutover).contains("adopt: true"), "{}", message(&cutover));
    assert_eq!(world.bind.values().await, OLD);
    world.patch(json!({ "spec": { "adopt": true } })).await;
    world.until_ready("True", "CutOver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_waited_for() {
    let Some(world) = World::start().await else { return };
    let mut provider = json!({ "rfc2136": { "server": world.bind.server.to_string() } });
    provider["rfc2136"]["tsig"] =
        json!({ "keyName": "homeport", "secretRef": { "name": "later", "key": "key" } });
    world.create(json!({ "provider": provider })).await;
    let cutover = world.until_ready("Unknown", "WaitingForSecret").await;
    assert!(
        message(&cutover).contains("default/later"),
        "{}",
        message(&cutover)
    );
    world.put_secret("later", "key", "d3Jvbmc=").await;
    world.until_ready("False", "TsigRefused").await;
    world.put_secret("later", "key", TSIG_SECRET).await;
    world.until_ready("True", "CutOver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_makes_the_change_by_instructions() {
    let Some(world) = World::start().await else { return };
    let provider = json!({ "manual": { "resolver": world.bind.server.to_string() } });
    world
        .create(json!({ "mode": "Manual", "provider": provider }))
        .await;
    let cutover = world.until_ready("Unknown", "WaitingForPerson").await;
    let instructions = cutover.status.unwrap().instructions;
    assert_eq!(
        instructions,
        [
            "In zone shop.example, change the A record of www.shop.example from 203.0.113.1 and 203.0.113.2 to \
             192.0.2.9, with a TTL of 60 s"
        ]
    );
    // By steps of their own.
    world.bind.change("198.51.100.7", false).await;
    world.ask_again("on the way").await;
    world.until_ready("Unknown", "WaitingForPerson").await;
    world.bind.change(NEW, false).await;
    world.ask_again("done").await;
    let cutover = world.until_ready("True", "CutOver").await;
    assert!(cutover.status.unwrap().instructions.is_empty());

    world.want("RolledBack").await;
    let cutover = world.until_ready("Unknown", "WaitingForPerson").await;
    let instructions = cutover.status.unwrap().instructions;
    assert!(
        instructions[0].contains("from 192.0.2.9 to 203.0.113.1 and 203.0.113.2"),
        "{instructions:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_afterwards_is_told_and_switched_again_when_asked() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world.create(json!({})).await;
    world.until_ready("True", "CutOver").await;
    world.bind.change("198.51.100.7", false).await;
    // Anything that wakes it tells.
    world
        .patch(json!({ "metadata": { "labels": { "look": "again" } } }))
        .await;
    let cutover = world.until_ready("True", "RecordsChanged").await;
    assert!(!is_cut_over(&cutover));
    assert!(
        message(&cutover).contains("198.51.100.7"),
        "{}",
        message(&cutover)
    );
    assert_eq!(world.bind.values().await, ["198.51.100.7"]);
    world.ask_again("switch").await;
    world.until_ready("True", "CutOver").await;
    assert_eq!(world.bind.values().await, [NEW]);

    // And so are records that are to be others. The way back is still the one to where they came from.
    let mut change = json!({ "zone": "shop.example", "name": "www.shop.example", "type": "A" });
    change["values"] = json!(["192.0.2.10"]);
    world.patch(json!({ "spec": { "changes": [change] } })).await;
    world.until_ready("True", "CutOver").await;
    assert_eq!(world.bind.values().await, ["192.0.2.10"]);
    world.want("RolledBack").await;
    world.until_ready("True", "RolledBack").await;
    assert_eq!(world.bind.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_list_of_records_keeps_the_way_back_of_all() {
    let Some(world) = World::start().await else { return };
    let key =
        |name: &str| RecordKey::new("shop.example", &format!("{name}.shop.example"), RecordType::A).unwrap();
    let keys = BTreeSet::from([www(), key("ns"), key("new")]);
    let before = observe(&world.bind.provider(), &keys).await.unwrap();
    world.create(json!({})).await;
    world.until_ready("True", "CutOver").await;

    // One more, then one that leaves with another in its place.
    for names in [&["www", "ns"][..], &["ns", "new"]] {
        let changes: Vec<Value> = names
            .iter()
            .map(|name| {
                let name = format!("{name}.shop.example");
                json!({ "zone": "shop.example", "name": name, "type": "A", "values": [NEW] })
            })
            .collect();
        world.patch(json!({ "spec": { "changes": changes } })).await;
        world.until_ready("True", "CutOver").await;
        let now = observe(&world.bind.provider(), &keys).await.unwrap();
        for name in names {
            assert_eq!(now.records[&key(name)].values, [NEW], "{name}");
        }
        assert_eq!(world.bind.values().await, [NEW]);
    }

    world.want("RolledBack").await;
    world.until_ready("True", "RolledBack").await;
    let after = observe(&world.bind.provider(), &keys).await.unwrap();
    assert_eq!(after, before, "values, times to live, absence and marks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_asks_twice_gets_the_records_as_they_were() {
    let Some(world) = World::start().await else { return };
    let before = world.bind.records().await;
    world.create(json!({})).await;
    world.until_ready("True", "CutOver").await;
    world.bind.change("198.51.100.7", true).await;
    world.want("RolledBack").await;
    let cutover = world.until_ready("False", "RecordsChanged").await;
    assert!(message(&cutover).contains(RECONCILE_AT), "{}", message(&cutover));
    assert_eq!(world.bind.values().await, ["198.51.100.7"]);
    world.ask_again("restore").await;
    world.until_ready("True", "RolledBack").await;
    assert_eq!(world.bind.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_made_without_being_recorded_is_recognised() {
    let Some(mut world) = World::without_controller().await else {
        return;
    };
    let before = world.bind.records().await;
    world.create(json!({})).await;
    // As it is when the process is killed between the change and the status.
    let status: CutoverStatus = serde_json::from_value(json!({
        "state": "CuttingOver",
        "steps": [
            { "name": "PreChecks", "state": "Done", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z" },
            { "name": "Capture", "state": "Done", "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:01Z" },
            { "name": "Switch", "state": "Running", "startedAt": "2026-01-01T00:00:02Z" },
            { "name": "Propagation", "state": "Pending" },
            { "name": "PostChecks", "state": "Pending" },
            { "name": "Soak", "state": "Pending" },
        ],
        "records": [{
            "zone": "shop.example", "name": "www.shop.example", "type": "A", "capturedAt": "2026-01-01T00:00:01Z",
            "before": { "ttl": 300, "values": OLD }, "after": { "ttl": 60, "values": [NEW] },
        }],
    }))
    .unwrap();
    let patch = Patch::Merge(json!({ "status": status }));
    world
        .cutovers()
        .patch_status("shop", &PatchParams::default(), &patch)
        .await
        .unwrap();
    world.bind.change(NEW, true).await;

    world.begin();
    let cutover = world.until_ready("True", "CutOver").await;
    let now = cutover.status.unwrap();
    assert_eq!(now.records, status.records, "what was captured is kept");
    assert_eq!(now.history.len(), 1);
    world.want("RolledBack").await;
    world.until_ready("True", "RolledBack").await;
    assert_eq!(world.bind.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_and_its_data_come_first() {
    let Some(world) = World::start().await else { return };
    world
        .create(json!({ "bundleRef": { "name": "web" }, "changes": null, "gates": null, "postChecks": null }))
        .await;
    world.until_ready("Unknown", "WaitingForBundle").await;
    let changes = json!({ "dns_changes": [
        { "domain": "www.shop.example", "record_type": "A", "new_value": NEW, "ttl": 30 }
    ] });
    let bundle = Bundle {
        dns: Some(serde_json::from_value(json!({ "zone": "shop.example" })).unwrap()),
        cutover: Some(serde_json::from_value(changes).unwrap()),
        ..Bundle::default()
    };
    world.create_bundle(bundle).await;
    let says = |text: &'static str| {
        move |cutover: &Cutover| ready(cutover).is_some() && message(cutover).contains(text)
    };
    world.until("not deployed", &says("is not deployed yet")).await;
    world.set_bundle(&[DEPLOYED]).await;
    world.until("not healthy", &says("is not healthy yet")).await;
    world.create_sync().await;
    world.set_bundle(&[DEPLOYED, HEALTHY]).await;
    world.until_ready("Unknown", "WaitingForSync").await;
    assert_eq!(world.bind.values().await, OLD);
    let verdict = Verdict::Ready {
        reason: "Verified".into(),
        message: "both sides agree".into(),
    };
    world.set_sync(verdict).await;
    world.until_ready("True", "CutOver").await;
    assert_eq!(
        world.bind.records().await.records[&www()].to_string(),
        "192.0.2.9 (TTL 30 s)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_the_target_are_not_left_behind_by_itself() {
    let Some(world) = World::start().await else { return };
    let server = PostgresServer::start(&[]);
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE orders (id int)");
    let environment = server.environment();
    let of = |name: &str| {
        let value = environment.iter().find(|(key, _)| *key == name);
        value.unwrap().1.clone()
    };
    let end = json!({
        "host": "127.0.0.1", "port": of("PGPORT").parse::<u16>().unwrap(), "database": "shop", "user": "postgres",
        "password_secret": "PASSWORD",
    });
    let task = json!({
        "name": "shop", "type": "database", "engine": "postgres", "source": end, "target": end,
    });
    let bundle = Bundle {
        sync: Some(serde_json::from_value(json!({ "tasks": [task] })).unwrap()),
        ..Bundle::default()
    };
    world.create_bundle(bundle).await;
    world.set_bundle(&[DEPLOYED, HEALTHY]).await;
    world.create_sync().await;
    let verdict = Verdict::Ready {
        reason: "Verified".into(),
        message: "both sides agree".into(),
    };
    world.set_sync(verdict).await;
    let bindings: Api<SecretBinding> = Api::namespaced(world.client.clone(), "default");
    let spec = json!({ "bundleRef": { "name": "web" }, "sources": [{ "env": {} }] });
    let binding = SecretBinding::new("web", serde_json::from_value(spec).unwrap());
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    world
        .put_secret("web-values", "PASSWORD", &of("PGPASSWORD"))
        .await;
    let status = SecretBindingStatus {
        secret_name: Some("web-values".into()),
        ..SecretBindingStatus::default()
    };
    let resolved = Patch::Merge(json!({ "status": status }));
    bindings
        .patch_status("web", &PatchParams::default(), &resolved)
        .await
        .unwrap();

    let before = world.bind.records().await;
    world
        .create(json!({
            "bundleRef": { "name": "web" }, "triggers": { "consecutiveFailures": 1 }, "soak": "10m",
        }))
        .await;
    let cutover = world.until_ready("Unknown", "Soaking").await;
    assert_eq!(cutover.status.unwrap().write_marks[0].task, "db/shop");
    server.sql("shop", "INSERT INTO orders VALUES (1)");
    world.target.healthy.store(false, Ordering::SeqCst);
    let cutover = world.until_ready("False", "TargetHasWrites").await;
    for way_out in ["db/shop", "desired: RolledBack", RECONCILE_AT] {
        assert!(message(&cutover).contains(way_out), "{}", message(&cutover));
    }
    assert_eq!(cutover.status.as_ref().unwrap().state.as_deref(), Some("Halted"));
    assert_eq!(world.bind.values().await, [NEW]);

    // A person gets what they ask for.
    world.want("RolledBack").await;
    world.until_ready("True", "RolledBack").await;
    assert_eq!(world.bind.records().await, before);
}
