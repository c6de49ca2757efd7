//! Services.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Errors, list, text};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn service(errors: &mut Errors, service: &Value, old: Option<&Value>) {
    let spec = &service["spec"];
    let kind = text(&spec["type"]);
    let is_headless = spec["clusterIP"] == "None";
    if let Some(old) = old.map(|old| &old["spec"]) {
        let was = &old["clusterIPs"][0];
        let stays = kind == "ExternalName" || text(&old["type"]) == "ExternalName" || was.is_null();
        if !stays && spec["clusterIPs"][0] != *was {
            errors.invalid(
                "spec.clusterIPs[0]",
                &spec["clusterIPs"],
                "may not change once set",
            );
        }
    }
    if list(&spec["ports"]).is_empty() && !is_headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.invalid("spec.clusterIPs[0]", &spec["clusterIP"], why);
        }
        "ExternalName" => {
            let name = text(&spec["externalName"]);
            if name.is_empty() {
                errors.required("spec.externalName", "");
            } else {
                errors.subdomain("spec.externalName", &spec["externalName"]);
            }
        }
        _ => {}
    }
    ports(errors, spec);
    let affinities = ["ClientIP", "None"];
    if !affinities.contains(&text(&spec["sessionAffinity"])) {
        errors.not_supported("spec.sessionAffinity", &spec["sessionAffinity"], &affinities);
    }
    if !TYPES.contains(&kind) {
        errors.not_supported("spec.type", &spec["type"], &TYPES);
    }
}

fn ports(errors: &mut Errors, spec: &Value) {
    let ports = list(&spec["ports"]);
    let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let name = text(&port["name"]);
        if name.is_empty() && ports.len() > 1 {
            errors.required(format!("{at}.name"), "");
        } else if !name.is_empty() {
            errors.label(format!("{at}.name"), &port["name"]);
            if !names.insert(name) {
                errors.duplicate(format!("{at}.name"), &port["name"]);
            }
        }
        errors.port(format!("{at}.port"), &port["port"]);
        if !PROTOCOLS.contains(&text(&port["protocol"])) {
            errors.not_supported(format!("{at}.protocol"), &port["protocol"], &PROTOCOLS);
        }
        if port["targetPort"].is_number() {
            errors.port(format!("{at}.targetPort"), &port["targetPort"]);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        if !numbers.insert((port["port"].as_i64(), text(&port["protocol"]))) {
            let mut key = Map::new();
            for field in ["port", "protocol"] {
                key.insert(field.to_owned(), port[field].clone());
            }
            errors.duplicate(format!("spec.ports[{index}]"), &Value::Object(key));
        }
    }
}
