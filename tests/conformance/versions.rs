//! Definitions with several versions and no conversion.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::containing;
use crate::objects::{DEFINITIONS, WIDGETS, widget, widgets};

fn version(name: &str, storage: bool, properties: Value) -> Value {
    json!({
        "name": name, "served": true, "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}},
    })
}

fn two() -> Value {
    let mut definition = widgets(json!({"type": "object"}));
    definition["spec"]["versions"] = json!([
        version(
            "v1",
            true,
            json!({"a": {"type": "string"}, "b": {"type": "string"}})
        ),
        version(
            "v2",
            false,
            json!({"a": {"type": "string"}, "c": {"type": "string"}})
        ),
    ]);
    definition
}

pub(crate) fn cases() -> Vec<Case> {
    let v2 = "/apis/{group}/v2/namespaces/{namespace}/widgets";
    let definition = format!("{DEFINITIONS}/widgets.{{group}}");
    vec![
        case("an object is seen in each version, with what that knows")
            .define(two())
            .post(WIDGETS, widget("a", json!({"a": "1", "b": "2"})))
            .is(201)
            .with(json!({"apiVersion": "{group}/v1", "spec": {"a": "1", "b": "2"}}))
            .until(v2)
            .is(200)
            .get(format!("{v2}/a"))
            .is(200)
            .with(json!({"apiVersion": "{group}/v2", "spec": {"a": "1"}}))
            .get(v2)
            .is(200)
            .with(json!({"apiVersion": "{group}/v2", "items": [{"apiVersion": "{group}/v2", "kind": "Widget"}]})),
        case("a write through one version is seen by watches of the other")
            .define(two())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .until(v2)
            .is(200)
            .open("w", format!("{v2}?watch=true&resourceVersion={{version}}"))
            .patch(MERGE, format!("{WIDGETS}/a"), json!({"spec": {"a": "2"}}))
            .is(200)
            .next("w", [json!({"type": "MODIFIED", "object": {"apiVersion": "{group}/v2", "spec": {"a": "2"}}})]),
        case("an object names the version of the path")
            .define(two())
            .until(v2)
            .is(200)
            .post(v2, widget("a", json!({})))
            .refused(
                400,
                "BadRequest",
                containing("the API version in the data ({group}/v1) does not match the expected API version ({group}/v2)"),
            ),
        case("managed fields name the version that was written through")
            .define(two())
            .until(v2)
            .is(200)
            .post(format!("{v2}?fieldManager=m"), json!({
                "apiVersion": "{group}/v2", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"a": "1"},
            }))
            .is(201)
            .with(json!({"metadata": {"managedFields": [{"manager": "m", "apiVersion": "{group}/v2"}]}})),
        case("another version may be stored, and the first is remembered")
            .define(two())
            .patch(MERGE, &definition, json!({"spec": {"versions": [
                version("v1", false, json!({"a": {"type": "string"}})),
                version("v2", true, json!({"a": {"type": "string"}})),
            ]}}))
            .is(200)
            .until(&definition)
            .is(200)
            .with(json!({"status": {"storedVersions": ["v1", "v2"]}})),
        case("a version that objects may be stored in cannot be removed")
            .define(two())
            .patch(MERGE, &definition, json!({"spec": {"versions": [version("v2", true, json!({}))]}}))
            .is(422)
            .with(json!({"message": containing("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions")})),
        case("versions have different names")
            .post(DEFINITIONS, {
                let mut definition = two();
                definition["spec"]["versions"][1]["name"] = json!("v1");
                definition
            })
            .is(422)
            .with(json!({"message": containing("must contain unique version names")})),
    ]
}
