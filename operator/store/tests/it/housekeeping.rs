//! What the server does by itself: definitions and namespaces that end with all that is in them.

use homeport_store::Store;
use serde_json::{Value, json};

use crate::support::{WIDGETS, eventually, get, post, send, store, widget, widget_definition};

const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.dev";
const MERGE: &[(&str, &str)] = &[("content-type", "application/merge-patch+json")];

async fn merge(store: &Store, path: &str, patch: &Value) {
    let (code, _, answer) = send(store, "PATCH", path, MERGE, patch.to_string()).await;
    assert_eq!(code, 200, "{path}: {answer}");
}

async fn delete(store: &Store, path: &str) {
    let (code, _, answer) = send(store, "DELETE", path, &[], "").await;
    assert_eq!(code, 200, "{path}: {answer}");
}

/// Waits until nothing is at `path`.
async fn gone(store: &Store, path: &str) {
    eventually(|| async { (send(store, "GET", path, &[], "").await.0 == 404).then_some(()) }).await;
}

/// Serves no version of widgets any more, or all again.
async fn serve(store: &Store, served: bool) {
    let patch = json!([{"op": "replace", "path": "/spec/versions/0/served", "value": served}]);
    let media_type = [("content-type", "application/json-patch+json")];
    let (code, _, answer) = send(store, "PATCH", DEFINITION, &media_type, patch.to_string()).await;
    assert_eq!(code, 200, "{answer}");
    let code = send(store, "GET", WIDGETS, &[], "").await.0;
    assert_eq!(code, if served { 200 } else { 404 });
}

#[tokio::test]
async fn a_definition_ends_with_its_objects_though_no_version_is_served() {
    let store = store().await;
    assert_eq!(post(&store, WIDGETS, &widget("a", 1)).await.0, 201);
    serve(&store, false).await;
    delete(&store, DEFINITION).await;
    gone(&store, DEFINITION).await;

    let definitions = DEFINITION.rsplit_once('/').unwrap().0;
    assert_eq!(post(&store, definitions, &widget_definition()).await.0, 201);
    assert_eq!(get(&store, WIDGETS).await["items"], json!([]));
}

#[tokio::test]
async fn a_namespace_ends_with_objects_that_are_not_served() {
    let store = store().await;
    let namespace = "/api/v1/namespaces/team";
    let team = json!({"metadata": {"name": "team"}});
    assert_eq!(post(&store, "/api/v1/namespaces", &team).await.0, 201);
    let widgets = WIDGETS.replace("default", "team");
    assert_eq!(post(&store, &widgets, &widget("a", 1)).await.0, 201);
    serve(&store, false).await;
    delete(&store, namespace).await;
    gone(&store, namespace).await;
    serve(&store, true).await;
    assert_eq!(get(&store, "/apis/test.dev/v1/widgets").await["items"], json!([]));
}

/// Whoever takes the finalizer off a definition leaves its objects behind.
#[tokio::test]
async fn a_namespace_does_not_wait_for_objects_without_a_definition() {
    let store = store().await;
    let namespace = "/api/v1/namespaces/team";
    let team = json!({"metadata": {"name": "team"}});
    assert_eq!(post(&store, "/api/v1/namespaces", &team).await.0, 201);
    let mut held = widget("held", 1);
    held["metadata"]["finalizers"] = json!(["test.dev/hold"]);
    let widgets = WIDGETS.replace("default", "team");
    assert_eq!(post(&store, &widgets, &held).await.0, 201);
    delete(&store, DEFINITION).await;
    merge(&store, DEFINITION, &json!({"metadata": {"finalizers": null}})).await;
    gone(&store, DEFINITION).await;
    delete(&store, namespace).await;
    gone(&store, namespace).await;
}
