//! What to do next with each task, and what that means for the sync.

use std::time::Duration;

use homeport_crds::RECONCILE_AT;
use homeport_crds::data_sync::{ChecksumVerdict, SyncMode, SyncTaskStatus, TaskState};
use homeport_sync::Error;
use tokio::time::Instant;

use super::run::{Ended, Live};
use crate::runtime::work::WorkState;
use crate::runtime::{Failure, Outcome};

/// How often a sync is looked at while it copies.
const WATCH: Duration = Duration::from_secs(1);
/// A sync that is done, or suspended, changes by what is watched; this is how often it is looked at beside.
pub(super) const REST: Duration = Duration::from_secs(600);

/// What is known of a sync.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) mode: SyncMode,
    /// Why nothing may begin now.
    pub(super) hold: Option<Failure>,
    /// How many tasks may run at once.
    pub(super) at_once: usize,
    /// In an order in which they can be done.
    pub(super) tasks: Vec<TaskFacts>,
    pub(super) now: Instant,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub(super) struct TaskFacts {
    pub(super) name: String,
    /// Tasks of the same sync that come first.
    pub(super) depends_on: Vec<String>,
    /// What the status says of the task as it is defined now; None where it says nothing, or is of another definition.
    pub(super) recorded: Option<SyncTaskStatus>,
    /// The work on it, as it is defined now or still was a moment ago.
    pub(super) work: Option<WorkState<Live, Ended>>,
}

impl TaskFacts {
    /// Whether the status says that the task needs no run any more.
    pub(super) fn is_done(&self) -> bool {
        self.recorded
            .as_ref()
            .is_some_and(|recorded| recorded.state == TaskState::Done)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.work, Some(WorkState::Running(_)))
    }
}

/// What is next for a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing: both sides agree.
    Done,
    /// Begin, or go on.
    Run,
    /// Something else comes first.
    Hold,
    /// Try again, but not yet.
    Later(Failure),
    /// Nothing: only a change of something helps.
    Stop(Failure),
}

/// The next step of each task.
pub(super) fn decide(facts: &Facts) -> Vec<Step> {
    let settled: Vec<Option<Step>> = facts.tasks.iter().map(|task| settle(facts, task)).collect();
    let is_done = |name: &String| {
        let mut tasks = facts.tasks.iter().zip(&settled);
        tasks.any(|(task, step)| task.name == *name && *step == Some(Step::Done))
    };
    let mut running = facts.tasks.iter().filter(|task| task.is_running()).count();
    facts
        .tasks
        .iter()
        .zip(settled.iter().cloned())
        .map(|(task, step)| {
            step.unwrap_or_else(|| {
                if facts.hold.is_some() || !task.depends_on.iter().all(is_done) {
                    Step::Hold
                } else if task.is_running() {
                    Step::Run
                } else if running < facts.at_once {
                    running += 1;
                    Step::Run
                } else {
                    Step::Hold
                }
            })
        })
        .collect()
}

/// The step of a task that is not to run now, whatever the others do.
fn settle(facts: &Facts, task: &TaskFacts) -> Option<Step> {
    if task.is_done() {
        return Some(Step::Done);
    }
    if let Some(recorded) = &task.recorded
        && facts.mode == SyncMode::VerifyOnly
        && recorded.checksum == ChecksumVerdict::Mismatch
    {
        // Compared once, it is not compared again until somebody asks.
        return Some(Step::Stop(Failure::terminal(MISMATCH, recorded.message.clone())));
    }
    let Some(WorkState::Ended(ended)) = &task.work else {
        return None;
    };
    match &ended.result {
        Ok(compared) => {
            let unequal: Vec<String> = compared
                .verdicts
                .iter()
                .filter(|verdict| !verdict.equal)
                .map(|verdict| {
                    format!(
                        "{} ({} rows on the source, {} on the target)",
                        verdict.table, verdict.rows_source, verdict.rows_target
                    )
                })
                .collect();
            Some(if unequal.is_empty() {
                Step::Done
            } else {
                Step::Stop(stopped(
                    task,
                    MISMATCH,
                    &format!(
                        "the target does not hold what the source holds: {}",
                        listed(&unequal)
                    ),
                ))
            })
        }
        Err(error) if matches!(**error, Error::Cancelled) => None,
        Err(error) => match ended.retry_at {
            Some(retry_at) if facts.now < retry_at => Some(Step::Later(Failure::transient(
                error.reason(),
                format!("task {}: {error}; it is tried again by itself", task.name),
            ))),
            Some(_) => None,
            None => Some(Step::Stop(stopped(task, error.reason(), &error.to_string()))),
        },
    }
}

/// The reason of a comparison that found the sides to differ; the engine's for a copy.
pub(super) const MISMATCH: &str = "ChecksumMismatch";

fn stopped(task: &TaskFacts, reason: &str, why: &str) -> Failure {
    Failure::terminal(
        reason,
        format!(
            "task {}: {why}. Once that is mended, ask for another run with a new value of the annotation {RECONCILE_AT}",
            task.name
        ),
    )
}

/// The first few, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What the steps mean for the sync. `done` tells of what was copied, `under_way` how far it is.
pub(super) fn outcome(
    facts: &Facts,
    steps: &[Step],
    done: impl FnOnce() -> String,
    under_way: impl FnOnce() -> String,
) -> Result<Outcome, Failure> {
    if steps.is_empty() {
        return Ok(Outcome::ready("NothingToSync", "there is no data to sync", REST));
    }
    if steps.iter().all(|step| *step == Step::Done) {
        let reason = match facts.mode {
            SyncMode::VerifyOnly => "Verified",
            SyncMode::Once | SyncMode::Continuous => "Synced",
        };
        return Ok(Outcome::ready(reason, done(), REST));
    }
    let stop = steps.iter().find_map(|step| match step {
        Step::Stop(failure) => Some(failure),
        _ => None,
    });
    let goes_on = |(task, step): (&TaskFacts, &Step)| *step == Step::Run || task.is_running();
    if facts.tasks.iter().zip(steps).any(goes_on) {
        let reason = match facts.mode {
            SyncMode::VerifyOnly => "Verifying",
            SyncMode::Once | SyncMode::Continuous => "Copying",
        };
        let message = match stop {
            None => under_way(),
            Some(failure) => format!("{}; {failure}", under_way()),
        };
        return Ok(Outcome::in_progress(reason, message, WATCH));
    }
    if let Some(failure) = stop {
        return Err(failure.clone());
    }
    let later = steps.iter().find_map(|step| match step {
        Step::Later(failure) => Some(failure),
        _ => None,
    });
    match later.or(facts.hold.as_ref()) {
        Some(failure) => Err(failure.clone()),
        None => Ok(Outcome::in_progress("Pending", under_way(), WATCH)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data_sync::run::Compared;
    use homeport_crds::conditions::Verdict as Summary;
    use homeport_sync::Verdict;
    use jiff::Timestamp;
    use rstest::rstest;
    use std::sync::Arc;

    fn task(name: &str) -> TaskFacts {
        TaskFacts {
            name: name.into(),
            depends_on: Vec::new(),
            recorded: None,
            work: None,
        }
    }

    fn after(name: &str, first: &str) -> TaskFacts {
        TaskFacts {
            depends_on: vec![first.into()],
            ..task(name)
        }
    }

    fn recorded(name: &str, state: TaskState, checksum: ChecksumVerdict) -> TaskFacts {
        let recorded = SyncTaskStatus {
            state,
            checksum,
            message: "as it was".into(),
            ..SyncTaskStatus::default()
        };
        TaskFacts {
            recorded: Some(recorded),
            ..task(name)
        }
    }

    fn done(name: &str) -> TaskFacts {
        recorded(name, TaskState::Done, ChecksumVerdict::Match)
    }

    fn running(name: &str) -> TaskFacts {
        TaskFacts {
            work: Some(WorkState::Running(Live::default())),
            ..task(name)
        }
    }

    fn ended(name: &str, result: Result<Compared, Error>, retry_at: Option<Instant>) -> TaskFacts {
        let ended = Ended {
            input: String::new(),
            live: Live::default(),
            at: Timestamp::UNIX_EPOCH,
            result: result.map_err(Arc::new),
            retry_at,
        };
        TaskFacts {
            work: Some(WorkState::Ended(ended)),
            ..task(name)
        }
    }

    fn compared(equal: bool) -> Compared {
        let verdict = Verdict {
            table: "public.orders".into(),
            rows_source: 3,
            rows_target: 2,
            checksum_source: "a".into(),
            checksum_target: "b".into(),
            equal,
        };
        Compared {
            verdicts: vec![verdict],
            warnings: Vec::new(),
        }
    }

    fn no_answer() -> Error {
        Error::Unreachable {
            side: homeport_sync::Side::Target,
            endpoint: "new:5432/shop".into(),
            cause: "connection refused".into(),
        }
    }

    fn not_empty() -> Error {
        Error::TargetNotEmpty {
            target: "new:5432/shop".into(),
            tables: vec!["public.orders".into()],
        }
    }

    fn facts(tasks: Vec<TaskFacts>) -> Facts {
        Facts {
            mode: SyncMode::Once,
            hold: None,
            at_once: 2,
            tasks,
            now: Instant::now(),
        }
    }

    /// The names of the steps, and the verdict on the sync.
    fn summary(facts: &Facts) -> (Vec<&'static str>, String) {
        let steps = decide(facts);
        let outcome = outcome(facts, &steps, || "done".into(), || "under way".into());
        let reason = match outcome {
            Ok(Outcome {
                verdict: Summary::Ready { reason, .. },
                ..
            }) => format!("Ready {reason}"),
            Ok(Outcome {
                verdict: Summary::InProgress { reason, .. },
                ..
            }) => format!("InProgress {reason}"),
            Ok(other) => format!("{other:?}"),
            Err(Failure::Waiting { reason, .. }) => format!("Waiting {reason}"),
            Err(Failure::Transient { reason, .. }) => format!("Transient {reason}"),
            Err(Failure::Terminal { reason, .. }) => format!("Terminal {reason}"),
        };
        let steps = steps.iter().map(|step| match step {
            Step::Done => "done",
            Step::Run => "run",
            Step::Hold => "hold",
            Step::Later(_) => "later",
            Step::Stop(_) => "stop",
        });
        (steps.collect(), reason)
    }

    #[rstest]
    #[case::nothing(vec![], &[], "Ready NothingToSync")]
    #[case::new(vec![task("a")], &["run"], "InProgress Copying")]
    #[case::in_order(vec![task("a"), after("b", "a")], &["run", "hold"], "InProgress Copying")]
    #[case::next(vec![done("a"), after("b", "a")], &["done", "run"], "InProgress Copying")]
    #[case::two_at_once(vec![task("a"), task("b"), task("c")], &["run", "run", "hold"], "InProgress Copying")]
    #[case::a_place_is_taken(vec![task("a"), running("b"), running("c")], &["hold", "run", "run"], "InProgress Copying")]
    #[case::all_done(vec![done("a"), done("b")], &["done", "done"], "Ready Synced")]
    #[case::just_done(vec![ended("a", Ok(compared(true)), None)], &["done"], "Ready Synced")]
    #[case::just_done_and_next(vec![ended("a", Ok(compared(true)), None), after("b", "a")], &["done", "run"], "InProgress Copying")]
    #[case::paused(vec![recorded("a", TaskState::Paused, ChecksumVerdict::Pending)], &["run"], "InProgress Copying")]
    #[case::killed(vec![recorded("a", TaskState::Running, ChecksumVerdict::Pending)], &["run"], "InProgress Copying")]
    #[case::failed_before_the_start(vec![recorded("a", TaskState::Failed, ChecksumVerdict::Mismatch)], &["run"], "InProgress Copying")]
    #[case::lost(vec![TaskFacts { work: Some(WorkState::Lost), ..task("a") }], &["run"], "InProgress Copying")]
    #[case::cancelled(vec![ended("a", Err(Error::Cancelled), None)], &["run"], "InProgress Copying")]
    #[case::terminal(vec![ended("a", Err(not_empty()), None)], &["stop"], "Terminal TargetNotEmpty")]
    #[case::terminal_first(vec![ended("a", Err(not_empty()), None), after("b", "a")], &["stop", "hold"], "Terminal TargetNotEmpty")]
    #[case::terminal_but_others_go_on(vec![ended("a", Err(not_empty()), None), running("b")], &["stop", "run"], "InProgress Copying")]
    #[case::later(vec![ended("a", Err(no_answer()), Some(Instant::now() + REST))], &["later"], "Transient TargetUnreachable")]
    #[case::again(vec![ended("a", Err(no_answer()), Some(Instant::now()))], &["run"], "InProgress Copying")]
    #[case::mismatch(vec![ended("a", Ok(compared(false)), None)], &["stop"], "Terminal ChecksumMismatch")]
    fn copies(#[case] tasks: Vec<TaskFacts>, #[case] steps: &[&str], #[case] reason: &str) {
        assert_eq!(summary(&facts(tasks)), (steps.to_vec(), reason.to_owned()));
    }

    #[rstest]
    #[case::new(vec![task("a")], &["run"], "InProgress Verifying")]
    #[case::equal(vec![ended("a", Ok(compared(true)), None)], &["done"], "Ready Verified")]
    #[case::unequal(vec![ended("a", Ok(compared(false)), None)], &["stop"], "Terminal ChecksumMismatch")]
    #[case::not_compared_twice(vec![recorded("a", TaskState::Failed, ChecksumVerdict::Mismatch)], &["stop"], "Terminal ChecksumMismatch")]
    #[case::could_not_be_compared(vec![recorded("a", TaskState::Failed, ChecksumVerdict::Pending)], &["run"], "InProgress Verifying")]
    fn comparisons(#[case] tasks: Vec<TaskFacts>, #[case] steps: &[&str], #[case] reason: &str) {
        let facts = Facts {
            mode: SyncMode::VerifyOnly,
            ..facts(tasks)
        };
        assert_eq!(summary(&facts), (steps.to_vec(), reason.to_owned()));
    }

    #[rstest]
    #[case::new(vec![task("a")], &["hold"], "Waiting WaitingForBundle")]
    #[case::what_is_done_stays_done(vec![done("a")], &["done"], "Ready Synced")]
    #[case::what_runs_goes_on(vec![running("a"), task("b")], &["hold", "hold"], "InProgress Copying")]
    fn while_the_bundle_is_not_deployed(
        #[case] tasks: Vec<TaskFacts>,
        #[case] steps: &[&str],
        #[case] reason: &str,
    ) {
        let hold = Some(Failure::waiting("WaitingForBundle", "not deployed"));
        let facts = Facts { hold, ..facts(tasks) };
        assert_eq!(summary(&facts), (steps.to_vec(), reason.to_owned()));
    }

    #[test]
    fn a_failure_names_the_task_the_tables_and_what_to_do() {
        let [Step::Stop(failure)] = &decide(&facts(vec![ended("shop", Ok(compared(false)), None)]))[..]
        else {
            unreachable!("one task, and it differs");
        };
        let message = failure.to_string();
        for part in [
            "task shop",
            "public.orders (3 rows on the source, 2 on the target)",
            RECONCILE_AT,
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
