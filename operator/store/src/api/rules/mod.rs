//! What kube-apiserver demands of built-in kinds beyond the types of their fields, in its order and words.
//!
//! These are the usual rules, which people meet; not every one that Kubernetes has.

mod access;
mod config;
mod pod;
mod service;
mod storage;
mod workload;

use serde_json::Value;

use super::kinds::Kind;
use super::meta;
use crate::schema::{FieldError, FieldErrorKind};

const NON_NEGATIVE: &str = "must be greater than or equal to 0";
/// Finalizers that need no domain in front.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "foregroundDeletion", "orphan"];
const IMMUTABLE: &str = "field is immutable";
const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
     must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
     or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// All that is wrong with an object of a built-in kind; `old` is what it takes the place of.
pub(super) fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    for (index, finalizer) in meta::finalizers(object).enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(format!("metadata.finalizers[{index}]"), &finalizer.into(), why);
        }
    }
    // What is stored was let in once; only what changes is looked at again.
    let spec_changes = old.is_none_or(|old| old["spec"] != object["spec"]);
    match kind.kind.as_str() {
        "ConfigMap" => config::config_map(&mut errors, object, old),
        "Secret" => config::secret(&mut errors, object, old),
        "Lease" if spec_changes => config::lease(&mut errors, object),
        "Event" => config::event(&mut errors, object, old),
        "Deployment" => {
            if spec_changes {
                workload::deployment(&mut errors, object, old);
            }
            workload::deployment_status(&mut errors, object);
        }
        "ReplicaSet" if spec_changes => workload::replica_set(&mut errors, object, old),
        "StatefulSet" if spec_changes => workload::stateful_set(&mut errors, object, old),
        "DaemonSet" if spec_changes => workload::daemon_set(&mut errors, object, old),
        "Job" if spec_changes => workload::job(&mut errors, object, old),
        "CronJob" if spec_changes => workload::cron_job(&mut errors, object, old),
        "Pod" if spec_changes => pod::pod(&mut errors, object),
        "Service" if spec_changes => service::service(&mut errors, object, old),
        "PersistentVolumeClaim" if spec_changes => storage::claim(&mut errors, object),
        "Role" | "ClusterRole" => access::role(&mut errors, object, kind.namespaced),
        "RoleBinding" | "ClusterRoleBinding" => access::binding(&mut errors, object, old, kind.namespaced),
        _ => {}
    }
    errors.0
}

/// What is wrong with the name of a new object.
pub(super) fn wrong_name(kind: &Kind, name: &str) -> Option<String> {
    match kind.kind.as_str() {
        // They become parts of the names of hosts.
        "Namespace" | "Service" if !kind.custom && name.contains('.') => {
            Some("must not contain dots".to_owned())
        }
        "Namespace" | "Service" if !kind.custom => wrong_label(name),
        _ if kind.group == "rbac.authorization.k8s.io" => {
            if matches!(name, "." | "..") {
                return Some(format!("may not be '{name}'"));
            }
            let wrong = ['/', '%'].into_iter().find(|wrong| name.contains(*wrong))?;
            Some(format!("may not contain '{wrong}'"))
        }
        _ => meta::wrong_subdomain(name),
    }
}

/// The errors found so far, with the checks that occur everywhere.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn invalid(&mut self, path: impl Into<String>, value: &Value, detail: impl Into<String>) {
        self.0.push(FieldError::invalid(path, value.clone(), detail));
    }

    fn required(&mut self, path: impl Into<String>, detail: &str) {
        self.0.push(FieldError::required(path, detail));
    }

    fn forbidden(&mut self, path: impl Into<String>, detail: &str) {
        self.0.push(FieldError::forbidden(path, detail));
    }

    fn not_supported(&mut self, path: impl Into<String>, value: &Value, supported: &[&str]) {
        let error = FieldError::not_supported(path, value.clone(), supported.iter().copied());
        self.0.push(error);
    }

    fn duplicate(&mut self, path: impl Into<String>, value: &Value) {
        self.0.push(FieldError::new(
            path,
            FieldErrorKind::Duplicate,
            value.clone(),
            "",
        ));
    }

    fn not_found(&mut self, path: impl Into<String>, value: &Value) {
        self.0
            .push(FieldError::new(path, FieldErrorKind::NotFound, value.clone(), ""));
    }

    /// Numbers that are there must not be below zero.
    fn non_negative(&mut self, within: &Value, path: &str, fields: &[&str]) {
        for field in fields {
            if within[*field].as_i64().is_some_and(|number| number < 0) {
                self.invalid(format!("{path}.{field}"), &within[*field], NON_NEGATIVE);
            }
        }
    }

    fn label(&mut self, path: impl Into<String>, value: &Value) {
        if let Some(detail) = wrong_label(text(value)) {
            self.invalid(path, value, detail);
        }
    }

    fn subdomain(&mut self, path: impl Into<String>, value: &Value) {
        if let Some(detail) = meta::wrong_subdomain(text(value)) {
            self.invalid(path, value, detail);
        }
    }

    fn port(&mut self, path: impl Into<String>, value: &Value) {
        if !value.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
            self.invalid(path, value, "must be between 1 and 65535, inclusive");
        }
    }

    /// A field that must stay what it was.
    fn immutable(&mut self, path: &str, new: &Value, old: &Value) {
        if new != old {
            self.invalid(path, new, IMMUTABLE);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What is wrong with an RFC 1123 label.
fn wrong_label(label: &str) -> Option<String> {
    if label.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fine = label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-');
    (!fine).then(|| LABEL_RULE.to_owned())
}

/// Keys of config maps and secrets, which become names of files.
fn config_key(errors: &mut Errors, path: &str, key: &str) {
    let value = Value::from(key);
    let at = format!("{path}[{key}]");
    if key.len() > 253 {
        errors.invalid(at.clone(), &value, "must be no more than 253 characters");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(plain) {
        errors.invalid(at, &value, KEY_RULE);
    } else if key == "." {
        errors.invalid(at, &value, "must not be '.'");
    } else if key == ".." {
        errors.invalid(at, &value, "must not be '..'");
    } else if key.starts_with("..") {
        errors.invalid(at, &value, "must not start with '..'");
    }
}

/// The amount of a quantity, good enough to compare with another.
fn amount(quantity: &Value) -> Option<f64> {
    let text = quantity.as_str()?;
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        exponent => 10.0_f64.powi(exponent[1..].parse().ok()?),
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests;
