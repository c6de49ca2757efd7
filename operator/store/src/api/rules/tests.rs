#![allow(clippy::unwrap_used)]

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::api::{defaults, kinds};

fn of(kind: &str) -> Kind {
    kinds::built_in()
        .into_iter()
        .find(|known| known.kind == kind)
        .unwrap()
}

fn found(kind: &str, mut object: Value, old: Option<Value>) -> Vec<String> {
    let kind = of(kind);
    let complete = |object: &mut Value| {
        kind.schema().unwrap().default_values(object);
        defaults::fill(&kind, object);
    };
    complete(&mut object);
    let old = old.map(|mut old| {
        complete(&mut old);
        old
    });
    check(&kind, &object, old.as_ref())
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn deployment(labels: Value) -> Value {
    json!({"spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
    }})
}

/// Messages of a kube-apiserver 1.36.
#[rstest]
#[case("Deployment", json!({}), &[
    "spec.selector: Required value",
    "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
    "spec.template.spec.containers: Required value",
])]
#[case("Deployment", deployment(json!({"a": "b"})), &[])]
#[case("Deployment", deployment(json!({"a": "c"})), &[
    "spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
])]
#[case("DaemonSet", json!({}), &[
    "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
    "spec.template.spec.containers: Required value",
])]
#[case("Job", json!({"metadata": {"uid": "u", "name": "j"}, "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}), &[
    "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
])]
#[case("Service", json!({"spec": {"ports": [{"port": 80}, {"port": 81}]}}), &[
    "spec.ports[0].name: Required value", "spec.ports[1].name: Required value",
])]
#[case("Service", json!({}), &["spec.ports: Required value"])]
#[case("PersistentVolumeClaim", json!({}), &[
    "spec.accessModes: Required value: at least 1 access mode is required", "spec.resources[storage]: Required value",
])]
#[case("Secret", json!({"type": "kubernetes.io/basic-auth"}), &[
    "data[username]: Required value", "data[password]: Required value",
])]
#[case("ConfigMap", json!({"data": {"..": ""}}), &["data[..]: Invalid value: \"..\": must not be '..'"])]
#[case("Lease", json!({"spec": {"leaseDurationSeconds": 0}}), &[
    "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
])]
fn new_objects(#[case] kind: &str, #[case] object: Value, #[case] says: &[&str]) {
    assert_eq!(found(kind, object, None), says);
}

#[test]
fn what_runs_keeps_its_selector() {
    let mut new = deployment(json!({"a": "b", "c": "d"}));
    new["spec"]["selector"]["matchLabels"] = json!({"c": "d"});
    assert_eq!(
        found("Deployment", new, Some(deployment(json!({"a": "b"})))),
        ["spec.selector: Invalid value: {\"matchLabels\":{\"c\":\"d\"}}: field is immutable"]
    );
}

#[test]
fn what_is_stored_and_does_not_change_is_not_looked_at() {
    let wrong = deployment(json!({"a": "c"}));
    assert_eq!(found("Deployment", wrong.clone(), Some(wrong)), [""; 0]);
}

#[rstest]
#[case("100m", 0.1)]
#[case("1Ki", 1024.0)]
#[case("2e3", 2000.0)]
#[case("-1", -1.0)]
fn amounts(#[case] quantity: &str, #[case] is: f64) {
    assert!((amount(&quantity.into()).unwrap() - is).abs() < 1e-9);
}
