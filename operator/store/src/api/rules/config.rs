//! Config maps, secrets, leases, events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Errors, NON_NEGATIVE, config_key, text};
use crate::schema::{FieldError, FieldErrorKind};

/// What all values of a config map or secret may be together.
const MAX_BYTES: usize = 1 << 20;
const SEALED: &str = "field is immutable when `immutable` is set";

pub(super) fn config_map(errors: &mut Errors, map: &Value, old: Option<&Value>) {
    sealed(errors, map, old, &["data", "binaryData"]);
    let entries = |field: &str| map[field].as_object().into_iter().flatten();
    let mut size = 0;
    for (key, value) in entries("data") {
        config_key(errors, "data", key);
        if map["binaryData"].get(key).is_some() {
            let why = "duplicate of key present in binaryData";
            errors.invalid(format!("data[{key}]"), &Value::from(key.as_str()), why);
        }
        size += text(value).len();
    }
    for (key, value) in entries("binaryData") {
        config_key(errors, "binaryData", key);
        size += text(value).len() / 4 * 3;
    }
    if size > MAX_BYTES {
        // kube-apiserver's way to write a path that is empty.
        errors.0.push(too_long("[]"));
    }
}

fn too_long(path: &str) -> FieldError {
    let detail = format!("may not be more than {MAX_BYTES} bytes");
    FieldError::new(path, FieldErrorKind::TooLong, "", detail)
}

/// What was declared immutable stays as it is, and immutable.
fn sealed(errors: &mut Errors, new: &Value, old: Option<&Value>, fields: &[&str]) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return;
    };
    if new["immutable"] != true {
        errors.forbidden("immutable", SEALED);
    }
    for field in fields.iter().filter(|field| old[**field] != new[**field]) {
        errors.forbidden(*field, SEALED);
    }
}

pub(super) fn secret(errors: &mut Errors, secret: &Value, old: Option<&Value>) {
    if let Some(old) = old {
        errors.immutable("type", &secret["type"], &old["type"]);
    }
    sealed(errors, secret, old, &["data"]);
    let mut size = 0;
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        config_key(errors, "data", key);
        size += text(value).len() / 4 * 3;
    }
    if size > MAX_BYTES {
        errors.0.push(too_long("data"));
    }
    let has = |key: &str| secret["data"].get(key).is_some();
    let require = |errors: &mut Errors, key: &str| errors.required(format!("data[{key}]"), "");
    match text(&secret["type"]) {
        "kubernetes.io/service-account-token" => {
            let account = "kubernetes.io/service-account.name";
            if text(&secret["metadata"]["annotations"][account]).is_empty() {
                errors.required(format!("metadata.annotations[{account}]"), "");
            }
        }
        "kubernetes.io/dockercfg" => json_value(errors, secret, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json_value(errors, secret, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require(errors, "username");
            require(errors, "password");
        }
        "kubernetes.io/ssh-auth" if text(&secret["data"]["ssh-privatekey"]).is_empty() => {
            require(errors, "ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| !has(key)) {
                require(errors, key);
            }
        }
        _ => {}
    }
}

/// A value that must be a JSON object. The message never shows it.
fn json_value(errors: &mut Errors, secret: &Value, key: &str) {
    let at = format!("data[{key}]");
    let Some(value) = secret["data"].get(key) else {
        return errors.required(at, "");
    };
    let bytes = STANDARD.decode(text(value)).unwrap_or_default();
    if !serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value.is_object()) {
        errors.invalid(at, &"<secret contents redacted>".into(), "must be a JSON object");
    }
}

pub(super) fn lease(errors: &mut Errors, lease: &Value) {
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds <= 0)
    {
        let seconds = &spec["leaseDurationSeconds"];
        errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
        errors.invalid("spec.leaseTransitions", &spec["leaseTransitions"], NON_NEGATIVE);
    }
}

pub(super) fn event(errors: &mut Errors, event: &Value, old: Option<&Value>) {
    let is_new_form = event["apiVersion"] == "events.k8s.io/v1";
    let subject = if is_new_form {
        "regarding"
    } else {
        "involvedObject"
    };
    let namespace = text(&event["metadata"]["namespace"]);
    let found = &event[subject]["namespace"];
    if !text(found).is_empty() && text(found) != namespace {
        errors.invalid(
            "involvedObject.namespace",
            found,
            "does not match event.namespace",
        );
    }
    if is_new_form && old.is_none() && event["eventTime"].is_null() {
        errors.required("eventTime", "");
    }
}
