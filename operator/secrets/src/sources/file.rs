//! Values from a dotenv file, as `--secrets-file` names it.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use homeport_bundle::SecretReference;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

use crate::sources::dotenv::{self, Dotenv};
use crate::sources::env::variable_of;
use crate::{Error, Source};

/// The largest secrets file that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Something about a secrets file that its owner should mend, though it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Users other than the owner may read the file.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadableByOthers { path, mode } => write!(
                f,
                "secrets file {} has mode {mode:04o} and can be read by other users; run: chmod 600 {}",
                path.display(),
                path.display()
            ),
        }
    }
}

/// A dotenv file, read once.
///
/// A reference is looked up by its key if it has one, else by its name, else by its name in the form of a variable
/// (`db-password` as `DB_PASSWORD`), since most tools that write dotenv files accept nothing else.
#[derive(Debug)]
pub struct FileSource {
    entries: Dotenv,
    warnings: Vec<Warning>,
}

impl FileSource {
    /// Reads and parses the file; any line that is not understood is an error.
    pub async fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |source: io::Error| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;

        // The length that the file claims reserves the buffer, so that growing it leaves no copies of secrets behind.
        let mut text = Zeroizing::new(Vec::with_capacity(metadata.len().min(LIMIT) as usize + 1));
        file.take(LIMIT + 1)
            .read_to_end(&mut text)
            .await
            .map_err(unreadable)?;
        if text.len() as u64 > LIMIT {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                limit: LIMIT,
            });
        }
        let entries = dotenv::parse(&text).map_err(|wrong| Error::Dotenv {
            path: path.to_owned(),
            line: wrong.line,
            problem: wrong.problem,
        })?;

        let mode = metadata.permissions().mode() & 0o7777;
        let warnings = if mode & 0o077 != 0 {
            vec![Warning::ReadableByOthers {
                path: path.to_owned(),
                mode,
            }]
        } else {
            Vec::new()
        };
        Ok(Self { entries, warnings })
    }

    /// What the file's owner should mend.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> &str {
        "file"
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        let found = match &reference.key {
            Some(key) => self.entries.get(key),
            None => self
                .entries
                .get(&reference.name)
                .or_else(|| self.entries.get(&variable_of(&reference.name))),
        };
        Ok(found.filter(|value| !value.expose_secret().is_empty()).cloned())
    }
}
