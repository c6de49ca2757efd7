//! Refuses JSON that says a thing twice: readers differ in which of two equal keys they take (RFC 8259, 4), so that
//! what one program checks could be other than what the next one does.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};

const DUPLICATE: &str = "duplicate key ";

/// Fails if any object in `content` has a key twice; other faults are left to the real parser.
pub(crate) fn refuse_duplicate_keys(file: &str, content: &[u8]) -> Result<()> {
    let Err(error) = serde_json::from_slice::<Scanned>(content) else {
        return Ok(());
    };
    let message = error.to_string();
    match message
        .strip_prefix(DUPLICATE)
        .and_then(|rest| rest.rsplit_once(" at line "))
    {
        Some((key, _)) => Err(Error::DuplicateKey {
            file: file.to_owned(),
            line: error.line(),
            key: key.to_owned(),
        }),
        None => Err(Error::BadJson {
            file: file.to_owned(),
            reason: message,
        }),
    }
}

/// Any JSON value whose objects have no key twice; nothing of it is kept.
struct Scanned;

impl<'de> Deserialize<'de> for Scanned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ScanVisitor)
    }
}

struct ScanVisitor;

impl<'de> Visitor<'de> for ScanVisitor {
    type Value = Scanned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Scanned, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(de::Error::custom(format_args!("{DUPLICATE}{key}")));
            }
            keys.insert(key);
            map.next_value::<Scanned>()?;
        }
        Ok(Scanned)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Scanned, A::Error> {
        while seq.next_element::<Scanned>()?.is_some() {}
        Ok(Scanned)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }

    fn visit_unit<E>(self) -> std::result::Result<Scanned, E> {
        Ok(Scanned)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("{\"a\": 1,\n \"a\": 2}", 2)]
    #[case("[{\"x\": {\"a\": null, \"b\": 1,\n\n\"\\u0061\": 3}}]", 3)]
    fn a_key_twice_is_named_with_its_line(#[case] json: &str, #[case] expected: usize) {
        let error = refuse_duplicate_keys("manifest.json", json.as_bytes()).unwrap_err();
        assert!(
            matches!(&error, Error::DuplicateKey { line, key, .. } if *line == expected && key == "a"),
            "{error}"
        );
    }

    #[test]
    fn equal_keys_of_different_objects_are_fine() {
        refuse_duplicate_keys("x", br#"{"a": {"a": 1.5}, "b": [{"a": true}, {"a": -1}]}"#).unwrap();
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(matches!(
            refuse_duplicate_keys("x", deep.as_bytes()),
            Err(Error::BadJson { .. })
        ));
    }
}
