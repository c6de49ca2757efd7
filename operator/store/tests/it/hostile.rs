//! Whatever a client sends, it gets an answer, and never one that blames the server.

use homeport_store::Store;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{WIDGETS, get, send, store, widget, widget_definition};

/// Collections with an object that each accepts.
fn valid() -> Vec<(String, Value)> {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i",
        "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "b"}]}]}});
    let metadata = json!({"name": "victim", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["x.io/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]});
    let with = |fields: Value| {
        let mut object = fields;
        object["metadata"] = metadata.clone();
        object
    };
    let core = "/api/v1/namespaces/default";
    let mut definition = widget_definition();
    definition["metadata"]["name"] = json!("gizmos.test.dev");
    definition["spec"]["names"] =
        json!({"kind": "Gizmo", "plural": "gizmos", "listKind": "GizmoList", "singular": "gizmo"});
    vec![
        (WIDGETS.to_owned(), with(widget("victim", 3))),
        (
            format!("{core}/configmaps"),
            with(json!({"data": {"a": "b"}, "binaryData": {"c": "ZA=="}})),
        ),
        (
            format!("{core}/secrets"),
            with(json!({"stringData": {"a": "b"}, "data": {"c": "ZA=="}})),
        ),
        (
            format!("{core}/services"),
            with(json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}})),
        ),
        (
            format!("{core}/events"),
            with(json!({"involvedObject": {"name": "a"}, "reason": "R", "count": 1})),
        ),
        (format!("{core}/pods"), with(json!({"spec": template["spec"]}))),
        (
            "/api/v1/namespaces".to_owned(),
            json!({"metadata": {"name": "victim", "labels": {"a": "b"}}, "spec": {"finalizers": ["kubernetes"]}}),
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments".to_owned(),
            with(
                json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}}),
            ),
        ),
        (
            "/apis/batch/v1/namespaces/default/jobs".to_owned(),
            with(json!({"spec": {"template": template}})),
        ),
        (
            "/apis/batch/v1/namespaces/default/cronjobs".to_owned(),
            with(json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}})),
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
            definition,
        ),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("x".repeat(300))),
        Just(json!("\u{0}\u{fffd}/%..")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z$~/.]{0,6}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every place in a document, as JSON pointers.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(field, &format!("{here}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{here}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// A valid object, one place of which has been replaced.
fn mutant() -> impl Strategy<Value = (usize, Value)> {
    let objects = valid();
    (0..objects.len(), any::<prop::sample::Index>(), anything()).prop_map(
        move |(which, place, replacement)| {
            let mut object = objects[which].1.clone();
            let mut found = Vec::new();
            places(&object, "", &mut found);
            if let Some(target) = object.pointer_mut(place.get(&found).as_str()) {
                *target = replacement;
            }
            (which, object)
        },
    )
}

async fn attack(store: &Store, which: usize, object: &Value) {
    let (collection, valid) = &valid()[which];
    let item = format!("{collection}/{}", valid["metadata"]["name"].as_str().unwrap());
    let status = format!("{item}/status?fieldManager=m");
    let applied = format!("{item}?fieldManager=m&force=true");
    let json_patch = json!([{"op": "replace", "path": "", "value": object}]).to_string();
    let body = object.to_string();
    let requests = [
        ("POST", collection, "application/json", &body),
        ("POST", collection, "application/json", &valid.to_string()),
        ("PUT", &item, "application/json", &body),
        ("PATCH", &item, "application/merge-patch+json", &body),
        ("PATCH", &item, "application/strategic-merge-patch+json", &body),
        ("PATCH", &item, "application/json-patch+json", &body),
        ("PATCH", &item, "application/json-patch+json", &json_patch),
        ("PATCH", &applied, "application/apply-patch+yaml", &body),
        ("PATCH", &status, "application/merge-patch+json", &body),
        ("DELETE", &item, "application/json", &body),
        ("DELETE", &item, "application/json", &String::new()),
    ];
    for (method, path, media_type, body) in requests {
        let (code, _, answer) =
            send(store, method, path, &[("content-type", media_type)], body.clone()).await;
        // To what kube-apiserver answers with a 500 it gives no reason; a fault of ours would have one.
        let is_own_fault = code >= 500 && !answer["reason"].is_null();
        assert!(!is_own_fault, "{method} {path} {media_type} {body}: {answer}");
    }
    // What was stored can be shown in every form.
    for accept in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
        let (code, _, answer) = send(store, "GET", collection, &[("accept", accept)], "").await;
        assert_eq!(code, 200, "{answer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_object_brings_the_server_down((which, object) in mutant()) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = store().await;
            attack(&store, which, &object).await;
            get(&store, "/openapi/v3/apis/test.dev/v1").await;
            store.close().await;
        });
    }

    #[test]
    fn no_path_or_query_brings_the_server_down(path in "/(api|apis)(/[a-z%./0-9]{0,8}){0,6}", query in "[ -~&&[^#]]{0,40}") {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = store().await;
            let uri = format!("{path}?{}", query.replace(' ', "+"));
            if uri.parse::<http::Uri>().is_err() {
                return;
            }
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let (code, _, answer) = send(&store, method, &uri, &[], "{}").await;
                assert!(code < 500 || code == 504, "{method} {uri}: {answer}");
            }
            store.close().await;
        });
    }
}
