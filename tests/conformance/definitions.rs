//! Definitions of custom kinds: their life, what of a schema is refused, and what their names must be.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::{any, containing, with_item};
use crate::objects::{DEFINITIONS, WIDGETS, widget, widgets, widgets_as};

/// A definition whose `spec` is changed by this.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut definition = widgets(json!({"type": "object"}));
    change(&mut definition["spec"]);
    definition
}

pub(crate) fn cases() -> Vec<Case> {
    let path = format!("{DEFINITIONS}/widgets.{{group}}");
    let mut cases = vec![
        case("a definition is accepted, established, and completed")
            .define(changed(|spec| spec["names"] = json!({"kind": "Widget", "plural": "widgets"})))
            .get(&path)
            .is(200)
            .with(json!({
                "spec": {
                    "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
                    "conversion": {"strategy": "None"}, "scope": "Namespaced",
                },
                "metadata": {"generation": 1},
                "status": {
                    "acceptedNames": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
                    "storedVersions": ["v1"],
                    "conditions": with_item(json!({"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": any()})),
                },
            }))
            .with(json!({"status": {"conditions": with_item(json!({
                "type": "Established", "status": "True", "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted",
            }))}})),
        case("a definition ends with its objects")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .delete(&path)
            .is(200)
            .until(&path)
            .is(404)
            .until(WIDGETS)
            .is(404)
            .define(widgets(json!({"type": "object"})))
            .get(WIDGETS)
            .is(200)
            .with(json!({"items": []})),
        case("a definition waits for finalizers of its objects")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a", "finalizers": ["x.test/y"]},
            }))
            .is(201)
            .delete(&path)
            .is(200)
            .until(format!("{WIDGETS}/a"))
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": any()}}))
            .until(&path)
            .is(200)
            .with(json!({"status": {"conditions": with_item(json!({"type": "Terminating", "status": "True"}))}}))
            .patch(MERGE, format!("{WIDGETS}/a"), json!({"metadata": {"finalizers": null}}))
            .is(200)
            .until(&path)
            .is(404),
        case("a version that is not served is not there")
            .define(changed(|spec| {
                spec["versions"] = json!([
                    {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
                    {"name": "v2", "served": false, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
                ]);
            }))
            .get("/apis/{group}/v2/widgets")
            .is(404),
        case("cluster-wide kinds have no namespace")
            .post(DEFINITIONS, changed(|spec| spec["scope"] = json!("Cluster")))
            .is(201)
            .until("/apis/{group}/v1/widgets")
            .is(200)
            .post("/apis/{group}/v1/widgets", widget("a", json!({})))
            .is(201)
            .get("/apis/{group}/v1/widgets/a")
            .is(200)
            .get(WIDGETS)
            .is(404)
            .delete("/apis/{group}/v1/widgets/a")
            .is(200),
        case("the status of a definition has what others add to it")
            .define(widgets(json!({"type": "object"})))
            .get(format!("{path}/status"))
            .is(200)
            .with(json!({"kind": "CustomResourceDefinition", "status": {"storedVersions": ["v1"]}}))
            .patch("application/json-patch+json", format!("{path}/status"), json!([{
                "op": "add", "path": "/status/conditions/-",
                "value": {"type": "Tested", "status": "True", "reason": "Test", "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            }]))
            .is(200)
            .with(json!({"status": {"conditions": with_item(json!({"type": "Tested", "reason": "Test"}))}}))
            .get(&path)
            .is(200)
            .with(json!({"status": {"conditions": with_item(json!({"type": "Tested"}))}}))
            .with(json!({"status": {"conditions": with_item(json!({"type": "Established", "status": "True"}))}})),
        case("the scope of a definition cannot change")
            .define(widgets(json!({"type": "object"})))
            .patch(MERGE, &path, json!({"spec": {"scope": "Cluster"}}))
            .refused(
                422,
                "Invalid",
                "CustomResourceDefinition.apiextensions.k8s.io \"widgets.{group}\" is invalid: spec.scope: Invalid value: \"Cluster\": field is immutable",
            ),
        case("groups that belong to Kubernetes need its approval")
            .post(DEFINITIONS, {
                let mut definition = changed(|spec| spec["group"] = json!("{unique}.k8s.io"));
                definition["metadata"]["name"] = json!("widgets.{unique}.k8s.io");
                definition
            })
            .is(422)
            .with(json!({"message": containing("metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation \"api-approved.kubernetes.io\"")})),
    ];
    cases.extend(SCHEMAS.iter().map(|(name, schema, field, message)| {
        let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
        case(name)
            .post(DEFINITIONS, widgets_as(schema))
            .is(422)
            .with(json!({"reason": "Invalid", "details": {
                "name": "widgets.{group}", "group": "apiextensions.k8s.io", "kind": "CustomResourceDefinition",
                "causes": with_item(json!({
                    "field": format!("spec.validation.openAPIV3Schema{field}"), "message": containing(message),
                })),
            }}))
    }));
    cases.extend(refusals().into_iter().map(|(name, definition, field, message)| {
        case(name).post(DEFINITIONS, definition).is(422).with(
            json!({"reason": "Invalid", "details": {"causes": with_item(json!({
                "field": field, "message": containing(message),
            }))}}),
        )
    }));
    cases
}

/// Schemas that are not structural or otherwise wrong, where, and what is said of them. A definition has one schema,
/// which the server reports as that of all versions.
const SCHEMAS: &[(&str, &str, &str, &str)] = &[
    (
        "a schema needs a type at its root",
        r#"{}"#,
        ".type",
        "Required value: must not be empty at the root",
    ),
    (
        "a schema is of an object at its root",
        r#"{"type": "string"}"#,
        ".type",
        "Invalid value: \"string\": must be object at the root",
    ),
    (
        "each property of a schema needs a type",
        r#"{"type": "object", "properties": {"spec": {"description": "x"}}}"#,
        ".properties[spec].type",
        "Required value: must not be empty for specified object fields",
    ),
    (
        "items of a schema need a type",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "items": {}}}}"#,
        ".properties[spec].items.type",
        "Required value: must not be empty for specified array items",
    ),
    (
        "an array needs its items",
        r#"{"type": "object", "properties": {"spec": {"type": "array"}}}"#,
        ".properties[spec].items",
        "Required value: must be specified",
    ),
    (
        "a type must be one that there is",
        r#"{"type": "object", "properties": {"spec": {"type": "text"}}}"#,
        ".properties[spec].type",
        "Unsupported value: \"text\": supported values:",
    ),
    (
        "properties and additional properties exclude each other",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}}}"#,
        ".properties[spec].additionalProperties",
        "Forbidden: additionalProperties and properties are mutual exclusive",
    ),
    (
        "references to other schemas are not followed",
        r##"{"type": "object", "properties": {"spec": {"$ref": "#/x"}}}"##,
        ".properties[spec].$ref",
        "Forbidden: $ref is not supported",
    ),
    (
        "types within alternatives are not structural",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "anyOf": [{"type": "object"}]}}}"#,
        ".properties[spec].anyOf[0].type",
        "Forbidden: must be empty to be structural",
    ),
    (
        "uniqueItems is too slow to be allowed",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}}}"#,
        ".properties[spec].uniqueItems",
        "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    ),
    (
        "a default must be what its schema allows",
        r#"{"type": "object", "properties": {"spec": {"type": "integer", "default": "one"}}}"#,
        ".properties[spec].default",
        "Invalid value: \"string\"",
    ),
    (
        "a default may not have what would be pruned",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": 1}}}}"#,
        ".properties[spec].default",
        "Invalid value: {\"b\":1}: must not have unknown fields",
    ),
    (
        "a pattern must be a regular expression",
        r#"{"type": "object", "properties": {"spec": {"type": "string", "pattern": "("}}}"#,
        ".properties[spec].pattern",
        "must be a valid regular expression, but isn't: ",
    ),
    (
        "a list map needs keys",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}}}"#,
        ".properties[spec].x-kubernetes-list-map-keys",
        "Required value: must not be empty if x-kubernetes-list-type is map",
    ),
    (
        "keys of a list map are required or have defaults",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "properties": {"a": {"type": "string"}}}}}}"#,
        ".properties[spec].items.properties[a].default",
        "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
    ),
    (
        "keys of a list map are properties of its items",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["b"], "items": {"type": "object", "properties": {"a": {"type": "string"}}}}}}"#,
        ".properties[spec].x-kubernetes-list-map-keys",
        "Invalid value: [\"b\"]: entries must all be names of item properties",
    ),
    (
        "a list type must be one that there is",
        r#"{"type": "object", "properties": {"spec": {"type": "array", "x-kubernetes-list-type": "bag", "items": {"type": "string"}}}}"#,
        ".properties[spec].x-kubernetes-list-type",
        "Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
    ),
    (
        "metadata has only names restricted",
        r#"{"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}"#,
        ".properties[metadata]",
        "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
    ),
    (
        "a rule must be an expression",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "self +"}]}}}"#,
        ".properties[spec].x-kubernetes-validations[0].rule",
        "compilation failed: ERROR: <input>:1:7: Syntax error: mismatched input '<EOF>'",
    ),
    (
        "a rule must be true or false",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": "self.a"}]}}}"#,
        ".properties[spec].x-kubernetes-validations[0].rule",
        "cel expression must evaluate to a bool",
    ),
    (
        "a rule knows the fields of its schema",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": "self.b == 'x'"}]}}}"#,
        ".properties[spec].x-kubernetes-validations[0].rule",
        "undefined field 'b'",
    ),
    (
        "a rule's message may have no line breaks",
        r#"{"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "true", "message": "a\nb"}]}}}"#,
        ".properties[spec].x-kubernetes-validations[0].message",
        "Invalid value: \"a\\nb\": must not contain line breaks",
    ),
];

fn refusals() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        (
            "a definition is named for its plural and group",
            {
                let mut definition = widgets(json!({"type": "object"}));
                definition["metadata"]["name"] = json!("gadgets.{group}");
                definition
            },
            "metadata.name",
            "Invalid value: \"gadgets.{group}\": must be spec.names.plural+\".\"+spec.group",
        ),
        (
            "a definition has versions",
            changed(|spec| spec["versions"] = json!([])),
            "spec.versions",
            "Invalid value: []: must have exactly one version marked as storage version",
        ),
        (
            "one version is stored",
            changed(|spec| spec["versions"][0]["storage"] = json!(false)),
            "spec.versions",
            "must have exactly one version marked as storage version",
        ),
        (
            "each version has a schema",
            changed(|spec| spec["versions"][0]["schema"] = Value::Null),
            "spec.versions[0].schema.openAPIV3Schema",
            "Required value",
        ),
        (
            "a version's name is a label",
            changed(|spec| spec["versions"][0]["name"] = json!("V_1")),
            "spec.versions[0].name",
            "Invalid value: \"V_1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-'",
        ),
        (
            "a scope must be one that there is",
            changed(|spec| spec["scope"] = json!("Galaxy")),
            "spec.scope",
            "Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (
            "a kind's name is an identifier",
            changed(|spec| spec["names"]["kind"] = json!("My Kind")),
            "spec.names.kind",
            "may have mixed case, but should otherwise match: a DNS-1035 label",
        ),
        (
            "a column's path is one of JSON",
            changed(|spec| {
                spec["versions"][0]["additionalPrinterColumns"] =
                    json!([{"name": "A", "type": "string", "jsonPath": "spec.a"}]);
            }),
            "spec.additionalPrinterColumns[0].JSONPath",
            "must be a simple json path starting with .",
        ),
        (
            "a column's type must be one that there is",
            changed(|spec| {
                spec["versions"][0]["additionalPrinterColumns"] =
                    json!([{"name": "A", "type": "text", "jsonPath": ".spec.a"}]);
            }),
            "spec.additionalPrinterColumns[0].type",
            "must be one of boolean,date,integer,number,string",
        ),
        (
            "a scale says where replicas are",
            changed(|spec| {
                spec["versions"][0]["subresources"] =
                    json!({"scale": {"specReplicasPath": ".a.b", "statusReplicasPath": ".status.b"}});
            }),
            "spec.subresources.scale.specReplicasPath",
            "Invalid value: \".a.b\": should be a json path under .spec",
        ),
    ]
}
