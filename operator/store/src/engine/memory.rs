//! What readers see: the current objects and the recent history.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{Event, EventKind, HistoryLimit, Key, Stored};

/// The asked-for revision is older than the history that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub(crate) struct Expired {
    pub(crate) asked: u64,
    /// The oldest revision that could still be served.
    pub(crate) oldest: u64,
}

/// Objects of one resource as they were at one revision.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<(Key, Stored)>,
}

/// The committed state: all current objects, and the last changes that led to it.
#[derive(Debug)]
pub(crate) struct Memory {
    objects: BTreeMap<Key, Stored>,
    /// Owners are named by uid alone, so garbage collection needs this way in.
    by_uid: HashMap<Box<str>, Key>,
    /// Revision of the last change of a resource.
    changed: HashMap<Arc<str>, u64>,
    /// Revision of the last change of a resource that is no longer in the history; of those since the start.
    dropped: HashMap<Arc<str>, u64>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// The history is complete after this revision.
    floor: u64,
    /// Memory-only objects of earlier runs, and how they changed, are unknown before this revision.
    started: u64,
    revision: u64,
    limit: HistoryLimit,
}

impl Memory {
    pub(super) fn new(limit: HistoryLimit, floor: u64) -> Self {
        Memory {
            objects: BTreeMap::new(),
            by_uid: HashMap::new(),
            changed: HashMap::new(),
            dropped: HashMap::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            floor,
            started: 0,
            revision: 0,
            limit,
        }
    }

    /// The revision of the last committed change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision from which changes can be followed.
    pub(crate) fn floor(&self, memory_only: bool) -> u64 {
        if memory_only {
            self.floor.max(self.started)
        } else {
            self.floor
        }
    }

    /// When anything of `resource` last changed; 0 if never.
    pub(crate) fn last_change(&self, resource: &str) -> u64 {
        self.changed.get(resource).copied().unwrap_or(0)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        self.objects.get(key)
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<(&Key, &Stored)> {
        self.by_uid
            .get(uid)
            .and_then(|key| self.objects.get_key_value(key))
    }

    /// Every object there is.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Stored)> {
        self.objects.iter()
    }

    /// The current objects of `resource`, of one namespace or of all, in key order.
    pub(crate) fn current<'a>(
        &'a self,
        resource: &'a Arc<str>,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Stored)> {
        self.objects
            .range(Key::new(resource, namespace.unwrap_or(""), "")..)
            .take_while(move |(key, _)| {
                key.resource == *resource && namespace.is_none_or(|namespace| key.namespace == namespace)
            })
    }

    /// The objects of `resource` at `revision` (now, if `None`), by undoing what happened since.
    ///
    /// # Errors
    /// [`Expired`] when the history no longer reaches back so far.
    pub(crate) fn snapshot(
        &self,
        resource: &Arc<str>,
        namespace: Option<&str>,
        revision: Option<u64>,
        memory_only: bool,
    ) -> Result<Snapshot, Expired> {
        let current = self
            .current(resource, namespace)
            .map(|(key, stored)| (key.clone(), stored.clone()));
        let Some(at) = revision.filter(|at| *at < self.revision) else {
            return Ok(Snapshot {
                revision: self.revision,
                objects: current.collect(),
            });
        };
        let oldest = self.floor(memory_only);
        if at < oldest {
            return Err(Expired { asked: at, oldest });
        }
        let mut objects: BTreeMap<Key, Stored> = current.collect();
        for event in self
            .history
            .iter()
            .rev()
            .take_while(|event| event.revision() > at)
        {
            if event.key.resource != *resource || namespace.is_some_and(|ns| event.key.namespace != ns) {
                continue;
            }
            match &event.previous {
                Some(previous) => objects.insert(event.key.clone(), previous.clone()),
                None => objects.remove(&event.key),
            };
        }
        Ok(Snapshot {
            revision: at,
            objects: objects.into_iter().collect(),
        })
    }

    /// The changes after `revision`, of `resource` or of all, oldest first: up to `bytes` of them, and at least one
    /// if there is any. With them, how far they reach.
    ///
    /// # Errors
    /// [`Expired`] when the history no longer reaches back so far.
    pub(super) fn events_after(
        &self,
        revision: u64,
        resource: Option<&str>,
        bytes: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Expired> {
        // Who follows one resource misses nothing while only changes of others are forgotten.
        let oldest = match resource {
            Some(resource) => self.dropped.get(resource).copied().unwrap_or(0),
            None => self.floor,
        };
        if revision < oldest {
            return Err(Expired {
                asked: revision,
                oldest: self.floor,
            });
        }
        let start = self.history.partition_point(|event| event.revision() <= revision);
        let mut events = Vec::new();
        let mut size = 0;
        for event in self.history.range(start..) {
            if resource.is_some_and(|resource| *event.key.resource != *resource) {
                continue;
            }
            size += event.json().len();
            if size > bytes && !events.is_empty() {
                let reached = events
                    .last()
                    .map_or(revision, |last: &Arc<Event>| last.revision());
                return Ok((events, reached));
            }
            events.push(Arc::clone(event));
        }
        Ok((events, self.revision))
    }

    /// Applies a committed change and drops history beyond the limit.
    pub(super) fn apply(&mut self, event: Event) {
        let event = Arc::new(event);
        self.revision = event.revision();
        self.changed
            .insert(Arc::clone(&event.key.resource), event.revision());
        if let Some(previous) = &event.previous {
            self.by_uid.remove(previous.uid());
        }
        if event.kind == EventKind::Deleted {
            self.objects.remove(&event.key);
        } else {
            self.note_uid(&event.key, &event.stored);
            self.objects.insert(event.key.clone(), event.stored.clone());
        }
        self.history_bytes += event.json().len();
        self.history.push_back(event);
        while self.history.len() > self.limit.events || self.history_bytes > self.limit.bytes {
            let Some(dropped) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= dropped.json().len();
            self.floor = dropped.revision();
            self.dropped
                .insert(Arc::clone(&dropped.key.resource), dropped.revision());
        }
    }

    /// Takes over an object whose change lies before the floor.
    pub(super) fn restore(&mut self, key: Key, stored: Stored) {
        self.note_uid(&key, &stored);
        self.changed.insert(Arc::clone(&key.resource), stored.revision);
        self.revision = stored.revision;
        self.objects.insert(key, stored);
    }

    /// Drops an object whose deletion lies before the floor.
    pub(super) fn forget(&mut self, key: &Key, revision: u64) {
        if let Some(stored) = self.objects.remove(key) {
            self.by_uid.remove(stored.uid());
        }
        self.revision = revision;
    }

    fn note_uid(&mut self, key: &Key, stored: &Stored) {
        if !stored.uid().is_empty() {
            self.by_uid.insert(stored.uid().into(), key.clone());
        }
    }

    /// Ends recovery: the state found is now that of `revision`.
    pub(super) fn start_at(&mut self, revision: u64) {
        self.revision = revision;
        self.started = revision;
    }
}
