//! What a part of an answer must be: JSON in which objects may have more, and markers that stand for many values.

use serde_json::{Value, json};

/// Anything but nothing.
pub(crate) fn any() -> Value {
    json!({"$": "any"})
}

/// The field is missing, or null.
pub(crate) fn absent() -> Value {
    json!({"$": "absent"})
}

/// A text that has this in it.
pub(crate) fn containing(text: &str) -> Value {
    json!({"$": "containing", "text": text})
}

/// A text that is not this one.
pub(crate) fn other_than(text: &str) -> Value {
    json!({"$": "other", "text": text})
}

/// A list that has an item like this among others.
pub(crate) fn with_item(item: Value) -> Value {
    json!({"$": "item", "item": item})
}

/// A list that has no item like this.
pub(crate) fn without_item(item: Value) -> Value {
    json!({"$": "no item", "item": item})
}

/// Exactly this, where an object may not have more.
pub(crate) fn exactly(value: Value) -> Value {
    json!({"$": "exactly", "value": value})
}

/// Where the answer is not what was expected, as lines of `path: expected …, found …`; empty if it is.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", expected, found, &mut lines);
    lines
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    let wanted = match expected.get("$").and_then(Value::as_str) {
        Some(marker) => (!marked(marker, expected, found)).then(|| describe(marker, expected)),
        None => match (expected, found) {
            (Value::Object(parts), Value::Object(fields)) => {
                for (name, part) in parts {
                    let field = fields.get(name).unwrap_or(&Value::Null);
                    compare(&format!("{path}/{name}"), part, field, lines);
                }
                None
            }
            (Value::Array(parts), Value::Array(items)) if parts.len() == items.len() => {
                for (index, (part, item)) in parts.iter().zip(items).enumerate() {
                    compare(&format!("{path}/{index}"), part, item, lines);
                }
                None
            }
            _ => (expected != found).then(|| expected.to_string()),
        },
    };
    if let Some(wanted) = wanted {
        lines.push(format!("{path}: expected {wanted}, found {found}"));
    }
}

fn marked(marker: &str, expected: &Value, found: &Value) -> bool {
    let text = expected["text"].as_str().unwrap_or_default();
    match marker {
        "any" => !found.is_null() && found != "",
        "absent" => found.is_null(),
        "containing" => found.as_str().is_some_and(|found| found.contains(text)),
        "other" => found.as_str().is_some_and(|found| found != text),
        "item" => has_item(&expected["item"], found),
        "no item" => !has_item(&expected["item"], found),
        "exactly" => found == &expected["value"],
        unknown => panic!("there is no marker '{unknown}'"),
    }
}

fn has_item(item: &Value, found: &Value) -> bool {
    found
        .as_array()
        .is_some_and(|items| items.iter().any(|each| differences(item, each).is_empty()))
}

fn describe(marker: &str, expected: &Value) -> String {
    match marker {
        "any" => "a value".to_owned(),
        "absent" => "nothing".to_owned(),
        "item" | "no item" => format!("a list with {marker} like {}", expected["item"]),
        "exactly" => format!("exactly {}", expected["value"]),
        _ => format!("a text {marker} {}", expected["text"]),
    }
}
