//! What becomes visible: the condition CutOver, the step that is under way, the history, and why nothing is done now.

use std::time::Duration;

use homeport_crds::common::{Outcome as RunOutcome, RunRecord, record_run};
use homeport_crds::conditions::{self, CUT_OVER, Verdict};
use homeport_crds::{Cutover, CutoverStatus};
use homeport_cutover::machine::Waiting;
use jiff::Timestamp;

use super::journal::{self, state};
use crate::runtime::{Failure, Outcome};

/// The reason of a cutover that is done, while its records are as they were set.
pub(super) const CUT_OVER_REASON: &str = "CutOver";
/// The reason of a cutover that is done, whose records somebody has changed since.
pub(super) const DRIFTED: &str = "RecordsChanged";

/// Sets what follows from the state and the outcome of a pass.
pub(super) fn cut_over(cutover: &Cutover, status: &mut CutoverStatus, result: &Result<Outcome, Failure>) {
    status.step = journal::running(status).map(|step| step.name.clone());
    let state = status.state.get_or_insert_with(|| state::PENDING.to_owned());
    let is_cut_over = state == state::CUT_OVER;
    let verdict = match result {
        Ok(outcome) => outcome.verdict.clone(),
        Err(failure) => failure.verdict(),
    };
    let (Verdict::Ready { reason, message }
    | Verdict::InProgress { reason, message }
    | Verdict::Retrying { reason, message }
    | Verdict::Stalled { reason, message }) = verdict;
    let holds = is_cut_over && reason != DRIFTED;
    let reason = if holds { CUT_OVER_REASON } else { &reason };
    let generation = cutover.metadata.generation.unwrap_or_default();
    conditions::set(
        &mut status.conditions,
        generation,
        CUT_OVER,
        holds,
        reason,
        message,
    );
}

/// Puts a run that has ended into the history. It began with `first_step`, or with the first that was made.
pub(super) fn ran(
    cutover: &Cutover,
    status: &mut CutoverStatus,
    (action, outcome): (&str, RunOutcome),
    first_step: &str,
    message: &str,
    now: Timestamp,
) {
    let began = journal::find(status, first_step)
        .into_iter()
        .chain(&status.steps)
        .find_map(|step| step.started_at.clone());
    let run = RunRecord {
        action: action.to_owned(),
        revision: None,
        generation: cutover.metadata.generation.unwrap_or_default(),
        started_at: began.unwrap_or_else(|| journal::text(now)),
        finished_at: journal::text(now),
        outcome,
        message: message.to_owned(),
    };
    record_run(&mut status.history, run);
}

/// Why nothing is done now, in a form that stays the same while nothing changes: what is written to the status wakes
/// the object.
pub(super) fn waiting(
    status: &CutoverStatus,
    why: Waiting,
    message: String,
    again: Duration,
    soak: Duration,
) -> Outcome {
    let reason = match why {
        Waiting::Dependency => "WaitingForBundle",
        Waiting::SyncLag => "WaitingForSync",
        Waiting::Approval => "WaitingForApproval",
        other => other.as_str(),
    };
    let message = match why {
        Waiting::PreChecks => format!("pre-checks do not pass: {message}"),
        Waiting::PostChecks => format!("post-checks do not pass: {message}"),
        Waiting::Soak => soaking(status, soak),
        _ => message,
    };
    Outcome::in_progress(reason, message, again)
}

fn soaking(status: &CutoverStatus, soak: Duration) -> String {
    let until = journal::find(status, journal::SOAK)
        .and_then(|step| step.started_at.as_deref()?.parse::<Timestamp>().ok())
        .and_then(|began| began.checked_add(soak).ok())
        .map(|until| format!(" until {}", journal::text(until)))
        .unwrap_or_default();
    let failing = journal::failures(&status.checks, journal::POST_CHECK);
    let failing = match failing.is_empty() {
        true => String::new(),
        false => format!("; now {failing}"),
    };
    format!("the records are switched; post-checks are repeated{until}{failing}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::begun(
        None,
        Ok(Outcome::in_progress("PreChecks", "m", Duration::ZERO)),
        "False",
        "PreChecks"
    )]
    #[case::done(
        Some(state::CUT_OVER),
        Ok(Outcome::ready(CUT_OVER_REASON, "m", Duration::ZERO)),
        "True",
        "CutOver"
    )]
    #[case::drifted(
        Some(state::CUT_OVER),
        Ok(Outcome::ready(DRIFTED, "m", Duration::ZERO)),
        "False",
        "RecordsChanged"
    )]
    #[case::planned_when_done(
        Some(state::CUT_OVER),
        Ok(Outcome::ready("Planned", "m", Duration::ZERO)),
        "True",
        "CutOver"
    )]
    #[case::back(
        Some(state::ROLLED_BACK),
        Ok(Outcome::ready("RolledBack", "m", Duration::ZERO)),
        "False",
        "RolledBack"
    )]
    #[case::halted(
        Some(state::HALTED),
        Err(Failure::terminal("TargetHasWrites", "m")),
        "False",
        "TargetHasWrites"
    )]
    fn the_condition_tells_where_the_records_point(
        #[case] state: Option<&str>,
        #[case] result: Result<Outcome, Failure>,
        #[case] expected: &str,
        #[case] reason: &str,
    ) {
        let spec = serde_json::from_value(json!({ "provider": { "manual": {} } })).unwrap();
        let cutover = Cutover::new("shop", spec);
        let mut status = CutoverStatus {
            state: state.map(str::to_owned),
            ..CutoverStatus::default()
        };
        cut_over(&cutover, &mut status, &result);
        let condition = conditions::find(&status.conditions, CUT_OVER).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            (expected, reason)
        );
        assert!(status.state.is_some());
    }
}
