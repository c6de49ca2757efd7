//! `dns/records.json`: the records that the application needs.

use serde::{Deserialize, Serialize};

use super::Extra;
use crate::problem::{Problem, Problems};

/// Records of one zone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DnsRecords {
    /// Name of the zone.
    pub zone: String,
    /// Its records.
    #[serde(default)]
    pub records: Vec<DnsRecord>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// All records of one name and type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Full name, or one relative to the zone; `@` is the zone itself.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` ...
    #[serde(rename = "type")]
    pub record_type: String,
    /// Time to live in seconds.
    pub ttl: u32,
    /// Record data in zone-file form.
    pub values: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// RFC 2181, 8: a TTL has 31 bits.
const MAX_TTL: u32 = i32::MAX as u32;

impl DnsRecords {
    /// Where it is in a bundle.
    pub const PATH: &str = "dns/records.json";

    /// What is wrong with the records.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        check_name(&mut problems, "zone", &self.zone);
        for (i, record) in self.records.iter().enumerate() {
            if record.name != "@" {
                check_name(&mut problems, &format!("records[{i}].name"), &record.name);
            }
            check_type(&mut problems, &format!("records[{i}].type"), &record.record_type);
            check_ttl(&mut problems, &format!("records[{i}].ttl"), record.ttl);
            if record.values.is_empty() {
                problems.add(
                    format!("records[{i}].values"),
                    "[]",
                    "give at least one value, or remove the record",
                );
            }
            for (j, value) in record.values.iter().enumerate() {
                check_value(
                    &mut problems,
                    &format!("records[{i}].values[{j}]"),
                    &record.record_type,
                    value,
                );
            }
        }
        problems.into_vec()
    }
}

/// RFC 1035, 2.3.4: labels of 1 to 63 octets, 253 characters in all.
pub(super) fn check_name(problems: &mut Problems, field: &str, name: &str) {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*'))
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.len() > 253 || !bare.split('.').all(label) {
        let remedy =
            "not a domain name: labels of at most 63 letters, digits, - and _ (others in their xn-- form)";
        problems.add(field, name, remedy);
    }
}

pub(super) fn check_type(problems: &mut Problems, field: &str, record_type: &str) {
    const KNOWN: [&str; 10] = [
        "A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "CAA", "PTR", "ALIAS",
    ];
    if !KNOWN.contains(&record_type) {
        problems.add(field, record_type, format!("use one of {}", KNOWN.join(", ")));
    }
}

pub(super) fn check_ttl(problems: &mut Problems, field: &str, ttl: u32) {
    if ttl > MAX_TTL {
        problems.add(field, ttl, format!("a time to live is at most {MAX_TTL} seconds"));
    }
}

pub(super) fn check_value(problems: &mut Problems, field: &str, record_type: &str, value: &str) {
    let fits = match record_type {
        "A" => value.parse::<std::net::Ipv4Addr>().is_ok(),
        "AAAA" => value.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => !value.trim().is_empty(),
    };
    if !fits {
        problems.add(
            field,
            value,
            format!("not the data of a record of type {record_type}"),
        );
    }
}
