//! What can go wrong while secrets are resolved. No variant ever holds a value.

use std::io;
use std::path::PathBuf;

/// An error of a secret source, or of the scanner's rules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The secrets file could not be read.
    #[error("secrets file {}: {source}; check that the path is right and that homeport may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The secrets file is larger than any dotenv file has reason to be.
    #[error(
        "secrets file {} is larger than {limit} bytes; name a dotenv file with NAME=VALUE lines",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// The secrets file breaks the dotenv grammar.
    #[error("secrets file {}, line {line}: {problem}", path.display())]
    Dotenv {
        /// The file.
        path: PathBuf,
        /// The line, from 1, at which the entry that is wrong begins.
        line: usize,
        /// What is wrong and how to mend it, without the value.
        problem: &'static str,
    },
    /// An environment variable holds bytes that are not UTF-8.
    #[error("environment variable {variable} is not valid UTF-8; encode the value, for example as base64")]
    NotUnicode {
        /// The variable's name.
        variable: String,
    },
    /// A source outside of this process failed.
    #[error("secret {secret}: source {source_name}: {message}")]
    Source {
        /// The source's name.
        source_name: String,
        /// The reference that was asked for.
        secret: String,
        /// What the source said, without any value.
        message: String,
        /// Whether asking again later may succeed.
        transient: bool,
    },
    /// The scanner's own rules do not compile.
    #[error("secret scanner: {0}")]
    Rules(String),
}

impl Error {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::ResourceBusy
                    | io::ErrorKind::StaleNetworkFileHandle
            ),
            Self::Source { transient, .. } => *transient,
            Self::TooLarge { .. } | Self::Dotenv { .. } | Self::NotUnicode { .. } | Self::Rules(_) => false,
        }
    }
}
