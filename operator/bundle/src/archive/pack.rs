//! Makes an archive of a tree.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use sha2::{Digest, Sha256};

use super::content::{Collected, Content};
use super::deflate::{BlockWriter, MemberSizes, deflate};
use super::staging::{Destination, StagedFile};
use super::tree::{Tree, TreeFile, read_whole};
use super::{ArchiveReport, FileReport, PackOptions, PackReport, ustar};
use crate::checksum::Checksum;
use crate::compatibility::check_compatibility;
use crate::documents::Bundle;
use crate::documents::manifest::Manifest;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Packs a tree. The manifest comes first in the archive but holds the checksums of all that follows: so the files are
/// read once, compressed into a scratch file, and the manifest is put before them at the end.
pub(super) fn pack(root: &Path, out: &Path, options: &PackOptions<'_>) -> Result<PackReport> {
    let limits = &options.limits;
    let tree = Tree::list(root, limits)?;
    let source = tree.file(Manifest::PATH).ok_or(Error::ManifestMissing)?;
    let source = read_whole(source, limits.max_manifest_size)?;
    let manifest = complete(Manifest::from_json(&source)?, &tree, options)?;
    let mut warnings = check_compatibility(&manifest)?;
    let is_current = warnings.is_empty();
    warnings.extend(manifest.unknown_fields().filter(|_| is_current).map(|field| {
        format!("manifest.json: {field} is no field of this version of the format: check its spelling")
    }));
    let left_out = tree.empty_directories.iter();
    warnings.extend(left_out.map(|path| format!("{path} is empty and left out: a bundle holds files only")));
    match manifest.problems() {
        problems if problems.is_empty() => {}
        problems => return Err(Error::Invalid { problems }),
    }

    let threads = options
        .threads
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN);
    let destination = Destination::new(out)?;
    let mut scratch = destination.scratch_file()?;
    let mut collected = Collected::new(Bundle {
        manifest,
        ..Bundle::default()
    });
    collected.screen_manifest(&source, options.screen);
    let ((), file_members) = deflate(&mut scratch, threads, |writer| {
        write_files(&tree, writer, &mut collected, options).map_err(Failure::Bundle)
    })
    .map_err(|failure| failure.into_error(out))?;

    let mut bundle = collected.finish()?;
    let json = bundle.manifest.seal()?;
    if json.len() as u64 > limits.max_manifest_size {
        return Err(Error::DocumentTooLarge {
            path: Manifest::PATH.to_owned(),
            limit: limits.max_manifest_size,
        });
    }
    let mut head = Vec::new();
    let ((), mut members) = deflate(&mut head, NonZeroUsize::MIN, |writer| {
        write_manifest(&json, writer).map_err(Failure::Bundle)
    })
    .map_err(|failure| failure.into_error(out))?;
    members.extend(file_members);
    check_ratio(&members, limits)?;

    let archive_size = members.iter().map(|(_, compressed)| compressed).sum();
    limits.check_archive_size(archive_size)?;
    let sha256 = join(&head, scratch, destination, out)?;

    let mut files = vec![FileReport {
        path: Manifest::PATH.to_owned(),
        size: json.len() as u64,
        executable: false,
    }];
    files.extend(packed_files(&tree).map(|file| FileReport {
        path: file.path.clone(),
        size: file.size,
        executable: file.executable,
    }));
    let content_size = files.iter().map(|file| file.size).sum();
    let archive = ArchiveReport {
        bundle,
        files,
        sha256,
        archive_size,
        content_size,
        warnings,
    };
    Ok(PackReport {
        path: out.to_owned(),
        archive,
    })
}

/// Why compressing ended early.
enum Failure {
    Bundle(Error),
    Scratch(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Scratch(error)
    }
}

impl Failure {
    fn into_error(self, out: &Path) -> Error {
        match self {
            Self::Bundle(error) => error,
            Self::Scratch(error) => Error::io("write", out, error),
        }
    }
}

/// The author's manifest with what packing adds: when, by what, and which files there will be.
fn complete(mut manifest: Manifest, tree: &Tree, options: &PackOptions<'_>) -> Result<Manifest> {
    manifest.created = options.created.or(manifest.created);
    if manifest.created.is_none() {
        return Err(Error::CreatedMissing);
    }
    if manifest.homeport_version.is_empty() {
        env!("CARGO_PKG_VERSION").clone_into(&mut manifest.homeport_version);
    }
    manifest.checksums = packed_files(tree)
        .map(|file| (file.path.clone(), Checksum::ZERO))
        .collect();
    Ok(manifest)
}

/// The files that are packed as they are.
fn packed_files(tree: &Tree) -> impl Iterator<Item = &TreeFile> {
    tree.files.iter().filter(|file| file.path != Manifest::PATH)
}

fn write_manifest(json: &[u8], writer: &mut BlockWriter) -> Result<()> {
    let header = ustar::file_header(Manifest::PATH, json.len() as u64, false)?;
    write(writer, &header)?;
    write(writer, json)?;
    write(writer, &ustar::END[..ustar::padding(json.len() as u64)])
}

fn write_files(
    tree: &Tree,
    writer: &mut BlockWriter,
    collected: &mut Collected,
    options: &PackOptions<'_>,
) -> Result<()> {
    for file in packed_files(tree) {
        write(
            writer,
            &ustar::file_header(&file.path, file.size, file.executable)?,
        )?;
        let mut content = Content::begin(&file.path, true, options.screen, &options.limits);
        write_content(file, writer, &mut content)?;
        write(writer, &ustar::END[..ustar::padding(file.size)])?;
        let checksum = collected
            .add(&file.path, content.finish())?
            .unwrap_or(Checksum::ZERO);
        collected
            .bundle
            .manifest
            .checksums
            .insert(file.path.clone(), checksum);
    }
    write(writer, &ustar::END)
}

/// Writes exactly as many bytes as the header says, and notices if the file has become longer or shorter.
fn write_content(file: &TreeFile, writer: &mut BlockWriter, content: &mut Content<'_>) -> Result<()> {
    let changed = || Error::FileChanged {
        path: file.path.clone(),
    };
    let read_error = |error| Error::io("read", file.full_path(), error);
    let mut source = file.open()?;
    let mut left = file.size;
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(usize::MAX);
        let chunk = writer.read_from(&mut source, limit).map_err(read_error)?;
        if chunk.is_empty() {
            return Err(changed());
        }
        content.write(chunk)?;
        left -= chunk.len() as u64;
    }
    match source.read(&mut [0]).map_err(read_error)? {
        0 => Ok(()),
        _ => Err(changed()),
    }
}

/// Writing into blocks fails only if the scratch file does, and then that failure is reported in its place.
fn write(writer: &mut BlockWriter, bytes: &[u8]) -> Result<()> {
    writer
        .write_all(bytes)
        .map_err(|error| Error::io("write", Path::new("the archive"), error))
}

/// Refuses to make what unpacking would refuse.
fn check_ratio(members: &[MemberSizes], limits: &Limits) -> Result<()> {
    let (mut uncompressed, mut compressed) = (0, 0);
    for (before, after) in members {
        uncompressed += before;
        compressed += after;
        if limits.ratio_exceeded(compressed, uncompressed) {
            return Err(Error::RatioExceeded {
                limit: limits.max_ratio,
            });
        }
    }
    Ok(())
}

/// Writes the archive: the manifest's members, then those of the files.
fn join(head: &[u8], mut scratch: File, destination: Destination, out: &Path) -> Result<Checksum> {
    let mut staged = StagedFile::create(destination)?;
    let mut hasher = Sha256::new();
    hasher.update(head);
    staged.write(head)?;

    let read_error = |error| Error::io("read back", out, error);
    scratch.rewind().map_err(read_error)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match scratch.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                staged.write(&buffer[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_error(error)),
        }
    }
    staged.commit()?;
    Ok(Checksum::finish(hasher))
}
