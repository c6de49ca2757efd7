//! What to do about a bundle, from what was observed. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use homeport_bundle::Bundle;
use homeport_crds::RECONCILE_AT;
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

/// Deploys where the release is not the current one, where something would change, where something of it is gone or
/// was changed, and, if health is waited for, where something is not healthy.
pub(super) fn next(is_current: bool, wait: bool, changes: &[StackChange], states: &[StackState]) -> Step {
    let unchanged = changes.iter().all(|change| change.change == Change::Unchanged);
    let fine = states.iter().all(|state| match state.phase {
        StackPhase::Healthy => state.drift.is_none(),
        StackPhase::Deploying | StackPhase::Unhealthy => !wait && state.drift.is_none(),
        StackPhase::Pending | StackPhase::Missing => false,
    });
    if is_current && unchanged && fine {
        Step::Rest
    } else {
        Step::Deploy
    }
}

/// Whether the bundle names a secret.
pub(super) fn is_declared(bundle: &Bundle, name: &str) -> bool {
    bundle
        .secrets
        .as_ref()
        .is_some_and(|manifest| manifest.get(name).is_some())
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

/// What runs, as the outcome of a pass. Not all of it need be healthy where health is not waited for.
pub(super) fn outcome(states: &[StackState], again_in: Duration) -> Outcome {
    let message = format!("{} stacks healthy", summary(states));
    if states.iter().all(|state| state.phase == StackPhase::Healthy) {
        Outcome::ready("Healthy", message, again_in)
    } else {
        Outcome::in_progress("Partial", message, again_in)
    }
}

/// A failure of work that is remembered: one that is final says how it is tried again all the same.
pub(super) fn kept(failure: Failure) -> Failure {
    match failure {
        Failure::Terminal { reason, message } => Failure::Terminal {
            reason,
            message: format!(
                "{message}\n(not tried again until the bundle or the spec is another one; to try now: kubectl annotate \
                 hprtbundle NAME --overwrite {RECONCILE_AT}=\"$(date)\")"
            ),
        },
        other => other,
    }
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
    use homeport_crds::conditions::Verdict;
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
    #[case::as_it_shall_be(true, true, Change::Unchanged, StackPhase::Healthy, None, Step::Rest)]
    #[case::never_ended(false, true, Change::Unchanged, StackPhase::Healthy, None, Step::Deploy)]
    #[case::new(false, true, Change::Create, StackPhase::Pending, None, Step::Deploy)]
    #[case::changed(true, true, Change::Update, StackPhase::Healthy, None, Step::Deploy)]
    #[case::broken(true, true, Change::Unchanged, StackPhase::Unhealthy, None, Step::Deploy)]
    #[case::broken_and_not_waited_for(
        true,
        false,
        Change::Unchanged,
        StackPhase::Unhealthy,
        None,
        Step::Rest
    )]
    #[case::removed_by_hand(true, false, Change::Unchanged, StackPhase::Missing, None, Step::Deploy)]
    #[case::drifted(
        true,
        true,
        Change::Unchanged,
        StackPhase::Healthy,
        Some("image"),
        Step::Deploy
    )]
    fn the_next_step(
        #[case] is_current: bool,
        #[case] wait: bool,
        #[case] planned: Change,
        #[case] phase: StackPhase,
        #[case] drift: Option<&str>,
        #[case] expected: Step,
    ) {
        let step = next(
            is_current,
            wait,
            &[change("web", planned)],
            &[state(phase, drift)],
        );
        assert_eq!(step, expected);
    }

    #[test]
    fn what_is_not_all_healthy_is_not_ready() {
        let outcome = outcome(&[state(StackPhase::Unhealthy, None)], Duration::from_secs(1));
        assert!(matches!(outcome.verdict, Verdict::InProgress { .. }));
    }

    #[test]
    fn a_final_failure_says_how_to_try_again() {
        let failure = kept(Failure::terminal("HookFailed", "exit status 1"));
        assert!(failure.to_string().contains("homeport.dev/reconcile-at"));
        let transient = Failure::transient("ImageMissing", "no image");
        assert_eq!(kept(transient.clone()), transient);
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
