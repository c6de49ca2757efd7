//! What there can be objects of: the description of a kind in one version, and the kinds that every store has.

use std::sync::Arc;

use serde_json::Value;

use super::columns::Column;
use super::jsonpath::JsonPath;
use super::printers;
use super::status::Failure;
use crate::openapi::ServedType;
use crate::schema::{self, Structural};

/// Names of resources that the API itself treats specially.
pub(crate) const NAMESPACES: &str = "/namespaces";
pub(crate) const SECRETS: &str = "/secrets";
pub(crate) const EVENTS: &str = "/events";
pub(crate) const LEASES: &str = "coordination.k8s.io/leases";
pub(crate) const PODS: &str = "/pods";
pub(crate) const COMPONENT_STATUSES: &str = "/componentstatuses";
pub(crate) const SERVICE_ACCOUNTS: &str = "/serviceaccounts";
pub(crate) const SIGNING_REQUESTS: &str = "certificates.k8s.io/certificatesigningrequests";
pub(crate) const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";
pub(crate) const DEFINITION_GROUP: &str = "apiextensions.k8s.io";

/// One kind in one version of its group.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Under which name objects are stored; kinds that share it are views of the same objects.
    pub(crate) storage: Arc<str>,
    /// `apiVersion` of stored objects.
    pub(crate) stored_as: String,
    /// The schema of stored objects where they are of another version: what it does not know is not kept.
    pub(crate) stored_schema: Option<Arc<Structural>>,
    /// Whether there are objects at all, or only answers to what is posted.
    pub(crate) review: bool,
    /// Whether `status` is a subresource, with the rights and the generation that go with it.
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    /// Whether `metadata.generation` counts changes of what is desired.
    pub(crate) generation: bool,
    pub(crate) schema: Schema,
    pub(crate) columns: Vec<Column>,
    /// Fields to select by beside name and namespace.
    pub(crate) selectable: Vec<String>,
    /// From a custom resource definition.
    pub(crate) custom: bool,
    /// False for the version that objects are stored in where a definition serves only others, or none: no request
    /// finds it, and the server handles what is stored by it.
    pub(crate) served: bool,
    /// Its definition is being deleted: nothing new may be created.
    pub(crate) terminating: bool,
    /// Sent as a warning with each answer.
    pub(crate) deprecation: Option<String>,
    /// Objects that are older than this revision may lack defaults that their schema has got since.
    pub(crate) defaults_since: u64,
}

/// The fields that the scale subresource is made of.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Dotted, without the leading dot: it is written to as well.
    pub(crate) spec_replicas: Vec<String>,
    pub(crate) status_replicas: JsonPath,
    pub(crate) selector: Option<ScaleSelector>,
}

/// Where the selector of the scaled objects is found, which the scale subresource has as text.
#[derive(Clone, Debug)]
pub(crate) enum ScaleSelector {
    /// The text itself.
    Text(JsonPath),
    /// A `LabelSelector` at `spec.selector`.
    Labels,
}

/// The schema of a kind's objects.
#[derive(Clone)]
pub(crate) enum Schema {
    /// Compiled when first needed.
    BuiltIn,
    Custom {
        compiled: Arc<Structural>,
        /// The `openAPIV3Schema` that it was compiled from.
        source: Arc<Value>,
    },
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Schema::BuiltIn => "BuiltIn",
            Schema::Custom { .. } => "Custom",
        })
    }
}

impl Kind {
    /// # Errors
    /// 500 for a built-in kind without a schema, of which a test makes sure that there is none.
    pub(crate) fn schema(&self) -> Result<&Structural, Failure> {
        let schema = match &self.schema {
            Schema::Custom { compiled, .. } => Some(&**compiled),
            Schema::BuiltIn => schema::builtin(&self.group, &self.version, &self.kind),
        };
        schema.ok_or_else(|| Failure::internal(format!("{} has no schema", self.resource())))
    }

    /// `group/version`, or the version alone in the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `plural.group`, as messages name it.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Whether (some of) its objects are never written to the file.
    pub(crate) fn memory_only(&self) -> bool {
        &*self.storage == SECRETS
    }

    pub(crate) fn selects_by(&self, field: &str) -> bool {
        field == "metadata.name"
            || (self.namespaced && field == "metadata.namespace")
            || self.selectable.iter().any(|known| known == field)
    }

    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.review {
            &["create"]
        } else if self.is(COMPONENT_STATUSES) {
            &["get", "list"]
        } else if self.is(NAMESPACES) {
            &["create", "delete", "get", "list", "patch", "update", "watch"]
        } else if self.custom {
            &[
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "create",
                "update",
                "watch",
            ]
        } else {
            &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]
        }
    }

    /// Names of its subresources, with the group, version and kind of what is read and written there.
    pub(crate) fn subresources(&self) -> Vec<(&'static str, (&str, &str, &str))> {
        let own = (self.group.as_str(), self.version.as_str(), self.kind.as_str());
        let mut subresources = Vec::new();
        if self.is(NAMESPACES) {
            subresources.push(("finalize", own));
        }
        if self.is(SIGNING_REQUESTS) {
            subresources.push(("approval", own));
        }
        if self.is(PODS) {
            subresources.push(("ephemeralcontainers", own));
        }
        if self.scale.is_some() {
            subresources.push(("scale", ("autoscaling", "v1", "Scale")));
        }
        if self.status {
            subresources.push(("status", own));
        }
        if self.custom {
            subresources.reverse();
        }
        if self.is(SERVICE_ACCOUNTS) {
            subresources.push(("token", ("authentication.k8s.io", "v1", "TokenRequest")));
        }
        subresources
    }

    /// As the OpenAPI documents describe it.
    pub(crate) fn describe(&self) -> ServedType {
        ServedType {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
            list_kind: self.list_kind.clone(),
            plural: self.plural.clone(),
            namespaced: self.namespaced,
            schema: match &self.schema {
                Schema::BuiltIn => None,
                Schema::Custom { source, .. } => Some(Arc::clone(source)),
            },
            subresources: self
                .subresources()
                .into_iter()
                .filter(|(_, (_, _, kind))| *kind != "TokenRequest")
                .map(|(name, _)| name.to_owned())
                .collect(),
            create_only: self.review,
        }
    }

    pub(crate) fn is(&self, storage: &str) -> bool {
        &*self.storage == storage
    }
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// A row of the table of built-in kinds; what is not said is derived from the kind's name.
struct BuiltIn {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    namespaced: bool,
    categories: &'static [&'static str],
    status: bool,
    generation: bool,
    scale: bool,
    selectable: &'static [&'static str],
}

const PLAIN: BuiltIn = BuiltIn {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    short_names: &[],
    namespaced: true,
    categories: &[],
    status: false,
    generation: false,
    scale: false,
    selectable: &[],
};
const RBAC: BuiltIn = BuiltIn {
    group: "rbac.authorization.k8s.io",
    ..PLAIN
};
const REVIEW: BuiltIn = BuiltIn {
    group: "authorization.k8s.io",
    namespaced: false,
    ..PLAIN
};
const WORKLOAD: BuiltIn = BuiltIn {
    categories: &["all"],
    status: true,
    generation: true,
    ..PLAIN
};

/// Workloads and all else that a cluster would act on are records here: nothing runs them.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        kind: "ComponentStatus",
        plural: "componentstatuses",
        short_names: &["cs"],
        namespaced: false,
        ..PLAIN
    },
    BuiltIn {
        kind: "ConfigMap",
        plural: "configmaps",
        short_names: &["cm"],
        ..PLAIN
    },
    BuiltIn {
        kind: "Endpoints",
        plural: "endpoints",
        short_names: &["ep"],
        ..PLAIN
    },
    BuiltIn {
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ..PLAIN
    },
    BuiltIn {
        kind: "LimitRange",
        plural: "limitranges",
        short_names: &["limits"],
        ..PLAIN
    },
    BuiltIn {
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        namespaced: false,
        status: true,
        selectable: &["status.phase"],
        ..PLAIN
    },
    BuiltIn {
        kind: "Node",
        plural: "nodes",
        short_names: &["no"],
        namespaced: false,
        status: true,
        selectable: &["spec.unschedulable"],
        ..PLAIN
    },
    BuiltIn {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        short_names: &["pv"],
        namespaced: false,
        status: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        short_names: &["pvc"],
        status: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "Pod",
        plural: "pods",
        short_names: &["po"],
        categories: &["all"],
        status: true,
        generation: true,
        selectable: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
        ],
        ..PLAIN
    },
    BuiltIn {
        kind: "PodTemplate",
        plural: "podtemplates",
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "ReplicationController",
        plural: "replicationcontrollers",
        short_names: &["rc"],
        scale: true,
        selectable: &["status.replicas"],
        ..WORKLOAD
    },
    BuiltIn {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        short_names: &["quota"],
        status: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "Secret",
        plural: "secrets",
        selectable: &["type"],
        ..PLAIN
    },
    BuiltIn {
        kind: "Service",
        plural: "services",
        short_names: &["svc"],
        categories: &["all"],
        status: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short_names: &["sa"],
        ..PLAIN
    },
    BuiltIn {
        group: "apps",
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        ..PLAIN
    },
    BuiltIn {
        group: "apps",
        kind: "DaemonSet",
        plural: "daemonsets",
        short_names: &["ds"],
        ..WORKLOAD
    },
    BuiltIn {
        group: "apps",
        kind: "Deployment",
        plural: "deployments",
        short_names: &["deploy"],
        scale: true,
        ..WORKLOAD
    },
    BuiltIn {
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        short_names: &["rs"],
        scale: true,
        ..WORKLOAD
    },
    BuiltIn {
        group: "apps",
        kind: "StatefulSet",
        plural: "statefulsets",
        short_names: &["sts"],
        scale: true,
        ..WORKLOAD
    },
    BuiltIn {
        group: "autoscaling",
        version: "v2",
        kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers",
        short_names: &["hpa"],
        categories: &["all"],
        status: true,
        ..PLAIN
    },
    BuiltIn {
        group: "batch",
        kind: "CronJob",
        plural: "cronjobs",
        short_names: &["cj"],
        ..WORKLOAD
    },
    BuiltIn {
        group: "batch",
        kind: "Job",
        plural: "jobs",
        ..WORKLOAD
    },
    BuiltIn {
        group: "certificates.k8s.io",
        kind: "CertificateSigningRequest",
        plural: "certificatesigningrequests",
        short_names: &["csr"],
        namespaced: false,
        status: true,
        selectable: &["spec.signerName"],
        ..PLAIN
    },
    BuiltIn {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        ..PLAIN
    },
    BuiltIn {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        selectable: &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ..PLAIN
    },
    BuiltIn {
        group: "networking.k8s.io",
        kind: "Ingress",
        plural: "ingresses",
        short_names: &["ing"],
        status: true,
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "networking.k8s.io",
        kind: "IngressClass",
        plural: "ingressclasses",
        namespaced: false,
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        short_names: &["netpol"],
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        short_names: &["pdb"],
        status: true,
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        namespaced: false,
        ..RBAC
    },
    BuiltIn {
        kind: "ClusterRole",
        plural: "clusterroles",
        namespaced: false,
        ..RBAC
    },
    BuiltIn {
        kind: "RoleBinding",
        plural: "rolebindings",
        ..RBAC
    },
    BuiltIn {
        kind: "Role",
        plural: "roles",
        ..RBAC
    },
    BuiltIn {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        plural: "priorityclasses",
        short_names: &["pc"],
        namespaced: false,
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "storage.k8s.io",
        kind: "StorageClass",
        plural: "storageclasses",
        short_names: &["sc"],
        namespaced: false,
        ..PLAIN
    },
    BuiltIn {
        group: DEFINITION_GROUP,
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        status: true,
        generation: true,
        ..PLAIN
    },
    BuiltIn {
        group: "apiregistration.k8s.io",
        kind: "APIService",
        plural: "apiservices",
        categories: &["api-extensions"],
        namespaced: false,
        status: true,
        ..PLAIN
    },
    BuiltIn {
        group: "authentication.k8s.io",
        kind: "TokenReview",
        plural: "tokenreviews",
        ..REVIEW
    },
    BuiltIn {
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        namespaced: true,
        ..REVIEW
    },
    BuiltIn {
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        ..REVIEW
    },
    BuiltIn {
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        ..REVIEW
    },
    BuiltIn {
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        ..REVIEW
    },
    BuiltIn {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        ..REVIEW
    },
];

/// The kinds that are served without any definition.
pub(crate) fn built_in() -> Vec<Kind> {
    BUILT_IN.iter().map(describe).collect()
}

fn describe(row: &BuiltIn) -> Kind {
    let review = row.kind.ends_with("Review");
    let shares_events = row.kind == "Event";
    Kind {
        group: row.group.to_owned(),
        version: row.version.to_owned(),
        kind: row.kind.to_owned(),
        list_kind: format!("{}List", row.kind),
        plural: row.plural.to_owned(),
        singular: row.kind.to_lowercase(),
        short_names: row.short_names.iter().map(|&name| name.to_owned()).collect(),
        categories: row.categories.iter().map(|&name| name.to_owned()).collect(),
        namespaced: row.namespaced,
        storage: if shares_events {
            EVENTS.into()
        } else {
            format!("{}/{}", row.group, row.plural).into()
        },
        stored_as: if shares_events {
            "v1".to_owned()
        } else {
            api_version(row.group, row.version)
        },
        stored_schema: None,
        review,
        status: row.status,
        scale: if row.scale { replicas_scale() } else { None },
        generation: row.generation,
        schema: Schema::BuiltIn,
        columns: printers::built_in(row.kind),
        selectable: row.selectable.iter().map(|&field| field.to_owned()).collect(),
        custom: false,
        served: true,
        terminating: false,
        defaults_since: 0,
        deprecation: deprecation(row.kind).map(str::to_owned),
    }
}

/// What kube-apiserver says with each answer about a kind that has outlived its use.
fn deprecation(kind: &str) -> Option<&'static str> {
    match kind {
        "ComponentStatus" => Some("v1 ComponentStatus is deprecated in v1.19+"),
        "Endpoints" => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        _ => None,
    }
}

fn replicas_scale() -> Option<Scale> {
    Some(Scale {
        spec_replicas: vec!["spec".to_owned(), "replicas".to_owned()],
        status_replicas: JsonPath::parse(".status.replicas").ok()?,
        selector: Some(ScaleSelector::Labels),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_kind_has_a_schema() {
        for kind in built_in() {
            assert!(kind.schema().is_ok(), "{}", kind.resource());
        }
    }
}
