//! What a cutover does next: a pure function from facts to a step.
//!
//! The caller gathers [`Facts`], asks [`decide`], does what the [`Step`] says, records the outcome in the [`Journal`], and
//! asks again. It may be killed at any instant, for three reasons:
//! - every step may be done twice: the second time it finds its work done;
//! - the records as they were are in the journal before the first of them is changed, and are not captured again while
//!   anything may be changed;
//! - a decision to roll back or to halt is recorded before it is acted on, so that a restart does not forget it.

use std::time::Duration;

use crate::changes::Position;
use crate::plan::{OnFailure, Timeouts};

/// Where the records shall point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Desired {
    /// At the target.
    #[default]
    CutOver,
    /// Where they pointed before.
    RolledBack,
}

/// Who changes the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// homeport does.
    #[default]
    Apply,
    /// Nobody: the change set is reported only.
    DryRun,
    /// A person does.
    Manual,
}

/// Whether a person must approve the switch, and has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody needs to.
    #[default]
    NotRequired,
    /// Not yet.
    Awaited,
    /// Yes.
    Given,
}

/// How far the data is that must arrive before the switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SyncGate {
    /// There is none, or it has arrived.
    #[default]
    Met,
    /// It has not; why is for people.
    Behind(String),
}

/// Whether what is written at the target could be had at the source after a rollback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Writes {
    /// Nothing was written, or it flows back.
    #[default]
    Safe,
    /// It would be lost: the point of safe return is passed. What was written is for people.
    Stranded(String),
}

/// The outcome of a round of checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Whether all passed.
    pub passed: bool,
    /// What those that did not pass saw.
    pub message: String,
    /// How long ago it was.
    pub age: Duration,
}

/// What was recorded of the run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// The last round of pre-checks, if there was one.
    pub pre_checks: Option<Round>,
    /// The records before the switch are recorded.
    pub captured: bool,
    /// They are those of an earlier switch, and not all that is to be changed now: they are captured in addition.
    pub outdated: bool,
    /// The change was made.
    pub switched: bool,
    /// All name servers showed the change.
    pub propagated: bool,
    /// The last round of post-checks, if there was one since the switch.
    pub post_checks: Option<Round>,
    /// A round of post-checks has passed since the switch, and the soak began.
    pub soaking: bool,
    /// The soak is over: the cutover is done.
    pub done: bool,
    /// A rollback was decided, and why.
    pub rolling_back: Option<Cause>,
    /// The records are restored.
    pub restored: bool,
    /// All name servers showed the records restored.
    pub restored_seen: bool,
    /// The run was halted, and why.
    pub halted: Option<Cause>,
}

/// Why a run is rolled back or halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What kind of reason it is.
    pub reason: Reason,
    /// What there is to say of it, for people.
    pub message: String,
}

/// Kinds of reasons to roll back or to halt. The names are fit for the reason of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `desired: RolledBack`.
    Requested,
    /// Post-checks did not pass in time.
    PostChecksFailed,
    /// A rollback trigger fired.
    TriggerFired,
    /// Name servers did not show the change in time.
    NotPropagated,
    /// The whole took too long.
    TimedOut,
    /// Someone else changed a record.
    RecordsChanged,
}

impl Reason {
    /// The reason's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::PostChecksFailed => "PostChecksFailed",
            Self::TriggerFired => "TriggerFired",
            Self::NotPropagated => "NotPropagated",
            Self::TimedOut => "TimedOut",
            Self::RecordsChanged => "RecordsChanged",
        }
    }
}

/// All that a decision depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Reconciling is stopped.
    pub suspended: bool,
    /// Where the records shall point.
    pub desired: Desired,
    /// Who changes them.
    pub mode: Mode,
    /// What to do when a check fails after the switch.
    pub on_failure: OnFailure,
    /// How long parts may take.
    pub timeouts: Timeouts,
    /// How long the soak is to be.
    pub soak: Duration,
    /// How often pre-checks and post-checks are made.
    pub check_interval: Duration,
    /// Whether there are pre-checks and post-checks at all.
    pub has_pre_checks: bool,
    /// See `has_pre_checks`.
    pub has_post_checks: bool,
    /// A person asks to try again, by a new generation or by `homeport.dev/reconcile-at`.
    pub retry: bool,
    /// What outside must come first, such as a bundle that is not healthy.
    pub waiting_for: Option<String>,
    /// The data.
    pub sync: SyncGate,
    /// The approval.
    pub approval: Approval,
    /// What was recorded.
    pub journal: Journal,
    /// Where the records are now, of what was captured; `None` if they were not read for this decision.
    pub position: Option<Position>,
    /// Which name servers do not show the goal yet; `None` if they were not asked for this decision.
    pub unseen: Option<Vec<String>>,
    /// A trigger that has fired since the switch.
    pub fired: Option<String>,
    /// What a rollback would lose.
    pub writes: Writes,
    /// The time since the switch was begun, or taken up again after a halt; none before that.
    pub since_switching: Duration,
    /// The time since the switch.
    pub since_switch: Duration,
    /// The time since the soak began.
    pub since_soak: Duration,
}

/// Which way records are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the target.
    Forward,
    /// As they were.
    Backward,
}

/// Why nothing is done now. The names are fit for the reason of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It is suspended.
    Suspended,
    /// Something outside must come first.
    Dependency,
    /// The data must arrive first.
    SyncLag,
    /// Pre-checks do not pass.
    PreChecks,
    /// A person must approve.
    Approval,
    /// Name servers do not show the change yet.
    Propagation,
    /// Post-checks do not pass yet.
    PostChecks,
    /// The switch is made and proves itself.
    Soak,
}

impl Waiting {
    /// The reason's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "Suspended",
            Self::Dependency => "DependencyNotReady",
            Self::SyncLag => "SyncLag",
            Self::PreChecks => "PreChecksFailing",
            Self::Approval => "AwaitingApproval",
            Self::Propagation => "Propagating",
            Self::PostChecks => "PostChecksFailing",
            Self::Soak => "Soaking",
        }
    }
}

/// How a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The records point at the target.
    CutOver,
    /// The records are as they were.
    RolledBack,
    /// The plan is reported.
    Planned,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something changes or the time is over.
    Wait {
        /// Why.
        why: Waiting,
        /// What there is to say of it.
        message: String,
        /// When to look again at the latest.
        again: Duration,
    },
    /// Put the journal of the last run into the history and begin with an empty one.
    Begin,
    /// Forget why the run was halted, and the checks that failed; keep what was captured.
    Resume,
    /// Work out and report the change set; record nothing else.
    Plan,
    /// Read the records and decide again.
    ReadRecords,
    /// Run the pre-checks and record the round.
    RunPreChecks,
    /// Work out the change set and record the records as they are, before anything else.
    Capture,
    /// Make the change, or what is left of it, and record that it is made. Where a person makes it, the provider's
    /// [`crate::Error::WaitingForPerson`] says what is left to do.
    Apply,
    /// Ask all name servers and decide again; record it once all show the change.
    LookAround(Direction),
    /// Run the post-checks, record the round, and give the measurements to the triggers.
    RunPostChecks,
    /// Record that post-checks have passed and the soak begins.
    BeginSoak,
    /// Record that the cutover is done.
    Finish,
    /// Record that a rollback is decided.
    DecideRollback(Cause),
    /// Restore the captured records, and record that they are restored.
    Restore,
    /// Record that the run is halted. If it is already, stay so.
    Halt(Cause),
    /// Nothing: the goal is reached.
    Done {
        /// Which one.
        outcome: Outcome,
        /// Why, if it is not what was asked for.
        cause: Option<Cause>,
    },
}

/// A round of pre-checks is believed for so many intervals.
const FRESH_ROUNDS: u32 = 5;

/// The next step.
pub fn decide(facts: &Facts) -> Step {
    let journal = &facts.journal;
    if facts.suspended {
        return wait(
            facts,
            Waiting::Suspended,
            "suspended; set suspend: false to go on",
        );
    }
    if facts.mode == Mode::DryRun {
        return Step::Plan;
    }
    match facts.desired {
        Desired::RolledBack => roll_back(facts),
        Desired::CutOver if journal.rolling_back.is_some() => continue_rollback(facts),
        Desired::CutOver => cut_over(facts),
    }
}

/// A person asked for the records as they were.
fn roll_back(facts: &Facts) -> Step {
    let journal = &facts.journal;
    if !journal.captured {
        // Nothing was changed, so everything is as it was.
        return Step::Done {
            outcome: Outcome::RolledBack,
            cause: None,
        };
    }
    if journal.rolling_back.is_none() {
        let message = match &facts.writes {
            Writes::Safe => "asked for".to_owned(),
            Writes::Stranded(what) => format!("asked for, although it leaves behind {what}"),
        };
        return Step::DecideRollback(Cause {
            reason: Reason::Requested,
            message,
        });
    }
    restore(facts)
}

/// A rollback was decided while the target is what is desired: it goes through, and stays until a person asks again.
fn continue_rollback(facts: &Facts) -> Step {
    let journal = &facts.journal;
    let was_requested = journal
        .rolling_back
        .as_ref()
        .is_some_and(|cause| cause.reason == Reason::Requested);
    if journal.restored && (facts.retry || was_requested) {
        return Step::Begin;
    }
    restore(facts)
}

fn restore(facts: &Facts) -> Step {
    let journal = &facts.journal;
    if !journal.restored {
        return match &facts.position {
            None => Step::ReadRecords,
            Some(Position::Elsewhere(refusals)) => halt_at_changed(facts, refusals),
            Some(_) => Step::Restore,
        };
    }
    if !journal.restored_seen {
        return look_around(facts, Direction::Backward);
    }
    let cause = journal
        .rolling_back
        .clone()
        .filter(|cause| cause.reason != Reason::Requested);
    Step::Done {
        outcome: Outcome::RolledBack,
        cause,
    }
}

fn cut_over(facts: &Facts) -> Step {
    let journal = &facts.journal;
    if let Some(cause) = &journal.halted {
        return if facts.retry {
            Step::Resume
        } else {
            Step::Halt(cause.clone())
        };
    }
    if journal.done {
        return Step::Done {
            outcome: Outcome::CutOver,
            cause: None,
        };
    }
    if journal.switched {
        return after_switch(facts);
    }
    if !journal.captured || journal.outdated {
        return gates(facts).unwrap_or(Step::Capture);
    }
    // From here on a change may have been made that was not recorded.
    match &facts.position {
        None => Step::ReadRecords,
        Some(Position::Elsewhere(refusals)) => halt_at_changed(facts, refusals),
        // Nothing was changed yet, so the gates hold still.
        Some(Position::Before) => gates(facts).unwrap_or(Step::Apply),
        Some(Position::Between)
            if facts.mode == Mode::Apply && facts.since_switching > facts.timeouts.whole =>
        {
            fail(
                facts,
                Reason::TimedOut,
                "some records were changed, and the others could not be in time",
            )
        }
        Some(Position::Between | Position::After) => Step::Apply,
    }
}

/// What must hold before anything is changed; `None` if all of it does.
fn gates(facts: &Facts) -> Option<Step> {
    if let Some(what) = &facts.waiting_for {
        return Some(wait(facts, Waiting::Dependency, what));
    }
    if let SyncGate::Behind(why) = &facts.sync {
        return Some(wait(facts, Waiting::SyncLag, why));
    }
    if facts.has_pre_checks {
        // While a person thinks, the checks go on, so that an approval finds them fresh.
        let fresh = facts.check_interval.saturating_mul(FRESH_ROUNDS);
        match &facts.journal.pre_checks {
            Some(round) if round.passed && round.age <= fresh => {}
            Some(round) if !round.passed && round.age < facts.check_interval => {
                return Some(wait(facts, Waiting::PreChecks, &round.message));
            }
            _ => return Some(Step::RunPreChecks),
        }
    }
    if facts.approval == Approval::Awaited {
        return Some(wait(
            facts,
            Waiting::Approval,
            "set approval.approved: true to switch",
        ));
    }
    None
}

fn after_switch(facts: &Facts) -> Step {
    let journal = &facts.journal;
    if let Some(Position::Elsewhere(refusals)) = &facts.position {
        return halt_at_changed(facts, refusals);
    }
    if let Some(message) = &facts.fired {
        return fail(facts, Reason::TriggerFired, message);
    }
    if !journal.propagated {
        if facts.since_switch > facts.timeouts.propagation
            && facts.unseen.as_ref().is_some_and(|u| !u.is_empty())
        {
            let unseen = facts.unseen.as_deref().unwrap_or_default().join(", ");
            return fail(
                facts,
                Reason::NotPropagated,
                &format!("not seen in time by {unseen}"),
            );
        }
        return look_around(facts, Direction::Forward);
    }
    if !facts.has_post_checks {
        return if journal.soaking {
            soak(facts)
        } else {
            Step::BeginSoak
        };
    }
    if journal.soaking {
        return soak(facts);
    }
    match &journal.post_checks {
        Some(round) if round.passed => Step::BeginSoak,
        Some(round) if facts.since_switch > facts.timeouts.whole => {
            fail(facts, Reason::PostChecksFailed, &round.message)
        }
        Some(round) if round.age < facts.check_interval => wait(facts, Waiting::PostChecks, &round.message),
        _ => Step::RunPostChecks,
    }
}

/// The post-checks go on until the soak is over; what they find sets off triggers.
fn soak(facts: &Facts) -> Step {
    let left = facts.soak.saturating_sub(facts.since_soak);
    if left.is_zero() && facts.has_post_checks && is_last_round_missing(facts) {
        return Step::RunPostChecks;
    }
    match &facts.journal.post_checks {
        // The last word before the end must be a good one.
        Some(round) if left.is_zero() && !round.passed => {
            fail(facts, Reason::PostChecksFailed, &round.message)
        }
        _ if left.is_zero() => Step::Finish,
        Some(round) if round.age < facts.check_interval => soaking(facts, left),
        None if !facts.has_post_checks => soaking(facts, left),
        _ => Step::RunPostChecks,
    }
}

/// Whether the soak's end passed with no round of checks about it, since nobody was there to make one. A round after the
/// end counts however long ago it is, so that checks slower than their interval come to an end.
fn is_last_round_missing(facts: &Facts) -> bool {
    let since_end = facts.since_soak.saturating_sub(facts.soak);
    facts
        .journal
        .post_checks
        .as_ref()
        .is_none_or(|round| round.age >= facts.check_interval && round.age > since_end)
}

fn soaking(facts: &Facts, left: Duration) -> Step {
    Step::Wait {
        why: Waiting::Soak,
        message: format!("soaking for {} s more", left.as_secs_f64().ceil()),
        again: facts.check_interval.min(left),
    }
}

fn look_around(facts: &Facts, direction: Direction) -> Step {
    match &facts.unseen {
        Some(unseen) if !unseen.is_empty() => wait(
            facts,
            Waiting::Propagation,
            &format!("not seen yet by {}", unseen.join(", ")),
        ),
        _ => Step::LookAround(direction),
    }
}

/// A failure after the switch: back, if that is wished and loses nothing.
fn fail(facts: &Facts, reason: Reason, message: &str) -> Step {
    match (&facts.writes, facts.on_failure) {
        (Writes::Stranded(what), _) => Step::Halt(Cause {
            reason,
            message: format!(
                "{message}; not rolled back, since that would leave behind {what}; set desired: RolledBack to do it all the same"
            ),
        }),
        (Writes::Safe, OnFailure::Pause) => Step::Halt(Cause {
            reason,
            message: format!("{message}; set desired: RolledBack to go back, or ask for another try"),
        }),
        (Writes::Safe, OnFailure::Rollback) => Step::DecideRollback(Cause {
            reason,
            message: message.to_owned(),
        }),
    }
}

fn halt_at_changed(facts: &Facts, refusals: &[crate::changes::Refusal]) -> Step {
    if let Some(cause) = facts.journal.halted.clone().filter(|_| !facts.retry) {
        return Step::Halt(cause);
    }
    let message = refusals
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    Step::Halt(Cause {
        reason: Reason::RecordsChanged,
        message,
    })
}

fn wait(facts: &Facts, why: Waiting, message: &str) -> Step {
    Step::Wait {
        why,
        message: message.to_owned(),
        again: facts.check_interval,
    }
}

#[cfg(test)]
mod tests;
