//! `dns/cutover.json`: the switch of names from the cloud to the new place.

use serde::{Deserialize, Serialize};

use super::Extra;
use super::dns::{check_name, check_ttl, check_type, check_value};
use super::validation::Check;
use crate::duration::HumanDuration;
use crate::problem::{Problem, Problems};

/// How names are switched, and what must hold before and after.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CutoverManifest {
    /// Zone that the changed names are in; without it, the zone of `dns/records.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The changes, made in this order.
    #[serde(default)]
    pub dns_changes: Vec<DnsChange>,
    /// Must pass before anything is changed.
    #[serde(default)]
    pub pre_checks: Vec<Check>,
    /// Must pass after the change, else it is undone.
    #[serde(default)]
    pub post_checks: Vec<Check>,
    /// Longest time for the whole cutover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Longest time until resolvers see the new values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation_timeout: Option<HumanDuration>,
    /// How long post-checks go on before the cutover counts as done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<HumanDuration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One name that changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DnsChange {
    /// Full name.
    pub domain: String,
    /// `A`, `AAAA`, `CNAME` ...
    pub record_type: String,
    /// Value that the record has now; if given, another one there stops the cutover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_value: Option<String>,
    /// Value that it gets.
    pub new_value: String,
    /// Time to live in seconds of the new record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl CutoverManifest {
    /// Where it is in a bundle.
    pub const PATH: &str = "dns/cutover.json";

    /// What is wrong with the plan.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        if let Some(zone) = &self.zone {
            check_name(&mut problems, "zone", zone);
        }
        let mut seen = std::collections::HashSet::new();
        for (i, change) in self.dns_changes.iter().enumerate() {
            let field = |name: &str| format!("dns_changes[{i}].{name}");
            check_name(&mut problems, &field("domain"), &change.domain);
            check_type(&mut problems, &field("record_type"), &change.record_type);
            check_value(
                &mut problems,
                &field("new_value"),
                &change.record_type,
                &change.new_value,
            );
            if let Some(ttl) = change.ttl {
                check_ttl(&mut problems, &field("ttl"), ttl);
            }
            if !seen.insert((change.domain.to_ascii_lowercase(), &change.record_type)) {
                let remedy = format!(
                    "another change sets this name's {} record: keep one",
                    change.record_type
                );
                problems.add(field("domain"), &change.domain, remedy);
            }
        }
        Check::add_list_problems("pre_checks", &self.pre_checks, &mut problems);
        Check::add_list_problems("post_checks", &self.post_checks, &mut problems);
        problems.into_vec()
    }
}
