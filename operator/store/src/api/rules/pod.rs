//! Pods, and the templates of pods in other kinds.

use std::collections::HashSet;

use serde_json::Value;

use super::{Errors, NON_NEGATIVE, amount, list, text};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn pod(errors: &mut Errors, pod: &Value) {
    pod_spec(errors, &pod["spec"], "spec");
}

/// The template at `path`.
pub(super) fn template(errors: &mut Errors, template: &Value, path: &str) {
    pod_spec(errors, &template["spec"], &format!("{path}.spec"));
}

fn pod_spec(errors: &mut Errors, spec: &Value, path: &str) {
    let volumes = volumes(errors, spec, &format!("{path}.volumes"));
    if list(&spec["containers"]).is_empty() {
        errors.required(format!("{path}.containers"), "");
    }
    let mut names = HashSet::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in list(&spec[field]).iter().enumerate() {
            let at = format!("{path}.{field}[{index}]");
            self::container(errors, container, &at, &volumes);
            if !names.insert(text(&container["name"])) {
                errors.duplicate(format!("{at}.name"), &container["name"]);
            }
        }
    }
    let policies = ["Always", "OnFailure", "Never"];
    if !policies.contains(&text(&spec["restartPolicy"])) {
        errors.not_supported(format!("{path}.restartPolicy"), &spec["restartPolicy"], &policies);
    }
    let policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    if !policies.contains(&text(&spec["dnsPolicy"])) {
        errors.not_supported(format!("{path}.dnsPolicy"), &spec["dnsPolicy"], &policies);
    }
    if !text(&spec["serviceAccountName"]).is_empty() {
        errors.subdomain(format!("{path}.serviceAccountName"), &spec["serviceAccountName"]);
    }
}

/// Checks the volumes, and returns the names of the good ones.
fn volumes<'v>(errors: &mut Errors, spec: &'v Value, path: &str) -> HashSet<&'v str> {
    let mut names = HashSet::new();
    for (index, volume) in list(&spec["volumes"]).iter().enumerate() {
        let at = format!("{path}[{index}]");
        let before = errors.0.len();
        let sources = volume
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(field, _)| *field != "name");
        for (source, _) in sources.skip(1) {
            errors.forbidden(
                format!("{at}.{source}"),
                "may not specify more than 1 volume type",
            );
        }
        let name = text(&volume["name"]);
        if name.is_empty() {
            errors.required(format!("{at}.name"), "");
        } else {
            errors.label(format!("{at}.name"), &volume["name"]);
        }
        if names.contains(name) {
            errors.duplicate(format!("{at}.name"), &volume["name"]);
        }
        if errors.0.len() == before {
            names.insert(name);
        }
    }
    names
}

fn container(errors: &mut Errors, container: &Value, at: &str, volumes: &HashSet<&str>) {
    if text(&container["name"]).is_empty() {
        errors.required(format!("{at}.name"), "");
    } else {
        errors.label(format!("{at}.name"), &container["name"]);
    }
    if text(&container["image"]).is_empty() {
        errors.required(format!("{at}.image"), "");
    }
    for (index, port) in list(&container["ports"]).iter().enumerate() {
        self::port(errors, port, &format!("{at}.ports[{index}]"));
    }
    for (index, variable) in list(&container["env"]).iter().enumerate() {
        self::variable(errors, variable, &format!("{at}.env[{index}]"));
    }
    mounts(errors, container, at, volumes);
    let policies = ["Always", "IfNotPresent", "Never"];
    if !policies.contains(&text(&container["imagePullPolicy"])) {
        let at = format!("{at}.imagePullPolicy");
        errors.not_supported(at, &container["imagePullPolicy"], &policies);
    }
    resources(errors, &container["resources"], &format!("{at}.resources"));
}

fn port(errors: &mut Errors, port: &Value, at: &str) {
    if port["containerPort"].as_i64() == Some(0) {
        errors.required(format!("{at}.containerPort"), "");
    } else {
        errors.port(format!("{at}.containerPort"), &port["containerPort"]);
    }
    if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
        errors.port(format!("{at}.hostPort"), &port["hostPort"]);
    }
    if !PROTOCOLS.contains(&text(&port["protocol"])) {
        errors.not_supported(format!("{at}.protocol"), &port["protocol"], &PROTOCOLS);
    }
}

fn variable(errors: &mut Errors, variable: &Value, at: &str) {
    let name = text(&variable["name"]);
    if name.is_empty() {
        errors.required(format!("{at}.name"), "");
    } else if !name
        .chars()
        .all(|c| c.is_ascii() && !c.is_ascii_control() && c != '=')
    {
        let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        errors.invalid(format!("{at}.name"), &variable["name"], why);
    }
    if variable["valueFrom"].is_object() && !text(&variable["value"]).is_empty() {
        let why = "may not be specified when `value` is not empty";
        errors.invalid(format!("{at}.valueFrom"), &"".into(), why);
    }
}

fn mounts(errors: &mut Errors, container: &Value, at: &str, volumes: &HashSet<&str>) {
    let mut paths = HashSet::new();
    for (index, mount) in list(&container["volumeMounts"]).iter().enumerate() {
        let at = format!("{at}.volumeMounts[{index}]");
        if text(&mount["name"]).is_empty() {
            errors.required(format!("{at}.name"), "");
        }
        if text(&mount["mountPath"]).is_empty() {
            errors.required(format!("{at}.mountPath"), "");
        }
        if !volumes.contains(text(&mount["name"])) {
            errors.not_found(format!("{at}.name"), &mount["name"]);
        }
        if !paths.insert(text(&mount["mountPath"])) {
            errors.invalid(format!("{at}.mountPath"), &mount["mountPath"], "must be unique");
        }
    }
}

fn resources(errors: &mut Errors, resources: &Value, at: &str) {
    let entries = |field: &str| resources[field].as_object().into_iter().flatten();
    for field in ["limits", "requests"] {
        for (name, quantity) in entries(field) {
            if amount(quantity).is_some_and(|amount| amount < 0.0) {
                errors.invalid(format!("{at}.{field}[{name}]"), quantity, NON_NEGATIVE);
            }
            let limit = &resources["limits"][name];
            if field == "requests" && amount(quantity) > amount(limit) && !limit.is_null() {
                let why = format!("must be less than or equal to {name} limit of {}", text(limit));
                errors.invalid(format!("{at}.requests"), quantity, why);
            }
        }
    }
}
