//! What client libraries rely on beyond the verbs, found by running their own tests against this API.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{WIDGETS, get, post, send, store};

const PODS: &str = "/api/v1/namespaces/default/pods";
const STRATEGIC: &[(&str, &str)] = &[("content-type", "application/strategic-merge-patch+json")];
const MERGE: &[(&str, &str)] = &[("content-type", "application/merge-patch+json")];

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
}

// Autoscalers and `kubectl autoscale` find the Pods by it.
#[rstest]
#[case("deployments", "Deployment")]
#[case("replicasets", "ReplicaSet")]
#[case("statefulsets", "StatefulSet")]
#[tokio::test]
async fn the_scale_of_a_workload_has_its_selector(#[case] plural: &str, #[case] kind: &str) {
    let store = store().await;
    let path = format!("/apis/apps/v1/namespaces/default/{plural}");
    let workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "serviceName": "web", "template": template()},
    });
    let (code, _) = post(&store, &path, &workload).await;
    assert_eq!(code, 201);
    let scale = get(&store, &format!("{path}/web/scale")).await;
    assert_eq!(scale["spec"]["replicas"], 1);
    assert_eq!(scale["status"]["selector"], "app=web");
}

#[tokio::test]
async fn the_role_of_administrators_is_there_and_bound() {
    let store = store().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = get(&store, &format!("{rbac}/clusterroles/cluster-admin")).await;
    assert_eq!(role["rules"][0]["verbs"], json!(["*"]));
    let binding = get(&store, &format!("{rbac}/clusterrolebindings/cluster-admin")).await;
    assert_eq!(binding["subjects"][0]["name"], "system:masters");
}

#[tokio::test]
async fn ephemeral_containers_are_written_by_themselves() {
    let store = store().await;
    let pod = json!({"metadata": {"name": "web"}, "spec": template()["spec"]});
    let (code, _) = post(&store, PODS, &pod).await;
    assert_eq!(code, 201);
    let path = format!("{PODS}/web/ephemeralcontainers");
    let found = get(&store, &path).await;
    assert!(found["spec"].get("ephemeralContainers").is_none());

    let patch = |name: &str| {
        let debugger = json!({"name": name, "image": "busybox"});
        json!({"spec": {"ephemeralContainers": [debugger], "nodeName": "elsewhere"}}).to_string()
    };
    for name in ["first", "second"] {
        let (code, _, _) = send(&store, "PATCH", &path, STRATEGIC, patch(name)).await;
        assert_eq!(code, 200);
    }
    let pod = get(&store, &format!("{PODS}/web")).await;
    assert_eq!(pod["spec"]["ephemeralContainers"].as_array().unwrap().len(), 2);
    assert!(pod["spec"].get("nodeName").is_none());
}

#[tokio::test]
async fn a_strict_patch_with_an_unknown_field_is_invalid() {
    let store = store().await;
    let path = "/api/v1/namespaces/default/configmaps";
    post(&store, path, &json!({"metadata": {"name": "a"}})).await;
    let path = format!("{path}/a?fieldValidation=Strict");
    let (code, _, refused) = send(&store, "PATCH", &path, MERGE, json!({"dota": {}}).to_string()).await;
    assert_eq!((code, &refused["reason"]), (422, &json!("Invalid")));
    let cause = &refused["details"]["causes"][0];
    assert_eq!(cause["field"], "patch");
    let message = cause["message"].as_str().unwrap();
    assert!(
        message.ends_with("strict decoding error: unknown field \"dota\""),
        "{message}"
    );
}

#[tokio::test]
async fn a_strict_patch_of_a_secret_repeats_no_value() {
    let store = store().await;
    let path = "/api/v1/namespaces/default/secrets";
    post(&store, path, &json!({"metadata": {"name": "a"}})).await;
    let patch = json!({"stringData": {"password": "hunter2"}, "dota": {}}).to_string();
    let path = format!("{path}/a?fieldValidation=Strict");
    let (code, _, refused) = send(&store, "PATCH", &path, MERGE, patch).await;
    assert_eq!(code, 422);
    assert!(!refused.to_string().contains("hunter2"));
}

#[tokio::test]
async fn nodes_are_selected_by_a_flag_that_is_false_where_it_is_absent() {
    let store = store().await;
    for (name, spec) in [("free", json!({})), ("cordoned", json!({"unschedulable": true}))] {
        let node = json!({"metadata": {"name": name}, "spec": spec});
        assert_eq!(post(&store, "/api/v1/nodes", &node).await.0, 201);
    }
    let free = get(
        &store,
        "/api/v1/nodes?fieldSelector=spec.unschedulable%3D%3Dfalse",
    )
    .await;
    assert_eq!(free["items"].as_array().unwrap().len(), 1);
    assert_eq!(free["items"][0]["metadata"]["name"], "free");
}

#[tokio::test]
async fn a_request_for_a_certificate_is_approved_by_itself() {
    let store = store().await;
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let request = json!({
        "metadata": {"name": "robot"},
        "spec": {"request": "LS0t", "signerName": "example.com/signer", "usages": ["client auth"]},
    });
    let (code, created) = post(&store, path, &request).await;
    assert_eq!(code, 201, "{created}");
    let approval = json!({"status": {
        "certificate": "LS0t",
        "conditions": [{"type": "Approved", "status": "True", "reason": "Trusted"}],
    }});
    let (code, _, approved) = send(
        &store,
        "PATCH",
        &format!("{path}/robot/approval"),
        MERGE,
        approval.to_string(),
    )
    .await;
    assert_eq!(code, 200, "{approved}");
    let read = get(&store, &format!("{path}/robot/approval")).await;
    assert_eq!(read["status"]["conditions"][0]["type"], "Approved");
    assert!(
        read["status"].get("certificate").is_none(),
        "only a signer writes it"
    );
}

// Go's clients ask with an `@` in the media type, and could not parse one in the answer.
#[tokio::test]
async fn openapi_v2_comes_in_protobuf_by_a_name_that_go_can_parse() {
    let store = store().await;
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let (code, headers, _) = send(&store, "GET", "/openapi/v2", &[("accept", accept)], "").await;
    assert_eq!(code, 200);
    let media_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!(headers["content-type"], media_type);
}

#[tokio::test]
async fn tokens_of_service_accounts_are_reviewed_as_theirs() {
    let store = store().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    post(&store, accounts, &json!({"metadata": {"name": "robot"}})).await;
    let request = json!({"spec": {"audiences": ["vault"]}});
    let (code, issued) = post(&store, &format!("{accounts}/robot/token"), &request).await;
    assert_eq!((code, &issued["kind"]), (201, &json!("TokenRequest")));
    assert_eq!(issued["spec"]["expirationSeconds"], 3600);
    let review = async |token: &Value, audiences: Value| {
        let review = json!({"spec": {"token": token, "audiences": audiences}});
        let (code, reviewed) = post(&store, "/apis/authentication.k8s.io/v1/tokenreviews", &review).await;
        assert_eq!(code, 201);
        reviewed["status"].clone()
    };
    let token = &issued["status"]["token"];
    let status = review(token, json!(["vault", "other"])).await;
    assert_eq!(status["authenticated"], true);
    assert_eq!(status["audiences"], json!(["vault"]));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:robot");
    assert!(
        review(token, json!(null)).await["error"].is_string(),
        "it is not for this API"
    );
    assert!(review(&json!("made up"), json!(["vault"])).await["error"].is_string());

    send(&store, "DELETE", &format!("{accounts}/robot"), &[], "").await;
    assert!(review(token, json!(["vault"])).await["error"].is_string());
    let (code, _) = post(&store, &format!("{accounts}/robot/token"), &request).await;
    assert_eq!(code, 404);
}

#[rstest]
#[case(json!({"spec": {"expirationSeconds": 10}}), 422)]
#[case(json!({"spec": "text"}), 201)]
#[case(json!([]), 201)]
#[tokio::test]
async fn any_request_for_a_token_is_answered(#[case] request: Value, #[case] expected: u16) {
    let store = store().await;
    let path = "/api/v1/namespaces/default/serviceaccounts";
    post(&store, path, &json!({"metadata": {"name": "robot"}})).await;
    assert_eq!(
        post(&store, &format!("{path}/robot/token"), &request).await.0,
        expected
    );
}

// As kube-apiserver writes them: built-in kinds as Go structures, custom ones sorted.
#[rstest]
#[case("/api/v1/namespaces/default/configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap"}), "kind")]
#[case(WIDGETS, json!({"spec": {"size": 1}, "kind": "Widget", "apiVersion": "test.dev/v1"}), "apiVersion")]
#[tokio::test]
async fn objects_begin_with_what_they_are(
    #[case] path: &str,
    #[case] mut object: Value,
    #[case] first: &str,
) {
    let store = store().await;
    object["metadata"] = json!({"name": "a"});
    let (code, created) = post(&store, path, &object).await;
    assert_eq!(code, 201, "{created}");
    let read = get(&store, &format!("{path}/a")).await;
    for answer in [created, read] {
        let mut fields: Vec<&str> = answer
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .take(2)
            .collect();
        assert_eq!(fields[0], first);
        fields.sort_unstable();
        assert_eq!(fields, ["apiVersion", "kind"]);
    }
}

#[tokio::test]
async fn the_state_of_components_is_read_only() {
    let store = store().await;
    let path = "/api/v1/componentstatuses";
    let list = get(&store, path).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let scheduler = get(&store, &format!("{path}/scheduler")).await;
    assert_eq!(scheduler["conditions"][0]["status"], "False");
    for method in ["DELETE", "PUT", "PATCH"] {
        let (code, _, _) = send(&store, method, &format!("{path}/scheduler"), MERGE, "{}").await;
        assert_eq!(code, 405, "{method}");
    }
    let (code, _) = post(&store, path, &json!({"metadata": {"name": "mine"}})).await;
    assert_eq!(code, 405);
}

// As kube-rs derives it for fields that may not change.
#[tokio::test]
async fn rules_map_optional_old_values() {
    let store = store().await;
    let mut definition = crate::support::widget_definition();
    definition["metadata"]["name"] = json!("stones.test.dev");
    definition["spec"]["names"] = json!({"kind": "Stone", "plural": "stones"});
    let spec = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["color"]["x-kubernetes-validations"] = json!([{
        "rule": "oldSelf.optMap(o, o == self).orValue(true)", "optionalOldSelf": true, "message": "may not change",
    }]);
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, answer) = post(&store, definitions, &definition).await;
    assert_eq!(code, 201, "{answer}");

    let path = "/apis/test.dev/v1/namespaces/default/stones";
    let stone = json!({
        "apiVersion": "test.dev/v1", "kind": "Stone", "metadata": {"name": "a"}, "spec": {"size": 1, "color": "red"},
    });
    let (code, answer) = post(&store, path, &stone).await;
    assert_eq!(code, 201, "{answer}");
    for (patch, expected) in [
        (json!({"spec": {"size": 2}}), 200),
        (json!({"spec": {"color": "green"}}), 422),
    ] {
        let (code, _, answer) = send(&store, "PATCH", &format!("{path}/a"), MERGE, patch.to_string()).await;
        assert_eq!(code, expected, "{answer}");
    }
}

// kube-apiserver decodes what it has stored by the schema of that version.
#[tokio::test]
async fn fields_that_the_stored_version_lacks_are_not_kept() {
    let store = store().await;
    let mut definition = crate::support::widget_definition();
    definition["metadata"]["name"] = json!("stones.test.dev");
    definition["spec"]["names"] = json!({"kind": "Stone", "plural": "stones"});
    let versions = &mut definition["spec"]["versions"];
    let mut old = versions[0].clone();
    old["name"] = json!("v1beta1");
    old["storage"] = json!(false);
    old["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["weight"] =
        json!({"type": "integer"});
    versions.as_array_mut().unwrap().push(old);
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, answer) = post(&store, definitions, &definition).await;
    assert_eq!(code, 201, "{answer}");

    let path = "/apis/test.dev/v1beta1/namespaces/default/stones";
    let stone = json!({
        "apiVersion": "test.dev/v1beta1", "kind": "Stone", "metadata": {"name": "a"}, "spec": {"size": 1, "weight": 3},
    });
    let (code, created) = post(&store, path, &stone).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["spec"], json!({"size": 1, "color": "red"}));
}
