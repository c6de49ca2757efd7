//! Dry runs: the answer of a write without the write.

use serde_json::json;

use crate::case::{Case, JSON_PATCH, MERGE, STRATEGIC, case};
use crate::expect::{absent, any};
use crate::objects::{WIDGETS, config_map, widget, widgets};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a dry creation creates nothing")
            .post("{ns}/configmaps?dryRun=All", config_map("a", json!({"k": "1"})))
            .is(201)
            .with(json!({"data": {"k": "1"}, "metadata": {
                "name": "a", "uid": any(), "creationTimestamp": any(), "resourceVersion": absent(),
            }}))
            .get("{ns}/configmaps/a")
            .is(404),
        case("a dry creation of what is there is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .post("{ns}/configmaps?dryRun=All", config_map("a", json!({})))
            .refused(409, "AlreadyExists", "configmaps \"a\" already exists"),
        case("a dry creation is validated")
            .post("{ns}/configmaps?dryRun=All", config_map("Not a name", json!({})))
            .is(422),
        case("dry updates and patches change nothing")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .put("{ns}/configmaps/a?dryRun=All", config_map("a", json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2"}, "metadata": {"resourceVersion": "{version}"}}))
            .patch(MERGE, "{ns}/configmaps/a?dryRun=All", json!({"data": {"k": "2"}}))
            .is(200)
            .with(json!({"data": {"k": "2"}, "metadata": {"resourceVersion": "{version}"}}))
            .patch(STRATEGIC, "{ns}/configmaps/a?dryRun=All", json!({"data": {"k": "2"}}))
            .is(200)
            .with(json!({"data": {"k": "2"}}))
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a?dryRun=All",
                json!([{"op": "replace", "path": "/data/k", "value": "2"}]),
            )
            .is(200)
            .with(json!({"data": {"k": "2"}}))
            .apply("m&dryRun=All&force=true", "{ns}/configmaps/a", config_map("a", json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2"}}))
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"data": {"k": "1"}, "metadata": {"resourceVersion": "{version}"}})),
        case("a dry update from an older state conflicts")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .put("{ns}/configmaps/a?dryRun=All", json!({"metadata": {"name": "a", "resourceVersion": "1"}}))
            .is(409),
        case("dry deletions delete nothing")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .delete("{ns}/configmaps/a?dryRun=All")
            .is(200)
            .with(json!({"kind": "Status", "status": "Success"}))
            .delete_with("{ns}/configmaps/a", json!({"dryRun": ["All"]}))
            .is(200)
            .delete("{ns}/configmaps?dryRun=All")
            .is(200)
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": absent()}})),
        case("a dry deletion of what has finalizers marks nothing")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "finalizers": ["x.test/y"]}}))
            .is(201)
            .delete("{ns}/configmaps/a?dryRun=All")
            .is(200)
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": absent()}}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200),
        case("a dry creation of a namespace makes none")
            .post("/api/v1/namespaces?dryRun=All", json!({"metadata": {"name": "{unique}-dry"}}))
            .is(201)
            .get("/api/v1/namespaces/{unique}-dry")
            .is(404),
        case("dry runs of custom objects and their status")
            .define({
                let mut definition = widgets(json!({"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}));
                definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
                definition
            })
            .post(format!("{WIDGETS}?dryRun=All"), widget("a", json!({})))
            .is(201)
            .with(json!({"spec": {"size": 3}, "metadata": {"generation": 1, "resourceVersion": absent()}}))
            .get(format!("{WIDGETS}/a"))
            .is(404)
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .patch(MERGE, format!("{WIDGETS}/a/status?dryRun=All"), json!({"status": {"x": 1}}))
            .is(200)
            .with(json!({"status": {"x": 1}}))
            .get(format!("{WIDGETS}/a"))
            .is(200)
            .with(json!({"status": absent()})),
        case("there are no other dry runs")
            .post("{ns}/configmaps?dryRun=Some", config_map("a", json!({})))
            .refused(
                422,
                "Invalid",
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
            ),
    ]
}
