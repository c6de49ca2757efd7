//! Headers of tar entries: POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"), and of its extensions only
//! what must be known to refuse them.

use crate::entry_path::PathFault;
use crate::error::{Error, Result};
use crate::size::ByteSize;

/// Headers and contents come in blocks of this size.
pub(super) const BLOCK: usize = 512;

/// Two blocks of zeros end an archive.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The most bytes of PAX records that are read; real ones have some hundred.
const MAX_PAX: u64 = 64 << 10;

/// Places of the header's fields.
mod field {
    use std::ops::Range;

    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE: usize = 156;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

const MAGIC_USTAR: &[u8; 8] = b"ustar\x0000";
const MAGIC_GNU: &[u8; 8] = b"ustar  \0";
const MAGIC_V7: &[u8; 8] = &[0; 8];

/// Bytes that follow a content of `size` bytes up to the next block.
pub(super) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// The header of a file: no owner, no time, mode 0644 or 0755.
pub(super) fn file_header(path: &str, size: u64, executable: bool) -> Result<[u8; BLOCK]> {
    let unsafe_path = |fault| Error::UnsafePath {
        path: path.to_owned(),
        fault,
    };
    let (prefix, name) = split_path(path).ok_or_else(|| unsafe_path(PathFault::NotUstar))?;
    let mut header = [0; BLOCK];
    header[field::NAME][..name.len()].copy_from_slice(name.as_bytes());
    header[field::PREFIX][..prefix.len()].copy_from_slice(prefix.as_bytes());
    header[field::MODE].copy_from_slice(if executable { b"0000755\0" } else { b"0000644\0" });
    header[field::UID].copy_from_slice(b"0000000\0");
    header[field::GID].copy_from_slice(b"0000000\0");
    header[field::MTIME].copy_from_slice(b"00000000000\0");
    header[field::TYPE] = b'0';
    header[field::MAGIC].copy_from_slice(MAGIC_USTAR);

    let size = format!("{size:011o}\0");
    if size.len() != field::SIZE.len() {
        return Err(Error::FileTooLarge {
            path: path.to_owned(),
            size: ByteSize(u64::MAX),
            limit: ByteSize(8 << 30),
        });
    }
    header[field::SIZE].copy_from_slice(size.as_bytes());
    let checksum = format!("{:06o}\0 ", checksum(&header));
    header[field::CHECKSUM].copy_from_slice(checksum.as_bytes());
    Ok(header)
}

/// Splits a path at a slash so that both parts fit their fields.
fn split_path(path: &str) -> Option<(&str, &str)> {
    if path.len() <= field::NAME.len() {
        return Some(("", path));
    }
    let fits = |at: usize| at <= field::PREFIX.len() && path.len() - at - 1 <= field::NAME.len();
    let (at, _) = path.match_indices('/').find(|(at, _)| fits(*at))?;
    Some((&path[..at], &path[at + 1..]))
}

/// Sum of the header's bytes, with blanks in the place of the sum itself.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    sum(header) - sum(&header[field::CHECKSUM]) + u32::from(b' ') * 8
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file with its content's size.
    File {
        path: String,
        size: u64,
        executable: bool,
    },
    /// A directory; its path has no trailing slash.
    Directory { path: String },
    /// Records about the next entry, so many bytes of them.
    Pax { size: u64 },
}

/// Reads the header of the entry `index`; `None` if it is a block of zeros, the beginning of the end.
pub(super) fn read_header(header: &[u8; BLOCK], index: u64) -> Result<Option<Entry>> {
    if header.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let malformed = |reason| Error::MalformedHeader { index, reason };
    let octal = |range| read_octal(&header[range]);
    if octal(field::CHECKSUM) != Some(u64::from(checksum(header))) {
        return Err(malformed("its checksum does not match"));
    }
    let has_prefix = match &header[field::MAGIC] {
        magic if magic == MAGIC_USTAR => true,
        magic if magic == MAGIC_GNU || magic == MAGIC_V7 => false,
        _ => return Err(malformed("it is no tar header")),
    };

    let name = text(&header[field::NAME]).ok_or_else(|| malformed("its name goes on after a NUL"))?;
    let prefix = if has_prefix {
        text(&header[field::PREFIX])
    } else {
        Some([].as_slice())
    };
    let prefix = prefix.ok_or_else(|| malformed("its prefix goes on after a NUL"))?;
    let raw_path = if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    };
    let shown = String::from_utf8_lossy(&raw_path).into_owned();

    let forbidden = |kind| Error::ForbiddenEntry {
        path: shown.clone(),
        kind,
    };
    let is_directory = match header[field::TYPE] {
        b'0' | 0 => false,
        b'5' => true,
        b'x' => {
            let size = octal(field::SIZE).ok_or_else(|| malformed("its size is no octal number"))?;
            if size > MAX_PAX {
                return Err(Error::PaxTooLarge {
                    index,
                    size: ByteSize(size),
                    limit: ByteSize(MAX_PAX),
                });
            }
            return Ok(Some(Entry::Pax { size }));
        }
        b'g' => return Err(Error::PaxGlobalHeader { index }),
        b'L' | b'K' | b'N' => return Err(Error::GnuLongName { index }),
        b'1' => return Err(forbidden("hard link")),
        b'2' => return Err(forbidden("symbolic link")),
        b'3' => return Err(forbidden("character device")),
        b'4' => return Err(forbidden("block device")),
        b'6' => return Err(forbidden("named pipe")),
        b'7' => return Err(forbidden("contiguous file")),
        b'S' => return Err(forbidden("sparse file")),
        _ => return Err(forbidden("entry of unknown type")),
    };

    let mut path = String::from_utf8(raw_path).map_err(|_| Error::UnsafePath {
        path: shown.clone(),
        fault: PathFault::NotUtf8,
    })?;
    let size = octal(field::SIZE).ok_or_else(|| malformed("its size is no octal number"))?;
    let mode = octal(field::MODE).ok_or_else(|| malformed("its mode is no octal number"))?;
    if mode & 0o7000 != 0 {
        return Err(Error::SpecialMode {
            path,
            mode: (mode & 0o7777) as u32,
        });
    }
    if !is_directory {
        return Ok(Some(Entry::File {
            path,
            size,
            executable: mode & 0o100 != 0,
        }));
    }
    if size != 0 {
        return Err(malformed("it is a directory with content"));
    }
    if path.ends_with('/') {
        path.pop();
    }
    Ok(Some(Entry::Directory { path }))
}

/// Text up to the first NUL, after which only more may follow: what else is there, some readers would show.
fn text(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    field[end..]
        .iter()
        .all(|&byte| byte == 0)
        .then_some(&field[..end])
}

/// An octal number, with blanks before it and blanks or NULs after it. GNU's binary numbers, of which some are
/// negative, are none.
fn read_octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_start_matches(' ').trim_end_matches(['\0', ' ']);
    match digits {
        "" => Some(0),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => u64::from_str_radix(digits, 8).ok(),
        _ => None,
    }
}

/// Refuses PAX records, `length key=value` and a newline each, that say anything but what a bundle does not keep.
pub(super) fn check_pax_records(mut records: &[u8], index: u64) -> Result<()> {
    const HARMLESS: [&str; 9] = [
        "mtime",
        "atime",
        "ctime",
        "uid",
        "gid",
        "uname",
        "gname",
        "comment",
        "LIBARCHIVE.creationtime",
    ];
    let malformed = || Error::MalformedHeader {
        index,
        reason: "its PAX records are malformed",
    };
    while !records.is_empty() {
        let space = records
            .iter()
            .position(|&byte| byte == b' ')
            .ok_or_else(malformed)?;
        let length = std::str::from_utf8(&records[..space])
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let length = length
            .filter(|&length| length > space + 1)
            .ok_or_else(malformed)?;
        let (record, rest) = records.split_at_checked(length).ok_or_else(malformed)?;
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or_else(malformed)?;
        let key = String::from_utf8_lossy(&record[..equals]);
        if !HARMLESS.contains(&key.as_ref()) {
            return Err(Error::PaxOverride {
                index,
                key: key.into_owned(),
            });
        }
        records = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("README.md", 0, false)]
    #[case("scripts/pre-deploy.sh", 8_589_934_591, true)]
    #[case(&format!("configs/{}/{}", "d".repeat(100), "f".repeat(100)), 1, false)]
    fn a_header_reads_back(#[case] path: &str, #[case] size: u64, #[case] executable: bool) {
        let header = file_header(path, size, executable).unwrap();
        let entry = Entry::File {
            path: path.to_owned(),
            size,
            executable,
        };
        assert_eq!(read_header(&header, 0).unwrap(), Some(entry));
    }

    #[test]
    fn a_name_that_fits_nowhere_is_refused() {
        let path = format!("configs/{}", "f".repeat(101));
        assert!(matches!(
            file_header(&path, 1, false),
            Err(Error::UnsafePath {
                fault: PathFault::NotUstar,
                ..
            })
        ));
    }

    #[rstest]
    #[case(b"0000000017\0 ", Some(15))]
    #[case(b"      17 \0\0\0", Some(15))]
    #[case(b"-0000000001\0", None)]
    #[case(b"+0000000001\0", None)]
    #[case(b"0000000008\0\0", None)]
    #[case(b"\x80\0\0\0\0\0\0\0\0\0\0\x01", None)]
    #[case(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None)]
    fn octal_numbers(#[case] field: &[u8], #[case] expected: Option<u64>) {
        assert_eq!(read_octal(field), expected);
    }

    #[rstest]
    #[case(b"20 mtime=1700000.25\n", true)]
    #[case(b"", true)]
    #[case(b"18 path=../escape\n", false)]
    #[case(b"10 size=1\n", false)]
    #[case(b"30 GNU.sparse.name=configs/ab\n", false)]
    #[case(b"99 mtime=1\n", false)]
    #[case(b"0 mtime=1\n", false)]
    #[case(b"mtime=1\n", false)]
    fn pax_records(#[case] records: &[u8], #[case] harmless: bool) {
        assert_eq!(check_pax_records(records, 3).is_ok(), harmless);
    }
}
