//! The life of an object of each built-in kind: what defaults it gets, and each verb once.

use serde_json::{Value, json};

use crate::case::{Case, JSON_PATCH, MERGE, STRATEGIC, case};
use crate::expect::{absent, any, other_than, with_item};

/// A kind: its collection's path, an object without name, and what is filled in.
struct Life {
    name: &'static str,
    collection: &'static str,
    object: Value,
    filled_in: Value,
    /// A field of its status to write, if status is a path of its own.
    status: Option<Value>,
}

fn life(name: &'static str, collection: &'static str, object: Value) -> Life {
    Life {
        name,
        collection,
        object,
        filled_in: json!({}),
        status: None,
    }
}

impl Life {
    fn filled_in(mut self, part: Value) -> Self {
        self.filled_in = part;
        self
    }

    fn with_status(mut self, status: Value) -> Self {
        self.status = Some(status);
        self
    }

    fn case(self) -> Case {
        // Kinds of the whole cluster share their names with other cases.
        let (collection, name) = (self.collection, "{unique}");
        let item = format!("{collection}/{name}");
        let mut object = self.object;
        object["metadata"] = json!({"name": name, "labels": {"of": "{unique}"}});
        let selected = format!("{collection}?labelSelector=of={{unique}}");
        let mut case = case(self.name)
            // Pods need it.
            .until("{ns}/serviceaccounts/default")
            .is(200)
            .post(collection, object.clone())
            .is(201)
            .with(json!({"metadata": {"name": name, "uid": any(), "resourceVersion": any(), "creationTimestamp": any()}}))
            .with(self.filled_in)
            .keep("version", "/metadata/resourceVersion")
            .keep("uid", "/metadata/uid")
            .open("w", format!("{selected}&watch=true&resourceVersion={{version}}"))
            .post(collection, object)
            .is(409)
            .with(json!({"reason": "AlreadyExists"}))
            .get(&item)
            .is(200)
            .with(json!({"metadata": {"uid": "{uid}"}}))
            .get(&selected)
            .is(200)
            .with(json!({"items": [{"metadata": {"name": name}}]}))
            .get(&selected)
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .is(200)
            .with(json!({"kind": "Table", "rows": [{"object": {"metadata": {"name": name}}}]}))
            .patch(MERGE, format!("{item}?fieldManager=m"), json!({"metadata": {"annotations": {"a": "1"}}}))
            .is(200)
            .with(json!({"metadata": {"annotations": {"a": "1"}, "managedFields": with_item(json!({"manager": "m"}))}}))
            .next("w", [json!({"type": "MODIFIED", "object": {"metadata": {"annotations": {"a": "1"}}}})])
            .patch(STRATEGIC, &item, json!({"metadata": {"annotations": {"b": "1"}}}))
            .is(200)
            .with(json!({"metadata": {"annotations": {"a": "1", "b": "1"}}}))
            .next("w", [json!({"type": "MODIFIED", "object": {"metadata": {"annotations": {"b": "1"}}}})])
            .patch(JSON_PATCH, &item, json!([{"op": "remove", "path": "/metadata/annotations/a"}]))
            .is(200)
            .with(json!({"metadata": {"annotations": {"a": absent(), "b": "1"}}}))
            .next("w", [json!({"type": "MODIFIED", "object": {"metadata": {"annotations": {"a": absent()}}}})]);
        if let Some(status) = self.status {
            case = case
                .patch(
                    MERGE,
                    format!("{item}/status"),
                    json!({"status": status, "metadata": {"annotations": {"s": "1"}}}),
                )
                .is(200)
                .with(json!({"status": status, "metadata": {"resourceVersion": other_than("{version}")}}))
                .next("w", [json!({"type": "MODIFIED", "object": {"status": status}})])
                .patch(MERGE, &item, json!({"metadata": {"annotations": {"b": "2"}}}))
                .is(200)
                .with(json!({"status": status}))
                .next(
                    "w",
                    [json!({"type": "MODIFIED", "object": {"metadata": {"annotations": {"b": "2"}}}})],
                );
        }
        // Claims are held by a finalizer whose controller is not there.
        case.patch(MERGE, &item, json!({"metadata": {"finalizers": null}}))
            .is(200)
            .delete_with(
                &item,
                json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"}),
            )
            .is(200)
            .until(&item)
            .is(404)
            .delete(selected)
            .is(200)
            .with(json!({"items": []}))
    }
}

pub(crate) fn cases() -> Vec<Case> {
    lives().into_iter().map(Life::case).collect()
}

fn lives() -> Vec<Life> {
    let containers = || json!([{"name": "c", "image": "i"}]);
    let filled_container = || {
        json!({
            "name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "resources": {},
        })
    };
    let filled_pod = |restart: &str| {
        json!({
            "containers": [filled_container()], "restartPolicy": restart, "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler", "securityContext": {},
        })
    };
    let template = || json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers()}});
    let selector = || json!({"matchLabels": {"app": "a"}});
    let job = || json!({"template": {"spec": {"restartPolicy": "Never", "containers": containers()}}});
    vec![
        life("config maps", "{ns}/configmaps", json!({"data": {"k": "v"}})),
        life("endpoints", "{ns}/endpoints", json!({"subsets": [{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 80}]}]}))
            .filled_in(json!({"subsets": [{"ports": [{"port": 80, "protocol": "TCP"}]}]})),
        life("limit ranges", "{ns}/limitranges", json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}))
            .filled_in(json!({"spec": {"limits": [{"default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}]}})),
        life("persistent volume claims", "{ns}/persistentvolumeclaims", json!({"spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}},
        }}))
        .filled_in(json!({"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}})),
        life("pods", "{ns}/pods", json!({"spec": {"containers": containers()}}))
            .filled_in(json!({"spec": filled_pod("Always"), "status": {"phase": "Pending", "qosClass": "BestEffort"}}))
            .with_status(json!({"reason": "Tested"})),
        life("pod templates", "{ns}/podtemplates", json!({"template": template()}))
            .filled_in(json!({"template": {"spec": filled_pod("Always")}})),
        life("replication controllers", "{ns}/replicationcontrollers", json!({"spec": {"selector": {"app": "a"}, "template": template()}}))
            .filled_in(json!({"spec": {"replicas": 1, "template": {"spec": filled_pod("Always")}}, "status": {"replicas": 0}}))
            .with_status(json!({"replicas": 1})),
        life("resource quotas", "{ns}/resourcequotas", json!({"spec": {"hard": {"pods": "3"}}}))
            .with_status(json!({"hard": {"pods": "3"}})),
        life("secrets", "{ns}/secrets", json!({"stringData": {"k": "v"}}))
            .filled_in(json!({"type": "Opaque", "data": {"k": "dg=="}})),
        life("services", "{ns}/services", json!({"spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]}}))
            .filled_in(json!({"spec": {
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "clusterIPs": ["None"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            }, "status": {"loadBalancer": {}}})),
        life("service accounts", "{ns}/serviceaccounts", json!({})),
        life("controller revisions", "/apis/apps/v1/namespaces/{namespace}/controllerrevisions", json!({"revision": 1, "data": {"a": 1}})),
        life("daemon sets", "/apis/apps/v1/namespaces/{namespace}/daemonsets", json!({"spec": {"selector": selector(), "template": template()}}))
            .filled_in(json!({"metadata": {"generation": 1}, "spec": {
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
                "template": {"spec": filled_pod("Always")},
            }}))
            .with_status(json!({"numberReady": 1})),
        life("deployments", "/apis/apps/v1/namespaces/{namespace}/deployments", json!({"spec": {"selector": selector(), "template": template()}}))
            .filled_in(json!({"metadata": {"generation": 1}, "spec": {
                "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
                "template": {"spec": filled_pod("Always")},
            }}))
            .with_status(json!({"replicas": 1})),
        life("replica sets", "/apis/apps/v1/namespaces/{namespace}/replicasets", json!({"spec": {"selector": selector(), "template": template()}}))
            .filled_in(json!({"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": {"replicas": 0}}))
            .with_status(json!({"replicas": 1})),
        life("stateful sets", "/apis/apps/v1/namespaces/{namespace}/statefulsets", json!({"spec": {
            "serviceName": "a", "selector": selector(), "template": template(),
        }}))
        .filled_in(json!({"metadata": {"generation": 1}, "spec": {
            "replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        }}))
        .with_status(json!({"replicas": 1})),
        life("jobs", "/apis/batch/v1/namespaces/{namespace}/jobs", json!({"spec": job()}))
            .filled_in(json!({"metadata": {"generation": 1}, "spec": {
                "backoffLimit": 6, "completions": 1, "parallelism": 1, "completionMode": "NonIndexed", "suspend": false,
                "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": false,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": any()}},
                "template": {
                    "metadata": {"labels": {
                        "batch.kubernetes.io/job-name": "{unique}", "job-name": "{unique}",
                        "batch.kubernetes.io/controller-uid": any(), "controller-uid": any(),
                    }},
                    "spec": filled_pod("Never"),
                },
            }}))
            .with_status(json!({"ready": 0})),
        life("cron jobs", "/apis/batch/v1/namespaces/{namespace}/cronjobs", json!({"spec": {
            "schedule": "0 0 * * *", "jobTemplate": {"spec": job()},
        }}))
        .filled_in(json!({"metadata": {"generation": 1}, "spec": {
            "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
        }}))
        .with_status(json!({"lastScheduleTime": "2026-01-01T00:00:00Z"})),
        life("autoscalers", "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", json!({"spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "maxReplicas": 3,
        }}))
        .filled_in(json!({"spec": {"minReplicas": 1, "metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
        }}]}}))
        .with_status(json!({"desiredReplicas": 2, "currentReplicas": 1})),
        life("leases", "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", json!({"spec": {
            "holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z",
        }})),
        life("endpoint slices", "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", json!({
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.9"]}], "ports": [{"port": 80}],
        }))
        .filled_in(json!({"ports": [{"port": 80, "protocol": "TCP", "name": ""}]})),
        life("ingresses", "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses", json!({"spec": {
            "defaultBackend": {"service": {"name": "a", "port": {"number": 80}}},
        }}))
        .filled_in(json!({"metadata": {"generation": 1}, "status": {"loadBalancer": {}}}))
        .with_status(json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}})),
        life("ingress classes", "/apis/networking.k8s.io/v1/ingressclasses", json!({"spec": {"controller": "x.test/y"}}))
            .filled_in(json!({"metadata": {"generation": 1}})),
        life("network policies", "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", json!({"spec": {"podSelector": {}}}))
            .filled_in(json!({"metadata": {"generation": 1}, "spec": {"policyTypes": ["Ingress"]}})),
        life("disruption budgets", "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", json!({"spec": {
            "minAvailable": 1, "selector": selector(),
        }}))
        .filled_in(json!({"metadata": {"generation": 1}})),
        life("roles", "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles", json!({"rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        ]})),
        life("role bindings", "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
            "subjects": [{"kind": "User", "name": "a"}],
        }))
        .filled_in(json!({"subjects": [{"apiGroup": "rbac.authorization.k8s.io"}]})),
        life("cluster roles", "/apis/rbac.authorization.k8s.io/v1/clusterroles", json!({"rules": [
            {"nonResourceURLs": ["/x"], "verbs": ["get"]},
        ]})),
        life("cluster role bindings", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"},
            "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "{namespace}"}],
        })),
        life("priority classes", "/apis/scheduling.k8s.io/v1/priorityclasses", json!({"value": 7}))
            .filled_in(json!({"preemptionPolicy": "PreemptLowerPriority"})),
        life("storage classes", "/apis/storage.k8s.io/v1/storageclasses", json!({"provisioner": "x.test/y"}))
            .filled_in(json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})),
    ]
}
