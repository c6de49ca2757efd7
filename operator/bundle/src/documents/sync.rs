//! `data-sync/sync-manifest.json`: what data to move, from where to where, in which order.

use serde::{Deserialize, Serialize};

use super::Extra;
use crate::order::dependency_order;
use crate::problem::{Problem, Problems};
use crate::size::ByteSize;

/// The data to move.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SyncManifest {
    /// One for each database, bucket, cache or broker.
    #[serde(default)]
    pub tasks: Vec<SyncTask>,
    /// How many tasks may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One data system to copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncTask {
    /// Unique in the manifest.
    pub name: String,
    /// What sort of data it is.
    #[serde(rename = "type")]
    pub kind: SyncKind,
    /// The system that holds it.
    pub engine: Engine,
    /// The stack of the bundle that the target belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Where the data is; only read.
    pub source: Endpoint,
    /// Where it goes.
    pub target: Endpoint,
    /// Tasks that must be done before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// How much, roughly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_size: Option<ByteSize>,
    /// Tables to copy, as `schema.table` or `table`; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include_tables: Vec<String>,
    /// Tables to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tables: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Sorts of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncKind {
    /// Tables.
    Database,
    /// Objects.
    Storage,
    /// Keys that may be lost.
    Cache,
    /// Queues and their definitions.
    Messaging,
}

/// Data systems.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// Redis or Valkey.
    Redis,
    /// S3 and servers that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    AzureBlob,
    /// RabbitMQ.
    Rabbitmq,
    /// An engine that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// How to reach one side of a copy. Names secrets, never holds them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Host name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Without it, the engine's own: see [`Engine::default_port`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Name of the database, number of the Redis database, or virtual host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Name of the secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<String>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: TlsMode,
    /// CA certificates in PEM: a path in the bundle, or an absolute path on the host that copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// URL of an object store's or broker's API; holds no credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Bucket or container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Objects whose keys begin with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Region of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Name of the secret that holds the object store's access key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_secret: Option<String>,
    /// Name of the secret that holds the object store's secret key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_secret: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a connection is encrypted, in libpq's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// If the server can.
    #[default]
    Prefer,
    /// Always, with any certificate.
    Require,
    /// Always, with a certificate that a known CA signed for this host.
    VerifyFull,
}

impl Engine {
    /// The port that the engine listens on unless told otherwise.
    pub fn default_port(&self) -> Option<u16> {
        match self {
            Self::Postgres => Some(5432),
            Self::Mysql | Self::Mariadb => Some(3306),
            Self::Redis => Some(6379),
            Self::Rabbitmq => Some(5672),
            Self::S3 | Self::Gcs | Self::AzureBlob | Self::Other(_) => None,
        }
    }

    /// The sort of data that the engine holds, where it is known.
    fn kinds(&self) -> &'static [SyncKind] {
        match self {
            Self::Postgres | Self::Mysql | Self::Mariadb => &[SyncKind::Database],
            Self::Redis => &[SyncKind::Cache, SyncKind::Database],
            Self::S3 | Self::Gcs | Self::AzureBlob => &[SyncKind::Storage],
            Self::Rabbitmq => &[SyncKind::Messaging],
            Self::Other(_) => &[
                SyncKind::Database,
                SyncKind::Storage,
                SyncKind::Cache,
                SyncKind::Messaging,
            ],
        }
    }
}

impl Endpoint {
    /// The fields that name secrets, with those names.
    pub fn secret_names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("password_secret", &self.password_secret),
            ("access_key_secret", &self.access_key_secret),
            ("secret_key_secret", &self.secret_key_secret),
        ];
        fields
            .into_iter()
            .filter_map(|(field, name)| Some((field, name.as_deref()?)))
    }
}

impl SyncManifest {
    /// Where it is in a bundle.
    pub const PATH: &str = "data-sync/sync-manifest.json";

    /// The tasks in an order in which they can run: each after those that it depends on, otherwise as listed. If a
    /// circle makes that impossible (validation refuses it), the order of the list.
    pub fn tasks_in_order(&self) -> Vec<&SyncTask> {
        match dependency_order(&self.nodes()) {
            Ok(order) => order.into_iter().map(|i| &self.tasks[i]).collect(),
            Err(_) => self.tasks.iter().collect(),
        }
    }

    fn nodes(&self) -> Vec<(&str, &[String])> {
        self.tasks
            .iter()
            .map(|task| (task.name.as_str(), task.depends_on.as_slice()))
            .collect()
    }

    /// What is wrong with the tasks on their own.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        problems.unique_names("tasks", self.tasks.iter().map(|task| task.name.as_str()));
        problems.dependencies("tasks", &self.nodes());
        if self.parallelism == Some(0) {
            problems.add(
                "parallelism",
                0,
                "nothing would ever run: write 1 or more, or remove it",
            );
        }
        for (i, task) in self.tasks.iter().enumerate() {
            if !task.engine.kinds().contains(&task.kind) {
                let remedy = format!(
                    "the engine {:?} holds {:?}: correct one of them",
                    task.engine,
                    task.engine.kinds()
                );
                problems.add(format!("tasks[{i}].type"), format!("{:?}", task.kind), remedy);
            }
            task.check_endpoint(&format!("tasks[{i}].source"), &task.source, &mut problems);
            task.check_endpoint(&format!("tasks[{i}].target"), &task.target, &mut problems);
        }
        problems.into_vec()
    }
}

impl SyncTask {
    fn check_endpoint(&self, field: &str, endpoint: &Endpoint, problems: &mut Problems) {
        if self.kind == SyncKind::Storage && endpoint.bucket.is_none() {
            problems.add(format!("{field}.bucket"), "", "name the bucket");
        }
        if self.kind != SyncKind::Storage && endpoint.host.is_none() && endpoint.url.is_none() {
            problems.add(format!("{field}.host"), "", "name the host");
        }
        if endpoint.url.as_deref().is_some_and(url_has_credentials) {
            let remedy =
                "a bundle holds no credentials: remove them and name secrets in user and password_secret";
            problems.add(format!("{field}.url"), "(not shown)", remedy);
        }
        for secret in ["password", "secret_key", "access_key", "token"] {
            if endpoint.extra.contains_key(secret) {
                let remedy = format!("a bundle holds no values: name the secret in {secret}_secret instead");
                problems.add(format!("{field}.{secret}"), "(not shown)", remedy);
            }
        }
    }
}

/// Whether a URL has something before an `@` in its authority (RFC 3986, 3.2.1).
fn url_has_credentials(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}
