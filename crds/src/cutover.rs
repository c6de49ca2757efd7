//! `Cutover`: the switch of DNS records to the target behind gates, and the way back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ObjectRef, RunRecord, SecretKeyRef, is_false, nothing_observed};
use crate::conditions;
use crate::quantity::Duration;

/// Switches DNS records to the target: checks before, records captured, the change, checks after, and a rollback
/// to the captured records when a check fails or when it is asked for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "homeport.dev",
    version = "v1alpha1",
    kind = "Cutover",
    plural = "cutovers",
    shortname = "cut",
    category = "homeport",
    namespaced,
    status = "CutoverStatus",
    derive = "PartialEq",
    doc = "The switch of DNS records to the target, and the way back.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Desired", type_ = "string", json_path = ".spec.desired"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.bundleRef) || (has(self.changes) && self.changes.size() > 0)")
        .message("set bundleRef (the changes of a bundle's dns/cutover.json), or changes of your own, or both (yours are taken)"),
    validation = Rule::new("!has(self.provider.manual) || !has(self.mode) || self.mode != 'Apply'")
        .message("provider manual changes nothing by itself: set mode Manual (or DryRun)")
)]
pub struct CutoverSpec {
    /// Stops reconciling. Records stay as they are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// The HprtBundle that is cut over to. The cutover waits for it to be Healthy and for its syncs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_ref: Option<ObjectRef>,
    /// `CutOver` points the records at the target. `RolledBack` restores them as they were before.
    #[serde(default)]
    pub desired: DesiredState,
    /// `Apply` changes records. `DryRun` says in status.plan what would change. `Manual` says in
    /// status.instructions what a person is to do, and waits until DNS shows it.
    #[serde(default)]
    pub mode: CutoverMode,
    /// Who serves the records.
    pub provider: DnsProviderSpec,
    /// Whether a person must approve the switch.
    #[serde(default)]
    pub approval: ApprovalSpec,
    /// The records to change. Those of the bundle when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub changes: Vec<DnsChangeSpec>,
    /// Changes records that homeport does not own yet (it marks its own with TXT records).
    #[serde(default)]
    pub adopt: bool,
    /// What must hold before the switch.
    #[serde(default)]
    pub gates: GatesSpec,
    /// Checks after the switch. Those of the bundle when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub post_checks: Vec<CheckSpec>,
    /// What rolls the switch back by itself while it soaks.
    #[serde(default)]
    pub triggers: TriggersSpec,
    /// How long the post-checks are repeated after the switch before it counts as done.
    #[serde(default = "no_time")]
    pub soak: Duration,
    /// How long the whole switch may take, the wait for people and other resources not counted.
    #[serde(default = "cutover_timeout")]
    pub timeout: Duration,
    /// What is done when a check fails after the switch. A rollback that would lose writes to the target is never
    /// made by itself: the cutover halts and asks.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// DNS servers (address, or address:port) that must show the change. The provider's own when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub resolvers: Vec<String>,
}

const fn no_time() -> Duration {
    Duration::from_secs(0)
}

const fn cutover_timeout() -> Duration {
    Duration::from_secs(900)
}

/// Where the records shall point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DesiredState {
    /// At the target.
    #[default]
    CutOver,
    /// Where they pointed before.
    RolledBack,
}

/// Who changes the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CutoverMode {
    /// homeport does.
    #[default]
    Apply,
    /// Nobody: the change is planned only.
    DryRun,
    /// A person does, by homeport's instructions.
    Manual,
}

/// What is done when a check fails after the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// The records are restored.
    #[default]
    Rollback,
    /// The records stay, and a person decides.
    Pause,
}

/// Who serves the records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.manual), has(self.rfc2136), has(self.cloudflare), has(self.route53), has(self.powerdns)].filter(set, set).size() == 1"
).message("set exactly one of manual, rfc2136, cloudflare, route53 and powerdns"))]
pub struct DnsProviderSpec {
    /// A person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualProvider>,
    /// A server that takes dynamic updates (RFC 2136) signed with TSIG: BIND, Knot, PowerDNS, Windows DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136Provider>,
    /// Cloudflare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare: Option<CloudflareProvider>,
    /// AWS Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53Provider>,
    /// PowerDNS by its HTTP API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub powerdns: Option<PowerDnsProvider>,
}

/// A person changes the records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManualProvider {
    /// The DNS server (address, or address:port) that is asked whether it was done. The system's when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
}

/// A server that takes dynamic updates (RFC 2136).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rfc2136Provider {
    /// The primary server, as address or address:port.
    #[schemars(length(min = 1, max = 300))]
    pub server: String,
    /// The TSIG key that signs updates (RFC 8945).
    pub tsig: TsigSpec,
}

/// A TSIG key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TsigSpec {
    /// The name of the key, as the server knows it.
    #[schemars(length(min = 1, max = 253))]
    pub key_name: String,
    /// The algorithm of the key.
    #[serde(default)]
    pub algorithm: TsigAlgorithm,
    /// A key of a Secret that holds the key in base64, as `tsig-keygen` prints it.
    pub secret_ref: SecretKeyRef,
}

/// The algorithm of a TSIG key (RFC 8945, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// Cloudflare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudflareProvider {
    /// A key of a Secret that holds an API token with DNS edit rights.
    pub token_secret_ref: SecretKeyRef,
}

/// AWS Route 53.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route53Provider {
    /// A Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; else the usual chain of credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<ObjectRef>,
    /// The hosted zone, where its name alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted_zone_id: Option<String>,
}

/// PowerDNS by its HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerDnsProvider {
    /// The address of the API.
    pub url: String,
    /// A key of a Secret that holds the API key.
    pub api_key_secret_ref: SecretKeyRef,
}

/// Whether a person must approve the switch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    /// The switch waits for `approved`.
    #[serde(default)]
    pub required: bool,
    /// The switch may be made. It acts at once.
    #[serde(default)]
    pub approved: bool,
}

/// A record set to change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsChangeSpec {
    /// The zone that holds the record, such as `shop.example`.
    #[schemars(length(min = 1, max = 253))]
    pub zone: String,
    /// The full name of the record, such as `www.shop.example`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The type of the record.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// Its time to live, in seconds.
    #[serde(default = "record_ttl")]
    #[schemars(range(min = 1, max = 604800))]
    pub ttl: u32,
    /// Its values after the switch, in zone file form.
    #[schemars(length(min = 1, max = 64))]
    pub values: Vec<String>,
}

const fn record_ttl() -> u32 {
    60
}

/// The type of a DNS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are those of the DNS types")]
pub enum RecordType {
    A,
    AAAA,
    CNAME,
    MX,
    TXT,
    SRV,
    CAA,
}

/// What must hold before the switch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatesSpec {
    /// Checks before the switch. Those of the bundle when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub pre_checks: Vec<CheckSpec>,
    /// The most bytes that a followed sync may be behind. A sync of mode Once must be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_sync_lag_bytes: Option<i64>,
}

/// A check of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.http), has(self.tcp)].filter(set, set).size() == 1")
    .message("set exactly one of http and tcp"))]
pub struct CheckSpec {
    /// The name of the check.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A request over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A connection over TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// How long one try may take.
    #[serde(default = "check_timeout")]
    pub timeout: Duration,
    /// How often it is tried before it counts as failed.
    #[serde(default = "check_attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The time between tries.
    #[serde(default = "check_interval")]
    pub interval: Duration,
}

const fn check_timeout() -> Duration {
    Duration::from_secs(5)
}

const fn check_attempts() -> u32 {
    5
}

const fn check_interval() -> Duration {
    Duration::from_secs(2)
}

/// A request over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// The address.
    #[schemars(regex(pattern = r"^https?://.+"), length(max = 4096))]
    pub url: String,
    /// The status that is expected. Any of 200 to 299 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub expect_status: Option<u16>,
    /// A text that the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_body: Option<String>,
    /// The address that the host's name is taken to have, so that the target can be checked before DNS points at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<String>,
}

/// A connection over TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// A name or an address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// What rolls the switch back by itself while it soaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggersSpec {
    /// So many failed rounds of post-checks in a row.
    #[serde(default = "consecutive_failures")]
    #[schemars(range(min = 1, max = 100))]
    pub consecutive_failures: u32,
    /// More than this share of failed checks, in percent of those made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub error_percent: Option<u32>,
    /// A check that takes longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<Duration>,
}

impl Default for TriggersSpec {
    fn default() -> Self {
        Self {
            consecutive_failures: consecutive_failures(),
            error_percent: None,
            max_latency: None,
        }
    }
}

const fn consecutive_failures() -> u32 {
    3
}

/// What is known of a cutover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CutoverStatus {
    /// The generation of the spec that was last brought to Ready or Stalled; -1 before that.
    #[serde(default = "nothing_observed")]
    pub observed_generation: i64,
    /// The value of the annotation homeport.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What can be said of the cutover now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// Pending, CuttingOver, CutOver, RollingBack, RolledBack, Halted or Planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The step that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The steps of the run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CutoverStep>,
    /// The records as they were before the switch, which is what a rollback restores, and as they are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordStatus>,
    /// What DNS servers show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<ObservedRecord>,
    /// The last result of each check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckStatus>,
    /// With mode DryRun: what would change, a line a record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<String>,
    /// With mode Manual: what a person is to do, a line a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<String>,
    /// What triggered the last rollback or halt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggered_by: Option<String>,
    /// When the records were switched (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_at: Option<String>,
    /// How much had been written to the target's databases at the switch, by database: from then on a rollback
    /// would lose what is written on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write_marks: Vec<WriteMark>,
    /// The last runs, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RunRecord>,
}

impl Default for CutoverStatus {
    fn default() -> Self {
        Self {
            observed_generation: nothing_observed(),
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
            state: None,
            step: None,
            steps: Vec::new(),
            records: Vec::new(),
            observed: Vec::new(),
            checks: Vec::new(),
            plan: Vec::new(),
            instructions: Vec::new(),
            triggered_by: None,
            switched_at: None,
            write_marks: Vec::new(),
            history: Vec::new(),
        }
    }
}

/// One step of a cutover.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CutoverStep {
    /// The step: PreChecks, Capture, Switch, Propagation, PostChecks and Soak; Rollback and RollbackPropagation where
    /// the switch is undone.
    pub name: String,
    /// Pending, Running, Done, Failed or Skipped.
    pub state: String,
    /// When it began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One record set of a cutover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// The zone.
    pub zone: String,
    /// The full name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// When it was captured (RFC 3339).
    pub captured_at: String,
    /// As it was before the switch. A rollback removes the record where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RecordValues>,
    /// As it is to be after the switch. The switch removes the record where this is absent: it cannot stand beside
    /// another one of the switch, such as a CNAME beside an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RecordValues>,
    /// Who owned it before the switch, as its TXT record said. A rollback restores that too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_before: Option<String>,
}

/// The values of a record set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordValues {
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The values, in zone file form.
    pub values: Vec<String>,
}

/// What a DNS server shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRecord {
    /// The server.
    pub resolver: String,
    /// The name that was asked for.
    pub name: String,
    /// The type that was asked for.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What it answered.
    pub values: Vec<String>,
    /// Whether that is what is wanted.
    pub matches: bool,
}

/// The last result of a check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// The check.
    pub name: String,
    /// PreCheck or PostCheck.
    pub phase: String,
    /// Whether it passed.
    pub passed: bool,
    /// How long the last try took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// When it was made (RFC 3339).
    pub at: String,
    /// What was observed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How much had been written to a database of the target at the switch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteMark {
    /// The DataSync and task, as `sync/task`.
    pub task: String,
    /// The mark, in the engine's own terms.
    pub mark: String,
}
