//! Discovery: what there is to ask for, in the aggregated and the older form, and the paths beside resources.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::kinds::{Kind, api_version};
use super::negotiate::{aggregated_discovery, openapi_v2_protobuf};
use super::registry::{Group, Served, Version};
use super::route::Route;
use super::status::Failure;
use super::{Api, Call, ResponseBody, json as respond, json_bytes};
use crate::openapi::{Document, V2_PROTOBUF};

/// The Kubernetes release whose API this is a part of.
const MINOR: &str = "36";

pub(crate) fn answer(api: &Api, route: &Route, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    let served = api.served();
    match route {
        Route::Version => Ok(respond(StatusCode::OK, &version())),
        Route::Index => Ok(respond(StatusCode::OK, &json!({"paths": paths(&served)}))),
        Route::CoreVersions | Route::Groups => {
            let core = *route == Route::CoreVersions;
            let groups = || served.groups.iter().filter(|group| group.name.is_empty() == core);
            if let Some(form) = aggregated_discovery(&call.headers) {
                return Ok(aggregated(form, groups()));
            }
            let list = if core {
                let versions: Vec<&str> = groups()
                    .flat_map(|group| &group.versions)
                    .map(|version| version.name.as_str())
                    .collect();
                json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []})
            } else {
                let groups: Vec<Value> = groups().map(group_summary).collect();
                json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
            };
            Ok(respond(StatusCode::OK, &list))
        }
        Route::Group(name) => {
            let group = served.group(name).filter(|group| !group.name.is_empty());
            let mut summary = group_summary(group.ok_or_else(Failure::page_not_found)?);
            summary["kind"] = "APIGroup".into();
            summary["apiVersion"] = "v1".into();
            Ok(respond(StatusCode::OK, &summary))
        }
        Route::GroupVersion(group, version) => {
            let found = served.version(group, version).ok_or_else(Failure::no_such_path)?;
            Ok(respond(StatusCode::OK, &resource_list(group, found)))
        }
        Route::OpenApiV2 if openapi_v2_protobuf(&call.headers) => {
            let mut response = document(served.openapi.v2_protobuf());
            let media_type = HeaderValue::from_static(V2_PROTOBUF);
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            Ok(response)
        }
        Route::OpenApiV2 => Ok(document(served.openapi.v2())),
        Route::OpenApiV3Index => Ok(json_bytes(StatusCode::OK, served.openapi.index())),
        Route::OpenApiV3(path) => served
            .openapi
            .document(path)
            .map(document)
            .ok_or_else(Failure::no_such_path),
        Route::Health | Route::Metrics | Route::Resource(_) => Err(Failure::no_such_path()),
    }
}

fn document(document: Document) -> Response<ResponseBody> {
    let mut response = json_bytes(StatusCode::OK, document.body);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", document.hash)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+homeport.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn paths(served: &Served) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .map(str::to_owned)
    .to_vec();
    for group in &served.groups {
        if !group.name.is_empty() {
            paths.push(format!("/apis/{}", group.name));
        }
        let root = if group.name.is_empty() { "/api" } else { "/apis" };
        paths.extend(
            group
                .versions
                .iter()
                .map(|version| format!("{root}/{}", api_version(&group.name, &version.name))),
        );
    }
    paths.sort();
    paths
}

fn group_summary(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| {
            json!({"groupVersion": api_version(&group.name, &version.name), "version": version.name})
        })
        .collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

fn resource_list(group: &str, version: &Version) -> Value {
    let mut resources = Vec::new();
    for kind in &version.kinds {
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": kind.verbs(),
        });
        if !kind.short_names.is_empty() {
            resource["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for (name, (group, version, sub_kind)) in kind.subresources() {
            let mut subresource = json!({
                "name": format!("{}/{name}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": sub_kind,
                "verbs": subresource_verbs(name),
            });
            if matches!(name, "scale" | "token") {
                subresource["group"] = group.into();
                subresource["version"] = version.into();
            }
            resources.push(subresource);
        }
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version(group, &version.name),
        "resources": resources,
    })
}

fn subresource_verbs(name: &str) -> &'static [&'static str] {
    match name {
        "finalize" => &["update"],
        "token" => &["create"],
        _ => &["get", "patch", "update"],
    }
}

fn aggregated<'a>(form: &str, groups: impl Iterator<Item = &'a Group>) -> Response<ResponseBody> {
    let items: Vec<Value> = groups
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = version
                        .kinds
                        .iter()
                        .map(|kind| aggregated_resource(kind))
                        .collect();
                    json!({"version": version.name, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group.name, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{form}"),
        "metadata": {},
        "items": items,
    });
    let mut response = document(Document::of(list.to_string().into()));
    let media_type = format!("application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList");
    if let Ok(media_type) = HeaderValue::from_str(&media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn aggregated_resource(kind: &Kind) -> Value {
    let scope = if kind.namespaced { "Namespaced" } else { "Cluster" };
    let response_kind = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response_kind((&kind.group, &kind.version, &kind.kind)),
        "scope": scope,
        "singularResource": kind.singular,
        "verbs": kind.verbs(),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let subresources: Vec<Value> = kind
        .subresources()
        .into_iter()
        .map(|(name, of)| {
            json!({"subresource": name, "responseKind": response_kind(of), "verbs": subresource_verbs(name)})
        })
        .collect();
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}
