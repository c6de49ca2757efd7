//! The paths of a type and what can be done there, in the words of OpenAPI v2 or v3.
//!
//! Clients read little of this, but kubectl does look for the `fieldValidation` and `dryRun` parameters of the
//! patch operation of a kind before it uses them.

use serde_json::{Map, Value, json};

use super::{ServedType, v3::list_name};

/// Which specification to write.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    V2,
    V3,
}

const JSON: &str = "application/json";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
];
/// kubectl reads here for which kinds it may send strategic merge patches; custom resources refuse them.
const BUILT_IN_PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Adds the paths of a type.
pub(super) fn describe(served: &ServedType, schema: &str, style: Style, paths: &mut Map<String, Value>) {
    let writer = Writer { served, style };
    let root = match served.group.is_empty() {
        true => format!("/api/{}", served.version),
        false => format!("/apis/{}/{}", served.group, served.version),
    };
    let scope = if served.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}{scope}/{}", served.plural);
    let create = writer.operation("post", "create", schema, Some((schema, &[JSON])), WRITE);
    if served.create_only {
        paths.insert(collection.clone(), writer.path(&[("post", create)], false));
        return;
    }
    let list = writer.operation("get", "list", &list_name(served), None, LIST);
    let delete_all = writer.operation(
        "delete",
        "deletecollection",
        STATUS,
        Some((DELETE_OPTIONS, &[JSON])),
        LIST,
    );
    let on_collection = [("get", list.clone()), ("post", create), ("delete", delete_all)];
    paths.insert(collection.clone(), writer.path(&on_collection, false));
    if served.namespaced {
        let all = writer.everywhere(&[("get", list)]);
        paths.insert(format!("{root}/{}", served.plural), all);
    }
    let item = format!("{collection}/{{name}}");
    paths.insert(item.clone(), writer.item(schema, true));
    for subresource in &served.subresources {
        let schema = if subresource == "scale" {
            "io.k8s.api.autoscaling.v1.Scale"
        } else {
            schema
        };
        paths.insert(format!("{item}/{subresource}"), writer.item(schema, false));
    }
}

/// Query parameters: name, type, description.
type Parameters = &'static [(&'static str, &'static str, &'static str)];

const DRY_RUN: (&str, &str, &str) = (
    "dryRun",
    "string",
    "When present, indicates that modifications should not be persisted. An invalid or unrecognized dryRun \
     directive will result in an error response and no further processing of the request. Valid values are: \
     - All: all dry run stages will be processed",
);
const FIELD_MANAGER: (&str, &str, &str) = (
    "fieldManager",
    "string",
    "fieldManager is a name associated with the actor or entity that is making these changes.",
);
const FIELD_VALIDATION: (&str, &str, &str) = (
    "fieldValidation",
    "string",
    "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) containing \
     unknown or duplicate fields. Valid values are: Ignore, Warn, Strict.",
);
const FORCE: (&str, &str, &str) = (
    "force",
    "boolean",
    "Force is going to \"force\" Apply requests. It means user will re-acquire conflicting fields owned by \
     other people. Force flag must be unset for non-apply patch requests.",
);

const READ: Parameters = &[];
const WRITE: Parameters = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
const PATCH: Parameters = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
const DELETE: Parameters = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "The duration in seconds before the object should be deleted.",
    ),
    (
        "propagationPolicy",
        "string",
        "Whether and how garbage collection will be performed.",
    ),
];
const LIST: Parameters = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "allowWatchBookmarks requests watch events with type \"BOOKMARK\".",
    ),
    (
        "continue",
        "string",
        "The continue option should be set when retrieving more results from the server.",
    ),
    (
        "fieldSelector",
        "string",
        "A selector to restrict the list of returned objects by their fields.",
    ),
    (
        "labelSelector",
        "string",
        "A selector to restrict the list of returned objects by their labels.",
    ),
    (
        "limit",
        "integer",
        "limit is a maximum number of responses to return for a list call.",
    ),
    (
        "resourceVersion",
        "string",
        "resourceVersion sets a constraint on what versions a request may be served from.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "resourceVersionMatch determines how resourceVersion is applied to list calls.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "`sendInitialEvents=true` may be set together with `watch=true`.",
    ),
    ("timeoutSeconds", "integer", "Timeout for the list/watch call."),
    (
        "watch",
        "boolean",
        "Watch for changes to the described resources and return them as a stream.",
    ),
];

struct Writer<'t> {
    served: &'t ServedType,
    style: Style,
}

impl Writer<'_> {
    /// The path of one object or of a subresource of it.
    fn item(&self, schema: &str, is_whole: bool) -> Value {
        let patches = if self.served.schema.is_some() {
            PATCHES
        } else {
            BUILT_IN_PATCHES
        };
        let mut operations = vec![
            ("get", self.operation("get", "get", schema, None, READ)),
            (
                "put",
                self.operation("put", "put", schema, Some((schema, &[JSON])), WRITE),
            ),
            (
                "patch",
                self.operation("patch", "patch", schema, Some((PATCH_BODY, patches)), PATCH),
            ),
        ];
        if is_whole {
            let delete = self.operation(
                "delete",
                "delete",
                STATUS,
                Some((DELETE_OPTIONS, &[JSON])),
                DELETE,
            );
            operations.push(("delete", delete));
        }
        self.path(&operations, true)
    }

    fn path(&self, operations: &[(&str, Value)], is_item: bool) -> Value {
        let mut path = self.everywhere(operations);
        let mut parameters = Vec::new();
        if is_item {
            parameters.push(self.parameter(
                "name",
                "path",
                "string",
                &format!("name of the {}", self.served.kind),
            ));
        }
        if self.served.namespaced {
            let description = "object name and auth scope, such as for teams and projects";
            parameters.push(self.parameter("namespace", "path", "string", description));
        }
        if let Some(path) = path.as_object_mut().filter(|_| !parameters.is_empty()) {
            path.insert("parameters".to_owned(), Value::Array(parameters));
        }
        path
    }

    /// A path without parameters.
    fn everywhere(&self, operations: &[(&str, Value)]) -> Value {
        operations
            .iter()
            .map(|(method, operation)| ((*method).to_owned(), operation.clone()))
            .collect()
    }

    fn operation(
        &self,
        method: &str,
        action: &str,
        answer: &str,
        body: Option<(&str, &[&str])>,
        parameters: Parameters,
    ) -> Value {
        let ServedType {
            group, version, kind, ..
        } = self.served;
        let mut parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, ty, description)| self.parameter(name, "query", ty, description))
            .collect();
        let mut operation = json!({
            "description": format!("{action} {kind}"),
            "responses": {"200": self.answer(answer), "401": {"description": "Unauthorized"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let Some(fields) = operation.as_object_mut() else {
            return operation;
        };
        if method == "post"
            && let Some(answers) = fields.get_mut("responses").and_then(Value::as_object_mut)
        {
            answers.insert("201".to_owned(), self.answer(answer));
        }
        if let Some((schema, types)) = body {
            match self.style {
                Style::V3 => {
                    let media = types
                        .iter()
                        .map(|ty| ((*ty).to_owned(), json!({"schema": self.reference(schema)})));
                    let content: Map<String, Value> = media.collect();
                    fields.insert("requestBody".to_owned(), json!({"content": content}));
                }
                Style::V2 => {
                    fields.insert("consumes".to_owned(), json!(types));
                    let schema = self.reference(schema);
                    parameters
                        .push(json!({"in": "body", "name": "body", "required": true, "schema": schema}));
                }
            }
        }
        if self.style == Style::V2 {
            fields.insert("produces".to_owned(), json!([JSON]));
            fields.insert("schemes".to_owned(), json!(["https"]));
        }
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), Value::Array(parameters));
        }
        operation
    }

    fn answer(&self, schema: &str) -> Value {
        let schema = self.reference(schema);
        match self.style {
            Style::V3 => json!({"description": "OK", "content": {JSON: {"schema": schema}}}),
            Style::V2 => json!({"description": "OK", "schema": schema}),
        }
    }

    fn reference(&self, schema: &str) -> Value {
        match (schema, self.style) {
            (PATCH_BODY, _) => json!({"type": "object"}),
            (schema, Style::V3) => json!({"$ref": format!("#/components/schemas/{schema}")}),
            (schema, Style::V2) => json!({"$ref": format!("#/definitions/{schema}")}),
        }
    }

    fn parameter(&self, name: &str, place: &str, ty: &str, description: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place, "description": description});
        let Some(fields) = parameter.as_object_mut() else {
            return parameter;
        };
        if place == "path" {
            fields.insert("required".to_owned(), json!(true));
        }
        let unique = json!(true);
        match self.style {
            Style::V3 => fields.insert("schema".to_owned(), json!({"type": ty, "uniqueItems": unique})),
            Style::V2 => {
                fields.insert("uniqueItems".to_owned(), unique);
                fields.insert("type".to_owned(), json!(ty))
            }
        };
        parameter
    }
}

/// Stands for the body of a patch, which has no schema.
const PATCH_BODY: &str = "";
