//! Strategic merge patch: a merge patch in which lists of objects merge by key, and directives (`$patch`,
//! `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`) say what a plain merge cannot.
//!
//! The meaning is that of `k8s.io/apimachinery/pkg/util/strategicpatch`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{PatchError, check_depth, go_text};
use crate::schema::{Node, Structural};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch to an object of a built-in kind.
pub(crate) fn strategic_merge(
    document: &Value,
    patch: &Value,
    schema: &Structural,
) -> Result<Value, PatchError> {
    check_depth(patch, 0)?;
    let (Value::Object(fields), Value::Object(changes)) = (document, patch) else {
        return Err(PatchError::Malformed(
            "a strategic merge patch is an object".to_owned(),
        ));
    };
    Ok(Value::Object(object(
        fields.clone(),
        changes,
        Some(schema.root()),
    )?))
}

fn object(
    mut fields: Map<String, Value>,
    changes: &Map<String, Value>,
    node: Option<&Node>,
) -> Result<Map<String, Value>, PatchError> {
    match changes
        .get(PATCH)
        .map(|directive| directive.as_str().unwrap_or_default())
    {
        None | Some("merge") => {}
        Some("replace") => return object(Map::new(), &without(changes, PATCH), node),
        Some("delete") => return Ok(Map::new()),
        Some(other) => return Err(malformed(format!("unknown $patch directive {other:?}"))),
    }
    if let Some(kept) = changes.get(RETAIN_KEYS) {
        let kept = list(kept, RETAIN_KEYS)?;
        let is_kept = |name: &String| is_directive(name) || kept.iter().any(|key| key == name);
        if !changes
            .iter()
            .all(|(name, change)| change.is_null() || is_kept(name))
        {
            return Err(malformed("invalid patch format of retainKeys".to_owned()));
        }
        fields.retain(|name, _| kept.iter().any(|key| key == name));
    }
    let mut orders = BTreeMap::new();
    for (name, change) in changes {
        if let Some(field) = name.strip_prefix(ELEMENT_ORDER) {
            orders.insert(field, list(change, name)?);
        } else if let Some(field) = name.strip_prefix(DELETE_FROM_LIST) {
            let deleted = list(change, name)?;
            if let Some(items) = fields.get_mut(field).and_then(Value::as_array_mut) {
                items.retain(|item| !deleted.contains(item));
            }
        }
    }
    for (name, change) in changes {
        if name.starts_with('$') && is_directive(name) {
            continue;
        }
        let child = node.and_then(|node| node.field(name));
        let current = fields.get(name.as_str());
        let merged = match change {
            Value::Null => {
                fields.shift_remove(name);
                continue;
            }
            Value::Object(changes) => {
                let current = current.and_then(Value::as_object).cloned().unwrap_or_default();
                Value::Object(object(current, changes, child)?)
            }
            Value::Array(changes) => match child.filter(|child| child.patch_merge) {
                Some(child) => {
                    let current = current.and_then(Value::as_array).cloned().unwrap_or_default();
                    let order = orders.remove(name.as_str());
                    Value::Array(items(current, changes, order, child, name)?)
                }
                None => Value::Array(changes.clone()),
            },
            scalar => scalar.clone(),
        };
        fields.insert(name.clone(), merged);
    }
    // What is left asks for an order only.
    for (name, order) in orders {
        let Some(child) = node
            .and_then(|node| node.field(name))
            .filter(|child| child.patch_merge)
        else {
            continue;
        };
        if let Some(Value::Array(current)) = fields.get(name).cloned() {
            let sorted = arrange(current.clone(), &current, order, merge_key(child));
            fields.insert(name.to_owned(), Value::Array(sorted));
        }
    }
    Ok(fields)
}

fn is_directive(name: &str) -> bool {
    name == PATCH
        || name == RETAIN_KEYS
        || name.starts_with(ELEMENT_ORDER)
        || name.starts_with(DELETE_FROM_LIST)
}

/// Merges a list whose items stand for themselves or are told apart by a merge key.
fn items(
    current: Vec<Value>,
    changes: &[Value],
    order: Option<&[Value]>,
    node: &Node,
    name: &str,
) -> Result<Vec<Value>, PatchError> {
    let before = current.clone();
    let Some(key) = merge_key(node) else {
        let mut merged = current;
        for change in changes {
            if !merged.contains(change) {
                merged.push(change.clone());
            }
        }
        return Ok(arrange(merged, &before, order.unwrap_or(changes), None));
    };
    let replaces = changes.iter().any(|change| directive(change) == Some("replace"));
    let mut merged = if replaces { Vec::new() } else { current };
    for change in changes {
        let Value::Object(fields) = change else {
            return Err(malformed(format!("an item of {name} is not an object")));
        };
        let Some(identity) = fields.get(key) else {
            // `{"$patch": "replace"}` alone speaks of the list, not of an item.
            if directive(change) == Some("replace") && fields.len() == 1 {
                continue;
            }
            return Err(PatchError::NoMergeKey(format!(
                "map: {} does not contain declared merge key: {key}",
                go_text(change)
            )));
        };
        let position = merged.iter().position(|item| item.get(key) == Some(identity));
        match (directive(change), position) {
            (Some("delete"), Some(position)) => {
                merged.remove(position);
            }
            (Some("delete"), None) => {}
            (_, position) => {
                let child = node.items.as_deref();
                let changes = if replaces {
                    without(fields, PATCH)
                } else {
                    fields.clone()
                };
                let current = position
                    .and_then(|at| merged[at].as_object().cloned())
                    .unwrap_or_default();
                let item = Value::Object(object(current, &changes, child)?);
                match position {
                    Some(position) => merged[position] = item,
                    None => merged.push(item),
                }
            }
        }
    }
    Ok(arrange(merged, &before, order.unwrap_or(changes), Some(key)))
}

fn merge_key(node: &Node) -> Option<&str> {
    node.patch_merge_key.as_deref()
}

/// Orders a merged list: the items that the patch speaks of in the patch's order, the others before the first
/// of those that they stood before.
fn arrange(merged: Vec<Value>, before: &[Value], order: &[Value], key: Option<&str>) -> Vec<Value> {
    let identity = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let rank = |list: &[Value], item: &Value| list.iter().position(|other| identity(other) == identity(item));
    let (mut patched, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| rank(order, item).is_some());
    patched.sort_by_key(|item| rank(order, item));
    others.sort_by_key(|item| rank(before, item));
    let mut result = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in patched {
        let place = rank(before, &item);
        while let Some(other) = others.peek() {
            match (rank(before, other), place) {
                (Some(mine), Some(place)) if mine < place => result.extend(others.next()),
                _ => break,
            }
        }
        result.push(item);
    }
    result.extend(others);
    result
}

fn directive(item: &Value) -> Option<&str> {
    item.get(PATCH).and_then(Value::as_str)
}

fn without(fields: &Map<String, Value>, name: &str) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(key, _)| *key != name)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v [Value], PatchError> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| malformed(format!("{name} must be a list")))
}

fn malformed(reason: String) -> PatchError {
    PatchError::Malformed(reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::schema::builtin;

    fn deployment(spec: Value) -> Value {
        json!({"spec": {"template": {"spec": spec}}})
    }

    #[rstest]
    #[case::merges_by_key(
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
        json!({"containers": [{"name": "b", "image": "2"}]}),
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]})
    )]
    // What is new goes before what only the server has: the places of the two cannot be compared.
    #[case::adds_what_is_new(
        json!({"containers": [{"name": "a"}]}),
        json!({"containers": [{"name": "b", "env": [{"name": "X", "value": null}]}]}),
        json!({"containers": [{"name": "b", "env": [{"name": "X"}]}, {"name": "a"}]})
    )]
    #[case::deletes_an_item(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
        json!({"containers": [{"name": "b"}]})
    )]
    #[case::replaces_the_list(
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}),
        json!({"containers": [{"name": "a"}, {"$patch": "replace"}]}),
        json!({"containers": [{"name": "a"}]})
    )]
    #[case::replaces_an_object(
        json!({"securityContext": {"runAsUser": 1, "runAsGroup": 2}}),
        json!({"securityContext": {"$patch": "replace", "runAsUser": 3}}),
        json!({"securityContext": {"runAsUser": 3}})
    )]
    #[case::empties_an_object(
        json!({"securityContext": {"runAsUser": 1}}),
        json!({"securityContext": {"$patch": "delete"}}),
        json!({"securityContext": {}})
    )]
    #[case::atomic_lists_are_replaced(
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]})
    )]
    #[case::null_removes(json!({"nodeName": "x"}), json!({"nodeName": null}), json!({}))]
    #[case::retains_keys(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})
    )]
    #[case::orders_elements(
        json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b", "image": "2"}]
        }),
        json!({"containers": [{"name": "c"}, {"name": "a"}, {"name": "b", "image": "2"}]})
    )]
    #[case::keeps_what_only_the_server_has_in_its_place(
        json!({"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "a", "image": "1"}]
        }),
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "server"}, {"name": "b"}]})
    )]
    #[case::weaves_both_orders(
        json!({"containers": [{"name": "a"}, {"name": "x"}, {"name": "b"}, {"name": "y"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "n"}, {"name": "b"}, {"name": "a"}],
            "containers": [{"name": "n"}]
        }),
        json!({"containers": [{"name": "n"}, {"name": "x"}, {"name": "b"}, {"name": "a"}, {"name": "y"}]})
    )]
    #[case::order_alone(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
        json!({"containers": [{"name": "b"}, {"name": "a"}]})
    )]
    fn pod_specs(#[case] spec: Value, #[case] patch: Value, #[case] merged: Value) {
        let schema = builtin("apps", "v1", "Deployment").unwrap();
        let result = strategic_merge(&deployment(spec), &deployment(patch), schema).unwrap();
        assert_eq!(result, deployment(merged));
        if let Value::Object(fields) = &result["spec"]["template"]["spec"] {
            assert!(fields.keys().all(|name| !name.starts_with('$')));
        }
    }

    #[rstest]
    #[case(json!(["a"]), json!({"finalizers": ["b", "a"]}), json!(["b", "a"]))]
    #[case(json!(["a", "b"]), json!({"$deleteFromPrimitiveList/finalizers": ["a"]}), json!(["b"]))]
    #[case(
        json!(["a", "b"]),
        json!({"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"],
               "$setElementOrder/finalizers": ["c", "b"]}),
        json!(["c", "b"])
    )]
    fn lists_of_scalars(#[case] before: Value, #[case] patch: Value, #[case] after: Value) {
        let schema = builtin("", "v1", "ConfigMap").unwrap();
        let document = json!({"metadata": {"finalizers": before}});
        let merged = strategic_merge(&document, &json!({"metadata": patch}), schema).unwrap();
        assert_eq!(merged["metadata"]["finalizers"], after);
    }

    /// What kubectl sends when a volume becomes one of another kind.
    #[test]
    fn keys_that_are_not_retained_may_be_taken_away_by_name() {
        let schema = builtin("", "v1", "Pod").unwrap();
        let document = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
        let volume = json!({
            "$retainKeys": ["hostPath", "name"], "name": "v", "emptyDir": null, "hostPath": {"path": "/x"},
        });
        let merged = strategic_merge(&document, &json!({"spec": {"volumes": [volume]}}), schema).unwrap();
        assert_eq!(
            merged["spec"]["volumes"],
            json!([{"name": "v", "hostPath": {"path": "/x"}}])
        );
    }

    #[rstest]
    #[case(json!({"containers": [{"image": "x"}]}), "does not contain declared merge key: name")]
    #[case(json!({"containers": ["x"]}), "not an object")]
    #[case(json!({"$patch": "explode"}), "unknown $patch directive")]
    #[case(json!({"$retainKeys": 3}), "must be a list")]
    fn refuses(#[case] patch: Value, #[case] message: &str) {
        let schema = builtin("apps", "v1", "Deployment").unwrap();
        let error = strategic_merge(&deployment(json!({})), &deployment(patch), schema).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}
