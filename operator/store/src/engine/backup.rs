//! Backups of a state file, and the way back from one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::check::{Report, check};
use super::format::{self, Identity, classify, mark, set_mark};
use super::lock::Lock;
use crate::Error;
use crate::private_file::{self, Prepared, with_suffix};

/// How far resource versions jump when a backup is restored. Nobody knows how many were handed out after it was
/// made; etcd's guide to restoring names the same number.
const JUMP: u64 = 1_000_000_000;

/// What [`restore`] did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the file holds now.
    pub report: Report,
    /// Where the state is kept that it replaced, if there was one.
    pub replaced: Option<PathBuf>,
}

/// Writes the state file at `state`, as of one moment, to `file`, which is replaced once the copy is complete and
/// has passed its check. The state may be in use.
///
/// # Errors
/// Those of [`check`], [`Error::Unsound`] if the copy does not pass it, [`Error::SameFile`] if `file` is the state
/// itself, and [`Error::Io`] and [`Error::DiskFull`] where it cannot be written.
pub fn backup(state: &Path, file: &Path) -> Result<Report, Error> {
    if is_part_of(state, file) {
        return Err(Error::SameFile {
            path: file.to_owned(),
        });
    }
    let (connection, _) = format::open_read_only(state)?;
    let copy = format::snapshot(&connection, file)?;
    let report = check_copy(&copy, state)?;
    copy.commit()?;
    Ok(Report {
        file: file.to_owned(),
        ..report
    })
}

/// Makes the backup at `file` the state file at `state`. Resource versions go on far beyond those of both, and
/// watches and lists from before are told to begin anew.
///
/// # Errors
/// [`Error::Locked`] while the state is in use; [`Error::NotEmpty`] if there is one and not `force`, with which the
/// present one is kept aside; those of [`check`], and [`Error::Unsound`] if the backup does not pass it.
pub fn restore(file: &Path, state: &Path, force: bool) -> Result<Restored, Error> {
    let _lock = Lock::acquire(state)?;
    if is_part_of(state, file) {
        return Err(Error::SameFile {
            path: file.to_owned(),
        });
    }
    let present = fs::metadata(state).is_ok_and(|metadata| metadata.len() > 0);
    if present && !force {
        return Err(Error::NotEmpty {
            file: state.to_owned(),
        });
    }
    let (connection, _) = format::open_read_only(file)?;
    let copy = format::snapshot(&connection, state)?;
    check_copy(&copy, file)?;
    let shown = if present { settle(state)? } else { 0 };
    jump(copy.temporary(), shown).map_err(|error| classify(&state.display().to_string(), error))?;
    let report = check_copy(&copy, file)?;
    let replaced = match present {
        true => Some(set_aside(state)?),
        false => None,
    };
    copy.commit()?;
    Ok(Restored {
        report: Report {
            file: state.to_owned(),
            ..report
        },
        replaced,
    })
}

/// Checks what was copied from `source`, by whose name problems are reported.
fn check_copy(copy: &Prepared, source: &Path) -> Result<Report, Error> {
    let report = check(copy.temporary())?;
    match report.problems.first() {
        None => Ok(report),
        Some(first) => Err(Error::Unsound {
            path: source.to_owned(),
            problems: report.problem_count,
            first: first.to_string(),
        }),
    }
}

/// Whether `file` is the state file or one of those beside it that belong to it.
fn is_part_of(state: &Path, file: &Path) -> bool {
    let Ok(file) = fs::canonicalize(file) else {
        return false;
    };
    ["", "-wal", "-shm", ".lock"]
        .iter()
        .filter_map(|suffix| fs::canonicalize(with_suffix(state, suffix)).ok())
        .any(|part| part == file)
}

/// Moves what waits in the write-ahead log of the state that is about to be replaced into its file, and returns the
/// highest revision that it may have shown. Of a damaged one there is nothing to move or to know.
fn settle(state: &Path) -> Result<u64, Error> {
    let name = state.display().to_string();
    let look = || -> Result<u64, Error> {
        let connection = Connection::open(state).map_err(|error| classify(&name, error))?;
        let version = format::identify(&connection, &name)?;
        // The last connection to close a file ends its write-ahead log.
        match version {
            Identity::Empty => Ok(0),
            Identity::Version(_) => mark(&connection, "reserved").map_err(|error| classify(&name, error)),
        }
    };
    match look() {
        Err(error @ Error::Locked { .. }) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "the state that is replaced cannot be read");
            Ok(0)
        }
        Ok(shown) => Ok(shown),
    }
}

/// Lets the next revision come after all that anybody may have seen, and history begin there.
fn jump(file: &Path, shown: u64) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    // The file is a copy that nobody else knows of: if this fails, it is thrown away.
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    let beyond = mark(&connection, "reserved")?.max(shown) + JUMP;
    set_mark(&connection, "reserved", beyond)?;
    set_mark(&connection, "floor", beyond)?;
    connection.close().map_err(|(_, error)| error)
}

/// Keeps the state file under another name too, and takes away what belongs to it alone, so that the next file in
/// its place is not taken for its continuation.
fn set_aside(state: &Path) -> Result<PathBuf, Error> {
    let kept = private_file::aside(state, "replaced");
    let link = |suffix: &str| match fs::hard_link(with_suffix(state, suffix), with_suffix(&kept, suffix)) {
        Err(error) if error.kind() == ErrorKind::NotFound && !suffix.is_empty() => Ok(()),
        linked => linked,
    };
    let remove = |suffix: &str| match fs::remove_file(with_suffix(state, suffix)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    let keep = || {
        link("")?;
        link("-wal")?;
        private_file::sync_directory_of(state)?;
        remove("-wal")?;
        remove("-shm")
    };
    keep().map_err(|source| Error::Io {
        path: kept.clone(),
        source,
    })?;
    Ok(kept)
}
