//! Results come into being beside their destination and are renamed there when they are complete.
//!
//! A run that is killed leaves `.<name>.partial-<random>` behind. Living runs hold a lock on theirs, so that the next
//! run can tell the two apart, and removes what the dead have left.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::reader::Sink;
use crate::error::{Error, Result};

/// Where a result is to be: a name in a directory.
pub(super) struct Destination {
    path: PathBuf,
    parent: PathBuf,
    prefix: OsString,
}

impl Destination {
    /// The directory of `path` must exist. What dead runs left there is removed.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| Error::io("write", path, std::io::ErrorKind::InvalidInput.into()))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".partial-");
        let destination = Self {
            path: path.to_owned(),
            parent: parent.to_owned(),
            prefix,
        };
        destination.remove_leftovers()?;
        Ok(destination)
    }

    /// A file without a name in the same file system; it vanishes with the process.
    pub(super) fn scratch_file(&self) -> Result<File> {
        tempfile::tempfile_in(&self.parent)
            .map_err(|error| Error::io("create a file in", &self.parent, error))
    }

    fn remove_leftovers(&self) -> Result<()> {
        let entries = fs::read_dir(&self.parent).map_err(|error| Error::io("list", &self.parent, error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name
                .as_encoded_bytes()
                .starts_with(self.prefix.as_encoded_bytes())
            {
                continue;
            }
            // Gone, or not ours to open: not ours to remove either.
            let Ok(file) = File::open(entry.path()) else {
                continue;
            };
            if file.try_lock().is_ok() {
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let removed = if is_dir {
                    fs::remove_dir_all(entry.path())
                } else {
                    fs::remove_file(entry.path())
                };
                match removed {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io("remove", &entry.path(), error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Creates something of a new name by `create`, and holds the lock on it.
    fn claim(&self, create: impl Fn(&Path) -> std::io::Result<File>) -> Result<Claim> {
        const ATTEMPTS: usize = 100;
        let mut last = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        for _ in 0..ATTEMPTS {
            let mut name = self.prefix.clone();
            name.push(random_suffix());
            let path = self.parent.join(name);
            match create(&path) {
                Ok(file) => match file.try_lock() {
                    Ok(()) if is_same(&file, &path) => {
                        return Ok(Claim {
                            path,
                            file,
                            kept: false,
                        });
                    }
                    // Where nothing can be locked, nobody can take it for a leftover either.
                    Err(TryLockError::Error(_)) => {
                        return Ok(Claim {
                            path,
                            file,
                            kept: false,
                        });
                    }
                    // Another run has just taken it for one.
                    Ok(()) | Err(TryLockError::WouldBlock) => {}
                },
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(Error::io("create", &path, error)),
            }
        }
        Err(Error::io("create a partial file in", &self.parent, last))
    }

    fn sync_parent(&self) -> Result<()> {
        let synced = File::open(&self.parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| Error::io("sync", &self.parent, error))
    }
}

/// Something partial that is ours, and is removed unless it is kept.
struct Claim {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Claim {
    fn rename_to(mut self, destination: &Destination) -> Result<()> {
        let path = &destination.path;
        fs::rename(&self.path, path).map_err(|error| match error.kind() {
            // Another run was quicker.
            std::io::ErrorKind::DirectoryNotEmpty => Error::DestinationExists { path: path.clone() },
            _ => Error::io("rename a partial file to", path, error),
        })?;
        self.kept = true;
        destination.sync_parent()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now, the next run removes.
            let _left_over = match self.file.metadata() {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&self.path),
                _ => fs::remove_file(&self.path),
            };
        }
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

/// Letters that no other process picks at this moment.
fn random_suffix() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// A file that appears when it is complete.
pub(super) struct StagedFile {
    destination: Destination,
    claim: Claim,
}

impl StagedFile {
    pub(super) fn create(destination: Destination) -> Result<Self> {
        let claim = destination.claim(|path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        })?;
        Ok(Self { destination, claim })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.claim.file.write_all(bytes);
        written.map_err(|error| Error::io("write", &self.destination.path, error))
    }

    /// Puts the file on disk and in its place.
    pub(super) fn commit(self) -> Result<()> {
        let synced = self.claim.file.sync_all();
        synced.map_err(|error| Error::io("sync", &self.destination.path, error))?;
        self.claim.rename_to(&self.destination)
    }
}

/// A directory that appears when everything is in it.
pub(super) struct StagedTree {
    destination: Destination,
    claim: Claim,
    /// The directory of the last file: most files come after one of the same.
    parent: PathBuf,
    current: Option<(PathBuf, File)>,
}

impl StagedTree {
    pub(super) fn create(dest: &Path) -> Result<Self> {
        let is_free = match fs::read_dir(dest) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && fs::symlink_metadata(dest).is_err(),
        };
        if !is_free {
            return Err(Error::DestinationExists {
                path: dest.to_owned(),
            });
        }
        let destination = Destination::new(dest)?;
        let claim = destination.claim(|path| {
            DirBuilder::new().mode(0o700).create(path)?;
            File::open(path)
        })?;
        let parent = claim.path.clone();
        Ok(Self {
            destination,
            claim,
            parent,
            current: None,
        })
    }

    /// Puts the directory in its place.
    pub(super) fn commit(self) -> Result<()> {
        let opened = self.claim.file.set_permissions(Permissions::from_mode(0o755));
        opened.map_err(|error| Error::io("open up", &self.claim.path, error))?;
        self.claim.rename_to(&self.destination)
    }
}

impl Sink for StagedTree {
    fn begin(&mut self, path: &str, executable: bool) -> Result<()> {
        let full = self.claim.path.join(path);
        if let Some(parent) = full.parent()
            && parent != self.parent
        {
            fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error))?;
            self.parent = parent.to_owned();
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&full);
        let file = file.map_err(|error| Error::io("create", &full, error))?;
        self.current = Some((full, file));
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<()> {
        match &mut self.current {
            Some((path, file)) => file
                .write_all(chunk)
                .map_err(|error| Error::io("write", path, error)),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.current = None;
        Ok(())
    }
}
