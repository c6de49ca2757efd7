//! What several tests need: a store in memory with a custom kind, and ways to ask it.

use homeport_store::{Options, Store};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A definition with everything that definitions can have: subresources, columns, defaults, rules, categories.
pub(crate) fn widget_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.dev"},
        "spec": {
            "group": "test.dev",
            "scope": "Namespaced",
            "names": {
                "kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["all", "toys"],
            },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Ready", "type": "string",
                     "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "description": "A widget is a thing.",
                    "type": "object",
                    "properties": {
                        "spec": {
                            "description": "What is wanted.",
                            "type": "object",
                            "required": ["size"],
                            "properties": {
                                "size": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How big."},
                                "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
                                "replicas": {"type": "integer"},
                            },
                            "x-kubernetes-validations": [{
                                "rule": "!(self.color == 'green' && self.size > 5)",
                                "message": "green widgets are small",
                            }],
                        },
                        "status": {
                            "type": "object",
                            "properties": {
                                "replicas": {"type": "integer"},
                                "conditions": {
                                    "type": "array",
                                    "x-kubernetes-list-type": "map",
                                    "x-kubernetes-list-map-keys": ["type"],
                                    "items": {
                                        "type": "object",
                                        "required": ["type", "status"],
                                        "properties": {
                                            "type": {"type": "string"},
                                            "status": {"type": "string"},
                                        },
                                    },
                                },
                            },
                        },
                    },
                }},
            }],
        },
    })
}

pub(crate) fn widget(name: &str, size: i64) -> Value {
    json!({
        "apiVersion": "test.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": size},
    })
}

pub(crate) fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
}

/// A store in memory that serves widgets.
pub(crate) async fn store() -> Store {
    let store = Store::open(Options::memory().with_root_ca("-----BEGIN CERTIFICATE-----\n"))
        .await
        .unwrap();
    let definitions: Api<DynamicObject> = Api::all_with(
        client(&store),
        &resource(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        ),
    );
    let apply = PatchParams::apply("test");
    definitions
        .patch("widgets.test.dev", &apply, &Patch::Apply(widget_definition()))
        .await
        .unwrap();
    store
}

pub(crate) fn client(store: &Store) -> Client {
    Client::new(store.service(), "default")
}

pub(crate) fn widgets(store: &Store) -> Api<DynamicObject> {
    Api::namespaced_with(
        client(store),
        "default",
        &resource("test.dev", "Widget", "widgets"),
    )
}

/// One request as bytes would make it; the answer's code, headers and JSON.
pub(crate) async fn send(
    store: &Store,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> (u16, http::HeaderMap, Value) {
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body: Vec<u8> = body.into();
    let request = request
        .body(http_body_util::Full::<bytes::Bytes>::from(body))
        .unwrap();
    let response = store.service().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let value =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
    (head.status.as_u16(), head.headers, value)
}

pub(crate) async fn get(store: &Store, path: &str) -> Value {
    let (code, _, value) = send(store, "GET", path, &[], "").await;
    assert_eq!(code, 200, "{path}: {value}");
    value
}

pub(crate) async fn post(store: &Store, path: &str, object: &Value) -> (u16, Value) {
    let (code, _, value) = send(
        store,
        "POST",
        path,
        &[("content-type", "application/json")],
        object.to_string(),
    )
    .await;
    (code, value)
}

/// Waits until `look` finds something. The state is asked for again at each change of anything, so no time is
/// involved; a test that waits for what never comes is ended by its runner.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) const WIDGETS: &str = "/apis/test.dev/v1/namespaces/default/widgets";

/// Whoever watched a collection up to that version cannot know what has happened since, and is told to list again.
pub(crate) async fn must_list_again(store: &Store, collection: &str, version: u64) {
    let uri = format!("{collection}?watch=1&timeoutSeconds=5&resourceVersion={version}");
    let (code, _, event) = send(store, "GET", &uri, &[], "").await;
    assert_eq!(
        (code, &event["type"], &event["object"]["code"]),
        (200, &json!("ERROR"), &json!(410))
    );
}
