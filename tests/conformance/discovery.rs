//! Discovery, OpenAPI, and the paths that are about the server itself.

use serde_json::json;

use crate::case::{Case, case};
use crate::expect::{absent, any, containing, with_item};
use crate::objects::{WIDGETS, widget, widgets};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(crate) fn cases() -> Vec<Case> {
    let mut titled = widgets(
        json!({"type": "object", "description": "What is wanted.", "properties": {"size": {"type": "integer"}}}),
    );
    titled["spec"]["names"] = json!({
        "kind": "Widget", "plural": "widgets", "singular": "widget", "shortNames": ["wd"], "categories": ["toys"],
    });
    titled["spec"]["versions"][0]["subresources"] = json!({"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
    vec![
        case("the versions of the core group")
            .get("/api")
            .is(200)
            .with(json!({"kind": "APIVersions", "versions": ["v1"]})),
        case("the groups that are there")
            .get("/apis")
            .is(200)
            .with(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": with_item(json!({
                "name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            }))}))
            .with(json!({"groups": with_item(json!({"name": "apiextensions.k8s.io"}))}))
            .with(json!({"groups": with_item(json!({"name": "coordination.k8s.io"}))}))
            .get("/apis/apps")
            .is(200)
            .with(json!({"kind": "APIGroup", "apiVersion": "v1", "name": "apps", "preferredVersion": {"version": "v1"}})),
        case("the resources of the core group")
            .get("/api/v1")
            .is(200)
            .with(json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": with_item(json!({
                "name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap", "shortNames": ["cm"],
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            }))}))
            .with(json!({"resources": with_item(json!({
                "name": "namespaces", "namespaced": false, "kind": "Namespace", "shortNames": ["ns"],
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            }))}))
            .with(json!({"resources": with_item(json!({
                "name": "namespaces/status", "singularName": "", "verbs": ["get", "patch", "update"],
            }))}))
            .with(json!({"resources": with_item(json!({"name": "namespaces/finalize", "verbs": ["update"]}))})),
        case("the resources of a definition")
            .define(titled.clone())
            .until("/apis/{group}/v1")
            .is(200)
            .with(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "{group}/v1", "resources": with_item(json!({
                "name": "widgets", "singularName": "widget", "namespaced": true, "kind": "Widget",
                "shortNames": ["wd"], "categories": ["toys"],
                "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
            }))}))
            .with(json!({"resources": with_item(json!({
                "name": "widgets/status", "kind": "Widget", "verbs": ["get", "patch", "update"],
            }))}))
            .with(json!({"resources": with_item(json!({
                "name": "widgets/scale", "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
            }))}))
            .until("/apis/{group}")
            .is(200)
            .with(json!({"kind": "APIGroup", "name": "{group}", "preferredVersion": {"groupVersion": "{group}/v1"}})),
        case("all of the core group at once")
            .get("/api")
            .header("accept", AGGREGATED)
            .is(200)
            .with_header("content-type", json!(AGGREGATED))
            .with_header("etag", any())
            .with(json!({
                "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
                "items": [{"versions": [{"version": "v1", "freshness": "Current", "resources": with_item(json!({
                    "resource": "configmaps", "responseKind": {"group": "", "kind": "ConfigMap"},
                    "scope": "Namespaced", "singularResource": "configmap", "shortNames": ["cm"],
                    "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                }))}]}],
            })),
        case("all other groups at once")
            .define(titled.clone())
            .until("/apis")
            .header("accept", AGGREGATED)
            .is(200)
            .with(json!({"kind": "APIGroupDiscoveryList", "items": with_item(json!({
                "metadata": {"name": "{group}"},
                "versions": [{"version": "v1", "resources": with_item(json!({
                    "resource": "widgets", "responseKind": {"group": "{group}", "version": "v1", "kind": "Widget"},
                    "scope": "Namespaced", "singularResource": "widget", "categories": ["toys"], "shortNames": ["wd"],
                    "subresources": with_item(json!({"subresource": "status", "verbs": ["get", "patch", "update"]})),
                }))}],
            }))})),
        case("discovery that has not changed is not sent again")
            .get("/api")
            .header("accept", AGGREGATED)
            .is(200)
            .keep("tag", "/kind")
            .get("/api")
            .header("accept", AGGREGATED)
            .is(200)
            .with_header("vary", containing("Accept")),
        case("OpenAPI v3 has a document for each group and version")
            .define(titled)
            .until("/openapi/v3")
            .is(200)
            .with(json!({"paths": {
                "api/v1": {"serverRelativeURL": containing("/openapi/v3/api/v1?hash=")},
                "apis/apps/v1": {"serverRelativeURL": containing("/openapi/v3/apis/apps/v1?hash=")},
                "apis/{group}/v1": {"serverRelativeURL": containing("/openapi/v3/apis/{group}/v1?hash=")},
            }}))
            .get("/openapi/v3/api/v1")
            .is(200)
            .with(json!({
                "openapi": "3.0.0",
                "paths": {"/api/v1/configmaps": {"get": {"x-kubernetes-action": "list"}}},
                "components": {"schemas": {"io.k8s.api.core.v1.ConfigMap": {
                    "type": "object", "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}},
                    "x-kubernetes-group-version-kind": [{"group": "", "kind": "ConfigMap", "version": "v1"}],
                }}},
            }))
            .get("/openapi/v3/apis/{group}/v1")
            .is(200)
            .with(json!({"info": any(), "paths": {"/apis/{group}/v1/widgets": {"get": {
                "x-kubernetes-action": "list", "x-kubernetes-group-version-kind": {"group": "{group}", "version": "v1", "kind": "Widget"},
            }}}})),
        case("OpenAPI v2 is there too")
            .get("/openapi/v2")
            .is(200)
            .with(json!({"swagger": "2.0", "definitions": any(), "paths": any()})),
        case("the version of the API")
            .get("/version")
            .is(200)
            .with(json!({
                "major": "1", "minor": "36", "gitVersion": containing("v1.36."), "platform": any(), "compiler": any(),
                "buildDate": any(),
            })),
        case("the server says that it is well")
            .get("/healthz")
            .is(200)
            .with(json!("ok"))
            .get("/livez")
            .is(200)
            .with(json!("ok"))
            .get("/readyz")
            .is(200)
            .with(json!("ok"))
            .get("/readyz?verbose")
            .is(200)
            .with(containing("[+]ping ok\n"))
            .with(containing("check passed\n"))
            .get("/healthz/ping")
            .is(200)
            .with(json!("ok")),
        case("the server counts requests")
            .get("/metrics")
            .is(200)
            .with_header("content-type", containing("text/plain"))
            .with(containing("# TYPE apiserver_request_total counter"))
            .with(containing("apiserver_request_total{"))
            .with(containing("# TYPE apiserver_request_duration_seconds histogram")),
        case("the paths that there are")
            .get("/")
            .is(200)
            .with(json!({"paths": with_item(json!("/api/v1"))}))
            .with(json!({"paths": with_item(json!("/openapi/v3"))})),
        case("a path that there is not")
            .get("/nothing")
            .is(404),
        case("answers are not to be cached")
            .get("{ns}/configmaps")
            .is(200)
            .with_header("cache-control", json!("no-cache, private"))
            .with_header("content-type", json!("application/json"))
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .with(json!({"metadata": {"selfLink": absent()}})),
    ]
}
