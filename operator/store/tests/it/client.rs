//! Requests through the in-process service: what each verb does, and what is refused and how.

use futures::{StreamExt as _, TryStreamExt as _};
use homeport_store::{Options, Store};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
};
use kube::runtime::finalizer::{Event as FinalizerEvent, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt as _, controller::Action, watcher};
use kube::{Resource as _, ResourceExt as _};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    WIDGETS, client, eventually, get, post, resource, send, store, widget, widget_definition, widgets,
};

const MERGE: &[(&str, &str)] = &[("content-type", "application/merge-patch+json")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let store = store().await;
    let (code, created) = post(&store, WIDGETS, &widget("a", 3)).await;
    assert_eq!(code, 201);
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["metadata"]["namespace"], "default");
    assert_eq!(created["spec"]["color"], "red", "defaulted");
    assert!(created["metadata"]["uid"].as_str().unwrap().len() == 36);
    assert_eq!(created["metadata"]["managedFields"][0]["operation"], "Update");

    let (code, exists) = post(&store, WIDGETS, &widget("a", 3)).await;
    assert_eq!((code, &exists["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(exists["message"], "widgets.test.dev \"a\" already exists");
    assert_eq!(
        exists["details"],
        json!({"name": "a", "group": "test.dev", "kind": "widgets"})
    );

    let path = format!("{WIDGETS}/a");
    let mut changed = created.clone();
    changed["spec"]["size"] = json!(4);
    changed["status"] = json!({"replicas": 9});
    let (code, _, updated) = send(&store, "PUT", &path, JSON, changed.to_string()).await;
    assert_eq!(code, 200);
    assert_eq!(updated["metadata"]["generation"], 2);
    assert!(
        updated.get("status").is_none(),
        "the main endpoint does not write status"
    );

    let (code, _, unseen) = send(&store, "PUT", &path, JSON, widget("a", 3).to_string()).await;
    assert_eq!(code, 422);
    assert!(
        unseen["message"]
            .as_str()
            .unwrap()
            .contains("must be specified for an update")
    );

    let (code, _, conflict) = send(&store, "PUT", &path, JSON, created.to_string()).await;
    assert_eq!((code, &conflict["reason"]), (409, &json!("Conflict")));
    let message = conflict["message"].as_str().unwrap();
    assert!(
        message.starts_with("Operation cannot be fulfilled on widgets.test.dev \"a\": the object has been")
    );

    let (code, _, status) = send(
        &store,
        "PATCH",
        &format!("{path}/status"),
        MERGE,
        json!({"status": {"replicas": 2}, "spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}})
            .to_string(),
    )
    .await;
    assert_eq!(code, 200);
    assert_eq!(status["status"]["replicas"], 2);
    assert_eq!(status["spec"]["size"], 4, "/status writes nothing else");
    assert!(status["metadata"].get("labels").is_none());
    assert_eq!(status["metadata"]["generation"], 2);

    let (code, _, deleted) = send(&store, "DELETE", &path, &[], "").await;
    assert_eq!(code, 200);
    assert_eq!(deleted["status"], "Success");
    assert_eq!(deleted["details"]["uid"], created["metadata"]["uid"]);
    let (code, _, gone) = send(&store, "GET", &path, &[], "").await;
    assert_eq!((code, &gone["reason"]), (404, &json!("NotFound")));
    assert_eq!(gone["message"], "widgets.test.dev \"a\" not found");
}

#[tokio::test]
async fn what_changes_nothing_keeps_the_version() {
    let store = store().await;
    let (_, created) = post(&store, WIDGETS, &widget("a", 3)).await;
    let version = &created["metadata"]["resourceVersion"];
    let path = format!("{WIDGETS}/a");
    for (method, headers, body) in [
        ("PUT", JSON, created.to_string()),
        ("PATCH", MERGE, json!({"spec": {"size": 3}}).to_string()),
        (
            "PATCH",
            MERGE,
            json!({"metadata": {"finalizers": []}}).to_string(),
        ),
    ] {
        let (code, _, answer) = send(&store, method, &path, headers, body).await;
        assert_eq!((code, &answer["metadata"]["resourceVersion"]), (200, version));
    }
    let apply = [("content-type", "application/apply-patch+yaml")];
    let applied = format!("{path}?fieldManager=m");
    let (_, _, first) = send(&store, "PATCH", &applied, &apply, widget("a", 3).to_string()).await;
    let (_, _, second) = send(&store, "PATCH", &applied, &apply, widget("a", 3).to_string()).await;
    assert_eq!(first, second);
    for (method, path, headers, body) in [
        (
            "PATCH",
            format!("{path}?dryRun=All"),
            MERGE,
            json!({"spec": {"size": 5}}).to_string(),
        ),
        (
            "POST",
            format!("{WIDGETS}?dryRun=All"),
            JSON,
            widget("b", 3).to_string(),
        ),
        ("DELETE", format!("{path}?dryRun=All"), JSON, String::new()),
    ] {
        let (code, _, answer) = send(&store, method, &path, headers, body).await;
        assert!(code < 300, "{method}: {answer}");
    }
    let list = get(&store, WIDGETS).await;
    assert_eq!(list["items"], json!([first]), "dry runs leave no trace");
}

#[rstest]
#[case::missing("POST", "", json!({"spec": {}}), 422, "spec.size: Required value")]
#[case::range("POST", "", json!({"spec": {"size": 11}}), 422, "spec.size: Invalid value: 11")]
#[case::kind("POST", "", json!({"kind": "Gadget", "spec": {"size": 1}}), 400, "does not match")]
#[case::namespace("POST", "", json!({"metadata": {"name": "x", "namespace": "other"}, "spec": {"size": 1}}), 400,
    "the namespace of the provided object does not match the namespace sent on the request")]
#[case::rule("POST", "", json!({"spec": {"size": 6, "color": "green"}}), 422, "green widgets are small")]
#[case::name("POST", "", json!({"metadata": {"name": "Not_a_name"}, "spec": {"size": 1}}), 422, "metadata.name")]
#[case::label("POST", "", json!({"metadata": {"name": "x", "labels": {"a": "b c"}}, "spec": {"size": 1}}), 422,
    "metadata.labels")]
#[case::unknown("POST", "?fieldValidation=Strict", json!({"spec": {"size": 1, "bogus": {"x": 1}}}), 400,
    "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.bogus\"")]
#[case::option("POST", "?dryRun=Some", json!({"spec": {"size": 1}}), 422, "dryRun: Unsupported value: [\"Some\"]")]
#[case::version("POST", "", json!({"metadata": {"name": "x", "resourceVersion": "1"}, "spec": {"size": 1}}), 500,
    "resourceVersion should not be set on objects to be created")]
#[case::shape("POST", "", json!([1]), 400, "must be an object")]
#[case::metadata("POST", "", json!({"metadata": 3}), 400, "must be an object")]
#[tokio::test]
async fn bad_objects_are_refused(
    #[case] method: &str,
    #[case] query: &str,
    #[case] mut object: Value,
    #[case] code: u16,
    #[case] message: &str,
) {
    let store = store().await;
    if object.is_object() && object.get("metadata").is_none() {
        object["metadata"] = json!({"name": "x"});
    }
    if object.is_object() && object.get("kind").is_none() {
        object["apiVersion"] = json!("test.dev/v1");
        object["kind"] = json!("Widget");
    }
    let path = format!("{WIDGETS}{query}");
    let (found, _, status) = send(&store, method, &path, JSON, object.to_string()).await;
    assert_eq!(found, code, "{status}");
    assert_eq!(status["kind"], "Status");
    assert!(status["message"].as_str().unwrap().contains(message), "{status}");
}

#[tokio::test]
async fn an_invalid_object_names_each_field_in_kubernetes_form() {
    let store = store().await;
    let mut bad = widget("x", 11);
    bad["spec"]["color"] = json!("blue");
    let (code, status) = post(&store, WIDGETS, &bad).await;
    assert_eq!(code, 422);
    assert_eq!(status["reason"], "Invalid");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Widget.test.dev \"x\" is invalid: [")
    );
    let details = &status["details"];
    assert_eq!(
        (&details["kind"], &details["group"]),
        (&json!("Widget"), &json!("test.dev"))
    );
    let fields: Vec<&str> = details["causes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|cause| cause["field"].as_str())
        .collect();
    assert!(
        fields.contains(&"spec.size") && fields.contains(&"spec.color"),
        "{fields:?}"
    );
}

#[tokio::test]
async fn unknown_fields_are_dropped_with_a_warning() {
    let store = store().await;
    let mut object = widget("x", 1);
    object["spec"]["bogus"] = json!(1);
    let (code, headers, created) = send(&store, "POST", WIDGETS, JSON, object.to_string()).await;
    assert_eq!(code, 201);
    assert!(created["spec"].get("bogus").is_none());
    assert_eq!(headers["warning"], "299 - \"unknown field \\\"spec.bogus\\\"\"");
}

#[rstest]
#[case("GET", "/apis/apps/v1/things", 404, "NotFound")]
#[case("GET", "/api/v1/namespaces/default/nothings", 404, "NotFound")]
#[case("POST", "/api/v1/configmaps", 404, "NotFound")]
#[case("DELETE", "/api/v1/namespaces/default", 403, "Forbidden")]
#[case("PUT", "/api/v1/namespaces/default/configmaps", 405, "MethodNotAllowed")]
#[case("GET", "/api/v1/configmaps?labelSelector=a+b", 400, "BadRequest")]
#[case("GET", "/api/v1/configmaps?fieldSelector=data.x%3D1", 400, "BadRequest")]
#[case("GET", "/api/v1/configmaps?resourceVersion=99999999", 504, "Timeout")]
#[case("GET", "/api/v1/configmaps?resourceVersionMatch=Exact", 422, "Invalid")]
#[case("GET", "/api/v1/configmaps?watch=1&sendInitialEvents=true", 422, "Invalid")]
#[tokio::test]
async fn bad_requests_are_refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] code: u16,
    #[case] reason: &str,
) {
    let store = store().await;
    let (found, _, status) = send(&store, method, path, JSON, "{}").await;
    assert_eq!(
        (found, status["reason"].as_str()),
        (code, Some(reason)),
        "{status}"
    );
    assert_eq!(status["code"], code);
}

#[rstest]
#[case("application/strategic-merge-patch+json", 415)]
#[case("text/plain", 415)]
#[case("application/json-patch+json", 400)]
#[tokio::test]
async fn bad_patches_are_refused(#[case] media_type: &str, #[case] code: u16) {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    let path = format!("{WIDGETS}/a");
    let (found, _, status) = send(&store, "PATCH", &path, &[("content-type", media_type)], "{}").await;
    assert_eq!(found, code, "{status}");
}

#[tokio::test]
async fn limits_hold() {
    let store = store().await;
    let huge = format!("{{\"x\": \"{}\"}}", "y".repeat(4 << 20));
    let (code, _, status) = send(&store, "POST", WIDGETS, JSON, huge).await;
    assert_eq!(
        (code, status["reason"].as_str()),
        (413, Some("RequestEntityTooLarge"))
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (code, ..) = send(&store, "POST", WIDGETS, JSON, deep).await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn applying_moves_ownership_and_conflicts_name_the_field() {
    let store = store().await;
    let widgets = widgets(&store);
    let apply = |manager: &str| PatchParams::apply(manager);
    let one = widgets
        .patch("a", &apply("one"), &Patch::Apply(widget("a", 1)))
        .await
        .unwrap();
    assert_eq!(one.metadata.generation, Some(1), "applied into being");
    let refused = widgets
        .patch("a", &apply("two"), &Patch::Apply(widget("a", 2)))
        .await
        .unwrap_err();
    let kube::Error::Api(status) = refused else {
        panic!("{refused}")
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let cause = &status.details.as_ref().unwrap().causes[0];
    assert_eq!(
        (cause.reason.as_str(), cause.field.as_str()),
        ("FieldManagerConflict", ".spec.size")
    );
    let two = widgets
        .patch("a", &apply("two").force(), &Patch::Apply(widget("a", 2)))
        .await
        .unwrap();
    assert_eq!(two.data["spec"]["size"], 2);
    let status = json!({
        "apiVersion": "test.dev/v1", "kind": "Widget",
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    let three = widgets
        .patch_status("a", &apply("three"), &Patch::Apply(status))
        .await
        .unwrap();
    assert_eq!(three.data["status"]["conditions"][0]["status"], "True");
    assert_eq!(three.metadata.generation, Some(2));
    let unnamed = [("content-type", "application/apply-patch+yaml")];
    let (code, _, status) = send(
        &store,
        "PATCH",
        &format!("{WIDGETS}/a"),
        &unnamed,
        widget("a", 1).to_string(),
    )
    .await;
    assert_eq!(code, 422);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("fieldManager: Required value")
    );
}

#[tokio::test]
async fn lists_are_selected_paged_and_pinned_to_a_snapshot() {
    let store = store().await;
    for index in 0..7 {
        let mut object = widget(&format!("w{index}"), index + 1);
        object["metadata"]["labels"] = json!({"parity": if index % 2 == 0 { "even" } else { "odd" }});
        post(&store, WIDGETS, &object).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let odd = get(&store, &format!("{WIDGETS}?labelSelector=parity+in+(odd)")).await;
    assert_eq!(names(&odd), ["w1", "w3", "w5"]);
    let one = get(&store, &format!("{WIDGETS}?fieldSelector=metadata.name%3Dw4")).await;
    assert_eq!(names(&one), ["w4"]);

    let first = get(&store, &format!("{WIDGETS}?limit=3")).await;
    assert_eq!(names(&first), ["w0", "w1", "w2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 4);
    send(&store, "DELETE", &format!("{WIDGETS}/w4"), &[], "").await;
    post(&store, WIDGETS, &widget("w45", 1)).await;
    let mut seen = names(&first);
    let mut page = first.clone();
    while let Some(token) = page["metadata"]["continue"].as_str() {
        page = get(&store, &format!("{WIDGETS}?limit=3&continue={token}")).await;
        assert_eq!(
            page["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
        seen.extend(names(&page));
    }
    assert_eq!(
        seen,
        ["w0", "w1", "w2", "w3", "w4", "w5", "w6"],
        "as it was when the list began"
    );
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = get(
        &store,
        &format!("{WIDGETS}?resourceVersion={version}&resourceVersionMatch=Exact"),
    )
    .await;
    assert_eq!(names(&exact).len(), 7);
    let recent = get(&store, &format!("{WIDGETS}?resourceVersion={version}")).await;
    assert!(names(&recent).contains(&"w45".to_owned()));

    let all = DeleteParams::default();
    widgets(&store)
        .delete_collection(&all, &ListParams::default().labels("parity=odd"))
        .await
        .unwrap();
    assert_eq!(names(&get(&store, WIDGETS).await), ["w0", "w2", "w45", "w6"]);
}

#[tokio::test]
async fn names_are_generated() {
    let store = store().await;
    let mut object = widget("", 1);
    object["metadata"] = json!({"generateName": "gen-"});
    let (_, one) = post(&store, WIDGETS, &object).await;
    let (_, two) = post(&store, WIDGETS, &object).await;
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

/// What controllers do: mark, notice the deletion, clean up, let go.
#[tokio::test]
async fn a_controllers_finalizer_holds_and_releases() {
    let store = store().await;
    let widgets = widgets(&store);
    post(&store, WIDGETS, &widget("a", 1)).await;
    let seen = std::sync::Mutex::new(Vec::new());
    let reconcile = || async {
        let object = std::sync::Arc::new(widgets.get("a").await.unwrap());
        finalizer(&widgets, "test.dev/cleanup", object, |event| {
            seen.lock()
                .unwrap()
                .push(matches!(event, FinalizerEvent::Cleanup(_)));
            async { Ok::<_, std::convert::Infallible>(Action::await_change()) }
        })
        .await
        .unwrap();
    };
    reconcile().await;
    assert_eq!(widgets.get("a").await.unwrap().finalizers(), ["test.dev/cleanup"]);
    reconcile().await;
    let marked = widgets
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .expect("it is held");
    assert!(marked.meta().deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let path = format!("{WIDGETS}/a");
    let more = json!({"metadata": {"finalizers": ["test.dev/cleanup", "test.dev/more"]}});
    let (code, _, refused) = send(&store, "PATCH", &path, MERGE, more.to_string()).await;
    assert_eq!(code, 422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("no new finalizers can be added")
    );
    reconcile().await;
    assert!(widgets.get_opt("a").await.unwrap().is_none());
    assert_eq!(*seen.lock().unwrap(), [false, true]);
}

/// A whole controller: reconciled on creation, status by server-side apply, cleaned up on deletion.
#[tokio::test]
async fn a_controller_runs_through_the_service() {
    let store = store().await;
    let kind = resource("test.dev", "Widget", "widgets");
    let watched: Api<DynamicObject> = Api::all_with(client(&store), &kind);
    let api = widgets(&store);
    let reconcile = |object: std::sync::Arc<DynamicObject>, api: std::sync::Arc<Api<DynamicObject>>| async move {
        finalizer(&api, "test.dev/cleanup", object, |event| async {
            if let FinalizerEvent::Apply(object) = event {
                let status = json!({
                    "apiVersion": "test.dev/v1", "kind": "Widget",
                    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                });
                let params = PatchParams::apply("controller").force();
                api.patch_status(&object.name_any(), &params, &Patch::Apply(status))
                    .await?;
            }
            Ok::<_, kube::Error>(Action::await_change())
        })
        .await
    };
    let controller = Controller::new_with(watched, watcher::Config::default(), kind)
        .run(
            reconcile,
            |_, _, _| Action::await_change(),
            std::sync::Arc::new(api.clone()),
        )
        .for_each(|_| std::future::ready(()));
    let user = async {
        post(&store, WIDGETS, &widget("a", 1)).await;
        let ready = await_condition(api.clone(), "a", |object: Option<&DynamicObject>| {
            object.is_some_and(|object| object.data["status"]["conditions"][0]["status"] == "True")
        });
        let object = ready.await.unwrap().unwrap();
        assert_eq!(object.finalizers(), ["test.dev/cleanup"]);
        assert_eq!(
            object.metadata.generation,
            Some(1),
            "neither status nor finalizers count"
        );
        api.delete("a", &DeleteParams::default()).await.unwrap();
        let uid = object.uid().unwrap();
        await_condition(api.clone(), "a", conditions::is_deleted(&uid))
            .await
            .unwrap();
    };
    tokio::select! {
        () = user => {}
        () = controller => panic!("the controller ended"),
    }
}

#[rstest]
#[case(PropagationPolicy::Background, false)]
#[case(PropagationPolicy::Foreground, false)]
#[case(PropagationPolicy::Orphan, true)]
#[tokio::test]
async fn dependents_follow_their_owner_as_asked(#[case] policy: PropagationPolicy, #[case] survives: bool) {
    let store = store().await;
    let widgets = widgets(&store);
    let (_, owner) = post(&store, WIDGETS, &widget("owner", 1)).await;
    let mut dependent = widget("dependent", 1);
    dependent["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "test.dev/v1", "kind": "Widget", "name": "owner", "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }]);
    post(&store, WIDGETS, &dependent).await;
    let params = DeleteParams {
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    widgets.delete("owner", &params).await.unwrap();
    eventually(|| async { widgets.get_opt("owner").await.unwrap().is_none().then_some(()) }).await;
    if survives {
        let freed = eventually(|| async {
            widgets
                .get_opt("dependent")
                .await
                .unwrap()
                .filter(|found| found.owner_references().is_empty())
        });
        freed.await;
    } else {
        eventually(|| async {
            widgets
                .get_opt("dependent")
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_object_of_an_owner_that_never_was_is_collected() {
    let store = store().await;
    let mut orphan = widget("orphan", 1);
    orphan["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "test.dev/v1", "kind": "Widget", "name": "x", "uid": "no-such-uid"}]);
    post(&store, WIDGETS, &orphan).await;
    let widgets = widgets(&store);
    eventually(|| async { widgets.get_opt("orphan").await.unwrap().is_none().then_some(()) }).await;
}

#[tokio::test]
async fn a_dependent_with_another_owner_is_set_free_of_the_one_that_waits_for_it() {
    let store = store().await;
    let widgets = widgets(&store);
    let mut dependent = widget("dependent", 1);
    dependent["metadata"]["ownerReferences"] = json!([]);
    for name in ["leaving", "staying"] {
        let (_, owner) = post(&store, WIDGETS, &widget(name, 1)).await;
        let reference = json!({
            "apiVersion": "test.dev/v1", "kind": "Widget", "name": name, "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": true,
        });
        let references = dependent["metadata"]["ownerReferences"].as_array_mut();
        references.unwrap().push(reference);
    }
    assert_eq!(post(&store, WIDGETS, &dependent).await.0, 201);
    widgets
        .delete("leaving", &DeleteParams::foreground())
        .await
        .unwrap();
    eventually(|| async { widgets.get_opt("leaving").await.unwrap().is_none().then_some(()) }).await;
    let spared = widgets.get("dependent").await.unwrap();
    let owners: Vec<&str> = spared
        .owner_references()
        .iter()
        .map(|owner| &*owner.name)
        .collect();
    assert_eq!(owners, ["staying"]);
    assert!(spared.metadata.deletion_timestamp.is_none());
}

/// Waits until garbage collection has looked at all that came before.
async fn collected_so_far(store: &Store) {
    // The last by name, for dependents are looked at in this order.
    let mut orphan = widget("zzz", 1);
    orphan["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "test.dev/v1", "kind": "Widget", "name": "x", "uid": "no-such-uid"}]);
    let (code, answer) = post(store, WIDGETS, &orphan).await;
    assert_eq!(code, 201, "{answer}");
    let widgets = widgets(store);
    eventually(|| async { widgets.get_opt("zzz").await.unwrap().is_none().then_some(()) }).await;
}

#[tokio::test]
async fn an_object_of_an_owner_that_cannot_be_known_is_left_alone() {
    let store = store().await;
    let mut dependent = widget("dependent", 1);
    dependent["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "elsewhere.dev/v1", "kind": "Gadget", "name": "x", "uid": "somewhere"}]);
    post(&store, WIDGETS, &dependent).await;
    collected_so_far(&store).await;
    get(&store, &format!("{WIDGETS}/dependent")).await;
}

#[tokio::test]
async fn a_restart_deletes_nothing_for_want_of_a_secret_but_its_deletion_does() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.db");
    let store = Store::open(Options::file(&state)).await.unwrap();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    post(&store, definitions, &widget_definition()).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    for name in ["forgotten", "removed"] {
        let (_, secret) = post(&store, secrets, &json!({"metadata": {"name": name}})).await;
        let mut dependent = widget(&format!("of-{name}"), 1);
        dependent["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": secret["metadata"]["uid"]}
        ]);
        assert_eq!(post(&store, WIDGETS, &dependent).await.0, 201);
    }
    send(&store, "DELETE", &format!("{secrets}/removed"), &[], "").await;
    let of_removed = widgets(&store);
    eventually(|| async {
        of_removed
            .get_opt("of-removed")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    store.close().await;

    let store = Store::open(Options::file(&state)).await.unwrap();
    collected_so_far(&store).await;
    get(&store, &format!("{WIDGETS}/of-forgotten")).await;
    store.close().await;
}

#[tokio::test]
async fn a_namespace_is_furnished_emptied_and_ended() {
    let store = store().await;
    let namespaces: Api<Namespace> = Api::all(client(&store));
    let team: Namespace = serde_json::from_value(json!({"metadata": {"name": "team"}})).unwrap();
    namespaces.create(&PostParams::default(), &team).await.unwrap();
    let configs: Api<ConfigMap> = Api::namespaced(client(&store), "team");
    let authority = eventually(|| async { configs.get_opt("kube-root-ca.crt").await.unwrap() }).await;
    assert!(authority.data.unwrap()["ca.crt"].starts_with("-----BEGIN"));
    let within = "/apis/test.dev/v1/namespaces/team/widgets";
    let mut held = widget("held", 1);
    held["metadata"]["finalizers"] = json!(["test.dev/hold"]);
    post(&store, within, &held).await;

    let marked = namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(marked.status.unwrap().phase.as_deref(), Some("Terminating"));
    eventually(|| async {
        configs
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
            .then_some(())
    })
    .await;
    let (code, refused) = post(&store, within, &widget("late", 1)).await;
    assert_eq!(
        (code, &refused["details"]["causes"][0]["reason"]),
        (403, &json!("NamespaceTerminating"))
    );
    assert!(
        namespaces.get_opt("team").await.unwrap().is_some(),
        "its last object is held"
    );
    let free = json!({"metadata": {"finalizers": null}});
    send(
        &store,
        "PATCH",
        &format!("{within}/held"),
        MERGE,
        free.to_string(),
    )
    .await;
    eventually(|| async { namespaces.get_opt("team").await.unwrap().is_none().then_some(()) }).await;
    let (code, missing) = post(&store, within, &widget("later", 1)).await;
    assert_eq!(
        (code, missing["message"].as_str()),
        (404, Some("namespaces \"team\" not found"))
    );
}

#[tokio::test]
async fn a_definition_is_served_at_once_and_takes_its_objects_along() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 1)).await;
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.dev";
    let live = get(&store, definition).await;
    let conditions = live["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|found| found["type"] == "Established" && found["status"] == "True")
    );
    assert_eq!(live["status"]["storedVersions"], json!(["v1"]));
    send(&store, "DELETE", definition, &[], "").await;
    eventually(|| async { (send(&store, "GET", definition, &[], "").await.0 == 404).then_some(()) }).await;
    assert_eq!(send(&store, "GET", WIDGETS, &[], "").await.0, 404);
    let (code, _) = post(
        &store,
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        &widget_definition(),
    )
    .await;
    assert_eq!(code, 201);
    assert_eq!(get(&store, WIDGETS).await["items"], json!([]));
}

#[rstest]
#[case("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/type", json!("number-ish"),
    "spec.validation.openAPIV3Schema")]
#[case("/metadata/name", json!("gadgets.test.dev"), "metadata.name")]
#[case("/spec/versions/0/storage", json!(false), "exactly one version marked as storage version")]
#[case("/spec/versions/0/additionalPrinterColumns/0/jsonPath", json!("spec.size"), "additionalPrinterColumns[0]")]
#[case("/spec/scope", json!("Galactic"), "spec.scope: Unsupported value")]
#[case("/spec/names", json!("widgets"), "spec.names")]
#[case("/spec", json!(3), "spec")]
#[tokio::test]
async fn bad_definitions_are_refused(#[case] pointer: &str, #[case] value: Value, #[case] message: &str) {
    let store = store().await;
    let mut definition = widget_definition();
    *definition.pointer_mut(pointer).unwrap() = value;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, status) = post(&store, path, &definition).await;
    assert!((400..500).contains(&code), "{status}");
    assert!(status["message"].as_str().unwrap().contains(message), "{status}");
}

#[tokio::test]
async fn a_definition_may_not_take_another_kinds_name() {
    let store = store().await;
    let mut other = widget_definition();
    other["metadata"]["name"] = json!("gizmos.test.dev");
    other["spec"]["names"] = json!({"kind": "Gizmo", "plural": "gizmos", "shortNames": ["gz", "wd"]});
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, refused) = post(&store, path, &other).await;
    assert_eq!(code, 422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("spec.names.shortNames[1]: Invalid value: \"wd\"")
    );
    other["spec"]["names"]["shortNames"] = json!(["gz"]);
    assert_eq!(post(&store, path, &other).await.0, 201);
}

#[tokio::test]
async fn events_are_one_store_under_two_names() {
    let store = store().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "regarding": {"kind": "Widget", "name": "a"}, "note": "it happened", "reason": "Happened", "type": "Normal",
        "action": "Happening", "reportingController": "test.dev/x", "reportingInstance": "x-1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    });
    assert_eq!(post(&store, events, &event).await.0, 201);
    let core: Api<Event> = Api::namespaced(client(&store), "default");
    let selector = ListParams::default().fields("involvedObject.name=a,involvedObject.kind=Widget");
    let found = core.list(&selector).await.unwrap().items;
    assert_eq!(found[0].message.as_deref(), Some("it happened"));
    assert_eq!(found[0].reporting_component.as_deref(), Some("test.dev/x"));
    let renamed = get(&store, &format!("{events}?fieldSelector=regarding.name%3Da")).await;
    assert_eq!(renamed["items"][0]["note"], "it happened");
}

#[tokio::test]
async fn a_secret_is_written_as_text_and_read_as_data() {
    let store = store().await;
    let secrets: Api<Secret> = Api::namespaced(client(&store), "default");
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"password": "p"}})).unwrap();
    let created = secrets.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(created.data.unwrap()["password"].0, b"p");
    assert_eq!(created.type_.as_deref(), Some("Opaque"));
    let broken = json!({"metadata": {"name": "t"}, "data": {"password": "not base64: hunter22"}});
    let (code, status) = post(&store, "/api/v1/namespaces/default/secrets", &broken).await;
    assert!((400..500).contains(&code));
    assert!(!status.to_string().contains("hunter22"), "{status}");
}

#[tokio::test]
async fn discovery_speaks_both_forms() {
    let store = store().await;
    let discovery = kube::discovery::Discovery::new(client(&store))
        .run()
        .await
        .unwrap();
    let (widget, capabilities) = discovery
        .get("test.dev")
        .unwrap()
        .recommended_kind("Widget")
        .unwrap();
    assert_eq!(widget.plural, "widgets");
    assert!(capabilities.supports_operation("watch"));
    assert_eq!(capabilities.subresources.len(), 2);
    let aggregated = [(
        "accept",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
    )];
    let (_, headers, list) = send(&store, "GET", "/apis", &aggregated, "").await;
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .contains("as=APIGroupDiscoveryList")
    );
    let groups = list["items"].as_array().unwrap();
    let group = groups
        .iter()
        .find(|group| group["metadata"]["name"] == "test.dev")
        .unwrap();
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!(resource["shortNames"], json!(["wd"]));
    assert_eq!(resource["categories"], json!(["all", "toys"]));
    assert_eq!(
        resource["responseKind"],
        json!({"group": "test.dev", "version": "v1", "kind": "Widget"})
    );
    let (_, _, plain) = send(&store, "GET", "/apis", &[], "").await;
    assert_eq!(plain["kind"], "APIGroupList");
    for path in [
        "/api",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/version",
        "/openapi/v3",
        "/",
    ] {
        get(&store, path).await;
    }
}

#[tokio::test]
async fn tables_and_metadata_are_rendered() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 3)).await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let (_, _, shown) = send(&store, "GET", WIDGETS, &table, "").await;
    let names: Vec<&str> = shown["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(names, ["Name", "Size", "Ready", "Color", "Age"]);
    let row = &shown["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1], &row["cells"][2]),
        (&json!("a"), &json!(3), &Value::Null)
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let metadata = widgets(&store)
        .list_metadata(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(metadata.items[0].name_any(), "a");
}

#[tokio::test]
async fn scale_is_a_view_of_the_object() {
    let store = store().await;
    post(&store, WIDGETS, &widget("a", 3)).await;
    let path = format!("{WIDGETS}/a/scale");
    let (code, _, scale) = send(
        &store,
        "PATCH",
        &path,
        MERGE,
        json!({"spec": {"replicas": 4}}).to_string(),
    )
    .await;
    assert_eq!(
        (code, &scale["kind"], &scale["spec"]["replicas"]),
        (200, &json!("Scale"), &json!(4))
    );
    assert_eq!(get(&store, &format!("{WIDGETS}/a")).await["spec"]["replicas"], 4);
    let (code, ..) = send(
        &store,
        "PATCH",
        &path,
        MERGE,
        json!({"spec": {"replicas": -1}}).to_string(),
    )
    .await;
    assert_eq!(code, 422);
}

#[tokio::test]
async fn health_is_that_of_the_store() {
    let store = store().await;
    assert_eq!(send(&store, "GET", "/livez", &[], "").await.2, "ok");
    let (_, _, verbose) = send(&store, "GET", "/readyz?verbose", &[], "").await;
    assert!(verbose.as_str().unwrap().contains("[+]store ok"));
    let closed = store.clone();
    store.close().await;
    let (code, _, status) = send(&closed, "GET", "/readyz", &[], "").await;
    assert_eq!((code, &status["reason"]), (503, &json!("ServiceUnavailable")));
    let (code, _) = post(&closed, WIDGETS, &widget("late", 1)).await;
    assert_eq!(code, 503);
}

#[tokio::test]
async fn reviews_allow_all() {
    let store = store().await;
    let review = json!({"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(post(&store, path, &review).await.1["status"]["allowed"], true);
    let who = post(
        &store,
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        &json!({}),
    )
    .await
    .1;
    assert_eq!(who["status"]["userInfo"]["username"], "system:homeport");
    assert_eq!(who["status"]["userInfo"]["groups"][0], "system:masters");
}

/// A reflector as controllers hold it: it must see each state, by list and watch as well as by streaming lists.
#[rstest]
#[case(watcher::Config::default())]
#[case(watcher::Config::default().streaming_lists())]
#[tokio::test]
async fn a_watcher_follows_along(#[case] config: watcher::Config) {
    let store = store().await;
    post(&store, WIDGETS, &widget("before", 1)).await;
    let stream = watcher(widgets(&store), config)
        .default_backoff()
        .applied_objects();
    futures::pin_mut!(stream);
    let first: DynamicObject = stream.try_next().await.unwrap().unwrap();
    assert_eq!(first.name_any(), "before");
    post(&store, WIDGETS, &widget("after", 1)).await;
    let second = stream.try_next().await.unwrap().unwrap();
    assert_eq!(second.name_any(), "after");
    let patch = Patch::Merge(json!({"spec": {"size": 5}}));
    widgets(&store)
        .patch("after", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let third = stream.try_next().await.unwrap().unwrap();
    assert_eq!(third.data["spec"]["size"], 5);
    assert_eq!(third.metadata.generation, Some(2));
}

#[tokio::test]
async fn two_versions_are_views_of_the_same_object() {
    let store = store().await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.dev";
    let mut definition = get(&store, path).await;
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    let (code, _, answer) = send(&store, "PUT", path, JSON, definition.to_string()).await;
    assert_eq!(code, 200, "{answer}");
    post(&store, WIDGETS, &widget("a", 3)).await;
    let second = get(&store, "/apis/test.dev/v2/namespaces/default/widgets/a").await;
    assert_eq!(
        (&second["apiVersion"], &second["spec"]["size"]),
        (&json!("test.dev/v2"), &json!(3))
    );
    let group = get(&store, "/apis/test.dev").await;
    assert_eq!(group["preferredVersion"]["version"], "v2");
}
