//! Who owns a record: a TXT record beside it says so, as external-dns does it.
//!
//! The record `www.shop.example A` is owned by whom `_homeport-a.www.shop.example TXT` names. A name of its own keeps the mark
//! valid beside a CNAME, which allows no other record at its name.

use crate::error::Result;
use crate::record::{RecordKey, RecordSet, RecordType};

/// How long the mark may be cached, in seconds. It is read from the primary server only.
const TTL: u32 = 300;
const HERITAGE: &str = "heritage=homeport,homeport/owner=";

/// The record that holds the mark of another record.
pub(crate) fn mark_key(key: &RecordKey) -> Result<RecordKey> {
    let name = key.name.replace('*', "_wildcard");
    let record_type = key.record_type.as_str().to_ascii_lowercase();
    RecordKey::new(
        &key.zone,
        &format!("_homeport-{record_type}.{name}"),
        RecordType::TXT,
    )
}

/// The mark of an owner. Owners are made of letters, digits and `-`, `.`, `_`, `/`.
pub(crate) fn mark(owner: &str) -> RecordSet {
    RecordSet {
        ttl: TTL,
        values: vec![format!("\"{HERITAGE}{owner}\"")],
    }
}

/// The owner that a mark names.
pub(crate) fn owner_of(mark: &RecordSet) -> Option<String> {
    mark.values.iter().find_map(|value| {
        let text = value.strip_prefix('"')?.strip_suffix('"')?;
        text.strip_prefix(HERITAGE).map(str::to_owned)
    })
}

/// Whether the text can name an owner.
pub(crate) fn is_owner(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    (1..=200).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn marks_have_a_name_of_their_own() {
        let name = |name: &str, record_type| {
            mark_key(&RecordKey::new("shop.example", name, record_type).unwrap())
                .unwrap()
                .name
        };
        assert_eq!(
            name("www.shop.example", RecordType::A),
            "_homeport-a.www.shop.example"
        );
        assert_eq!(
            name("shop.example", RecordType::TXT),
            "_homeport-txt.shop.example"
        );
        assert_eq!(
            name("*.shop.example", RecordType::CNAME),
            "_homeport-cname._wildcard.shop.example"
        );
    }

    #[test]
    fn marks_tell_their_owner() {
        assert_eq!(
            owner_of(&mark("default/webshop")).as_deref(),
            Some("default/webshop")
        );
        let other = RecordSet {
            ttl: 1,
            values: vec!["\"heritage=external-dns\"".to_owned()],
        };
        assert_eq!(owner_of(&other), None);
    }
}
