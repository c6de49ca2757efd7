//! Dropping the fields that a schema does not know.

use serde_json::{Map, Value};

use super::{
    error::join,
    node::{Additional, Node},
    object_meta,
};

/// Removes unknown fields below `value` and adds their paths to `dropped`.
pub(super) fn apply(
    node: &Node,
    value: &mut Value,
    is_resource: bool,
    path: &str,
    dropped: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => object(node, fields, is_resource, path, dropped),
        Value::Array(items) => {
            let Some(child) = &node.items else { return };
            for (index, item) in items.iter_mut().enumerate() {
                apply(child, item, child.embedded, &format!("{path}[{index}]"), dropped);
            }
        }
        _ => {}
    }
}

fn object(
    node: &Node,
    fields: &mut Map<String, Value>,
    is_resource: bool,
    path: &str,
    dropped: &mut Vec<String>,
) {
    let keeps_all = node.preserve_unknown || matches!(node.additional, Additional::Any);
    fields.retain(|name, value| {
        let at = join(path, name);
        if is_resource && name == "metadata" {
            apply(&object_meta(), value, false, &at, dropped);
            return true;
        }
        if is_resource && matches!(name.as_str(), "apiVersion" | "kind") {
            return true;
        }
        match node.field(name) {
            Some(child) => apply(child, value, child.embedded, &at, dropped),
            None if keeps_all => {}
            None => {
                dropped.push(at);
                return false;
            }
        }
        true
    });
}
