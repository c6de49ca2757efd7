//! The columns of tables: how a kind's objects are shown to people.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jsonpath::JsonPath;

/// One column of a kind's table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// OpenAPI type: string, integer, number, boolean, date.
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    /// 0 for columns that are always shown, more for those of `-o wide`.
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// What stands in a column.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// The value found there.
    Path(JsonPath),
    /// Made from several fields.
    Computed(fn(&Value, Timestamp) -> Value),
}

impl Column {
    /// The cell's content for `object`.
    pub(crate) fn render(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Computed(compute) => compute(object, now),
            Cell::Path(path) => {
                let found = path.find(object);
                match (self.kind.as_str(), found.as_slice()) {
                    (_, []) => Value::Null,
                    ("date", [Value::String(text), ..]) => Value::from(since(text, now)),
                    ("string", [only]) => Value::from(text(only)),
                    ("string", many) => {
                        Value::from(many.iter().map(|value| text(value)).collect::<Vec<_>>().join(" "))
                    }
                    (_, [first, ..]) => (*first).clone(),
                }
            }
        }
    }
}

/// How kubectl shows a value in a column of type string.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// `5m`, `3d4h`: the time since an RFC 3339 timestamp, in the rounding of Kubernetes' `HumanDuration`.
fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        Ok(then) => human_duration(now.as_second() - then.as_second()),
        Err(_) => "<invalid>".to_owned(),
    }
}

/// A duration in two significant units at most.
fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let pair = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// The columns of a kind without any of its own.
pub(crate) fn default_columns() -> Vec<Column> {
    vec![name_column(), age_column()]
}

/// Every table's first column, but for events.
pub(crate) fn name_column() -> Column {
    Column {
        format: "name".to_owned(),
        ..computed("Name", 0, |object, _| object["metadata"]["name"].clone())
    }
}

pub(crate) fn age_column() -> Column {
    computed("Age", 0, |object, now| {
        elapsed(&object["metadata"]["creationTimestamp"], now)
    })
}

fn computed(name: &str, priority: i64, compute: fn(&Value, Timestamp) -> Value) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
        cell: Cell::Computed(compute),
    }
}

fn path(name: &str, priority: i64, path: &str) -> Option<Column> {
    let cell = Cell::Path(JsonPath::parse(path).ok()?);
    Some(Column {
        cell,
        ..computed(name, priority, |_, _| Value::Null)
    })
}

/// The columns of a built-in kind; they are those of kubectl.
pub(crate) fn built_in(kind: &str) -> Vec<Column> {
    let middle: Vec<Option<Column>> = match kind {
        "Event" => return event_columns(),
        "Namespace" => vec![path("Status", 0, ".status.phase")],
        "Secret" => vec![
            path("Type", 0, ".type"),
            Some(computed("Data", 0, |object, _| entries(object))),
        ],
        "ConfigMap" => vec![Some(computed("Data", 0, |object, _| entries(object)))],
        "Service" => vec![
            path("Type", 0, ".spec.type"),
            Some(computed("Cluster-IP", 0, |object, _| {
                or(&object["spec"]["clusterIP"], "<none>")
            })),
            Some(computed("External-IP", 0, |object, _| {
                joined(&object["spec"]["externalIPs"])
            })),
            Some(computed("Port(s)", 0, |object, _| service_ports(object))),
        ],
        "Lease" => vec![path("Holder", 0, ".spec.holderIdentity")],
        "Deployment" => vec![
            Some(computed("Ready", 0, ready_of_desired)),
            Some(computed("Up-to-date", 0, |object, _| {
                count(&object["status"]["updatedReplicas"])
            })),
            Some(computed("Available", 0, |object, _| {
                count(&object["status"]["availableReplicas"])
            })),
        ],
        "Job" => vec![
            Some(computed("Status", 0, |object, _| job_status(object))),
            Some(computed("Completions", 0, |object, _| {
                let done = object["status"]["succeeded"].as_i64().unwrap_or(0);
                Value::from(format!(
                    "{done}/{}",
                    object["spec"]["completions"].as_i64().unwrap_or(1)
                ))
            })),
            Some(computed("Duration", 0, job_duration)),
        ],
        "CronJob" => vec![
            path("Schedule", 0, ".spec.schedule"),
            Some(computed("Timezone", 0, |object, _| {
                or(&object["spec"]["timeZone"], "<none>")
            })),
            Some(computed("Suspend", 0, |object, _| {
                Value::from(if object["spec"]["suspend"] == true {
                    "True"
                } else {
                    "False"
                })
            })),
            Some(computed("Active", 0, |object, _| {
                Value::from(object["status"]["active"].as_array().map_or(0, Vec::len))
            })),
            Some(computed("Last Schedule", 0, |object, now| {
                let at = &object["status"]["lastScheduleTime"];
                if at.is_string() {
                    elapsed(at, now)
                } else {
                    Value::from("<none>")
                }
            })),
        ],
        "Pod" => vec![
            Some(computed("Ready", 0, |pod, _| {
                let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
                let states = list(&pod["status"]["containerStatuses"]);
                let ready = states.iter().filter(|state| state["ready"] == true).count();
                Value::from(format!("{ready}/{}", list(&pod["spec"]["containers"]).len()))
            })),
            path("Status", 0, ".status.phase"),
            Some(computed("Restarts", 0, |pod, _| {
                let states = pod["status"]["containerStatuses"].as_array();
                let restarts = states
                    .into_iter()
                    .flatten()
                    .filter_map(|state| state["restartCount"].as_i64());
                Value::from(restarts.sum::<i64>())
            })),
        ],
        "ReplicaSet" => vec![
            Some(computed("Desired", 0, |object, _| {
                count(&object["spec"]["replicas"])
            })),
            Some(computed("Current", 0, |object, _| {
                count(&object["status"]["replicas"])
            })),
            Some(computed("Ready", 0, |object, _| {
                count(&object["status"]["readyReplicas"])
            })),
        ],
        "StatefulSet" => vec![Some(computed("Ready", 0, ready_of_desired))],
        "DaemonSet" => vec![
            Some(computed("Desired", 0, |object, _| {
                count(&object["status"]["desiredNumberScheduled"])
            })),
            Some(computed("Current", 0, |object, _| {
                count(&object["status"]["currentNumberScheduled"])
            })),
            Some(computed("Ready", 0, |object, _| {
                count(&object["status"]["numberReady"])
            })),
        ],
        "PersistentVolumeClaim" => vec![
            path("Status", 0, ".status.phase"),
            path("Volume", 0, ".spec.volumeName"),
            path("Capacity", 0, ".status.capacity.storage"),
            Some(computed("Access Modes", 0, |object, _| {
                joined(&object["spec"]["accessModes"])
            })),
            path("StorageClass", 0, ".spec.storageClassName"),
        ],
        "RoleBinding" | "ClusterRoleBinding" => vec![Some(computed("Role", 0, |object, _| {
            let role = &object["roleRef"];
            Value::from(format!("{}/{}", text(&role["kind"]), text(&role["name"])))
        }))],
        "CustomResourceDefinition" | "Role" | "ClusterRole" => {
            let created = |object: &Value, _: Timestamp| object["metadata"]["creationTimestamp"].clone();
            return vec![
                name_column(),
                Column {
                    kind: "date".to_owned(),
                    ..computed("Created At", 0, created)
                },
            ];
        }
        "APIService" => vec![
            Some(computed(
                "Service",
                0,
                |object, _| match &object["spec"]["service"] {
                    Value::Object(service) => {
                        let part = |name| service.get(name).and_then(Value::as_str).unwrap_or("");
                        Value::from(format!("{}/{}", part("namespace"), part("name")))
                    }
                    _ => Value::from("Local"),
                },
            )),
            path(
                "Available",
                0,
                r#".status.conditions[?(@.type=="Available")].status"#,
            ),
        ],
        _ => Vec::new(),
    };
    let mut columns = vec![name_column()];
    columns.extend(middle.into_iter().flatten());
    columns.push(age_column());
    columns
}

fn event_columns() -> Vec<Column> {
    let columns = [
        Some(computed("Last Seen", 0, |event, now| {
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
        })),
        path("Type", 0, ".type"),
        path("Reason", 0, ".reason"),
        Some(computed("Object", 0, |event, _| {
            let object = &event["involvedObject"];
            Value::from(format!(
                "{}/{}",
                text(&object["kind"]).to_lowercase(),
                text(&object["name"])
            ))
        })),
        path("Subobject", 1, ".involvedObject.fieldPath"),
        Some(computed("Source", 1, |event, _| {
            let parts = [&event["source"]["component"], &event["source"]["host"]];
            let mut known: Vec<&str> = parts.into_iter().filter_map(Value::as_str).collect();
            if known.is_empty() {
                known.extend(event["reportingComponent"].as_str());
            }
            Value::from(known.join(", "))
        })),
        Some(computed("Message", 0, |event, _| {
            Value::from(event["message"].as_str().unwrap_or("").trim())
        })),
        Some(computed("First Seen", 1, |event, now| {
            let times = [&event["firstTimestamp"], &event["eventTime"]];
            let created = &event["metadata"]["creationTimestamp"];
            elapsed(
                times.into_iter().find(|time| time.is_string()).unwrap_or(created),
                now,
            )
        })),
        Some(computed("Count", 1, |event, _| {
            let counts = [&event["series"]["count"], &event["count"]];
            Value::from(counts.into_iter().find_map(Value::as_i64).unwrap_or(1))
        })),
        Some(Column {
            priority: 1,
            ..name_column()
        }),
    ];
    columns.into_iter().flatten().collect()
}

fn elapsed(timestamp: &Value, now: Timestamp) -> Value {
    Value::from(
        timestamp
            .as_str()
            .map_or_else(|| "<unknown>".to_owned(), |then| since(then, now)),
    )
}

fn entries(object: &Value) -> Value {
    let length = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    Value::from(length("data") + length("binaryData"))
}

fn count(value: &Value) -> Value {
    json!(value.as_i64().unwrap_or(0))
}

fn ready_of_desired(object: &Value, _: Timestamp) -> Value {
    let ready = object["status"]["readyReplicas"].as_i64().unwrap_or(0);
    Value::from(format!(
        "{ready}/{}",
        object["spec"]["replicas"].as_i64().unwrap_or(1)
    ))
}

fn or(value: &Value, absent: &str) -> Value {
    Value::from(value.as_str().filter(|text| !text.is_empty()).unwrap_or(absent))
}

fn joined(list: &Value) -> Value {
    let texts: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Value::from(if texts.is_empty() {
        "<none>".to_owned()
    } else {
        texts.join(",")
    })
}

fn service_ports(service: &Value) -> Value {
    let port = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64() {
            Some(node) if node != 0 => format!("{}:{node}/{protocol}", port["port"]),
            _ => format!("{}/{protocol}", port["port"]),
        }
    };
    let ports: Vec<String> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(port)
        .collect();
    Value::from(if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    })
}

fn job_status(job: &Value) -> Value {
    let holds = |condition: &str| {
        job["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
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
    } else {
        "Running"
    };
    Value::from(status)
}

fn job_duration(job: &Value, now: Timestamp) -> Value {
    let time = |field: &str| {
        job["status"][field]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    let Some(start) = time("startTime") else {
        return Value::from("");
    };
    let end = time("completionTime").unwrap_or(now);
    Value::from(human_duration(end.as_second() - start.as_second()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    /// Values of k8s.io/apimachinery's own test of `HumanDuration`.
    #[rstest]
    #[case(1, "1s")]
    #[case(70, "70s")]
    #[case(190, "3m10s")]
    #[case(4200, "70m")]
    #[case(47 * 60, "47m")]
    #[case(5 * 3600 + 2 * 60, "5h2m")]
    #[case(9 * 3600 + 300, "9h")]
    #[case(47 * 3600, "47h")]
    #[case(3 * 86_400 + 2 * 3600, "3d2h")]
    #[case(9 * 86_400, "9d")]
    #[case(800 * 86_400, "2y70d")]
    #[case(3000 * 86_400, "8y")]
    #[case(-1, "0s")]
    #[case(-2, "<invalid>")]
    fn durations(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(human_duration(seconds), text);
    }

    #[test]
    fn cells_by_type() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let object = json!({"a": {"n": 3, "t": "2026-01-01T00:00:00Z", "l": ["x", "y"], "b": true}});
        let cell = |kind: &str, at: &str| {
            Column {
                kind: kind.to_owned(),
                ..path("C", 0, at).unwrap()
            }
            .render(&object, now)
        };
        assert_eq!(cell("integer", ".a.n"), json!(3));
        assert_eq!(cell("string", ".a.n"), json!("3"));
        assert_eq!(cell("string", ".a.l[*]"), json!("x y"));
        assert_eq!(cell("date", ".a.t"), json!("60m"));
        assert_eq!(cell("boolean", ".a.b"), json!(true));
        assert_eq!(cell("string", ".a.missing"), Value::Null);
    }
}
