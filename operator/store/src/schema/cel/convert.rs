//! From JSON to CEL values, as the API server binds them: declared fields only, their names escaped, strings
//! of a known format as what they stand for.

use std::{collections::HashMap, sync::Arc};

use base64::Engine as _;
use kube_cel::cel::{
    Value as CelValue,
    objects::{Key, Map as CelMap},
};
use serde_json::{Map, Value};

use crate::schema::{
    format::{Format, parse_duration},
    node::{Additional, Node, Type},
};

/// Words of the language: a field of such a name is written `__name__` in an expression.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name by which an expression speaks of a field.
pub(super) fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    let text = name.replace("__", "__underscores__");
    text.replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

/// The field that an expression means.
pub(super) fn unescape(name: &str) -> String {
    if let Some(word) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && RESERVED.contains(&word)
    {
        return word.to_owned();
    }
    if !name.contains("__") {
        return name.to_owned();
    }
    let text = name
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/");
    text.replace("__underscores__", "__")
}

/// The CEL value of a JSON value of the schema `node`.
pub(super) fn value(value: &Value, node: &Node, is_resource: bool) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => {
            let float = CelValue::Float(number.as_f64().unwrap_or(f64::NAN));
            match node.ty {
                Some(Type::Number) => float,
                Some(Type::Integer) => number
                    .as_f64()
                    .map_or(float, |n| CelValue::Int(number.as_i64().unwrap_or(n as i64))),
                _ => number.as_i64().map_or(float, CelValue::Int),
            }
        }
        Value::String(text) => string(text, node),
        Value::Array(items) => {
            let item = |item: &Value| match &node.items {
                Some(child) => self::value(item, child, child.embedded),
                None => open(item),
            };
            CelValue::List(Arc::new(items.iter().map(item).collect()))
        }
        Value::Object(fields) => object(fields, node, is_resource),
    }
}

fn object(fields: &Map<String, Value>, node: &Node, is_resource: bool) -> CelValue {
    let is_map = !matches!(node.additional, Additional::None);
    let mut entries = HashMap::with_capacity(fields.len());
    for (name, field) in fields {
        let converted = match node.field(name) {
            _ if is_resource && name == "metadata" => names(field),
            _ if is_resource && matches!(name.as_str(), "apiVersion" | "kind") => open(field),
            Some(child) => value(field, child, child.embedded),
            None if is_map => open(field),
            // Fields that the schema only preserves are out of the reach of rules.
            None if !node.properties.is_empty() => continue,
            None => open(field),
        };
        let name = if is_map { name.clone() } else { escape(name) };
        entries.insert(Key::String(Arc::new(name)), converted);
    }
    CelValue::Map(CelMap {
        map: Arc::new(entries),
    })
}

/// Of a resource's metadata, rules see the names only.
fn names(metadata: &Value) -> CelValue {
    let mut entries = HashMap::new();
    for name in ["name", "generateName"] {
        if let Some(text) = metadata.get(name) {
            entries.insert(Key::String(Arc::new(name.to_owned())), open(text));
        }
    }
    CelValue::Map(CelMap {
        map: Arc::new(entries),
    })
}

fn string(text: &str, node: &Node) -> CelValue {
    let plain = || CelValue::String(Arc::new(text.to_owned()));
    match node.checks.format {
        _ if node.int_or_string => plain(),
        Some(Format::DateTime) => {
            chrono::DateTime::parse_from_rfc3339(text).map_or_else(|_| plain(), CelValue::Timestamp)
        }
        Some(Format::Date) => chrono::DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z"))
            .map_or_else(|_| plain(), CelValue::Timestamp),
        Some(Format::Duration) => parse_duration(text).map_or_else(plain, |nanoseconds| {
            CelValue::Duration(chrono::Duration::nanoseconds(nanoseconds))
        }),
        Some(Format::Byte) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_or_else(|_| plain(), |bytes| CelValue::Bytes(Arc::new(bytes))),
        _ => plain(),
    }
}

/// The CEL value of JSON of which no schema is known.
fn open(json: &Value) -> CelValue {
    match json {
        Value::Object(fields) => {
            let entries = fields
                .iter()
                .map(|(name, field)| (Key::String(Arc::new(name.clone())), open(field)))
                .collect();
            CelValue::Map(CelMap {
                map: Arc::new(entries),
            })
        }
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(open).collect())),
        other => value(other, &Node::default(), false),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("plain", "plain")]
    #[case("under_score", "under_score")]
    #[case("namespace", "__namespace__")]
    #[case("a-b", "a__dash__b")]
    #[case("a.b/c", "a__dot__b__slash__c")]
    #[case("a__b", "a__underscores__b")]
    fn names_are_escaped_and_back(#[case] name: &str, #[case] escaped: &str) {
        assert_eq!(escape(name), escaped);
        assert_eq!(unescape(escaped), name);
    }
}
