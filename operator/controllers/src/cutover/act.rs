//! The steps of a cutover, each of which may be made twice.

use std::time::Duration;

use homeport_crds::common::Outcome as RunOutcome;
use homeport_crds::{Cutover, CutoverStatus, DataSync, RECONCILE_AT};
use homeport_cutover::changes::{self, Position};
use homeport_cutover::machine::{Cause, Desired, Direction, Waiting, Writes};
use homeport_cutover::{
    Action, Captured, ChangeSet, Checker, DnsProvider, Error, Facts, Measurement, Observed, Plan, Refusal,
    Step,
};
use jiff::Timestamp;

use super::failures::{of_dns, of_refusals};
use super::journal::{self, state};
use super::{definition, observe, provider, report, writes};
use crate::runtime::{Context, Failure, Outcome};

/// How often a cutover that is done is looked at.
const REST: Duration = Duration::from_secs(60);
/// How often a person's change is looked for.
const PERSON: Duration = Duration::from_secs(10);
/// A switch that would be undone, but for what was written to the target since.
const TARGET_HAS_WRITES: &str = "TargetHasWrites";

/// One pass over a cutover.
pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) cutover: &'a Cutover,
    /// None on the way back.
    pub(super) plan: Option<Plan>,
    pub(super) provider: Box<dyn DnsProvider>,
    pub(super) captured: Vec<Captured>,
    /// The records of what was captured, as the provider shows them; None where they were not read.
    pub(super) observed: Option<Observed>,
    /// The syncs of the bundle.
    pub(super) syncs: Vec<DataSync>,
    pub(super) now: Timestamp,
}

/// A step is made, and the next one follows when the status has it.
pub(super) fn at_once(reason: &str, message: impl Into<String>) -> Outcome {
    Outcome::in_progress(reason, message, Duration::ZERO)
}

impl Pass<'_> {
    /// Whether the plan is another one than what was captured for, and nothing was changed yet.
    pub(super) fn is_planned_anew(&self, facts: &Facts, is_on_top: bool) -> bool {
        let is_untouched = facts.position == Some(Position::Before) && !facts.journal.switched;
        let is_current = is_untouched && !facts.journal.outdated;
        self.plan
            .as_ref()
            .filter(|_| is_current)
            .is_some_and(|plan| match is_on_top {
                true => journal::wants_more(plan, &self.captured),
                false => journal::is_another_plan(plan, &self.captured),
            })
    }

    /// Makes a step.
    pub(super) async fn make(
        &self,
        status: &mut CutoverStatus,
        facts: &Facts,
        step: Step,
    ) -> Result<Outcome, Failure> {
        match step {
            Step::Wait { why, message, again } => Ok(wait(status, facts, why, message, again)),
            Step::Plan => self.report_plan(status, facts).await,
            Step::RunPreChecks => self.run_pre_checks(status, facts).await,
            Step::Capture => self.capture(status).await,
            Step::Apply => self.switch(status).await,
            Step::BeginSoak => Ok(self.begin_soak(status, facts)),
            Step::Finish => Ok(self.finish(status)),
            Step::DecideRollback(cause) => Ok(decide_rollback(self.cutover, status, &cause, self.now)),
            Step::Restore => self.restore(status).await,
            Step::Halt(_) if facts.journal.halted.is_some() && !facts.retry => Err(still_halted(status)),
            Step::Halt(cause) => Err(self.halt(status, facts, &cause)),
            // All that these need was there, so they are not asked for at this point.
            Step::Begin
            | Step::Resume
            | Step::ReadRecords
            | Step::LookAround(_)
            | Step::RunPostChecks
            | Step::Done { .. } => Ok(at_once("Deciding", "the next step is decided again")),
        }
    }

    /// What would change, and nothing of it done.
    async fn report_plan(&self, status: &mut CutoverStatus, facts: &Facts) -> Result<Outcome, Failure> {
        let changes = match &self.plan {
            Some(plan) => self.forward(plan).await?,
            None => {
                let observed = self.read(&observe::keys(&self.captured)).await?;
                ChangeSet::backward(&self.captured, &observed).map_err(|refusals| of_refusals(&refusals))?
            }
        };
        status.plan = changes.changes.iter().map(ToString::to_string).collect();
        if !facts.journal.captured {
            status.state = Some(state::PLANNED.to_owned());
        }
        let differing = changes
            .changes
            .iter()
            .filter(|change| change.action() != Action::Keep)
            .count();
        let message = format!(
            "{differing} of {} records would change, as status.plan says; nothing was touched",
            changes.changes.len()
        );
        Ok(Outcome::ready("Planned", message, REST))
    }

    async fn run_pre_checks(&self, status: &mut CutoverStatus, facts: &Facts) -> Result<Outcome, Failure> {
        let Some(plan) = &self.plan else {
            return Ok(at_once("Deciding", "the plan is read again"));
        };
        journal::start(status, journal::PRE_CHECKS, self.now);
        let measured = checker()?.run_all(&plan.pre_checks).await;
        journal::record_checks(status, journal::PRE_CHECK, &measured);
        let now = Timestamp::now();
        let failures = journal::failures(&status.checks, journal::PRE_CHECK);
        if !failures.is_empty() {
            journal::say(status, journal::PRE_CHECKS, failures.as_str());
            let again = facts.check_interval;
            return Ok(report::waiting(
                status,
                Waiting::PreChecks,
                failures,
                again,
                facts.soak,
            ));
        }
        journal::finish(status, journal::PRE_CHECKS, now);
        let message = format!("{} passed", count(measured.len(), "check"));
        journal::say(status, journal::PRE_CHECKS, message.as_str());
        Ok(at_once("PreChecks", message))
    }

    /// Records the records as they are. Nothing is changed in this pass.
    async fn capture(&self, status: &mut CutoverStatus) -> Result<Outcome, Failure> {
        let Some(plan) = &self.plan else {
            return Ok(at_once("Deciding", "the plan is read again"));
        };
        let captured = if status.records.is_empty() {
            self.forward(plan).await?.capture()
        } else {
            self.capture_in_addition(status, plan).await?
        };
        let message = format!(
            "{} recorded as before the switch",
            count(captured.len(), "record")
        );
        journal::record_capture(status, captured, self.now);
        journal::skip(status, journal::PRE_CHECKS);
        journal::finish(status, journal::CAPTURE, Timestamp::now());
        journal::say(status, journal::CAPTURE, message.as_str());
        status.state = Some(state::CUTTING_OVER.to_owned());
        Ok(at_once("Captured", message))
    }

    /// What was captured before an earlier switch, with the records that the plan has in addition.
    async fn capture_in_addition(
        &self,
        status: &CutoverStatus,
        plan: &Plan,
    ) -> Result<Vec<Captured>, Failure> {
        let captured = journal::captured(status);
        let mut keys = observe::keys(&captured);
        keys.extend(plan.keys());
        let observed = self.read(&keys).await?;
        let added = self.changes(&journal::additions(plan, &captured), &observed)?;
        Ok(journal::merge_capture(captured, plan, added.capture(), &observed))
    }

    /// Makes the change, or what is left of it. The marks of the target's databases are in the status before.
    async fn switch(&self, status: &mut CutoverStatus) -> Result<Outcome, Failure> {
        if !journal::may_be_switched(status) {
            // Marks of an earlier switch tell of all that was written since that one.
            if status.write_marks.is_empty() {
                status.write_marks = writes::marks(self.context, &self.syncs).await?;
            }
            journal::start(status, journal::SWITCH, self.now);
            return Ok(at_once("Switching", "the records are about to be switched"));
        }
        let owner = definition::owner(self.cutover);
        let owns = self.provider.keeps_ownership();
        let observed = self.observed.clone().unwrap_or_default();
        let changes = ChangeSet::resume(&owner, &self.captured, &observed, owns);
        let changes = changes.map_err(|refusals| of_refusals(&refusals))?;
        if let Some(outcome) = self.apply(status, &changes).await? {
            return Ok(outcome);
        }
        let now = Timestamp::now();
        let message = format!("{} switched", count(changes.changes.len(), "record"));
        journal::finish(status, journal::SWITCH, now);
        journal::say(status, journal::SWITCH, message.as_str());
        journal::start(status, journal::PROPAGATION, now);
        status.switched_at = Some(journal::text(now));
        Ok(at_once("Switched", message))
    }

    /// Restores the captured records.
    async fn restore(&self, status: &mut CutoverStatus) -> Result<Outcome, Failure> {
        status.state = Some(state::ROLLING_BACK.to_owned());
        let observed = self.observed.clone().unwrap_or_default();
        let changes = ChangeSet::backward(&self.captured, &observed);
        let changes = changes.map_err(|refusals| of_refusals(&refusals))?;
        if let Some(outcome) = self.apply(status, &changes).await? {
            return Ok(outcome);
        }
        let now = Timestamp::now();
        journal::finish(status, journal::ROLLBACK, now);
        journal::start(status, journal::ROLLBACK_PROPAGATION, now);
        let message = format!("{} restored", count(changes.changes.len(), "record"));
        Ok(at_once("Restored", message))
    }

    /// Has the provider make changes. An outcome says that a person has to make them first.
    async fn apply(
        &self,
        status: &mut CutoverStatus,
        changes: &ChangeSet,
    ) -> Result<Option<Outcome>, Failure> {
        match self.provider.apply(changes).await {
            Ok(()) => {
                status.instructions.clear();
                Ok(None)
            }
            Err(Error::WaitingForPerson { instructions }) => {
                let message = instructions.join("; ");
                status.instructions = instructions;
                Ok(Some(Outcome::in_progress("WaitingForPerson", message, PERSON)))
            }
            Err(error) => Err(of_dns(error)),
        }
    }

    /// All name servers show the records.
    pub(super) fn seen(&self, status: &mut CutoverStatus, direction: Direction) -> Outcome {
        let now = Timestamp::now();
        let message = "all name servers show the records";
        match direction {
            Direction::Forward => {
                journal::finish(status, journal::PROPAGATION, now);
                journal::say(status, journal::PROPAGATION, message);
                at_once("Propagated", message)
            }
            Direction::Backward => {
                journal::finish(status, journal::ROLLBACK_PROPAGATION, now);
                journal::say(status, journal::ROLLBACK_PROPAGATION, message);
                status.state = Some(state::ROLLED_BACK.to_owned());
                let why = status.triggered_by.clone().unwrap_or_default();
                let run = ("RollBack", RunOutcome::Succeeded);
                report::ran(self.cutover, status, run, journal::ROLLBACK, &why, now);
                at_once("RolledBack", "the records are as they were before")
            }
        }
    }

    /// Makes the post-checks once, and records what they found.
    pub(super) async fn run_post_checks(
        &self,
        status: &mut CutoverStatus,
    ) -> Result<Vec<Measurement>, Failure> {
        let Some(plan) = &self.plan else {
            return Ok(Vec::new());
        };
        if journal::find(status, journal::POST_CHECKS).is_some_and(|step| step.finished_at.is_none()) {
            journal::start(status, journal::POST_CHECKS, self.now);
        }
        let measured = checker()?.run_all(&plan.post_checks).await;
        journal::record_checks(status, journal::POST_CHECK, &measured);
        Ok(measured)
    }

    /// What follows from a round of post-checks that sets off no trigger.
    pub(super) fn checked(&self, status: &mut CutoverStatus, facts: &Facts) -> Outcome {
        let failures = journal::failures(&status.checks, journal::POST_CHECK);
        if failures.is_empty() && !facts.journal.soaking {
            return at_once("PostChecks", "the post-checks pass");
        }
        let (why, again) = if facts.journal.soaking {
            let left = facts.soak.saturating_sub(facts.since_soak);
            (Waiting::Soak, facts.check_interval.min(left))
        } else {
            (Waiting::PostChecks, facts.check_interval)
        };
        report::waiting(status, why, failures, again, facts.soak)
    }

    fn begin_soak(&self, status: &mut CutoverStatus, facts: &Facts) -> Outcome {
        if facts.has_post_checks {
            journal::finish(status, journal::POST_CHECKS, self.now);
            journal::say(status, journal::POST_CHECKS, "all passed");
        } else {
            journal::skip(status, journal::POST_CHECKS);
        }
        journal::start(status, journal::SOAK, self.now);
        report::waiting(status, Waiting::Soak, String::new(), Duration::ZERO, facts.soak)
    }

    fn finish(&self, status: &mut CutoverStatus) -> Outcome {
        journal::finish(status, journal::SOAK, self.now);
        status.state = Some(state::CUT_OVER.to_owned());
        let message = "the records point at the target";
        let run = ("CutOver", RunOutcome::Succeeded);
        report::ran(self.cutover, status, run, journal::PRE_CHECKS, message, self.now);
        cut_over(status, &[])
    }

    fn halt(&self, status: &mut CutoverStatus, facts: &Facts, cause: &Cause) -> Failure {
        let (reason, message) = match &facts.writes {
            Writes::Stranded(_) => (
                TARGET_HAS_WRITES,
                format!(
                    "{}; or mend the target and set the annotation {RECONCILE_AT} to go on",
                    cause.message
                ),
            ),
            Writes::Safe if facts.journal.rolling_back.is_some() => (
                cause.reason.as_str(),
                format!(
                    "{}; to restore over it, set desired: RolledBack and the annotation {RECONCILE_AT}",
                    cause.message
                ),
            ),
            Writes::Safe => (
                cause.reason.as_str(),
                format!(
                    "{}; set the annotation {RECONCILE_AT} to try again when it is mended",
                    cause.message
                ),
            ),
        };
        journal::halt(status, reason, &message, self.now);
        let (action, first_step) = match facts.journal.rolling_back {
            Some(_) => ("RollBack", journal::ROLLBACK),
            None => ("CutOver", journal::PRE_CHECKS),
        };
        let run = (action, RunOutcome::Failed);
        report::ran(self.cutover, status, run, first_step, &message, self.now);
        Failure::terminal(reason, message)
    }

    /// The change that carries out the plan, from the records as they are.
    async fn forward(&self, plan: &Plan) -> Result<ChangeSet, Failure> {
        let observed = self.read(&plan.keys()).await?;
        self.changes(plan, &observed)
    }

    fn changes(&self, plan: &Plan, observed: &Observed) -> Result<ChangeSet, Failure> {
        let owns = self.provider.keeps_ownership();
        ChangeSet::forward(plan, observed, owns).map_err(|refusals: Vec<Refusal>| of_refusals(&refusals))
    }

    async fn read(
        &self,
        keys: &std::collections::BTreeSet<homeport_cutover::RecordKey>,
    ) -> Result<Observed, Failure> {
        changes::observe(&*self.provider, keys).await.map_err(of_dns)
    }
}

/// Nothing is done now. What was prepared for a switch that may not be made now is prepared again.
fn wait(
    status: &mut CutoverStatus,
    facts: &Facts,
    why: Waiting,
    message: String,
    again: Duration,
) -> Outcome {
    if !facts.journal.switched && facts.desired == Desired::CutOver && facts.journal.rolling_back.is_none() {
        journal::put_off(status, journal::SWITCH);
        status.instructions.clear();
        if status.switched_at.is_none() {
            status.write_marks.clear();
        }
    }
    if why == Waiting::Propagation {
        let step = match facts.journal.rolling_back {
            Some(_) => journal::ROLLBACK_PROPAGATION,
            None => journal::PROPAGATION,
        };
        journal::say(status, step, message.as_str());
    }
    report::waiting(status, why, message, again, facts.soak)
}

/// Records that a rollback is decided; it is made when the status has it.
pub(super) fn decide_rollback(
    cutover: &Cutover,
    status: &mut CutoverStatus,
    cause: &Cause,
    now: Timestamp,
) -> Outcome {
    let is_open = journal::find(status, journal::SOAK).is_none_or(|step| step.finished_at.is_none());
    let is_halted = status.state.as_deref() == Some(state::HALTED);
    if is_open && !is_halted {
        let run = ("CutOver", RunOutcome::RolledBack);
        report::ran(cutover, status, run, journal::PRE_CHECKS, &cause.message, now);
    }
    journal::decide_rollback(status, cause, now);
    at_once(
        "RollingBack",
        format!("the records are restored: {}", cause.message),
    )
}

/// A halted run stays so until a person says otherwise.
pub(super) fn still_halted(status: &CutoverStatus) -> Failure {
    let (reason, message) = journal::split_cause(status.triggered_by.as_deref().unwrap_or_default());
    Failure::terminal(reason, message)
}

/// The switch was undone, though it is what is asked for.
pub(super) fn rolled_back_since(cause: &Cause) -> Failure {
    Failure::terminal(
        cause.reason.as_str(),
        format!(
            "the records are as they were before, rolled back since: {}; mend it, and edit the spec or set the annotation \
             {RECONCILE_AT} to try again",
            cause.message
        ),
    )
}

/// The records are as they were, as is asked for.
pub(super) async fn rolled_back(cutover: &Cutover, status: &mut CutoverStatus) -> Outcome {
    if status.records.is_empty() {
        return Outcome::ready(
            "RolledBack",
            "nothing had been changed, so there is nothing to restore",
            REST,
        );
    }
    let different = look_again(cutover, status, Direction::Backward).await;
    let message = if different.is_empty() {
        "the records are as they were before the switch".to_owned()
    } else {
        format!(
            "the records were restored, and changed by someone since: {}",
            different.join(", ")
        )
    };
    Outcome::ready("RolledBack", message, REST)
}

/// The records point at the target, or did until somebody changed them.
pub(super) fn cut_over(status: &CutoverStatus, different: &[String]) -> Outcome {
    let records = count(
        status
            .records
            .iter()
            .filter(|record| record.after.is_some())
            .count(),
        "record",
    );
    if different.is_empty() {
        return Outcome::ready(
            report::CUT_OVER_REASON,
            format!("{records} switched to the target"),
            REST,
        );
    }
    let message = format!(
        "{records} switched to the target, and changed by someone since: {}; set the annotation {RECONCILE_AT} to switch \
         again",
        different.join(", ")
    );
    Outcome::ready(report::DRIFTED, message, REST)
}

/// Asks the name servers once more. What they answer otherwise than it was set is returned; that one does not answer
/// means nothing.
pub(super) async fn look_again(
    cutover: &Cutover,
    status: &mut CutoverStatus,
    direction: Direction,
) -> Vec<String> {
    let Ok(servers) = provider::servers(&cutover.spec).await else {
        return Vec::new();
    };
    let look = observe::look_around(&servers, &journal::captured(status), direction).await;
    status.observed = look.observed;
    look.different
}

fn checker() -> Result<Checker, Failure> {
    Checker::new().map_err(of_dns)
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
