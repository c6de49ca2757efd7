//! A bundle as a tree of files: what is packed, and what was unpacked.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::documents::Bundle;
use crate::documents::manifest::Manifest;
use crate::entry_path::{PathFault, PathSet, check_within};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::size::ByteSize;
use crate::{Checksum, layout};

use super::content::{Collected, Content};

/// A regular file of a tree.
pub(super) struct TreeFile {
    /// Path in the bundle.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) executable: bool,
    full: PathBuf,
    identity: (u64, u64),
}

/// The files of a tree, sorted by path, and its empty directories.
pub(super) struct Tree {
    pub(super) files: Vec<TreeFile>,
    pub(super) empty_directories: Vec<String>,
}

impl TreeFile {
    /// Opens the file, if it still is the one that was listed: not, say, a link that has taken its place.
    pub(super) fn open(&self) -> Result<File> {
        let file = File::open(&self.full).map_err(|error| Error::io("open", &self.full, error))?;
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("read", &self.full, error))?;
        if identity(&metadata) != self.identity || metadata.len() != self.size {
            return Err(Error::FileChanged {
                path: self.path.clone(),
            });
        }
        Ok(file)
    }

    /// Where it is.
    pub(super) fn full_path(&self) -> &Path {
        &self.full
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Tree {
    /// Lists the tree at `root`, and refuses what a bundle may not hold.
    pub(super) fn list(root: &Path, limits: &Limits) -> Result<Self> {
        let mut tree = Self {
            files: Vec::new(),
            empty_directories: Vec::new(),
        };
        let mut paths = PathSet::default();
        let mut entries = 0;
        let mut pending = vec![(root.to_owned(), String::new())];
        while let Some((directory, prefix)) = pending.pop() {
            let listing = fs::read_dir(&directory).map_err(|error| Error::io("list", &directory, error))?;
            let mut is_empty = true;
            for entry in listing {
                let entry = entry.map_err(|error| Error::io("list", &directory, error))?;
                is_empty = false;
                entries += 1;
                if entries > limits.max_entries {
                    return Err(Error::TooManyEntries {
                        limit: limits.max_entries,
                    });
                }
                let metadata = entry
                    .metadata()
                    .map_err(|error| Error::io("read", &entry.path(), error))?;
                let path = admit(&prefix, &entry, &metadata, limits, &mut paths)?;
                if metadata.is_dir() {
                    pending.push((entry.path(), path + "/"));
                } else {
                    let (size, executable) = (metadata.len(), metadata.mode() & 0o100 != 0);
                    let identity = identity(&metadata);
                    tree.files.push(TreeFile {
                        path,
                        size,
                        executable,
                        full: entry.path(),
                        identity,
                    });
                }
            }
            if is_empty && !prefix.is_empty() {
                tree.empty_directories.push(prefix);
            }
        }
        tree.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        tree.empty_directories.sort_unstable();
        tree.check_sizes(limits)?;
        Ok(tree)
    }

    fn check_sizes(&self, limits: &Limits) -> Result<()> {
        let mut total = 0u64;
        for file in &self.files {
            if file.size > limits.max_file_size {
                let (size, limit) = (ByteSize(file.size), ByteSize(limits.max_file_size));
                return Err(Error::FileTooLarge {
                    path: file.path.clone(),
                    size,
                    limit,
                });
            }
            total = total.saturating_add(file.size);
        }
        if total > limits.max_total_size {
            return Err(Error::TotalTooLarge {
                limit: ByteSize(limits.max_total_size),
            });
        }
        Ok(())
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&TreeFile> {
        self.files
            .binary_search_by(|file| file.path.as_str().cmp(path))
            .ok()
            .map(|at| &self.files[at])
    }
}

/// The path in the bundle of a directory's entry, if it may have one.
fn admit(
    prefix: &str,
    entry: &fs::DirEntry,
    metadata: &Metadata,
    limits: &Limits,
    paths: &mut PathSet,
) -> Result<String> {
    let name = entry.file_name();
    let unsafe_path = |path: &str, fault| Error::UnsafePath {
        path: path.to_owned(),
        fault,
    };
    let Some(name) = name.to_str() else {
        return Err(unsafe_path(
            &format!("{prefix}{}", name.to_string_lossy()),
            PathFault::NotUtf8,
        ));
    };
    let path = format!("{prefix}{name}");
    if let Some(kind) = forbidden_kind(metadata) {
        return Err(Error::ForbiddenEntry { path, kind });
    }
    check_within(&path, limits).map_err(|fault| unsafe_path(&path, fault))?;
    let is_top_directory = metadata.is_dir() && layout::DIRECTORIES.contains(&path.as_str());
    if !is_top_directory && !layout::allows_file(&path) {
        return Err(Error::OutsideLayout { path });
    }
    if metadata.is_file() && metadata.mode() & 0o7000 != 0 {
        return Err(Error::SpecialMode {
            path,
            mode: metadata.mode() & 0o7777,
        });
    }
    paths.insert(&path, !metadata.is_dir())?;
    Ok(path)
}

fn forbidden_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() || kind.is_dir() => None,
        () if kind.is_symlink() => Some("symbolic link"),
        () if kind.is_block_device() => Some("block device"),
        () if kind.is_char_device() => Some("character device"),
        () if kind.is_fifo() => Some("named pipe"),
        () if kind.is_socket() => Some("socket"),
        () => Some("file of unknown type"),
    }
}

/// Checks an unpacked bundle: every listed file is there with its checksum, no other is, and the documents are right.
pub(super) fn verify(root: &Path, limits: &Limits) -> Result<Bundle> {
    let tree = Tree::list(root, limits)?;
    let manifest_file = tree.file(Manifest::PATH).ok_or(Error::ManifestMissing)?;
    let content = read_whole(manifest_file, limits.max_manifest_size)?;
    let manifest = Manifest::from_json(&content)?;
    manifest.check_seal(&content)?;

    let missing = manifest.checksums.keys().filter(|path| tree.file(path).is_none());
    let missing: Vec<String> = missing.cloned().collect();
    if !missing.is_empty() {
        return Err(Error::MissingFiles { paths: missing });
    }
    let mut collected = Collected::new(Bundle {
        manifest,
        ..Bundle::default()
    });
    let mut buffer = vec![0; 256 << 10];
    for file in tree.files.iter().filter(|file| file.path != Manifest::PATH) {
        let listed = collected.bundle.manifest.checksums.get(&file.path).copied();
        let expected = listed.ok_or_else(|| Error::Unlisted {
            path: file.path.clone(),
        })?;
        let mut content = Content::begin(&file.path, true, None, limits);
        let mut source = file.open()?;
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => content.write(&buffer[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &file.full, error)),
            }
        }
        let found = collected
            .add(&file.path, content.finish())?
            .unwrap_or(Checksum::ZERO);
        if found != expected {
            return Err(Error::ChecksumMismatch {
                path: file.path.clone(),
                expected,
                found,
            });
        }
    }
    collected.finish()
}

/// The whole content of a file that must be small.
pub(super) fn read_whole(file: &TreeFile, limit: u64) -> Result<Vec<u8>> {
    if file.size > limit {
        return Err(Error::DocumentTooLarge {
            path: file.path.clone(),
            limit,
        });
    }
    let mut content = Vec::new();
    let read = file.open()?.take(limit).read_to_end(&mut content);
    read.map_err(|error| Error::io("read", &file.full, error))?;
    Ok(content)
}
