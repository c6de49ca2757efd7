//! What the engine measures of itself.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// Clones share the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct EngineMetrics {
    /// Seconds that a transaction took, its flush to the disk included.
    pub(crate) commit_duration: Histogram,
    /// Writes that shared a transaction.
    pub(crate) commit_writes: Histogram,
    /// Rows in the file.
    pub(crate) log_rows: Gauge<u64, AtomicU64>,
}

impl EngineMetrics {
    pub(super) fn new() -> Self {
        let seconds = [
            0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        ];
        let writes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        EngineMetrics {
            commit_duration: Histogram::new(seconds),
            commit_writes: Histogram::new(writes),
            log_rows: Gauge::default(),
        }
    }
}
