//! The long part: a call of the engine, what it says on the way, and how it ended.

use std::sync::Arc;

use homeport_crds::data_sync::SyncMode;
use homeport_sync::{Engine, Error, Progress, Task, Verdict};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::runtime::backoff::Backoff;

/// What a run says while it goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Live {
    /// What was asked for; empty until the run says its first word.
    pub(super) digest: String,
    /// How often earlier runs of the task were tried again.
    pub(super) retries_before: u64,
    /// What the engine says.
    pub(super) progress: Progress,
}

impl Live {
    pub(super) fn retries(&self) -> u64 {
        self.retries_before.saturating_add(self.progress.retries)
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The input that it ran with: that of [`Run`].
    pub(super) input: String,
    /// What it said last.
    pub(super) live: Live,
    /// When.
    pub(super) at: Timestamp,
    /// What both sides hold, or why that is not known.
    pub(super) result: Result<Compared, Arc<Error>>,
    /// Where trying again may help: when to.
    pub(super) retry_at: Option<Instant>,
}

/// What both sides hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    pub(super) verdicts: Vec<Verdict>,
    /// What is not as on the source, in words.
    pub(super) warnings: Vec<String>,
}

/// One run of a task.
pub(super) struct Run {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) mode: SyncMode,
    pub(super) task: Task,
    /// What is asked for.
    pub(super) digest: String,
    /// Tells whether it is still the run that is asked for.
    pub(super) input: String,
    pub(super) retries_before: u64,
    /// Counts the failed runs of each task, by [`Task::id`].
    pub(super) backoff: Arc<Backoff>,
}

impl Run {
    /// Copies and verifies, or only verifies, until the end or until `cancel`.
    pub(super) async fn run(self, cancel: CancellationToken, live: watch::Sender<Live>) -> Ended {
        let (progress, mut said) = watch::channel(Progress::default());
        live.send_replace(self.live(Progress::default()));
        let pass_on = async {
            while said.changed().await.is_ok() {
                let progress = said.borrow_and_update().clone();
                live.send_replace(self.live(progress));
            }
            std::future::pending().await
        };
        let result = tokio::select! {
            result = self.call(&progress, &cancel) => result,
            never = pass_on => never,
        };
        Ended {
            retry_at: self.retry_at(&result),
            live: self.live(progress.borrow().clone()),
            input: self.input,
            at: Timestamp::now(),
            result: result.map_err(Arc::new),
        }
    }

    fn live(&self, progress: Progress) -> Live {
        Live {
            digest: self.digest.clone(),
            retries_before: self.retries_before,
            progress,
        }
    }

    async fn call(
        &self,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Compared, Error> {
        if self.mode == SyncMode::VerifyOnly {
            let verdicts = self.engine.verify(&self.task, progress, cancel).await?;
            return Ok(Compared {
                verdicts,
                warnings: Vec::new(),
            });
        }
        let report = self.engine.copy(&self.task, progress, cancel).await?;
        Ok(Compared {
            verdicts: report.verdicts,
            warnings: report.warnings,
        })
    }

    fn retry_at(&self, result: &Result<Compared, Error>) -> Option<Instant> {
        match result {
            Err(error) if error.is_transient() => Some(Instant::now() + self.backoff.failed(&self.task.id)),
            Ok(_) | Err(_) => {
                self.backoff.reset(&self.task.id);
                None
            }
        }
    }
}
