//! Managed fields: every write leaves word of who owns what.

use serde_json::json;

use crate::case::{Case, JSON_PATCH, MERGE, STRATEGIC, case};
use crate::expect::{absent, any, exactly, with_item, without_item};
use crate::objects::{WIDGETS, config_map, widget, widgets};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("each way to write has its entry")
            .post("{ns}/configmaps?fieldManager=creator", config_map("a", json!({"a": "1"})))
            .is(201)
            .with(json!({"metadata": {"managedFields": [{
                "manager": "creator", "operation": "Update", "apiVersion": "v1", "time": any(), "fieldsType": "FieldsV1",
                "fieldsV1": exactly(json!({"f:data": {".": {}, "f:a": {}}})),
            }]}}))
            .patch(MERGE, "{ns}/configmaps/a?fieldManager=merger", json!({"data": {"b": "1"}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "merger", "operation": "Update", "fieldsV1": exactly(json!({"f:data": {"f:b": {}}})),
            }))}}))
            .patch(JSON_PATCH, "{ns}/configmaps/a?fieldManager=patcher", json!([{"op": "add", "path": "/data/c", "value": "1"}]))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "patcher", "fieldsV1": exactly(json!({"f:data": {"f:c": {}}})),
            }))}}))
            .patch(STRATEGIC, "{ns}/configmaps/a?fieldManager=strategist", json!({"data": {"d": "1"}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "strategist", "fieldsV1": exactly(json!({"f:data": {"f:d": {}}})),
            }))}}))
            .put(
                "{ns}/configmaps/a?fieldManager=putter",
                config_map("a", json!({"a": "1", "b": "2", "c": "1", "d": "1"})),
            )
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "putter", "fieldsV1": exactly(json!({"f:data": {"f:b": {}}})),
            }))}}))
            .with(json!({"metadata": {"managedFields": without_item(json!({"manager": "merger"}))}})),
        case("labels, annotations, finalizers and owners are owned one by one")
            .post(
                "{ns}/configmaps?fieldManager=m",
                json!({"metadata": {
                    "name": "a", "labels": {"l": "1"}, "annotations": {"a": "1"}, "finalizers": ["x.test/f"],
                    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1"}],
                }}),
            )
            .is(201)
            .with(json!({"metadata": {"managedFields": [{"fieldsV1": exactly(json!({"f:metadata": {
                "f:annotations": {".": {}, "f:a": {}},
                "f:finalizers": {".": {}, "v:\"x.test/f\"": {}},
                "f:labels": {".": {}, "f:l": {}},
                "f:ownerReferences": {".": {}, "k:{\"uid\":\"u-1\"}": {}},
            }}))}]}}))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"finalizers": null}}))
            .is(200),
        case("what is removed is owned by nobody")
            .post("{ns}/configmaps?fieldManager=m", config_map("a", json!({"a": "1", "b": "1"})))
            .is(201)
            .patch(MERGE, "{ns}/configmaps/a?fieldManager=n", json!({"data": {"b": null}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": [{
                "manager": "m", "fieldsV1": exactly(json!({"f:data": {".": {}, "f:a": {}}})),
            }]}})),
        case("managed fields are reset by an empty entry")
            .post("{ns}/configmaps?fieldManager=m", config_map("a", json!({"a": "1"})))
            .is(201)
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"managedFields": [{}]}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": absent()}})),
        case("an empty list of managed fields leaves them as they are")
            .post("{ns}/configmaps?fieldManager=m", config_map("a", json!({"a": "1"})))
            .is(201)
            .put("{ns}/configmaps/a?fieldManager=m", config_map("a", json!({"a": "1"})))
            .is(200)
            .with(json!({"metadata": {"managedFields": [{"manager": "m"}]}})),
        case("status is owned under its subresource")
            .define({
                let mut definition = widgets(json!({"type": "object", "properties": {"size": {"type": "integer"}}}));
                definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
                definition
            })
            .post(format!("{WIDGETS}?fieldManager=m"), widget("a", json!({"size": 1})))
            .is(201)
            .with(json!({"metadata": {"managedFields": [{
                "manager": "m", "apiVersion": "{group}/v1", "subresource": absent(),
                "fieldsV1": exactly(json!({"f:spec": {".": {}, "f:size": {}}})),
            }]}}))
            .patch(MERGE, format!("{WIDGETS}/a/status?fieldManager=m"), json!({"status": {"ready": 1}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "m", "operation": "Update", "subresource": "status",
                "fieldsV1": exactly(json!({"f:status": {".": {}, "f:ready": {}}})),
            }))}})),
        case("lists with keys are owned item by item")
            .post(
                "{ns}/services?fieldManager=m",
                json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1, "name": "one"}]}}),
            )
            .is(201)
            .with(json!({"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {"f:ports": {
                ".": {}, "k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
            }}}}]}})),
    ]
}
