//! What built-in kinds have beyond their schemas: fields that the server fills in, rules that no schema says, and
//! the objects that every cluster has.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::kinds::{DEFINITIONS, Kind, NAMESPACES, SECRETS};
use super::status::Failure;
use super::write::{self, WriteOptions};
use super::{Api, Target};
use super::{crd, defaults, rules};
use crate::schema::FieldError;

const RBAC: &str = "rbac.authorization.k8s.io";
/// Marks a namespace whose contents must go before it does.
pub(crate) const NAMESPACE_FINALIZER: &str = "kubernetes";
/// Namespaces that are always there.
pub(crate) const FIRST_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];
/// What a cluster consists of, whether it is healthy, and why.
const COMPONENTS: [(&str, &str, &str); 3] = [
    (
        "controller-manager",
        "False",
        "there is none here: workloads are records that nothing runs",
    ),
    ("etcd-0", "True", "the state file takes its place"),
    (
        "scheduler",
        "False",
        "there is none here: workloads are records that nothing runs",
    ),
];
/// The label by which selectors find a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Completes an object that is about to be stored; `old` is what it takes the place of.
pub(crate) fn complete(kind: &Kind, object: &mut Value, old: Option<&Value>, now: &str) {
    // Some clients read these before all else, and say in errors where they stood.
    let first = if kind.custom {
        ["apiVersion", "kind"]
    } else {
        ["kind", "apiVersion"]
    };
    super::meta::lead_with(object, first);
    if kind.is(NAMESPACES) {
        complete_namespace(object, old);
    } else if kind.is(SECRETS) {
        complete_secret(object);
    } else if kind.is(DEFINITIONS) {
        crd::complete(object, old, now);
    } else if !kind.custom {
        keep_allocated(kind, object, old);
        defaults::fill(kind, object);
    }
}

/// What was given to a service stays with it, also if an update leaves it out.
fn keep_allocated(kind: &Kind, object: &mut Value, old: Option<&Value>) {
    let Some(old) = old.filter(|_| kind.kind == "Service") else {
        return;
    };
    if !object["spec"].is_object() || object["spec"]["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs"] {
        if let (None, Some(given)) = (object["spec"].get(field), old["spec"].get(field)) {
            object["spec"][field] = given.clone();
        }
    }
    // A cluster address says the same as the list of them; who changes the one means the other too.
    if old["spec"]["clusterIP"] != object["spec"]["clusterIP"]
        && old["spec"]["clusterIPs"] == object["spec"]["clusterIPs"]
    {
        object["spec"]["clusterIPs"] = json!([object["spec"]["clusterIP"]]);
    }
    let old_ports = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let same = |known: &&Value| known["port"] == port["port"] && known["protocol"] == port["protocol"];
        let given = old_ports
            .iter()
            .find(same)
            .and_then(|known| known.get("nodePort"));
        if let (None, Some(given)) = (port.get("nodePort"), given.cloned()) {
            port["nodePort"] = given;
        }
    }
}

fn complete_namespace(namespace: &mut Value, old: Option<&Value>) {
    let name = super::meta::name(namespace).to_owned();
    if old.is_none() {
        namespace["spec"] = json!({"finalizers": [NAMESPACE_FINALIZER]});
        namespace["status"] = json!({"phase": "Active"});
    }
    if !namespace["metadata"]["labels"].is_object() {
        namespace["metadata"]["labels"] = json!({});
    }
    namespace["metadata"]["labels"][NAME_LABEL] = name.into();
}

/// `stringData` is for writing only: it becomes part of `data`.
fn complete_secret(secret: &mut Value) {
    let texts = secret
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("stringData"));
    if let Some(Value::Object(texts)) = texts {
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        for (name, text) in &texts {
            // What is no text stays what it is, and is refused like any other data that is not base64.
            secret["data"][name] = text
                .as_str()
                .map_or_else(|| text.clone(), |text| STANDARD.encode(text).into());
        }
    }
    if secret["type"].as_str().unwrap_or("").is_empty() {
        secret["type"] = "Opaque".into();
    }
}

/// All that is wrong with an object: what its schema says, and what no schema can.
pub(crate) fn validate(kind: &Kind, object: &Value, old: Option<&Value>) -> Result<Vec<FieldError>, Failure> {
    let of_schema = kind.schema()?.validate(object, old);
    let mut errors = if kind.is(DEFINITIONS) {
        crd::validate(object, old)
    } else if kind.custom {
        return Ok(of_schema);
    } else {
        rules::check(kind, object, old)
    };
    // What both know is said once, and in the words of Kubernetes.
    let is_known = |error: &FieldError| {
        let list = error
            .path
            .strip_suffix(']')
            .and_then(|path| path.rsplit_once('['));
        let list = list.map_or("", |(list, _)| list);
        errors
            .iter()
            .any(|known| known.path == error.path || known.path == list)
    };
    let rest: Vec<FieldError> = of_schema.into_iter().filter(|error| !is_known(error)).collect();
    errors.extend(rest);
    Ok(errors)
}

/// Creates the first namespaces, and the service and the role that clients look for.
pub(crate) async fn bootstrap(api: &Api) -> Result<(), Failure> {
    for name in FIRST_NAMESPACES {
        ensure(api, "", "namespaces", None, json!({"metadata": {"name": name}})).await?;
    }
    for (name, healthy, message) in COMPONENTS {
        let condition = json!({"type": "Healthy", "status": healthy, "message": message});
        let component = json!({"metadata": {"name": name}, "conditions": [condition]});
        ensure(api, "", "componentstatuses", None, component).await?;
    }
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}],
        },
    });
    ensure(api, "", "services", Some("default"), service).await?;
    let metadata = json!({
        "name": "cluster-admin",
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    });
    let role = json!({
        "metadata": metadata,
        "rules": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ],
    });
    ensure(api, RBAC, "clusterroles", None, role).await?;
    let binding = json!({
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:masters"}],
    });
    ensure(api, RBAC, "clusterrolebindings", None, binding).await
}

/// Creates what every namespace has.
pub(crate) async fn furnish(api: &Api, namespace: &str) -> Result<(), Failure> {
    let account = json!({"metadata": {"name": "default"}});
    ensure(api, "", "serviceaccounts", Some(namespace), account).await?;
    let Some(root_ca) = &api.root_ca else {
        return Ok(());
    };
    let note = "Contains a CA bundle that can be used to verify the server of this API.";
    let authority = json!({
        "metadata": {"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description": note}},
        "data": {"ca.crt": root_ca},
    });
    ensure(api, "", "configmaps", Some(namespace), authority.clone()).await?;
    restore(api, namespace, &authority).await
}

/// Puts the data of a config map right that somebody has changed.
async fn restore(api: &Api, namespace: &str, wanted: &Value) -> Result<(), Failure> {
    let served = api.served();
    let kind = served
        .find("", "v1", "configmaps")
        .ok_or_else(Failure::no_such_path)?;
    let target = Target {
        kind: Arc::clone(kind),
        namespace: Some(namespace.to_owned()),
        name: Some(super::meta::name(wanted).to_owned()),
        subresource: None,
    };
    let key = target.key(super::meta::name(wanted));
    let is_right = |found: &Value| found["data"] == wanted["data"];
    if api
        .engine()
        .read(|memory| memory.get(&key).is_none_or(|stored| is_right(&stored.value())))
    {
        return Ok(());
    }
    write::modify_by_server(api, &target, |found| {
        let mut restored = found.clone();
        restored["data"] = wanted["data"].clone();
        Some(restored)
    })
    .await
}

/// Creates an object unless it is there.
async fn ensure(
    api: &Api,
    group: &str,
    plural: &str,
    namespace: Option<&str>,
    object: Value,
) -> Result<(), Failure> {
    let served = api.served();
    let kind = served
        .find(group, "v1", plural)
        .ok_or_else(Failure::no_such_path)?;
    let target = Target {
        kind: Arc::clone(kind),
        namespace: namespace.map(str::to_owned),
        name: None,
        subresource: None,
    };
    let key = target.key(super::meta::name(&object));
    if api.engine().read(|memory| memory.get(&key).is_some()) {
        return Ok(());
    }
    match write::create_object(api, &target, &WriteOptions::of_server(), object).await {
        Err(failure) if failure.code() == StatusCode::CONFLICT => Ok(()),
        created => created.map(|_| ()),
    }
}
