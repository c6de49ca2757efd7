//! Durations as people write them ("2h30m").

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of time, written as a sequence of numbers with the units `d`, `h`, `m`, `s` and `ms`, largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

/// Why a text is no [`HumanDuration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write numbers with units, largest first, such as 2h30m, 90s or 500ms")]
pub struct ParseDurationError {
    text: String,
}

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl HumanDuration {
    /// The span as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for HumanDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = parse_millis(text.trim()).ok_or_else(|| ParseDurationError {
            text: text.to_owned(),
        })?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

fn parse_millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total = 0u64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let position = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(units[position].1)?)?;
        units = &units[position + 1..];
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            let count = left / u128::from(millis);
            left %= u128::from(millis);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("2h30m", 9_000_000)]
    #[case("90s", 90_000)]
    #[case("1d500ms", 86_400_500)]
    #[case("0s", 0)]
    fn reads_durations(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(text.parse(), Ok(HumanDuration(Duration::from_millis(millis))));
    }

    #[rstest]
    #[case("")]
    #[case("5")]
    #[case("h")]
    #[case("30m2h")]
    #[case("1h1h")]
    #[case("-5m")]
    #[case("99999999999999999d")]
    fn refuses_what_is_no_duration(#[case] text: &str) {
        assert!(text.parse::<HumanDuration>().is_err());
    }

    proptest! {
        #[test]
        fn display_reads_back(millis in 0u64..u64::MAX / 2) {
            let duration = HumanDuration(Duration::from_millis(millis));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
