//! The columns of built-in kinds: those of kubectl, in its order.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::columns::{Column, age_column, computed, elapsed, human_duration, name_column, path};

/// Shown where there is nothing.
const NONE: &str = "<none>";

/// The columns of a built-in kind.
pub(crate) fn built_in(kind: &str) -> Vec<Column> {
    let mut columns = vec![Some(name_column())];
    let (narrow, wide) = match kind {
        "Event" => return event_columns(),
        "CustomResourceDefinition" | "Role" | "ClusterRole" | "LimitRange" => {
            let created = |object: &Value, _: Timestamp| object["metadata"]["creationTimestamp"].clone();
            let column = Column {
                kind: "date".to_owned(),
                ..computed("Created At", 0, created)
            };
            return vec![name_column(), column];
        }
        "PodTemplate" => return pod_template_columns(),
        _ => (narrow(kind), wide(kind)),
    };
    columns.extend(narrow);
    columns.push(Some(age_column()));
    columns.extend(wide);
    columns.into_iter().flatten().collect()
}

/// The columns of the subresource `scale`.
pub(crate) fn scale() -> Vec<Column> {
    let columns = [
        Some(name_column()),
        integer("Desired", |scale, _| count(&scale["spec"]["replicas"])),
        integer("Available", |scale, _| count(&scale["status"]["replicas"])),
        Some(age_column()),
    ];
    columns.into_iter().flatten().collect()
}

fn integer(name: &str, compute: fn(&Value, Timestamp) -> Value) -> Option<Column> {
    Some(Column {
        kind: "integer".to_owned(),
        ..computed(name, 0, compute)
    })
}

fn text(name: &str, compute: fn(&Value, Timestamp) -> Value) -> Option<Column> {
    Some(computed(name, 0, compute))
}

fn more(name: &str, compute: fn(&Value, Timestamp) -> Value) -> Option<Column> {
    Some(computed(name, 1, compute))
}

/// What stands between name and age.
fn narrow(kind: &str) -> Vec<Option<Column>> {
    match kind {
        "Namespace" => vec![path("Status", 0, ".status.phase")],
        "Secret" => vec![
            path("Type", 0, ".type"),
            text("Data", |object, _| entries(object)),
        ],
        "ConfigMap" => vec![text("Data", |object, _| entries(object))],
        "Lease" => vec![path("Holder", 0, ".spec.holderIdentity")],
        "Service" => vec![
            path("Type", 0, ".spec.type"),
            text("Cluster-IP", |object, _| or(&object["spec"]["clusterIP"], NONE)),
            text("External-IP", |object, _| external_address(object)),
            text("Port(s)", |object, _| service_ports(object)),
        ],
        "Deployment" => vec![
            text("Ready", ready_of_desired),
            text("Up-to-date", |object, _| {
                count(&object["status"]["updatedReplicas"])
            }),
            text("Available", |object, _| {
                count(&object["status"]["availableReplicas"])
            }),
        ],
        "Job" => vec![
            text("Status", |object, _| job_status(object)),
            text("Completions", |object, _| completions(object)),
            text("Duration", job_duration),
        ],
        "CronJob" => vec![
            path("Schedule", 0, ".spec.schedule"),
            text("Timezone", |object, _| or(&object["spec"]["timeZone"], NONE)),
            text("Suspend", |object, _| {
                Value::from(if object["spec"]["suspend"] == true {
                    "True"
                } else {
                    "False"
                })
            }),
            integer("Active", |object, _| {
                Value::from(object["status"]["active"].as_array().map_or(0, Vec::len))
            }),
            text("Last Schedule", |object, now| {
                match &object["status"]["lastScheduleTime"] {
                    at @ Value::String(_) => elapsed(at, now),
                    _ => Value::from(NONE),
                }
            }),
        ],
        "Pod" => vec![
            text("Ready", |pod, _| {
                let states = list(&pod["status"]["containerStatuses"]);
                let ready = states.iter().filter(|state| state["ready"] == true).count();
                Value::from(format!("{ready}/{}", list(&pod["spec"]["containers"]).len()))
            }),
            text("Status", |pod, _| pod_status(pod)),
            text("Restarts", |pod, _| {
                let states = list(&pod["status"]["containerStatuses"]).iter();
                let restarts: i64 = states.filter_map(|state| state["restartCount"].as_i64()).sum();
                Value::from(restarts.to_string())
            }),
        ],
        "ReplicaSet" | "ReplicationController" => vec![
            integer("Desired", |object, _| count(&object["spec"]["replicas"])),
            integer("Current", |object, _| count(&object["status"]["replicas"])),
            integer("Ready", |object, _| count(&object["status"]["readyReplicas"])),
        ],
        "StatefulSet" => vec![text("Ready", ready_of_desired)],
        "DaemonSet" => vec![
            integer("Desired", |object, _| {
                count(&object["status"]["desiredNumberScheduled"])
            }),
            integer("Current", |object, _| {
                count(&object["status"]["currentNumberScheduled"])
            }),
            integer("Ready", |object, _| count(&object["status"]["numberReady"])),
            integer("Up-to-date", |object, _| {
                count(&object["status"]["updatedNumberScheduled"])
            }),
            integer("Available", |object, _| {
                count(&object["status"]["numberAvailable"])
            }),
            text("Node Selector", |object, _| {
                labels(&object["spec"]["template"]["spec"]["nodeSelector"])
            }),
        ],
        "RoleBinding" | "ClusterRoleBinding" => vec![text("Role", |object, _| {
            let role = &object["roleRef"];
            Value::from(format!("{}/{}", plain(&role["kind"]), plain(&role["name"])))
        })],
        "APIService" => vec![
            text("Service", |object, _| match &object["spec"]["service"] {
                Value::Object(service) => {
                    let part = |name| service.get(name).map_or("", plain);
                    Value::from(format!("{}/{}", part("namespace"), part("name")))
                }
                _ => Value::from("Local"),
            }),
            path(
                "Available",
                0,
                r#".status.conditions[?(@.type=="Available")].status"#,
            ),
        ],
        other => storage_and_network(other),
    }
}

fn storage_and_network(kind: &str) -> Vec<Option<Column>> {
    match kind {
        "PersistentVolumeClaim" => vec![
            path("Status", 0, ".status.phase"),
            text("Volume", |object, _| or(&object["spec"]["volumeName"], "")),
            text("Capacity", |object, _| {
                or(&object["status"]["capacity"]["storage"], "")
            }),
            text("Access Modes", |object, _| {
                access_modes(&object["status"]["accessModes"])
            }),
            text("StorageClass", |object, _| {
                or(&object["spec"]["storageClassName"], "")
            }),
            text("VolumeAttributesClass", |object, _| {
                or(&object["spec"]["volumeAttributesClassName"], "<unset>")
            }),
        ],
        "PersistentVolume" => vec![
            text("Capacity", |object, _| {
                or(&object["spec"]["capacity"]["storage"], "0")
            }),
            text("Access Modes", |object, _| {
                access_modes(&object["spec"]["accessModes"])
            }),
            path("Reclaim Policy", 0, ".spec.persistentVolumeReclaimPolicy"),
            path("Status", 0, ".status.phase"),
            text("Claim", |object, _| match &object["spec"]["claimRef"] {
                Value::Null => Value::from(""),
                claim => Value::from(format!(
                    "{}/{}",
                    plain(&claim["namespace"]),
                    plain(&claim["name"])
                )),
            }),
            text("StorageClass", |object, _| {
                or(&object["spec"]["storageClassName"], "")
            }),
            text("VolumeAttributesClass", |object, _| {
                or(&object["spec"]["volumeAttributesClassName"], "<unset>")
            }),
            text("Reason", |object, _| or(&object["status"]["reason"], "")),
        ],
        "StorageClass" => vec![
            path("Provisioner", 0, ".provisioner"),
            text("ReclaimPolicy", |object, _| {
                or(&object["reclaimPolicy"], "Delete")
            }),
            text("VolumeBindingMode", |object, _| {
                or(&object["volumeBindingMode"], "Immediate")
            }),
            text("AllowVolumeExpansion", |object, _| {
                Value::from(object["allowVolumeExpansion"] == true)
            }),
        ],
        "Ingress" => vec![
            text("Class", |object, _| or(&object["spec"]["ingressClassName"], NONE)),
            text("Hosts", |object, _| ingress_hosts(object)),
            text("Address", |object, _| balancer_addresses(object)),
            text("Ports", |object, _| {
                let has_tls = !list(&object["spec"]["tls"]).is_empty();
                Value::from(if has_tls { "80, 443" } else { "80" })
            }),
        ],
        "IngressClass" => vec![
            path("Controller", 0, ".spec.controller"),
            text("Parameters", |object, _| match &object["spec"]["parameters"] {
                Value::Null => Value::from(NONE),
                parameters => {
                    let (group, kind) = (plain(&parameters["apiGroup"]), plain(&parameters["kind"]));
                    let kind = if group.is_empty() {
                        kind.to_owned()
                    } else {
                        format!("{kind}.{group}")
                    };
                    Value::from(format!("{kind}/{}", plain(&parameters["name"])))
                }
            }),
        ],
        "Endpoints" => vec![text("Endpoints", |object, _| endpoints(object))],
        "EndpointSlice" => vec![
            path("AddressType", 0, ".addressType"),
            text("Ports", |object, _| slice_ports(object)),
            text("Endpoints", |object, _| {
                let addresses = list(&object["endpoints"])
                    .iter()
                    .flat_map(|end| list(&end["addresses"]));
                few(&addresses.map(plain).collect::<Vec<_>>(), "<unset>")
            }),
        ],
        "ControllerRevision" => vec![
            text("Controller", |object, _| {
                let owners = list(&object["metadata"]["ownerReferences"]).iter();
                let mut controllers = owners.filter(|owner| owner["controller"] == true);
                Value::from(controllers.next().map_or_else(
                    || NONE.to_owned(),
                    |owner| {
                        let (group, _) = plain(&owner["apiVersion"]).split_once('/').unwrap_or(("", ""));
                        let kind = plain(&owner["kind"]).to_lowercase();
                        let dot = if group.is_empty() { "" } else { "." };
                        format!("{kind}{dot}{group}/{}", plain(&owner["name"]))
                    },
                ))
            }),
            integer("Revision", |object, _| count(&object["revision"])),
        ],
        "NetworkPolicy" => vec![text("Pod-Selector", |object, _| {
            selector(&object["spec"]["podSelector"])
        })],
        "PodDisruptionBudget" => vec![
            text("Min Available", |object, _| {
                number_or(&object["spec"]["minAvailable"], "N/A")
            }),
            text("Max Unavailable", |object, _| {
                number_or(&object["spec"]["maxUnavailable"], "N/A")
            }),
            integer("Allowed Disruptions", |object, _| {
                count(&object["status"]["disruptionsAllowed"])
            }),
        ],
        "HorizontalPodAutoscaler" => vec![
            text("Reference", |object, _| {
                let target = &object["spec"]["scaleTargetRef"];
                Value::from(format!("{}/{}", plain(&target["kind"]), plain(&target["name"])))
            }),
            text("Targets", |object, _| autoscaler_targets(object)),
            text("MinPods", |object, _| {
                number_or(&object["spec"]["minReplicas"], "<unset>")
            }),
            text("MaxPods", |object, _| count(&object["spec"]["maxReplicas"])),
            text("Replicas", |object, _| {
                count(&object["status"]["currentReplicas"])
            }),
        ],
        "PriorityClass" => vec![
            integer("Value", |object, _| count(&object["value"])),
            text("Global-Default", |object, _| {
                Value::from(object["globalDefault"] == true)
            }),
        ],
        "ResourceQuota" => vec![
            text("Request", |object, _| quota(object, false)),
            text("Limit", |object, _| quota(object, true)),
        ],
        "Node" => vec![
            text("Status", |object, _| node_status(object)),
            text("Roles", |object, _| node_roles(object)),
        ],
        _ => Vec::new(),
    }
}

/// What `-o wide` adds after the age.
fn wide(kind: &str) -> Vec<Option<Column>> {
    let names = || more("Containers", |object, _| containers(object, "name"));
    let images = || more("Images", |object, _| containers(object, "image"));
    let selected = || more("Selector", |object, _| selector(&object["spec"]["selector"]));
    match kind {
        "Service" => vec![more("Selector", |object, _| labels(&object["spec"]["selector"]))],
        "Deployment" | "DaemonSet" | "ReplicaSet" | "Job" => vec![names(), images(), selected()],
        "CronJob" => vec![
            names(),
            images(),
            more("Selector", |object, _| {
                selector(&object["spec"]["jobTemplate"]["spec"]["selector"])
            }),
        ],
        "ReplicationController" => vec![
            names(),
            images(),
            more("Selector", |object, _| labels(&object["spec"]["selector"])),
        ],
        "StatefulSet" => vec![names(), images()],
        "Pod" => vec![
            more("IP", |object, _| or(&object["status"]["podIP"], NONE)),
            more("Node", |object, _| or(&object["spec"]["nodeName"], NONE)),
            more("Nominated Node", |object, _| {
                or(&object["status"]["nominatedNodeName"], NONE)
            }),
            more("Readiness Gates", |_, _| Value::from(NONE)),
        ],
        "RoleBinding" | "ClusterRoleBinding" => vec![
            more("Users", |object, _| subjects(object, "User")),
            more("Groups", |object, _| subjects(object, "Group")),
            more("ServiceAccounts", |object, _| subjects(object, "ServiceAccount")),
        ],
        "PersistentVolumeClaim" | "PersistentVolume" => vec![more("VolumeMode", |object, _| {
            or(&object["spec"]["volumeMode"], "<unset>")
        })],
        "PriorityClass" => vec![more("PreemptionPolicy", |object, _| {
            or(&object["preemptionPolicy"], "")
        })],
        "Node" => vec![Some(computed("Version", 0, |object, _| {
            or(&object["status"]["nodeInfo"]["kubeletVersion"], "")
        }))],
        _ => Vec::new(),
    }
}

fn pod_template_columns() -> Vec<Column> {
    let columns = [
        Some(name_column()),
        text("Containers", |object, _| template_containers(object, "name")),
        text("Images", |object, _| template_containers(object, "image")),
        text("Pod Labels", |object, _| {
            labels(&object["template"]["metadata"]["labels"])
        }),
    ];
    columns.into_iter().flatten().collect()
}

fn event_columns() -> Vec<Column> {
    let columns = [
        text("Last Seen", |event, now| {
            let times = [
                &event["series"]["lastObservedTime"],
                &event["lastTimestamp"],
                &event["eventTime"],
            ];
            let created = &event["metadata"]["creationTimestamp"];
            elapsed(
                times.into_iter().find(|time| time.is_string()).unwrap_or(created),
                now,
            )
        }),
        path("Type", 0, ".type"),
        path("Reason", 0, ".reason"),
        text("Object", |event, _| {
            let object = &event["involvedObject"];
            Value::from(format!(
                "{}/{}",
                plain(&object["kind"]).to_lowercase(),
                plain(&object["name"])
            ))
        }),
        path("Subobject", 1, ".involvedObject.fieldPath"),
        more("Source", |event, _| {
            let parts = [&event["source"]["component"], &event["source"]["host"]];
            let mut known: Vec<&str> = parts
                .into_iter()
                .map(plain)
                .filter(|part| !part.is_empty())
                .collect();
            if known.is_empty() {
                known.push(plain(&event["reportingComponent"]));
            }
            Value::from(known.join(", "))
        }),
        text("Message", |event, _| Value::from(plain(&event["message"]).trim())),
        more("First Seen", |event, now| {
            let times = [&event["firstTimestamp"], &event["eventTime"]];
            let created = &event["metadata"]["creationTimestamp"];
            elapsed(
                times.into_iter().find(|time| time.is_string()).unwrap_or(created),
                now,
            )
        }),
        more("Count", |event, _| {
            let counts = [&event["series"]["count"], &event["count"]];
            Value::from(counts.into_iter().find_map(Value::as_i64).unwrap_or(1))
        }),
        Some(Column {
            priority: 1,
            ..name_column()
        }),
    ];
    columns.into_iter().flatten().collect()
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(object: &Value) -> Value {
    let length = |field: &str| object[field].as_object().map_or(0, Map::len);
    Value::from(length("data") + length("binaryData"))
}

fn count(value: &Value) -> Value {
    json!(value.as_i64().unwrap_or(0))
}

fn number_or(value: &Value, absent: &str) -> Value {
    match value {
        Value::Null => Value::from(absent),
        Value::String(text) => Value::from(text.as_str()),
        other => Value::from(other.to_string()),
    }
}

fn or(value: &Value, absent: &str) -> Value {
    Value::from(value.as_str().filter(|text| !text.is_empty()).unwrap_or(absent))
}

fn joined(texts: &[&str]) -> Value {
    Value::from(if texts.is_empty() {
        NONE.to_owned()
    } else {
        texts.join(",")
    })
}

/// `a=b,c=d`.
fn labels(labels: &Value) -> Value {
    let fields = labels.as_object().into_iter().flatten();
    let mut pairs: Vec<String> = fields
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect();
    pairs.sort();
    joined(&pairs.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A label selector as text.
fn selector(selector: &Value) -> Value {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = equal
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect();
    for expression in list(&selector["matchExpressions"]) {
        let key = plain(&expression["key"]);
        let mut values: Vec<&str> = list(&expression["values"]).iter().map(plain).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match plain(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort();
    joined(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One field of all containers of a workload.
fn containers(object: &Value, field: &str) -> Value {
    match &object["spec"]["jobTemplate"] {
        Value::Null => template_containers(&object["spec"], field),
        template => template_containers(&template["spec"], field),
    }
}

/// One field of all containers of the template in `object`.
fn template_containers(object: &Value, field: &str) -> Value {
    let containers = list(&object["template"]["spec"]["containers"]).iter();
    let texts: Vec<&str> = containers.map(|container| plain(&container[field])).collect();
    Value::from(texts.join(","))
}

/// The first three, and how many more there are.
fn few(texts: &[&str], absent: &str) -> Value {
    const SHOWN: usize = 3;
    Value::from(match texts.len() {
        0 => absent.to_owned(),
        count if count > SHOWN => format!("{} + {} more...", texts[..SHOWN].join(","), count - SHOWN),
        _ => texts.join(","),
    })
}

fn endpoints(object: &Value) -> Value {
    let pairs = list(&object["subsets"]).iter().flat_map(|subset| {
        let addresses = list(&subset["addresses"])
            .iter()
            .map(|address| plain(&address["ip"]));
        let ports = list(&subset["ports"]);
        addresses.flat_map(move |address| {
            ports
                .iter()
                .map(move |port| format!("{address}:{}", port["port"]))
        })
    });
    let pairs: Vec<String> = pairs.collect();
    few(&pairs.iter().map(String::as_str).collect::<Vec<_>>(), NONE)
}

fn slice_ports(slice: &Value) -> Value {
    let ports: Vec<String> = list(&slice["ports"])
        .iter()
        .map(|port| port["port"].to_string())
        .collect();
    few(&ports.iter().map(String::as_str).collect::<Vec<_>>(), "<unset>")
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = list(&binding["subjects"])
        .iter()
        .filter(|subject| subject["kind"] == kind);
    let names = subjects.map(|subject| match kind {
        "ServiceAccount" => format!("{}/{}", plain(&subject["namespace"]), plain(&subject["name"])),
        _ => plain(&subject["name"]).to_owned(),
    });
    Value::from(names.collect::<Vec<_>>().join(", "))
}

fn access_modes(modes: &Value) -> Value {
    let short = list(modes).iter().map(|mode| match plain(mode) {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    });
    Value::from(short.collect::<Vec<_>>().join(","))
}

fn balancer_addresses(object: &Value) -> Value {
    let places = list(&object["status"]["loadBalancer"]["ingress"]).iter();
    let addresses = places.map(|place| match plain(&place["ip"]) {
        "" => plain(&place["hostname"]),
        address => address,
    });
    Value::from(addresses.collect::<Vec<_>>().join(","))
}

fn external_address(service: &Value) -> Value {
    let own: Vec<&str> = list(&service["spec"]["externalIPs"]).iter().map(plain).collect();
    match plain(&service["spec"]["type"]) {
        "ExternalName" => service["spec"]["externalName"].clone(),
        "LoadBalancer" => {
            let given = balancer_addresses(service);
            let all = [plain(&given)]
                .into_iter()
                .chain(own)
                .filter(|address| !address.is_empty());
            let all = all.collect::<Vec<_>>().join(",");
            Value::from(if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all
            })
        }
        _ => joined(&own),
    }
}

fn service_ports(service: &Value) -> Value {
    let port = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64() {
            Some(node) if node != 0 => format!("{}:{node}/{protocol}", port["port"]),
            _ => format!("{}/{protocol}", port["port"]),
        }
    };
    let ports: Vec<String> = list(&service["spec"]["ports"]).iter().map(port).collect();
    joined(&ports.iter().map(String::as_str).collect::<Vec<_>>())
}

fn ready_of_desired(object: &Value, _: Timestamp) -> Value {
    let ready = object["status"]["readyReplicas"].as_i64().unwrap_or(0);
    Value::from(format!(
        "{ready}/{}",
        object["spec"]["replicas"].as_i64().unwrap_or(1)
    ))
}

fn completions(job: &Value) -> Value {
    let done = job["status"]["succeeded"].as_i64().unwrap_or(0);
    let parallelism = job["spec"]["parallelism"].as_i64().unwrap_or(0);
    Value::from(match job["spec"]["completions"].as_i64() {
        Some(wanted) => format!("{done}/{wanted}"),
        None if parallelism > 1 => format!("{done}/1 of {parallelism}"),
        None => format!("{done}/1"),
    })
}

fn job_status(job: &Value) -> Value {
    let holds = |condition: &str| {
        let conditions = list(&job["status"]["conditions"]).iter();
        conditions
            .into_iter()
            .any(|found| found["type"] == condition && found["status"] == "True")
    };
    let status = if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if !job["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if holds("Suspended") {
        "Suspended"
    } else if holds("FailureTarget") {
        "FailureTarget"
    } else if holds("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    Value::from(status)
}

fn job_duration(job: &Value, now: Timestamp) -> Value {
    let time = |field: &str| plain(&job["status"][field]).parse::<Timestamp>().ok();
    let Some(start) = time("startTime") else {
        return Value::from("");
    };
    let end = time("completionTime").unwrap_or(now);
    Value::from(human_duration(end.as_second() - start.as_second()))
}

fn pod_status(pod: &Value) -> Value {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Value::from("Terminating");
    }
    let states = list(&pod["status"]["containerStatuses"]).iter();
    let waits = states
        .filter_map(|state| state["state"]["waiting"]["reason"].as_str())
        .next_back();
    let reason = waits.or_else(|| pod["status"]["reason"].as_str());
    Value::from(reason.unwrap_or_else(|| plain(&pod["status"]["phase"])))
}

fn ingress_hosts(ingress: &Value) -> Value {
    const SHOWN: usize = 3;
    let rules = list(&ingress["spec"]["rules"]);
    let hosts = rules
        .iter()
        .map(|rule| plain(&rule["host"]))
        .filter(|host| !host.is_empty());
    let shown: Vec<&str> = hosts.take(SHOWN).collect();
    Value::from(if shown.is_empty() {
        "*".to_owned()
    } else if rules.len() > SHOWN {
        format!("{} + {} more...", shown.join(","), rules.len() - SHOWN)
    } else {
        shown.join(",")
    })
}

fn autoscaler_targets(autoscaler: &Value) -> Value {
    let metrics = list(&autoscaler["spec"]["metrics"]).iter();
    let target = |metric: &Value| {
        let target = &metric["resource"]["target"];
        let name = plain(&metric["resource"]["name"]);
        match target["averageUtilization"].as_i64() {
            Some(percent) => format!("{name}: <unknown>/{percent}%"),
            None => format!("{name}: <unknown>/{}", plain(&target["averageValue"])),
        }
    };
    let targets: Vec<String> = metrics.map(target).collect();
    Value::from(if targets.is_empty() {
        NONE.to_owned()
    } else {
        targets.join(", ")
    })
}

/// What is used of what is allowed.
fn quota(quota: &Value, limits: bool) -> Value {
    let hard = quota["status"]["hard"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = hard
        .filter(|(name, _)| name.starts_with("limits") == limits)
        .map(|(name, allowed)| {
            format!(
                "{name}: {}/{}",
                plain(&quota["status"]["used"][name]),
                plain(allowed)
            )
        })
        .collect();
    parts.sort();
    Value::from(parts.join(", "))
}

fn node_status(node: &Value) -> Value {
    let mut conditions = list(&node["status"]["conditions"]).iter();
    let ready = match conditions.find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    Value::from(match node["spec"]["unschedulable"] == true {
        true => format!("{ready},SchedulingDisabled"),
        false => ready.to_owned(),
    })
}

fn node_roles(node: &Value) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles = labels.filter_map(|(name, _)| name.strip_prefix("node-role.kubernetes.io/"));
    let mut roles: Vec<&str> = roles.collect();
    roles.sort_unstable();
    joined(&roles)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!({"matchLabels": {"b": "c", "a": "b"}}), "a=b,b=c")]
    #[case(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]}), "a in (x,y)")]
    #[case(json!(null), "<none>")]
    fn selectors(#[case] given: Value, #[case] shown: &str) {
        assert_eq!(selector(&given), shown);
    }

    #[rstest]
    #[case(json!({"spec": {"completions": 3}}), "0/3")]
    #[case(json!({"spec": {"parallelism": 2}}), "0/1 of 2")]
    fn jobs(#[case] job: Value, #[case] shown: &str) {
        assert_eq!(completions(&job), shown);
    }
}
