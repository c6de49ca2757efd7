//! The four controllers on an API in this process, with files and containers of their own, and their end however a test
//! ends.

#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use homeport_bundle::{Manifest, PackOptions, SecretsManifest, Stack, pack};
use homeport_controllers::Settings;
use homeport_crds::conditions::{self, READY};
use homeport_crds::{HprtBundle, RECONCILE_AT, SecretBinding};
use homeport_store::{Options, Store};
use homeport_tests::{busybox_image, run, run_ok};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions as wait};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Not a measurement: what takes longer is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What the bundle is of, in the working directory.
pub(crate) const ARCHIVE: &str = "shop.hprt";
/// Where the binding of [`World::create_binding`] finds values, in the working directory.
pub(crate) const SECRETS_FILE: &str = "secrets.env";
/// The name of that binding.
pub(crate) const BINDING: &str = "shop";
/// The Secret that it writes.
pub(crate) const VALUES: &str = "shop-values";

/// The stack that all depends on: it needs a secret, keeps data and takes a while to be healthy.
pub(crate) const DATABASE: &str = r#"
services:
  db:
    image: IMAGE
    pull_policy: never
    restart: unless-stopped
    init: true
    command: ["sh", "-c", "sleep 1; touch /tmp/ready; sleep 1000"]
    environment:
      PASSWORD: ${PASSWORD:?is not set}
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 1s, retries: 30}
volumes:
  data: {}
"#;

/// A stack whose one service says in its environment of which release it is.
pub(crate) fn web(release: &str) -> String {
    format!(
        r#"
services:
  web:
    image: IMAGE
    pull_policy: never
    restart: unless-stopped
    init: true
    command: ["sleep", "1000"]
    environment:
      RELEASE: "{release}"
"#
    )
}

/// An API with the definitions, a working directory, and the controllers.
pub(crate) struct World {
    pub(crate) client: Client,
    /// Of the bundle. What it leaves in Docker has names that begin with it.
    pub(crate) name: String,
    pub(crate) directory: TempDir,
    controllers: Option<(JoinHandle<()>, CancellationToken)>,
    image: Option<&'static str>,
    _store: Store,
}

impl World {
    /// A world in which nothing is deployed.
    pub(crate) async fn start() -> Self {
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
        let mut world = Self {
            client,
            name: format!("hpcontrol-{:08x}", rand::random::<u32>()),
            directory: tempfile::tempdir().unwrap(),
            controllers: None,
            image: None,
            _store: store,
        };
        world.begin();
        world
    }

    /// A world with containers; None, having said so, where there can be none.
    pub(crate) async fn with_containers() -> Option<Self> {
        let compose = Command::new("docker-compose")
            .args(["version", "--short"])
            .output();
        let plugin = Command::new("docker").args(["compose", "version"]).output();
        let has_compose = compose
            .is_ok_and(|output| output.status.success() && !output.stdout.starts_with(b"1."))
            || plugin.is_ok_and(|output| output.status.success());
        let image =
            busybox_image().and_then(|image| has_compose.then_some(image).ok_or("no Compose 2 in PATH"));
        match image {
            Ok(image) => {
                let mut world = Self::start().await;
                world.image = Some(image);
                Some(world)
            }
            Err(why) => {
                eprintln!("SKIPPED: nothing is deployed: {why}");
                None
            }
        }
    }

    /// Starts the controllers, which know nothing but what the API and the state directory say.
    pub(crate) fn begin(&mut self) {
        let shutdown = CancellationToken::new();
        let settings = Settings {
            state_dir: self.state_dir(),
            working_dir: self.directory.path().to_owned(),
        };
        let controllers = homeport_controllers::run(self.client.clone(), settings, shutdown.clone());
        self.controllers = Some((tokio::spawn(controllers), shutdown));
    }

    /// Ends the controllers.
    pub(crate) async fn stop(&mut self) {
        if let Some((controllers, shutdown)) = self.controllers.take() {
            shutdown.cancel();
            in_time("the controllers end", controllers).await.unwrap();
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// A path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Packs the stacks (name, what it depends on, compose file) and the names of required secrets into a bundle in
    /// the working directory; its digest. Nothing is looked at on the way: what must be refused is packed too.
    pub(crate) fn pack(&self, archive: &str, stacks: &[(&str, &str, &str)], secrets: &[&str]) -> String {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &[u8]| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let mut manifest = Manifest {
            created: Some(jiff::Timestamp::UNIX_EPOCH),
            ..Manifest::default()
        };
        for (name, needs, compose) in stacks {
            let path = format!("compose/{name}.yml");
            let compose = compose.replace("IMAGE", self.image.unwrap_or("none"));
            write(&path, compose.as_bytes());
            manifest.stacks.push(Stack {
                name: (*name).to_owned(),
                depends_on: needs.split_whitespace().map(str::to_owned).collect(),
                compose_path: Some(path),
                ..Stack::default()
            });
        }
        let references = json!({ "secrets": secrets
            .iter()
            .map(|name| json!({ "name": name, "source": "manual" }))
            .collect::<Vec<_>>() });
        write(SecretsManifest::PATH, references.to_string().as_bytes());
        write(Manifest::PATH, &manifest.to_json().unwrap());
        let report = pack(tree.path(), &self.path(archive), &PackOptions::default()).unwrap();
        report.archive.sha256.to_hex()
    }

    /// Packs the shop: a database, which needs `PASSWORD`, and a web server that depends on it.
    pub(crate) fn pack_shop(&self, archive: &str, release: &str) -> String {
        let web = web(release);
        let stacks = [("web", "database", web.as_str()), ("database", "", DATABASE)];
        self.pack(archive, &stacks, &["PASSWORD"])
    }

    /// Writes the file of secrets, which only its owner may read.
    pub(crate) fn write_secrets(&self, lines: &str) {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(self.path(SECRETS_FILE)).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Makes the bundle; `overrides` take the place of the usual fields of its spec.
    pub(crate) async fn create_bundle(&self, overrides: Value) {
        let spec = json!({
            "source": { "path": ARCHIVE },
            "target": { "local": {} },
            "deploy": { "timeout": "60s" },
            "interval": "5s",
        });
        let spec = serde_json::from_value(with(spec, overrides)).unwrap();
        let bundle = HprtBundle::new(&self.name, spec);
        let bundles = self.api();
        bundles.create(&PostParams::default(), &bundle).await.unwrap();
    }

    /// Makes the binding, by default to the file of secrets.
    pub(crate) async fn create_binding(&self, overrides: Value) {
        let spec = json!({
            "bundleRef": { "name": self.name },
            "sources": [{ "file": { "path": SECRETS_FILE } }],
        });
        let spec = serde_json::from_value(with(spec, overrides)).unwrap();
        let binding = SecretBinding::new(BINDING, spec);
        let bindings = self.api();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
    }

    pub(crate) async fn patch_bundle(&self, patch: Value) {
        self.patch::<HprtBundle>(&self.name, patch).await;
    }

    pub(crate) async fn patch_binding(&self, patch: Value) {
        self.patch::<SecretBinding>(BINDING, patch).await;
    }

    /// Asks for a run now, by annotation.
    pub(crate) async fn ask_bundle(&self, value: &str) {
        self.patch_bundle(json!({ "metadata": { "annotations": { RECONCILE_AT: value } } }))
            .await;
    }

    /// Asks for a run now, by annotation.
    pub(crate) async fn ask_binding(&self, value: &str) {
        self.patch_binding(json!({ "metadata": { "annotations": { RECONCILE_AT: value } } }))
            .await;
    }

    async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let merge = Patch::Merge(patch);
        let api = self.api::<K>();
        api.patch(name, &PatchParams::default(), &merge).await.unwrap();
    }

    pub(crate) async fn put_secret(&self, name: &str, values: Value) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values,
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let apply = PatchParams::apply("test").force();
        let secrets = self.api::<Secret>();
        secrets.patch(name, &apply, &Patch::Apply(&secret)).await.unwrap();
    }

    /// The values of a Secret; None where there is none.
    pub(crate) async fn secret(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let secret = self.api::<Secret>().get_opt(name).await.unwrap()?;
        let text =
            |(key, value): (String, k8s_openapi::ByteString)| (key, String::from_utf8(value.0).unwrap());
        Some(secret.data.unwrap_or_default().into_iter().map(text).collect())
    }

    /// Deletes an object, and waits until it is gone.
    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api = self.api::<K>();
        let uid = api.get(name).await.unwrap().uid().unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(api, name, wait::is_deleted(&uid));
        in_time(&format!("{name} is gone"), gone).await.unwrap();
    }

    /// Waits until the bundle is as wanted, and returns it.
    pub(crate) async fn until_bundle(
        &self,
        what: &str,
        is_so: impl Fn(&HprtBundle) -> bool + Send + Sync + Copy,
    ) -> HprtBundle {
        until(self.api(), &self.name, what, is_so).await
    }

    /// Waits until `Ready` of the bundle has this status and reason.
    pub(crate) async fn until_bundle_is(&self, status: &'static str, reason: &'static str) -> HprtBundle {
        self.until_bundle(reason, |bundle| ready(bundle) == Some((status, reason)))
            .await
    }

    /// Waits until `Ready` of the binding has this status and reason.
    pub(crate) async fn until_binding_is(&self, status: &'static str, reason: &'static str) -> SecretBinding {
        let is_so = move |binding: &SecretBinding| ready(binding) == Some((status, reason));
        until(self.api(), BINDING, reason, is_so).await
    }

    /// The bundle's containers, each with its name, its ID and when it was started.
    pub(crate) fn containers(&self) -> Vec<String> {
        let listed = named(&self.name, &["ps", "--all", "--format", "{{.Names}}"]);
        let format = "{{.Name}} {{.Id}} {{.State.StartedAt}}";
        let tell = |name: &String| run_ok(Command::new("docker").args(["inspect", "--format", format, name]));
        let mut told: Vec<String> = listed.iter().map(tell).collect();
        told.sort_unstable();
        told
    }

    /// The one container of a stack, as [`Self::containers`] tells it.
    pub(crate) fn container(&self, stack: &str) -> String {
        let begin = format!("/{}-{stack}-", self.name);
        let mut of_stack = self.containers();
        of_stack.retain(|container| container.starts_with(&begin));
        assert_eq!(of_stack.len(), 1, "{of_stack:?}");
        of_stack.remove(0)
    }

    /// Has Docker do something to the one container of a stack; what it says.
    pub(crate) fn docker(&self, verb: &[&str], stack: &str, args: &[&str]) -> String {
        let container = self.container(stack);
        let id = container.split(' ').nth(1).unwrap();
        run_ok(Command::new("docker").args(verb).arg(id).args(args))
    }

    /// The environment of the one container of a stack.
    pub(crate) fn environment(&self, stack: &str) -> String {
        self.docker(&["inspect", "--format", "{{json .Config.Env}}"], stack, &[])
    }

    /// The names of all that the bundle has in Docker.
    pub(crate) fn in_docker(&self) -> Vec<String> {
        let all = [CONTAINERS, NETWORKS, VOLUMES];
        all.iter().flat_map(|list| named(&self.name, list)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((controllers, shutdown)) = self.controllers.take() {
            shutdown.cancel();
            // What they deploy while they end would outlive the removal below.
            tokio::task::block_in_place(|| {
                let _ = Handle::current().block_on(tokio::time::timeout(STUCK, controllers));
            });
        }
        if self.image.is_none() {
            return;
        }
        // More than once, since what was under way may have made more.
        for _ in 0..5 {
            if self.in_docker().is_empty() {
                return;
            }
            let removals: [(&[&str], &[&str]); 3] = [
                (CONTAINERS, &["rm", "--force", "--volumes"]),
                (NETWORKS, &["network", "rm"]),
                (VOLUMES, &["volume", "rm", "--force"]),
            ];
            for (list, remove) in removals {
                for name in named(&self.name, list) {
                    run(Command::new("docker").args(remove).arg(name));
                }
            }
        }
    }
}

const CONTAINERS: &[&str] = &["ps", "--all", "--format", "{{.Names}}"];
const NETWORKS: &[&str] = &["network", "ls", "--format", "{{.Name}}"];
const VOLUMES: &[&str] = &["volume", "ls", "--format", "{{.Name}}"];

/// Those of Docker's objects that are a bundle's.
fn named(bundle: &str, list: &[&str]) -> Vec<String> {
    let begin = format!("{bundle}-");
    let listed = run_ok(Command::new("docker").args(list));
    let ours = listed.lines().filter(|name| name.starts_with(&begin));
    ours.map(str::to_owned).collect()
}

/// A resource that says how it is by conditions.
pub(crate) trait Reports: ResourceExt {
    fn conditions(&self) -> &[Condition];
    fn last_handled(&self) -> Option<&String>;
}

impl Reports for HprtBundle {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn last_handled(&self) -> Option<&String> {
        self.status.as_ref()?.last_handled_reconcile_at.as_ref()
    }
}

impl Reports for SecretBinding {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn last_handled(&self) -> Option<&String> {
        self.status.as_ref()?.last_handled_reconcile_at.as_ref()
    }
}

/// The status and reason of `Ready`, at the current generation and after the run that was asked for last.
pub(crate) fn ready(object: &impl Reports) -> Option<(&str, &str)> {
    let asked = object.annotations().get(RECONCILE_AT);
    if asked.is_some() && asked != object.last_handled() {
        return None;
    }
    condition(object, READY)
}

/// The status and reason of a condition, where it was set for the current generation.
pub(crate) fn condition<'a>(object: &'a impl Reports, type_: &str) -> Option<(&'a str, &'a str)> {
    let condition = conditions::find(object.conditions(), type_)?;
    let is_current = condition.observed_generation == object.meta().generation;
    is_current.then_some((&condition.status, &condition.reason))
}

/// The message of a condition.
pub(crate) fn message<'a>(object: &'a impl Reports, type_: &str) -> &'a str {
    &conditions::find(object.conditions(), type_).unwrap().message
}

/// Waits until an object is as wanted, and returns it.
pub(crate) async fn until<K>(
    api: Api<K>,
    name: &str,
    what: &str,
    is_so: impl Fn(&K) -> bool + Send + Sync + Copy,
) -> K
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let condition = move |object: Option<&K>| object.is_some_and(is_so);
    match tokio::time::timeout(STUCK, await_condition(api.clone(), name, condition)).await {
        Ok(object) => object.unwrap().unwrap(),
        Err(_) => {
            let object = api.get_opt(name).await.unwrap();
            let object = serde_json::to_string_pretty(&object).unwrap();
            panic!("still waiting for: {what}\n{object}");
        }
    }
}

/// Asks again and again until it is so.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(what, asking).await;
}

/// Waits for what must come.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(STUCK, future).await {
        Ok(result) => result,
        Err(_) => panic!("still waiting for: {what}"),
    }
}

/// Fields of one object over those of another.
fn with(mut usual: Value, overrides: Value) -> Value {
    for (field, value) in overrides.as_object().into_iter().flatten() {
        usual[field] = value.clone();
    }
    usual
}
