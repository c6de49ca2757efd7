//! What a resolution means for the binding: its status, and whether it is ready.

use std::time::Duration;

use homeport_bundle::SecretReference;
use homeport_crds::conditions::{self, SECRETS_RESOLVED};
use homeport_crds::secret_binding::BoundSecret;
use homeport_crds::{SecretBinding, SecretBindingStatus};
use homeport_secrets::Resolution;

use crate::runtime::{Failure, Outcome};

/// Says in status what was resolved and where it came from; never a value.
pub(super) fn report(
    binding: &SecretBinding,
    references: &[SecretReference],
    resolution: &Resolution,
    warnings: &[String],
    status: &mut SecretBindingStatus,
) {
    let found = resolution.values.iter().map(|(name, resolved)| BoundSecret {
        name: name.clone(),
        required: references
            .iter()
            .any(|reference| reference.name == *name && reference.required),
        resolved: true,
        source: Some(resolved.origin.clone()),
        message: String::new(),
    });
    let missing = resolution.missing.iter().map(|missing| BoundSecret {
        name: missing.name.clone(),
        required: missing.required,
        resolved: false,
        source: None,
        message: missing.why.to_string(),
    });
    status.secrets = found.chain(missing).collect();
    status.secrets.sort_by(|a, b| a.name.cmp(&b.name));
    status.resolved = Some(format!("{}/{}", resolution.values.len(), status.secrets.len()));
    if resolution.is_complete() {
        let generation = binding.metadata.generation.unwrap_or_default();
        let (reason, message) = match warnings {
            [] => ("Resolved", "every required secret has a value".to_owned()),
            warnings => ("ResolvedWithWarnings", warnings.join("; ")),
        };
        conditions::set(
            &mut status.conditions,
            generation,
            SECRETS_RESOLVED,
            true,
            reason,
            message,
        );
    }
}

/// Ready where every required secret has a value; else which do not, and how to give one.
pub(super) fn outcome(resolution: &Resolution, refresh: Duration) -> Result<Outcome, Failure> {
    let missing: Vec<String> = resolution
        .missing
        .iter()
        .filter(|missing| missing.required)
        .map(|missing| format!("{} ({})", missing.name, missing.why))
        .collect();
    if missing.is_empty() {
        let message = format!("{} resolved", count(resolution.values.len()));
        return Ok(Outcome::ready("Resolved", message, refresh));
    }
    Err(Failure::transient(
        "Partial",
        format!(
            "{} without a value: {}; give them to one of the sources",
            count(missing.len()),
            missing.join(", ")
        ),
    ))
}

fn count(secrets: usize) -> String {
    match secrets {
        1 => "1 secret".to_owned(),
        n => format!("{n} secrets"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_secrets::{Missing, Resolved, Why};
    use secrecy::SecretString;

    fn resolution(found: &[&str], missing: &[(&str, bool)]) -> Resolution {
        let values = found.iter().map(|name| {
            (
                name.to_string(),
                Resolved {
                    value: SecretString::from("hunter2"),
                    origin: "env".into(),
                },
            )
        });
        let missing = missing.iter().map(|(name, required)| Missing {
            name: name.to_string(),
            required: *required,
            why: Why::NotFound {
                asked: vec!["env".into(), "file".into()],
            },
        });
        Resolution {
            values: values.collect(),
            missing: missing.collect(),
        }
    }

    #[test]
    fn what_is_missing_is_named_with_where_it_was_looked_for() {
        let failure = outcome(
            &resolution(&["A"], &[("B", true), ("C", false)]),
            Duration::from_secs(1),
        )
        .unwrap_err();
        assert_eq!(failure.reason(), "Partial");
        assert_eq!(
            failure.to_string(),
            "1 secret without a value: B (not found in env, file); give them to one of the sources"
        );
    }

    #[test]
    fn what_is_optional_may_be_missing() {
        assert!(outcome(&resolution(&["A"], &[("C", false)]), Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn status_names_sources_and_holds_no_value() {
        let binding = SecretBinding::new(
            "shop",
            serde_json::from_value(serde_json::json!({ "bundleRef": { "name": "shop" }, "sources": [] }))
                .unwrap(),
        );
        let mut status = SecretBindingStatus::default();
        report(
            &binding,
            &[],
            &resolution(&["B"], &[("A", true)]),
            &[],
            &mut status,
        );
        assert_eq!(status.resolved.as_deref(), Some("1/2"));
        assert_eq!(status.secrets[0].name, "A");
        assert_eq!(status.secrets[1].source.as_deref(), Some("env"));
        assert!(!serde_json::to_string(&status).unwrap().contains("hunter2"));
    }
}
