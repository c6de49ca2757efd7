//! Schemas of the kinds that every API server knows.
//!
//! The shapes and descriptions are those that `k8s-openapi` was generated from. How lists and maps merge is
//! not among them; the tables below hold it, as the Go types of Kubernetes declare it. Each schema is made
//! when it is first asked for, so that starting up costs nothing.

use std::sync::{Arc, LazyLock, OnceLock};

use k8s_openapi::{
    api::{apps, authentication, authorization, autoscaling, batch, coordination, core, events, rbac},
    apiextensions_apiserver::pkg::apis::apiextensions,
    apimachinery::pkg::apis::meta,
    kube_aggregator::pkg::apis::apiregistration,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Node, Structural, compile};

/// Where definitions refer to each other within an OpenAPI v3 document.
const DEFINITIONS_PATH: &str = "/components/schemas";

/// A kind with its schema, made on demand.
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    generate: fn() -> Definitions,
    definitions: OnceLock<Definitions>,
    compiled: OnceLock<Structural>,
}

/// A schema and all schemas that it refers to, by their names in Kubernetes' OpenAPI documents.
#[derive(Debug)]
pub(crate) struct Definitions {
    /// The name of the kind's own schema, such as `io.k8s.api.core.v1.ConfigMap`.
    pub(crate) root: String,
    /// Every schema, the root included; references are `#/components/schemas/<name>`.
    pub(crate) schemas: Map<String, Value>,
}

macro_rules! kinds {
    ($($group:literal $version:literal $kind:literal $type:ty;)*) => {
        [$(Kind {
            group: $group,
            version: $version,
            kind: $kind,
            generate: generate::<$type>,
            definitions: OnceLock::new(),
            compiled: OnceLock::new(),
        }),*]
    };
}

static KINDS: [Kind; 29] = kinds! {
    "" "v1" "ConfigMap" core::v1::ConfigMap;
    "" "v1" "Secret" core::v1::Secret;
    "" "v1" "Event" core::v1::Event;
    "" "v1" "Namespace" core::v1::Namespace;
    "" "v1" "Service" core::v1::Service;
    "" "v1" "ServiceAccount" core::v1::ServiceAccount;
    "" "v1" "Pod" core::v1::Pod;
    "" "v1" "PersistentVolumeClaim" core::v1::PersistentVolumeClaim;
    "apps" "v1" "Deployment" apps::v1::Deployment;
    "apps" "v1" "ReplicaSet" apps::v1::ReplicaSet;
    "apps" "v1" "StatefulSet" apps::v1::StatefulSet;
    "apps" "v1" "DaemonSet" apps::v1::DaemonSet;
    "autoscaling" "v1" "Scale" autoscaling::v1::Scale;
    "batch" "v1" "Job" batch::v1::Job;
    "batch" "v1" "CronJob" batch::v1::CronJob;
    "coordination.k8s.io" "v1" "Lease" coordination::v1::Lease;
    "events.k8s.io" "v1" "Event" events::v1::Event;
    "rbac.authorization.k8s.io" "v1" "Role" rbac::v1::Role;
    "rbac.authorization.k8s.io" "v1" "RoleBinding" rbac::v1::RoleBinding;
    "rbac.authorization.k8s.io" "v1" "ClusterRole" rbac::v1::ClusterRole;
    "rbac.authorization.k8s.io" "v1" "ClusterRoleBinding" rbac::v1::ClusterRoleBinding;
    "authentication.k8s.io" "v1" "TokenReview" authentication::v1::TokenReview;
    "authentication.k8s.io" "v1" "SelfSubjectReview" authentication::v1::SelfSubjectReview;
    "authorization.k8s.io" "v1" "SubjectAccessReview" authorization::v1::SubjectAccessReview;
    "authorization.k8s.io" "v1" "SelfSubjectAccessReview" authorization::v1::SelfSubjectAccessReview;
    "authorization.k8s.io" "v1" "SelfSubjectRulesReview" authorization::v1::SelfSubjectRulesReview;
    "authorization.k8s.io" "v1" "LocalSubjectAccessReview" authorization::v1::LocalSubjectAccessReview;
    "apiextensions.k8s.io" "v1" "CustomResourceDefinition" apiextensions::v1::CustomResourceDefinition;
    "apiregistration.k8s.io" "v1" "APIService" apiregistration::v1::APIService;
};

/// The compiled schema of a built-in kind.
pub(crate) fn builtin(group: &str, version: &str, kind: &str) -> Option<&'static Structural> {
    let entry = find(group, version, kind)?;
    Some(entry.compiled.get_or_init(|| {
        let definitions = entry.definitions.get_or_init(entry.generate);
        Structural::of(compile::trusted(&definitions.root, &definitions.schemas))
    }))
}

/// The OpenAPI schemas of a built-in kind: its own and all that it refers to.
pub(crate) fn builtin_definitions(group: &str, version: &str, kind: &str) -> Option<&'static Definitions> {
    find(group, version, kind).map(|entry| entry.definitions.get_or_init(entry.generate))
}

fn find(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|entry| entry.group == group && entry.version == version && entry.kind == kind)
}

/// The schema of `metadata`.
pub(crate) fn object_meta() -> Arc<Node> {
    static NODE: LazyLock<Arc<Node>> = LazyLock::new(|| {
        let definitions = object_meta_definitions();
        compile::trusted(&definitions.root, &definitions.schemas)
    });
    Arc::clone(&NODE)
}

/// The OpenAPI schemas of `metadata`, to which the schemas of custom resources refer.
pub(crate) fn object_meta_definitions() -> &'static Definitions {
    static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(generate::<meta::v1::ObjectMeta>);
    &DEFINITIONS
}

/// The OpenAPI schemas of the types that requests and answers of every kind use.
pub(crate) fn meta_definitions() -> &'static Map<String, Value> {
    static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let mut schemas = object_meta_definitions().schemas.clone();
        for definitions in [
            generate::<meta::v1::Status>(),
            generate::<meta::v1::DeleteOptions>(),
            generate::<meta::v1::ListMeta>(),
        ] {
            schemas.extend(definitions.schemas);
        }
        schemas
    });
    &DEFINITIONS
}

fn generate<T: JsonSchema>() -> Definitions {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = DEFINITIONS_PATH.into();
    });
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<T>();
    let mut schemas = generator.take_definitions(false);
    for (name, schema) in &mut schemas {
        mend(name, schema);
    }
    Definitions {
        root: T::schema_name().into_owned(),
        schemas,
    }
}

/// Adds what the generated schemas leave out, and takes away what they claim too much.
fn mend(name: &str, schema: &mut Value) {
    if ANYTHING.iter().any(|suffix| name.ends_with(suffix)) {
        if let Some(object) = schema.as_object_mut() {
            object.retain(|keyword, _| keyword == "description");
            object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
        return;
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        // Required by the Rust types only.
        required.retain(|field| field != "metadata");
        if required.is_empty()
            && let Some(object) = schema.as_object_mut()
        {
            object.remove("required");
        }
    }
    let short = name.rsplit('.').next().unwrap_or(name);
    if ATOMIC_TYPES.contains(&short)
        && let Some(object) = schema.as_object_mut()
    {
        object.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (_, field, keywords) in FIELDS.iter().filter(|(owner, ..)| *owner == short) {
        let Some(property) = properties.get_mut(*field).and_then(Value::as_object_mut) else {
            continue;
        };
        match keywords {
            Merge::Map { keys, patch } => {
                property.insert("x-kubernetes-list-type".to_owned(), json!("map"));
                property.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
                property.insert("x-kubernetes-patch-merge-key".to_owned(), json!(keys[0]));
                property.insert("x-kubernetes-patch-strategy".to_owned(), json!(patch));
            }
            Merge::PatchOnly(key) => {
                property.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
                property.insert("x-kubernetes-patch-merge-key".to_owned(), json!(key));
                property.insert("x-kubernetes-patch-strategy".to_owned(), json!("merge"));
            }
            Merge::Set => {
                property.insert("x-kubernetes-list-type".to_owned(), json!("set"));
                property.insert("x-kubernetes-patch-strategy".to_owned(), json!("merge"));
            }
            Merge::AtomicMap => {
                property.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
            }
            Merge::RetainKeys => {
                property.insert("x-kubernetes-patch-strategy".to_owned(), json!("retainKeys"));
            }
            Merge::Default(value) => {
                property.insert("default".to_owned(), json!(value));
            }
        }
    }
}

/// Types that hold JSON of any shape, or of shapes that a schema cannot tell.
const ANYTHING: &[&str] = &[
    ".FieldsV1",
    ".RawExtension",
    ".apiextensions.v1.JSON",
    ".JSONSchemaPropsOrArray",
    ".JSONSchemaPropsOrBool",
    ".JSONSchemaPropsOrStringArray",
];

/// Types that are owned and replaced as a whole.
const ATOMIC_TYPES: &[&str] = &[
    "ConfigMapKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "SecretKeySelector",
    "Subject",
    "TypedLocalObjectReference",
];

/// How a field merges.
enum Merge {
    /// A list whose items are told apart by keys; the first is a strategic patch's merge key.
    Map {
        keys: &'static [&'static str],
        patch: &'static str,
    },
    /// A list that a strategic patch merges by this key, and server-side apply replaces.
    PatchOnly(&'static str),
    /// A list of scalars, each of which stands for itself.
    Set,
    /// A map that is replaced as a whole.
    AtomicMap,
    /// An object of which a strategic patch keeps the keys that it names.
    RetainKeys,
    /// What the field is where it is absent.
    Default(&'static str),
}

const fn map(keys: &'static [&'static str]) -> Merge {
    Merge::Map { keys, patch: "merge" }
}

/// The fields that do not merge as their type alone would have it: owner, field, how.
static FIELDS: &[(&str, &str, Merge)] = &[
    ("ObjectMeta", "finalizers", Merge::Set),
    ("ObjectMeta", "ownerReferences", map(&["uid"])),
    ("ServiceSpec", "ports", map(&["port", "protocol"])),
    ("ServiceSpec", "selector", Merge::AtomicMap),
    ("ServiceSpec", "type", Merge::Default("ClusterIP")),
    ("ServiceSpec", "sessionAffinity", Merge::Default("None")),
    ("ServicePort", "protocol", Merge::Default("TCP")),
    ("ServiceStatus", "conditions", map(&["type"])),
    ("ServiceAccount", "secrets", map(&["name"])),
    ("Secret", "type", Merge::Default("Opaque")),
    ("NamespaceStatus", "conditions", map(&["type"])),
    ("PersistentVolumeClaimStatus", "conditions", map(&["type"])),
    ("PodSpec", "containers", map(&["name"])),
    ("PodSpec", "initContainers", map(&["name"])),
    ("PodSpec", "ephemeralContainers", map(&["name"])),
    ("PodSpec", "imagePullSecrets", map(&["name"])),
    ("PodSpec", "hostAliases", map(&["ip"])),
    (
        "PodSpec",
        "topologySpreadConstraints",
        map(&["topologyKey", "whenUnsatisfiable"]),
    ),
    (
        "PodSpec",
        "resourceClaims",
        Merge::Map {
            keys: &["name"],
            patch: "merge,retainKeys",
        },
    ),
    ("PodSpec", "schedulingGates", map(&["name"])),
    (
        "PodSpec",
        "volumes",
        Merge::Map {
            keys: &["name"],
            patch: "merge,retainKeys",
        },
    ),
    ("PodSpec", "nodeSelector", Merge::AtomicMap),
    ("PodStatus", "conditions", map(&["type"])),
    ("PodStatus", "podIPs", map(&["ip"])),
    ("Container", "ports", map(&["containerPort", "protocol"])),
    ("Container", "env", map(&["name"])),
    ("Container", "volumeMounts", map(&["mountPath"])),
    ("Container", "volumeDevices", map(&["devicePath"])),
    ("EphemeralContainer", "ports", map(&["containerPort", "protocol"])),
    ("EphemeralContainer", "env", map(&["name"])),
    ("EphemeralContainer", "volumeMounts", map(&["mountPath"])),
    ("EphemeralContainer", "volumeDevices", map(&["devicePath"])),
    ("ContainerPort", "protocol", Merge::Default("TCP")),
    ("ResourceRequirements", "claims", map(&["name"])),
    ("DeploymentSpec", "strategy", Merge::RetainKeys),
    ("DeploymentStatus", "conditions", map(&["type"])),
    ("ReplicaSetStatus", "conditions", map(&["type"])),
    ("StatefulSetStatus", "conditions", map(&["type"])),
    ("DaemonSetStatus", "conditions", map(&["type"])),
    ("JobStatus", "conditions", Merge::PatchOnly("type")),
    ("CustomResourceDefinitionStatus", "conditions", map(&["type"])),
    ("APIServiceStatus", "conditions", map(&["type"])),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_kind_compiles_and_knows_its_metadata() {
        for entry in &KINDS {
            let schema = builtin(entry.group, entry.version, entry.kind).unwrap();
            let mut object = json!({
                "apiVersion": "x/v1",
                "kind": entry.kind,
                "metadata": {"name": "a", "nonsense": 1},
                "nonsense": 2,
            });
            let mut dropped = schema.prune(&mut object);
            dropped.sort();
            assert_eq!(dropped, ["metadata.nonsense", "nonsense"], "{}", entry.kind);
        }
    }

    /// A row that names no field says nothing; it would be a typing error.
    #[test]
    fn every_row_of_the_table_names_a_field() {
        let mut all = Map::new();
        for entry in &KINDS {
            all.extend(entry.definitions.get_or_init(entry.generate).schemas.clone());
        }
        for (owner, field, _) in FIELDS {
            let named = all.iter().any(|(name, schema)| {
                name.rsplit('.').next() == Some(owner) && schema["properties"].get(*field).is_some()
            });
            assert!(named, "{owner}.{field}");
        }
        for short in ATOMIC_TYPES {
            assert!(
                all.keys().any(|name| name.rsplit('.').next() == Some(short)),
                "{short}"
            );
        }
    }
}
