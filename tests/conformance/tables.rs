//! Tables, as kubectl prints them, and objects of which only the metadata is asked for.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, with_item};
use crate::objects::{DEFINITIONS, WIDGETS, config_map, widget, widgets};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a list of config maps as a table")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1", "l": "2"})))
            .is(201)
            .get("{ns}/configmaps?fieldSelector=metadata.name=a")
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": any()},
                "columnDefinitions": [
                    {"name": "Name", "type": "string", "format": "name", "priority": 0},
                    {"name": "Data", "type": "string", "format": "", "priority": 0},
                    {"name": "Age", "type": "string", "format": "", "priority": 0},
                ],
                "rows": [{"cells": ["a", 2, any()], "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}, "data": absent(),
                }}],
            })),
        case("one object as a table")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .get("{ns}/configmaps/a")
            .header("accept", TABLE)
            .is(200)
            .with(json!({"kind": "Table", "rows": [{"cells": ["a", 1, any()]}]})),
        case("rows have whole objects, or none, where that is asked for")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .get("{ns}/configmaps/a?includeObject=Object")
            .header("accept", TABLE)
            .is(200)
            .with(json!({"rows": [{"object": {"kind": "ConfigMap", "data": {"k": "1"}}}]}))
            .get("{ns}/configmaps/a?includeObject=None")
            .header("accept", TABLE)
            .is(200)
            .with(json!({"rows": [{"cells": ["a", 1, any()], "object": absent()}]})),
        case("custom objects without columns have names and ages")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .get(WIDGETS)
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "columnDefinitions": [{"name": "Name", "type": "string", "format": "name"}, {"name": "Age", "type": "date"}],
                "rows": [{"cells": ["a", any()]}],
            })),
        case("custom objects have the columns of their definition")
            .define({
                let mut definition = widgets(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
                definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How big."},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
                    {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio", "format": "double"},
                    {"name": "First", "type": "string", "jsonPath": ".spec.list[0]", "priority": 1},
                    {"name": "All", "type": "string", "jsonPath": ".spec.list[*]"},
                    {"name": "Until", "type": "date", "jsonPath": ".spec.until"},
                    {"name": "Label", "type": "string", "jsonPath": ".metadata.labels.a\\.b/c"},
                ]);
                definition
            })
            .post(WIDGETS, json!({
                "apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "a", "labels": {"a.b/c": "label"}},
                "spec": {"size": 3, "on": true, "ratio": 1.5, "list": ["x", "y"], "until": "2001-01-01T00:00:00Z"},
                "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
            }))
            .is(201)
            .post(WIDGETS, widget("b", json!({})))
            .is(201)
            .get(WIDGETS)
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "columnDefinitions": [
                    {"name": "Name"},
                    {"name": "Size", "type": "integer", "priority": 0, "description": "How big."},
                    {"name": "Ready", "type": "string"}, {"name": "On", "type": "boolean"},
                    {"name": "Ratio", "type": "number", "format": "double"}, {"name": "First", "priority": 1},
                    {"name": "All"}, {"name": "Until", "type": "date"}, {"name": "Label"},
                ],
                "rows": [
                    {"cells": ["a", 3, "True", true, 1.5, "x", "x", any(), "label"]},
                    {"cells": ["b", null, null, null, null, null, null, null, null]},
                ],
            })),
        case("columns change with the definition")
            .define(widgets(json!({"type": "object", "properties": {"size": {"type": "integer"}}})))
            .post(WIDGETS, widget("a", json!({"size": 3})))
            .is(201)
            .get(format!("{DEFINITIONS}/widgets.{{group}}"))
            .is(200)
            .keep("version", "/metadata/resourceVersion")
            .patch("application/json-patch+json", format!("{DEFINITIONS}/widgets.{{group}}"), json!([
                {"op": "add", "path": "/spec/versions/0/additionalPrinterColumns",
                 "value": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]},
            ]))
            .is(200)
            .until(WIDGETS)
            .header("accept", TABLE)
            .is(200)
            .with(json!({"columnDefinitions": [{"name": "Name"}, {"name": "Size"}], "rows": [{"cells": ["a", 3]}]})),
        case("built-in kinds have the columns that kubectl shows")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}}))
            .is(201)
            .get("{ns}/secrets/a")
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "columnDefinitions": [{"name": "Name"}, {"name": "Type"}, {"name": "Data"}, {"name": "Age"}],
                "rows": [{"cells": ["a", "Opaque", 1, any()]}],
            }))
            .get("{ns}")
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "columnDefinitions": [{"name": "Name"}, {"name": "Status"}, {"name": "Age"}],
                "rows": [{"cells": ["{namespace}", "Active", any()]}],
            }))
            .post("{ns}/services", json!({
                "metadata": {"name": "a"}, "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]},
            }))
            .is(201)
            .get("{ns}/services/a")
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "columnDefinitions": [
                    {"name": "Name"}, {"name": "Type"}, {"name": "Cluster-IP"}, {"name": "External-IP"}, {"name": "Port(s)"},
                    {"name": "Age"}, {"name": "Selector", "priority": 1},
                ],
                "rows": [{"cells": ["a", "ClusterIP", "None", "<none>", "80/TCP", any(), "app=a"]}],
            })),
        case("a status is an error where a table is asked for too")
            .get("{ns}/configmaps/none")
            .header("accept", TABLE)
            .refused(404, "NotFound", "configmaps \"none\" not found"),
        case("metadata alone, of one object and of a list")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .get("{ns}/configmaps/a")
            .header("accept", METADATA)
            .is(200)
            .with(json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}, "data": absent()}))
            .get("{ns}/configmaps")
            .header("accept", METADATA_LIST)
            .is(200)
            .with(json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": any()},
                "items": with_item(json!({"metadata": {"name": "a"}, "data": absent()})),
            }))
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"labels": {"x": "y"}}}))
            .header("accept", METADATA)
            .is(200)
            .with(json!({"kind": "PartialObjectMetadata", "metadata": {"labels": {"x": "y"}}, "data": absent()})),
        case("tables come in chunks too")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}}))
            .is(201)
            .post("{ns}/secrets", json!({"metadata": {"name": "b"}}))
            .is(201)
            .get("{ns}/secrets?limit=1")
            .header("accept", TABLE)
            .is(200)
            .with(json!({
                "kind": "Table", "metadata": {"continue": any(), "remainingItemCount": 1}, "rows": [{"cells": ["a", "Opaque", 0, any()]}],
            }))
            .keep("continue", "/metadata/continue")
            .get("{ns}/secrets?limit=1&continue={continue}")
            .header("accept", TABLE)
            .is(200)
            .with(json!({"metadata": {"continue": absent()}, "rows": [{"cells": ["b", "Opaque", 0, any()]}]})),
        case("what has no metadata cannot be a table")
            .post(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                json!({
                    "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                    "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
                }),
            )
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .is(406),
        case("a form of answer that there is not")
            .get("{ns}/configmaps")
            .header("accept", "application/json;as=Nothing;v=v1;g=meta.k8s.io")
            .is(406)
            .with(json!({"reason": "NotAcceptable"}))
            .get("{ns}/configmaps")
            .header("accept", "text/csv")
            .is(406),
    ]
}
