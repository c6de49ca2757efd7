//! OpenAPI v2: everything in one document, for clients that know no v3.

use serde_json::{Map, Value, json};

use super::{
    ServedType,
    operations::{self, Style},
    v3,
};

/// Keywords that v2 does not have; where a schema uses them, it says less.
const UNKNOWN_IN_V2: &[&str] = &["oneOf", "anyOf", "not", "nullable"];

pub(super) fn document(types: &[&ServedType]) -> Value {
    let owned: Vec<ServedType> = types.iter().map(|served| (*served).clone()).collect();
    let mut definitions = v3::definitions(&owned);
    definitions.values_mut().for_each(downgrade);
    let mut paths = Map::new();
    for served in types {
        operations::describe(served, &v3::schema_name(served), Style::V2, &mut paths);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "definitions": definitions,
    })
}

fn downgrade(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            unwrap_reference(object);
            // A field may have the name of a keyword; only schemas have keywords.
            let is_schema =
                !object.contains_key("properties") || object.get("properties").is_some_and(Value::is_object);
            if is_schema {
                object.retain(|keyword, value| {
                    !(UNKNOWN_IN_V2.contains(&keyword.as_str()) && (value.is_array() || value.is_boolean()))
                });
                if object.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
                    object.shift_remove("properties");
                    object.shift_remove("items");
                }
            }
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/definitions/");
            }
            object.values_mut().for_each(downgrade);
        }
        Value::Array(items) => items.iter_mut().for_each(downgrade),
        _ => {}
    }
}

/// What v3 must put into an `allOf` of its own stands beside the rest here. Texts that may be numbers are texts.
fn unwrap_reference(object: &mut Map<String, Value>) {
    let only = match object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([only]) => only.get("$ref").cloned(),
        _ => None,
    };
    if let Some(reference) = only {
        object.shift_remove("allOf");
        object.shift_remove("default");
        object.insert("$ref".to_owned(), reference);
    }
    let is_choice = object.get("oneOf").is_some_and(Value::is_array);
    if is_choice && !object.contains_key("type") && !object.contains_key("properties") {
        object.insert("type".to_owned(), "string".into());
    }
}
