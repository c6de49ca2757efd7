//! What the status says: each task's figures, their totals for people, and the history of runs.

use std::time::Duration;

use homeport_crds::common::{self, RunRecord, record_run};
use homeport_crds::conditions::{self, SYNCED, Verdict};
use homeport_crds::data_sync::{ChecksumVerdict, SyncMode, SyncTaskStatus, TaskState};
use homeport_crds::{DataSync, DataSyncStatus, quantity};
use homeport_sync::Phase;
use jiff::Timestamp;

use super::decide::{Facts, MISMATCH, Step, TaskFacts};
use super::definition::POSTGRES;
use super::observe::Observed;
use super::run::{Compared, Live};
use crate::runtime::work::WorkState;
use crate::runtime::{Failure, Outcome};

/// Writes down how far each task is.
pub(super) fn tasks(status: &mut DataSyncStatus, observed: &Observed, steps: &[Step], now: Timestamp) {
    let digests = observed.tasks.iter().map(|task| task.digest.as_str());
    let facts = observed.facts.tasks.iter();
    status.tasks = facts
        .zip(digests)
        .zip(steps)
        .map(|((facts, digest), step)| task(facts, digest, step, now))
        .collect();
    totals(status);
}

/// Writes down that what is not done pauses.
pub(super) fn paused(status: &mut DataSyncStatus) {
    for task in &mut status.tasks {
        if ![TaskState::Done, TaskState::Failed].contains(&task.state) {
            task.state = TaskState::Paused;
            at_rest(task);
        }
    }
    totals(status);
}

fn task(facts: &TaskFacts, digest: &str, step: &Step, now: Timestamp) -> SyncTaskStatus {
    let mut task = facts.recorded.clone().unwrap_or_else(|| SyncTaskStatus {
        name: facts.name.clone(),
        engine: POSTGRES.to_owned(),
        input_digest: digest.to_owned(),
        ..SyncTaskStatus::default()
    });
    if facts.is_done() {
        return task;
    }
    at_rest(&mut task);
    let ended_at = match &facts.work {
        Some(WorkState::Running(live)) => {
            figures(&mut task, live);
            task.started_at.get_or_insert(now.to_string());
            None
        }
        Some(WorkState::Ended(ended)) => {
            figures(&mut task, &ended.live);
            if let Ok(compared) = &ended.result {
                compared_figures(&mut task, compared);
            }
            Some(ended.at)
        }
        Some(WorkState::Lost) | None => None,
    };
    match step {
        Step::Done => {
            task.state = TaskState::Done;
            task.checksum = ChecksumVerdict::Match;
            task.finished_at = ended_at.map(|at| at.to_string());
        }
        Step::Run | Step::Hold => match &facts.work {
            Some(WorkState::Running(live)) => {
                task.state = state_in(live.progress.phase);
                task.phase = phase_name(live.progress.phase).to_owned();
                task.bytes_per_second = Some(signed(live.progress.rate));
                task.eta_seconds = live.progress.eta_estimate.map(|eta| signed(eta.as_secs()));
                task.finished_at = None;
                task.message.clear();
            }
            _ => task.state = TaskState::Pending,
        },
        Step::Later(failure) => {
            task.state = TaskState::Pending;
            task.message = failure.to_string();
        }
        Step::Stop(failure) => {
            task.state = TaskState::Failed;
            if failure.reason() == MISMATCH {
                task.checksum = ChecksumVerdict::Mismatch;
            }
            task.finished_at = ended_at.map(|at| at.to_string()).or(task.finished_at);
            task.message = failure.to_string();
        }
    }
    task
}

/// Nothing moves: no phase, no rate, and no time that the rest would take.
fn at_rest(task: &mut SyncTaskStatus) {
    task.phase.clear();
    task.bytes_per_second = None;
    task.eta_seconds = None;
}

fn figures(task: &mut SyncTaskStatus, live: &Live) {
    let progress = &live.progress;
    task.retries = signed(live.retries());
    if progress.tables_total == 0 {
        // Before the engine has looked at the tables, or after it could not: what was known is still the best.
        return;
    }
    task.bytes_done = signed(progress.bytes_done);
    task.bytes_total = signed(progress.bytes_total_estimate);
    task.rows_done = signed(progress.rows_done);
    task.rows_total = signed(progress.rows_total_estimate);
    task.items_done = count(progress.tables_done);
    task.items_total = count(progress.tables_total);
}

/// What was counted on both sides takes the place of estimates.
fn compared_figures(task: &mut SyncTaskStatus, compared: &Compared) {
    let rows = compared.verdicts.iter().map(|verdict| verdict.rows_source).sum();
    task.rows_done = signed(rows);
    task.rows_total = task.rows_done;
    task.bytes_total = task.bytes_done;
    task.items_total = count(compared.verdicts.len());
    task.items_done = task.items_total;
    task.message = compared.warnings.join("; ");
}

fn totals(status: &mut DataSyncStatus) {
    let tasks = &status.tasks;
    let done = tasks.iter().filter(|task| task.state == TaskState::Done).count();
    let bytes_done: i64 = tasks.iter().map(|task| task.bytes_done).sum();
    let bytes_total: i64 = tasks.iter().map(|task| task.bytes_total).sum();
    let rate: i64 = tasks.iter().filter_map(|task| task.bytes_per_second).sum();
    // Until each task has been looked at, nobody knows how much there is.
    let known = tasks
        .iter()
        .all(|task| task.state == TaskState::Done || task.items_total > 0);
    status.tasks_done = Some(format!("{done}/{}", tasks.len()));
    status.percent = if done == tasks.len() {
        Some(100)
    } else if known && bytes_total > 0 {
        // The last bytes are not the end: indexes and the comparison come after them.
        i32::try_from((bytes_done.saturating_mul(100) / bytes_total).clamp(0, 99)).ok()
    } else {
        None
    };
    let left = bytes_total - bytes_done;
    status.rate = (rate > 0).then(|| format!("{}/s", amount(rate)));
    status.eta = (known && rate > 0 && left > 0).then(|| {
        let seconds = left.unsigned_abs().div_ceil(rate.unsigned_abs());
        quantity::Duration(Duration::from_secs(seconds)).to_string()
    });
}

/// What was copied, in words.
pub(super) fn done(mode: SyncMode, status: &DataSyncStatus) -> String {
    let sum = |figure: fn(&SyncTaskStatus) -> i64| status.tasks.iter().map(figure).sum::<i64>();
    let tables = counted(sum(|task| task.items_total), "table");
    let rows = counted(sum(|task| task.rows_done), "row");
    let what = match mode {
        SyncMode::VerifyOnly => format!("compared {rows} of {tables}"),
        SyncMode::Once | SyncMode::Continuous => {
            let bytes = amount(sum(|task| task.bytes_done));
            format!("copied {rows} of {tables}, {bytes}")
        }
    };
    format!("{what}; the checksums of both sides agree")
}

/// How far what is not done is, in words.
pub(super) fn under_way(status: &DataSyncStatus) -> String {
    let going: Vec<String> = status
        .tasks
        .iter()
        .filter(|task| [TaskState::Running, TaskState::Verifying].contains(&task.state))
        .map(|task| match task.bytes_total {
            0 => format!("{}: {}", task.name, task.phase),
            total => format!(
                "{}: {}, {} of about {}",
                task.name,
                task.phase,
                amount(task.bytes_done),
                amount(total)
            ),
        })
        .collect();
    let done = status.tasks_done.as_deref().unwrap_or("0/0");
    match going.is_empty() {
        true => format!("{done} tasks done"),
        false => format!("{done} tasks done; {}", going.join("; ")),
    }
}

/// Sets the condition `Synced`: True once all is done, else False for the same reason for which the sync is not
/// ready.
pub(super) fn synced(sync: &DataSync, status: &mut DataSyncStatus, result: &Result<Outcome, Failure>) {
    let generation = sync.metadata.generation.unwrap_or_default();
    let (is_synced, reason, message) = match result {
        Ok(Outcome {
            verdict: Verdict::Ready { reason, message },
            ..
        }) => (true, reason.as_str(), message.clone()),
        Ok(Outcome { verdict, .. }) => match verdict {
            Verdict::InProgress { reason, .. }
            | Verdict::Retrying { reason, .. }
            | Verdict::Stalled { reason, .. }
            | Verdict::Ready { reason, .. } => {
                let done = status.tasks_done.as_deref().unwrap_or("0/0");
                (false, reason.as_str(), format!("{done} tasks done"))
            }
        },
        Err(failure) => (false, failure.reason(), failure.to_string()),
    };
    conditions::set(
        &mut status.conditions,
        generation,
        SYNCED,
        is_synced,
        reason,
        message,
    );
}

/// Puts a run into the history when its last task has come to an end in this pass: all is done, or nothing more can
/// be.
pub(super) fn history(
    sync: &DataSync,
    status: &mut DataSyncStatus,
    facts: &Facts,
    result: &Result<Outcome, Failure>,
) {
    let (outcome, message) = match result {
        Ok(Outcome {
            verdict: Verdict::Ready { message, .. },
            ..
        }) => (common::Outcome::Succeeded, message.clone()),
        Err(failure @ Failure::Terminal { .. }) => (common::Outcome::Failed, failure.to_string()),
        Ok(_) | Err(_) => return,
    };
    let ended_now = |(task, facts): &(&SyncTaskStatus, &TaskFacts)| {
        let before = facts.recorded.as_ref().map(|recorded| recorded.state);
        [TaskState::Done, TaskState::Failed].contains(&task.state) && before != Some(task.state)
    };
    let previous = status.history.first().map(|run| run.finished_at.clone());
    if !status.tasks.iter().zip(&facts.tasks).any(|pair| ended_now(&pair)) {
        return;
    }
    // Tasks that were done in an earlier run began in that.
    let of_this_run = |task: &&SyncTaskStatus| is_later(task.finished_at.as_deref(), previous.as_deref());
    let run: Vec<&SyncTaskStatus> = status.tasks.iter().filter(of_this_run).collect();
    let earliest = run.iter().filter_map(|task| task.started_at.clone()).min();
    let latest = run.iter().filter_map(|task| task.finished_at.clone()).max();
    let now = Timestamp::now().to_string();
    let record = RunRecord {
        action: match facts.mode {
            SyncMode::VerifyOnly => "Verify".to_owned(),
            SyncMode::Once | SyncMode::Continuous => "Sync".to_owned(),
        },
        revision: None,
        generation: sync.metadata.generation.unwrap_or_default(),
        started_at: earliest.unwrap_or_else(|| now.clone()),
        finished_at: latest.unwrap_or(now),
        outcome,
        message,
    };
    record_run(&mut status.history, record);
}

fn is_later(time: Option<&str>, than: Option<&str>) -> bool {
    let parse = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    parse(time).is_some_and(|time| parse(than).is_none_or(|than| time > than))
}

fn state_in(phase: Phase) -> TaskState {
    match phase {
        Phase::Planning | Phase::Schema | Phase::Data | Phase::Finishing => TaskState::Running,
        Phase::Verifying | Phase::Done => TaskState::Verifying,
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Planning => "plan",
        Phase::Schema => "schema",
        Phase::Data => "data",
        Phase::Finishing => "finish",
        Phase::Verifying | Phase::Done => "verify",
    }
}

fn counted(number: i64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// An amount of bytes for people, in powers of 1000.
fn amount(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && amount < 9.95);
    format!("{amount:.digits$} {}", UNITS[unit])
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data_sync::run::Ended;
    use homeport_sync::{Progress, Verdict};
    use rstest::rstest;
    use tokio::time::Instant;

    const BEGAN: &str = "2026-11-24T10:00:00Z";

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn copying(bytes_done: u64, rate: u64) -> Live {
        Live {
            digest: "d".into(),
            retries_before: 2,
            progress: Progress {
                phase: Phase::Data,
                bytes_done,
                bytes_total_estimate: 300_000_000,
                rows_done: 10,
                rows_total_estimate: 1000,
                rate,
                eta_estimate: (rate > 0).then(|| Duration::from_secs(80)),
                tables_done: 1,
                tables_total: 4,
                retries: 1,
                lag: None,
            },
        }
    }

    fn finished() -> Ended {
        let verdict = |rows| Verdict {
            table: "public.t".into(),
            rows_source: rows,
            rows_target: rows,
            checksum_source: "c".into(),
            checksum_target: "c".into(),
            equal: true,
        };
        Ended {
            input: "i".into(),
            live: copying(290_000_000, 0),
            at: at("2026-11-24T10:01:00Z"),
            result: Ok(Compared {
                verdicts: vec![verdict(900), verdict(85)],
                warnings: vec!["a role is missing".into()],
            }),
            retry_at: None,
        }
    }

    fn facts(recorded: Option<SyncTaskStatus>, work: Option<WorkState<Live, Ended>>) -> TaskFacts {
        TaskFacts {
            name: "db".into(),
            depends_on: Vec::new(),
            recorded,
            work,
        }
    }

    #[test]
    fn a_task_goes_from_copying_over_paused_to_done() {
        let running = facts(None, Some(WorkState::Running(copying(120_000_000, 2_250_000))));
        let first = task(&running, "d", &Step::Run, at(BEGAN));
        assert_eq!((first.state, first.phase.as_str()), (TaskState::Running, "data"));
        assert_eq!((first.bytes_done, first.bytes_total), (120_000_000, 300_000_000));
        assert_eq!((first.items_done, first.items_total, first.retries), (1, 4, 3));
        assert_eq!(
            (first.bytes_per_second, first.eta_seconds),
            (Some(2_250_000), Some(80))
        );
        assert_eq!(first.started_at.as_deref(), Some(BEGAN));

        let mut status = DataSyncStatus {
            tasks: vec![first],
            ..DataSyncStatus::default()
        };
        paused(&mut status);
        let second = status.tasks.remove(0);
        assert_eq!(
            (second.state, second.bytes_done),
            (TaskState::Paused, 120_000_000)
        );
        assert_eq!((second.bytes_per_second, second.eta_seconds), (None, None));
        assert_eq!(status.rate, None);

        let ended = facts(Some(second), Some(WorkState::Ended(finished())));
        let third = task(&ended, "d", &Step::Done, at("2026-11-24T10:01:01Z"));
        assert_eq!(
            (third.state, third.checksum),
            (TaskState::Done, ChecksumVerdict::Match)
        );
        assert_eq!(
            (third.rows_done, third.rows_total, third.items_done),
            (985, 985, 2)
        );
        assert_eq!(third.bytes_done, third.bytes_total);
        assert_eq!(third.started_at.as_deref(), Some(BEGAN));
        assert_eq!(third.finished_at.as_deref(), Some("2026-11-24T10:01:00Z"));
        assert_eq!(third.message, "a role is missing");

        let later = facts(Some(third.clone()), None);
        assert_eq!(task(&later, "d", &Step::Done, at("2026-11-24T11:00:00Z")), third);
    }

    #[test]
    fn figures_stay_where_an_engine_could_not_look() {
        let known = task(
            &facts(None, Some(WorkState::Running(copying(120_000_000, 1)))),
            "d",
            &Step::Run,
            at(BEGAN),
        );
        let blind = Live {
            progress: Progress::default(),
            ..copying(0, 0)
        };
        let again = task(
            &facts(Some(known), Some(WorkState::Running(blind))),
            "d",
            &Step::Run,
            at(BEGAN),
        );
        assert_eq!((again.bytes_done, again.items_total), (120_000_000, 4));
        assert_eq!(again.phase, "plan");
    }

    #[test]
    fn a_mismatch_is_a_verdict() {
        let differs = Failure::terminal(MISMATCH, "public.t differs");
        let ended = facts(None, Some(WorkState::Ended(finished())));
        let task = task(&ended, "d", &Step::Stop(differs), at(BEGAN));
        assert_eq!(
            (task.state, task.checksum),
            (TaskState::Failed, ChecksumVerdict::Mismatch)
        );
        assert_eq!(task.message, "public.t differs");
    }

    fn status_of(tasks: &[(TaskState, i64, i64, i64)]) -> DataSyncStatus {
        let tasks = tasks.iter().map(|(state, done, total, rate)| SyncTaskStatus {
            name: "db".into(),
            state: *state,
            phase: "data".into(),
            bytes_done: *done,
            bytes_total: *total,
            items_total: i64::from(*total > 0),
            bytes_per_second: Some(*rate),
            ..SyncTaskStatus::default()
        });
        let mut status = DataSyncStatus {
            tasks: tasks.collect(),
            ..DataSyncStatus::default()
        };
        totals(&mut status);
        status
    }

    use TaskState::{Done, Pending, Running};

    #[rstest]
    #[case::one(&[(Running, 3_200_000_000, 10_000_000_000, 85_000_000)], "0/1", Some(32), Some("85 MB/s"), Some("1m20s"))]
    #[case::at_the_end(&[(Running, 100, 100, 1)], "0/1", Some(99), Some("1 B/s"), None)]
    #[case::done(&[(Done, 100, 100, 0), (Done, 0, 0, 0)], "2/2", Some(100), None, None)]
    #[case::unknown_rest(&[(Running, 50, 100, 10), (Pending, 0, 0, 0)], "0/2", None, Some("10 B/s"), None)]
    #[case::one_is_done(&[(Done, 50, 50, 0), (Running, 0, 50, 0)], "1/2", Some(50), None, None)]
    fn totals_say_only_what_is_known(
        #[case] tasks: &[(TaskState, i64, i64, i64)],
        #[case] done: &str,
        #[case] percent: Option<i32>,
        #[case] rate: Option<&str>,
        #[case] eta: Option<&str>,
    ) {
        let status = status_of(tasks);
        assert_eq!(status.tasks_done.as_deref(), Some(done));
        assert_eq!(status.percent, percent);
        assert_eq!((status.rate.as_deref(), status.eta.as_deref()), (rate, eta));
    }

    #[test]
    fn messages_are_for_people() {
        let status = status_of(&[(Running, 120_000_000, 320_000_000, 0), (Done, 0, 0, 0)]);
        assert_eq!(
            under_way(&status),
            "1/2 tasks done; db: data, 120 MB of about 320 MB"
        );
        let status = status_of(&[(Done, 320_000_000, 320_000_000, 0)]);
        assert_eq!(
            super::done(SyncMode::Once, &status),
            "copied 0 rows of 1 table, 320 MB; the checksums of both sides agree"
        );
    }

    #[test]
    fn a_run_is_in_the_history_once() {
        let sync = DataSync::new("s", serde_json::from_value(serde_json::json!({})).unwrap());
        let mut status = DataSyncStatus::default();
        let result = Ok(Outcome::ready("Synced", "done", Duration::ZERO));
        let mut recorded = None;
        for _ in 0..2 {
            let facts = Facts {
                mode: SyncMode::Once,
                hold: None,
                at_once: 1,
                tasks: vec![facts(recorded, Some(WorkState::Ended(finished())))],
                now: Instant::now(),
            };
            status.tasks = vec![task(&facts.tasks[0], "d", &Step::Done, at(BEGAN))];
            history(&sync, &mut status, &facts, &result);
            recorded = status.tasks.first().cloned();
        }
        assert_eq!(status.history.len(), 1);
        assert_eq!(status.history[0].finished_at, "2026-11-24T10:01:00Z");
        assert_eq!(status.history[0].message, "done");
    }

    #[rstest]
    #[case(0, "0 B")]
    #[case(999, "999 B")]
    #[case(1_000, "1.0 KB")]
    #[case(85_400_000, "85 MB")]
    #[case(999_700_000, "1.0 GB")]
    #[case(i64::MAX, "9223372 TB")]
    fn amounts(#[case] bytes: i64, #[case] text: &str) {
        assert_eq!(amount(bytes), text);
    }
}
