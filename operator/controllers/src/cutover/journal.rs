//! What was done so far: the status of a Cutover, read and written as the decisions of the domain need it.
//!
//! The steps are the journal. `Capture` is Done once `status.records` holds the records as they were, `Switch` once the
//! change is made, `Propagation` once all name servers showed it, `Soak` once the cutover is done; `Rollback` is there
//! once a rollback was decided.

use std::time::Duration;

use homeport_crds::cutover::{
    CheckStatus, CutoverMode, CutoverSpec, CutoverStep, DesiredState, RecordStatus, RecordType as TypeStatus,
    RecordValues,
};
use homeport_crds::{Cutover, CutoverStatus, RECONCILE_AT, conditions};
use homeport_cutover::machine::{Approval, Cause, Desired, Mode, Reason, Round};
use homeport_cutover::plan::OnFailure;
use homeport_cutover::{
    Captured, Facts, Journal, Measurement, Observed, Plan, RecordKey, RecordSet, RecordType,
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::definition;

pub(super) const PRE_CHECKS: &str = "PreChecks";
pub(super) const CAPTURE: &str = "Capture";
pub(super) const SWITCH: &str = "Switch";
pub(super) const PROPAGATION: &str = "Propagation";
pub(super) const POST_CHECKS: &str = "PostChecks";
pub(super) const SOAK: &str = "Soak";
pub(super) const ROLLBACK: &str = "Rollback";
pub(super) const ROLLBACK_PROPAGATION: &str = "RollbackPropagation";

/// The steps of the way to the target, in order.
const FORWARD: [&str; 6] = [PRE_CHECKS, CAPTURE, SWITCH, PROPAGATION, POST_CHECKS, SOAK];

pub(super) const PENDING: &str = "Pending";
const RUNNING: &str = "Running";
const DONE: &str = "Done";
const FAILED: &str = "Failed";
const SKIPPED: &str = "Skipped";

/// `status.state`.
pub(super) mod state {
    pub(in crate::cutover) const PENDING: &str = "Pending";
    pub(in crate::cutover) const CUTTING_OVER: &str = "CuttingOver";
    pub(in crate::cutover) const CUT_OVER: &str = "CutOver";
    pub(in crate::cutover) const ROLLING_BACK: &str = "RollingBack";
    pub(in crate::cutover) const ROLLED_BACK: &str = "RolledBack";
    pub(in crate::cutover) const HALTED: &str = "Halted";
    pub(in crate::cutover) const PLANNED: &str = "Planned";
}

/// `phase` of a check.
pub(super) const PRE_CHECK: &str = "PreCheck";
/// `phase` of a check.
pub(super) const POST_CHECK: &str = "PostCheck";

/// How often pre-checks are made while they fail. A good round is believed for five of these.
const BEFORE_SWITCH: Duration = Duration::from_secs(10);
/// How often post-checks are made, where none says.
const AFTER_SWITCH: Duration = Duration::from_secs(2);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// What the object alone says: no plan, nothing that was looked at.
pub(super) fn facts(cutover: &Cutover, status: &CutoverStatus, now: Timestamp) -> Facts {
    let spec = &cutover.spec;
    let since = |time: Option<&str>| time.map_or(Duration::ZERO, |time| since(time, now));
    let began = |name| find(status, name).and_then(|step| step.started_at.as_deref());
    Facts {
        desired: match spec.desired {
            DesiredState::CutOver => Desired::CutOver,
            DesiredState::RolledBack => Desired::RolledBack,
        },
        mode: match spec.mode {
            CutoverMode::Apply => Mode::Apply,
            CutoverMode::DryRun => Mode::DryRun,
            CutoverMode::Manual => Mode::Manual,
        },
        on_failure: OnFailure::Pause,
        check_interval: BEFORE_SWITCH,
        retry: is_asked_again(cutover, status),
        approval: match (spec.approval.required, spec.approval.approved) {
            (false, _) => Approval::NotRequired,
            (true, false) => Approval::Awaited,
            (true, true) => Approval::Given,
        },
        journal: journal(status, now),
        since_switching: since(began(SWITCH)),
        since_switch: since(status.switched_at.as_deref()),
        since_soak: since(began(SOAK)),
        ..Facts::default()
    }
}

/// Adds what the plan says.
pub(super) fn add_plan(facts: &mut Facts, plan: &Plan) {
    facts.on_failure = plan.on_failure;
    facts.timeouts = plan.timeouts;
    facts.soak = plan.soak;
    facts.has_pre_checks = !plan.pre_checks.is_empty();
    facts.has_post_checks = !plan.post_checks.is_empty();
    if facts.journal.switched {
        let shortest = plan.post_checks.iter().map(|check| check.interval).min();
        facts.check_interval = shortest
            .unwrap_or(AFTER_SWITCH)
            .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
    }
}

/// Whether the spec is another one than at the last pass, or the annotation asks for a run. The condition CutOver is
/// set at every pass, so it tells which generation that was.
fn is_asked_again(cutover: &Cutover, status: &CutoverStatus) -> bool {
    let seen = conditions::find(&status.conditions, conditions::CUT_OVER)
        .and_then(|condition| condition.observed_generation);
    let asked = cutover.annotations().get(RECONCILE_AT);
    seen.is_some_and(|seen| Some(seen) != cutover.metadata.generation)
        || asked.is_some() && asked != status.last_handled_reconcile_at.as_ref()
}

pub(super) fn journal(status: &CutoverStatus, now: Timestamp) -> Journal {
    let is_done = |name| find(status, name).is_some_and(|step| step.state == DONE);
    let soak = find(status, SOAK).map(|step| step.state.as_str());
    Journal {
        pre_checks: round(status, PRE_CHECK, now),
        captured: !status.records.is_empty(),
        outdated: !status.records.is_empty()
            && find(status, CAPTURE).is_some_and(|step| step.state == PENDING),
        switched: is_done(SWITCH),
        propagated: is_done(PROPAGATION),
        post_checks: round(status, POST_CHECK, now),
        soaking: matches!(soak, Some(RUNNING | DONE)),
        done: is_done(SOAK),
        rolling_back: find(status, ROLLBACK).map(|step| cause(&step.message)),
        restored: is_done(ROLLBACK),
        restored_seen: is_done(ROLLBACK_PROPAGATION),
        halted: (status.state.as_deref() == Some(state::HALTED))
            .then(|| cause(status.triggered_by.as_deref().unwrap_or_default())),
    }
}

/// The last round of checks of a phase.
fn round(status: &CutoverStatus, phase: &str, now: Timestamp) -> Option<Round> {
    let checks = || status.checks.iter().filter(|check| check.phase == phase);
    let age = checks().map(|check| since(&check.at, now)).min()?;
    Some(Round {
        passed: checks().all(|check| check.passed),
        message: failures(&status.checks, phase),
        age,
    })
}

/// What those checks of a phase saw that did not pass.
pub(super) fn failures(checks: &[CheckStatus], phase: &str) -> String {
    checks
        .iter()
        .filter(|check| check.phase == phase && !check.passed)
        .map(|check| format!("{}: {}", check.name, check.message))
        .collect::<Vec<_>>()
        .join("; ")
}

/// The form in which a cause is kept, and read again by [`cause`].
pub(super) fn cause_text(reason: &str, message: &str) -> String {
    format!("{reason}: {message}")
}

/// The reason and the message of a cause that is kept.
pub(super) fn split_cause(text: &str) -> (&str, &str) {
    text.split_once(": ").unwrap_or(("Halted", text))
}

fn cause(text: &str) -> Cause {
    let (name, message) = split_cause(text);
    let known = [
        Reason::Requested,
        Reason::PostChecksFailed,
        Reason::TriggerFired,
        Reason::NotPropagated,
        Reason::TimedOut,
        Reason::RecordsChanged,
    ];
    Cause {
        reason: known
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .unwrap_or(Reason::PostChecksFailed),
        message: message.to_owned(),
    }
}

/// The records as they were captured.
pub(super) fn captured(status: &CutoverStatus) -> Vec<Captured> {
    let set = |values: &RecordValues| RecordSet {
        ttl: values.ttl,
        values: values.values.clone(),
    };
    status
        .records
        .iter()
        .map(|record| Captured {
            key: RecordKey {
                zone: record.zone.clone(),
                name: record.name.clone(),
                record_type: definition::record_type(record.record_type),
            },
            before: record.before.as_ref().map(set),
            after: record.after.as_ref().map(set),
            owner_before: record.owner_before.clone(),
        })
        .collect()
}

/// Records what was captured. Of a record that is there already, the time stays.
pub(super) fn record_capture(status: &mut CutoverStatus, captured: Vec<Captured>, now: Timestamp) {
    let earlier = std::mem::take(&mut status.records);
    let captured_at = |key: &RecordKey| {
        let kept = earlier.iter().find(|record| {
            record.zone == key.zone
                && record.name == key.name
                && definition::record_type(record.record_type) == key.record_type
        });
        kept.map_or_else(|| text(now), |record| record.captured_at.clone())
    };
    status.records = captured
        .into_iter()
        .map(|record| RecordStatus {
            captured_at: captured_at(&record.key),
            record_type: type_status(record.key.record_type),
            zone: record.key.zone,
            name: record.key.name,
            before: record.before.map(values),
            after: record.after.map(values),
            owner_before: record.owner_before,
        })
        .collect();
}

fn values(set: RecordSet) -> RecordValues {
    RecordValues {
        ttl: set.ttl,
        values: set.values,
    }
}

const fn type_status(record_type: RecordType) -> TypeStatus {
    match record_type {
        RecordType::A => TypeStatus::A,
        RecordType::AAAA => TypeStatus::AAAA,
        RecordType::CNAME => TypeStatus::CNAME,
        RecordType::MX => TypeStatus::MX,
        RecordType::TXT => TypeStatus::TXT,
        RecordType::SRV => TypeStatus::SRV,
        RecordType::CAA => TypeStatus::CAA,
    }
}

/// Brings what was captured before an earlier switch up to a plan: its records are to be as the plan wants them, and
/// come from where they came from first. Those that the plan leaves out stay as they are found, and keep their way back.
/// `added` are the records that the plan has in addition.
pub(super) fn merge_capture(
    captured: Vec<Captured>,
    plan: &Plan,
    added: Vec<Captured>,
    observed: &Observed,
) -> Vec<Captured> {
    let concerned = plan.keys();
    let mut merged = captured;
    for record in &mut merged {
        let wanted = plan.changes.iter().find(|change| change.key == record.key);
        record.after = match wanted {
            Some(change) => Some(change.wanted.clone()),
            // It stands where the plan wants a record of another type.
            None if concerned.contains(&record.key) => None,
            None => observed.records.get(&record.key).cloned(),
        };
    }
    for record in added {
        if !merged.iter().any(|kept| kept.key == record.key) {
            merged.push(record);
        }
    }
    merged.sort_by(|one, other| one.key.cmp(&other.key));
    merged
}

/// The part of a plan that is of other records than those that were switched before.
pub(super) fn additions(plan: &Plan, captured: &[Captured]) -> Plan {
    let is_switched = |key: &RecordKey| {
        captured
            .iter()
            .any(|record| record.key == *key && record.after.is_some())
    };
    let mut plan = plan.clone();
    plan.changes.retain(|change| !is_switched(&change.key));
    plan
}

/// Whether a plan wants a record otherwise than it was captured for.
pub(super) fn wants_more(plan: &Plan, captured: &[Captured]) -> bool {
    let is_kept = |change: &homeport_cutover::RecordChange| {
        captured
            .iter()
            .any(|record| record.key == change.key && record.after.as_ref() == Some(&change.wanted))
    };
    !plan.changes.iter().all(is_kept)
}

/// Whether a plan asks for other records than those that were captured.
pub(super) fn is_another_plan(plan: &Plan, captured: &[Captured]) -> bool {
    let kept = captured.iter().filter(|record| record.after.is_some()).count();
    kept != plan.changes.len() || wants_more(plan, captured)
}

/// Replaces the results of a phase's checks.
pub(super) fn record_checks(status: &mut CutoverStatus, phase: &str, measured: &[Measurement]) {
    status.checks.retain(|check| check.phase != phase);
    status
        .checks
        .extend(measured.iter().map(|measurement| CheckStatus {
            name: measurement.check.clone(),
            phase: phase.to_owned(),
            passed: measurement.passed(),
            latency_ms: i64::try_from(measurement.latency_ms).ok(),
            at: text(measurement.at),
            message: measurement.message.clone(),
        }));
}

/// Makes a status ready for what the spec asks for now: what belongs to another mode goes, and a first run begins.
pub(super) fn prepare(status: &mut CutoverStatus, spec: &CutoverSpec) {
    if spec.mode != CutoverMode::Manual {
        status.instructions.clear();
    }
    if spec.mode == CutoverMode::DryRun {
        return;
    }
    status.plan.clear();
    if status.state.as_deref() == Some(state::PLANNED) {
        status.state = Some(state::PENDING.to_owned());
    }
    let is_open = spec.desired == DesiredState::CutOver;
    if is_open && status.steps.is_empty() {
        begin(status);
    } else if !is_open && status.records.is_empty() {
        // Nothing was changed: what was begun is called off.
        begin(status);
        status.steps.clear();
        status.state = Some(state::ROLLED_BACK.to_owned());
    }
}

/// Begins a run: nothing is captured, and no step is made.
pub(super) fn begin(status: &mut CutoverStatus) {
    status.state = Some(state::PENDING.to_owned());
    status.steps = FORWARD.map(pending).into();
    status.records.clear();
    status.observed.clear();
    status.checks.clear();
    status.instructions.clear();
    status.write_marks.clear();
    status.triggered_by = None;
    status.switched_at = None;
}

/// Begins another run on top of a switch that was made: what the records were before that one, and the marks of that
/// time, stay what a rollback goes by. They are brought up to the plan once the gates hold, see [`merge_capture`].
pub(super) fn begin_on_top(status: &mut CutoverStatus) {
    let (records, marks) = (
        std::mem::take(&mut status.records),
        std::mem::take(&mut status.write_marks),
    );
    let switched_at = status.switched_at.take();
    begin(status);
    status.records = records;
    status.write_marks = marks;
    status.switched_at = switched_at;
    status.state = Some(state::CUTTING_OVER.to_owned());
}

/// Whether a run goes on top of a switch that was made before.
pub(super) fn is_on_top(status: &CutoverStatus) -> bool {
    status.switched_at.is_some() && find(status, SWITCH).is_some_and(|step| step.state != DONE)
}

/// Whether a record may have been changed: the switch was begun, at least.
pub(super) fn may_be_switched(status: &CutoverStatus) -> bool {
    find(status, SWITCH).is_some_and(|step| step.state != PENDING)
}

/// Takes a halted run up again: what failed is to be done once more, and what was captured is kept. A switch that was
/// begun stays begun, since records may be changed already, and has all its time again.
pub(super) fn resume(status: &mut CutoverStatus, now: Timestamp) {
    status.state = Some(state::CUTTING_OVER.to_owned());
    status.triggered_by = None;
    status.checks.retain(|check| check.phase != POST_CHECK);
    let failed = status.steps.iter().position(|step| step.state == FAILED);
    let is_begun = may_be_switched(status);
    for step in status.steps.iter_mut().skip(failed.unwrap_or(usize::MAX)) {
        if step.name != CAPTURE {
            *step = pending(&step.name);
        }
        if step.name == SWITCH && is_begun {
            step.state = RUNNING.to_owned();
            step.started_at = Some(text(now));
        }
    }
    // A soak follows checks that have passed just before.
    if let Some(step) = status
        .steps
        .iter_mut()
        .find(|step| step.name == POST_CHECKS && step.state == DONE)
    {
        *step = pending(POST_CHECKS);
    }
}

/// Records that a rollback is decided. Steps that were not made will not be.
pub(super) fn decide_rollback(status: &mut CutoverStatus, cause: &Cause, now: Timestamp) {
    let text = cause_text(cause.reason.as_str(), &cause.message);
    let open = if cause.reason == Reason::Requested {
        SKIPPED
    } else {
        FAILED
    };
    close_running(status, open, &cause.message, now);
    for step in status.steps.iter_mut().filter(|step| step.state == PENDING) {
        step.state = SKIPPED.to_owned();
    }
    status.state = Some(state::ROLLING_BACK.to_owned());
    status.triggered_by = Some(text.clone());
    status.instructions.clear();
    status.steps.extend([ROLLBACK, ROLLBACK_PROPAGATION].map(pending));
    start(status, ROLLBACK, now);
    say(status, ROLLBACK, text);
}

/// Records that the run is halted.
pub(super) fn halt(status: &mut CutoverStatus, reason: &str, message: &str, now: Timestamp) {
    status.state = Some(state::HALTED.to_owned());
    status.triggered_by = Some(cause_text(reason, message));
    status.instructions.clear();
    // A rollback that is halted goes on once its records are known again.
    if find(status, ROLLBACK).is_none() {
        close_running(status, FAILED, message, now);
    }
}

fn close_running(status: &mut CutoverStatus, state: &str, message: &str, now: Timestamp) {
    for step in status.steps.iter_mut().filter(|step| step.state == RUNNING) {
        step.state = state.to_owned();
        step.finished_at = Some(text(now));
        step.message = message.to_owned();
    }
}

fn pending(name: &str) -> CutoverStep {
    CutoverStep {
        name: name.to_owned(),
        state: PENDING.to_owned(),
        ..CutoverStep::default()
    }
}

pub(super) fn find<'a>(status: &'a CutoverStatus, name: &str) -> Option<&'a CutoverStep> {
    status.steps.iter().find(|step| step.name == name)
}

/// The step that is under way.
pub(super) fn running(status: &CutoverStatus) -> Option<&CutoverStep> {
    status.steps.iter().find(|step| step.state == RUNNING)
}

fn with(status: &mut CutoverStatus, name: &str, change: impl FnOnce(&mut CutoverStep)) {
    if let Some(step) = status.steps.iter_mut().find(|step| step.name == name) {
        change(step);
    }
}

/// Records that a step is under way. The time is that of the first try.
pub(super) fn start(status: &mut CutoverStatus, name: &str, now: Timestamp) {
    with(status, name, |step| {
        step.state = RUNNING.to_owned();
        step.finished_at = None;
        step.started_at.get_or_insert_with(|| text(now));
    });
}

/// Records that a step is done.
pub(super) fn finish(status: &mut CutoverStatus, name: &str, now: Timestamp) {
    with(status, name, |step| {
        step.state = DONE.to_owned();
        step.started_at.get_or_insert_with(|| text(now));
        step.finished_at = Some(text(now));
    });
}

/// Records that there is nothing to do for a step.
pub(super) fn skip(status: &mut CutoverStatus, name: &str) {
    with(status, name, |step| {
        if step.state == PENDING {
            step.state = SKIPPED.to_owned();
        }
    });
}

/// Records that a step is to be made again.
pub(super) fn put_off(status: &mut CutoverStatus, name: &str) {
    with(status, name, |step| {
        if step.state == RUNNING {
            *step = pending(name);
        }
    });
}

/// Records what there is to say of a step.
pub(super) fn say(status: &mut CutoverStatus, name: &str, message: impl Into<String>) {
    with(status, name, |step| step.message = message.into());
}

/// A time as status has it, to the millisecond.
pub(super) fn text(time: Timestamp) -> String {
    Timestamp::from_millisecond(time.as_millisecond())
        .unwrap_or(time)
        .to_string()
}

/// The time since a time in status; none where it is no time or in the future.
fn since(time: &str, now: Timestamp) -> Duration {
    time.parse::<Timestamp>()
        .ok()
        .and_then(|time| Duration::try_from(now.duration_since(time)).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_cutover::ChangeSet;
    use rstest::rstest;

    fn set(values: &[&str]) -> RecordSet {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        RecordSet::parse(RecordType::A, 300, &values).unwrap()
    }

    fn one_captured() -> Vec<Captured> {
        let key = |record_type| RecordKey::new("shop.example", "www.shop.example", record_type).unwrap();
        vec![
            Captured {
                key: key(RecordType::A),
                before: Some(set(&["203.0.113.1", "203.0.113.2"])),
                after: Some(set(&["192.0.2.9"])),
                owner_before: Some("default/other".into()),
            },
            Captured {
                key: key(RecordType::CNAME),
                before: None,
                after: None,
                owner_before: None,
            },
        ]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A run up to a step, which is under way.
    fn run_up_to(name: &str) -> CutoverStatus {
        let mut status = CutoverStatus::default();
        begin(&mut status);
        for step in FORWARD.into_iter().take_while(|step| *step != name) {
            finish(&mut status, step, at(1));
            if step == CAPTURE {
                record_capture(&mut status, one_captured(), at(1));
                status.state = Some(state::CUTTING_OVER.into());
            }
        }
        start(&mut status, name, at(2));
        status
    }

    #[test]
    fn what_was_captured_comes_back_as_it_was() {
        let mut status = CutoverStatus::default();
        record_capture(&mut status, one_captured(), at(1));
        let kept: CutoverStatus = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        assert_eq!(captured(&kept), one_captured());
    }

    #[rstest]
    #[case(PRE_CHECKS, Journal::default())]
    #[case(SWITCH, Journal { captured: true, ..Journal::default() })]
    #[case(PROPAGATION, Journal { captured: true, switched: true, ..Journal::default() })]
    #[case(POST_CHECKS, Journal { captured: true, switched: true, propagated: true, ..Journal::default() })]
    #[case(SOAK, Journal { captured: true, switched: true, propagated: true, soaking: true, ..Journal::default() })]
    fn the_steps_are_the_journal(#[case] step: &str, #[case] expected: Journal) {
        assert_eq!(journal(&run_up_to(step), at(3)), expected);
    }

    #[test]
    fn a_rollback_keeps_its_cause_and_closes_the_steps() {
        let mut status = run_up_to(POST_CHECKS);
        let why = Cause {
            reason: Reason::TriggerFired,
            message: "page: status 500".into(),
        };
        decide_rollback(&mut status, &why, at(4));
        let read = journal(&status, at(5));
        assert_eq!(read.rolling_back, Some(why));
        assert!(!read.restored && read.captured);
        let states: Vec<&str> = status.steps.iter().map(|step| step.state.as_str()).collect();
        assert_eq!(
            states,
            [DONE, DONE, DONE, DONE, FAILED, SKIPPED, RUNNING, PENDING]
        );
        finish(&mut status, ROLLBACK, at(5));
        finish(&mut status, ROLLBACK_PROPAGATION, at(5));
        let read = journal(&status, at(6));
        assert!(read.restored && read.restored_seen && read.rolling_back.is_some());
    }

    #[rstest]
    #[case(PROPAGATION, &[PROPAGATION, POST_CHECKS, SOAK])]
    #[case(SOAK, &[POST_CHECKS, SOAK])]
    fn a_halted_run_is_taken_up_where_it_failed(#[case] step: &str, #[case] again: &[&str]) {
        let mut status = run_up_to(step);
        halt(&mut status, "NotPropagated", "why: this", at(3));
        let halted = journal(&status, at(4)).halted.unwrap();
        assert_eq!(
            (halted.reason, halted.message.as_str()),
            (Reason::NotPropagated, "why: this")
        );
        resume(&mut status, at(4));
        let read = journal(&status, at(4));
        assert_eq!(read.halted, None);
        assert!(read.captured && read.switched && !read.soaking);
        let pending: Vec<&str> = status
            .steps
            .iter()
            .filter(|step| step.state == PENDING)
            .map(|step| step.name.as_str())
            .collect();
        assert_eq!(pending, again);
    }

    #[rstest]
    #[case::once(SWITCH, 1)]
    #[case::twice(SWITCH, 2)]
    #[case::while_checks_were_made_again(PRE_CHECKS, 1)]
    fn a_switch_that_was_begun_stays_so_however_often_it_is_taken_up(
        #[case] also_running: &str,
        #[case] times: i64,
    ) {
        let mut status = run_up_to(SWITCH);
        start(&mut status, also_running, at(3));
        let spec = serde_json::from_value(serde_json::json!({ "provider": { "manual": {} } })).unwrap();
        let cutover = Cutover::new("shop", spec);
        for time in 1..=times {
            halt(&mut status, "TimedOut", "why", at(1_000 * time));
            assert!(may_be_switched(&status), "nothing is captured anew");
            resume(&mut status, at(1_000 * time + 500));
            assert!(may_be_switched(&status));
            assert_eq!(captured(&status), one_captured());
            let facts = facts(&cutover, &status, at(1_000 * time + 502));
            assert!(facts.journal.captured && !facts.journal.switched);
            assert_eq!(
                facts.since_switching,
                Duration::from_secs(2),
                "it is applied again first"
            );
        }
    }

    #[test]
    fn a_round_of_checks_is_as_old_as_its_last_check_and_as_good_as_its_worst() {
        let mut status = run_up_to(POST_CHECKS);
        let measurement = |check: &str, second, verdict| Measurement {
            check: check.into(),
            at: at(second),
            latency_ms: 5,
            verdict,
            observed: "500".into(),
            message: "as it is".into(),
        };
        use homeport_cutover::check::Verdict::{Fail, Pass};
        record_checks(&mut status, POST_CHECK, &[measurement("a", 10, Fail)]);
        let measured = [measurement("a", 20, Pass), measurement("b", 22, Fail)];
        record_checks(&mut status, POST_CHECK, &measured);
        let round = journal(&status, at(25)).post_checks.unwrap();
        assert_eq!(
            round,
            Round {
                passed: false,
                message: "b: as it is".into(),
                age: Duration::from_secs(3)
            }
        );
        assert_eq!(journal(&status, at(25)).pre_checks, None);
    }

    #[rstest]
    #[case(CAPTURE, false)]
    #[case(SWITCH, true)]
    #[case(PROPAGATION, true)]
    fn nothing_is_changed_before_the_switch_begins(#[case] step: &str, #[case] expected: bool) {
        assert_eq!(may_be_switched(&run_up_to(step)), expected);
    }

    #[rstest]
    #[case::new(None, 1, false)]
    #[case::as_it_was(Some(1), 1, false)]
    #[case::edited(Some(1), 2, true)]
    fn an_edit_asks_again(#[case] seen: Option<i64>, #[case] generation: i64, #[case] expected: bool) {
        let spec = serde_json::from_value(serde_json::json!({ "provider": { "manual": {} } })).unwrap();
        let mut cutover = Cutover::new("shop", spec);
        cutover.metadata.generation = Some(generation);
        let mut status = CutoverStatus::default();
        if let Some(seen) = seen {
            conditions::set(
                &mut status.conditions,
                seen,
                conditions::CUT_OVER,
                false,
                "Why",
                "",
            );
        }
        assert_eq!(is_asked_again(&cutover, &status), expected);
        cutover
            .annotations_mut()
            .insert(RECONCILE_AT.into(), "now".into());
        assert!(is_asked_again(&cutover, &status));
        status.last_handled_reconcile_at = Some("now".into());
        assert_eq!(is_asked_again(&cutover, &status), expected);
    }

    #[test]
    fn another_value_is_another_plan() {
        let plan = |value: &str| {
            let change = homeport_cutover::RecordChange {
                key: one_captured()[0].key.clone(),
                wanted: set(&[value]),
                expected_before: None,
            };
            Plan::new("default/shop", vec![change]).unwrap()
        };
        assert!(!is_another_plan(&plan("192.0.2.9"), &one_captured()));
        assert!(is_another_plan(&plan("192.0.2.10"), &one_captured()));

        let mut status = run_up_to(SOAK);
        finish(&mut status, SOAK, at(3));
        status.switched_at = Some(text(at(2)));
        assert!(!is_on_top(&status));
        begin_on_top(&mut status);
        assert!(is_on_top(&status) && !may_be_switched(&status));
        assert_eq!(captured(&status), one_captured(), "the way back stays");
        let read = journal(&status, at(4));
        assert!(read.captured && read.outdated && !read.switched && !read.done);

        finish(&mut status, CAPTURE, at(5));
        assert!(!journal(&status, at(5)).outdated);
        record_capture(&mut status, one_captured(), at(5));
        assert_eq!(status.records[0].captured_at, text(at(1)), "captured once");
    }

    /// A record: `a` or `b`, its type, before, after.
    type Row = (
        &'static str,
        RecordType,
        Option<&'static str>,
        Option<&'static str>,
    );

    fn rows(captured: &[Captured]) -> Vec<(String, RecordType, Option<String>, Option<String>)> {
        let value = |set: &Option<RecordSet>| set.as_ref().map(|set| set.values[0].clone());
        captured
            .iter()
            .map(|record| {
                let name = record.key.name.trim_end_matches(".shop.example").to_owned();
                (
                    name,
                    record.key.record_type,
                    value(&record.before),
                    value(&record.after),
                )
            })
            .collect()
    }

    /// `a` was at 192.0.2.1 before homeport pointed it at 192.0.2.2, and `b` is at 192.0.2.5, which is not homeport's.
    #[rstest]
    #[case::another_value(
        &[("a", RecordType::A, "192.0.2.3")],
        &[("a", RecordType::A, Some("192.0.2.1"), Some("192.0.2.3"))],
    )]
    #[case::one_more(
        &[("a", RecordType::A, "192.0.2.2"), ("b", RecordType::A, "192.0.2.6")],
        &[
            ("a", RecordType::A, Some("192.0.2.1"), Some("192.0.2.2")),
            ("b", RecordType::A, Some("192.0.2.5"), Some("192.0.2.6")),
        ],
    )]
    #[case::another_in_its_place(
        &[("b", RecordType::A, "192.0.2.6")],
        &[
            ("a", RecordType::A, Some("192.0.2.1"), Some("192.0.2.2")),
            ("b", RecordType::A, Some("192.0.2.5"), Some("192.0.2.6")),
        ],
    )]
    #[case::another_type_in_its_place(
        &[("a", RecordType::CNAME, "b.shop.example")],
        &[
            ("a", RecordType::A, Some("192.0.2.1"), None),
            ("a", RecordType::CNAME, None, Some("b.shop.example.")),
        ],
    )]
    fn a_plan_of_other_records_keeps_the_way_back(
        #[case] wanted: &[(&str, RecordType, &str)],
        #[case] expected: &[Row],
    ) {
        let key = |name: &str, record_type| {
            RecordKey::new("shop.example", &format!("{name}.shop.example"), record_type).unwrap()
        };
        let before_first = Captured {
            key: key("a", RecordType::A),
            before: Some(set(&["192.0.2.1"])),
            after: Some(set(&["192.0.2.2"])),
            owner_before: Some("default/other".into()),
        };
        let mut observed = Observed::default();
        observed
            .records
            .insert(key("a", RecordType::A), set(&["192.0.2.2"]));
        observed
            .records
            .insert(key("b", RecordType::A), set(&["192.0.2.5"]));
        let changes = wanted
            .iter()
            .map(|(name, record_type, value)| homeport_cutover::RecordChange {
                key: key(name, *record_type),
                wanted: RecordSet::parse(*record_type, 300, &[(*value).to_owned()]).unwrap(),
                expected_before: None,
            })
            .collect();
        let mut plan = Plan::new("default/shop", changes).unwrap();
        plan.adopt = true;

        let captured = vec![before_first];
        let added = ChangeSet::forward(&additions(&plan, &captured), &observed, true).unwrap();
        let merged = merge_capture(captured, &plan, added.capture(), &observed);
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, record_type, before, after)| {
                let owned = |value: &Option<&str>| value.map(str::to_owned);
                ((*name).to_owned(), *record_type, owned(before), owned(after))
            })
            .collect();
        assert_eq!(rows(&merged), expected);
        assert_eq!(merged[0].owner_before.as_deref(), Some("default/other"));
        assert!(!wants_more(&plan, &merged), "it is asked for once");
    }
}
