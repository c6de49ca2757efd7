//! The `format` keyword: the formats that Kubernetes checks in custom resources; any other name is ignored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use serde_json::Value;

/// A format that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Date,
    Duration,
    Int32,
    Int64,
    Byte,
    Uuid,
    Uri,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
}

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "date-time" | "datetime" => Self::DateTime,
            "date" => Self::Date,
            "duration" => Self::Duration,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "byte" => Self::Byte,
            "uuid" | "uuid3" | "uuid4" | "uuid5" => Self::Uuid,
            "uri" => Self::Uri,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "cidr" => Self::Cidr,
            "mac" => Self::Mac,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Byte => "byte",
            Self::Uuid => "uuid",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Hostname => "hostname",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Cidr => "cidr",
            Self::Mac => "mac",
        }
    }

    /// Whether a value is of this format; values of a type that the format does not speak of are.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Int32, Value::Number(_)) => value
                .as_f64()
                .is_some_and(|n| n >= f64::from(i32::MIN) && n <= f64::from(i32::MAX)),
            (Self::Int64, Value::Number(number)) => number.is_i64() || !number.is_u64(),
            (Self::Int32 | Self::Int64, _) => true,
            (_, Value::String(text)) => self.accepts_text(text),
            _ => true,
        }
    }

    fn accepts_text(self, text: &str) -> bool {
        match self {
            Self::DateTime => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            Self::Date => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() && text.len() == 10,
            Self::Duration => parse_duration(text).is_some(),
            Self::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Self::Uuid => text.len() >= 32 && uuid::Uuid::try_parse(text).is_ok(),
            Self::Uri => text.parse::<http::Uri>().is_ok(),
            Self::Email => is_email(text),
            Self::Hostname => is_hostname(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Mac => is_mac(text),
            Self::Int32 | Self::Int64 => true,
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else {
        return false;
    };
    !name.is_empty() && !name.contains(char::is_whitespace) && is_hostname(host)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<IpAddr>(), length.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => bits <= 32,
        (Ok(IpAddr::V6(_)), Ok(bits)) => bits <= 128,
        _ => false,
    }
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let groups: Vec<&str> = text.split(separator).collect();
    matches!(groups.len(), 6 | 8 | 20)
        && groups
            .iter()
            .all(|group| group.len() == 2 && group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The nanoseconds of a duration as Go writes it (`1h30m`), or with the words that Kubernetes' schemas
/// also accept (`3 days`).
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.trim().is_empty() {
        return None;
    }
    let mut total = 0_f64;
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        total += amount * unit(&rest[..letters])?;
        rest = &rest[letters..];
    }
    if total >= i64::MAX as f64 {
        return None;
    }
    let nanoseconds = total as i64;
    Some(if negative { -nanoseconds } else { nanoseconds })
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" | "nano" | "nanos" => 1.0,
        "us" | "µs" | "μs" | "micro" | "micros" => 1e3,
        "ms" | "milli" | "millis" => 1e6,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e9,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e9,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600e9,
        "d" | "day" | "days" => 86_400e9,
        "w" | "wk" | "wks" | "week" | "weeks" => 7.0 * 86_400e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("date-time", json!("2026-01-02T03:04:05Z"), true)]
    #[case("date-time", json!("2026-01-02T03:04:05.000001+02:00"), true)]
    #[case("date-time", json!("2026-01-02"), false)]
    #[case("date", json!("2026-01-02"), true)]
    #[case("date", json!("2026-13-02"), false)]
    #[case("duration", json!("1h30m"), true)]
    #[case("duration", json!("1.5h"), true)]
    #[case("duration", json!("3 days"), true)]
    #[case("duration", json!("5 parsecs"), false)]
    #[case("duration", json!("soon"), false)]
    #[case("duration", json!(""), false)]
    #[case("int32", json!(2147483647), true)]
    #[case("int32", json!(2147483648_i64), false)]
    #[case("int64", json!(u64::MAX), false)]
    #[case("byte", json!("aGk="), true)]
    #[case("byte", json!("a?"), false)]
    #[case("uuid", json!("67e55044-10b1-426f-9247-bb680e5fe0c8"), true)]
    #[case("uuid", json!("67e55044"), false)]
    #[case("cidr", json!("10.0.0.0/8"), true)]
    #[case("cidr", json!("10.0.0.0/33"), false)]
    #[case("ipv6", json!("::1"), true)]
    #[case("mac", json!("00:11:22:33:44:55"), true)]
    #[case("hostname", json!("a.example.com"), true)]
    #[case("hostname", json!("-a.example"), false)]
    #[case("email", json!("a@example.com"), true)]
    #[case("date-time", json!(3), true)]
    fn accepts(#[case] format: &str, #[case] value: Value, #[case] ok: bool) {
        assert_eq!(Format::parse(format).unwrap().accepts(&value), ok);
    }

    #[rstest]
    #[case("1h30m", Some(5_400_000_000_000))]
    #[case("-2ms", Some(-2_000_000))]
    #[case("0", Some(0))]
    #[case("99999999999h", None)]
    fn durations(#[case] text: &str, #[case] nanoseconds: Option<i64>) {
        assert_eq!(parse_duration(text), nanoseconds);
    }
}
