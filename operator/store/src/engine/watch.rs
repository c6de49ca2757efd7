//! Following committed changes.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Event, Expired, Memory};

/// A position in the history of changes. Holds no queue of its own: a slow reader costs nothing until the history
/// it has yet to read is dropped, which it is then told.
pub(crate) struct Tail {
    memory: Arc<RwLock<Memory>>,
    committed: tokio::sync::watch::Receiver<u64>,
    position: u64,
}

impl Tail {
    pub(super) fn new(
        memory: Arc<RwLock<Memory>>,
        committed: tokio::sync::watch::Receiver<u64>,
        position: u64,
    ) -> Self {
        Tail {
            memory,
            committed,
            position,
        }
    }

    /// The revision up to which everything has been returned.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Waits for changes and returns them in order; `None` when the engine has closed.
    ///
    /// # Errors
    /// [`Expired`] when changes after the position are no longer in the history.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Arc<Event>>>, Expired> {
        loop {
            // Mark as seen before looking, so that a commit in between wakes the wait below.
            self.committed.borrow_and_update();
            let (events, revision) = {
                let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
                (memory.events_after(self.position)?, memory.revision())
            };
            self.position = self.position.max(revision);
            if !events.is_empty() {
                return Ok(Some(events));
            }
            if self.committed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
