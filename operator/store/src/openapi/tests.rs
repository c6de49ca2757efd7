#![allow(clippy::unwrap_used)]

use super::*;

fn builtin(group: &str, kind: &str, plural: &str) -> ServedType {
    ServedType {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        namespaced: true,
        schema: None,
        subresources: Vec::new(),
        create_only: false,
    }
}

fn custom(field: &str) -> ServedType {
    let schema = json!({"type": "object", "description": "A cutover.", "properties": {
        "spec": {"type": "object", "properties": {field: {"type": "string", "description": "Said so."}}},
        "status": {"type": "object"},
    }});
    ServedType {
        group: "homeport.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        schema: Some(Arc::new(schema)),
        subresources: vec!["status".to_owned()],
        ..builtin("", "Cutover", "cutovers")
    }
}

fn types(field: &str) -> Vec<ServedType> {
    vec![
        builtin("", "ConfigMap", "configmaps"),
        builtin("apps", "Deployment", "deployments"),
        ServedType {
            create_only: true,
            ..builtin(
                "authorization.k8s.io",
                "SelfSubjectAccessReview",
                "selfsubjectaccessreviews",
            )
        },
        custom(field),
    ]
}

fn parsed(document: &Document) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

/// Every reference of a document, which must lead somewhere.
fn dangling(document: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let path = reference.trim_start_matches('#');
                if document.pointer(path).is_none() {
                    found.push(reference.to_owned());
                }
            }
            object.values().for_each(|value| dangling(document, value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| dangling(document, item, found)),
        _ => {}
    }
}

#[test]
fn the_index_names_every_document_by_its_hash() {
    let open_api = OpenApi::new(types("a"));
    let index: Value = serde_json::from_slice(&open_api.index()).unwrap();
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(
        paths.keys().collect::<Vec<_>>(),
        [
            "api/v1",
            "apis/apps/v1",
            "apis/authorization.k8s.io/v1",
            "apis/homeport.dev/v1alpha1"
        ]
    );
    for (path, entry) in paths {
        let document = open_api.document(path).unwrap();
        assert_eq!(
            entry["serverRelativeURL"],
            format!("/openapi/v3/{path}?hash={}", document.hash)
        );
    }
    assert!(open_api.document("apis/nobody/v1").is_none());
}

#[test]
fn every_reference_leads_somewhere() {
    let open_api = OpenApi::new(types("a"));
    let mut documents: Vec<Value> = [
        "api/v1",
        "apis/apps/v1",
        "apis/authorization.k8s.io/v1",
        "apis/homeport.dev/v1alpha1",
    ]
    .iter()
    .map(|path| parsed(&open_api.document(path).unwrap()))
    .collect();
    documents.push(parsed(&open_api.v2()));
    for document in &documents {
        let mut found = Vec::new();
        dangling(document, document, &mut found);
        assert_eq!(found, [""; 0]);
    }
}

#[test]
fn a_patch_tells_kubectl_that_it_can_be_validated_and_tried() {
    let open_api = OpenApi::new(types("a"));
    for (path, url) in [
        ("api/v1", "/api/v1/namespaces/{namespace}/configmaps/{name}"),
        (
            "apis/homeport.dev/v1alpha1",
            "/apis/homeport.dev/v1alpha1/namespaces/{namespace}/cutovers/{name}",
        ),
    ] {
        let document = parsed(&open_api.document(path).unwrap());
        let patch = &document["paths"][url]["patch"];
        let names: Vec<&str> = patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
        assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string());
        assert!(patch["requestBody"]["content"]["application/apply-patch+yaml"].is_object());
    }
}

#[test]
fn schemas_say_which_kind_they_are_and_what_fields_mean() {
    let open_api = OpenApi::new(types("a"));
    let document = parsed(&open_api.document("apis/homeport.dev/v1alpha1").unwrap());
    let schema = &document["components"]["schemas"]["dev.homeport.v1alpha1.Cutover"];
    assert_eq!(
        schema["x-kubernetes-group-version-kind"],
        json!([{"group": "homeport.dev", "version": "v1alpha1", "kind": "Cutover"}])
    );
    assert_eq!(
        schema["properties"]["spec"]["properties"]["a"]["description"],
        "Said so."
    );
    // Nothing may stand beside a reference in OpenAPI 3.0.
    assert_eq!(
        schema["properties"]["metadata"]["allOf"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(schema["properties"]["metadata"].get("$ref").is_none());
    let core = parsed(&open_api.document("api/v1").unwrap());
    let map = &core["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"];
    assert!(
        map["properties"]["data"]["description"]
            .as_str()
            .unwrap()
            .starts_with("Data contains")
    );
    assert_eq!(map["x-kubernetes-group-version-kind"][0]["kind"], "ConfigMap");
}

#[test]
fn a_change_remakes_only_what_it_concerns() {
    let before = OpenApi::new(types("a"));
    let after = before.updated(types("b"));
    let hash = |open_api: &OpenApi, path: &str| open_api.document(path).unwrap().hash;
    assert_eq!(hash(&before, "apis/apps/v1"), hash(&after, "apis/apps/v1"));
    assert_ne!(
        hash(&before, "apis/homeport.dev/v1alpha1"),
        hash(&after, "apis/homeport.dev/v1alpha1")
    );
    assert!(Arc::ptr_eq(
        &before.versions["apis/apps/v1"],
        &after.versions["apis/apps/v1"]
    ));
    assert_ne!(before.v2().hash, after.v2().hash);
}

/// As `OpenAPIv2.proto` numbers the fields; tests/clients reads the whole document by client-go.
#[test]
fn v2_in_protobuf_has_gnostics_fields() {
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "T"},
        "paths": {"/a": {"get": {"parameters": [{"in": "query", "name": "q", "type": "string"}]}}},
        "definitions": {"d": {"type": "object", "x-e": [1]}},
    });
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let query = [field(2, b"query"), field(4, b"q"), field(6, b"string")].concat();
    let parameter = field(1, &field(2, &field(3, &query)));
    let get = [field(8, &parameter), field(9, b"")].concat();
    let path = [field(1, b"/a"), field(2, &field(2, &get))].concat();
    // Fields from 16 on have keys of two bytes.
    let ty = [vec![0xb2, 0x01], field(0, &field(1, b"object"))[1..].to_vec()].concat();
    let extension = [field(1, b"x-e"), field(2, &field(2, b"[1]"))].concat();
    let extension = [vec![0xfa, 0x01], field(0, &extension)[1..].to_vec()].concat();
    let definition = [field(1, b"d"), field(2, &[ty, extension].concat())].concat();
    let expected = [
        field(1, b"2.0"),
        field(2, &field(1, b"T")),
        field(8, &field(2, &path)),
        field(9, &field(1, &definition)),
    ];
    assert_eq!(gnostic::encode(&document), expected.concat());
}
