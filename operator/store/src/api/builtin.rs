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
use super::{crd, defaults};
use crate::schema::FieldError;

const CONFIG_MAPS: &str = "/configmaps";
const RBAC: &str = "rbac.authorization.k8s.io";
/// Marks a namespace whose contents must go before it does.
pub(crate) const NAMESPACE_FINALIZER: &str = "kubernetes";
/// Namespaces that are always there.
pub(crate) const FIRST_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];
/// The label by which selectors find a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Completes an object that is about to be stored; `old` is what it takes the place of.
pub(crate) fn complete(kind: &Kind, object: &mut Value, old: Option<&Value>, now: &str) {
    if kind.is(NAMESPACES) {
        complete_namespace(object, old);
    } else if kind.is(SECRETS) {
        complete_secret(object);
    } else if kind.is(DEFINITIONS) {
        crd::complete(object, old, now);
    } else if !kind.custom {
        defaults::fill(&kind.kind, object);
        if old.is_none() && matches!(kind.kind.as_str(), "Pod" | "PersistentVolumeClaim") {
            object["status"] = json!({"phase": "Pending"});
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
    let mut errors = kind.schema()?.validate(object, old);
    if kind.is(SECRETS) {
        // These messages repeat the value. Those of `rules` do not.
        errors.retain(|error| !error.path.starts_with("data"));
    }
    errors.extend(rules(kind, object, old));
    Ok(errors)
}

fn rules(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    if kind.is(DEFINITIONS) {
        return crd::validate(object, old);
    }
    let mut errors = Vec::new();
    let immutable =
        |path: &str, value: &Value| FieldError::invalid(path, value.clone(), "field is immutable");
    if kind.is(SECRETS) {
        if old.is_some_and(|old| old["type"] != object["type"]) {
            errors.push(immutable("type", &object["type"]));
        }
        for (name, value) in object["data"].as_object().into_iter().flatten() {
            // It may be a password that somebody forgot to encode.
            if value.as_str().is_none_or(|text| STANDARD.decode(text).is_err()) {
                let path = format!("data[{name}]");
                errors.push(FieldError::invalid(path, "<secret>", "must be encoded as base64"));
            }
        }
        if !object["data"].is_null() && !object["data"].is_object() {
            errors.push(FieldError::invalid("data", "<secret>", "must be an object"));
        }
    }
    if (kind.is(SECRETS) || kind.is(CONFIG_MAPS))
        && let Some(old) = old.filter(|old| old["immutable"] == true)
    {
        let why = "field is immutable when `immutable` is set";
        for field in ["immutable", "data", "binaryData"] {
            if old[field] != object[field] {
                errors.push(FieldError::forbidden(field, why));
            }
        }
    }
    errors
}

/// Creates the first namespaces, and the service and the role that clients look for.
pub(crate) async fn bootstrap(api: &Api) -> Result<(), Failure> {
    for name in FIRST_NAMESPACES {
        ensure(api, "", "namespaces", None, json!({"metadata": {"name": name}})).await?;
    }
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
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
    ensure(api, "", "configmaps", Some(namespace), authority).await
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
