//! What can go wrong with a bundle.

use std::io;
use std::path::{Path, PathBuf};

use crate::checksum::Checksum;
use crate::entry_path::PathFault;
use crate::problem::Problem;
use crate::screen::Finding;
use crate::size::ByteSize;

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a bundle could not be packed, read or unpacked. Whichever it is, nothing was written to the destination.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the tree changed while it was read.
    #[error("{path} changed while it was packed: pack again when nothing writes to the tree")]
    FileChanged {
        /// Path in the tree.
        path: String,
    },
    /// There is something at the destination.
    #[error("{} exists and is not an empty directory: remove it or unpack elsewhere", path.display())]
    DestinationExists {
        /// The destination.
        path: PathBuf,
    },

    /// The file is no gzip stream.
    #[error(
        "not a bundle: the file does not begin as gzip does; a .hprt file is a gzip-compressed tar archive"
    )]
    NotGzip,
    /// The compressed data is damaged.
    #[error("the archive is damaged at byte {offset} of the compressed file ({reason}): fetch it again")]
    CorruptGzip {
        /// Where the damaged part begins.
        offset: u64,
        /// What does not fit.
        reason: String,
    },
    /// The archive ends too early.
    #[error("the archive ends in the middle of {within}: it was cut off; fetch it again")]
    Truncated {
        /// What was being read.
        within: String,
    },
    /// Something follows where the archive should have ended.
    #[error(
        "the archive goes on after its end ({what}): it was tampered with or badly joined; pack it again"
    )]
    TrailingData {
        /// What follows.
        what: &'static str,
    },
    /// A tar header cannot be read.
    #[error("entry {index} of the archive has a malformed header ({reason}): pack it again")]
    MalformedHeader {
        /// Position in the archive, from 0.
        index: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// An entry is neither file nor directory.
    #[error(
        "{path} is a {kind}: a bundle holds only regular files and directories; replace it by its content"
    )]
    ForbiddenEntry {
        /// Path of the entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A GNU extension that carries a name outside the header.
    #[error(
        "entry {index} of the archive uses a GNU long name: give paths of at most 255 bytes, in the ustar format"
    )]
    GnuLongName {
        /// Position in the archive, from 0.
        index: u64,
    },
    /// A PAX record that would override what the header says.
    #[error("entry {index} of the archive overrides {key} by a PAX record: pack it in the ustar format")]
    PaxOverride {
        /// Position in the archive, from 0.
        index: u64,
        /// Key of the record.
        key: String,
    },
    /// PAX records that would apply to all that follows.
    #[error("entry {index} of the archive is a PAX global header: pack it in the ustar format")]
    PaxGlobalHeader {
        /// Position in the archive, from 0.
        index: u64,
    },
    /// PAX records longer than any need.
    #[error(
        "entry {index} of the archive has {size} of PAX records, more than {limit}: pack it in the ustar format"
    )]
    PaxTooLarge {
        /// Position in the archive, from 0.
        index: u64,
        /// Their size.
        size: ByteSize,
        /// The most that is read.
        limit: ByteSize,
    },
    /// A file with set-user-id, set-group-id or sticky bit.
    #[error("{path} has mode {mode:o}: clear its set-user-id, set-group-id and sticky bits")]
    SpecialMode {
        /// Path of the entry.
        path: String,
        /// Its permission bits.
        mode: u32,
    },

    /// A path that could be taken for something else or lead elsewhere.
    #[error("{path:?} is not a path that a bundle may hold: {fault}")]
    UnsafePath {
        /// The path, with what is no UTF-8 replaced.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A file outside the directories of the layout.
    #[error("{path} is outside the bundle's layout: move it under one of {}, or leave it out", crate::layout::DIRECTORIES.join("/, "))]
    OutsideLayout {
        /// The path.
        path: String,
    },
    /// A path occurs twice.
    #[error("{path} is in the archive twice: keep one")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// Two paths are one on file systems that do not distinguish case.
    #[error(
        "{path} and {other} differ only in case: rename one, for some file systems take them for the same"
    )]
    CaseCollision {
        /// The later one.
        path: String,
        /// The earlier one.
        other: String,
    },
    /// Two paths are one on file systems that normalise Unicode.
    #[error("{path:?} and {other:?} differ only in Unicode normalisation: rename one")]
    NormalizationCollision {
        /// The later one.
        path: String,
        /// The earlier one.
        other: String,
    },
    /// One path is a file and also a directory.
    #[error("{path} is both a file and a directory: rename one")]
    FileDirectoryConflict {
        /// The path.
        path: String,
    },

    /// More entries than allowed.
    #[error("more than {limit} entries: leave files out, or raise the limit of entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// The compressed file is larger than allowed.
    #[error(
        "the archive has {size}, more than {limit}: leave files out, or raise the limit of the archive's size"
    )]
    ArchiveTooLarge {
        /// Its size.
        size: ByteSize,
        /// The limit.
        limit: ByteSize,
    },
    /// A file is larger than allowed.
    #[error("{path} has {size}, more than {limit}: leave it out, or raise the limit of a file's size")]
    FileTooLarge {
        /// Path of the file.
        path: String,
        /// Its size.
        size: ByteSize,
        /// The limit.
        limit: ByteSize,
    },
    /// The files together are larger than allowed.
    #[error(
        "the files have more than {limit} together: leave some out, or raise the limit of the total size"
    )]
    TotalTooLarge {
        /// The limit.
        limit: ByteSize,
    },
    /// The manifest or another document is larger than allowed.
    #[error("{path} is larger than {limit} bytes: shorten it, or raise the limit of a manifest's size")]
    DocumentTooLarge {
        /// Path of the document.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The archive unpacks to suspiciously much.
    #[error(
        "the archive unpacks to more than {limit} times its size, as archives made to fill disks do: if it is \
         genuine, raise the limit of the compression ratio"
    )]
    RatioExceeded {
        /// The limit.
        limit: u32,
    },

    /// The archive has no manifest.
    #[error("there is no manifest.json: a bundle must have one, as its first entry")]
    ManifestMissing,
    /// Something comes before the manifest.
    #[error("the first entry is {first}: manifest.json must come first")]
    ManifestNotFirst {
        /// What comes first.
        first: String,
    },
    /// There is a second manifest.
    #[error("manifest.json is in the archive twice: keep the first")]
    ManifestRepeated,
    /// The manifest of the tree does not say when the bundle was made.
    #[error(
        "manifest.json has no `created`: add one (such as 2024-01-15T10:30:00Z), or set SOURCE_DATE_EPOCH"
    )]
    CreatedMissing,
    /// A document cannot be parsed.
    #[error("{file}: {reason}")]
    BadJson {
        /// Path of the document.
        file: String,
        /// What and where.
        reason: String,
    },
    /// A document says the same thing twice.
    #[error("{file}: line {line} has the key {key:?} a second time in one object: keep one")]
    DuplicateKey {
        /// Path of the document.
        file: String,
        /// Line of the second one.
        line: usize,
        /// The key.
        key: String,
    },
    /// The manifest is of another format.
    #[error("manifest.json: format is {found}: it must be \"hprt\"")]
    UnsupportedFormat {
        /// What its `format` says.
        found: String,
    },
    /// The manifest's version is none.
    #[error("manifest.json: version is {found:?}: it must be a semantic version such as {supported}")]
    MalformedVersion {
        /// What its `version` says.
        found: String,
        /// The version that this program writes.
        supported: semver::Version,
    },
    /// The manifest is of a version that cannot be read.
    #[error(
        "manifest.json: format version {found} cannot be read by this program, which reads version {}.x: use a \
         homeport that reads {}.x, or export the bundle again", supported.major, found.major
    )]
    UnsupportedVersion {
        /// Version of the bundle.
        found: semver::Version,
        /// The version that this program writes.
        supported: semver::Version,
    },
    /// The documents are well-formed but wrong.
    #[error("{}", list("the bundle's documents are wrong", problems))]
    Invalid {
        /// All that is wrong.
        problems: Vec<Problem>,
    },

    /// The manifest is not the one that was packed.
    #[error(
        "manifest.json was changed after packing: its own digest is {expected}, its content has {found}; fetch the \
         bundle again, or pack the changed tree"
    )]
    ManifestChecksum {
        /// What it says of itself.
        expected: Checksum,
        /// What it is.
        found: Checksum,
    },
    /// A file is not the one that was packed.
    #[error("{path} does not match its checksum (listed {expected}, found {found}): fetch the bundle again")]
    ChecksumMismatch {
        /// Path of the file.
        path: String,
        /// What the manifest lists.
        expected: Checksum,
        /// What it is.
        found: Checksum,
    },
    /// A file that the manifest does not list.
    #[error("{path} is not listed in the manifest's checksums: pack the bundle again, or remove the file")]
    Unlisted {
        /// Path of the file.
        path: String,
    },
    /// Files that the manifest lists are not there.
    #[error("{} listed in the manifest but missing: fetch the bundle again", paths.join(", "))]
    MissingFiles {
        /// The first few of their paths.
        paths: Vec<String>,
    },

    /// A secret's value is where none may be.
    #[error("{}", list("a bundle must hold no secret's value, but", findings))]
    SecretFound {
        /// Where; never what.
        findings: Vec<Finding>,
    },
}

/// A heading, and one line for each item unless there is only one.
fn list<T: std::fmt::Display>(heading: &str, items: &[T]) -> String {
    match items {
        [only] => format!("{heading}: {only}"),
        items => items
            .iter()
            .fold(format!("{heading}:"), |text, item| format!("{text}\n  {item}")),
    }
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the same call may succeed later without anyone mending the bundle.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ResourceBusy
                    | io::ErrorKind::StaleNetworkFileHandle
                    | io::ErrorKind::OutOfMemory
            ),
            Self::FileChanged { .. } => true,
            _ => false,
        }
    }
}
