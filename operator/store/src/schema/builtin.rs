//! Schemas of the kinds that every API server knows.
//!
//! They are Kubernetes' own, as kube-apiserver publishes them: `kubernetes.json` is written by
//! `scripts/kubernetes-schemas.py`. They are Copyright The Kubernetes Authors, under the Apache License 2.0.
//! Parsed and compiled when they are first asked for, so that starting up costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::{Map, Value};

use super::{Node, Structural, compile};

/// The package of the types that all kinds share.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Every schema by its name in Kubernetes' OpenAPI documents; references are `#/components/schemas/<name>`.
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    // A test makes sure that it is JSON.
    serde_json::from_str(include_str!("kubernetes.json")).unwrap_or_default()
});

/// Group, version and kind of an object.
type Gvk = (String, String, String);

static KINDS: LazyLock<BTreeMap<Gvk, Kind>> = LazyLock::new(|| {
    let mut kinds = BTreeMap::new();
    for (name, schema) in SCHEMAS.iter() {
        let gvks = schema["x-kubernetes-group-version-kind"].as_array();
        for gvk in gvks.into_iter().flatten() {
            let text = |field: &str| gvk[field].as_str().unwrap_or("").to_owned();
            let kind = Kind {
                name,
                definitions: OnceLock::new(),
                compiled: OnceLock::new(),
            };
            kinds.insert((text("group"), text("version"), text("kind")), kind);
        }
    }
    kinds
});

/// A kind with its schema, made on demand.
struct Kind {
    name: &'static str,
    definitions: OnceLock<Definitions>,
    compiled: OnceLock<Structural>,
}

/// A schema and all schemas that it refers to, by their names in Kubernetes' OpenAPI documents.
#[derive(Debug)]
pub(crate) struct Definitions {
    /// The name of the kind's own schema, such as `io.k8s.api.core.v1.ConfigMap`.
    pub(crate) root: String,
    /// Every schema, the root included; references are `#/components/schemas/<name>`.
    pub(crate) schemas: Map<String, Value>,
}

/// The compiled schema of a built-in kind.
pub(crate) fn builtin(group: &str, version: &str, kind: &str) -> Option<&'static Structural> {
    let entry = find(group, version, kind)?;
    Some(
        entry
            .compiled
            .get_or_init(|| Structural::of(compile::trusted(entry.name, &SCHEMAS))),
    )
}

/// The OpenAPI schemas of a built-in kind: its own and all that it refers to.
pub(crate) fn builtin_definitions(group: &str, version: &str, kind: &str) -> Option<&'static Definitions> {
    find(group, version, kind).map(|entry| entry.definitions.get_or_init(|| definitions(entry.name)))
}

fn find(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.get(&(group.to_owned(), version.to_owned(), kind.to_owned()))
}

/// The schema of `metadata`.
pub(crate) fn object_meta() -> Arc<Node> {
    static NODE: LazyLock<Arc<Node>> = LazyLock::new(|| {
        let root = format!("{META}.ObjectMeta");
        compile::trusted(&root, &SCHEMAS)
    });
    Arc::clone(&NODE)
}

/// The OpenAPI schemas of `metadata`, to which the schemas of custom resources refer.
pub(crate) fn object_meta_definitions() -> &'static Definitions {
    static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| definitions(&format!("{META}.ObjectMeta")));
    &DEFINITIONS
}

/// The OpenAPI schemas of the types that requests and answers of every kind use.
pub(crate) fn meta_definitions() -> &'static Map<String, Value> {
    static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let mut schemas = Map::new();
        for root in ["ObjectMeta", "Status", "DeleteOptions", "ListMeta"] {
            schemas.extend(definitions(&format!("{META}.{root}")).schemas);
        }
        schemas
    });
    &DEFINITIONS
}

fn definitions(root: &str) -> Definitions {
    let mut names = BTreeSet::new();
    let mut wanted = vec![root];
    while let Some(name) = wanted.pop() {
        if let Some((name, schema)) = SCHEMAS.get_key_value(name)
            && names.insert(name)
        {
            references(schema, &mut wanted);
        }
    }
    let schema = |name: &String| Some((name.clone(), SCHEMAS.get(name)?.clone()));
    Definitions {
        root: root.to_owned(),
        schemas: names.into_iter().filter_map(schema).collect(),
    }
}

/// The names of all schemas that a schema refers to.
fn references<'v>(schema: &'v Value, found: &mut Vec<&'v str>) {
    match schema {
        Value::Object(fields) => {
            // A field of an object may be called `$ref` as well; that one is a schema.
            let reference = fields.get("$ref").and_then(Value::as_str);
            found.extend(reference.and_then(|reference| reference.rsplit('/').next()));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_compiles_and_knows_its_metadata() {
        assert!(KINDS.len() > 40);
        for (group, version, kind) in KINDS.keys() {
            if matches!(kind.as_str(), "Status" | "DeleteOptions") {
                continue;
            }
            let schema = builtin(group, version, kind).unwrap();
            let mut object = json!({
                "apiVersion": "x/v1",
                "kind": kind,
                "metadata": {"name": "a", "nonsense": 1},
                "nonsense": 2,
            });
            let mut dropped = schema.prune(&mut object);
            dropped.sort();
            assert_eq!(dropped, ["metadata.nonsense", "nonsense"], "{kind}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for schema in SCHEMAS.values() {
            let mut found = Vec::new();
            references(schema, &mut found);
            for name in found {
                assert!(SCHEMAS.contains_key(name), "{name}");
            }
        }
    }
}
