//! `HprtBundle`: a bundle, the host that it goes to, and how it is deployed there.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, ObjectRef, RunRecord, SecretKeyRef, is_false, nothing_observed, yes};
use crate::conditions;
use crate::quantity::Duration;

/// A migration bundle (.hprt) that is deployed to a host: fetched, verified, its secrets resolved, its compose
/// stacks brought up in order and kept healthy.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "homeport.dev",
    version = "v1alpha1",
    kind = "HprtBundle",
    plural = "hprtbundles",
    shortname = "hprt",
    category = "homeport",
    namespaced,
    status = "HprtBundleStatus",
    derive = "PartialEq",
    doc = "A migration bundle (.hprt), deployed to a host and kept as it says.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Stacks", type_ = "string", json_path = ".status.stacksReady"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "%", type_ = "integer", json_path = ".status.percent"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".status.bundle.digest",
        priority = 1
    ),
    printcolumn(
        name = "Format",
        type_ = "string",
        json_path = ".status.bundle.formatVersion",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.interval) || duration(self.interval) >= duration('5s')")
    .message("interval must be at least 5s"))]
pub struct HprtBundleSpec {
    /// Stops reconciling. What runs stays as it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Where the bundle comes from.
    pub source: BundleSource,
    /// A signature that the bundle must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureSpec>,
    /// The host that the bundle is deployed to.
    pub target: TargetSpec,
    /// The stacks to deploy, by name. All of the bundle's when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub stacks: Vec<String>,
    /// How the stacks are deployed.
    #[serde(default)]
    pub deploy: DeploySpec,
    /// Records the state of the target before anything on it changes, so that there is a way back.
    #[serde(default = "yes")]
    pub snapshot: bool,
    /// How many earlier releases are kept on the target to roll back to.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub history_limit: u32,
    /// `Apply` deploys. `DryRun` says in status.plan what would be done, and does nothing.
    #[serde(default)]
    pub mode: BundleMode,
    /// A kept revision to roll back to (see status.history). Remove it to follow the source again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub revision: Option<i64>,
    /// How often the target is compared with the bundle and mended.
    #[serde(default = "check_interval")]
    pub interval: Duration,
    /// What becomes of the containers and releases when this resource is deleted. Volumes go with `Delete` only.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

const fn history_limit() -> u32 {
    5
}

const fn check_interval() -> Duration {
    Duration::from_secs(30)
}

/// Where a bundle comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.path), has(self.url), has(self.s3), has(self.oci), has(self.upload)].filter(set, set).size() == 1")
        .message("set exactly one of path, url, s3, oci and upload"),
    validation = Rule::new("!has(self.url) || has(self.sha256)")
        .message("url needs sha256: the digest that the downloaded bundle must have (sha256sum FILE prints it)")
)]
pub struct BundleSource {
    /// A file on the machine where homeport runs. A relative path starts at homeport's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub path: Option<String>,
    /// An http or https address to download the bundle from. Needs sha256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://.+"), length(max = 4096))]
    pub url: Option<String>,
    /// The SHA-256 of the bundle, in hexadecimal. The bundle is refused when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(sha256:)?[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// An object in an S3-compatible store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Source>,
    /// An artifact in an OCI registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci: Option<OciSource>,
    /// The digest of a bundle that was uploaded to homeport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub upload: Option<String>,
}

/// An object in an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Source {
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The endpoint of a store that is not Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<ObjectRef>,
}

/// An artifact in an OCI registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciSource {
    /// The artifact, as `registry/repository:tag` or `registry/repository@sha256:...`.
    pub reference: String,
    /// A Secret of type `kubernetes.io/dockerconfigjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<ObjectRef>,
}

/// A signature that the bundle must carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureSpec {
    /// A key of a Secret that holds the ed25519 public key (PEM) of who signs.
    pub public_key_secret_ref: SecretKeyRef,
}

/// The host that a bundle is deployed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.local), has(self.ssh)].filter(set, set).size() == 1")
    .message("set exactly one of local and ssh"))]
pub struct TargetSpec {
    /// The machine where homeport runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalTarget>,
    /// A machine that is reached over SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshTarget>,
}

/// The machine where homeport runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalTarget {
    /// The address of the container engine, such as `unix:///var/run/docker.sock`. The `DOCKER_HOST` of homeport,
    /// or the engine's default, when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(unix|tcp)://.+"))]
    pub docker_host: Option<String>,
}

/// A machine that is reached over SSH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshTarget {
    /// A name or an address.
    pub host: String,
    /// The port of the SSH server.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// A key of a Secret that holds the private key.
    pub key_secret_ref: SecretKeyRef,
    /// The host's keys, as lines of a `known_hosts` file. A host whose key is not here is refused.
    #[schemars(length(min = 1, max = 65536))]
    pub known_hosts: String,
}

const fn ssh_port() -> u16 {
    22
}

/// How stacks are deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploySpec {
    /// Waits for each stack to be healthy before those that depend on it begin.
    #[serde(default = "yes")]
    pub wait: bool,
    /// How long a stack may take to become healthy.
    #[serde(default = "deploy_timeout")]
    pub timeout: Duration,
    /// How many stacks that do not depend on each other are brought up at once.
    #[serde(default = "deploy_parallelism")]
    #[schemars(range(min = 1, max = 16))]
    pub parallelism: u32,
    /// Removes stacks and services that the bundle no longer has. Volumes are never pruned.
    #[serde(default)]
    pub prune: bool,
    /// Runs the bundle's `scripts/pre-deploy.sh` and `scripts/post-deploy.sh`, once a release.
    #[serde(default = "yes")]
    pub hooks: bool,
}

impl Default for DeploySpec {
    fn default() -> Self {
        Self {
            wait: true,
            timeout: deploy_timeout(),
            parallelism: deploy_parallelism(),
            prune: false,
            hooks: true,
        }
    }
}

const fn deploy_timeout() -> Duration {
    Duration::from_secs(600)
}

const fn deploy_parallelism() -> u32 {
    2
}

/// Whether a bundle is deployed or only planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BundleMode {
    /// Deploy.
    #[default]
    Apply,
    /// Say what would be done.
    DryRun,
}

/// What is known of a bundle's deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HprtBundleStatus {
    /// The generation of the spec that was last brought to Ready or Stalled; -1 before that.
    #[serde(default = "nothing_observed")]
    pub observed_generation: i64,
    /// The value of the annotation homeport.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What can be said of the deployment now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The bundle that was verified last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleSummary>,
    /// The names of the secrets that the bundle requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_secrets: Vec<String>,
    /// The state of each stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackStatus>,
    /// How many stacks are healthy, of how many: `3/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacks_ready: Option<String>,
    /// The step of the migration that is under way: Analyze, Export, Deploy, Sync, Cutover, or Done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How far that step is, in percent of what can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// The revision that runs on the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The state of the target that was recorded before the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStatus>,
    /// With mode DryRun: what would be done, a line a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<String>,
    /// The last runs, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RunRecord>,
}

impl Default for HprtBundleStatus {
    fn default() -> Self {
        Self {
            observed_generation: nothing_observed(),
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
            bundle: None,
            required_secrets: Vec::new(),
            stacks: Vec::new(),
            stacks_ready: None,
            step: None,
            percent: None,
            revision: None,
            snapshot: None,
            plan: Vec::new(),
            history: Vec::new(),
        }
    }
}

/// What the manifest of a bundle says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleSummary {
    /// The SHA-256 of the bundle.
    pub digest: String,
    /// The version of the bundle format.
    pub format_version: String,
    /// The homeport that made it.
    pub homeport_version: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// The cloud that it comes from, such as `aws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The region that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many cloud resources were analyzed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_count: Option<i64>,
    /// How many stacks it holds.
    pub stack_count: i64,
    /// How many files it holds.
    pub files: i64,
    /// The size of its files, in bytes.
    pub size_bytes: i64,
    /// What the bundle says of the versions that it needs, such as `docker: ">=20.10"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, String>,
}

/// The state of one stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackStatus {
    /// The stack.
    pub name: String,
    /// Pending, Deploying, Healthy, Unhealthy, Failed or Missing.
    pub state: String,
    /// How many services are healthy, of how many: `1/2`.
    pub services_ready: String,
    /// Its services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStatus>,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The state of one service of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The service.
    pub name: String,
    /// The state of its container, as the engine says it: running, exited, restarting, ...
    pub state: String,
    /// The state of its health check, where it has one: starting, healthy or unhealthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub health: String,
    /// The image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
}

/// The state of the target before a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// The revision that ran then; absent when nothing of this bundle did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// When it was taken (RFC 3339).
    pub taken_at: String,
    /// How many containers ran then.
    pub containers: i64,
}
