//! Connection strings that carry a password: `scheme://user:password@host`, RFC 3986 section 3.2.1.

use super::Surroundings;
use super::file_kind::FileKind;
use super::value;

/// What every such URL contains.
pub(super) const KEYWORD: &[u8] = b"://";

/// Whether the URL whose `://` is at the given place holds a password.
pub(super) fn has_password(place: Surroundings<'_>, kind: FileKind) -> bool {
    let block = place.block;
    if place.at == 0 || !block[place.at - 1].is_ascii_alphanumeric() {
        return false;
    }
    let rest = &block[place.at + KEYWORD.len()..place.horizon()];
    let Some(userinfo) = userinfo(rest) else {
        return false;
    };
    let Some(colon) = first_outside_braces(userinfo, b':') else {
        return false;
    };
    value::is_password(&userinfo[colon + 1..], kind)
}

/// What stands before the last `@` of the authority.
fn userinfo(rest: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    let mut last_at = None;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b'@' => last_at = Some(at),
            b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' => break,
            byte if byte.is_ascii_whitespace() => break,
            _ => {}
        }
    }
    last_at.map(|end| &rest[..end])
}

fn first_outside_braces(text: &[u8], wanted: u8) -> Option<usize> {
    let mut depth = 0_u32;
    text.iter().position(|&byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && byte == wanted
    })
}
