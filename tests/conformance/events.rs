//! Events: the same objects in two groups, found by what they are about.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::any;

const GROUP: &str = "/apis/events.k8s.io/v1/namespaces/{namespace}/events";

fn core(name: &str, about: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "name": about, "namespace": "{namespace}", "uid": "u"},
        "reason": "Tested", "message": "It was tested.", "type": "Normal", "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "tester"},
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("an event of the core group is one of the other")
            .post("{ns}/events", core("a", "x"))
            .is(201)
            .with(json!({"kind": "Event", "apiVersion": "v1", "reason": "Tested"}))
            .get(format!("{GROUP}/a"))
            .is(200)
            .with(json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "It was tested.", "regarding": {"name": "x"},
                "deprecatedCount": 1, "deprecatedSource": {"component": "tester"},
                "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z",
            })),
        case("an event of the other group is one of the core")
            .post(GROUP, json!({
                "metadata": {"name": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Test", "reason": "Tested",
                "reportingController": "test.dev/tester", "reportingInstance": "tester-1", "note": "It was tested.", "type": "Normal",
                "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": "{namespace}"},
            }))
            .is(201)
            .get("{ns}/events/a")
            .is(200)
            .with(json!({
                "apiVersion": "v1", "message": "It was tested.", "involvedObject": {"name": "x"}, "action": "Test",
                "reportingComponent": "test.dev/tester", "reportingInstance": "tester-1", "eventTime": "2026-01-01T00:00:00.000000Z",
            })),
        case("events are found by what they are about")
            .post("{ns}/events", core("a", "x"))
            .is(201)
            .post("{ns}/events", core("b", "y"))
            .is(201)
            .get("{ns}/events?fieldSelector=involvedObject.name=x")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "a"}}]}))
            .get("{ns}/events?fieldSelector=involvedObject.kind=ConfigMap,involvedObject.uid=u,involvedObject.name=y")
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "b"}}]}))
            .get("{ns}/events?fieldSelector=reason=Tested,type=Normal,source=tester")
            .is(200)
            .with(json!({"items": [any(), any()]}))
            .get("{ns}/events?fieldSelector=type=Warning")
            .is(200)
            .with(json!({"items": []}))
            .get(format!("{GROUP}?fieldSelector=regarding.name=x"))
            .is(200)
            .with(json!({"items": [{"metadata": {"name": "a"}}]})),
        case("an event is about something in its namespace")
            .post("{ns}/events", {
                let mut event = core("a", "x");
                event["involvedObject"]["namespace"] = json!("other");
                event
            })
            .refused(
                422,
                "Invalid",
                "Event \"a\" is invalid: involvedObject.namespace: Invalid value: \"other\": does not match event.namespace",
            ),
        case("a new event of the other group says what it must")
            .post(GROUP, json!({
                "metadata": {"name": "a"}, "regarding": {"kind": "ConfigMap", "name": "x", "namespace": "{namespace}"},
            }))
            .is(422)
            .with(json!({"reason": "Invalid"})),
        case("an event of the other group becomes a series")
            .post(GROUP, json!({
                "metadata": {"name": "a", "labels": {"of": "series"}}, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Test",
                "reason": "Tested", "reportingController": "test.dev/tester", "reportingInstance": "tester-1", "note": "x", "type": "Normal",
                "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": "{namespace}"},
            }))
            .is(201)
            .patch(MERGE, format!("{GROUP}/a"), json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}))
            .is(200)
            .with(json!({"series": {"count": 2}}))
            .get("{ns}/events/a")
            .is(200)
            .with(json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}))
            .delete(format!("{GROUP}?labelSelector=of=series"))
            .is(200)
            .with(json!({"kind": "EventList", "apiVersion": "events.k8s.io/v1", "items": [{"metadata": {"name": "a"}}]}))
            .get("{ns}/events/a")
            .is(404),
        case("an event is counted up by patches")
            .post("{ns}/events", core("a", "x"))
            .is(201)
            .patch(MERGE, "{ns}/events/a", json!({"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z"}))
            .is(200)
            .with(json!({"count": 2})),
    ]
}
