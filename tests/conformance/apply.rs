//! Server-side apply: who owns what, conflicts, and what is given up.

use serde_json::{Value, json};

use crate::case::{APPLY, Case, MERGE, case};
use crate::expect::{any, containing, exactly, with_item, without_item};
use crate::objects::{WIDGETS, config_map, widget, widgets};

const MAP: &str = "{ns}/configmaps/a";

fn map(data: Value) -> Value {
    config_map("a", data)
}

fn entry(manager: &str, operation: &str) -> Value {
    json!({"manager": manager, "operation": operation})
}

/// A definition with a list of each type.
fn lists() -> Value {
    widgets(json!({
        "type": "object",
        "properties": {
            "ports": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {
                    "type": "object", "required": ["port"],
                    "properties": {
                        "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                        "name": {"type": "string"},
                    },
                },
            },
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "steps": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}},
            "pair": {
                "type": "object", "x-kubernetes-map-type": "atomic",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }))
}

pub(crate) fn cases() -> Vec<Case> {
    let path = format!("{WIDGETS}/a");
    vec![
        case("apply creates what is not there")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .with(json!({"metadata": {"managedFields": [{
                "manager": "one", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": any(),
                "fieldsV1": exactly(json!({"f:data": {"f:k": {}}})),
            }]}}))
            .apply("one", MAP, map(json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2"}})),
        case("applying the same again changes nothing")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}})),
        case("a field that is no longer applied goes away")
            .apply("one", MAP, map(json!({"k": "1", "l": "1"})))
            .is(201)
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(200)
            .with(json!({"data": exactly(json!({"k": "1"}))})),
        case("a field that others own too stays when one gives it up")
            .apply("one", MAP, map(json!({"k": "1", "l": "1"})))
            .is(201)
            .apply("two", MAP, map(json!({"l": "1"})))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(entry("one", "Apply"))}}))
            .with(json!({"metadata": {"managedFields": with_item(entry("two", "Apply"))}}))
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(200)
            .with(json!({"data": exactly(json!({"k": "1", "l": "1"}))})),
        case("another value for a field that another owns conflicts")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .apply("two", MAP, map(json!({"k": "2"})))
            .refused(
                409,
                "Conflict",
                "Apply failed with 1 conflict: conflict with \"one\": .data.k",
            )
            .with(json!({"details": {"causes": [{
                "reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.k",
            }]}})),
        case("a conflict with who has updated says with what version")
            .post("{ns}/configmaps?fieldManager=one", map(json!({"k": "1", "l": "1"})))
            .is(201)
            .apply("two", MAP, map(json!({"k": "2", "l": "2"})))
            .is(409)
            .with(json!({
                "reason": "Conflict",
                "message": containing("Apply failed with 2 conflicts: conflicts with \"one\" using v1"),
                "details": {"causes": [
                    {"reason": "FieldManagerConflict", "message": containing("conflict with \"one\" using v1"), "field": ".data.k"},
                    {"reason": "FieldManagerConflict", "field": ".data.l"},
                ]},
            })),
        case("force takes a field from its owner")
            .apply("one", MAP, map(json!({"k": "1", "l": "1"})))
            .is(201)
            .apply("two&force=true", MAP, map(json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2", "l": "1"}, "metadata": {"managedFields": [
                {"manager": "one", "fieldsV1": exactly(json!({"f:data": {"f:l": {}}}))},
                {"manager": "two", "fieldsV1": exactly(json!({"f:data": {"f:k": {}}}))},
            ]}})),
        case("who owns nothing any more is forgotten")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .apply("two&force=true", MAP, map(json!({"k": "2"})))
            .is(200)
            .with(json!({"metadata": {"managedFields": [entry("two", "Apply")]}})),
        case("an update takes what it changes from who applied it")
            .apply("one", MAP, map(json!({"k": "1", "l": "1"})))
            .is(201)
            .patch(MERGE, format!("{MAP}?fieldManager=two"), json!({"data": {"k": "2"}}))
            .is(200)
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "one", "operation": "Apply", "fieldsV1": exactly(json!({"f:data": {"f:l": {}}})),
            }))}}))
            .with(json!({"metadata": {"managedFields": with_item(json!({
                "manager": "two", "operation": "Update", "fieldsV1": exactly(json!({"f:data": {"f:k": {}}})),
            }))}})),
        case("apply needs a manager")
            .patch(APPLY, MAP, map(json!({})))
            .refused(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ),
        case("a manager has no name that is longer than 128 bytes")
            .apply(&"m".repeat(129), MAP, map(json!({})))
            .is(422)
            .with(json!({"message": containing("fieldManager: Too long: may not be more than 128 bytes")})),
        case("what is applied names its kind")
            .apply("one", MAP, json!({"metadata": {"name": "a"}}))
            .is(400)
            .with(json!({"reason": "BadRequest"})),
        case("what is applied names the object of the path")
            .apply("one", MAP, config_map("b", json!({})))
            .refused(400, "BadRequest", containing("")),
        case("what is applied has no managed fields")
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "managedFields": [{"manager": "x", "operation": "Apply", "apiVersion": "v1"}]},
            }))
            .refused(400, "BadRequest", "metadata.managedFields must be nil"),
        case("what is applied from an older state conflicts")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, MAP, json!({"data": {"l": "1"}}))
            .is(200)
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "{version}"}, "data": {"k": "2"},
            }))
            .is(409)
            .with(json!({"reason": "Conflict"})),
        case("what is applied with another uid conflicts")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "other"}, "data": {"k": "2"},
            }))
            .is(422)
            .with(json!({"message": containing("metadata.uid: Invalid value: \"other\": field is immutable")})),
        case("apply creates what is not there whatever state it is from")
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "1"},
            }))
            .is(201),
        case("an object that is created by apply with a uid is refused")
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "other"},
            }))
            .is(409),
        case("apply reads YAML")
            .send(
                "PATCH",
                format!("{MAP}?fieldManager=one"),
                APPLY,
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: '1'\n",
            )
            .is(201)
            .with(json!({"data": {"k": "1"}})),
        case("a field that is there twice is refused")
            .send(
                "PATCH",
                format!("{MAP}?fieldManager=one&fieldValidation=Strict"),
                APPLY,
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: '1'\n  k: '2'\n",
            )
            .is(400),
        case("a field that the kind has not is refused")
            .apply("one", MAP, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dada": {"k": "1"},
            }))
            .is(500)
            .with(json!({"message": containing(".dada: field not declared in schema")})),
        case("a dry run of apply tells of conflicts and changes nothing")
            .apply("one", MAP, map(json!({"k": "1"})))
            .is(201)
            .apply("two&dryRun=All", MAP, map(json!({"k": "2"})))
            .is(409)
            .apply("two&dryRun=All&force=true", MAP, map(json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2"}}))
            .get(MAP)
            .is(200)
            .with(json!({"data": {"k": "1"}, "metadata": {"managedFields": without_item(json!({"manager": "two"}))}})),
        case("lists of built-in kinds are merged by their keys")
            .apply("one", "{ns}/services/a", json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
                "spec": {"ports": [{"port": 1, "name": "one", "protocol": "TCP"}]},
            }))
            .is(201)
            .apply("two", "{ns}/services/a", json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
                "spec": {"ports": [{"port": 2, "name": "two", "protocol": "TCP"}]},
            }))
            .is(200)
            .with(json!({"spec": {"ports": [{"port": 1, "name": "one"}, {"port": 2, "name": "two"}]}}))
            .apply("one", "{ns}/services/a", json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {},
            }))
            .is(200)
            .with(json!({"spec": {"ports": [{"port": 2, "name": "two"}]}})),
        case("lists of custom kinds are merged by their keys, with defaults for keys")
            .define(lists())
            .apply("one", &path, widget("a", json!({"ports": [{"port": 1, "name": "a"}]})))
            .is(201)
            .with(json!({"spec": {"ports": [{"port": 1, "protocol": "TCP", "name": "a"}]}}))
            .with(json!({"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {"f:ports": {
                "k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}},
            }}}}]}}))
            .apply("two", &path, widget("a", json!({"ports": [{"port": 1, "protocol": "UDP", "name": "b"}]})))
            .is(200)
            .with(json!({"spec": {"ports": [
                {"port": 1, "protocol": "TCP", "name": "a"}, {"port": 1, "protocol": "UDP", "name": "b"},
            ]}}))
            .apply("two", &path, widget("a", json!({"ports": [{"port": 1, "name": "c"}]})))
            .is(409)
            .with(json!({"details": {"causes": [
                {"field": ".spec.ports[port=1,protocol=\"TCP\"].name", "message": "conflict with \"one\""},
            ]}})),
        case("the same key twice in a list is refused")
            .define(lists())
            .apply("one", &path, widget("a", json!({"ports": [{"port": 1}, {"port": 1}]})))
            .is(500)
            .with(json!({"message": containing("duplicate entries for key [port=1,protocol=\"TCP\"]")})),
        case("sets are united")
            .define(lists())
            .apply("one", &path, widget("a", json!({"tags": ["x", "y"]})))
            .is(201)
            .apply("two", &path, widget("a", json!({"tags": ["y", "z"]})))
            .is(200)
            .with(json!({"spec": {"tags": ["x", "y", "z"]}}))
            .apply("one", &path, widget("a", json!({"tags": ["y"]})))
            .is(200)
            .with(json!({"spec": {"tags": ["y", "z"]}})),
        case("atomic lists and maps have one owner")
            .define(lists())
            .apply("one", &path, widget("a", json!({"steps": ["x"], "pair": {"a": "1"}})))
            .is(201)
            .with(json!({"metadata": {"managedFields": [{"fieldsV1": exactly(json!(
                {"f:spec": {"f:pair": {}, "f:steps": {}}}
            ))}]}}))
            .apply("two", &path, widget("a", json!({"steps": ["y"], "pair": {"b": "1"}})))
            .is(409)
            .with(json!({"details": {"causes": [{"field": ".spec.pair"}, {"field": ".spec.steps"}]}}))
            .apply("two&force=true", &path, widget("a", json!({"steps": ["y"], "pair": {"b": "1"}})))
            .is(200)
            .with(json!({"spec": {"steps": ["y"], "pair": exactly(json!({"b": "1"}))}})),
        case("fields that no schema knows are owned one by one")
            .define(lists())
            .apply("one", &path, widget("a", json!({"free": {"a": 1, "list": [1, 2]}})))
            .is(201)
            .apply("two", &path, widget("a", json!({"free": {"b": {"c": 2}}})))
            .is(200)
            .with(json!({"spec": {"free": {"a": 1, "b": {"c": 2}, "list": [1, 2]}}}))
            .apply("two", &path, widget("a", json!({"free": {"list": [1]}})))
            .is(409)
            .with(json!({"details": {"causes": [{"field": ".spec.free.list"}]}})),
        case("status is applied to on its own path")
            .define({
                let mut definition = lists();
                definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
                definition
            })
            .apply("one", &path, widget("a", json!({"tags": ["x"]})))
            .is(201)
            .apply("ctl", &format!("{path}/status"), json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "status": {"ready": true},
            }))
            .is(200)
            .with(json!({"status": {"ready": true}, "metadata": {"managedFields": with_item(json!(
                {"manager": "ctl", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:ready": {}}}}
            ))}}))
            .apply("one", &path, widget("a", json!({"tags": ["x", "y"]})))
            .is(200)
            .with(json!({"status": {"ready": true}, "metadata": {"generation": 2}})),
    ]
}
