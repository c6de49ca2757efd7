//! The lock that makes one process the only writer of a state file.
//!
//! SQLite keeps writers apart, but only for a transaction at a time. Whoever serves a state file holds all of it in
//! memory, so that no other may write to it for as long as that one lives. Readers (backups, checks) need no lock:
//! SQLite shows them a snapshot.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::private_file::with_suffix;

/// How long to wait for the lock. A child process that the last holder was about to start keeps it for the moment
/// until it becomes another program.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// Held until dropped; the system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the state file at `state`.
    ///
    /// # Errors
    /// [`Error::Locked`] while somebody has it.
    pub(super) fn acquire(state: &Path) -> Result<Self, Error> {
        // Never removed: a lock on a file that somebody removed would lock nobody out.
        let path = with_suffix(state, ".lock");
        let failed = |source| Error::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked {
                        file: state.display().to_string(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}
