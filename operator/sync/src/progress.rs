//! How far a copy is: figures measured where possible, estimates called estimates.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

/// What a copy is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Phase {
    /// Looking at both sides.
    #[default]
    Planning,
    /// Creating schemas, types, functions and tables.
    Schema,
    /// Copying rows and, where a table is complete, building its indexes.
    Data,
    /// Foreign keys, triggers, sequences, materialized views, statistics.
    Finishing,
    /// Comparing both sides.
    Verifying,
    /// Both sides agree.
    Done,
}

/// How far a copy is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes read from the source, measured.
    pub bytes_done: u64,
    /// Bytes to read: measured for finished tables, the server's estimate for the others.
    pub bytes_total_estimate: u64,
    /// Rows read from the source, counted.
    pub rows_done: u64,
    /// Rows to read: counted for finished tables, the server's estimate for the others.
    pub rows_total_estimate: u64,
    /// Bytes a second over the last few seconds, measured.
    pub rate: u64,
    /// Time until the last row is read, at the present rate.
    pub eta_estimate: Option<Duration>,
    /// Tables copied and compared.
    pub tables_done: usize,
    /// Tables that take part.
    pub tables_total: usize,
    /// Connections and statements tried again.
    pub retries: u64,
    /// How far a continuous copy is behind the source. None for a copy that happens once.
    pub lag: Option<Duration>,
}

/// Counts what streams do and tells the watcher of it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    rows: AtomicU64,
    retries: AtomicU64,
    tables_done: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Estimated or, once finished, measured size by table.
    tables: HashMap<u32, (u64, u64)>,
    samples: Vec<(Instant, u64)>,
}

impl Meter {
    const WINDOW: Duration = Duration::from_secs(5);
    const TICK: Duration = Duration::from_millis(250);

    pub(crate) fn passed(&self, bytes: u64, rows: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Takes back what a failed attempt had counted.
    pub(crate) fn withdraw(&self, bytes: u64, rows: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.rows.fetch_sub(rows, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// Starts counting anew over these tables: `(id, bytes, rows)` as the server estimates them.
    pub(crate) fn expect(&self, tables: impl IntoIterator<Item = (u32, u64, u64)>) {
        self.bytes.store(0, Ordering::Relaxed);
        self.rows.store(0, Ordering::Relaxed);
        self.tables_done.store(0, Ordering::Relaxed);
        let mut state = self.lock();
        state.samples.clear();
        state.tables = tables
            .into_iter()
            .map(|(id, bytes, rows)| (id, (bytes, rows)))
            .collect();
    }

    /// A table is complete: its measured size takes the place of the estimate.
    pub(crate) fn finished(&self, table: u32, bytes: u64, rows: u64) {
        self.tables_done.fetch_add(1, Ordering::Relaxed);
        self.lock().tables.insert(table, (bytes, rows));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures at `now`.
    fn progress(&self, now: Instant) -> Progress {
        let bytes_done = self.bytes.load(Ordering::Relaxed);
        let rows_done = self.rows.load(Ordering::Relaxed);
        let mut state = self.lock();
        state
            .samples
            .retain(|(at, _)| now.duration_since(*at) <= Self::WINDOW);
        let rate = state.samples.first().map_or(0, |(at, bytes)| {
            let seconds = now.duration_since(*at).as_secs_f64();
            if seconds > 0.0 {
                (bytes_done.saturating_sub(*bytes) as f64 / seconds) as u64
            } else {
                0
            }
        });
        state.samples.push((now, bytes_done));
        let bytes_total = state
            .tables
            .values()
            .map(|(bytes, _)| bytes)
            .sum::<u64>()
            .max(bytes_done);
        let rows_total = state
            .tables
            .values()
            .map(|(_, rows)| rows)
            .sum::<u64>()
            .max(rows_done);
        let left = bytes_total - bytes_done;
        Progress {
            phase: state.phase,
            bytes_done,
            bytes_total_estimate: bytes_total,
            rows_done,
            rows_total_estimate: rows_total,
            rate,
            eta_estimate: (rate > 0 && state.phase == Phase::Data)
                .then(|| Duration::from_secs(left.div_ceil(rate))),
            tables_done: self.tables_done.load(Ordering::Relaxed),
            tables_total: state.tables.len(),
            retries: self.retries(),
            lag: None,
        }
    }

    /// Sends the figures to `watcher` until dropped; it never returns.
    pub(crate) async fn report(self: Arc<Self>, watcher: &watch::Sender<Progress>) -> Infallible {
        loop {
            self.publish(watcher);
            tokio::time::sleep(Self::TICK).await;
        }
    }

    pub(crate) fn publish(&self, watcher: &watch::Sender<Progress>) {
        watcher.send_replace(self.progress(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_give_way_to_measurements() {
        let meter = Meter::default();
        meter.enter(Phase::Data);
        meter.expect([(1, 1000, 10), (2, 500, 5)]);
        let start = Instant::now();
        assert_eq!(meter.progress(start).eta_estimate, None);

        meter.passed(400, 8);
        meter.finished(1, 400, 8);
        let progress = meter.progress(start + Duration::from_secs(2));
        assert_eq!((progress.bytes_done, progress.bytes_total_estimate), (400, 900));
        assert_eq!((progress.rows_done, progress.rows_total_estimate), (8, 13));
        assert_eq!((progress.tables_done, progress.tables_total), (1, 2));
        assert_eq!(progress.rate, 200);
        assert_eq!(progress.eta_estimate, Some(Duration::from_secs(3)));
    }

    #[test]
    fn the_total_is_never_less_than_what_is_done() {
        let meter = Meter::default();
        meter.expect([(1, 10, 1)]);
        meter.passed(400, 8);
        let progress = meter.progress(Instant::now());
        assert_eq!(
            (progress.bytes_total_estimate, progress.rows_total_estimate),
            (400, 8)
        );
    }

    #[test]
    fn a_failed_attempt_is_taken_back() {
        let meter = Meter::default();
        meter.passed(400, 8);
        meter.withdraw(400, 8);
        assert_eq!(meter.progress(Instant::now()).bytes_done, 0);
    }
}
