//! Garbage collection: dependents of what is deleted, by each way to propagate.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, containing, with_item};
use crate::objects::config_map;

fn dependent(name: &str, more: Value) -> Value {
    let mut reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "{uid}"});
    if let (Some(reference), Some(more)) = (reference.as_object_mut(), more.as_object()) {
        reference.extend(more.clone());
    }
    json!({"metadata": {"name": name, "ownerReferences": [reference]}})
}

fn owned_too(mut dependent: Value, owner: Value) -> Value {
    let owners = dependent["metadata"]["ownerReferences"].as_array_mut();
    owners.expect("a dependent has owners").push(owner);
    dependent
}

fn with_owner(name: &'static str) -> Case {
    case(name)
        .post("{ns}/configmaps", config_map("owner", json!({})))
        .is(201)
        .keep("uid", "/metadata/uid")
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        with_owner("in the background dependents follow")
            .post("{ns}/configmaps", dependent("a", json!({})))
            .is(201)
            .post("{ns}/secrets", dependent("b", json!({})))
            .is(201)
            .delete("{ns}/configmaps/owner?propagationPolicy=Background")
            .is(200)
            .with(json!({"kind": "Status", "status": "Success"}))
            .get("{ns}/configmaps/owner")
            .is(404)
            .until("{ns}/configmaps/a")
            .is(404)
            .until("{ns}/secrets/b")
            .is(404),
        with_owner("in the foreground the owner waits for those that block it")
            .post("{ns}/configmaps", {
                let mut dependent = dependent("a", json!({"blockOwnerDeletion": true}));
                dependent["metadata"]["finalizers"] = json!(["x.test/y"]);
                dependent
            })
            .is(201)
            .delete("{ns}/configmaps/owner?propagationPolicy=Foreground")
            .is(200)
            .with(json!({"kind": "ConfigMap", "metadata": {
                "deletionTimestamp": any(), "finalizers": ["foregroundDeletion"],
            }}))
            .until("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": any()}}))
            .get("{ns}/configmaps/owner")
            .is(200)
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200)
            .until("{ns}/configmaps/owner")
            .is(404),
        with_owner("orphans stay, and forget their owner")
            .post("{ns}/configmaps", dependent("a", json!({})))
            .is(201)
            .delete("{ns}/configmaps/owner?propagationPolicy=Orphan")
            .is(200)
            .until("{ns}/configmaps/owner")
            .is(404)
            .until("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"ownerReferences": absent(), "deletionTimestamp": absent()}})),
        with_owner("the way to propagate may be in the body")
            .post("{ns}/configmaps", dependent("a", json!({})))
            .is(201)
            .delete_with(
                "{ns}/configmaps/owner",
                json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}),
            )
            .is(200)
            .until("{ns}/configmaps/owner")
            .is(404)
            .until("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"ownerReferences": absent()}})),
        with_owner("a dependent with another owner that is there stays")
            .post("{ns}/configmaps", config_map("other", json!({})))
            .is(201)
            .keep("other", "/metadata/uid")
            .post("{ns}/configmaps", owned_too(
                dependent("a", json!({})),
                json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "{other}"}),
            ))
            .is(201)
            .delete("{ns}/configmaps/owner")
            .is(200)
            .until("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"ownerReferences": [{"name": "other"}]}}))
            .delete("{ns}/configmaps/other")
            .is(200)
            .until("{ns}/configmaps/a")
            .is(404),
        case("a dependent of what never was goes")
            .post(
                "{ns}/configmaps",
                json!({"metadata": {"name": "a", "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "11111111-1111-1111-1111-111111111111"},
                ]}}),
            )
            .is(201)
            .until("{ns}/configmaps/a")
            .is(404),
        with_owner("dependents of dependents go too")
            .post("{ns}/configmaps", dependent("a", json!({})))
            .is(201)
            .keep("middle", "/metadata/uid")
            .post(
                "{ns}/configmaps",
                json!({"metadata": {"name": "b", "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "{middle}"},
                ]}}),
            )
            .is(201)
            .delete("{ns}/configmaps/owner")
            .is(200)
            .until("{ns}/configmaps/b")
            .is(404),
        with_owner("a circle of owners goes as a whole")
            .post("{ns}/configmaps", dependent("a", json!({"controller": true, "blockOwnerDeletion": true})))
            .is(201)
            .keep("middle", "/metadata/uid")
            .patch(MERGE, "{ns}/configmaps/owner", json!({"metadata": {"ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "{middle}",
                "controller": true, "blockOwnerDeletion": true,
            }]}}))
            .is(200)
            .delete("{ns}/configmaps/owner?propagationPolicy=Foreground")
            .is(200)
            .until("{ns}/configmaps/a")
            .is(404)
            .until("{ns}/configmaps/owner")
            .is(404),
        with_owner("a dependent that another owns too does not hold up the one that waits")
            .post("{ns}/configmaps", config_map("other", json!({})))
            .is(201)
            .keep("other", "/metadata/uid")
            .post("{ns}/configmaps", owned_too(
                dependent("a", json!({"blockOwnerDeletion": true})),
                json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "{other}"}),
            ))
            .is(201)
            .delete("{ns}/configmaps/owner?propagationPolicy=Foreground")
            .is(200)
            .until("{ns}/configmaps/owner")
            .is(404)
            .until("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"ownerReferences": [{"name": "other"}], "deletionTimestamp": absent()}})),
        with_owner("an owner reference is complete")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "ownerReferences": [{"kind": "ConfigMap"}]}}))
            .is(422)
            .with(json!({"details": {"causes": with_item(json!(
                {"field": "metadata.ownerReferences.uid", "message": "Invalid value: \"\": must not be empty"}
            ))}}))
            .with(json!({"details": {"causes": with_item(json!(
                {"field": "metadata.ownerReferences.name", "message": "Invalid value: \"\": must not be empty"}
            ))}}))
            .with(json!({"details": {"causes": with_item(json!(
                {"field": "metadata.ownerReferences.apiVersion", "message": "Invalid value: \"\": version must not be empty"}
            ))}})),
        with_owner("there is one controller")
            .post("{ns}/configmaps", owned_too(
                dependent("a", json!({"controller": true})),
                json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "u-2", "controller": true}),
            ))
            .is(422)
            .with(json!({"details": {"causes": [{
                "field": "metadata.ownerReferences",
                "message": containing(": Only one reference can have Controller set to true. Found \"true\" in references for ConfigMap/owner and ConfigMap/other"),
            }]}})),
    ]
}
