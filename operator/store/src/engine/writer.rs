//! The one thread that changes anything.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::announce::Announcer;
use super::log::{Log, Row};
use super::revision::Counter;
use super::{
    Change, EngineMetrics, Event, EventKind, Expect, Key, MAX_DEPTH, Memory, Stored, Write, WriteError,
};
use crate::Error;

/// Writes that share one transaction at most.
const BATCH: usize = 512;
/// Superseded rows removed at a time: enough to keep up with writers, too few to keep them waiting.
const COMPACTION: usize = 1024;

/// How long a commit waits for as many writes as the last one answered: whoever writes one after the other is about to
/// come again, and would else find the disk busy with the first of them alone. A fraction of a flush.
const GATHERING: Duration = Duration::from_micros(400);

type Answer = oneshot::Sender<Result<Stored, WriteError>>;

pub(super) enum Request {
    Write(Write, Answer),
    Close,
}

/// Rows of the log that no longer matter once the history before the revision that superseded them is dropped.
#[derive(Default)]
pub(super) struct Dead {
    /// (superseded at, row), ascending in the first.
    rows: VecDeque<(u64, u64)>,
}

impl Dead {
    /// Notes the rows that a change at `revision` makes superfluous: the one before it, and if it is a deletion,
    /// in the end its own.
    pub(super) fn superseded(
        &mut self,
        before: Option<&Stored>,
        kind: EventKind,
        revision: u64,
        durable: bool,
    ) {
        let before = before.filter(|before| before.durable);
        if let Some(before) = before {
            self.rows.push_back((revision, before.revision));
        }
        let tombstone = match kind {
            EventKind::Deleted => durable,
            // An object that leaves the disk for memory is deleted there.
            _ => !durable && before.is_some(),
        };
        if tombstone {
            self.rows.push_back((revision, revision));
        }
    }

    fn waiting(&self, floor: u64) -> bool {
        self.rows.get(COMPACTION - 1).is_some_and(|(at, _)| *at <= floor)
    }
}

pub(super) struct Writer {
    log: Log,
    counter: Counter,
    dead: Dead,
    memory: Arc<RwLock<Memory>>,
    announcer: Arc<Announcer>,
    metrics: EngineMetrics,
    recent: Recent,
}

/// What was just written, kept parsed: its writer, the housekeeping and the watches are about to look at it.
#[derive(Default)]
struct Recent {
    /// With the lengths of their texts.
    objects: VecDeque<(Arc<Value>, usize)>,
    bytes: usize,
}

impl Recent {
    const OBJECTS: usize = 64;
    const BYTES: usize = 1 << 20;

    fn remember(&mut self, object: Arc<Value>, bytes: usize) {
        self.objects.push_back((object, bytes));
        self.bytes += bytes;
        while self.objects.len() > Self::OBJECTS || self.bytes > Self::BYTES {
            let Some((_, bytes)) = self.objects.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.announcer.close();
    }
}

/// A change that passed its check and waits for the disk.
struct Staged {
    event: Event,
    answer: Answer,
}

impl Writer {
    pub(super) fn new(
        log: Log,
        counter: Counter,
        dead: Dead,
        memory: Arc<RwLock<Memory>>,
        announcer: Arc<Announcer>,
        metrics: EngineMetrics,
    ) -> Self {
        Writer {
            log,
            counter,
            dead,
            memory,
            announcer,
            metrics,
            recent: Recent::default(),
        }
    }

    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        // How many writes the last commit answered.
        let mut answered = 0;
        while let Some(first) = requests.blocking_recv() {
            let mut batch = Vec::new();
            let mut next = Some(first);
            let mut closing = false;
            let deadline = Instant::now() + GATHERING;
            while let Some(request) = next {
                match request {
                    Request::Write(write, answer) => batch.push((write, answer)),
                    Request::Close => {
                        closing = true;
                        break;
                    }
                }
                next = match batch.len() {
                    BATCH.. => None,
                    taken if taken < answered => gather(&mut requests, deadline),
                    _ => requests.try_recv().ok(),
                };
            }
            answered = batch.len();
            self.commit(batch);
            self.compact();
            if closing {
                return;
            }
        }
    }

    /// Commits all of `batch` that is allowed, or nothing; answers everyone afterwards.
    fn commit(&mut self, batch: Vec<(Write, Answer)>) {
        let mut staged = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        // What the objects will be once the changes staged so far are committed.
        let mut ahead: HashMap<Key, Option<Stored>> = HashMap::new();
        for (write, answer) in batch {
            match self.stage(write, &mut ahead) {
                Ok(event) => staged.push(Staged { event, answer }),
                Err(error) => refused.push((answer, error)),
            }
        }
        if !staged.is_empty() {
            match self.persist(&staged) {
                Ok(()) => self.publish(staged),
                Err(error) => {
                    tracing::error!(%error, writes = staged.len(), "could not write to the store's file");
                    let error = Arc::new(error);
                    for failed in staged {
                        refused.push((failed.answer, WriteError::Storage(Arc::clone(&error))));
                    }
                }
            }
        }
        // After the commit: whoever lost to a change in this very batch can read that change now.
        for (answer, error) in refused {
            // A caller that went away needs no answer; the same holds below.
            let _ = answer.send(Err(error));
        }
    }

    fn stage(&mut self, write: Write, ahead: &mut HashMap<Key, Option<Stored>>) -> Result<Event, WriteError> {
        let Write {
            key,
            expect,
            change,
            durable,
        } = write;
        let previous = match ahead.get(&key) {
            Some(stored) => stored.clone(),
            None => self
                .memory
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .cloned(),
        };
        let allowed = match (expect, &previous) {
            (Expect::Absent, None) => true,
            (Expect::Revision(revision), Some(stored)) => stored.revision == revision,
            _ => false,
        };
        if !allowed {
            return Err(WriteError::Conflict);
        }
        let (mut value, kind) = match (change, &previous) {
            (Change::Put(value), None) => (value, EventKind::Added),
            (Change::Put(value), Some(_)) => (value, EventKind::Modified),
            (Change::Delete(value), _) => (value, EventKind::Deleted),
        };
        // What earlier versions stored deeper than that may be changed and deleted, but not nested deeper still.
        let levels = depth(&value);
        if levels > MAX_DEPTH
            && previous
                .as_ref()
                .is_none_or(|before| depth(&before.value()) < levels)
        {
            return Err(WriteError::TooDeep);
        }
        let durable = match (kind, &previous) {
            (EventKind::Deleted, Some(stored)) => stored.durable,
            _ => durable,
        };
        let revision = self.counter.next();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
        }
        let json = serde_json::to_vec(&value).map_err(|error| Arc::new(Error::Unserializable(error)))?;
        let object = Arc::new(value);
        let bytes = json.len();
        let stored = Stored::new(revision, durable, &object, json.into());
        self.recent.remember(object, bytes);
        let next = (kind != EventKind::Deleted).then(|| stored.clone());
        ahead.insert(key.clone(), next);
        Ok(Event {
            key,
            kind,
            stored,
            previous,
        })
    }

    /// Puts the durable ones of `staged` on disk. Those in memory only cost a flush once in a block of revisions.
    fn persist(&mut self, staged: &[Staged]) -> Result<(), Error> {
        let rows: Vec<Row<'_>> = staged
            .iter()
            // A memory-only change still has a row if it takes the place of a durable object: its deletion.
            .filter_map(|Staged { event, .. }| {
                let replaces = event.previous.as_ref().is_some_and(|previous| previous.durable);
                let (kind, value): (_, &[u8]) = match (event.stored.durable, replaces) {
                    (true, _) => (event.kind, event.json()),
                    (false, true) => (EventKind::Deleted, b"null"),
                    (false, false) => return None,
                };
                Some(Row {
                    revision: event.revision(),
                    key: &event.key,
                    kind,
                    value,
                })
            })
            .collect();
        let reserve = self.counter.reservation();
        if rows.is_empty() && reserve.is_none() {
            return Ok(());
        }
        let started = Instant::now();
        self.log.append(&rows, reserve)?;
        self.metrics
            .commit_duration
            .observe(started.elapsed().as_secs_f64());
        self.metrics.commit_writes.observe(staged.len() as f64);
        self.metrics.log_rows.set(self.log.rows());
        if let Some(mark) = reserve {
            self.counter.reserved(mark);
        }
        Ok(())
    }

    fn publish(&mut self, staged: Vec<Staged>) {
        let mut answers = Vec::with_capacity(staged.len());
        let mut resources = BTreeSet::new();
        let revision = {
            let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
            for Staged { event, answer, .. } in staged {
                let stored = event.stored.clone();
                self.dead.superseded(
                    event.previous.as_ref(),
                    event.kind,
                    event.revision(),
                    stored.durable,
                );
                answers.push((answer, stored));
                resources.insert(Arc::clone(&event.key.resource));
                memory.apply(event);
            }
            memory.revision()
        };
        // Writers first: they would wait behind thousands of watches that have something to send.
        for (answer, stored) in answers {
            let _ = answer.send(Ok(stored));
        }
        self.announcer.announce(revision, &resources);
    }

    /// Removes a bounded number of superseded rows, when there are enough of them to be worth a flush.
    fn compact(&mut self) {
        let floor = self
            .memory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .floor(false);
        if !self.dead.waiting(floor) {
            return;
        }
        let rows: Vec<u64> = self
            .dead
            .rows
            .iter()
            .take(COMPACTION)
            .map(|(_, row)| *row)
            .collect();
        match self.log.compact(&rows, floor) {
            Ok(()) => {
                self.dead.rows.drain(..rows.len());
                self.metrics.log_rows.set(self.log.rows());
            }
            // The rows stay; they are tried again after the next commit.
            Err(error) => tracing::warn!(%error, "could not compact the store's file"),
        }
    }
}

/// The next request, if it comes before the deadline.
fn gather(requests: &mut mpsc::Receiver<Request>, deadline: Instant) -> Option<Request> {
    loop {
        match requests.try_recv() {
            Ok(request) => return Some(request),
            Err(TryRecvError::Empty) if Instant::now() < deadline => std::thread::sleep(GATHERING / 8),
            Err(_) => return None,
        }
    }
}

/// Levels of lists and maps within each other.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
