//! Fields that kube-apiserver fills in for built-in kinds, and that clients count on being there.
//!
//! What the schema knows is filled in by it. Here is the rest of Kubernetes' `SetDefaults` functions: those of kinds,
//! and those of structures that stand in several kinds, such as containers and probes.

use serde_json::{Map, Value, json};

use super::kinds::Kind;
use crate::schema::{Node, NodeChild};

/// Fills in what the client has left out of an object of a built-in kind.
pub(crate) fn fill(kind: &Kind, object: &mut Value) {
    of_kind(&kind.kind, object);
    if let Ok(schema) = kind.schema() {
        of_structures(schema.root(), object);
    }
}

fn of_kind(kind: &str, object: &mut Value) {
    match kind {
        "Deployment" => {
            merge(
                object,
                &json!({"spec": {
                    "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                    "strategy": {"type": "RollingUpdate"},
                }}),
            );
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                let rolling = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
                merge(object, &json!({"spec": {"strategy": {"rollingUpdate": rolling}}}));
            }
        }
        "ReplicaSet" => merge(object, &json!({"spec": {"replicas": 1}})),
        "ReplicationController" => {
            merge(object, &json!({"spec": {"replicas": 1}}));
            let labels = labels_of_template(object);
            let has_selector = object["spec"]["selector"].is_object();
            if labels.is_object() && !has_selector {
                object["spec"]["selector"] = labels;
            }
        }
        "StatefulSet" => fill_stateful_set(object),
        "DaemonSet" => {
            merge(
                object,
                &json!({"spec": {"revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate"}}}),
            );
            if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
                let rolling = json!({"maxUnavailable": 1, "maxSurge": 0});
                merge(
                    object,
                    &json!({"spec": {"updateStrategy": {"rollingUpdate": rolling}}}),
                );
            }
        }
        "Job" => fill_job(object),
        "CronJob" => merge(
            object,
            &json!({"spec": {
                "concurrencyPolicy": "Allow", "suspend": false,
                "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
            }}),
        ),
        "Service" => fill_service(object),
        "Pod" => fill_pod(object),
        "Event" => fill_event(object),
        "PersistentVolumeClaim" => merge(object, &json!({"status": {"phase": "Pending"}})),
        "PersistentVolume" => merge(
            object,
            &json!({
                "spec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }),
        ),
        "RoleBinding" | "ClusterRoleBinding" => fill_binding(object),
        "HorizontalPodAutoscaler" => {
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
            if items(&mut object["spec"], "metrics").next().is_none() {
                object["spec"]["metrics"] = json!([metric]);
            }
            merge(object, &json!({"spec": {"minReplicas": 1}}));
        }
        "LimitRange" => items(&mut object["spec"], "limits")
            .filter(|limit| limit["type"] == "Container")
            .for_each(fill_limit),
        "Endpoints" => {
            for subset in items(object, "subsets") {
                items(subset, "ports").for_each(|port| merge(port, &json!({"protocol": "TCP"})));
            }
        }
        "EndpointSlice" => {
            items(object, "ports").for_each(|port| merge(port, &json!({"name": "", "protocol": "TCP"})));
        }
        "NetworkPolicy" => {
            let has_egress = items(&mut object["spec"], "egress").next().is_some();
            let types = if has_egress {
                json!(["Ingress", "Egress"])
            } else {
                json!(["Ingress"])
            };
            merge(object, &json!({"spec": {"policyTypes": types}}));
        }
        "PriorityClass" => merge(object, &json!({"preemptionPolicy": "PreemptLowerPriority"})),
        "StorageClass" => merge(
            object,
            &json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        ),
        _ => {}
    }
}

/// What a container gets by default is the most that it may have, and what it asks for is that or the least.
fn fill_limit(limit: &mut Value) {
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        if let Some(amounts) = limit.get(from).cloned() {
            merge(limit, &json!({to: amounts}));
        }
    }
}

fn fill_stateful_set(set: &mut Value) {
    let spec = &set["spec"]["updateStrategy"];
    if spec["type"].as_str().unwrap_or("").is_empty() {
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {}});
        merge(set, &json!({"spec": {"updateStrategy": strategy}}));
    }
    if set["spec"]["updateStrategy"]["rollingUpdate"].is_object() {
        merge(
            set,
            &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}),
        );
    }
    merge(
        set,
        &json!({"spec": {
            "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        }}),
    );
    for claim in set
        .get_mut("spec")
        .into_iter()
        .flat_map(|spec| items(spec, "volumeClaimTemplates"))
    {
        let defaults = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"},
        });
        merge(claim, &defaults);
    }
}

fn fill_job(job: &mut Value) {
    // A job without a number of completions is a work queue only if it says how many work on it.
    if job["spec"].get("parallelism").is_none() && job["spec"].get("completions").is_none() {
        merge(job, &json!({"spec": {"completions": 1}}));
    }
    merge(
        job,
        &json!({"spec": {
            "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
            "manualSelector": false, "podReplacementPolicy": "TerminatingOrFailed",
        }}),
    );
    if job["spec"]["manualSelector"] != true {
        let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
        let selector = json!({"batch.kubernetes.io/controller-uid": uid});
        let labels = json!({
            "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
            "controller-uid": uid, "job-name": name,
        });
        merge(
            job,
            &json!({"spec": {
                "selector": {"matchLabels": selector}, "template": {"metadata": {"labels": labels}},
            }}),
        );
    }
    labels_of_template(job);
}

/// An object without labels has those of its template, which are returned.
fn labels_of_template(object: &mut Value) -> Value {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    let own = object["metadata"]["labels"].as_object();
    if labels.is_object() && own.is_none_or(Map::is_empty) {
        merge(object, &json!({"metadata": {"labels": labels}}));
    }
    labels
}

fn fill_service(service: &mut Value) {
    merge(
        service,
        &json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None"}}),
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
    let kind = service["spec"]["type"].as_str().unwrap_or("").to_owned();
    if kind == "ExternalName" {
        return;
    }
    merge(service, &json!({"spec": {"internalTrafficPolicy": "Cluster"}}));
    if service["spec"]["sessionAffinity"] == "ClientIP" {
        let config = json!({"clientIP": {"timeoutSeconds": 10_800}});
        merge(service, &json!({"spec": {"sessionAffinityConfig": config}}));
    }
    let is_external = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    if is_external {
        merge(service, &json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    }
    if kind == "LoadBalancer" {
        merge(service, &json!({"spec": {"allocateLoadBalancerNodePorts": true}}));
    }
    let is_bare = service["spec"]["selector"].as_object().is_none_or(Map::is_empty);
    let is_headless = service["spec"]["clusterIP"] == "None";
    let policy = if is_headless && is_bare {
        "RequireDualStack"
    } else {
        "SingleStack"
    };
    let families = if is_headless && is_bare {
        json!(["IPv4", "IPv6"])
    } else {
        json!(["IPv4"])
    };
    merge(
        service,
        &json!({"spec": {"ipFamilyPolicy": policy, "ipFamilies": families}}),
    );
    allocate(service, is_external);
}

/// Gives a service the addresses and ports that kube-apiserver would give it. Nothing routes to them: they are made
/// from the service's uid, so that they stay what they are.
fn allocate(service: &mut Value, is_external: bool) {
    let uid = service["metadata"]["uid"].as_str().unwrap_or("");
    let number = uid.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let address = format!("10.96.{}.{}", number >> 8 & 0xff, number % 254 + 1);
    merge(service, &json!({"spec": {"clusterIP": address}}));
    let address = service["spec"]["clusterIP"].clone();
    merge(service, &json!({"spec": {"clusterIPs": [address]}}));
    if is_external {
        let ports = service
            .get_mut("spec")
            .into_iter()
            .flat_map(|spec| items(spec, "ports"));
        for (index, port) in (0_u32..).zip(ports) {
            let node_port = 30_000 + number.wrapping_add(index) % 2768;
            merge(port, &json!({"nodePort": node_port}));
        }
    }
}

fn fill_pod(pod: &mut Value) {
    merge(
        pod,
        &json!({
            "spec": {
                "enableServiceLinks": true, "serviceAccountName": "default", "priority": 0,
                "preemptionPolicy": "PreemptLowerPriority",
            },
            "status": {"phase": "Pending"},
        }),
    );
    let tolerated = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(
        |taint| json!({"effect": "NoExecute", "key": taint, "operator": "Exists", "tolerationSeconds": 300}),
    );
    merge(pod, &json!({"spec": {"tolerations": tolerated}}));
    let spec = pod.get_mut("spec");
    for container in spec.into_iter().flat_map(|spec| items(spec, "containers")) {
        let limits = container["resources"]["limits"].clone();
        if limits.is_object() {
            merge(container, &json!({"resources": {"requests": limits}}));
        }
    }
    let class = quality_of_service(&pod["spec"]);
    merge(pod, &json!({"status": {"qosClass": class}}));
}

/// How readily a node would evict the pod.
fn quality_of_service(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let asks = |container: &Value, what: &str| {
        let resources = container["resources"][what].as_object();
        resources.is_some_and(|resources| !resources.is_empty())
    };
    if !containers().any(|container| asks(container, "limits") || asks(container, "requests")) {
        return "BestEffort";
    }
    let is_fixed = |container: &Value| {
        let resources = &container["resources"];
        ["cpu", "memory"]
            .iter()
            .all(|name| resources["limits"].get(name).is_some())
            && resources["limits"] == resources["requests"]
    };
    if containers().all(is_fixed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Times that are no pointers in Go are written even if there are none.
fn fill_event(event: &mut Value) {
    let is_new = event["apiVersion"] == "events.k8s.io/v1";
    let times = if is_new {
        ["eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]
    } else {
        ["eventTime", "firstTimestamp", "lastTimestamp"]
    };
    for time in times {
        merge(event, &json!({time: null}));
    }
}

fn fill_binding(binding: &mut Value) {
    merge(
        binding,
        &json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io"}}),
    );
    for subject in items(binding, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            merge(subject, &json!({"apiGroup": "rbac.authorization.k8s.io"}));
        }
    }
}

/// Fills in the defaults of structures, wherever in the object they stand.
fn of_structures(node: &Node, value: &mut Value) {
    match value {
        Value::Object(_) => {
            if let Some(definition) = node.definition() {
                of_structure(definition, value);
            }
            for (name, field) in value.as_object_mut().into_iter().flatten() {
                if let Some(child) = node.child(NodeChild::Field(name)) {
                    of_structures(child, field);
                }
            }
        }
        Value::Array(list) => {
            if let Some(child) = node.child(NodeChild::Item) {
                list.iter_mut().for_each(|item| of_structures(child, item));
            }
        }
        _ => {}
    }
}

fn of_structure(definition: &str, value: &mut Value) {
    let defaults = match definition {
        "v1.PodSpec" => {
            // Two names of one field.
            let account = value
                .get("serviceAccountName")
                .or_else(|| value.get("serviceAccount"));
            if let Some(account) = account.cloned() {
                value["serviceAccountName"] = account.clone();
                value["serviceAccount"] = account;
            }
            json!({
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                "schedulerName": "default-scheduler", "securityContext": {},
            })
        }
        "v1.Container" | "v1.EphemeralContainer" => json!({
            "imagePullPolicy": pull_policy(value["image"].as_str().unwrap_or("")),
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }),
        "v1.Volume" => {
            let has_source = value.as_object().is_some_and(|fields| fields.len() > 1);
            if has_source {
                json!({})
            } else {
                json!({"emptyDir": {}})
            }
        }
        "v1.Probe" => {
            json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
        }
        "v1.HTTPGetAction" => json!({"path": "/", "scheme": "HTTP"}),
        "v1.SecretVolumeSource"
        | "v1.ConfigMapVolumeSource"
        | "v1.DownwardAPIVolumeSource"
        | "v1.ProjectedVolumeSource" => json!({"defaultMode": 420}),
        "v1.ServiceAccountTokenProjection" => json!({"expirationSeconds": 3600}),
        "v1.HostPathVolumeSource" => json!({"type": ""}),
        "v1.ObjectFieldSelector" => json!({"apiVersion": "v1"}),
        "v1.PersistentVolumeClaimSpec" => json!({"volumeMode": "Filesystem"}),
        "v1.NetworkPolicyPort" => json!({"protocol": "TCP"}),
        "v1.DeploymentCondition" => json!({"lastTransitionTime": null, "lastUpdateTime": null}),
        "v1.JobCondition" | "v1.PodCondition" => json!({"lastProbeTime": null, "lastTransitionTime": null}),
        "v1.ReplicaSetCondition"
        | "v1.StatefulSetCondition"
        | "v1.DaemonSetCondition"
        | "v1.NamespaceCondition"
        | "v1.APIServiceCondition" => json!({"lastTransitionTime": null}),
        _ => return,
    };
    merge(value, &defaults);
}

/// Images without a tag or digest, or with the tag `latest`, may change under their name.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once('@') {
        Some(_) => "IfNotPresent",
        None if name.contains(':') && !name.ends_with(":latest") => "IfNotPresent",
        None => "Always",
    }
}

fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Adds the fields of `defaults` that `object` lacks, all the way down; empty text counts as lacking. What is no
/// object stays as it is.
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
        let field = fields.entry(name.as_str()).or_insert_with(|| absent.clone());
        if field == "" {
            *field = absent;
        }
        merge(field, default);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;

    use super::*;
    use crate::api::kinds;

    fn filled(kind: &str, mut object: Value) -> Value {
        let kind = kinds::built_in()
            .into_iter()
            .find(|known| known.kind == kind)
            .unwrap();
        kind.schema().unwrap().default_values(&mut object);
        fill(&kind, &mut object);
        object
    }

    #[test]
    fn fills_in_and_never_overrides() {
        let job = filled(
            "Job",
            json!({
                "metadata": {"name": "j", "uid": "u"},
                "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}},
            }),
        );
        assert_eq!(job["spec"]["backoffLimit"], 0);
        assert_eq!(job["spec"]["completions"], 1);
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        assert_eq!(filled("Job", job.clone()), job);
    }

    #[test]
    fn structures_have_their_defaults_wherever_they_stand() {
        let container = json!({"name": "c", "image": "nginx:1", "livenessProbe": {"httpGet": {"port": 80}}});
        let template = json!({"spec": {"containers": [container], "volumes": [{"name": "v"}]}});
        let cron_job = filled(
            "CronJob",
            json!({"spec": {"jobTemplate": {"spec": {"template": template}}}}),
        );
        let spec = &cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            spec["containers"][0]["livenessProbe"]["httpGet"]["scheme"],
            "HTTP"
        );
        assert_eq!(spec["volumes"][0]["emptyDir"], json!({}));
    }

    #[test]
    fn leaves_malformed_objects_alone() {
        for kind in ["Deployment", "Job", "CronJob", "Service", "Pod"] {
            for object in [
                json!({"spec": 3}),
                json!({}),
                json!({"spec": {"template": [], "ports": "x"}}),
            ] {
                filled(kind, object);
            }
        }
    }

    #[rstest]
    #[case("nginx", "Always")]
    #[case("host:5000/nginx", "Always")]
    #[case("nginx:latest", "Always")]
    #[case("nginx:1", "IfNotPresent")]
    #[case("nginx@sha256:00", "IfNotPresent")]
    fn what_may_change_is_always_pulled(#[case] image: &str, #[case] policy: &str) {
        assert_eq!(pull_policy(image), policy);
    }
}
