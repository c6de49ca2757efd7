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
    let (tables, rows) = (sum(|task| task.items_total), sum(|task| task.rows_done));
    let what = match mode {
        SyncMode::VerifyOnly => format!("compared {rows} rows of {tables} tables"),
        SyncMode::Once | SyncMode::Continuous => {
            let bytes = amount(sum(|task| task.bytes_done));
            format!("copied {rows} rows of {tables} tables, {bytes}")
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
