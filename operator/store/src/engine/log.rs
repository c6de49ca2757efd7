//! The file: an SQLite database that holds every change until a later one has made it superfluous.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::entry::{self, Entry};
use super::format::{self, Identity, classify, mark, set_mark, signed};
use super::lock::Lock;
use super::revision::Counter;
use super::writer::Dead;
use super::{Event, EventKind, HistoryLimit, Key, Location, Memory, Stored};
use crate::Error;

/// How long to wait for another process that is between two steps: a reader that opens the file, or that closes it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Size to which the write-ahead log is cut when it starts over.
const WAL_BYTES: i64 = 8 << 20;

/// The open database. The lock keeps other writers out until it is closed; readers see snapshots.
pub(super) struct Log {
    connection: Connection,
    name: String,
    /// Rows in the file.
    rows: u64,
    _lock: Option<Lock>,
}

/// One change on its way to the file.
pub(super) struct Row<'a> {
    pub(super) revision: u64,
    pub(super) key: &'a Key,
    pub(super) kind: EventKind,
    pub(super) value: &'a [u8],
}

/// What [`Log::replay`] found.
pub(super) struct Recovered {
    pub(super) memory: Memory,
    pub(super) counter: Counter,
    pub(super) dead: Dead,
}

impl Log {
    pub(super) fn open(location: &Location) -> Result<Self, Error> {
        let (opened, name, lock) = match location {
            Location::Memory => (Connection::open_in_memory(), ":memory:".to_owned(), None),
            Location::File(path) => {
                let lock = Lock::acquire(path)?;
                // SQLite gives its side files the mode of the main one, so the main one is made first.
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|source| Error::Io {
                        path: path.clone(),
                        source,
                    })?;
                (Connection::open(path), path.display().to_string(), Some(lock))
            }
        };
        let mut connection = opened.map_err(|error| classify(&name, error))?;
        connection
            .busy_timeout(PATIENCE)
            .map_err(|error| classify(&name, error))?;
        match (format::identify(&connection, &name)?, location) {
            (Identity::Version(from), Location::File(path)) if from < format::VERSION => {
                upgrade(&mut connection, path, from)?;
            }
            (Identity::Version(_), _) => {}
            (Identity::Empty, _) => {
                format::create(&mut connection).map_err(|error| classify(&name, error))?;
            }
        }
        configure(&connection).map_err(|error| classify(&name, error))?;
        Ok(Log {
            connection,
            name,
            rows: 0,
            _lock: lock,
        })
    }

    /// Rebuilds the state from all rows.
    pub(super) fn replay(&mut self, limit: HistoryLimit) -> Result<Recovered, Error> {
        let name = self.name.clone();
        let fail = |source| Error::Database {
            file: name.clone(),
            source,
        };
        let reserved = mark(&self.connection, "reserved").map_err(fail)?;
        let floor = mark(&self.connection, "floor").map_err(fail)?;
        let mut memory = Memory::new(limit, floor);
        let mut dead = Dead::default();
        let mut statement = self.connection.prepare(entry::SELECT).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(fail)? {
            count += 1;
            let damaged = |revision, what| Error::Damaged {
                file: name.clone(),
                revision,
                what,
            };
            let entry = entry::read(row)
                .map_err(fail)?
                .map_err(|unreadable| damaged(unreadable.revision, unreadable.what))?;
            let too_deep = entry.too_deep();
            let Entry {
                revision,
                key,
                deletion,
                json,
            } = entry;
            if let Some(levels) = too_deep {
                // Its row stays where it is: better unseen than lost, and better than nothing being served.
                tracing::error!(%key, revision, levels, "a stored object is nested too deep and is not served");
                continue;
            }
            let stored = Stored::read(revision, json)
                .map_err(|error| damaged(revision, format!("the object is not JSON: {error}")))?;
            let previous = memory.get(&key).cloned();
            let kind = match (deletion, &previous) {
                (true, _) => EventKind::Deleted,
                (false, None) => EventKind::Added,
                (false, Some(_)) => EventKind::Modified,
            };
            dead.superseded(previous.as_ref(), kind, revision, true);
            if revision > floor {
                memory.apply(Event {
                    key,
                    kind,
                    stored,
                    previous,
                });
            } else if deletion {
                memory.forget(&key, revision);
            } else {
                memory.restore(key, stored);
            }
        }
        drop(rows);
        drop(statement);
        self.rows = count;
        // The mark itself may have been shown with memory-only objects that are gone now: the state found is another
        // one, and so needs a revision that was never shown. It is promised at once, for a restart before any write.
        let start = reserved.max(memory.revision()) + 1;
        self.append(&[], Some(start))?;
        memory.start_at(start);
        let counter = Counter::after(start);
        Ok(Recovered {
            memory,
            counter,
            dead,
        })
    }

    /// Makes `rows` durable, and the revision mark if it moves, in one transaction: all or nothing.
    pub(super) fn append(&mut self, rows: &[Row<'_>], reserve: Option<u64>) -> Result<(), Error> {
        self.transaction(|transaction| {
            let mut insert = transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4)")?;
            for row in rows {
                let op = match row.kind {
                    EventKind::Deleted => entry::DELETE,
                    EventKind::Added | EventKind::Modified => entry::PUT,
                };
                insert.execute(params![signed(row.revision), row.key.encode(), op, row.value])?;
            }
            match reserve {
                Some(mark) => set_mark(transaction, "reserved", mark),
                None => Ok(()),
            }
        })?;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Removes superseded rows. The floor goes up with them, so that a restart does not take the gaps for history.
    pub(super) fn compact(&mut self, rows: &[u64], floor: u64) -> Result<(), Error> {
        self.transaction(|transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE rev = ?1")?;
            for revision in rows {
                delete.execute([signed(*revision)])?;
            }
            set_mark(transaction, "floor", floor)
        })?;
        self.rows -= rows.len() as u64;
        Ok(())
    }

    /// Rows in the file, superseded ones that still wait for their removal among them.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes the file as full as a disk may be.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        let limited = self
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        assert!(limited.is_ok(), "{limited:?}");
    }

    fn transaction(
        &mut self,
        body: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let attempt = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            body(&transaction)?;
            transaction.commit()
        };
        attempt(&mut self.connection).map_err(|source| classify(&self.name, source))
    }
}

/// Upgrades the file at `path`; says so in the log.
fn upgrade(connection: &mut Connection, path: &Path, from: i64) -> Result<(), Error> {
    let copy = format::upgrade(connection, path, from)?;
    tracing::info!(
        file = %path.display(), from, to = format::VERSION, copy = %copy.display(),
        "the state file has been upgraded; a copy of what it was is kept"
    );
    Ok(())
}

/// A commit is done when it is flushed. Readers do not wait for it, nor it for them.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)
}
