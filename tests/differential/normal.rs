//! What may differ from one run to the next is made equal.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Patterns, and what is written in their place.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
        (
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4}( [+-]?\w+)?)",
            "TIME",
        ),
        (r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r#"(resourceVersion"?: ?)"\d+""#, "${1}\"VERSION\""),
        (r"(Resource Version: +|was )\d+\b", "${1}VERSION"),
        // Where kubectl itself breaks, it shows where.
        (r"0x[0-9a-f]+", "0xN"),
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"),
        // A hash of how an object is stored.
        (r#""storageVersionHash":"[^"]*","#, ""),
        (r"https://(127\.0\.0\.1|localhost):\d+", "SERVER"),
        (r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"\b(nodePort: |:)3\d{4}\b", "${1}PORT"),
        (r"(?m)^! [EIW]\d{4} \S+ +\d+ [\w.]+:\d+\] ", "! LOG "),
        (r"\b((\d+y)?(\d+d)?(\d+h)?(\d+m)?\d+s|\d+[dh]\d*h?)\b", "AGE"),
        (
            r"\b(gen|x|bound|debugger|debugger-\w+)-[bcdfghjklmnpqrstvwxz2456789]{5}\b",
            "${1}-RANDOM",
        ),
        (r"/tmp/(\w+-)+\d+(\.yaml)?", "/tmp/FILE"),
        // Columns are as wide as the ages in them.
        (r"(?m)(\S) {2,}", "$1  "),
        (r"(?m)^ {12,}", "            "),
        (r"(?m)[ \t]+$", ""),
    ];
    let compiled = |(pattern, with): (&str, &'static str)| (Regex::new(pattern).unwrap(), with);
    rules.into_iter().map(compiled).collect()
});

/// The text without what is another on every server and in every run.
pub(crate) fn normalise(text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(sort_keys).collect();
    // Go walks its maps in another order each time, and so are errors listed.
    for listed in lines.chunk_by_mut(|one, next| is_listed(one) && is_listed(next)) {
        listed.sort();
    }
    let sorted = lines.join("\n");
    RULES.iter().fold(sorted, |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

/// One of several errors that kubectl lists.
fn is_listed(line: &str) -> bool {
    let of_a_path = || {
        line.strip_prefix("! ")
            .is_some_and(|rest| rest.trim_start().starts_with('.'))
    };
    line.starts_with("! * ") || line.starts_with("# * ") || of_a_path()
}

/// A line that is a JSON object, as `get --raw` prints them, in one order of fields.
fn sort_keys(line: &str) -> String {
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => sorted(Value::Object(fields)).to_string(),
        _ => line.to_owned(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
