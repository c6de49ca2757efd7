//! Following committed changes.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Event, Expired, Memory};

/// Serialized objects that are returned at a time, if there is more than one.
const BATCH_BYTES: usize = 64 << 10;

/// A position in the history of changes. Holds no queue of its own: a slow reader costs nothing until the history
/// it has yet to read is dropped, which it is then told.
pub(crate) struct Tail {
    memory: Arc<RwLock<Memory>>,
    committed: tokio::sync::watch::Receiver<u64>,
    /// Whose changes are followed; everybody's if `None`.
    resource: Option<Arc<str>>,
    position: u64,
}

impl Tail {
    pub(super) fn new(
        memory: Arc<RwLock<Memory>>,
        committed: tokio::sync::watch::Receiver<u64>,
        resource: Option<Arc<str>>,
        position: u64,
    ) -> Self {
        Tail {
            memory,
            committed,
            resource,
            position,
        }
    }

    /// The revision up to which everything has been returned.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The changes that are there already, in order and as many as fit into a batch; the position moves past them.
    ///
    /// # Errors
    /// [`Expired`] when changes after the position are no longer in the history.
    pub(crate) fn take(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let resource = self.resource.as_deref();
        let (events, position) = memory.events_after(self.position, resource, BATCH_BYTES)?;
        self.position = self.position.max(position);
        Ok(events)
    }

    /// Waits for changes and returns them as [`Tail::take`] does; `None` when the engine has closed.
    ///
    /// # Errors
    /// Those of [`Tail::take`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Arc<Event>>>, Expired> {
        loop {
            // Mark as seen before looking, so that a commit in between wakes the wait below.
            self.committed.borrow_and_update();
            let events = self.take()?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
            if self.committed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
