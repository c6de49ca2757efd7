//! Deletion: its answer, finalizers, and grace.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, containing};
use crate::objects::{WIDGETS, config_map, widget, widgets};

pub(crate) fn cases() -> Vec<Case> {
    let finalized = json!({"metadata": {"name": "a", "finalizers": ["x.test/y"]}, "data": {"k": "1"}});
    vec![
        case("a deletion is answered with what was deleted")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .keep("uid", "/metadata/uid")
            .delete("{ns}/configmaps/a")
            .is(200)
            .with(json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": {"name": "a", "kind": "configmaps", "uid": "{uid}", "group": absent()},
            }))
            .delete("{ns}/configmaps/a")
            .refused(404, "NotFound", "configmaps \"a\" not found"),
        case("a deletion of a custom object names its group")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .keep("uid", "/metadata/uid")
            .delete(format!("{WIDGETS}/a"))
            .is(200)
            .with(json!({
                "status": "Success", "details": {"name": "a", "group": "{group}", "kind": "widgets", "uid": "{uid}"},
            })),
        case("an object with finalizers stays until the last is gone")
            .post("{ns}/configmaps", finalized.clone())
            .is(201)
            .delete("{ns}/configmaps/a")
            .is(200)
            .with(json!({"kind": "ConfigMap", "metadata": {
                "deletionTimestamp": any(), "deletionGracePeriodSeconds": 0, "finalizers": ["x.test/y"],
            }}))
            .keep("deleted", "/metadata/deletionTimestamp")
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": "{deleted}"}}))
            .delete("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": "{deleted}"}}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200)
            .with(json!({"metadata": {"name": "a", "deletionTimestamp": "{deleted}"}}))
            .get("{ns}/configmaps/a")
            .is(404),
        case("an update that takes the last finalizer ends the object")
            .post("{ns}/configmaps", finalized.clone())
            .is(201)
            .delete("{ns}/configmaps/a")
            .is(200)
            .put("{ns}/configmaps/a", config_map("a", json!({"k": "1"})))
            .is(200)
            .get("{ns}/configmaps/a")
            .is(404),
        case("an object that is being deleted may still change")
            .post("{ns}/configmaps", finalized.clone())
            .is(201)
            .delete("{ns}/configmaps/a")
            .is(200)
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .with(json!({"data": {"k": "2"}, "metadata": {"deletionTimestamp": any()}}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"deletionTimestamp": null}}))
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": any()}}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200),
        case("an object that is being deleted gets no new finalizers")
            .post("{ns}/configmaps", finalized.clone())
            .is(201)
            .delete("{ns}/configmaps/a")
            .is(200)
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": ["x.test/y", "x.test/z"]}}))
            .refused(
                422,
                "Invalid",
                "ConfigMap \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.test/z\"}",
            )
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200),
        case("a name is taken while its object is being deleted")
            .post("{ns}/configmaps", finalized.clone())
            .is(201)
            .delete("{ns}/configmaps/a")
            .is(200)
            .post("{ns}/configmaps", config_map("a", json!({})))
            .refused(409, "AlreadyExists", containing("configmaps \"a\" already exists"))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200),
        case("a watch sees the mark as a change, and the end as a deletion")
            .post("{ns}/configmaps", finalized)
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .open("w", "{ns}/configmaps?watch=true&resourceVersion={version}&fieldSelector=metadata.name=a")
            .delete("{ns}/configmaps/a")
            .is(200)
            .next("w", [json!({"type": "MODIFIED", "object": {"metadata": {"deletionTimestamp": any()}}})])
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200)
            .next("w", [json!({"type": "DELETED", "object": {"metadata": {"name": "a", "deletionTimestamp": any()}}})]),
        case("the mark raises the generation of custom objects")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a", "finalizers": ["x.test/y"]},
            }))
            .is(201)
            .with(json!({"metadata": {"generation": 1}}))
            .delete(format!("{WIDGETS}/a"))
            .is(200)
            .with(json!({"kind": "Widget", "metadata": {"generation": 2, "deletionTimestamp": any()}}))
            .patch(MERGE, format!("{WIDGETS}/a"), json!({"metadata": {"finalizers": []}}))
            .is(200)
            .get(format!("{WIDGETS}/a"))
            .is(404),
        case("a deletion of a collection marks what has finalizers")
            .post("{ns}/secrets", json!({"metadata": {"name": "a", "finalizers": ["x.test/y"]}}))
            .is(201)
            .post("{ns}/secrets", json!({"metadata": {"name": "b"}}))
            .is(201)
            .delete("{ns}/secrets")
            .is(200)
            .get("{ns}/secrets")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "a", "deletionTimestamp": any()}}]}))
            .patch(MERGE, "{ns}/secrets/a", json!({"metadata": {"finalizers": null}}))
            .is(200)
            .get("{ns}/secrets")
            .is(200)
            .with(json!({"items": []})),
        case("a deletion of a collection may be of a state")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}}))
            .is(201)
            .delete_with("{ns}/secrets", json!({"preconditions": {"uid": "other"}}))
            .is(409),
        case("options of another kind are none")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .delete_with("{ns}/configmaps/a", json!({"kind": "ConfigMap", "apiVersion": "v1"}))
            .is(400),
        case("a finalizer is a qualified name")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "finalizers": ["not a name"]}}))
            .is(422)
            .with(json!({"message": containing("metadata.finalizers: Invalid value: \"not a name\": name part must consist of")})),
        case("a deletion with two ways to propagate is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .delete_with("{ns}/configmaps/a", json!({"orphanDependents": true, "propagationPolicy": "Background"}))
            .refused(
                422,
                "Invalid",
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Background\": orphanDependents and deletionPropagation cannot be both set",
            ),
        case("a way to propagate that there is not is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .delete("{ns}/configmaps/a?propagationPolicy=Some")
            .refused(
                422,
                "Invalid",
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Some\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
            ),
        case("a deletion of a collection is answered with what was deleted")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}}))
            .is(201)
            .post("{ns}/secrets", json!({"metadata": {"name": "b"}}))
            .is(201)
            .delete("{ns}/secrets")
            .is(200)
            .with(json!({"kind": "SecretList", "apiVersion": "v1", "items": [
                {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}},
            ]}))
            .get("{ns}/secrets")
            .is(200)
            .with(json!({"items": []})),
    ]
}
