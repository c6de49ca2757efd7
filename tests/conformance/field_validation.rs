//! What is done about unknown fields and fields that are there twice.

use serde_json::json;

use crate::case::{APPLY, Case, JSON, MERGE, case};
use crate::expect::{absent, containing, exactly};
use crate::objects::{WIDGETS, config_map, widget, widgets};

pub(crate) fn cases() -> Vec<Case> {
    let unknown = json!({"metadata": {"name": "a", "bogus": 1}, "data": {"k": "v"}, "spam": {"x": 1}});
    let twice = r#"{"metadata": {"name": "a"}, "data": {"k": "1", "k": "2"}}"#;
    let define = |name| {
        case(name).define(widgets(json!({
            "type": "object",
            "properties": {"size": {"type": "integer"}, "list": {"type": "array", "items": {
                "type": "object", "properties": {"a": {"type": "string"}},
            }}},
        })))
    };
    vec![
        case("unknown fields of built-in kinds are refused by Strict")
            .post("{ns}/configmaps?fieldValidation=Strict", unknown.clone())
            .refused(
                400,
                "BadRequest",
                "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"metadata.bogus\", unknown field \"spam\"",
            ),
        case("unknown fields are warned of by Warn")
            .post("{ns}/configmaps?fieldValidation=Warn", unknown.clone())
            .is(201)
            .with(json!({"spam": absent()}))
            .with_header("warning", json!("299 - \"unknown field \\\"metadata.bogus\\\"\"")),
        case("Warn is what is done by default")
            .post("{ns}/configmaps", unknown.clone())
            .is(201)
            .with_header("warning", containing("299 - \"unknown field")),
        case("unknown fields are dropped in silence by Ignore")
            .post("{ns}/configmaps?fieldValidation=Ignore", unknown)
            .is(201)
            .with(json!({"spam": absent(), "metadata": {"bogus": absent()}}))
            .with_header("warning", absent()),
        case("a field that is there twice is refused by Strict")
            .send("POST", "{ns}/configmaps?fieldValidation=Strict", JSON, twice)
            .is(400)
            .with(json!({"reason": "BadRequest", "message": containing("strict decoding error: duplicate field \"data.k\"")})),
        case("a field that is there twice counts as it is the last time")
            .send("POST", "{ns}/configmaps", JSON, twice)
            .is(201)
            .with(json!({"data": {"k": "2"}}))
            .with_header("warning", json!("299 - \"duplicate field \\\"data.k\\\"\"")),
        case("patches are validated as what they make")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .patch(MERGE, "{ns}/configmaps/a?fieldValidation=Strict", json!({"spam": 1}))
            .is(422)
            .with(json!({"reason": "Invalid", "message": containing("strict decoding error: unknown field \"spam\"")}))
            .patch(MERGE, "{ns}/configmaps/a?fieldValidation=Warn", json!({"spam": 1}))
            .is(200)
            .with_header("warning", json!("299 - \"unknown field \\\"spam\\\"\"")),
        define("unknown fields of custom kinds are refused by Strict")
            .post(
                format!("{WIDGETS}?fieldValidation=Strict"),
                widget("a", json!({"size": 1, "bogus": 2, "list": [{"a": "x", "b": "y"}]})),
            )
            .refused(
                400,
                "BadRequest",
                "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.bogus\", unknown field \"spec.list[0].b\"",
            ),
        define("unknown fields of custom kinds are pruned with a warning")
            .post(WIDGETS, widget("a", json!({"size": 1, "bogus": 2})))
            .is(201)
            .with(json!({"spec": exactly(json!({"size": 1}))}))
            .with_header("warning", json!("299 - \"unknown field \\\"spec.bogus\\\"\"")),
        define("unknown metadata of custom objects")
            .post(
                format!("{WIDGETS}?fieldValidation=Strict"),
                json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a", "bogus": 1}}),
            )
            .is(400)
            .with(json!({"message": containing("unknown field \"metadata.bogus\"")})),
        define("apply to custom kinds refuses unknown fields by Strict")
            .patch(APPLY, format!("{WIDGETS}/a?fieldManager=m&fieldValidation=Strict"), widget("a", json!({"bogus": 2})))
            .is(500)
            .with(json!({"message": containing(".spec.bogus: field not declared in schema")})),
        case("there is no other validation")
            .post("{ns}/configmaps?fieldValidation=Some", config_map("a", json!({})))
            .refused(
                422,
                "Invalid",
                "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Some\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
            ),
        case("a wrong type is refused whatever the validation")
            .post("{ns}/configmaps?fieldValidation=Ignore", json!({"metadata": {"name": "a"}, "data": {"k": 1}}))
            .refused(
                400,
                "BadRequest",
                "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
    ]
}
