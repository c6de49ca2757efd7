//! Status and scale: what each of the paths writes.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, containing, exactly};
use crate::objects::{WIDGETS, widget, widgets};

fn definition() -> Value {
    let mut definition = widgets(
        json!({"type": "object", "properties": {"replicas": {"type": "integer"}, "a": {"type": "string"}}}),
    );
    definition["spec"]["versions"][0]["subresources"] = json!({
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector",
        },
    });
    definition
}

pub(crate) fn cases() -> Vec<Case> {
    let path = format!("{WIDGETS}/a");
    let status = format!("{path}/status");
    let scale = format!("{path}/scale");
    let deployments = "/apis/apps/v1/namespaces/{namespace}/deployments";
    vec![
        case("a creation writes no status")
            .define(definition())
            .post(WIDGETS, json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {}, "status": {"x": 1},
            }))
            .is(201)
            .with(json!({"status": absent()})),
        case("the object's own path leaves status as it is")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .patch(MERGE, &status, json!({"status": {"x": 1}}))
            .is(200)
            .with(json!({"status": {"x": 1}, "metadata": {"generation": 1}}))
            .patch(MERGE, &path, json!({"status": {"x": 2}, "spec": {"a": "2"}}))
            .is(200)
            .with(json!({"status": {"x": 1}, "spec": {"a": "2"}, "metadata": {"generation": 2}})),
        case("the status path leaves all else as it is")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .put(&status, json!({
                "apiVersion": "{group}/v1", "kind": "Widget",
                "metadata": {"name": "a", "resourceVersion": "{version}", "labels": {"x": "y"}, "finalizers": ["x.test/y"]},
                "spec": {"a": "2"}, "status": {"x": 1},
            }))
            .is(200)
            .with(json!({
                "spec": {"a": "1"}, "status": {"x": 1},
                "metadata": {"labels": absent(), "finalizers": absent(), "generation": 1},
            })),
        case("a status without change of it keeps the version")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .patch(MERGE, &status, json!({"status": {"x": 1}}))
            .is(200)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, &status, json!({"status": {"x": 1}, "spec": {"a": "9"}}))
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}})),
        case("the status path reads the whole object")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .get(&status)
            .is(200)
            .with(json!({"kind": "Widget", "spec": {"a": "1"}})),
        case("an older state conflicts on the status path too")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"a": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, &status, json!({"status": {"x": 1}}))
            .is(200)
            .put(&status, json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a", "resourceVersion": "{version}"}, "status": {"x": 2},
            }))
            .is(409),
        case("a definition without status has no such path")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .get(&status)
            .is(404)
            .get(&scale)
            .is(404),
        case("a scale is read from where the definition says")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"replicas": 3})))
            .is(201)
            .keep("uid", "/metadata/uid")
            .patch(MERGE, &status, json!({"status": {"replicas": 2, "selector": "app=a"}}))
            .is(200)
            .get(&scale)
            .is(200)
            .with(json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "a", "namespace": "{namespace}", "uid": "{uid}", "resourceVersion": any(), "creationTimestamp": any()},
                "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=a"},
            })),
        case("a scale is written to where the definition says")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"replicas": 3, "a": "1"})))
            .is(201)
            .put(&scale, json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "a", "namespace": "{namespace}"}, "spec": {"replicas": 5},
            }))
            .is(200)
            .with(json!({"kind": "Scale", "spec": {"replicas": 5}}))
            .patch(MERGE, &scale, json!({"spec": {"replicas": 6}}))
            .is(200)
            .with(json!({"spec": {"replicas": 6}}))
            .get(&path)
            .is(200)
            .with(json!({"spec": exactly(json!({"replicas": 6, "a": "1"})), "metadata": {"generation": 3}})),
        case("a scale is not negative")
            .define(definition())
            .post(WIDGETS, widget("a", json!({"replicas": 3})))
            .is(201)
            .patch(MERGE, &scale, json!({"spec": {"replicas": -1}}))
            .is(422)
            .with(json!({"message": containing("spec.replicas: Invalid value: -1: should be a non-negative integer")})),
        case("an object that has no number of replicas has no scale to read")
            .define(definition())
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .get(&scale)
            .is(500)
            .with(json!({"message": containing("the spec replicas field \".spec.replicas\" does not exist")})),
        case("built-in workloads have status and scale")
            .post(deployments, json!({
                "metadata": {"name": "a"},
                "spec": {
                    "replicas": 2, "selector": {"matchLabels": {"app": "a"}},
                    "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
                },
                "status": {"replicas": 9},
            }))
            .is(201)
            .with(json!({"status": exactly(json!({})), "metadata": {"generation": 1}}))
            .get(format!("{deployments}/a/scale"))
            .is(200)
            .with(json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": 2}, "status": {"replicas": 0, "selector": "app=a"}}))
            .patch(MERGE, format!("{deployments}/a/scale"), json!({"spec": {"replicas": 4}}))
            .is(200)
            .patch(MERGE, format!("{deployments}/a/status"), json!({"status": {"replicas": 4}, "spec": {"replicas": 7}}))
            .is(200)
            .with(json!({"spec": {"replicas": 4}, "status": {"replicas": 4}, "metadata": {"generation": 2}})),
    ]
}
