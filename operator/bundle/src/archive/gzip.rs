//! gzip members (RFC 1952) that say how long they are.
//!
//! A bundle is a sequence of members, each the compressed form of at most [`BLOCK`] bytes and independent of the
//! others. Any gzip reader takes the sequence for one stream. Each member's header carries an extra subfield with the
//! length of the member, so that ours can cut the file into members without inflating it, and inflate them at the same
//! time.

/// Uncompressed bytes of a member. Larger ones compress slightly better, smaller ones spread better over processors.
pub(super) const BLOCK: usize = 1 << 20;

/// The longest member, and the most it may inflate to, for which a length that it announces is made use of. What goes
/// past is inflated as a stream.
pub(super) const MAX_SIZED_MEMBER: usize = 4 << 20;

/// Bytes of the header that [`header`] writes.
pub(super) const HEADER: usize = 20;

/// Bytes after the compressed data: CRC-32 and length of the uncompressed.
pub(super) const TRAILER: usize = 8;

/// The first bytes of every member: magic number, and deflate as the method.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Bits of the header's fourth byte.
pub(super) mod flag {
    pub(in crate::archive) const HEADER_CRC: u8 = 2;
    pub(in crate::archive) const EXTRA: u8 = 4;
    pub(in crate::archive) const NAME: u8 = 8;
    pub(in crate::archive) const COMMENT: u8 = 16;
    pub(in crate::archive) const RESERVED: u8 = 0b1110_0000;
}

const OS_UNKNOWN: u8 = 255;

/// Identifies the subfield with the member's length.
const SUBFIELD: [u8; 2] = *b"HP";

/// The header of a member that has `member_length` bytes with header and trailer. The same for every machine and time.
pub(super) fn header(member_length: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..3].copy_from_slice(&MAGIC);
    header[3] = flag::EXTRA;
    header[9] = OS_UNKNOWN;
    header[10..12].copy_from_slice(&8u16.to_le_bytes());
    header[12..14].copy_from_slice(&SUBFIELD);
    header[14..16].copy_from_slice(&4u16.to_le_bytes());
    header[16..].copy_from_slice(&member_length.to_le_bytes());
    header
}

/// The length of the member, if the extra field of its header tells it.
pub(super) fn member_length(mut extra: &[u8]) -> Option<u32> {
    while let [id0, id1, len0, len1, rest @ ..] = extra {
        let (data, after) = rest.split_at_checked(usize::from(u16::from_le_bytes([*len0, *len1])))?;
        if [*id0, *id1] == SUBFIELD {
            return data.try_into().ok().map(u32::from_le_bytes);
        }
        extra = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_found_among_other_subfields() {
        let header = header(0x0102_0304);
        let mut extra = vec![b'A', b'B', 1, 0, 9];
        extra.extend_from_slice(&header[12..]);
        assert_eq!(member_length(&extra), Some(0x0102_0304));
        assert_eq!(member_length(&extra[..extra.len() - 1]), None);
        assert_eq!(member_length(&[]), None);
    }
}
