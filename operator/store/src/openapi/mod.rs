//! What the server serves, described: OpenAPI v3 documents, one a group and version, and the v2 document.
//!
//! The descriptions are built from the list of served types. A document is made when it is first asked for;
//! what names it in the index is a hash of what it is made from, so that [`OpenApi::updated`] after a change
//! of one custom resource definition remakes only the documents that the change concerns.

mod gnostic;
mod operations;
mod v2;
mod v3;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

pub(crate) use self::gnostic::{MEDIA_TYPE as V2_PROTOBUF, REQUESTED_MEDIA_TYPE as REQUESTED_V2_PROTOBUF};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A kind that the server serves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServedType {
    /// Its group; empty for the core group.
    pub(crate) group: String,
    /// Its version, such as `v1alpha1`.
    pub(crate) version: String,
    /// Its kind.
    pub(crate) kind: String,
    /// The kind of its lists.
    pub(crate) list_kind: String,
    /// Its plural, as it stands in paths.
    pub(crate) plural: String,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
    /// The `openAPIV3Schema` of a custom resource; `None` for a built-in kind.
    pub(crate) schema: Option<Arc<Value>>,
    /// The subresources served: `status`, `scale`.
    pub(crate) subresources: Vec<String>,
    /// Whether it can only be created and answers at once, as access reviews do.
    pub(crate) create_only: bool,
}

/// A document with the hash that names it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// JSON, or protobuf where that was asked for.
    pub(crate) body: Bytes,
    /// Changes when the document does; good for an `ETag`.
    pub(crate) hash: String,
}

impl Document {
    pub(crate) fn of(body: Bytes) -> Self {
        Document {
            hash: hex::encode(Sha256::digest(&body)),
            body,
        }
    }
}

/// The descriptions of everything served.
#[derive(Debug)]
pub(crate) struct OpenApi {
    versions: BTreeMap<String, Arc<GroupVersion>>,
    index: Bytes,
    v2: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
}

/// One group and version.
#[derive(Debug)]
struct GroupVersion {
    types: Vec<ServedType>,
    hash: String,
    document: OnceLock<Bytes>,
}

impl OpenApi {
    /// Describes these types.
    #[must_use]
    pub(crate) fn new(types: Vec<ServedType>) -> Self {
        Self::build(types, &BTreeMap::new())
    }

    /// Describes these types, keeping the documents of groups and versions that are as they were.
    #[must_use]
    pub(crate) fn updated(&self, types: Vec<ServedType>) -> Self {
        Self::build(types, &self.versions)
    }

    fn build(types: Vec<ServedType>, known: &BTreeMap<String, Arc<GroupVersion>>) -> Self {
        let mut by_path: BTreeMap<String, Vec<ServedType>> = BTreeMap::new();
        for served in types {
            by_path
                .entry(path(&served.group, &served.version))
                .or_default()
                .push(served);
        }
        let versions: BTreeMap<String, Arc<GroupVersion>> = by_path
            .into_iter()
            .map(|(path, types)| {
                let version = match known.get(&path).filter(|known| known.types == types) {
                    Some(known) => Arc::clone(known),
                    None => Arc::new(GroupVersion {
                        hash: hash(&types),
                        types,
                        document: OnceLock::new(),
                    }),
                };
                (path, version)
            })
            .collect();
        let paths: serde_json::Map<String, Value> = versions
            .iter()
            .map(|(path, version)| {
                let url = format!("/openapi/v3/{path}?hash={}", version.hash);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        let index = Bytes::from(json!({"paths": paths}).to_string());
        Self {
            versions,
            index,
            v2: OnceLock::new(),
            v2_protobuf: OnceLock::new(),
        }
    }

    /// The body of `GET /openapi/v3`: where each document is, by hash.
    #[must_use]
    pub(crate) fn index(&self) -> Bytes {
        self.index.clone()
    }

    /// The body of `GET /openapi/v3/<path>`, where the path is `api/v1` or `apis/<group>/<version>`.
    #[must_use]
    pub(crate) fn document(&self, path: &str) -> Option<Document> {
        let version = self.versions.get(path.trim_matches('/'))?;
        let json = version
            .document
            .get_or_init(|| Bytes::from(v3::document(&version.types).to_string()));
        Some(Document {
            body: json.clone(),
            hash: version.hash.clone(),
        })
    }

    /// The body of `GET /openapi/v2`.
    #[must_use]
    pub(crate) fn v2(&self) -> Document {
        let make = || Document::of(self.v2_document().to_string().into());
        self.v2.get_or_init(make).clone()
    }

    /// The same in gnostic's protobuf form.
    #[must_use]
    pub(crate) fn v2_protobuf(&self) -> Document {
        let make = || Document::of(gnostic::encode(&self.v2_document()).into());
        self.v2_protobuf.get_or_init(make).clone()
    }

    fn v2_document(&self) -> Value {
        let types = self.versions.values().flat_map(|version| &version.types);
        v2::document(&types.collect::<Vec<_>>())
    }
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn hash(types: &[ServedType]) -> String {
    let mut hasher = Sha256::new();
    for served in types {
        let ServedType {
            group,
            version,
            kind,
            list_kind,
            plural,
            namespaced,
            ..
        } = served;
        hasher.update(json!([group, version, kind, list_kind, plural, namespaced]).to_string());
        hasher.update(json!([served.subresources, served.create_only, served.schema.as_deref()]).to_string());
    }
    hex::encode(hasher.finalize()).to_uppercase()
}

#[cfg(test)]
mod tests;
