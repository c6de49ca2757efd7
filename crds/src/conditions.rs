//! Status conditions, and the kstatus rules by which Flux, Argo CD and `kubectl wait` read them.
//!
//! `Ready` is the verdict on the last reconcile and turns False when it failed. `Reconciling` and `Stalled` are
//! "abnormal-true": present and True while work goes on, or when only a change of the spec can help, and absent
//! otherwise (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{Schema, SchemaGenerator, json_schema};

/// The last reconcile did all that the spec asks for.
pub const READY: &str = "Ready";
/// Work is going on.
pub const RECONCILING: &str = "Reconciling";
/// Only a change of the spec, or of what it names, can help.
pub const STALLED: &str = "Stalled";
/// HprtBundle: the archive is here, with the digest that was asked for.
pub const FETCHED: &str = "Fetched";
/// HprtBundle: the archive was opened, and every file in it is as the manifest says.
pub const VERIFIED: &str = "Verified";
/// HprtBundle: each required secret has a value. SecretBinding: the same, for what it binds.
pub const SECRETS_RESOLVED: &str = "SecretsResolved";
/// HprtBundle: the container engine of the target answers.
pub const TARGET_REACHABLE: &str = "TargetReachable";
/// HprtBundle: every stack of the revision was brought up.
pub const DEPLOYED: &str = "Deployed";
/// HprtBundle: every service is healthy now.
pub const HEALTHY: &str = "Healthy";
/// HprtBundle: each DataSync that names it is done. DataSync: its tasks are.
pub const SYNCED: &str = "Synced";
/// HprtBundle: each Cutover that names it is done. Cutover: the records point at the target.
pub const CUT_OVER: &str = "CutOver";

/// Sets one condition; the transition time changes only when the status does.
pub fn set(
    conditions: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    status: bool,
    reason: &str,
    message: impl Into<String>,
) {
    set_status(
        conditions,
        generation,
        type_,
        if status { "True" } else { "False" },
        reason,
        message.into(),
    );
}

/// Sets one condition to Unknown: it cannot be told now.
pub fn set_unknown(
    conditions: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    reason: &str,
    message: impl Into<String>,
) {
    set_status(conditions, generation, type_, "Unknown", reason, message.into());
}

fn set_status(
    conditions: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    status: &str,
    reason: &str,
    mut message: String,
) {
    truncate(&mut message);
    let now = Time(Timestamp::now());
    match conditions.iter_mut().find(|condition| condition.type_ == type_) {
        Some(condition) => {
            if condition.status != status {
                condition.last_transition_time = now;
                condition.status = status.to_owned();
            }
            condition.observed_generation = Some(generation);
            condition.reason = reason.to_owned();
            condition.message = message;
        }
        None => conditions.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: now,
            reason: reason.to_owned(),
            message,
        }),
    }
}

/// Cuts a message, such as one with the last lines of a log, to what a person reads and the schema takes.
fn truncate(message: &mut String) {
    const LIMIT: usize = 4096;
    if message.len() > LIMIT {
        let end = (0..=LIMIT)
            .rev()
            .find(|end| message.is_char_boundary(*end))
            .unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
}

/// Removes a condition.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The condition of a type, where it is set.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition is True and was observed at this generation.
pub fn is_true_at(conditions: &[Condition], type_: &str, generation: i64) -> bool {
    find(conditions, type_).is_some_and(|condition| {
        condition.status == "True" && condition.observed_generation == Some(generation)
    })
}

/// The verdict on a reconcile, from which [`summarize`] sets `Ready`, `Reconciling` and `Stalled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is done.
    Ready {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// Work goes on, or something is waited for.
    InProgress {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// The last try failed and is made again by itself.
    Retrying {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// Only a change of the spec, or of what it names, helps.
    Stalled {
        /// CamelCase, for machines.
        reason: String,
        /// For people: what is wrong and how to mend it.
        message: String,
    },
}

/// Sets `Ready`, `Reconciling` and `Stalled` by the kstatus rules, and says which `observedGeneration` to report:
/// it advances only when the object is ready or stalled.
pub fn summarize(conditions: &mut Vec<Condition>, generation: i64, observed: i64, verdict: &Verdict) -> i64 {
    match verdict {
        Verdict::Ready { reason, message } => {
            set(conditions, generation, READY, true, reason, message.clone());
            remove(conditions, RECONCILING);
            remove(conditions, STALLED);
            generation
        }
        Verdict::InProgress { reason, message } => {
            set_unknown(conditions, generation, READY, reason, message.clone());
            set(conditions, generation, RECONCILING, true, reason, message.clone());
            remove(conditions, STALLED);
            observed
        }
        Verdict::Retrying { reason, message } => {
            set(conditions, generation, READY, false, reason, message.clone());
            set(
                conditions,
                generation,
                RECONCILING,
                true,
                "ProgressingWithRetry",
                message.clone(),
            );
            remove(conditions, STALLED);
            observed
        }
        Verdict::Stalled { reason, message } => {
            set(conditions, generation, READY, false, reason, message.clone());
            set(conditions, generation, STALLED, true, reason, message.clone());
            remove(conditions, RECONCILING);
            generation
        }
    }
}

/// The schema of a list of `metav1.Condition`, merged by type under server-side apply.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "What can be said of the object now, in the form of Kubernetes' conditions.",
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "maxLength": 316, "description": "What the condition is about." },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The metadata.generation that the condition was set for."
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "When the status last changed."
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Why, in one CamelCase word."
                },
                "message": { "type": "string", "maxLength": 32768, "description": "Why, for a person." }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(conditions: &[Condition]) -> Vec<(String, String)> {
        conditions
            .iter()
            .map(|c| (c.type_.clone(), c.status.clone()))
            .collect()
    }

    #[test]
    fn the_generation_advances_only_when_ready_or_stalled() {
        let text = || ("Reason".to_owned(), "message".to_owned());
        let mut conditions = Vec::new();
        let (reason, message) = text();
        assert_eq!(
            summarize(&mut conditions, 3, -1, &Verdict::InProgress { reason, message }),
            -1
        );
        assert_eq!(
            statuses(&conditions),
            [
                ("Ready".into(), "Unknown".into()),
                ("Reconciling".into(), "True".into())
            ]
        );
        let (reason, message) = text();
        assert_eq!(
            summarize(&mut conditions, 3, -1, &Verdict::Retrying { reason, message }),
            -1
        );
        assert_eq!(statuses(&conditions)[0].1, "False");
        let (reason, message) = text();
        assert_eq!(
            summarize(&mut conditions, 3, -1, &Verdict::Stalled { reason, message }),
            3
        );
        assert_eq!(
            statuses(&conditions),
            [
                ("Ready".into(), "False".into()),
                ("Stalled".into(), "True".into())
            ]
        );
        let (reason, message) = text();
        assert_eq!(
            summarize(&mut conditions, 3, 3, &Verdict::Ready { reason, message }),
            3
        );
        assert_eq!(statuses(&conditions), [("Ready".into(), "True".into())]);
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            1,
            DEPLOYED,
            false,
            "HookFailed",
            "ä".repeat(10_000),
        );
        assert!(conditions[0].message.ends_with("ä…") && conditions[0].message.len() < 4200);
    }

    #[test]
    fn the_transition_time_moves_with_the_status_alone() {
        let mut conditions = Vec::new();
        set(&mut conditions, 1, DEPLOYED, false, "Waiting", "for Docker");
        conditions[0].last_transition_time = Time(Timestamp::UNIX_EPOCH);
        set(&mut conditions, 2, DEPLOYED, false, "Deploying", "1/2");
        assert_eq!(conditions[0].last_transition_time, Time(Timestamp::UNIX_EPOCH));
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, 2, DEPLOYED, true, "Deployed", "2/2");
        assert_ne!(conditions[0].last_transition_time, Time(Timestamp::UNIX_EPOCH));
    }
}
