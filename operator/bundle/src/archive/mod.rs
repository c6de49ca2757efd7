//! Bundles as files: packing, verifying, unpacking.

mod content;
mod deflate;
mod gzip;
mod inflate;
mod pack;
mod reader;
mod staging;
mod tree;
mod ustar;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use self::reader::{Depth, Discard, read_archive};
use self::staging::StagedTree;
use crate::checksum::Checksum;
use crate::documents::Bundle;
use crate::error::Result;
use crate::limits::Limits;
use crate::screen::Screen;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveReport {
    /// Its documents.
    pub bundle: Bundle,
    /// Its files, in the order of the archive; the manifest is the first.
    pub files: Vec<FileReport>,
    /// Of the archive as a file, as `sha256sum` prints it.
    pub sha256: Checksum,
    /// Bytes of the archive as a file.
    pub archive_size: u64,
    /// Bytes of its files together.
    pub content_size: u64,
    /// What a person should know although nothing was refused.
    pub warnings: Vec<String>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Path in the bundle.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Whether its mode is 0755 rather than 0644.
    pub executable: bool,
}

/// How a tree is packed.
#[derive(Clone, Default)]
pub struct PackOptions<'a> {
    /// Takes the place of the manifest's `created`, as `SOURCE_DATE_EPOCH` does. The clock is never asked.
    pub created: Option<jiff::Timestamp>,
    /// A tree that passes them is refused, so that what is packed can be unpacked.
    pub limits: Limits,
    /// Looks for secrets on the way.
    pub screen: Option<&'a dyn Screen>,
    /// How many threads compress; without it, one for each processor. The result does not depend on it.
    pub threads: Option<NonZeroUsize>,
}

/// What was packed.
#[derive(Debug, Clone, PartialEq)]
pub struct PackReport {
    /// The archive.
    pub path: PathBuf,
    /// What it holds.
    pub archive: ArchiveReport,
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq)]
pub struct Unpacked {
    /// The directory.
    pub path: PathBuf,
    /// What the archive holds.
    pub archive: ArchiveReport,
}

/// Packs the tree of files at `tree`, whose `manifest.json` need not list checksums, into the archive `out`.
///
/// The same tree gives the same bytes. `out` is replaced only when the archive is complete and on disk.
pub fn pack(tree: &Path, out: &Path, options: &PackOptions<'_>) -> Result<PackReport> {
    pack::pack(tree, out, options)
}

/// Unpacks an archive into the directory `dest`, which must not exist or be empty.
///
/// `dest` comes into being only when everything has been verified.
pub fn unpack(archive: &Path, dest: &Path, limits: &Limits, screen: Option<&dyn Screen>) -> Result<Unpacked> {
    let mut tree = StagedTree::create(dest)?;
    let archive = read_archive(archive, limits, Depth::Everything(screen), &mut tree)?;
    tree.commit()?;
    Ok(Unpacked {
        path: dest.to_owned(),
        archive,
    })
}

/// Checks everything that [`unpack`] checks, and writes nothing.
pub fn verify(archive: &Path, limits: &Limits, screen: Option<&dyn Screen>) -> Result<ArchiveReport> {
    read_archive(archive, limits, Depth::Everything(screen), &mut Discard)
}

/// Lists what an archive holds. Its structure and documents are checked as [`verify`] checks them, but not the files'
/// checksums.
pub fn inspect(archive: &Path, limits: &Limits) -> Result<ArchiveReport> {
    read_archive(archive, limits, Depth::Structure, &mut Discard)
}

/// Checks an unpacked bundle: every listed file is there with its checksum, no other is, and the documents are right.
pub fn verify_tree(dir: &Path) -> Result<Bundle> {
    tree::verify(dir, &Limits::default())
}
