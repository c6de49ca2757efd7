//! The seam between the callers and the data systems.

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::checksum::Checksum;
use crate::{Error, Progress, Task};

/// Moves one kind of data system. Every call may be killed at any instant and made again: it continues.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Name of the data system, as tasks spell it.
    fn name(&self) -> &'static str;

    /// Looks at both sides and says what a copy would do. Writes nothing; an error is what `copy` would stop at.
    async fn plan(&self, task: &Task, cancel: &CancellationToken) -> Result<Plan, Error>;

    /// Copies, verifies, and returns when both sides agree. Cancelling suspends: the call returns
    /// [`Error::Cancelled`] at once and the next one continues.
    async fn copy(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Report, Error>;

    /// Compares both sides as they are now. Writes nothing. Differences are in the verdicts, not an error.
    async fn verify(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Verdict>, Error>;
}

/// What a copy would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Version of the source's server.
    pub source_version: String,
    /// Version of the target's server.
    pub target_version: String,
    /// Tables with data, biggest first.
    pub tables: Vec<PlannedTable>,
    /// Extensions that will be created.
    pub extensions: Vec<String>,
    /// Whether an earlier run of the same task left state that this one continues from.
    pub resumes: bool,
    /// What will not be as on the source, in words.
    pub warnings: Vec<String>,
}

/// One table of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedTable {
    /// `schema.table`.
    pub name: String,
    /// Size on the source's disk, as its server estimates it.
    pub bytes_estimate: u64,
    /// Rows, as the source's statistics estimate them.
    pub rows_estimate: u64,
    /// How many ranges it is copied in.
    pub chunks: usize,
    /// Whether rows travel in the binary form (else as text).
    pub binary: bool,
}

/// What a finished copy did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The source's write-ahead-log position at or before the snapshot: the copy holds everything before it.
    pub snapshot_lsn: String,
    /// Bytes that passed from source to target in this call.
    pub bytes_copied: u64,
    /// Rows that passed from source to target in this call.
    pub rows_copied: u64,
    /// Tables whose rows an earlier call had copied and that were found unchanged on both sides.
    pub tables_kept: usize,
    /// Connections and statements tried again.
    pub retries: u64,
    /// What is not as on the source, in words.
    pub warnings: Vec<String>,
    /// Both sides' counts and checksums, by table name.
    pub verdicts: Vec<Verdict>,
}

/// Whether both sides of a table agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `schema.table`, or `large objects`.
    pub table: String,
    /// Rows on the source, at the snapshot.
    pub rows_source: u64,
    /// Rows on the target.
    pub rows_target: u64,
    /// Checksum of the source's rows.
    pub checksum_source: String,
    /// Checksum of the target's rows.
    pub checksum_target: String,
    /// Whether counts and checksums agree.
    pub equal: bool,
}

impl Verdict {
    pub(crate) fn new(table: impl Into<String>, source: Checksum, target: Checksum) -> Self {
        Verdict {
            table: table.into(),
            rows_source: source.rows(),
            rows_target: target.rows(),
            checksum_source: source.to_string(),
            checksum_target: target.to_string(),
            equal: source == target,
        }
    }
}
