//! The storage engine: versioned objects in memory, made durable by one log file.
//!
//! All writes pass through one thread ([`writer`]), which takes whatever waits in its queue, appends it to the
//! [`log`] in a single transaction, and only then shows it to readers ([`memory`]) and answers the writers. The
//! disk's flush is the limit of any such store; sharing one flush among all waiting writers is what buys speed.
//!
//! Every change gets a revision from one counter ([`revision`]) that never goes back, not even across restarts.

mod announce;
mod backup;
mod check;
mod entry;
mod format;
mod lock;
mod log;
mod memory;
mod metrics;
mod revision;
mod stored;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use self::announce::Announcer;
pub use self::backup::{Restored, backup, restore};
pub use self::check::{Finding, Report, check};
use self::log::Log;
pub(crate) use self::memory::{Expired, Memory};
pub(crate) use self::metrics::EngineMetrics;
pub(crate) use self::stored::Stored;
pub(crate) use self::watch::Tail;
use self::writer::{Request, Writer};
use crate::Error;

/// Writes that may wait for the writer thread before callers are held back.
const QUEUE: usize = 1024;

/// Levels of lists and maps in an object. JSON parsers, that of the log and those of clients, stop at 128; what is
/// stored must be readable for all of them, within a list and a watch event too.
const MAX_DEPTH: usize = 100;

/// The only type of Secret that the log holds: Helm's record of a release.
pub(crate) const RELEASE_SECRET: &str = "helm.sh/release.v1";

/// The address of an object: `resource` is `group/plural`, `namespace` is empty for cluster-scoped objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &Arc<str>, namespace: &str, name: &str) -> Self {
        Key {
            resource: Arc::clone(resource),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `plural` or `plural.group`, the form that people know.
    pub(crate) fn resource_name(&self) -> String {
        match self.resource.split_once('/') {
            Some(("", plural)) => plural.to_owned(),
            Some((group, plural)) => format!("{plural}.{group}"),
            None => self.resource.to_string(),
        }
    }

    /// `group/plural/namespace/name`, the form in the log; no part can hold a slash.
    fn encode(&self) -> String {
        format!("{}/{}/{}", self.resource, self.namespace, self.name)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let (name, namespace, resource) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Key {
            resource: resource.into(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.encode())
    }
}

/// What a write demands of the object as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// There is none.
    Absent,
    /// It was last written at this revision.
    Revision(u64),
}

/// What a write does. Both carry the object; a deletion's is its final state, which watchers are shown.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Value),
    Delete(Value),
}

/// One conditional change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    pub(crate) change: Change,
    /// False keeps the object in memory only: it is gone after a restart and never reaches the file.
    pub(crate) durable: bool,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The object is not as [`Expect`]ed.
    #[error("the object has been changed since it was read")]
    Conflict,
    /// The object is nested deeper than [`MAX_DEPTH`].
    #[error(
        "the object is nested more than {MAX_DEPTH} levels deep, its managedFields included; make it flatter"
    )]
    TooDeep,
    /// The disk refused; nothing of this write is kept.
    #[error(transparent)]
    Storage(#[from] Arc<Error>),
}

/// How an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One committed change, as watchers see it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) key: Key,
    pub(crate) kind: EventKind,
    /// The object after the change; its final state if it was deleted.
    pub(crate) stored: Stored,
    /// The object before the change, with the revision that had written it.
    pub(crate) previous: Option<Stored>,
}

impl Event {
    /// The revision of the change.
    pub(crate) fn revision(&self) -> u64 {
        self.stored.revision
    }

    /// The object as JSON.
    pub(crate) fn json(&self) -> &Bytes {
        self.stored.json()
    }
}

/// Where the engine keeps its log.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    File(PathBuf),
    Memory,
}

/// How much history stays available to watches and to lists that continue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryLimit {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// Handle on the engine; dropping it ends the writer thread once the queue is empty.
#[derive(Debug)]
pub(crate) struct Engine {
    memory: Arc<RwLock<Memory>>,
    queue: mpsc::Sender<Request>,
    announcer: Arc<Announcer>,
    metrics: EngineMetrics,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Engine {
    /// Opens or creates the log, replays it, and starts the writer. Blocks on the disk.
    pub(crate) fn open(location: &Location, limit: HistoryLimit) -> Result<Self, Error> {
        Self::start(Log::open(location)?, limit)
    }

    fn start(mut log: Log, limit: HistoryLimit) -> Result<Self, Error> {
        let recovered = log.replay(limit)?;
        let revision = recovered.memory.revision();
        let memory = Arc::new(RwLock::new(recovered.memory));
        let (queue, requests) = mpsc::channel(QUEUE);
        let announcer = Arc::new(Announcer::new(revision));
        let metrics = EngineMetrics::new();
        metrics.log_rows.set(log.rows());
        let writer = Writer::new(
            log,
            recovered.counter,
            recovered.dead,
            Arc::clone(&memory),
            Arc::clone(&announcer),
            metrics.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(requests))
            .map_err(Error::Thread)?;
        Ok(Engine {
            memory,
            queue,
            announcer,
            metrics,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Reads the committed state. The closure runs under a lock that commits wait for: keep it short.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Performs `write` and waits until it is durable and visible.
    pub(crate) async fn write(&self, write: Write) -> Result<Stored, WriteError> {
        let (answer, answered) = oneshot::channel();
        let closed = || WriteError::Storage(Arc::new(Error::Closed));
        self.queue
            .send(Request::Write(write, answer))
            .await
            .map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Follows all changes after `revision`.
    pub(crate) fn tail(&self, revision: u64) -> Tail {
        let committed = self.announcer.subscribe(None);
        Tail::new(Arc::clone(&self.memory), committed, None, revision)
    }

    /// Follows the changes of `resource` after `revision`.
    pub(crate) fn tail_of(&self, resource: &Arc<str>, revision: u64) -> Tail {
        let committed = self.announcer.subscribe(Some(resource));
        Tail::new(
            Arc::clone(&self.memory),
            committed,
            Some(Arc::clone(resource)),
            revision,
        )
    }

    /// What the engine measures.
    pub(crate) fn metrics(&self) -> &EngineMetrics {
        &self.metrics
    }

    /// Whether writes are accepted.
    pub(crate) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Ends the writer after everything queued before; later writes fail with [`Error::Closed`].
    pub(crate) async fn close(&self) {
        // An error means that the writer has ended already.
        let _ = self.queue.send(Request::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
