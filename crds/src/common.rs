//! Small types that several of the resources share.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names an object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Names one key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key whose value is used.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What becomes of what runs, or of what was copied, when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Everything stays as it is; only the resource goes.
    #[default]
    Retain,
    /// What the resource made is removed with it.
    Delete,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// It did what was asked.
    Succeeded,
    /// It failed; the message says why.
    Failed,
    /// It was undone.
    RolledBack,
}

/// One entry of a resource's history: what was done, when, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// What was done, such as `Deploy`, `Sync`, `CutOver` or `RollBack`.
    pub action: String,
    /// The revision that the run made current, where there are revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The generation of the spec that was acted on.
    pub generation: i64,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// When it ended (RFC 3339).
    pub finished_at: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The number of runs that a resource's history keeps.
pub const HISTORY_LIMIT: usize = 10;

/// Puts a run at the head of a history and drops the oldest past [`HISTORY_LIMIT`].
pub fn record_run(history: &mut Vec<RunRecord>, run: RunRecord) {
    history.insert(0, run);
    history.truncate(HISTORY_LIMIT);
}

/// TLS to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// `Disable`, `Prefer` (TLS where the server offers it, not verified), `Require` (TLS, not verified) or
    /// `VerifyFull` (TLS, and the certificate must be valid for the host).
    #[serde(default)]
    pub mode: TlsMode,
    /// A key of a Secret that holds the PEM certificate authorities to trust, in place of the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// How much TLS a connection asks for (as `sslmode` of libpq).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it.
    #[default]
    Prefer,
    /// TLS or nothing, the certificate not verified.
    Require,
    /// TLS or nothing, the certificate verified.
    VerifyFull,
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

pub(crate) const fn yes() -> bool {
    true
}

/// The value of `status.observedGeneration` before anything was observed: a new object never looks done.
pub const fn nothing_observed() -> i64 {
    -1
}
