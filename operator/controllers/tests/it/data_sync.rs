//! DataSync on the in-process API: with a real PostgreSQL server, and with an engine that does as it is told.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use homeport_bundle::Bundle;
use homeport_controllers::bundle::documents::{self, Documents};
use homeport_controllers::data_sync::{SyncGate, SyncReconciler, gate, write_mark};
use homeport_controllers::{Context, Settings, runtime};
use homeport_crds::conditions::{self, DEPLOYED, READY, SYNCED};
use homeport_crds::data_sync::{ChecksumVerdict, TaskState};
use homeport_crds::{
    DataSync, HprtBundle, HprtBundleStatus, RECONCILE_AT, SecretBinding, SecretBindingStatus,
};
use homeport_store::{Options, Store};
use homeport_sync::{Engine, Error, Phase, Plan, Postgres, Progress, Report, Side, Task, Verdict};
use homeport_tests::PostgresServer;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions as wait};
use kube::{Api, Client, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Not a measurement: what takes longer is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// An API with the definitions, and the controller on it.
struct World {
    client: Client,
    context: Context,
    controller: Option<(JoinHandle<()>, CancellationToken)>,
    _store: Store,
    _state: TempDir,
}

impl World {
    async fn start(engine: Arc<dyn Engine>) -> Self {
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
        let mut world = Self {
            context: Context::new(client.clone(), settings),
            client,
            controller: None,
            _store: store,
            _state: state,
        };
        world.begin(engine);
        world
    }

    fn begin(&mut self, engine: Arc<dyn Engine>) {
        let shutdown = CancellationToken::new();
        let reconciler = SyncReconciler::with_engine(self.context.clone(), engine);
        let controller = tokio::spawn(runtime::drive(reconciler, self.context.clone(), shutdown.clone()));
        self.controller = Some((controller, shutdown));
    }

    /// Ends the controller and starts another, which knows nothing but what the API says.
    async fn restart(&mut self, engine: Arc<dyn Engine>) {
        if let Some((controller, shutdown)) = self.controller.take() {
            shutdown.cancel();
            controller.await.unwrap();
        }
        self.begin(engine);
    }

    fn syncs(&self) -> Api<DataSync> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn apply(&self, spec: Value) {
        let sync = DataSync::new("shop", serde_json::from_value(spec).unwrap());
        self.syncs().create(&PostParams::default(), &sync).await.unwrap();
    }

    async fn patch(&self, patch: Value) -> DataSync {
        let merge = Patch::Merge(patch);
        self.syncs()
            .patch("shop", &PatchParams::default(), &merge)
            .await
            .unwrap()
    }

    async fn ask_for_a_run(&self, value: &str) {
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

    /// Waits until the sync is as wanted, and returns it.
    async fn until(&self, what: &str, is_so: impl Fn(&DataSync) -> bool + Send + Sync + Copy) -> DataSync {
        let condition = move |sync: Option<&DataSync>| sync.is_some_and(is_so);
        match tokio::time::timeout(STUCK, await_condition(self.syncs(), "shop", condition)).await {
            Ok(sync) => sync.unwrap().unwrap(),
            Err(_) => {
                let sync = self.syncs().get("shop").await.unwrap();
                panic!(
                    "still waiting for: {what}\n{}",
                    serde_json::to_string_pretty(&sync).unwrap()
                );
            }
        }
    }

    async fn until_reason(&self, reason: &'static str) -> DataSync {
        self.until(reason, |sync| ready(sync).is_some_and(|(_, is)| is == reason))
            .await
    }

    async fn until_verified(&self) -> DataSync {
        self.until("verified", |sync| gate(sync) == SyncGate::Verified)
            .await
    }
}

/// The status and reason of `Ready`, at the current generation and after the run that was asked for last.
fn ready(sync: &DataSync) -> Option<(&str, &str)> {
    let status = sync.status.as_ref()?;
    let asked = sync.annotations().get(RECONCILE_AT);
    if asked.is_some() && asked != status.last_handled_reconcile_at.as_ref() {
        return None;
    }
    let ready = conditions::find(&status.conditions, READY)?;
    (ready.observed_generation == sync.metadata.generation).then_some((&ready.status, &ready.reason))
}

fn message(sync: &DataSync) -> &str {
    let conditions = &sync.status.as_ref().unwrap().conditions;
    &conditions::find(conditions, READY).unwrap().message
}

/// Counts the calls of the real engine.
#[derive(Default)]
struct Counting {
    copies: AtomicUsize,
}

#[async_trait]
impl Engine for Counting {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn plan(&self, task: &Task, cancel: &CancellationToken) -> Result<Plan, Error> {
        Postgres.plan(task, cancel).await
    }

    async fn copy(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Report, Error> {
        self.copies.fetch_add(1, Ordering::SeqCst);
        Postgres.copy(task, progress, cancel).await
    }

    async fn verify(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Verdict>, Error> {
        Postgres.verify(task, progress, cancel).await
    }
}

/// Copies nothing: each call takes the next answer, and waits for it.
struct Told {
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<Result<(), Error>>>,
    tasks: std::sync::Mutex<Vec<Task>>,
    cancelled: AtomicUsize,
}

impl Told {
    fn new() -> (Arc<Self>, mpsc::UnboundedSender<Result<(), Error>>) {
        let (sender, answers) = mpsc::unbounded_channel();
        let told = Self {
            answers: answers.into(),
            tasks: std::sync::Mutex::default(),
            cancelled: AtomicUsize::default(),
        };
        (Arc::new(told), sender)
    }

    fn calls(&self) -> Vec<Task> {
        self.tasks.lock().unwrap().clone()
    }
}

#[async_trait]
impl Engine for Told {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn plan(&self, _: &Task, _: &CancellationToken) -> Result<Plan, Error> {
        unreachable!("the controller does not plan")
    }

    async fn copy(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Report, Error> {
        self.tasks.lock().unwrap().push(task.clone());
        progress.send_replace(Progress {
            phase: Phase::Data,
            bytes_done: 30,
            bytes_total_estimate: 100,
            tables_total: 1,
            ..Progress::default()
        });
        let mut answers = self.answers.lock().await;
        tokio::select! {
            () = cancel.cancelled() => {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                Err(Error::Cancelled)
            }
            answer = answers.recv() => answer.unwrap().map(|()| Report {
                snapshot_lsn: "0/0".into(),
                bytes_copied: 100,
                rows_copied: 1,
                tables_kept: 0,
                retries: 0,
                warnings: Vec::new(),
                verdicts: Vec::new(),
            }),
        }
    }

    async fn verify(
        &self,
        _: &Task,
        _: &watch::Sender<Progress>,
        _: &CancellationToken,
    ) -> Result<Vec<Verdict>, Error> {
        unreachable!("no test compares by it")
    }
}

fn end(server: &PostgresServer, database: &str) -> Value {
    let port: u16 = setting(server, "PGPORT").parse().unwrap();
    json!({
        "host": "127.0.0.1", "port": port, "database": database, "user": "postgres",
        "passwordSecretRef": { "name": "database", "key": "password" }, "tls": { "mode": "Disable" },
    })
}

fn task(name: &str, source: Value, target: Value) -> Value {
    json!({ "name": name, "engine": "postgres", "source": source, "target": target })
}

/// A task that nothing real is behind.
fn imaginary(name: &str) -> Value {
    let end = |host: &str| json!({ "host": host, "database": "shop", "user": "app" });
    task(name, end("old"), end("new"))
}

fn password(server: &PostgresServer) -> String {
    setting(server, "PGPASSWORD")
}

/// What a client of the server has in its environment.
fn setting(server: &PostgresServer, name: &str) -> String {
    let environment = server.environment();
    let found = environment.into_iter().find(|(variable, _)| *variable == name);
    found.unwrap().1
}

fn server_with_a_shop() -> PostgresServer {
    let server = PostgresServer::start(&[]);
    server.sql("postgres", "CREATE DATABASE old");
    server.sql("postgres", "CREATE DATABASE new");
    server.sql(
        "old",
        "CREATE TABLE orders (id int PRIMARY KEY, what text); \
         INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 1000) n",
    );
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_copied_once_and_compared_when_asked() {
    let server = server_with_a_shop();
    let engine = Arc::new(Counting::default());
    let mut world = World::start(engine.clone()).await;
    world
        .apply(json!({ "tasks": [task("orders", end(&server, "old"), end(&server, "new"))] }))
        .await;
    let sync = world.until_reason("WaitingForSecret").await;
    assert!(message(&sync).contains("default/database"), "{}", message(&sync));

    world.put_secret("database", "password", &password(&server)).await;
    let sync = world.until_verified().await;
    let status = sync.status.unwrap();
    assert!(conditions::is_true_at(&status.conditions, SYNCED, 1));
    assert_eq!(
        (status.tasks_done.as_deref(), status.percent),
        (Some("1/1"), Some(100))
    );
    let copied = &status.tasks[0];
    assert_eq!(
        (copied.state, copied.checksum),
        (TaskState::Done, ChecksumVerdict::Match)
    );
    assert_eq!(
        (copied.rows_done, copied.rows_total, copied.items_total),
        (1000, 1000, 1)
    );
    assert!(copied.bytes_done > 1000 && copied.started_at.is_some() && copied.finished_at.is_some());
    assert_eq!(status.history.len(), 1);
    assert_eq!(server.sql("new", "SELECT count(*) FROM orders").trim(), "1000");

    // Done is done: for another controller, for another way of going about it, and while it is suspended.
    server.sql("old", "INSERT INTO orders VALUES (1001, 'late')");
    world.restart(engine.clone()).await;
    world.patch(json!({ "spec": { "parallelism": 3 } })).await;
    world.until_verified().await;
    world.patch(json!({ "spec": { "suspend": true } })).await;
    let sync = world.until_verified().await;
    assert_eq!(engine.copies.load(Ordering::SeqCst), 1);
    assert_eq!(sync.status.unwrap().history.len(), 1);

    world.patch(json!({ "spec": { "suspend": false } })).await;
    world.ask_for_a_run("1").await;
    let sync = world.until_verified().await;
    assert_eq!(engine.copies.load(Ordering::SeqCst), 2);
    assert_eq!(sync.status.unwrap().history.len(), 2);
    assert_eq!(server.sql("new", "SELECT count(*) FROM orders").trim(), "1001");

    world.patch(json!({ "spec": { "mode": "VerifyOnly" } })).await;
    let sync = world.until_reason("Verified").await;
    assert!(
        message(&sync).contains("compared 1001 rows of 1 table"),
        "{}",
        message(&sync)
    );
    server.sql("new", "UPDATE orders SET what = 'changed' WHERE id = 7");
    world.ask_for_a_run("2").await;
    let sync = world.until_reason("ChecksumMismatch").await;
    assert!(message(&sync).contains("public.orders"), "{}", message(&sync));
    assert!(matches!(gate(&sync), SyncGate::Failed(_)));
    assert_eq!(sync.status.unwrap().tasks[0].checksum, ChecksumVerdict::Mismatch);
    assert_eq!(
        server.sql("new", "SELECT what FROM orders WHERE id = 7").trim(),
        "changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_ours_are_left_alone_until_somebody_decides() {
    let server = server_with_a_shop();
    server.sql(
        "new",
        "CREATE TABLE orders (id int PRIMARY KEY, what text); INSERT INTO orders VALUES (1, 'mine')",
    );
    let world = World::start(Arc::new(Postgres)).await;
    world.put_secret("database", "password", "wrong").await;
    world
        .apply(json!({ "tasks": [task("orders", end(&server, "old"), end(&server, "new"))] }))
        .await;
    // A password that is mended is tried by itself.
    world.until_reason("AuthenticationFailed").await;
    world.put_secret("database", "password", &password(&server)).await;
    let sync = world.until_reason("TargetNotEmpty").await;
    for part in ["public.orders", RECONCILE_AT] {
        assert!(message(&sync).contains(part), "{}", message(&sync));
    }
    let status = sync.status.unwrap();
    assert_eq!(status.tasks[0].state, TaskState::Failed);
    assert_eq!(status.history.len(), 2);
    assert_eq!(server.sql("new", "SELECT what FROM orders").trim(), "mine");

    server.sql("new", "TRUNCATE orders");
    world.ask_for_a_run("emptied").await;
    world.until_verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_tells_whether_the_target_was_written_to() {
    let server = server_with_a_shop();
    let world = World::start(Arc::new(Postgres)).await;
    world.put_secret("database", "password", &password(&server)).await;
    world
        .apply(json!({ "tasks": [task("orders", end(&server, "old"), end(&server, "new"))] }))
        .await;
    let sync = world.until_verified().await;
    let mark = || async { write_mark(&world.context, &sync).await.unwrap() };

    // A session that stays open, as an application's pool keeps them, holds its counts back for some seconds.
    let mut application = server
        .client("psql")
        .args(["-XqAt", "--dbname", "new"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut statements = application.stdin.take().unwrap();
    let mut answers = BufReader::new(application.stdout.take().unwrap()).lines();
    let mut run = |statement: &str| {
        writeln!(statements, "{statement}; SELECT 'done';").unwrap();
        while answers.next().unwrap().unwrap() != "done" {}
    };
    run("SELECT count(*) FROM orders");

    let before = mark().await;
    assert_eq!(before[0].task, "shop/orders");
    run("SELECT count(*) FROM orders");
    server.sql("new", "ANALYZE");
    assert_eq!(mark().await, before, "reading is not writing, nor is maintenance");
    run("INSERT INTO orders VALUES (2001, 'one')");
    run("INSERT INTO orders VALUES (2002, 'two')");
    let written = mark().await;
    assert_ne!(written, before);
    run("TRUNCATE orders");
    assert_ne!(mark().await, written);
    drop(statements);
    application.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_pauses_and_goes_on() {
    let (engine, answers) = Told::new();
    let world = World::start(engine.clone()).await;
    world.apply(json!({ "tasks": [imaginary("a")] })).await;
    world
        .until("copying", |sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.percent == Some(30))
        })
        .await;

    world.patch(json!({ "spec": { "suspend": true } })).await;
    let sync = world.until_reason("Suspended").await;
    assert_eq!(engine.cancelled.load(Ordering::SeqCst), 1);
    let status = sync.status.as_ref().unwrap();
    assert_eq!(
        (status.tasks[0].state, status.tasks[0].bytes_done),
        (TaskState::Paused, 30)
    );
    assert!(matches!(gate(&sync), SyncGate::Waiting(_)));

    world.patch(json!({ "spec": { "suspend": false } })).await;
    answers.send(Ok(())).unwrap();
    world.until_verified().await;
    assert_eq!(engine.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_interrupted_is_begun_again() {
    let (engine, answers) = Told::new();
    let mut world = World::start(engine.clone()).await;
    world.apply(json!({ "tasks": [imaginary("a")] })).await;
    let began = world.until_reason("Copying").await.status.unwrap().tasks[0]
        .started_at
        .clone();
    world.restart(engine.clone()).await;
    answers.send(Ok(())).unwrap();
    let sync = world.until_verified().await;
    let calls = engine.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].id, calls[1].id, "the engine knows its copy by the id");
    assert_eq!(sync.status.unwrap().tasks[0].started_at, began);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_and_counted() {
    let (engine, answers) = Told::new();
    let world = World::start(engine.clone()).await;
    let cause = "connection refused".to_owned();
    let endpoint = "new:5432/shop".to_owned();
    answers
        .send(Err(Error::Unreachable {
            side: Side::Target,
            endpoint,
            cause,
        }))
        .unwrap();
    world.apply(json!({ "tasks": [imaginary("a")] })).await;
    let sync = world.until_reason("TargetUnreachable").await;
    assert_eq!(ready(&sync).unwrap().0, "False");
    answers.send(Ok(())).unwrap();
    let sync = world.until_verified().await;
    let status = sync.status.unwrap();
    assert_eq!(status.tasks[0].retries, 1);
    assert_eq!(status.history.len(), 1, "a try is not a run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_sync_ends_its_copy() {
    let (engine, _answers) = Told::new();
    let world = World::start(engine.clone()).await;
    world.apply(json!({ "tasks": [imaginary("a")] })).await;
    let sync = world.until_reason("Copying").await;
    let uid = sync.uid().unwrap();
    world
        .syncs()
        .delete("shop", &DeleteParams::default())
        .await
        .unwrap();
    let gone = await_condition(world.syncs(), "shop", wait::is_deleted(&uid));
    tokio::time::timeout(STUCK, gone).await.unwrap().unwrap();
    assert_eq!(engine.cancelled.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_supported_is_refused() {
    let (engine, _answers) = Told::new();
    let world = World::start(engine.clone()).await;
    world
        .apply(json!({ "tasks": [imaginary("a")], "mode": "Continuous" }))
        .await;
    let sync = world.until_reason("ModeNotSupported").await;
    assert!(matches!(gate(&sync), SyncGate::Failed(_)));
    let mut redis = imaginary("b");
    redis["engine"] = json!("redis");
    world
        .patch(json!({ "spec": { "mode": "Once", "tasks": [imaginary("a"), redis] } }))
        .await;
    let sync = world.until_reason("EngineNotSupported").await;
    assert!(message(&sync).contains("b (redis)"), "{}", message(&sync));
    assert!(engine.calls().is_empty());
    world.patch(json!({ "spec": { "types": ["Database"] } })).await;
    world.until_reason("Copying").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_bundle_wait_for_it_and_for_its_secrets() {
    let (engine, answers) = Told::new();
    let world = World::start(engine.clone()).await;
    world
        .apply(json!({ "bundleRef": { "name": "web" }, "parallelism": 5 }))
        .await;
    let sync = world.until_reason("WaitingForBundle").await;
    assert!(
        message(&sync).contains("HprtBundle default/web does not exist yet"),
        "{}",
        message(&sync)
    );

    let bundles: Api<HprtBundle> = Api::namespaced(world.client.clone(), "default");
    let spec = json!({ "source": { "path": "web.hprt" }, "target": { "local": {} } });
    let bundle = HprtBundle::new("web", serde_json::from_value(spec).unwrap());
    let bundle = bundles.create(&PostParams::default(), &bundle).await.unwrap();
    let end = |host: &str, secret: &str| json!({ "host": host, "database": "shop", "user": "app", "password_secret": secret });
    let first = json!({
        "name": "first", "type": "database", "engine": "postgres",
        "source": end("old", "OLD"), "target": end("new", "NEW"),
    });
    let mut second = first.clone();
    second["name"] = json!("second");
    second["depends_on"] = json!(["first"]);
    let documents = Documents {
        digest: "ab".repeat(32),
        bundle: Bundle {
            sync: Some(serde_json::from_value(json!({ "tasks": [second, first] })).unwrap()),
            ..Bundle::default()
        },
    };
    documents::publish(&world.client, &bundle, &documents)
        .await
        .unwrap();
    world
        .until("not deployed", |sync| {
            ready(sync).is_some() && message(sync).contains("HprtBundle default/web is not deployed yet")
        })
        .await;

    let mut status = HprtBundleStatus::default();
    conditions::set(
        &mut status.conditions,
        1,
        DEPLOYED,
        true,
        "Deployed",
        "all stacks are up",
    );
    let deployed = Patch::Merge(json!({ "status": status }));
    bundles
        .patch_status("web", &PatchParams::default(), &deployed)
        .await
        .unwrap();
    let sync = world.until_reason("WaitingForSecrets").await;
    assert!(message(&sync).contains("OLD, NEW"), "{}", message(&sync));

    let bindings: Api<SecretBinding> = Api::namespaced(world.client.clone(), "default");
    let spec = json!({ "bundleRef": { "name": "web" }, "sources": [{ "env": {} }] });
    let binding = SecretBinding::new("web", serde_json::from_value(spec).unwrap());
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let values: Secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "web-values" },
        "stringData": { "OLD": "from-here", "NEW": "to-there" },
    }))
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), "default");
    secrets.create(&PostParams::default(), &values).await.unwrap();
    let status = SecretBindingStatus {
        secret_name: Some("web-values".into()),
        ..SecretBindingStatus::default()
    };
    let resolved = Patch::Merge(json!({ "status": status }));
    bindings
        .patch_status("web", &PatchParams::default(), &resolved)
        .await
        .unwrap();

    world.until_reason("Copying").await;
    answers.send(Ok(())).unwrap();
    let sync = world
        .until("the second", |sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.tasks_done.as_deref() == Some("1/2"))
        })
        .await;
    assert!(matches!(gate(&sync), SyncGate::Waiting(_)));
    answers.send(Ok(())).unwrap();
    world.until_verified().await;
    let calls = engine.calls();
    let ids: Vec<&str> = calls.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["default/shop/first", "default/shop/second"]);
    assert_eq!(calls[0].source.password.expose_secret(), "from-here");
    assert_eq!(calls[0].target.password.expose_secret(), "to-there");
    assert_eq!(calls[0].parallelism, 5);

    // A bundle that is deployed anew does not take back what was copied.
    let mut status = HprtBundleStatus::default();
    conditions::set(&mut status.conditions, 1, DEPLOYED, false, "Deploying", "0/1");
    let deploying = Patch::Merge(json!({ "status": status }));
    bundles
        .patch_status("web", &PatchParams::default(), &deploying)
        .await
        .unwrap();
    world.patch(json!({ "spec": { "parallelism": 6 } })).await;
    world.until_verified().await;
    assert_eq!(engine.calls().len(), 2);
}
