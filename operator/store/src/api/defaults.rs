//! Fields that kube-apiserver fills in for built-in kinds, and that clients count on being there.

use serde_json::{Map, Value, json};

/// Fills in what the client has left out of an object of the built-in kind.
pub(crate) fn fill(kind: &str, object: &mut Value) {
    match kind {
        "Deployment" => {
            let strategy = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
            merge(
                object,
                &json!({"spec": {
                    "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                    "strategy": {"type": "RollingUpdate"},
                }}),
            );
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                merge(
                    object,
                    &json!({"spec": {"strategy": {"rollingUpdate": strategy}}}),
                );
            }
            fill_template(object, &["spec", "template"]);
        }
        "ReplicaSet" => {
            merge(object, &json!({"spec": {"replicas": 1}}));
            fill_template(object, &["spec", "template"]);
        }
        "StatefulSet" => {
            merge(
                object,
                &json!({"spec": {
                    "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                    "updateStrategy": {"type": "RollingUpdate"},
                }}),
            );
            fill_template(object, &["spec", "template"]);
        }
        "DaemonSet" => {
            merge(
                object,
                &json!({"spec": {
                    "revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate"},
                }}),
            );
            fill_template(object, &["spec", "template"]);
        }
        "Job" => fill_job(object),
        "CronJob" => {
            merge(
                object,
                &json!({"spec": {
                    "concurrencyPolicy": "Allow", "suspend": false,
                    "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
                }}),
            );
            fill_template(object, &["spec", "jobTemplate", "spec", "template"]);
        }
        "Service" => fill_service(object),
        "Pod" => object.get_mut("spec").into_iter().for_each(fill_pod_spec),
        "PersistentVolumeClaim" => merge(object, &json!({"spec": {"volumeMode": "Filesystem"}})),
        _ => {}
    }
}

fn fill_job(job: &mut Value) {
    merge(
        job,
        &json!({"spec": {"backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false}}),
    );
    // A job without a number of completions is a work queue only if it says how many work on it.
    if job["spec"].get("parallelism").is_none() && job["spec"].get("completions").is_none() {
        merge(job, &json!({"spec": {"completions": 1}}));
    }
    merge(job, &json!({"spec": {"parallelism": 1}}));
    if job["spec"]["manualSelector"] != true {
        let uid = job["metadata"]["uid"].clone();
        let labels = json!({"batch.kubernetes.io/controller-uid": uid});
        merge(
            job,
            &json!({"spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": {
                    "batch.kubernetes.io/controller-uid": uid,
                    "batch.kubernetes.io/job-name": job["metadata"]["name"],
                    "job-name": job["metadata"]["name"],
                }}},
            }}),
        );
    }
    fill_template(job, &["spec", "template"]);
}

fn fill_service(service: &mut Value) {
    merge(
        service,
        &json!({"spec": {
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        }}),
    );
    for port in service
        .get_mut("spec")
        .into_iter()
        .flat_map(|spec| items(spec, "ports"))
    {
        merge(port, &json!({"protocol": "TCP"}));
        let number = port["port"].clone();
        merge(port, &json!({"targetPort": number}));
    }
}

fn fill_template(object: &mut Value, path: &[&str]) {
    let template = path.iter().try_fold(object, |value, field| value.get_mut(field));
    if let Some(spec) = template.and_then(|template| template.get_mut("spec")) {
        fill_pod_spec(spec);
    }
}

fn fill_pod_spec(spec: &mut Value) {
    merge(
        spec,
        &json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler", "securityContext": {},
        }),
    );
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            merge(
                container,
                &json!({
                    "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }),
            );
            for port in items(container, "ports") {
                merge(port, &json!({"protocol": "TCP"}));
            }
        }
    }
}

fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Adds the fields of `defaults` that `object` lacks, all the way down. What is no object stays as it is: the
/// schema will refuse it.
fn merge(object: &mut Value, defaults: &Value) {
    let (Value::Object(fields), Value::Object(defaults)) = (object, defaults) else {
        return;
    };
    for (name, default) in defaults {
        let absent = if default.is_object() {
            Value::Object(Map::new())
        } else {
            default.clone()
        };
        let field = fields.entry(name.as_str()).or_insert(absent);
        merge(field, default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_and_never_overrides() {
        let mut job = json!({
            "metadata": {"name": "j", "uid": "u"},
            "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}},
        });
        fill("Job", &mut job);
        assert_eq!(job["spec"]["backoffLimit"], 0);
        assert_eq!(job["spec"]["completions"], 1);
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        let once = job.clone();
        fill("Job", &mut job);
        assert_eq!(job, once);
    }

    #[test]
    fn leaves_malformed_objects_to_the_schema() {
        for kind in ["Deployment", "Job", "CronJob", "Service", "Pod"] {
            for mut object in [
                json!({"spec": 3}),
                json!({}),
                json!({"spec": {"template": [], "ports": "x"}}),
            ] {
                fill(kind, &mut object);
            }
        }
    }
}
