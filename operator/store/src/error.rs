//! What can go wrong between the store and its surroundings. Refusals of requests are not errors: they are
//! answered as Kubernetes `Status` objects.

use std::path::PathBuf;

/// A failure of the store itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the state directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the state file open.
    #[error("{file} is in use by another process; stop that one first, or choose another state directory")]
    Locked {
        /// The state file.
        file: String,
    },
    /// The state file was written by a later version.
    #[error(
        "{file} has format version {found}, this program reads up to {supported}; \
         run the newer version that wrote it, or choose another state directory"
    )]
    NewerSchema {
        /// The state file.
        file: String,
        /// Its format version.
        found: i64,
        /// The latest that is understood.
        supported: i64,
    },
    /// The file is something else.
    #[error("{file} is not a state file of homeport; choose another state directory or move the file away")]
    NotAStore {
        /// The file.
        file: String,
    },
    /// There is a state already where a backup should go.
    #[error(
        "{} exists already; restore into another state directory, or say --force to replace it and keep it aside",
        file.display()
    )]
    NotEmpty {
        /// The state file.
        file: PathBuf,
    },
    /// A backup cannot be the state that it is of.
    #[error("{} belongs to the state itself; name another file", path.display())]
    SameFile {
        /// The file that was named.
        path: PathBuf,
    },
    /// A file that was to be copied has not passed its check.
    #[error("{} is damaged ({problems} problems; the first: {first}); nothing was written", path.display())]
    Unsound {
        /// The file that was read.
        path: PathBuf,
        /// How many problems it has.
        problems: u64,
        /// The first of them.
        first: String,
    },
    /// A row cannot be understood.
    #[error("{file} is damaged at revision {revision}: {what}; restore the file from a backup")]
    Damaged {
        /// The state file.
        file: String,
        /// Which row.
        revision: u64,
        /// What is wrong with it.
        what: String,
    },
    /// No space is left for the state file.
    #[error("no space left on the disk that holds {file}; free some space, nothing stored earlier is lost")]
    DiskFull {
        /// The state file.
        file: String,
    },
    /// The system did not let the state file be read or written.
    #[error(
        "the system refuses to read or write {file} ({source}); look at the disk, its quota and the limit of file sizes"
    )]
    Refused {
        /// The state file.
        file: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite reported an error.
    #[error("{file}: {source}")]
    Database {
        /// The state file.
        file: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// An object could not be turned into JSON.
    #[error("the object cannot be serialized: {0}")]
    Unserializable(serde_json::Error),
    /// A thread could not be started.
    #[error("cannot start a thread of the store: {0}")]
    Thread(std::io::Error),
    /// What every cluster has from the start could not be stored.
    #[error("cannot prepare the store: {0}")]
    Bootstrap(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// Keys or certificates could not be made.
    #[error("cannot generate the serving certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The serving identity cannot be used for TLS.
    #[error("cannot serve TLS with the identity in {}: {what}; remove the directory to have it made anew", path.display())]
    Identity {
        /// Where the identity is kept.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// Whether trying again later may succeed without anybody changing anything but the disk's free space.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Locked { .. }
                | Error::DiskFull { .. }
                | Error::Refused { .. }
                | Error::Io { .. }
                | Error::Thread(_)
        )
    }
}
