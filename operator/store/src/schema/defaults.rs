//! Filling in the defaults of a schema.

use serde_json::Value;

use super::node::{Additional, Node};

/// Sets every absent field that has a default, as far down as objects are present. A `null` where the schema
/// has a default and knows no `null` counts as absent.
pub(super) fn apply(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                let absent = match fields.get(name) {
                    None => true,
                    Some(value) => value.is_null() && !property.nullable,
                };
                if absent {
                    fields.insert(name.clone(), default.clone());
                }
            }
            let additional = match &node.additional {
                Additional::Node(child) => Some(child),
                _ => None,
            };
            for (name, field) in fields.iter_mut() {
                if let Some(child) = node.properties.get(name).or(additional) {
                    if field.is_null()
                        && !child.nullable
                        && let Some(default) = &child.default
                    {
                        *field = default.clone();
                    }
                    apply(child, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                items.iter_mut().for_each(|item| apply(child, item));
            }
        }
        _ => {}
    }
}
