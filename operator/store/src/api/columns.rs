//! The columns of tables: how a kind's objects are shown to people.

use jiff::Timestamp;
use serde_json::Value;

use super::jsonpath::JsonPath;

/// One column of a kind's table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// OpenAPI type: string, integer, number, boolean, date.
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    /// 0 for columns that are always shown, more for those of `-o wide`.
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// What stands in a column.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// The first value found there.
    Path(JsonPath),
    /// Made from several fields.
    Computed(fn(&Value, Timestamp) -> Value),
}

impl Column {
    /// The cell's content for `object`.
    pub(crate) fn render(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Computed(compute) => compute(object, now),
            Cell::Path(path) => {
                let found = path.find(object);
                match (self.kind.as_str(), found.as_slice()) {
                    (_, []) => Value::Null,
                    ("date", [Value::String(text), ..]) => Value::from(since(text, now)),
                    ("string", [first, ..]) => Value::from(text(first)),
                    (_, [first, ..]) => (*first).clone(),
                }
            }
        }
    }
}

/// How kubectl shows a value in a column of type string.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// `5m`, `3d4h`: the time since an RFC 3339 timestamp, in the rounding of Kubernetes' `HumanDuration`.
fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        Ok(then) => human_duration(now.as_second() - then.as_second()),
        Err(_) => "<invalid>".to_owned(),
    }
}

/// A duration in two significant units at most.
pub(crate) fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let pair = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// Every table's first column, but for events.
pub(crate) fn name_column() -> Column {
    Column {
        format: "name".to_owned(),
        ..computed("Name", 0, |object, _| object["metadata"]["name"].clone())
    }
}

pub(crate) fn age_column() -> Column {
    computed("Age", 0, |object, now| {
        elapsed(&object["metadata"]["creationTimestamp"], now)
    })
}

/// A column made from several fields.
pub(crate) fn computed(name: &str, priority: i64, compute: fn(&Value, Timestamp) -> Value) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
        cell: Cell::Computed(compute),
    }
}

/// A column of one field.
pub(crate) fn path(name: &str, priority: i64, path: &str) -> Option<Column> {
    let cell = Cell::Path(JsonPath::parse(path).ok()?);
    Some(Column {
        cell,
        ..computed(name, priority, |_, _| Value::Null)
    })
}

/// The time since a timestamp, as a cell.
pub(crate) fn elapsed(timestamp: &Value, now: Timestamp) -> Value {
    Value::from(
        timestamp
            .as_str()
            .map_or_else(|| "<unknown>".to_owned(), |then| since(then, now)),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// Values of k8s.io/apimachinery's own test of `HumanDuration`.
    #[rstest]
    #[case(1, "1s")]
    #[case(70, "70s")]
    #[case(190, "3m10s")]
    #[case(4200, "70m")]
    #[case(47 * 60, "47m")]
    #[case(5 * 3600 + 2 * 60, "5h2m")]
    #[case(9 * 3600 + 300, "9h")]
    #[case(47 * 3600, "47h")]
    #[case(3 * 86_400 + 2 * 3600, "3d2h")]
    #[case(9 * 86_400, "9d")]
    #[case(800 * 86_400, "2y70d")]
    #[case(3000 * 86_400, "8y")]
    #[case(-1, "0s")]
    #[case(-2, "<invalid>")]
    fn durations(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(human_duration(seconds), text);
    }

    #[test]
    fn cells_by_type() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let object = json!({"a": {"n": 3, "t": "2026-01-01T00:00:00Z", "l": ["x", "y"], "b": true}});
        let cell = |kind: &str, at: &str| {
            Column {
                kind: kind.to_owned(),
                ..path("C", 0, at).unwrap()
            }
            .render(&object, now)
        };
        assert_eq!(cell("integer", ".a.n"), json!(3));
        assert_eq!(cell("string", ".a.n"), json!("3"));
        assert_eq!(cell("string", ".a.l[*]"), json!("x"));
        assert_eq!(cell("date", ".a.t"), json!("60m"));
        assert_eq!(cell("boolean", ".a.b"), json!(true));
        assert_eq!(cell("string", ".a.missing"), Value::Null);
    }
}
