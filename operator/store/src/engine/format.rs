//! The format of state files: what marks one, its tables, and how files of earlier versions become present ones.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::Error;
use crate::private_file::{self, Prepared};

/// `PRAGMA application_id`: "hprt".
const APPLICATION_ID: i64 = 0x6870_7274;

/// `PRAGMA user_version` of files that this version writes.
pub(super) const VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE log (rev INTEGER PRIMARY KEY, key TEXT NOT NULL, op INTEGER NOT NULL, value BLOB NOT NULL);
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO mark VALUES ('reserved', 0), ('floor', 0);
";

/// What makes a file of version N+1 of one of version N, N counted from 1.
const UPGRADES: [&str; VERSION as usize - 1] = [
    // 1 -> 2: nothing was ever looked up by key, and each write paid for it.
    "DROP INDEX log_key",
];

/// What a file is, before anything is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing has been stored in it.
    Empty,
    /// A state file of this version, which is one that is understood.
    Version(i64),
}

/// # Errors
/// [`Error::NotAStore`] and [`Error::NewerSchema`] for what is not understood.
pub(super) fn identify(connection: &Connection, name: &str) -> Result<Identity, Error> {
    let ask = |question: &str| -> Result<i64, Error> {
        connection
            .query_row(question, [], |row| row.get(0))
            .map_err(|error| classify(name, error))
    };
    let version = ask("PRAGMA user_version")?;
    let application = ask("PRAGMA application_id")?;
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(Identity::Empty),
        (APPLICATION_ID, 1..=VERSION) => Ok(Identity::Version(version)),
        (APPLICATION_ID, found) if found > VERSION => Err(Error::NewerSchema {
            file: name.to_owned(),
            found,
            supported: VERSION,
        }),
        _ => Err(Error::NotAStore {
            file: name.to_owned(),
        }),
    }
}

/// Makes an empty file a state file.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Brings the file at `path` from version `from` to the present one, in one transaction. A copy of what it was is
/// kept beside it; returns where.
pub(super) fn upgrade(connection: &mut Connection, path: &Path, from: i64) -> Result<PathBuf, Error> {
    let copy = private_file::aside(path, &format!("v{from}"));
    snapshot(connection, &copy)?.commit()?;
    let steps = UPGRADES.iter().skip(usize::try_from(from - 1).unwrap_or(0));
    let apply = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    apply(connection).map_err(|error| classify(&path.display().to_string(), error))?;
    Ok(copy)
}

/// Opens a state file to read from it. Whoever writes to it meanwhile is not disturbed.
///
/// # Errors
/// [`Error::Io`] if there is no such file, those of [`identify`], and [`Error::NotAStore`] if it is empty.
pub(super) fn open_read_only(path: &Path) -> Result<(Connection, i64), Error> {
    let name = path.display().to_string();
    // SQLite would only say that it cannot open it.
    std::fs::metadata(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| classify(&name, error))?;
    connection
        .busy_timeout(super::log::PATIENCE)
        .map_err(|error| classify(&name, error))?;
    match identify(&connection, &name)? {
        Identity::Version(version) => Ok((connection, version)),
        Identity::Empty => Err(Error::NotAStore { file: name }),
    }
}

/// Writes all that `connection` sees now, as of one moment, to a new file that will be at `path`.
pub(super) fn snapshot(connection: &Connection, path: &Path) -> Result<Prepared, Error> {
    let name = path.display().to_string();
    Prepared::new(path, |temporary| {
        // It must be empty or absent, and keeps the mode that it has.
        let target = temporary.display().to_string();
        connection
            .execute("VACUUM INTO ?1", [&target])
            .map(|_| ())
            .map_err(|error| classify(&name, error))
    })
}

/// The value of a mark.
pub(super) fn mark(connection: &Connection, mark: &str) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT value FROM mark WHERE name = ?1", [mark], |row| row.get(0))
        .map(i64::unsigned_abs)
}

/// Sets a mark.
pub(super) fn set_mark(connection: &Connection, mark: &str, value: u64) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE mark SET value = ?2 WHERE name = ?1")?;
    update.execute(rusqlite::params![mark, signed(value)]).map(|_| ())
}

/// SQLite's integers are signed; a counter that starts at 1 does not reach the sign in any lifetime.
pub(super) fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// What SQLite's error about the file `name` means.
pub(super) fn classify(name: &str, source: rusqlite::Error) -> Error {
    let file = name.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked { file },
        Some(ErrorCode::NotADatabase) => Error::NotAStore { file },
        Some(ErrorCode::DiskFull) => Error::DiskFull { file },
        Some(ErrorCode::SystemIoFailure) => Error::Refused { file, source },
        _ => Error::Database { file, source },
    }
}
