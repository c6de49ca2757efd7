//! Files that only their owner may read, written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::Error;

/// A complete file that waits to take its place; dropped before that, it is removed.
pub(crate) struct Prepared {
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl Prepared {
    /// Has `fill` write an empty file of mode 0600, which will be at `path` once committed.
    pub(crate) fn new(path: &Path, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<Self, Error> {
        let directory = directory_of(path);
        fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = directory.join(format!(".{name}.{}", std::process::id()));
        let prepared = Prepared {
            temporary,
            path: path.to_owned(),
            committed: false,
        };
        OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&prepared.temporary)
            .map_err(|source| failed(path, source))?;
        fill(&prepared.temporary)?;
        Ok(prepared)
    }

    /// The file while it waits.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Replaces what is at the path; the file is durable when this returns.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        let replace = || {
            File::open(&self.temporary)?.sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            sync_directory_of(&self.path)
        };
        replace().map_err(|source| failed(&self.path, source))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.committed {
            // What went wrong before is the error to report; the leftover may not even exist.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Replaces the file at `path` with `contents`, mode 0600: whole or not at all, and durable when it returns.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let fill = |temporary: &Path| fs::write(temporary, contents).map_err(|source| failed(path, source));
    Prepared::new(path, fill)?.commit()
}

/// The contents of `path`, `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

/// Where an earlier state of the file at `path` is kept: beside it, named by why and when.
pub(crate) fn aside(path: &Path, why: &str) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%S%3f");
    with_suffix(path, &format!(".{why}-{now}Z"))
}

/// `path` with something after its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn replaces_whole_with_private_mode_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/file");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_committed_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, b"one").unwrap();
        drop(Prepared::new(&path, |temporary| {
            fs::write(temporary, "two").map_err(|source| failed(temporary, source))
        }));
        let refused = Prepared::new(&path, |_| Err(Error::Closed));
        assert!(refused.is_err());
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
