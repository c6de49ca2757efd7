//! `SecretBinding`: where the values of a bundle's secret references come from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, ObjectRef, SecretKeyRef, is_false, nothing_observed, yes};
use crate::conditions;
use crate::quantity::Duration;

/// Binds the secret references of a bundle to the sources of their values, and writes the values to a Secret that
/// the bundle's other resources read.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "homeport.dev",
    version = "v1alpha1",
    kind = "SecretBinding",
    plural = "secretbindings",
    shortname = "sbind",
    category = "homeport",
    namespaced,
    status = "SecretBindingStatus",
    derive = "PartialEq",
    doc = "Binds the secret references of a bundle to the sources of their values.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Bundle", type_ = "string", json_path = ".spec.bundleRef.name"),
    printcolumn(name = "Resolved", type_ = "string", json_path = ".status.resolved"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Secret",
        type_ = "string",
        json_path = ".status.secretName",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.refreshInterval) || duration(self.refreshInterval) >= duration('10s')")
    .message("refreshInterval must be at least 10s"))]
pub struct SecretBindingSpec {
    /// Stops reconciling. The Secret that was written stays as it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// The HprtBundle whose secret references are bound.
    pub bundle_ref: ObjectRef,
    /// Where values come from. For each secret the sources are asked in this order; the first that has it wins.
    #[schemars(length(min = 1, max = 16))]
    pub sources: Vec<SecretSource>,
    /// Secrets to bind beside those that the bundle names, such as a DNS key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub extra: Vec<ExtraSecret>,
    /// The Secret that the values are written to. The name of the binding with `-values` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ObjectRef>,
    /// How often the sources are asked again.
    #[serde(default = "refresh_interval")]
    pub refresh_interval: Duration,
    /// Writes the values to a Vault or OpenBao too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<VaultPush>,
    /// What becomes of the Secret when the binding is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

const fn refresh_interval() -> Duration {
    Duration::from_secs(3600)
}

/// One source of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.manual), has(self.env), has(self.file), has(self.kubernetes), has(self.awsSecretsManager), has(self.gcpSecretManager), has(self.azureKeyVault), has(self.hashicorpVault)].filter(set, set).size() == 1"
).message("set exactly one of manual, env, file, kubernetes, awsSecretsManager, gcpSecretManager, azureKeyVault and hashicorpVault"))]
pub struct SecretSource {
    /// The secrets that this source is asked for, by name. All of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub only: Vec<String>,
    /// Values that a person gives, in a Secret whose keys are the names of the secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualSource>,
    /// Environment variables of homeport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvSource>,
    /// A file of `NAME=value` lines on the machine where homeport runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSource>,
    /// A Secret of this namespace whose keys are the references' keys, or else their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<ObjectRef>,
    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secrets_manager: Option<AwsSource>,
    /// Google Cloud Secret Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_secret_manager: Option<GcpSource>,
    /// Azure Key Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_key_vault: Option<AzureSource>,
    /// HashiCorp Vault, or OpenBao.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashicorp_vault: Option<VaultSource>,
}

/// Values that a person gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManualSource {
    /// The Secret that holds them (`kubectl create secret generic NAME --from-env-file=FILE`). Standalone, homeport
    /// keeps it in memory alone: after a restart of homeport it must be given again.
    pub secret_ref: ObjectRef,
}

/// Environment variables of homeport.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvSource {
    /// What the variables' names begin with.
    #[serde(default = "env_prefix")]
    pub prefix: String,
}

fn env_prefix() -> String {
    "HOMEPORT_SECRET_".to_owned()
}

/// A file of `NAME=value` lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileSource {
    /// The file. A relative path starts at homeport's working directory.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
}

/// AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSource {
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The endpoint of a service that is not Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; else the usual chain of credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<ObjectRef>,
}

/// Google Cloud Secret Manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpSource {
    /// The project.
    pub project: String,
    /// A key of a Secret that holds a service account's key; else the usual chain of credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretKeyRef>,
}

/// Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureSource {
    /// The address of the vault.
    pub vault_url: String,
    /// A Secret with `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<ObjectRef>,
}

/// HashiCorp Vault, or OpenBao.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultSource {
    /// The address of the server.
    pub address: String,
    /// The mount of the key-value engine, version 2.
    #[serde(default = "vault_mount")]
    pub mount: String,
    /// A key of a Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
}

/// A Vault or OpenBao that values are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultPush {
    /// The address of the server.
    pub address: String,
    /// The mount of the key-value engine, version 2.
    #[serde(default = "vault_mount")]
    pub mount: String,
    /// The path that the values are written to.
    pub path: String,
    /// A key of a Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
}

fn vault_mount() -> String {
    "secret".to_owned()
}

/// A secret to bind that the bundle does not name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtraSecret {
    /// Its name: the key in the Secret that is written.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_.-]*$"), length(max = 253))]
    pub name: String,
    /// Whether the binding is ready without it.
    #[serde(default = "yes")]
    pub required: bool,
}

/// What is known of a binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretBindingStatus {
    /// The generation of the spec that was last brought to Ready or Stalled; -1 before that.
    #[serde(default = "nothing_observed")]
    pub observed_generation: i64,
    /// The value of the annotation homeport.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What can be said of the binding now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The Secret that holds the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// How many secrets have a value, of how many: `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// The secrets, and where each one came from. Never a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<BoundSecret>,
    /// When the sources were last asked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refresh_time: Option<String>,
}

impl Default for SecretBindingStatus {
    fn default() -> Self {
        Self {
            observed_generation: nothing_observed(),
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
            secret_name: None,
            resolved: None,
            secrets: Vec::new(),
            last_refresh_time: None,
        }
    }
}

/// One secret of a binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoundSecret {
    /// Its name.
    pub name: String,
    /// Whether the bundle needs it.
    pub required: bool,
    /// Whether it has a value.
    pub resolved: bool,
    /// The kind of source that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it has no value, and how to give one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
