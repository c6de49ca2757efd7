//! What to do about a bundle, from what was observed. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use homeport_bundle::Bundle;
use homeport_deploy::{Change, StackChange, StackPhase, StackState, summary};
use secrecy::SecretString;

use crate::runtime::{Failure, Outcome};

/// The next step of a bundle whose bundle, secrets and target are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the target is as it shall be.
    Rest,
    /// Deploy, or mend.
    Deploy,
}

/// Deploys where the release is not the current one, where something would change, or where something is not healthy.
pub(super) fn next(is_current: bool, changes: &[StackChange], states: &[StackState]) -> Step {
    let unchanged = changes.iter().all(|change| change.change == Change::Unchanged);
    let healthy = states
        .iter()
        .all(|state| state.phase == StackPhase::Healthy && state.drift.is_none());
    if is_current && unchanged && healthy {
        Step::Rest
    } else {
        Step::Deploy
    }
}

/// The required secrets that have no value, by name.
pub(super) fn missing_secrets(bundle: &Bundle, values: &BTreeMap<String, SecretString>) -> Vec<String> {
    let required = bundle
        .secrets
        .iter()
        .flat_map(|manifest| &manifest.secrets)
        .filter(|secret| secret.required);
    required
        .filter(|secret| !values.contains_key(&secret.name))
        .map(|secret| secret.name.clone())
        .collect()
}

/// The wait for secrets, which a SecretBinding ends.
pub(super) fn waiting_for_secrets(missing: &[String]) -> Failure {
    Failure::waiting(
        "WaitingForSecrets",
        format!(
            "no value for {}; a SecretBinding that names this bundle gives them",
            missing.join(", ")
        ),
    )
}

/// What runs, as the outcome of a pass.
pub(super) fn healthy_outcome(states: &[StackState], again_in: Duration) -> Outcome {
    Outcome::ready("Healthy", format!("{} stacks healthy", summary(states)), again_in)
}

/// The changes in one line: `create database, web`.
pub(super) fn plan_summary(changes: &[StackChange]) -> String {
    let verbs = [
        (Change::Create, "create"),
        (Change::Update, "update"),
        (Change::Remove, "remove"),
        (Change::Unchanged, "leave"),
    ];
    let parts = verbs.into_iter().filter_map(|(change, verb)| {
        let stacks: Vec<&str> = changes
            .iter()
            .filter(|c| c.change == change)
            .map(|c| c.stack.as_str())
            .collect();
        (!stacks.is_empty()).then(|| format!("{verb} {}", stacks.join(", ")))
    });
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_deploy::ServiceState;
    use rstest::rstest;

    fn change(stack: &str, change: Change) -> StackChange {
        StackChange {
            stack: stack.into(),
            change,
            reason: String::new(),
        }
    }

    fn state(phase: StackPhase, drift: Option<&str>) -> StackState {
        let service = ServiceState {
            name: "app".into(),
            state: "running".into(),
            health: String::new(),
            exit_code: None,
            image: String::new(),
            healthy: phase == StackPhase::Healthy,
        };
        StackState {
            name: "web".into(),
            phase,
            services: vec![service],
            drift: drift.map(str::to_owned),
        }
    }

    #[rstest]
    #[case::as_it_shall_be(true, Change::Unchanged, StackPhase::Healthy, None, Step::Rest)]
    #[case::never_ended(false, Change::Unchanged, StackPhase::Healthy, None, Step::Deploy)]
    #[case::new(false, Change::Create, StackPhase::Pending, None, Step::Deploy)]
    #[case::changed(true, Change::Update, StackPhase::Healthy, None, Step::Deploy)]
    #[case::broken(true, Change::Unchanged, StackPhase::Unhealthy, None, Step::Deploy)]
    #[case::removed_by_hand(true, Change::Unchanged, StackPhase::Missing, None, Step::Deploy)]
    #[case::drifted(true, Change::Unchanged, StackPhase::Healthy, Some("image"), Step::Deploy)]
    fn the_next_step(
        #[case] is_current: bool,
        #[case] planned: Change,
        #[case] phase: StackPhase,
        #[case] drift: Option<&str>,
        #[case] expected: Step,
    ) {
        assert_eq!(
            next(is_current, &[change("web", planned)], &[state(phase, drift)]),
            expected
        );
    }

    #[test]
    fn only_required_secrets_are_waited_for() {
        let bundle = Bundle {
            secrets: Some(
                serde_json::from_str(
                    r#"{"secrets":[{"name":"A","source":"env"},{"name":"B","source":"env","required":false},
                        {"name":"C","source":"env"}]}"#,
                )
                .unwrap(),
            ),
            ..Bundle::default()
        };
        let values = BTreeMap::from([("C".to_owned(), SecretString::from("x"))]);
        assert_eq!(missing_secrets(&bundle, &values), ["A"]);
    }

    #[test]
    fn a_plan_reads_as_one_line() {
        let changes = [
            change("a", Change::Create),
            change("b", Change::Unchanged),
            change("c", Change::Create),
        ];
        assert_eq!(plan_summary(&changes), "create a, c; leave b");
    }
}
