//! The three patch formats that change an object in place: JSON patch (RFC 6902), JSON merge patch (RFC 7386)
//! and Kubernetes' strategic merge patch. All are functions from a document and a patch to the new document.

mod json;
mod strategic;

use serde_json::{Map, Value};

pub(crate) use json::json_patch;
pub(crate) use strategic::strategic_merge;

/// Documents nested deeper than this are refused, as the JSON parser refuses them.
const MAX_DEPTH: usize = 128;

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum PatchError {
    /// The patch itself is not one: 400.
    #[error("{0}")]
    Malformed(String),
    /// An item of a list lacks the field that tells it from the others; what kube-apiserver takes for its own fault.
    #[error("{0}")]
    NoMergeKey(String),
    /// The patch asks for too much: 413.
    #[error("{0}")]
    TooLarge(String),
    /// The patch does not fit the document: 422.
    #[error("{0}")]
    DoesNotApply(String),
}

/// Merges by RFC 7386: objects merge, `null` removes, everything else replaces.
pub(crate) fn merge_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    check_depth(patch, 0)?;
    let mut merged = document.clone();
    merge(&mut merged, patch);
    Ok(merged)
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

/// A value as Go prints it: `map[image:nginx:2]`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_text(value)))
                .collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// Refuses a value that would stand deeper than documents may be. `outside` is how deep it is put.
fn check_depth(value: &Value, outside: usize) -> Result<(), PatchError> {
    if outside > MAX_DEPTH {
        return Err(PatchError::TooLarge(format!(
            "the patched object is nested more than {MAX_DEPTH} deep"
        )));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_depth(item, outside + 1)),
        Value::Object(fields) => fields
            .values()
            .try_for_each(|field| check_depth(field, outside + 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// The test cases of RFC 7386, appendix A.
    #[rstest]
    #[case(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}))]
    #[case(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}))]
    #[case(json!({"a": "b"}), json!({"a": null}), json!({}))]
    #[case(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}))]
    #[case(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}))]
    #[case(json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]}))]
    #[case(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}))]
    #[case(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}))]
    #[case(json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"]))]
    #[case(json!({"a": "b"}), json!(["c"]), json!(["c"]))]
    #[case(json!({"a": "foo"}), json!(null), json!(null))]
    #[case(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}))]
    #[case(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}))]
    #[case(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}))]
    fn merges_as_the_rfc_says(#[case] document: Value, #[case] patch: Value, #[case] merged: Value) {
        assert_eq!(merge_patch(&document, &patch).unwrap(), merged);
    }

    proptest! {
        /// Merging the same patch twice is merging it once, and the empty patch changes no object.
        #[test]
        fn merge_patch_laws(document in object(), patch in object()) {
            let once = merge_patch(&document, &patch).unwrap();
            prop_assert_eq!(&merge_patch(&once, &patch).unwrap(), &once);
            prop_assert_eq!(merge_patch(&document, &json!({})).unwrap(), document);
        }
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-d]", value, 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }
}
