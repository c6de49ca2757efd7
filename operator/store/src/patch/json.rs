//! JSON patch, RFC 6902, with the leniency and the limits of the API server.

use json_patch::{
    AddOperation, Patch, PatchOperation, TestOperation,
    jsonptr::{Pointer, PointerBuf},
};
use serde_json::Value;

use super::{PatchError, check_depth};

/// As in kube-apiserver.
const MAX_OPERATIONS: usize = 10_000;
/// What all `copy` operations of one patch may add, in bytes of JSON; as big as a request may be.
const MAX_COPIED: usize = 3 << 20;

/// Applies a JSON patch. A `test` against `null` passes where there is nothing, as it does in the API server.
pub(crate) fn json_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Patch(operations) =
        serde_json::from_value(patch.clone()).map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut patched = document.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Test(test) = &operation
            && passes_as_absent(&patched, test)
        {
            continue;
        }
        let operation = lenient(&patched, operation);
        check(&patched, &operation, &mut copied)?;
        let path = operation.path().to_owned();
        let verb = verb(&operation);
        json_patch::patch(&mut patched, &[operation]).map_err(|error| explain(verb, &path, &error.kind))?;
    }
    Ok(patched)
}

/// To replace a field that is not there is to add it, as it is in the API server.
fn lenient(document: &Value, operation: PatchOperation) -> PatchOperation {
    match operation {
        PatchOperation::Replace(replace) if document.pointer(replace.path.as_str()).is_none() => {
            let parent = replace
                .path
                .parent()
                .and_then(|parent| document.pointer(parent.as_str()));
            match parent {
                Some(Value::Object(_)) => PatchOperation::Add(AddOperation {
                    path: replace.path,
                    value: replace.value,
                }),
                _ => PatchOperation::Replace(replace),
            }
        }
        other => other,
    }
}

fn passes_as_absent(document: &Value, test: &TestOperation) -> bool {
    test.value.is_null() && document.pointer(test.path.as_str()).is_none_or(Value::is_null)
}

/// Keeps the document within its limits: each operation alone may nest it deeper or make it bigger.
fn check(document: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), PatchError> {
    let depth = |path: &Pointer| path.tokens().count();
    match operation {
        PatchOperation::Add(add) => check_depth(&add.value, depth(&add.path)),
        PatchOperation::Replace(replace) => check_depth(&replace.value, depth(&replace.path)),
        PatchOperation::Copy(copy) => {
            let Some(source) = document.pointer(copy.from.as_str()) else {
                return Ok(());
            };
            *copied += source.to_string().len();
            if *copied > MAX_COPIED {
                return Err(PatchError::TooLarge(format!(
                    "the copy operations of the patch add more than {MAX_COPIED} bytes"
                )));
            }
            check_depth(source, depth(&copy.path))
        }
        PatchOperation::Move(action) => match document.pointer(action.from.as_str()) {
            Some(source) => check_depth(source, depth(&action.path)),
            None => Ok(()),
        },
        PatchOperation::Remove(_) | PatchOperation::Test(_) => Ok(()),
    }
}

fn verb(operation: &PatchOperation) -> &'static str {
    match operation {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    }
}

fn explain(verb: &str, path: &PointerBuf, kind: &json_patch::PatchErrorKind) -> PatchError {
    PatchError::DoesNotApply(match kind {
        json_patch::PatchErrorKind::TestFailed => format!("testing value {path} failed: test failed"),
        json_patch::PatchErrorKind::InvalidPointer if verb == "test" => {
            format!("testing value {path} failed: doc is missing path")
        }
        json_patch::PatchErrorKind::InvalidPointer => {
            format!("{verb} operation does not apply: doc is missing path: {path}: missing value")
        }
        other => format!("{verb} operation does not apply: {path}: {other}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"a": 1}), json!([{"op": "replace", "path": "/a", "value": 2}]), json!({"a": 2}))]
    #[case(json!({"a": [1]}), json!([{"op": "add", "path": "/a/-", "value": 2}]), json!({"a": [1, 2]}))]
    #[case(json!({"a": {}}), json!([{"op": "replace", "path": "/a/b", "value": 2}]), json!({"a": {"b": 2}}))]
    #[case(json!({"a~b/c": 1}), json!([{"op": "remove", "path": "/a~0b~1c"}]), json!({}))]
    #[case(json!({"a": 1}), json!([{"op": "move", "from": "/a", "path": "/b"}]), json!({"b": 1}))]
    // What kube's finalizer helper sends first.
    #[case(
        json!({"metadata": {"name": "x"}}),
        json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["f"]}
        ]),
        json!({"metadata": {"name": "x", "finalizers": ["f"]}})
    )]
    fn applies(#[case] document: Value, #[case] patch: Value, #[case] patched: Value) {
        assert_eq!(json_patch(&document, &patch).unwrap(), patched);
    }

    #[rstest]
    #[case(json!([{"op": "test", "path": "/a", "value": 2}]), "testing value /a failed: test failed")]
    #[case(json!([{"op": "test", "path": "/a", "value": null}]), "testing value /a failed: test failed")]
    #[case(json!([{"op": "test", "path": "/x", "value": 2}]), "testing value /x failed: doc is missing path")]
    #[case(
        json!([{"op": "remove", "path": "/x"}]),
        "remove operation does not apply: doc is missing path: /x: missing value"
    )]
    fn says_why_it_does_not_apply(#[case] patch: Value, #[case] message: &str) {
        let error = json_patch(&json!({"a": 1}), &patch).unwrap_err();
        assert_eq!(error, PatchError::DoesNotApply(message.to_owned()));
    }

    #[test]
    fn refuses_what_is_no_patch() {
        for patch in [json!({"a": 1}), json!([{"op": "eat"}])] {
            assert!(matches!(
                json_patch(&json!({}), &patch),
                Err(PatchError::DoesNotApply(_))
            ));
        }
    }

    /// Each copy doubles the document: thirty of them would fill a gigabyte and nest without end.
    #[test]
    fn copies_cannot_grow_without_bound() {
        let double: Vec<Value> = (0..40)
            .map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/c{i}")}))
            .collect();
        let document = json!({"a": {"text": "x".repeat(100)}});
        assert!(matches!(
            json_patch(&document, &json!(double)),
            Err(PatchError::TooLarge(_))
        ));
        let nest: Vec<Value> = (0..200)
            .map(|_| json!({"op": "move", "from": "/a", "path": "/b"}))
            .zip((0..200).map(|_| json!({"op": "add", "path": "/a", "value": {}})))
            .flat_map(|(first, second)| [first, second, json!({"op": "move", "from": "/b", "path": "/a/b"})])
            .collect();
        assert!(matches!(
            json_patch(&json!({"a": {}}), &json!(nest)),
            Err(PatchError::TooLarge(_))
        ));
    }
}
