//! Durations and byte rates as people write them: `90s`, `1h30m`, `10MiB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DURATION_RULE: &str = r"self.matches('^([0-9]{1,6}(\\.[0-9]{1,3})?(ms|s|m|h))+$')";
const DURATION_HELP: &str = "must be a duration such as 30s, 5m or 1h30m";
const RATE_RULE: &str = r"self.matches('^[0-9]{1,12}(\\.[0-9]{1,3})?(B|KB|MB|GB|KiB|MiB|GiB)?$')";
const RATE_HELP: &str = "must be bytes per second such as 500KB, 10MiB or 1GB";

/// A length of time, written as in Go and Kubernetes: a sum of numbers with the units `ms`, `s`, `m` and `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }
}

impl From<Duration> for std::time::Duration {
    fn from(value: Duration) -> Self {
        value.0
    }
}

/// A text that is no [`Duration`] or [`ByteRate`]; its message says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    value: String,
    help: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.value, self.help)
    }
}

impl std::error::Error for ParseError {}

/// Splits `1.5h` into the number, the unit and the rest.
fn number_and_unit(text: &str) -> Option<(f64, &str, &str)> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(unit_at);
    let rest_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(rest_at);
    Some((number.parse().ok()?, unit, rest))
}

impl FromStr for Duration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError {
            value: text.to_owned(),
            help: DURATION_HELP,
        };
        let mut seconds = 0.0;
        let mut rest = text;
        loop {
            let (number, unit, tail) = number_and_unit(rest).ok_or_else(error)?;
            seconds += number
                * match unit {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return Err(error()),
                };
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        std::time::Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| error())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if h > 0 {
            write!(f, "{h}h")?;
        }
        if m > 0 {
            write!(f, "{m}m")?;
        }
        if millis > 0 {
            return write!(f, "{}ms", s * 1000 + u64::from(millis));
        }
        if s > 0 || seconds == 0 {
            write!(f, "{s}s")?;
        }
        Ok(())
    }
}

/// A rate in bytes per second, written with the units `B`, `KB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`,
/// `GiB` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRate(pub u64);

impl FromStr for ByteRate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError {
            value: text.to_owned(),
            help: RATE_HELP,
        };
        let (number, unit, rest) = number_and_unit(text).ok_or_else(error)?;
        let factor: u32 = match unit {
            "" | "B" => 1,
            "KB" => 1000,
            "MB" => 1000 * 1000,
            "GB" => 1000 * 1000 * 1000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(error()),
        };
        if !rest.is_empty() {
            return Err(error());
        }
        Ok(Self((number * f64::from(factor)) as u64))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (factor, unit) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// Both types are strings in JSON, with a CEL rule that explains what is expected.
macro_rules! string_in_json {
    ($type:ty, $name:literal, $rule:expr, $help:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "maxLength": 32,
                    "x-kubernetes-validations": [{ "rule": $rule, "message": $help }],
                })
            }
        }
    };
}

string_in_json!(Duration, "Duration", DURATION_RULE, DURATION_HELP);
string_in_json!(ByteRate, "ByteRate", RATE_RULE, RATE_HELP);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("30s", 30_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1.5h", 5_400_000)]
    #[case("250ms", 250)]
    #[case("0s", 0)]
    fn durations_parse(#[case] text: &str, #[case] millis: u128) {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(duration.0.as_millis(), millis);
        assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
    }

    #[rstest]
    #[case("")]
    #[case("5")]
    #[case("5 minutes")]
    #[case("-5s")]
    #[case("m5")]
    #[case("99999999999999999999h")]
    fn what_is_no_duration_is_refused(#[case] text: &str) {
        assert!(
            text.parse::<Duration>()
                .unwrap_err()
                .to_string()
                .contains("such as 30s")
        );
    }

    #[rstest]
    #[case("10MiB", 10 << 20)]
    #[case("500KB", 500_000)]
    #[case("1.5GB", 1_500_000_000)]
    #[case("42", 42)]
    fn rates_parse(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse::<ByteRate>().unwrap(), ByteRate(bytes));
    }

    #[rstest]
    #[case("fast")]
    #[case("10Mbit")]
    #[case("1MB2")]
    fn what_is_no_rate_is_refused(#[case] text: &str) {
        assert!(text.parse::<ByteRate>().is_err());
    }
}
