//! `DataSync`: data that is copied, and later followed, from the source to the target.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ObjectRef, RunRecord, SecretKeyRef, TlsSpec, is_false, nothing_observed};
use crate::conditions;
use crate::quantity::ByteRate;

/// Copies a bundle's data from the source to the target, and proves by checksums that both sides agree.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "homeport.dev",
    version = "v1alpha1",
    kind = "DataSync",
    plural = "datasyncs",
    shortname = "dsync",
    category = "homeport",
    namespaced,
    status = "DataSyncStatus",
    derive = "PartialEq",
    doc = "Data that is copied from the source to the target, and verified.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Tasks", type_ = "string", json_path = ".status.tasksDone"),
    printcolumn(name = "%", type_ = "integer", json_path = ".status.percent"),
    printcolumn(name = "Rate", type_ = "string", json_path = ".status.rate"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.eta"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Lag", type_ = "string", json_path = ".status.lag", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bundleRef) != (has(self.tasks) && self.tasks.size() > 0)")
    .message("set exactly one of bundleRef (the tasks of a bundle) and tasks (tasks of your own)"))]
pub struct DataSyncSpec {
    /// Pauses the copy. It goes on where it was when this is false again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// The HprtBundle whose data-sync/sync-manifest.json names the tasks. The sync waits for it to be Deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_ref: Option<ObjectRef>,
    /// Tasks of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tasks: Vec<SyncTaskSpec>,
    /// The kinds of data to sync. All when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub types: Vec<SyncType>,
    /// `Once` copies and verifies. `Continuous` goes on following the source. `VerifyOnly` compares, and writes
    /// nothing.
    #[serde(default)]
    pub mode: SyncMode,
    /// How many streams copy at once, in each task.
    #[serde(default = "sync_parallelism")]
    #[schemars(range(min = 1, max = 64))]
    pub parallelism: u32,
    /// The most bytes per second that are read from the source, over all streams of a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_limit: Option<ByteRate>,
}

const fn sync_parallelism() -> u32 {
    2
}

/// What a sync does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncMode {
    /// Copy and verify.
    #[default]
    Once,
    /// Copy, then follow the source.
    Continuous,
    /// Compare, and write nothing.
    VerifyOnly,
}

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncType {
    /// Relational databases.
    Database,
    /// Object and file storage.
    Storage,
    /// Caches.
    Cache,
    /// Queues and exchanges.
    Messaging,
}

/// The system that holds the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncEngine {
    /// PostgreSQL.
    #[serde(rename = "postgres")]
    Postgres,
    /// MySQL.
    #[serde(rename = "mysql")]
    Mysql,
    /// MariaDB.
    #[serde(rename = "mariadb")]
    Mariadb,
    /// Redis or Valkey.
    #[serde(rename = "redis")]
    Redis,
    /// An S3-compatible store.
    #[serde(rename = "s3")]
    S3,
    /// RabbitMQ.
    #[serde(rename = "rabbitmq")]
    Rabbitmq,
}

/// A task of a sync: one database, bucket or broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncTaskSpec {
    /// The name of the task.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The system that holds the data.
    pub engine: SyncEngine,
    /// Where it is read.
    pub source: SyncEndpoint,
    /// Where it is written.
    pub target: SyncEndpoint,
    /// Tasks that must be done before this one begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub depends_on: Vec<String>,
    /// The tables to copy, as `schema.table`, with `*` as a wildcard. All when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub include_tables: Vec<String>,
    /// The tables to leave out, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub exclude_tables: Vec<String>,
}

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncEndpoint {
    /// A name or an address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port. The engine's own when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Who to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A key of a Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
    /// TLS to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// What is known of a sync.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataSyncStatus {
    /// The generation of the spec that was last brought to Ready or Stalled; -1 before that.
    #[serde(default = "nothing_observed")]
    pub observed_generation: i64,
    /// The value of the annotation homeport.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What can be said of the sync now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<SyncTaskStatus>,
    /// How many tasks are done, of how many: `1/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_done: Option<String>,
    /// How much of the bytes of all tasks is done, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// The rate of the last seconds, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// The time that the rest takes at this rate, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
    /// How far the target is behind the source, for people. Only when the source is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<String>,
    /// The last runs, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RunRecord>,
}

impl Default for DataSyncStatus {
    fn default() -> Self {
        Self {
            observed_generation: nothing_observed(),
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
            tasks: Vec::new(),
            tasks_done: None,
            percent: None,
            rate: None,
            eta: None,
            lag: None,
            history: Vec::new(),
        }
    }
}

/// The state of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaskState {
    /// It has not begun.
    #[default]
    Pending,
    /// It copies.
    Running,
    /// It compares both sides.
    Verifying,
    /// It is paused, and goes on where it was.
    Paused,
    /// Both sides agree.
    Done,
    /// It failed.
    Failed,
}

/// Whether both sides hold the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChecksumVerdict {
    /// Not compared yet.
    #[default]
    Pending,
    /// Both sides agree.
    Match,
    /// They differ.
    Mismatch,
}

/// What is known of one task. Figures are measured; totals are the server's estimates until the copy is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncTaskStatus {
    /// The task.
    pub name: String,
    /// The system that holds the data.
    pub engine: String,
    /// The state of the task.
    pub state: TaskState,
    /// What it is doing, such as `schema`, `data`, `indexes` or `verify`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// Bytes copied.
    pub bytes_done: i64,
    /// Bytes to copy.
    pub bytes_total: i64,
    /// Rows copied.
    pub rows_done: i64,
    /// Rows to copy.
    pub rows_total: i64,
    /// Tables (or other units) done.
    pub items_done: i64,
    /// Tables (or other units) in all.
    pub items_total: i64,
    /// Bytes per second, over the last seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<i64>,
    /// Seconds that the rest takes at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<i64>,
    /// Bytes that the target is behind the source. Only when the source is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<i64>,
    /// How often something was tried again.
    pub retries: i64,
    /// The verdict of the comparison of both sides.
    pub checksum: ChecksumVerdict,
    /// The digest of what was asked for: what is copied, from where to where, in which mode, and the last
    /// homeport.dev/reconcile-at. A task that is Done is not run again while it stays the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input_digest: String,
    /// When the task began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
