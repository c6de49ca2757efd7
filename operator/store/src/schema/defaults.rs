//! Filling in the defaults of a schema.

use serde_json::Value;

use super::node::{Additional, Node};

/// Whether a schema, or any below it, has a default.
pub(super) fn any(node: &Node) -> bool {
    let additional = match &node.additional {
        Additional::Node(child) => Some(child),
        _ => None,
    };
    let mut below = node.properties.values().chain(&node.items).chain(additional);
    node.default.is_some() || below.any(|child| any(child))
}

/// Sets every absent field that has a default, as far down as objects are present. A `null` where the schema
/// knows none counts as absent.
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
            fields.retain(|name, field| {
                let Some(child) = node.properties.get(name).or(additional) else {
                    return true;
                };
                if field.is_null() && !child.nullable {
                    match &child.default {
                        Some(default) => *field = default.clone(),
                        None => return false,
                    }
                }
                apply(child, field);
                true
            });
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                items.iter_mut().for_each(|item| apply(child, item));
            }
        }
        _ => {}
    }
}
