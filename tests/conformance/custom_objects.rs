//! Custom objects against their schema: validation, defaults, and pruning.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, exactly, with_item};
use crate::objects::{DEFINITIONS, WIDGETS, widget, widgets};

/// A change of the definition of widgets, to that schema of `spec`.
fn new_schema(spec: Value) -> Value {
    json!({"spec": {"versions": [{
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }]}})
}

/// A schema for `spec`, a `spec`, the field that it is wrong in, and what is said of it.
const VALUES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "a type",
        r#"{"a": {"type": "integer"}}"#,
        r#"{"a": "x"}"#,
        "spec.a",
        "Invalid value: \"string\": spec.a in body must be of type integer: \"string\"",
    ),
    (
        "a type of nothing",
        r#"{"a": {"type": "string", "minLength": 1}}"#,
        r#"{"a": {}}"#,
        "spec.a",
        "Invalid value: \"object\": spec.a in body must be of type string: \"object\"",
    ),
    (
        "a minimum",
        r#"{"a": {"type": "integer", "minimum": 2}}"#,
        r#"{"a": 1}"#,
        "spec.a",
        "Invalid value: 1: spec.a in body should be greater than or equal to 2",
    ),
    (
        "a minimum that is excluded",
        r#"{"a": {"type": "integer", "minimum": 2, "exclusiveMinimum": true}}"#,
        r#"{"a": 2}"#,
        "spec.a",
        "Invalid value: 2: spec.a in body should be greater than 2",
    ),
    (
        "a maximum",
        r#"{"a": {"type": "number", "maximum": 2}}"#,
        r#"{"a": 3}"#,
        "spec.a",
        "Invalid value: 3: spec.a in body should be less than or equal to 2",
    ),
    (
        "a multiple",
        r#"{"a": {"type": "integer", "multipleOf": 3}}"#,
        r#"{"a": 4}"#,
        "spec.a",
        "Invalid value: 4: spec.a in body should be a multiple of 3",
    ),
    (
        "a least length",
        r#"{"a": {"type": "string", "minLength": 3}}"#,
        r#"{"a": "äö"}"#,
        "spec.a",
        "Invalid value: \"äö\": spec.a in body should be at least 3 chars long",
    ),
    (
        "a greatest length",
        r#"{"a": {"type": "string", "maxLength": 2}}"#,
        r#"{"a": "abc"}"#,
        "spec.a",
        "Too long: may not be more than 2 bytes",
    ),
    (
        "a pattern",
        r#"{"a": {"type": "string", "pattern": "^[a-z]+$"}}"#,
        r#"{"a": "A"}"#,
        "spec.a",
        "Invalid value: \"A\": spec.a in body should match '^[a-z]+$'",
    ),
    (
        "values that there are",
        r#"{"a": {"type": "string", "enum": ["x", "y"]}}"#,
        r#"{"a": "z"}"#,
        "spec.a",
        "Unsupported value: \"z\": supported values: \"x\", \"y\"",
    ),
    (
        "a format",
        r#"{"a": {"type": "string", "format": "date-time"}}"#,
        r#"{"a": "today"}"#,
        "spec.a",
        "Invalid value: \"today\": spec.a in body must be of type date-time: \"today\"",
    ),
    (
        "items at least",
        r#"{"a": {"type": "array", "minItems": 2, "items": {"type": "string"}}}"#,
        r#"{"a": ["x"]}"#,
        "spec.a",
        "Invalid value: 1: spec.a in body should have at least 2 items",
    ),
    (
        "items at most",
        r#"{"a": {"type": "array", "maxItems": 1, "items": {"type": "string"}}}"#,
        r#"{"a": ["x", "y"]}"#,
        "spec.a",
        "Too many: 2: must have at most 1 item",
    ),
    (
        "properties at most",
        r#"{"a": {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}}"#,
        r#"{"a": {"x": "1", "y": "2"}}"#,
        "spec.a",
        "Too many: 2: must have at most 1 item",
    ),
    (
        "properties at least",
        r#"{"a": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}}"#,
        r#"{"a": {}}"#,
        "spec.a",
        "Invalid value: 0: spec.a in body should have at least 1 properties",
    ),
    (
        "a property that is required",
        r#"{"a": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}}"#,
        r#"{"a": {}}"#,
        "spec.a.b",
        "Required value",
    ),
    (
        "items of a list",
        r#"{"a": {"type": "array", "items": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}}}"#,
        r#"{"a": [{"b": "x"}, {}]}"#,
        "spec.a[1].b",
        "Required value",
    ),
    (
        "values of a map",
        r#"{"a": {"type": "object", "additionalProperties": {"type": "integer"}}}"#,
        r#"{"a": {"k": "x"}}"#,
        "spec.a.k",
        "Invalid value: \"string\": spec.a.k in body must be of type integer: \"string\"",
    ),
    (
        "an item twice in a set",
        r#"{"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}"#,
        r#"{"a": ["x", "x"]}"#,
        "spec.a[1]",
        "Duplicate value: \"x\"",
    ),
    (
        "a key twice in a list map",
        r#"{"a": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}}}"#,
        r#"{"a": [{"k": "x"}, {"k": "x"}]}"#,
        "spec.a[1]",
        "Duplicate value: {\"k\":\"x\"}",
    ),
    (
        "int-or-string",
        r#"{"a": {"x-kubernetes-int-or-string": true}}"#,
        r#"{"a": true}"#,
        "spec.a",
        "Invalid value: \"boolean\": spec.a in body must be of type integer,string: \"boolean\"",
    ),
    (
        "an embedded object",
        r#"{"a": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}"#,
        r#"{"a": {"apiVersion": "v1", "spec": 1}}"#,
        "spec.a.kind",
        "Required value",
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    let path = format!("{WIDGETS}/a");
    let parsed = |text: &str| -> Value { serde_json::from_str(text).expect("a table has JSON in it") };
    let mut cases: Vec<Case> = VALUES
        .iter()
        .map(|(name, properties, spec, field, message)| {
            let schema = json!({"type": "object", "properties": parsed(properties)});
            case(name)
                .define(widgets(schema))
                .post(WIDGETS, widget("a", parsed(spec)))
                .refused(
                    422,
                    "Invalid",
                    format!("Widget.{{group}} \"a\" is invalid: {field}: {message}"),
                )
                .with(json!({"details": {
                    "name": "a", "group": "{group}", "kind": "Widget", "causes": [{"field": field, "message": message}],
                }}))
        })
        .collect();
    cases.extend([
        case("all that is wrong is said at once")
            .define(widgets(json!({"type": "object", "required": ["c"], "properties": {
                "a": {"type": "integer", "minimum": 2}, "b": {"type": "string", "enum": ["x"]}, "c": {"type": "string"},
            }})))
            .post(WIDGETS, widget("a", json!({"a": 1, "b": "y"})))
            .is(422)
            .with(json!({"details": {"causes": with_item(json!({"reason": "FieldValueRequired", "field": "spec.c"}))}}))
            .with(json!({"details": {"causes": with_item(json!({"reason": "FieldValueInvalid", "field": "spec.a"}))}}))
            .with(json!({"details": {"causes": with_item(json!({"reason": "FieldValueNotSupported", "field": "spec.b"}))}})),
        case("alternatives: at least one, exactly one, all, none")
            .define(widgets(json!({"type": "object", "properties": {
                "a": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                      "oneOf": [{"required": ["x"]}, {"required": ["y"]}]},
                "b": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                      "anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
                "c": {"type": "object", "properties": {"x": {"type": "string"}}, "not": {"required": ["x"]}},
            }})))
            .post(WIDGETS, widget("a", json!({"a": {"x": "1"}, "b": {"x": "1", "y": "1"}, "c": {}})))
            .is(201)
            .post(WIDGETS, widget("b", json!({"a": {"x": "1", "y": "1"}})))
            .is(422)
            .with(json!({"details": {"causes": with_item(json!({
                "field": "<nil>", "message": "Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            }))}}))
            .post(WIDGETS, widget("b", json!({"c": {"x": "1"}})))
            .is(422)
            .with(json!({"details": {"causes": with_item(json!({
                "field": "<nil>", "message": "Invalid value: \"\": \"spec.c\" must not validate the schema (not)",
            }))}})),
        case("defaults are filled in, at any depth, on writes and on reads")
            .define(widgets(json!({"type": "object", "default": {}, "properties": {
                "size": {"type": "integer", "default": 3},
                "inner": {"type": "object", "properties": {"on": {"type": "boolean", "default": true}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "count": {"type": "integer", "default": 1},
                }}},
            }})))
            .post(WIDGETS, json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a"}}))
            .is(201)
            .with(json!({"spec": exactly(json!({"size": 3}))}))
            .post(WIDGETS, widget("b", json!({"size": null, "inner": {}, "list": [{"name": "x"}, {"name": "y", "count": 2}]})))
            .is(201)
            .with(json!({"spec": exactly(json!({
                "size": 3, "inner": {"on": true}, "list": [{"name": "x", "count": 1}, {"name": "y", "count": 2}],
            }))}))
            .patch(MERGE, format!("{WIDGETS}/b"), json!({"spec": {"size": null}}))
            .is(200)
            .with(json!({"spec": {"size": 3}})),
        case("a null that is allowed stays, and has no default")
            .define(widgets(json!({"type": "object", "properties": {
                "a": {"type": "string", "nullable": true, "default": "x"}, "b": {"type": "string", "nullable": true},
            }})))
            .post(WIDGETS, widget("a", json!({"a": null, "b": null})))
            .is(201)
            .with(json!({"spec": exactly(json!({"a": null, "b": null}))})),
        case("a null that is not allowed and has no default is dropped")
            .define(widgets(json!({"type": "object", "properties": {"a": {"type": "string"}}})))
            .post(WIDGETS, widget("a", json!({"a": null})))
            .is(201)
            .with(json!({"spec": exactly(json!({}))})),
        case("unknown fields are pruned, unless they are to be kept")
            .define(widgets(json!({"type": "object", "properties": {
                "known": {"type": "object", "properties": {"a": {"type": "string"}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                    "tidy": {"type": "object", "properties": {"a": {"type": "string"}}},
                }},
                "raw": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            }})))
            .post(WIDGETS, widget("a", json!({
                "known": {"a": "1", "b": "2"}, "other": 1,
                "free": {"x": {"y": 1}, "tidy": {"a": "1", "b": "2"}},
                "raw": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "bogus": 1}, "data": {"k": "v"}},
            })))
            .is(201)
            .with(json!({"spec": exactly(json!({
                "known": {"a": "1"}, "free": {"x": {"y": 1}, "tidy": {"a": "1"}},
                "raw": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": "v"}},
            }))})),
        case("fields beside spec that no schema knows are pruned too")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "extra": 1}))
            .is(201)
            .with(json!({"extra": absent()})),
        case("an object that is no longer valid may be changed elsewhere, and not made worse")
            .define(widgets(json!({"type": "object", "properties": {
                "a": {"type": "string"}, "b": {"type": "string"},
            }})))
            .post(WIDGETS, widget("a", json!({"a": "long", "b": "x"})))
            .is(201)
            .patch(
                MERGE,
                format!("{DEFINITIONS}/widgets.{{group}}"),
                new_schema(json!({"type": "object", "properties": {
                    "a": {"type": "string", "maxLength": 2}, "b": {"type": "string"},
                }})),
            )
            .is(200)
            .repeat("POST", format!("{WIDGETS}?dryRun=All"), widget("b", json!({"a": "long"})))
            .is(422)
            .patch(MERGE, &path, json!({"spec": {"b": "y"}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"a": "longer"}}))
            .is(422),
        case("an object that breaks a rule that is new may be changed elsewhere")
            .define(widgets(json!({"type": "object", "properties": {
                "a": {"type": "string"}, "b": {"type": "string"},
            }})))
            .post(WIDGETS, widget("a", json!({"a": "bad", "b": "x"})))
            .is(201)
            .patch(
                MERGE,
                format!("{DEFINITIONS}/widgets.{{group}}"),
                new_schema(json!({"type": "object", "properties": {
                    "a": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'bad'"}]}, "b": {"type": "string"},
                }})),
            )
            .is(200)
            .repeat("POST", format!("{WIDGETS}?dryRun=All"), widget("b", json!({"a": "bad"})))
            .is(422)
            .patch(MERGE, &path, json!({"spec": {"b": "y"}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"a": "good"}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"a": "bad"}}))
            .is(422),
        case("a default that is new is seen in objects that are older")
            .define(widgets(json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}})))
            .post(WIDGETS, widget("a", json!({"a": "x"})))
            .is(201)
            .patch(
                MERGE,
                format!("{DEFINITIONS}/widgets.{{group}}"),
                new_schema(json!({"type": "object", "properties": {
                    "a": {"type": "string"}, "b": {"type": "string", "default": "new"},
                }})),
            )
            .is(200)
            .until(&path)
            .is(200)
            .with(json!({"spec": {"a": "x", "b": "new"}}))
            .until(WIDGETS)
            .is(200)
            .with(json!({"items": [{"spec": {"a": "x", "b": "new"}}]})),
        case("the generation counts changes of all but metadata")
            .define(widgets(json!({"type": "object", "properties": {"a": {"type": "string"}}})))
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .with(json!({"metadata": {"generation": 1}}))
            .patch(MERGE, &path, json!({"metadata": {"labels": {"x": "y"}}}))
            .is(200)
            .with(json!({"metadata": {"generation": 1}}))
            .patch(MERGE, &path, json!({"spec": {"a": "2"}}))
            .is(200)
            .with(json!({"metadata": {"generation": 2}}))
            .patch(MERGE, &path, json!({"status": {"a": "2"}}))
            .is(200)
            .with(json!({"metadata": {"generation": 3}, "status": {"a": "2"}}))
            .patch(MERGE, &path, json!({"metadata": {"generation": 9}}))
            .is(200)
            .with(json!({"metadata": {"generation": 3}})),
    ]);
    cases
}
