//! Sizes as people write them ("50GB") and as programs need them (bytes).

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes. Decimal units (`kB`, `MB`, `GB`, `TB`, `PB`) are powers of 1000, binary ones (`KiB` ...) of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// Why a text is no [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a size: write a number and a unit, such as 512MiB, 50GB or 1.5TB")]
pub struct ParseSizeError {
    text: String,
}

/// Largest first, so that the display form is the shortest exact one.
const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseSizeError {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let digits = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let factor = unit_factor(unit.trim()).ok_or_else(error)?;
        scale(number, factor).map(ByteSize).ok_or_else(error)
    }
}

/// Units are matched without regard to case; a bare `K`, `M`, `G`, `T` or `P` is decimal.
fn unit_factor(unit: &str) -> Option<u64> {
    if unit.is_empty() {
        return Some(1);
    }
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let bare = || {
        UNITS
            .iter()
            .find(|(name, _)| name.len() == 2 && name[..1].eq_ignore_ascii_case(unit))
    };
    known.or_else(bare).map(|(_, factor)| *factor)
}

/// `number * factor` in integers, so that 0.1PB is exact; a fraction of a byte is dropped.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 18 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let numerator = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?
    };
    let denominator = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(numerator) * u128::from(factor) / denominator;
    whole.checked_add(u64::try_from(part).ok()?)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match exact {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"50GB\" or a whole number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("50GB", 50_000_000_000)]
    #[case("1.5TB", 1_500_000_000_000)]
    #[case("512 MiB", 512 << 20)]
    #[case("10g", 10_000_000_000)]
    #[case("17", 17)]
    #[case("0.1PB", 100_000_000_000_000)]
    fn reads_sizes(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)));
    }

    #[rstest]
    #[case("")]
    #[case("GB")]
    #[case("-5GB")]
    #[case("5XB")]
    #[case("1.")]
    #[case("99999999999PB")]
    fn refuses_what_is_no_size(#[case] text: &str) {
        let error = text.parse::<ByteSize>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")), "{error}");
    }

    #[test]
    fn negative_numbers_in_json_are_refused() {
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
    }

    proptest! {
        #[test]
        fn display_reads_back(bytes in any::<u64>()) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }
}
