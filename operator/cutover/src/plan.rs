//! What a cutover is to do.

use std::collections::BTreeSet;
use std::time::Duration;

use homeport_bundle::cutover::CutoverManifest;
use homeport_bundle::validation::RollbackTriggers;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::error::{Error, Result};
use crate::ownership::is_owner;
use crate::record::{RecordKey, RecordSet, RecordType};
use crate::triggers::Trigger;

/// Time to live of a record whose plan gives none, in seconds: short, so that a rollback is seen soon.
const DEFAULT_TTL: u32 = 60;
/// How long a cutover may take when its plan does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long resolvers may take to show a change when the plan does not say.
const DEFAULT_PROPAGATION_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// One record set as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Which one.
    pub key: RecordKey,
    /// What it is to be.
    pub wanted: RecordSet,
    /// A value that must be there before the change; another one stops the cutover.
    pub expected_before: Option<String>,
}

/// What is done when a check fails after the switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The records are restored.
    #[default]
    Rollback,
    /// The records stay, and a person decides.
    Pause,
}

/// How long the parts of a cutover may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the switch until the post-checks pass, and for changes that were begun until they are whole. Waits for people
    /// and for what comes first are not counted, nor is the soak.
    pub whole: Duration,
    /// From the switch until all name servers show it.
    pub propagation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            whole: DEFAULT_TIMEOUT,
            propagation: DEFAULT_PROPAGATION_TIMEOUT,
        }
    }
}

/// A whole cutover.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who owns the records from then on, such as `namespace/name` of the resource.
    pub owner: String,
    /// Whether records that homeport does not own may be changed.
    pub adopt: bool,
    /// The record sets to change.
    pub changes: Vec<RecordChange>,
    /// What must hold before.
    pub pre_checks: Vec<Check>,
    /// What must hold afterwards.
    pub post_checks: Vec<Check>,
    /// What undoes the switch.
    pub triggers: Vec<Trigger>,
    /// How long the post-checks are repeated before the cutover counts as done.
    pub soak: Duration,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What is done when a check fails after the switch.
    pub on_failure: OnFailure,
}

impl Plan {
    /// A plan of record changes alone, with no checks and default times.
    pub fn new(owner: impl Into<String>, changes: Vec<RecordChange>) -> Result<Self> {
        let owner = owner.into();
        if !is_owner(&owner) {
            return Err(Error::invalid(
                "owner",
                owner,
                "cannot be an owner; use up to 200 letters, digits, -, ., _ and /",
            ));
        }
        let mut seen = BTreeSet::new();
        for change in &changes {
            // RFC 1912, 2.4: the top of a zone has SOA and NS records, so no alias can stand there.
            if change.key.record_type == RecordType::CNAME && change.key.name == change.key.zone {
                let remedy = "cannot be an alias at the top of its zone; use A and AAAA records";
                return Err(Error::invalid("changes", change.key.to_string(), remedy));
            }
            let record_type = change.key.record_type;
            let mut conflicts = record_type
                .replaces()
                .iter()
                .chain(record_type.yields_to())
                .map(|other| RecordKey {
                    record_type: *other,
                    ..change.key.clone()
                });
            if !seen.insert(change.key.clone()) || conflicts.any(|other| seen.contains(&other)) {
                let remedy =
                    "is changed twice; keep one change a name and type, and no CNAME beside another type";
                return Err(Error::invalid("changes", change.key.to_string(), remedy));
            }
        }
        Ok(Self {
            owner,
            adopt: false,
            changes,
            pre_checks: Vec::new(),
            post_checks: Vec::new(),
            triggers: Vec::new(),
            soak: Duration::ZERO,
            timeouts: Timeouts::default(),
            on_failure: OnFailure::default(),
        })
    }

    /// The plan of a bundle. `zone` is that of the bundle's `dns/records.json`, for a cutover that names none.
    pub fn from_bundle(
        owner: impl Into<String>,
        manifest: &CutoverManifest,
        triggers: &RollbackTriggers,
        zone: Option<&str>,
    ) -> Result<Self> {
        let mut changes = Vec::with_capacity(manifest.dns_changes.len());
        for change in &manifest.dns_changes {
            let zone = manifest.zone.as_deref().or(zone).ok_or_else(|| {
                Error::invalid(
                    "zone",
                    "",
                    "is missing; name the zone in dns/cutover.json or dns/records.json",
                )
            })?;
            let record_type = change.record_type.parse()?;
            let expected_before = match &change.old_value {
                Some(value) => RecordSet::parse(record_type, 0, std::slice::from_ref(value))?
                    .values
                    .pop(),
                None => None,
            };
            changes.push(RecordChange {
                key: RecordKey::new(zone, &change.domain, record_type)?,
                wanted: RecordSet::parse(
                    record_type,
                    change.ttl.unwrap_or(DEFAULT_TTL),
                    std::slice::from_ref(&change.new_value),
                )?,
                expected_before,
            });
        }
        let checks =
            |checks: &[homeport_bundle::validation::Check]| checks.iter().map(Check::from_bundle).collect();
        let duration =
            |value: &Option<homeport_bundle::HumanDuration>, default| value.map_or(default, |d| d.get());
        Ok(Self {
            pre_checks: checks(&manifest.pre_checks),
            post_checks: checks(&manifest.post_checks),
            triggers: triggers.triggers.iter().map(Trigger::from_bundle).collect(),
            soak: duration(&manifest.soak, Duration::ZERO),
            timeouts: Timeouts {
                whole: duration(&manifest.timeout, DEFAULT_TIMEOUT),
                propagation: duration(&manifest.propagation_timeout, DEFAULT_PROPAGATION_TIMEOUT),
            },
            ..Self::new(owner, changes)?
        })
    }

    /// All record sets that the plan has to do with: those it changes, and those that cannot stand beside them.
    pub fn keys(&self) -> BTreeSet<RecordKey> {
        let mut keys = BTreeSet::new();
        for change in &self.changes {
            keys.insert(change.key.clone());
            let record_type = change.key.record_type;
            for other in record_type.replaces().iter().chain(record_type.yields_to()) {
                keys.insert(RecordKey {
                    record_type: *other,
                    ..change.key.clone()
                });
            }
        }
        keys
    }
}
