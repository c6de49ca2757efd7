//! The file: an SQLite database that holds every change until a later one has made it superfluous.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};
use serde_json::Value;

use super::revision::Counter;
use super::writer::Dead;
use super::{Event, EventKind, HistoryLimit, Key, Location, Memory, Stored};
use crate::Error;

/// `PRAGMA user_version` of files that this version writes and reads.
const SCHEMA_VERSION: i64 = 1;
/// `PRAGMA application_id`: "hprt".
const APPLICATION_ID: i64 = 0x6870_7274;

const PUT: i64 = 1;
const DELETE: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE log (rev INTEGER PRIMARY KEY, key TEXT NOT NULL, op INTEGER NOT NULL, value BLOB NOT NULL);
    CREATE INDEX log_key ON log (key, rev);
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO mark VALUES ('reserved', 0), ('floor', 0);
";

/// The open database. SQLite's exclusive locking mode keeps every other process out until it is closed.
pub(super) struct Log {
    connection: Connection,
    name: String,
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
        let (connection, name) = match location {
            Location::Memory => (Connection::open_in_memory(), ":memory:".to_owned()),
            Location::File(path) => {
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
                (Connection::open(path), path.display().to_string())
            }
        };
        let mut log = Log {
            connection: connection.map_err(|error| classify(&name, error))?,
            name,
        };
        log.prepare().map_err(|error| match error {
            Error::Database { source, .. } => classify(&log.name, source),
            other => other,
        })?;
        Ok(log)
    }

    fn prepare(&mut self) -> Result<(), Error> {
        let name = self.name.clone();
        let fail = |source| Error::Database {
            file: name.clone(),
            source,
        };
        self.connection.busy_timeout(Duration::ZERO).map_err(fail)?;
        // Exclusive before WAL: no shared-memory file, and the lock is held from the first access to the last.
        self.connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .map_err(fail)?;
        let pragma = |connection: &Connection, name: &str| -> Result<i64, Error> {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(fail)
        };
        let version = pragma(&self.connection, "user_version")?;
        let application = pragma(&self.connection, "application_id")?;
        let tables: i64 = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(fail)?;
        let fresh = version == 0 && application == 0 && tables == 0;
        if !fresh && application != APPLICATION_ID {
            return Err(Error::NotAStore {
                file: self.name.clone(),
            });
        }
        if version > SCHEMA_VERSION {
            let file = self.name.clone();
            return Err(Error::NewerSchema {
                file,
                found: version,
                supported: SCHEMA_VERSION,
            });
        }
        self.connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(fail)?;
        self.connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(fail)?;
        self.connection
            .pragma_update(None, "journal_size_limit", 8 << 20)
            .map_err(fail)?;
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(fail)?;
        if fresh {
            transaction.execute_batch(SCHEMA).map_err(fail)?;
            transaction
                .pragma_update(None, "application_id", APPLICATION_ID)
                .map_err(fail)?;
            transaction
                .pragma_update(None, "user_version", SCHEMA_VERSION)
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)
    }

    /// Rebuilds the state from all rows.
    pub(super) fn replay(&mut self, limit: HistoryLimit) -> Result<Recovered, Error> {
        let name = self.name.clone();
        let fail = |source| Error::Database {
            file: name.clone(),
            source,
        };
        let reserved = self.mark("reserved")?;
        let floor = self.mark("floor")?;
        let mut memory = Memory::new(limit, floor);
        let mut dead = Dead::default();
        let mut statement = self
            .connection
            .prepare("SELECT rev, key, op, value FROM log ORDER BY rev")
            .map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let revision: u64 = row.get::<_, i64>(0).map_err(fail)?.unsigned_abs();
            let damaged = |what: String| Error::Damaged {
                file: name.clone(),
                revision,
                what,
            };
            let key: String = row.get(1).map_err(fail)?;
            let key = Key::decode(&key).ok_or_else(|| damaged(format!("key {key:?} has no name")))?;
            let op: i64 = row.get(2).map_err(fail)?;
            let bytes = row
                .get_ref(3)
                .map_err(fail)?
                .as_blob()
                .map_err(|error| damaged(error.to_string()))?;
            let value: Value = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
            let previous = memory.get(&key).cloned();
            let kind = match (op, &previous) {
                (PUT, None) => EventKind::Added,
                (PUT, Some(_)) => EventKind::Modified,
                (DELETE, _) => EventKind::Deleted,
                _ => return Err(damaged(format!("unknown operation {op}"))),
            };
            let stored = Stored {
                revision,
                value: Arc::new(value),
                durable: true,
            };
            dead.superseded(previous.as_ref(), kind, revision, true);
            if revision > floor {
                let (object, size) = (stored.value, bytes.len());
                memory.apply(Event {
                    revision,
                    key,
                    kind,
                    object,
                    previous,
                    durable: true,
                    size,
                });
            } else if kind == EventKind::Deleted {
                memory.forget(&key, revision);
            } else {
                memory.restore(key, stored);
            }
        }
        drop(rows);
        drop(statement);
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

    fn mark(&self, mark: &str) -> Result<u64, Error> {
        let value: i64 = self
            .connection
            .query_row("SELECT value FROM mark WHERE name = ?1", [mark], |row| row.get(0))
            .map_err(|source| Error::Database {
                file: self.name.clone(),
                source,
            })?;
        Ok(value.unsigned_abs())
    }

    /// Makes `rows` durable, and the revision mark if it moves, in one transaction: all or nothing.
    pub(super) fn append(&mut self, rows: &[Row<'_>], reserve: Option<u64>) -> Result<(), Error> {
        self.transaction(|transaction| {
            let mut insert = transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4)")?;
            for row in rows {
                let op = if row.kind == EventKind::Deleted {
                    DELETE
                } else {
                    PUT
                };
                insert.execute(params![signed(row.revision), row.key.encode(), op, row.value])?;
            }
            match reserve {
                Some(mark) => set_mark(transaction, "reserved", mark),
                None => Ok(()),
            }
        })
    }

    /// Removes superseded rows. The floor goes up with them, so that a restart does not take the gaps for history.
    pub(super) fn compact(&mut self, rows: &[u64], floor: u64) -> Result<(), Error> {
        self.transaction(|transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE rev = ?1")?;
            for revision in rows {
                delete.execute([signed(*revision)])?;
            }
            set_mark(transaction, "floor", floor)
        })
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
        attempt(&mut self.connection).map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::DiskFull {
                file: self.name.clone(),
            },
            _ => Error::Database {
                file: self.name.clone(),
                source,
            },
        })
    }
}

fn set_mark(transaction: &rusqlite::Transaction<'_>, name: &str, value: u64) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached("UPDATE mark SET value = ?2 WHERE name = ?1")?;
    update.execute(params![name, signed(value)]).map(|_| ())
}

/// SQLite's integers are signed; a counter that starts at 1 does not reach the sign in any lifetime.
fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn classify(name: &str, source: rusqlite::Error) -> Error {
    let file = name.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked { file },
        Some(ErrorCode::NotADatabase) => Error::NotAStore { file },
        Some(ErrorCode::DiskFull) => Error::DiskFull { file },
        _ => Error::Database { file, source },
    }
}
