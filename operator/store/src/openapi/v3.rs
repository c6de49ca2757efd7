//! OpenAPI v3: one document of a group and version.

use serde_json::{Map, Value, json};

use super::{
    ServedType,
    operations::{self, Style},
};
use crate::schema::{builtin_definitions, meta_definitions, object_meta_definitions};

/// Where schemas stand in a document.
const PREFIX: &str = "#/components/schemas/";

pub(super) fn document(types: &[ServedType]) -> Value {
    let mut schemas = definitions(types);
    schemas.iter_mut().for_each(|(_, schema)| wrap_references(schema));
    let mut paths = Map::new();
    for served in types {
        operations::describe(served, &schema_name(served), Style::V3, &mut paths);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The schemas of these types, of their lists, and all that they refer to.
pub(super) fn definitions(types: &[ServedType]) -> Map<String, Value> {
    let mut schemas = meta_definitions().clone();
    for served in types {
        let name = schema_name(served);
        if let Some(custom) = &served.schema {
            schemas.insert(name.clone(), custom_resource(custom));
        } else if let Some(definitions) = builtin_definitions(&served.group, &served.version, &served.kind) {
            schemas.extend(
                definitions
                    .schemas
                    .iter()
                    .map(|(name, schema)| (name.clone(), schema.clone())),
            );
        } else {
            schemas.insert(name.clone(), json!({"type": "object"}));
        }
        let gvk = json!({"group": served.group, "version": served.version, "kind": served.kind});
        if let Some(schema) = schemas.get_mut(&name).and_then(Value::as_object_mut) {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk]));
        }
        if !served.create_only {
            schemas.insert(list_name(served), list(served, &name));
        }
    }
    schemas
}

/// The name of the schema of a type: that of Kubernetes for built-in kinds, else the group reversed.
pub(super) fn schema_name(served: &ServedType) -> String {
    if served.schema.is_none()
        && let Some(definitions) = builtin_definitions(&served.group, &served.version, &served.kind)
    {
        return definitions.root.clone();
    }
    let group: Vec<&str> = served.group.split('.').rev().collect();
    format!("{}.{}.{}", group.join("."), served.version, served.kind)
}

/// The name of the schema of lists of a type.
pub(super) fn list_name(served: &ServedType) -> String {
    let name = schema_name(served);
    let package = name.rsplit_once('.').map_or("", |(package, _)| package);
    format!("{package}.{}", served.list_kind)
}

/// A custom resource's schema with the fields that every object has.
fn custom_resource(schema: &Value) -> Value {
    let mut schema = schema.clone();
    describe_embedded(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.entry("type").or_insert_with(|| json!("object"));
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(resource_fields());
        }
    }
    schema
}

/// The fields that every object has.
fn resource_fields() -> [(String, Value); 3] {
    let reference = format!("{PREFIX}{}", object_meta_definitions().root);
    let description = "Standard object's metadata. More info: \
                       https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
    [
        ("apiVersion".to_owned(), type_meta("apiVersion")),
        ("kind".to_owned(), type_meta("kind")),
        (
            "metadata".to_owned(),
            json!({"$ref": reference, "description": description}),
        ),
    ]
}

/// Resources within a resource have these fields too.
fn describe_embedded(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(describe_embedded);
            if object.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
                object.insert("required".to_owned(), json!(["apiVersion", "kind"]));
                let properties = object.entry("properties").or_insert_with(|| json!({}));
                if let Some(properties) = properties.as_object_mut() {
                    properties.extend(resource_fields());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(describe_embedded),
        _ => {}
    }
}

fn type_meta(field: &str) -> Value {
    let properties = meta_definitions()
        .get("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
        .and_then(|schema| schema.get("properties"));
    properties
        .and_then(|properties| properties.get(field))
        .cloned()
        .unwrap_or_else(|| json!({"type": "string"}))
}

fn list(served: &ServedType, item: &str) -> Value {
    let meta = format!("{PREFIX}io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta");
    json!({
        "description": format!("{} is a list of {}", served.list_kind, served.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": type_meta("apiVersion"),
            "kind": type_meta("kind"),
            "metadata": {"$ref": meta, "description": "Standard list metadata."},
            "items": {
                "description": format!("List of {}", served.plural),
                "type": "array",
                "items": {"$ref": format!("{PREFIX}{item}")},
            },
        },
        "x-kubernetes-group-version-kind":
            [{"group": served.group, "version": served.version, "kind": served.list_kind}],
    })
}

/// In OpenAPI 3.0 nothing may stand beside a `$ref`; it is moved into an `allOf` of its own.
fn wrap_references(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.len() > 1
                && let Some(Value::String(reference)) = object.get("$ref").cloned()
            {
                object.shift_remove("$ref");
                object.insert("allOf".to_owned(), json!([{"$ref": reference}]));
            }
            object.values_mut().for_each(wrap_references);
        }
        Value::Array(items) => items.iter_mut().for_each(wrap_references),
        _ => {}
    }
}
