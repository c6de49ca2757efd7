//! Watches: where they begin, what they tell, and how they end.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, other_than};
use crate::objects::{WIDGETS, config_map, labelled, widget, widgets};

fn event(kind: &str, name: &str) -> Value {
    json!({"type": kind, "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}})
}

/// All but what each namespace has from the beginning.
const OURS: &str = "fieldSelector=metadata.name!=kube-root-ca.crt";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a watch without a version begins with what there is")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .open("w", format!("{{ns}}/configmaps?watch=true&{OURS}"))
            .next("w", [event("ADDED", "a"), event("ADDED", "b")])
            .delete("{ns}/configmaps/a")
            .is(200)
            .next("w", [event("DELETED", "a")]),
        case("a watch from version 0 begins with what there is")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .open("w", format!("{{ns}}/configmaps?watch=1&resourceVersion=0&{OURS}"))
            .next("w", [event("ADDED", "a")]),
        case("a watch from a version tells what came after")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .keep("second", "/metadata/resourceVersion")
            .delete("{ns}/configmaps/a")
            .is(200)
            .watch(format!("{{ns}}/configmaps?watch=true&resourceVersion={{version}}&timeoutSeconds=1&{OURS}"))
            .with(json!([
                {"type": "MODIFIED", "object": {"data": {"k": "2"}, "metadata": {"resourceVersion": "{second}"}}},
                {"type": "DELETED", "object": {"data": {"k": "2"}, "metadata": {"resourceVersion": other_than("{second}")}}},
            ])),
        case("a watch from the version of a list misses nothing")
            .get("{ns}/configmaps")
            .is(200)
            .keep("version", "/metadata/resourceVersion")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .open("w", format!("{{ns}}/configmaps?watch=true&resourceVersion={{version}}&{OURS}"))
            .next("w", [event("ADDED", "a")])
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .next("w", [event("MODIFIED", "a")])
            .delete("{ns}/configmaps/a")
            .is(200)
            .next("w", [event("DELETED", "a")]),
        case("what changes nothing is not told")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "1"}}))
            .is(200)
            .patch(MERGE, "{ns}/configmaps/a?dryRun=All", json!({"data": {"k": "9"}}))
            .is(200)
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .watch(format!("{{ns}}/configmaps?watch=true&resourceVersion={{version}}&timeoutSeconds=1&{OURS}"))
            .with(json!([{"type": "MODIFIED", "object": {"data": {"k": "2"}}}])),
        case("what enters a selector is added, and what leaves it is deleted")
            .post("{ns}/configmaps", labelled("a", json!({"in": "no"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .open("w", "{ns}/configmaps?watch=true&resourceVersion={version}&labelSelector=in=yes")
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"labels": {"in": "yes"}}}))
            .is(200)
            .next("w", [json!({"type": "ADDED", "object": {"metadata": {"labels": {"in": "yes"}}}})])
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "1"}}))
            .is(200)
            .next("w", [json!({"type": "MODIFIED", "object": {"data": {"k": "1"}}})])
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"labels": {"in": "no"}}}))
            .is(200)
            .keep("left", "/metadata/resourceVersion")
            .next("w", [json!({
                "type": "DELETED",
                "object": {"metadata": {"labels": {"in": "yes"}, "resourceVersion": "{left}"}},
            })])
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .post("{ns}/configmaps", labelled("b", json!({"in": "yes"})))
            .is(201)
            .next("w", [event("ADDED", "b")]),
        case("one object is watched by its name")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .open("w", "{ns}/configmaps?watch=true&fieldSelector=metadata.name=b")
            .next("w", [event("ADDED", "b")])
            .delete("{ns}/configmaps/a")
            .is(200)
            .delete("{ns}/configmaps/b")
            .is(200)
            .next("w", [event("DELETED", "b")]),
        case("the older form of the path watches too")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .open("w", format!("/api/v1/watch/namespaces/{{namespace}}/configmaps?{OURS}"))
            .next("w", [event("ADDED", "a")])
            .open("o", "/api/v1/watch/namespaces/{namespace}/configmaps/a")
            .next("o", [event("ADDED", "a")]),
        case("all namespaces are watched at once")
            .post("{ns}/configmaps", labelled("a", json!({"of": "{unique}"})))
            .is(201)
            .open("w", "/api/v1/configmaps?watch=true&labelSelector=of={unique}")
            .next("w", [event("ADDED", "a")]),
        case("custom objects are watched like others")
            .define(widgets(json!({"type": "object", "properties": {"size": {"type": "integer"}}})))
            .post(WIDGETS, widget("a", json!({"size": 1})))
            .is(201)
            .open("w", format!("{WIDGETS}?watch=true"))
            .next("w", [json!({"type": "ADDED", "object": {"kind": "Widget", "apiVersion": "{group}/v1", "spec": {"size": 1}}})])
            .patch(MERGE, format!("{WIDGETS}/a"), json!({"spec": {"size": 2}}))
            .is(200)
            .next("w", [json!({"type": "MODIFIED", "object": {"spec": {"size": 2}, "metadata": {"generation": 2}}})]),
        case("custom objects are watched by the fields that their definition names").define({
            let mut definition = widgets(json!({"type": "object", "properties": {"color": {"type": "string"}}}));
            definition["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.color"}]);
            definition
        })
        .post(WIDGETS, widget("a", json!({"color": "red"})))
        .is(201)
        .post(WIDGETS, widget("b", json!({"color": "blue"})))
        .is(201)
        .open("w", format!("{WIDGETS}?watch=true&fieldSelector=spec.color=red"))
        .next("w", [json!({"type": "ADDED", "object": {"metadata": {"name": "a"}}})])
        .patch(MERGE, format!("{WIDGETS}/b"), json!({"spec": {"color": "red"}}))
        .is(200)
        .next("w", [json!({"type": "ADDED", "object": {"metadata": {"name": "b"}}})])
        .patch(MERGE, format!("{WIDGETS}/a"), json!({"spec": {"color": "blue"}}))
        .is(200)
        .next("w", [json!({"type": "DELETED", "object": {"metadata": {"name": "a"}}})])
        .delete(format!("{WIDGETS}?fieldSelector=spec.color=red"))
        .is(200)
        .next("w", [json!({"type": "DELETED", "object": {"metadata": {"name": "b"}}})])
        .get(WIDGETS)
        .is(200)
        .with(json!({"items": [{"metadata": {"name": "a"}}]})),
        case("initial events end with a bookmark that says so")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .open("w", format!(
                "{{ns}}/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&{OURS}"
            ))
            .next("w", [
                event("ADDED", "a"),
                json!({"type": "BOOKMARK", "object": {
                    "kind": "ConfigMap", "apiVersion": "v1",
                    "metadata": {"resourceVersion": any(), "annotations": {"k8s.io/initial-events-end": "true"}},
                }}),
            ])
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .next("w", [event("ADDED", "b")]),
        case("initial events are not sent to who declines them")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .open("w", format!(
                "{{ns}}/configmaps?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0&{OURS}"
            ))
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .next("w", [event("ADDED", "b")]),
        case("initial events need to be told how old they may be")
            .get("{ns}/configmaps?watch=true&sendInitialEvents=true&allowWatchBookmarks=true")
            .refused(
                422,
                "Invalid",
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
        case("a watch that matches versions needs to say whether it wants initial events")
            .get("{ns}/configmaps?watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan")
            .refused(
                422,
                "Invalid",
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        case("a watch ends when its time is over")
            .watch("{ns}/configmaps?watch=true&timeoutSeconds=1&fieldSelector=metadata.name=none")
            .with(json!([])),
        case("a watch from a version that is no number is refused")
            .get("{ns}/configmaps?watch=true&resourceVersion=x")
            .is(500)
            .with(json!({"message": "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax"})),
        case("a selector that is none is refused before anything is told")
            .get("{ns}/configmaps?watch=true&labelSelector=%3D%3D%3D")
            .is(400),
        case("events are tables where tables are asked for")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .open("w", format!("{{ns}}/configmaps?watch=true&{OURS}"))
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .next("w", [json!({"type": "ADDED", "object": {
                "kind": "Table", "apiVersion": "meta.k8s.io/v1",
                "columnDefinitions": [{"name": "Name"}, {"name": "Data"}, {"name": "Age"}],
                "rows": [{"cells": ["a", 1, any()], "object": {"kind": "PartialObjectMetadata", "metadata": {"name": "a"}}}],
            }})])
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .next("w", [json!({"type": "ADDED", "object": {
                "kind": "Table", "columnDefinitions": absent(), "rows": [{"cells": ["b", 0, any()]}],
            }})]),
        case("events are of metadata alone where that is asked for")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .open("w", format!("{{ns}}/configmaps?watch=true&{OURS}"))
            .header("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
            .next("w", [json!({"type": "ADDED", "object": {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}, "data": absent(),
            }})]),
    ]
}
