//! The four forms of patches, and what is refused of each.

use serde_json::json;

use crate::case::{Case, JSON_PATCH, MERGE, STRATEGIC, case};
use crate::expect::{absent, any, containing, exactly};
use crate::objects::{WIDGETS, config_map, widget, widgets};

const SERVICE: &str = "{ns}/services/a";

/// A case that begins with a config map `a`, with `k`=1 and `l`=1.
fn with_config_map(name: &'static str) -> Case {
    case(name)
        .post("{ns}/configmaps", config_map("a", json!({"k": "1", "l": "1"})))
        .is(201)
}

fn with_service(name: &'static str) -> Case {
    case(name)
        .post(
            "{ns}/services",
            json!({
                "metadata": {"name": "a"},
                "spec": {
                    "selector": {"app": "a"},
                    "ports": [
                        {"name": "one", "port": 1, "protocol": "TCP"},
                        {"name": "two", "port": 2, "protocol": "TCP"},
                    ],
                },
            }),
        )
        .is(201)
}

fn with_widget(name: &'static str) -> Case {
    case(name)
        .define(widgets(json!({
            "type": "object",
            "properties": {"size": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}}},
        })))
        .post(WIDGETS, widget("a", json!({"size": 1, "list": ["x", "y"]})))
        .is(201)
}

pub(crate) fn cases() -> Vec<Case> {
    let widget_path = format!("{WIDGETS}/a");
    let deployment = "/apis/apps/v1/namespaces/{namespace}/deployments";
    vec![
        with_config_map("a merge patch sets, adds and removes")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2", "l": null, "m": "1"}}))
            .is(200)
            .with(json!({"data": exactly(json!({"k": "2", "m": "1"}))})),
        with_widget("a merge patch replaces lists")
            .patch(MERGE, &widget_path, json!({"spec": {"list": ["z"]}}))
            .is(200)
            .with(json!({"spec": {"size": 1, "list": ["z"]}, "metadata": {"generation": 2}})),
        with_config_map("a merge patch must be an object")
            .patch(MERGE, "{ns}/configmaps/a", json!([1]))
            .is(400)
            .with(json!({"reason": "BadRequest"})),
        with_config_map("a merge patch must be JSON")
            .send("PATCH", "{ns}/configmaps/a", MERGE, "{nonsense")
            .is(400)
            .with(json!({"reason": "BadRequest"})),
        with_config_map("a JSON patch does its operations in order")
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a",
                json!([
                    {"op": "test", "path": "/data/k", "value": "1"},
                    {"op": "replace", "path": "/data/k", "value": "2"},
                    {"op": "remove", "path": "/data/l"},
                    {"op": "add", "path": "/data/m", "value": "3"},
                    {"op": "copy", "from": "/data/m", "path": "/data/n"},
                    {"op": "move", "from": "/data/m", "path": "/data/o"},
                ]),
            )
            .is(200)
            .with(json!({"data": exactly(json!({"k": "2", "n": "3", "o": "3"}))})),
        with_widget("a JSON patch adds to the end of lists and in them")
            .patch(
                JSON_PATCH,
                &widget_path,
                json!([
                    {"op": "add", "path": "/spec/list/-", "value": "z"},
                    {"op": "add", "path": "/spec/list/0", "value": "w"},
                ]),
            )
            .is(200)
            .with(json!({"spec": {"list": ["w", "x", "y", "z"]}})),
        with_config_map("a JSON patch whose test fails changes nothing")
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a",
                json!([
                    {"op": "replace", "path": "/data/k", "value": "2"},
                    {"op": "test", "path": "/data/l", "value": "9"},
                ]),
            )
            .refused(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"data": {"k": "1"}})),
        with_config_map("a JSON patch of what is not there is refused")
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!([{"op": "remove", "path": "/data/none"}]))
            .refused(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a",
                json!([{"op": "replace", "path": "/none/none", "value": 1}]),
            )
            .is(422),
        with_config_map("a JSON patch with an operation that there is not is refused")
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!([{"op": "paint", "path": "/data/k"}]))
            .is(422)
            .with(json!({"reason": "Invalid"})),
        with_config_map("a JSON patch may test the version of what it changes")
            .keep("version", "/metadata/resourceVersion")
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "{version}"},
                {"op": "replace", "path": "/data/k", "value": "2"},
            ]))
            .is(200)
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "{version}"},
                {"op": "replace", "path": "/data/k", "value": "3"},
            ]))
            .is(422),
        with_config_map("a JSON patch escapes what its paths cannot have")
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!([
                {"op": "add", "path": "/metadata/annotations", "value": {}},
                {"op": "add", "path": "/metadata/annotations/x.test~1a", "value": "1"},
                {"op": "add", "path": "/metadata/labels", "value": {"x.test/b": "1"}},
                {"op": "remove", "path": "/metadata/labels/x.test~1b"},
            ]))
            .is(200)
            .with(json!({"metadata": {"annotations": {"x.test/a": "1"}, "labels": absent()}})),
        with_config_map("a field is removed by a null in a merge patch and in a strategic one")
            .patch(STRATEGIC, "{ns}/configmaps/a", json!({"data": {"k": null}}))
            .is(200)
            .with(json!({"data": exactly(json!({"l": "1"}))}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": null}))
            .is(200)
            .with(json!({"data": absent()})),
        with_config_map("a JSON patch must be a list")
            .patch(JSON_PATCH, "{ns}/configmaps/a", json!({"data": {}}))
            .is(400)
            .with(json!({"reason": "BadRequest", "message": "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"})),
        with_config_map("the test for finalizers that kube's helpers make holds where there are none")
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a",
                json!([
                    {"op": "test", "path": "/metadata/finalizers", "value": null},
                    {"op": "add", "path": "/metadata/finalizers", "value": ["x.test/y"]},
                ]),
            )
            .is(200)
            .with(json!({"metadata": {"finalizers": ["x.test/y"]}}))
            .patch(
                JSON_PATCH,
                "{ns}/configmaps/a",
                json!([
                    {"op": "test", "path": "/metadata/finalizers/0", "value": "x.test/y"},
                    {"op": "remove", "path": "/metadata/finalizers/0"},
                ]),
            )
            .is(200)
            .with(json!({"metadata": {"finalizers": absent()}})),
        with_service("a strategic patch merges lists by their keys")
            .patch(STRATEGIC, SERVICE, json!({"spec": {"ports": [{"port": 2, "targetPort": 22}, {"name": "three", "port": 3}]}}))
            .is(200)
            .with(json!({"spec": {"ports": [
                {"name": "one", "port": 1},
                {"name": "two", "port": 2, "targetPort": 22},
                {"name": "three", "port": 3},
            ]}})),
        with_service("a strategic patch deletes from lists")
            .patch(STRATEGIC, SERVICE, json!({"spec": {"ports": [{"port": 1, "$patch": "delete"}]}}))
            .is(200)
            .with(json!({"spec": {"ports": [{"name": "two", "port": 2}]}})),
        with_service("a strategic patch replaces what it is told to")
            .patch(STRATEGIC, SERVICE, json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 4}]}}))
            .is(200)
            .with(json!({"spec": {"ports": [{"port": 4, "name": absent()}]}}))
            .patch(STRATEGIC, SERVICE, json!({"spec": {"selector": {"$patch": "replace", "x": "y"}}}))
            .is(200)
            .with(json!({"spec": {"selector": exactly(json!({"x": "y"}))}})),
        with_config_map("a strategic patch adds to lists of values, and deletes from them")
            .patch(STRATEGIC, "{ns}/configmaps/a", json!({"metadata": {"finalizers": ["x.test/a"]}}))
            .is(200)
            .patch(STRATEGIC, "{ns}/configmaps/a", json!({"metadata": {"finalizers": ["x.test/b"]}}))
            .is(200)
            .with(json!({"metadata": {"finalizers": [any(), any()]}}))
            .patch(
                STRATEGIC,
                "{ns}/configmaps/a",
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.test/a", "x.test/b"]}}),
            )
            .is(200)
            .with(json!({"metadata": {"finalizers": absent()}})),
        case("a strategic patch merges containers, their ports and variables")
            .post(
                deployment,
                json!({
                    "metadata": {"name": "a"},
                    "spec": {
                        "selector": {"matchLabels": {"app": "a"}},
                        "template": {
                            "metadata": {"labels": {"app": "a"}},
                            "spec": {"containers": [
                                {"name": "one", "image": "one:1", "env": [{"name": "A", "value": "1"}]},
                                {"name": "two", "image": "two:1"},
                            ]},
                        },
                    },
                }),
            )
            .is(201)
            .patch(
                STRATEGIC,
                format!("{deployment}/a"),
                json!({"spec": {"template": {"spec": {"containers": [
                    {"name": "one", "image": "one:2", "env": [{"name": "B", "value": "2"}]},
                ]}}}}),
            )
            .is(200)
            .with(json!({"spec": {"template": {"spec": {"containers": [
                {"name": "one", "image": "one:2", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]},
                {"name": "two", "image": "two:1"},
            ]}}}})),
        with_service("a strategic patch with an item that has no key is refused")
            .patch(STRATEGIC, SERVICE, json!({"spec": {"ports": [{"name": "x"}]}}))
            .is(500)
            .with(json!({"message": containing("does not contain declared merge key: port")})),
        with_widget("custom objects take no strategic patches")
            .patch(STRATEGIC, &widget_path, json!({"spec": {"size": 2}}))
            .refused(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ),
        with_config_map("a form of patch that there is not is refused")
            .patch("application/json", "{ns}/configmaps/a", json!({}))
            .refused(415, "UnsupportedMediaType", "415: Unsupported Media Type"),
        case("what is not there is not patched")
            .patch(MERGE, "{ns}/configmaps/none", json!({}))
            .refused(404, "NotFound", "configmaps \"none\" not found")
            .patch(JSON_PATCH, "{ns}/configmaps/none", json!([]))
            .is(404),
        with_config_map("a patch does not rename")
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"name": "b"}}))
            .is(400)
            .with(json!({"reason": "BadRequest"})),
        with_config_map("a patch to a wrong type is refused")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": 3}}))
            .is(422)
            .with(json!({"reason": "Invalid", "message": containing("cannot unmarshal number into Go struct field ConfigMap.data of type string")})),
        with_widget("a patch to what the schema forbids is refused")
            .patch(MERGE, &widget_path, json!({"spec": {"size": "big"}}))
            .refused(
                422,
                "Invalid",
                "Widget.{group} \"a\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
            ),
        with_config_map("a patch forces nothing unless it applies")
            .patch(MERGE, "{ns}/configmaps/a?force=true", json!({}))
            .refused(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            ),
    ]
}
