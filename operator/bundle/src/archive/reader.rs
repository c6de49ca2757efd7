//! Reads an archive from beginning to end and believes nothing of it.

use std::path::Path;

use super::content::{Collected, Content};
use super::inflate::{Inflated, inflate};
use super::ustar::{self, BLOCK, Entry};
use super::{ArchiveReport, FileReport};
use crate::compatibility::check_compatibility;
use crate::documents::Bundle;
use crate::documents::manifest::Manifest;
use crate::entry_path::{PathSet, check_within};
use crate::error::{Error, Result};
use crate::layout;
use crate::limits::Limits;
use crate::screen::Screen;
use crate::size::ByteSize;

/// Zeros that may follow the end of the tar archive: tape blocks, as tar programs fill them up.
const MAX_PADDING: u64 = 1 << 20;

/// The most missing files that an error names.
const MAX_NAMED: usize = 10;

/// Where the files of an archive go.
pub(super) trait Sink {
    /// Begins a file, whose path has been checked.
    fn begin(&mut self, path: &str, executable: bool) -> Result<()>;
    /// The next part of its content.
    fn write(&mut self, chunk: &[u8]) -> Result<()>;
    /// Its end.
    fn end(&mut self) -> Result<()>;
}

/// Goes nowhere.
pub(super) struct Discard;

impl Sink for Discard {
    fn begin(&mut self, _: &str, _: bool) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How much of an archive's content is looked at.
#[derive(Clone, Copy)]
pub(super) enum Depth<'a> {
    /// Structure and documents.
    Structure,
    /// Checksums too, and secrets if there is something that finds them.
    Everything(Option<&'a dyn Screen>),
}

/// Reads the archive at `path` to its end, and gives its files to `sink`. What `sink` got is to be thrown away if this
/// fails.
pub(super) fn read_archive(
    path: &Path,
    limits: &Limits,
    depth: Depth<'_>,
    sink: &mut impl Sink,
) -> Result<ArchiveReport> {
    let (contents, compressed) = inflate(path, limits, |stream| {
        let mut reader = Reader {
            stream,
            limits,
            depth,
            paths: PathSet::default(),
            index: 0,
            content_size: 0,
        };
        reader.read(sink)
    })?;
    Ok(ArchiveReport {
        bundle: contents.bundle,
        files: contents.files,
        sha256: compressed.sha256,
        archive_size: compressed.size,
        content_size: contents.content_size,
        warnings: contents.warnings,
    })
}

struct Contents {
    bundle: Bundle,
    files: Vec<FileReport>,
    content_size: u64,
    warnings: Vec<String>,
}

struct Reader<'a> {
    stream: &'a mut Inflated,
    limits: &'a Limits,
    depth: Depth<'a>,
    paths: PathSet,
    index: u64,
    content_size: u64,
}

/// An entry that is a file.
struct FileEntry {
    path: String,
    size: u64,
    executable: bool,
}

impl Reader<'_> {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Contents> {
        let (content, first) = self.read_manifest(sink)?;
        let manifest = Manifest::from_json(&content)?;
        manifest.check_seal(&content)?;
        let mut warnings = check_compatibility(&manifest)?;
        let is_newer = !warnings.is_empty();
        if !manifest.covers_itself() {
            warnings.push(
                "the manifest has no digest of itself, so that a change to it goes unnoticed".to_owned(),
            );
        }
        match manifest.problems() {
            problems if problems.is_empty() => {}
            problems => return Err(Error::Invalid { problems }),
        }

        let mut collected = Collected::new(Bundle {
            manifest,
            ..Bundle::default()
        });
        if let Depth::Everything(screen) = self.depth {
            collected.screen_manifest(&content, screen);
        }
        let mut files = vec![first];
        while let Some(entry) = self.next_file()? {
            if !layout::allows_file(&entry.path) {
                let outside = Error::OutsideLayout {
                    path: entry.path.clone(),
                };
                // A newer version of the format may have more directories.
                if !is_newer {
                    return Err(outside);
                }
                warnings.push(outside.to_string());
            }
            self.read_file(&entry, &mut collected, sink)?;
            files.push(FileReport {
                path: entry.path,
                size: entry.size,
                executable: entry.executable,
            });
        }
        self.expect_end()?;

        self.refuse_missing(&collected.bundle.manifest)?;
        let bundle = collected.finish()?;
        Ok(Contents {
            bundle,
            files,
            content_size: self.content_size,
            warnings,
        })
    }

    /// The content of the manifest, which must be the first entry of the archive.
    fn read_manifest(&mut self, sink: &mut impl Sink) -> Result<(Vec<u8>, FileReport)> {
        let entry = match self.next_entry()? {
            None => return Err(Error::ManifestMissing),
            Some(Entry::File {
                path,
                size,
                executable,
            }) if path == Manifest::PATH => FileEntry {
                path,
                size,
                executable,
            },
            Some(Entry::File { path, .. } | Entry::Directory { path }) => {
                self.admit(&path, true)?;
                return Err(Error::ManifestNotFirst { first: path });
            }
            Some(Entry::Pax { .. }) => return Err(self.malformed("PAX records follow PAX records")),
        };
        self.admit(&entry.path, true)?;
        let limit = self.limits.max_manifest_size;
        if entry.size > limit {
            return Err(Error::DocumentTooLarge {
                path: entry.path,
                limit,
            });
        }
        let mut content = Vec::new();
        sink.begin(&entry.path, entry.executable)?;
        self.stream_content(&entry, |chunk| {
            content.extend_from_slice(chunk);
            sink.write(chunk)
        })?;
        sink.end()?;

        Ok((
            content,
            FileReport {
                path: entry.path,
                size: entry.size,
                executable: entry.executable,
            },
        ))
    }

    /// The next file, after any directories.
    fn next_file(&mut self) -> Result<Option<FileEntry>> {
        loop {
            match self.next_entry()? {
                None => return Ok(None),
                Some(Entry::Directory { path }) => self.admit(&path, false)?,
                Some(Entry::Pax { .. }) => return Err(self.malformed("PAX records follow PAX records")),
                Some(Entry::File { path, .. }) if path == Manifest::PATH => {
                    return Err(Error::ManifestRepeated);
                }
                Some(Entry::File {
                    path,
                    size,
                    executable,
                }) => {
                    self.admit(&path, true)?;
                    return Ok(Some(FileEntry {
                        path,
                        size,
                        executable,
                    }));
                }
            }
        }
    }

    /// The next header that is no PAX header, or `None` at the block of zeros after the last entry.
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        let entry = self.next_header()?;
        let Some(Entry::Pax { size }) = entry else {
            return Ok(entry);
        };
        let mut records = vec![0; size as usize + ustar::padding(size)];
        if self.stream.read(&mut records)? < records.len() {
            return Err(Error::Truncated {
                within: "PAX records".to_owned(),
            });
        }
        ustar::check_pax_records(&records[..size as usize], self.index)?;
        match self.next_header()? {
            None => Err(self.malformed("no entry follows the PAX records")),
            entry => Ok(entry),
        }
    }

    fn next_header(&mut self) -> Result<Option<Entry>> {
        let mut header = [0; BLOCK];
        if self.stream.read(&mut header)? < header.len() {
            return Err(Error::Truncated {
                within: "a tar header".to_owned(),
            });
        }
        ustar::read_header(&header, self.index)
    }

    /// Accepts the path of an entry, or tells why not.
    fn admit(&mut self, path: &str, is_file: bool) -> Result<()> {
        self.index += 1;
        if self.index > self.limits.max_entries {
            return Err(Error::TooManyEntries {
                limit: self.limits.max_entries,
            });
        }
        check_within(path, self.limits).map_err(|fault| Error::UnsafePath {
            path: path.to_owned(),
            fault,
        })?;
        self.paths.insert(path, is_file)
    }

    fn read_file(
        &mut self,
        entry: &FileEntry,
        collected: &mut Collected,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let listed = collected.bundle.manifest.checksums.get(&entry.path).copied();
        let expected = listed.ok_or_else(|| Error::Unlisted {
            path: entry.path.clone(),
        })?;
        let (hashed, screen) = match self.depth {
            Depth::Structure => (false, None),
            Depth::Everything(screen) => (true, screen),
        };

        let mut content = Content::begin(&entry.path, hashed, screen, self.limits);
        sink.begin(&entry.path, entry.executable)?;
        self.stream_content(entry, |chunk| {
            content.write(chunk)?;
            sink.write(chunk)
        })?;
        sink.end()?;

        // The checksum first: a damaged document need not be parsed.
        let seen = content.finish();
        if let Some(found) = seen.checksum
            && found != expected
        {
            return Err(Error::ChecksumMismatch {
                path: entry.path.clone(),
                expected,
                found,
            });
        }
        collected.add(&entry.path, seen)?;
        Ok(())
    }

    /// Hands on the content of a file in parts, and passes over the padding.
    fn stream_content(
        &mut self,
        entry: &FileEntry,
        mut write: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if entry.size > self.limits.max_file_size {
            let (size, limit) = (ByteSize(entry.size), ByteSize(self.limits.max_file_size));
            return Err(Error::FileTooLarge {
                path: entry.path.clone(),
                size,
                limit,
            });
        }
        self.content_size += entry.size;
        if self.content_size > self.limits.max_total_size {
            return Err(Error::TotalTooLarge {
                limit: ByteSize(self.limits.max_total_size),
            });
        }
        let mut left = entry.size;
        while left > 0 {
            let bytes = self.stream.fill()?;
            if bytes.is_empty() {
                return Err(Error::Truncated {
                    within: entry.path.clone(),
                });
            }
            let part = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            write(&bytes[..part])?;
            self.stream.consume(part);
            left -= part as u64;
        }
        let mut padding = [0; BLOCK];
        let padding = &mut padding[..ustar::padding(entry.size)];
        if self.stream.read(padding)? < padding.len() {
            return Err(Error::Truncated {
                within: entry.path.clone(),
            });
        }
        Ok(())
    }

    /// After the first block of zeros: another one, then only zeros, then nothing.
    fn expect_end(&mut self) -> Result<()> {
        let mut second = [0; BLOCK];
        if self.stream.read(&mut second)? < second.len() {
            return Err(Error::Truncated {
                within: "the end of the tar archive".to_owned(),
            });
        }
        if second != [0; BLOCK] {
            return Err(Error::TrailingData {
                what: "entries after a block of zeros",
            });
        }
        let mut padding = 0;
        loop {
            let bytes = self.stream.fill()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let count = bytes.len();
            padding += count as u64;
            if padding > MAX_PADDING || bytes.iter().any(|&byte| byte != 0) {
                return Err(Error::TrailingData {
                    what: "data after the tar archive",
                });
            }
            self.stream.consume(count);
        }
    }

    fn refuse_missing(&self, manifest: &Manifest) -> Result<()> {
        let listed = manifest.checksums.keys();
        let missing = listed.filter(|path| !self.paths.has_file(path));
        let paths: Vec<String> = missing.take(MAX_NAMED).cloned().collect();
        if paths.is_empty() {
            Ok(())
        } else {
            Err(Error::MissingFiles { paths })
        }
    }

    fn malformed(&self, reason: &'static str) -> Error {
        Error::MalformedHeader {
            index: self.index,
            reason,
        }
    }
}
