//! The watch protocol itself, event by event.

use futures::{Stream, StreamExt as _};
use homeport_store::Store;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{WIDGETS, get, post, send, store, widget};

const MERGE: &[(&str, &str)] = &[("content-type", "application/merge-patch+json")];

/// The events of a watch, one JSON value each.
async fn watch(store: &Store, query: &str, accept: &str) -> impl Stream<Item = Value> + Unpin + use<> {
    let request = http::Request::get(format!("{WIDGETS}?watch=true&{query}")).header("accept", accept);
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = store.service().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let pieces = response.into_body().into_data_stream();
    Box::pin(pieces.flat_map(|piece| {
        let piece = piece.unwrap();
        let lines: Vec<Value> = piece
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        futures::stream::iter(lines)
    }))
}

fn summary(event: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

async fn next(events: &mut (impl Stream<Item = Value> + Unpin)) -> (String, String) {
    summary(&events.next().await.unwrap())
}

async fn version(store: &Store) -> String {
    get(store, WIDGETS).await["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn relabel(store: &Store, name: &str, value: &str) -> Value {
    let patch = json!({"metadata": {"labels": {"app": value}}}).to_string();
    send(store, "PATCH", &format!("{WIDGETS}/{name}"), MERGE, patch)
        .await
        .2
}

#[tokio::test]
async fn without_a_version_it_begins_with_what_there_is() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    for query in ["", "resourceVersion=0"] {
        let mut events = watch(&store, query, "*/*").await;
        assert_eq!(next(&mut events).await, pair("ADDED", "a"));
    }
}

#[tokio::test]
async fn from_a_version_it_has_exactly_what_came_after() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    let since = version(&store).await;
    post(&store, WIDGETS, &widget("b", 1)).await;
    relabel(&store, "a", "x").await;
    let (_, _, deleted) = send(&store, "DELETE", &format!("{WIDGETS}/b"), &[], "").await;
    assert_eq!(deleted["status"], "Success");
    let mut events = watch(&store, &format!("resourceVersion={since}"), "*/*").await;
    assert_eq!(next(&mut events).await, pair("ADDED", "b"));
    assert_eq!(next(&mut events).await, pair("MODIFIED", "a"));
    let last = events.next().await.unwrap();
    assert_eq!(summary(&last), pair("DELETED", "b"));
    // Its own version: from there nothing of it is left to be told. Others may have been given later ones meanwhile,
    // for what the server does by itself.
    let at = last["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let mut later = watch(&store, &format!("resourceVersion={at}"), "*/*").await;
    let before = at.parse::<u64>().unwrap() - 1;
    let mut again = watch(&store, &format!("resourceVersion={before}"), "*/*").await;
    assert_eq!(next(&mut again).await, pair("DELETED", "b"));
    post(&store, WIDGETS, &widget("c", 1)).await;
    assert_eq!(next(&mut events).await, pair("ADDED", "c"));
    assert_eq!(next(&mut later).await, pair("ADDED", "c"));
}

#[tokio::test]
async fn entering_a_selection_is_adding_and_leaving_it_deleting() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    let since = version(&store).await;
    let mut events = watch(
        &store,
        &format!("labelSelector=app%3Dx&resourceVersion={since}"),
        "*/*",
    )
    .await;
    relabel(&store, "a", "x").await;
    assert_eq!(next(&mut events).await, pair("ADDED", "a"));
    let left = relabel(&store, "a", "y").await;
    let event = events.next().await.unwrap();
    assert_eq!(summary(&event), pair("DELETED", "a"));
    assert_eq!(
        event["object"]["metadata"]["labels"]["app"], "x",
        "as it last was"
    );
    assert_eq!(
        event["object"]["metadata"]["resourceVersion"],
        left["metadata"]["resourceVersion"]
    );
    relabel(&store, "a", "x").await;
    assert_eq!(next(&mut events).await, pair("ADDED", "a"));
    send(&store, "DELETE", &format!("{WIDGETS}/a"), &[], "").await;
    assert_eq!(next(&mut events).await, pair("DELETED", "a"));
}

#[tokio::test]
async fn a_streaming_list_marks_its_end() {
    let store = store().await;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for object in ["a", "b"] {
        post(&store, WIDGETS, &widget(object, 1)).await;
    }
    let number = |version: &str| version.parse::<u64>().unwrap();
    let before = number(&version(&store).await);
    let mut events = watch(&store, query, "*/*").await;
    // What the server does by itself may move the version at any time.
    let state = before..=number(&version(&store).await);
    assert_eq!(next(&mut events).await, pair("ADDED", "a"));
    assert_eq!(next(&mut events).await, pair("ADDED", "b"));
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Widget");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let marked = number(
        bookmark["object"]["metadata"]["resourceVersion"]
            .as_str()
            .unwrap(),
    );
    assert!(state.contains(&marked), "{marked} is not in {state:?}");
    relabel(&store, "a", "x").await;
    assert_eq!(next(&mut events).await, pair("MODIFIED", "a"));
}

#[tokio::test]
async fn a_version_that_cannot_be_resumed_is_refused_inside_the_stream() {
    let store = store().await;
    let mut events = watch(&store, "resourceVersion=999999999", "*/*").await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn it_ends_in_time_with_a_bookmark() {
    let store = store().await;
    let since = version(&store).await;
    let query = format!("resourceVersion={since}&timeoutSeconds=1");
    let events: Vec<Value> = watch(&store, &format!("{query}&allowWatchBookmarks=true"), "*/*")
        .await
        .collect()
        .await;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["BOOKMARK"]);
    let silent: Vec<Value> = watch(&store, &query, "*/*").await.collect().await;
    assert!(silent.is_empty());
}

#[tokio::test]
async fn tables_are_watched_row_by_row() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 3)).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut events = watch(&store, "", accept).await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["rows"][0]["cells"][1], 3);
    assert_eq!(first["object"]["columnDefinitions"].as_array().unwrap().len(), 5);
    relabel(&store, "a", "x").await;
    let second = events.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null(), "told once");
}

#[tokio::test]
async fn one_object_can_be_watched() {
    let store = store().await;
    let since = version(&store).await;
    let query = format!("fieldSelector=metadata.name%3Db&resourceVersion={since}");
    let mut events = watch(&store, &query, "*/*").await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    post(&store, WIDGETS, &widget("b", 1)).await;
    assert_eq!(next(&mut events).await, pair("ADDED", "b"));
}

#[tokio::test]
async fn it_ends_with_the_store() {
    let store = store().await;
    let since = version(&store).await;
    let events = watch(&store, &format!("resourceVersion={since}"), "*/*").await;
    store.close().await;
    assert!(events.collect::<Vec<_>>().await.is_empty());
}
