//! How much an archive may ask for before it is refused.

use crate::size::ByteSize;

/// Bounds on what is read from an archive. The defaults are far above any real bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files and directories together.
    pub max_entries: u64,
    /// Bytes of the compressed archive.
    pub max_archive_size: u64,
    /// Bytes of one file.
    pub max_file_size: u64,
    /// Bytes of all files together.
    pub max_total_size: u64,
    /// Bytes of the manifest, and of each other document that is parsed.
    pub max_manifest_size: u64,
    /// Bytes of a path; the ustar format has room for 255.
    pub max_path_length: usize,
    /// Components of a path.
    pub max_path_depth: usize,
    /// How many times the compressed size the uncompressed may be, once it has passed [`Limits::RATIO_FLOOR`].
    pub max_ratio: u32,
    /// Whether names that Windows cannot hold (`con`, `nul.txt`, a trailing dot ...) are refused.
    pub portable_names: bool,
}

impl Limits {
    /// Bytes that may always be unpacked, whatever the compression ratio: small files of one repeated byte are common.
    pub const RATIO_FLOOR: u64 = 1 << 20;

    /// Whether `uncompressed` bytes are too many to come out of `compressed` ones.
    pub(crate) fn ratio_exceeded(&self, compressed: u64, uncompressed: u64) -> bool {
        uncompressed > Self::RATIO_FLOOR
            && uncompressed > compressed.saturating_mul(u64::from(self.max_ratio))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 65_536,
            max_archive_size: 4 << 30,
            max_file_size: 2 << 30,
            max_total_size: 4 << 30,
            max_manifest_size: 16 << 20,
            max_path_length: 255,
            max_path_depth: 16,
            max_ratio: 200,
            portable_names: true,
        }
    }
}

impl Limits {
    pub(crate) fn check_archive_size(&self, size: u64) -> crate::Result<()> {
        if size > self.max_archive_size {
            let (size, limit) = (ByteSize(size), ByteSize(self.max_archive_size));
            return Err(crate::Error::ArchiveTooLarge { size, limit });
        }
        Ok(())
    }
}
