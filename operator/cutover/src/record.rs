//! DNS record sets, in one canonical form so that equal ones compare equal.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, RecordType as WireType};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The types of records that a cutover may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the DNS types")]
#[allow(clippy::upper_case_acronyms, reason = "the names are those of the DNS types")]
pub enum RecordType {
    A,
    AAAA,
    CNAME,
    MX,
    TXT,
    SRV,
    CAA,
}

impl RecordType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::A,
        Self::AAAA,
        Self::CNAME,
        Self::MX,
        Self::TXT,
        Self::SRV,
        Self::CAA,
    ];

    /// The name of the type, as zone files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::AAAA => "AAAA",
            Self::CNAME => "CNAME",
            Self::MX => "MX",
            Self::TXT => "TXT",
            Self::SRV => "SRV",
            Self::CAA => "CAA",
        }
    }

    pub(crate) const fn wire(self) -> WireType {
        match self {
            Self::A => WireType::A,
            Self::AAAA => WireType::AAAA,
            Self::CNAME => WireType::CNAME,
            Self::MX => WireType::MX,
            Self::TXT => WireType::TXT,
            Self::SRV => WireType::SRV,
            Self::CAA => WireType::CAA,
        }
    }

    /// Types that make room for this one at the same name: addresses for an alias, and an alias for anything. A CNAME
    /// stands alone (RFC 1034, 3.6.2).
    pub(crate) const fn replaces(self) -> &'static [Self] {
        match self {
            Self::CNAME => &[Self::A, Self::AAAA],
            _ => &[Self::CNAME],
        }
    }

    /// Types that cannot stand beside this one and say something else than it does, so that they must not go for it.
    pub(crate) const fn yields_to(self) -> &'static [Self] {
        match self {
            Self::CNAME => &[Self::MX, Self::TXT, Self::SRV, Self::CAA],
            _ => &[],
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RecordType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                Error::invalid(
                    "type",
                    text,
                    format!("is no type of record that a cutover can change; use one of {known}"),
                )
            })
    }
}

/// Which record set is meant. Names are in lower case, without the dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// The zone that holds it.
    pub zone: String,
    /// Its full name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
}

impl RecordKey {
    /// A key for a full name in a zone.
    pub fn new(zone: &str, name: &str, record_type: RecordType) -> Result<Self> {
        let key = Self {
            zone: normalized(zone),
            name: normalized(name),
            record_type,
        };
        let (zone, name) = (key.wire_zone()?, key.wire_name()?);
        if !zone.zone_of(&name) {
            let remedy = format!(
                "is not in zone {}; give the full name, or the zone that holds it",
                key.zone
            );
            return Err(Error::invalid("name", &key.name, remedy));
        }
        Ok(key)
    }

    pub(crate) fn wire_name(&self) -> Result<Name> {
        wire_name("name", &self.name)
    }

    pub(crate) fn wire_zone(&self) -> Result<Name> {
        wire_name("zone", &self.zone)
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

fn normalized(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

pub(crate) fn wire_name(field: &str, name: &str) -> Result<Name> {
    let parsed = Name::from_ascii(format!("{}.", name.trim_end_matches('.')));
    match parsed {
        Ok(parsed) if !parsed.is_root() => Ok(parsed),
        _ => Err(Error::invalid(
            field,
            name,
            "is not a domain name; write it in full, with labels of at most 63 characters",
        )),
    }
}

/// The values of one name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// Time to live, in seconds.
    pub ttl: u32,
    /// Record data in zone-file form, each once, sorted.
    pub values: Vec<String>,
}

impl RecordSet {
    /// A record set from values in zone-file form. Names in them are full names, with or without the dot at the end.
    pub fn parse(record_type: RecordType, ttl: u32, values: &[String]) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::invalid(
                "values",
                "[]",
                "holds no value; give at least one, or remove the record",
            ));
        }
        // RFC 2181, 8: a TTL has 31 bits.
        if ttl > i32::MAX as u32 {
            return Err(Error::invalid(
                "ttl",
                ttl.to_string(),
                "is too long; a time to live is at most 2147483647 seconds",
            ));
        }
        let data = values
            .iter()
            .map(|value| parse_value(record_type, value))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self::from_wire(ttl, data.iter()))
    }

    pub(crate) fn from_wire<'a>(ttl: u32, data: impl Iterator<Item = &'a RData>) -> Self {
        let mut values: Vec<String> = data.map(format_value).collect();
        values.sort();
        values.dedup();
        Self { ttl, values }
    }

    pub(crate) fn to_wire(&self, record_type: RecordType) -> Result<Vec<RData>> {
        self.values
            .iter()
            .map(|value| parse_value(record_type, value))
            .collect()
    }

    /// Whether the values are the same; the time to live is not compared, as resolvers count it down.
    pub fn same_values(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (TTL {} s)", self.values.join(", "), self.ttl)
    }
}

fn parse_value(record_type: RecordType, value: &str) -> Result<RData> {
    let text = value.trim();
    let parsed = match record_type {
        RecordType::TXT => parse_txt(text).map(RData::TXT),
        RecordType::CNAME | RecordType::MX | RecordType::SRV => {
            RData::try_from_str(record_type.wire(), &format!("{}.", text.trim_end_matches('.'))).ok()
        }
        RecordType::A | RecordType::AAAA | RecordType::CAA => {
            RData::try_from_str(record_type.wire(), text).ok()
        }
    };
    parsed.ok_or_else(|| {
        let example = match record_type {
            RecordType::A => "192.0.2.1",
            RecordType::AAAA => "2001:db8::1",
            RecordType::CNAME => "host.example.com",
            RecordType::MX => "10 mail.example.com",
            RecordType::TXT => "\"text in quotes\"",
            RecordType::SRV => "10 5 443 host.example.com",
            RecordType::CAA => "0 issue \"ca.example.net\"",
        };
        Error::invalid(
            "values",
            value,
            format!("is not the data of a record of type {record_type}; write it like {example}"),
        )
    })
}

/// The zone-file form, in lower case where DNS does not tell cases apart.
fn format_value(data: &RData) -> String {
    match data {
        RData::TXT(txt) => format_txt(txt),
        RData::CNAME(_) | RData::MX(_) | RData::SRV(_) => data.to_string().to_ascii_lowercase(),
        _ => data.to_string(),
    }
}

/// RFC 1035, 5.1: character strings, in quotes or bare, with `\X` and `\DDD`.
fn parse_txt(text: &str) -> Option<TXT> {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(&first) = bytes.peek() {
        if first.is_ascii_whitespace() {
            bytes.next();
            continue;
        }
        let is_quoted = first == b'"';
        if is_quoted {
            bytes.next();
        }
        let mut string = Vec::new();
        let mut is_closed = !is_quoted;
        while let Some(byte) = bytes.next_if(|byte| is_quoted || !byte.is_ascii_whitespace()) {
            match byte {
                b'"' if is_quoted => {
                    is_closed = true;
                    break;
                }
                b'\\' => string.push(unescape(&mut bytes)?),
                other => string.push(other),
            }
        }
        // RFC 1035, 3.3: a character string holds at most 255 octets.
        if !is_closed || string.len() > 255 {
            return None;
        }
        strings.push(string);
    }
    (!strings.is_empty()).then(|| TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let mut number = u32::from(first - b'0');
    for _ in 0..2 {
        number = number * 10 + u32::from(bytes.next().filter(u8::is_ascii_digit)? - b'0');
    }
    u8::try_from(number).ok()
}

fn format_txt(txt: &TXT) -> String {
    let quote = |string: &[u8]| {
        let mut quoted = String::from("\"");
        for &byte in string {
            match byte {
                b'"' | b'\\' => quoted.extend(['\\', byte as char]),
                b' '..=b'~' => quoted.push(byte as char),
                other => quoted.push_str(&format!("\\{other:03}")),
            }
        }
        quoted + "\""
    };
    txt.txt_data
        .iter()
        .map(|string| quote(string))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(RecordType::A, "192.0.2.1", "192.0.2.1")]
    #[case(RecordType::AAAA, "2001:DB8:0::1", "2001:db8::1")]
    #[case(RecordType::CNAME, "LB.Example.net", "lb.example.net.")]
    #[case(RecordType::CNAME, "lb.example.net.", "lb.example.net.")]
    #[case(RecordType::MX, "10 mail.example.net", "10 mail.example.net.")]
    #[case(RecordType::SRV, "1 2 443 a.example.net", "1 2 443 a.example.net.")]
    #[case(RecordType::CAA, "0 issue \"ca.example.net\"", "0 issue \"ca.example.net\"")]
    #[case(RecordType::TXT, "\"v=spf1 -all\"", "\"v=spf1 -all\"")]
    #[case(
        RecordType::TXT,
        "one \"two \\\" three\" \\065",
        "\"one\" \"two \\\" three\" \"A\""
    )]
    fn values_have_one_form(#[case] record_type: RecordType, #[case] text: &str, #[case] expected: &str) {
        let set = RecordSet::parse(record_type, 60, &[text.to_owned()]).unwrap();
        assert_eq!(set.values, [expected]);
        assert_eq!(RecordSet::parse(record_type, 60, &set.values).unwrap(), set);
    }

    #[rstest]
    #[case(RecordType::A, "192.0.2")]
    #[case(RecordType::A, "host.example.net")]
    #[case(RecordType::AAAA, "192.0.2.1")]
    #[case(RecordType::MX, "mail.example.net")]
    #[case(RecordType::TXT, "\"open")]
    #[case(RecordType::TXT, "")]
    #[case(RecordType::CNAME, "a..b")]
    fn wrong_values_are_refused_with_an_example(#[case] record_type: RecordType, #[case] text: &str) {
        let error = RecordSet::parse(record_type, 60, &[text.to_owned()]).unwrap_err();
        assert!(error.to_string().contains("write it like"), "{error}");
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let set = |values: &[&str]| {
            RecordSet::parse(
                RecordType::A,
                60,
                &values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>(),
            )
            .unwrap()
        };
        assert_eq!(
            set(&["192.0.2.2", "192.0.2.1"]),
            set(&["192.0.2.1", "192.0.2.2", "192.0.2.1"])
        );
    }

    #[test]
    fn names_must_be_in_their_zone() {
        assert!(RecordKey::new("shop.example.", "WWW.shop.example", RecordType::A).is_ok());
        assert!(RecordKey::new("shop.example", "shop.example", RecordType::A).is_ok());
        let error = RecordKey::new("shop.example", "www", RecordType::A).unwrap_err();
        assert!(error.to_string().contains("not in zone shop.example"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_survives_txt(strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..255), 1..4)) {
            let txt = TXT::from_bytes(strings.iter().map(Vec::as_slice).collect());
            prop_assert_eq!(parse_txt(&format_txt(&txt)), Some(txt));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            for record_type in RecordType::ALL {
                let _ = RecordSet::parse(record_type, 60, std::slice::from_ref(&text));
            }
        }
    }
}
