//! A row of the log as it is read back.

use serde::Deserialize as _;
use serde_json::Value;

use super::Key;

/// All rows, in the order of their changes.
pub(super) const SELECT: &str = "SELECT rev, key, op, value FROM log ORDER BY rev";

/// The operations of the log.
pub(super) const PUT: i64 = 1;
pub(super) const DELETE: i64 = 2;

/// Levels of lists and maps that can be handled at all: each is a call on the stack. Earlier versions stored what
/// [`MAX_DEPTH`](super::MAX_DEPTH) refuses today.
const READABLE_DEPTH: usize = 500;

/// One change.
pub(super) struct Entry<'a> {
    pub(super) revision: u64,
    pub(super) key: Key,
    pub(super) deletion: bool,
    /// The object as stored.
    pub(super) json: &'a [u8],
}

impl Entry<'_> {
    /// How many levels deep the object is nested, if that is too many for it to be handled.
    pub(super) fn too_deep(&self) -> Option<usize> {
        Some(nesting(self.json)).filter(|levels| *levels > READABLE_DEPTH)
    }
}

/// An entry that makes no sense.
pub(super) struct Unreadable {
    pub(super) revision: u64,
    pub(super) what: String,
}

/// Reads a row of [`SELECT`].
///
/// # Errors
/// Outer ones are SQLite's, about the file; inner ones are about this row.
pub(super) fn read<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Result<Entry<'a>, Unreadable>> {
    let revision: i64 = row.get(0)?;
    let (key, op, value) = (row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
    let decode = || -> Result<Entry<'a>, String> {
        let revision = u64::try_from(revision).map_err(|_| "the revision is negative".to_owned())?;
        let key = key
            .as_str()
            .map_err(|error| format!("the key is no text: {error}"))?;
        let key = Key::decode(key).ok_or_else(|| format!("the key {key:?} names no object"))?;
        let deletion = match op.as_i64() {
            Ok(PUT) => false,
            Ok(DELETE) => true,
            _ => return Err(format!("unknown operation {op:?}")),
        };
        let json = value
            .as_blob()
            .map_err(|error| format!("the object is no blob: {error}"))?;
        Ok(Entry {
            revision,
            key,
            deletion,
            json,
        })
    };
    Ok(decode().map_err(|what| Unreadable {
        revision: revision.unsigned_abs(),
        what,
    }))
}

/// Parses an object that is not [too deep](Entry::too_deep).
///
/// # Errors
/// If it is not JSON, or too deep after all.
pub(super) fn parse(json: &[u8]) -> serde_json::Result<Value> {
    let error = match serde_json::from_slice(json) {
        Ok(object) => return Ok(object),
        Err(error) => error,
    };
    let depth = nesting(json);
    if depth <= super::MAX_DEPTH || depth > READABLE_DEPTH {
        return Err(error);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.disable_recursion_limit();
    let object = Value::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(object)
}

/// Levels of lists and maps in a JSON text, without a call for each.
fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1", 0)]
    #[case("[]", 1)]
    #[case(r#"{"a": [{"b": 1}], "c": {}}"#, 3)]
    #[case(r#"{"[[[[\"[[": "\\", "b": []}"#, 2)]
    #[case("]]]][", 1)]
    #[case(r#"["unfinished \"#, 1)]
    fn nesting_counts_brackets_outside_of_strings(#[case] text: &str, #[case] levels: usize) {
        assert_eq!(nesting(text.as_bytes()), levels);
    }

    /// Without serde_json's feature `float_roundtrip` one in ten is read as its neighbour.
    #[rstest]
    #[case("0.9452706955539223")]
    #[case("1.7976931348623157e308")]
    #[case("5e-324")]
    fn numbers_are_kept_to_their_last_digit(#[case] number: &str) {
        let expected: f64 = number.parse().unwrap();
        assert_eq!(parse(number.as_bytes()).unwrap().as_f64(), Some(expected));
    }

    #[test]
    fn deep_objects_are_read_up_to_what_the_stack_bears() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let too_deep = |json: &str| {
            let entry = Entry {
                revision: 1,
                key: Key::new(&"/configmaps".into(), "default", "deep"),
                deletion: false,
                json: json.as_bytes(),
            };
            entry.too_deep()
        };
        for levels in [1, 127, 128, 129, READABLE_DEPTH] {
            assert_eq!(too_deep(&nested(levels)), None);
            assert_eq!(
                parse(nested(levels).as_bytes()).unwrap().to_string(),
                nested(levels)
            );
        }
        for levels in [READABLE_DEPTH + 1, 1_000_000] {
            assert_eq!(too_deep(&nested(levels)), Some(levels));
            parse(nested(levels).as_bytes()).unwrap_err();
        }
        parse(format!("{} ]", nested(200)).as_bytes()).unwrap_err();
        parse("[".repeat(200).as_bytes()).unwrap_err();
    }
}
