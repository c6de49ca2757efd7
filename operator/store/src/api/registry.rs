//! Which kinds are served: the built-in ones and those of the stored definitions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::crd;
use super::kinds::{self, DEFINITIONS, Kind};
use crate::engine::{Engine, Key, Stored};
use crate::openapi::{OpenApi, ServedType};

/// All kinds served at one moment.
#[derive(Debug)]
pub(crate) struct Served {
    /// Groups in the order in which they are listed: the core group, the other built-in ones, custom ones.
    pub(crate) groups: Vec<Group>,
    /// Kinds that objects are stored in and that no request finds.
    unserved: Vec<Arc<Kind>>,
    pub(crate) openapi: OpenApi,
}

/// A group, its preferred version first.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) versions: Vec<Version>,
}

/// One version of a group.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) kinds: Vec<Arc<Kind>>,
}

impl Served {
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    pub(crate) fn version(&self, group: &str, version: &str) -> Option<&Version> {
        self.group(group)?
            .versions
            .iter()
            .find(|found| found.name == version)
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.version(group, version)?
            .kinds
            .iter()
            .find(|kind| kind.plural == plural)
    }

    /// The kind under which stored objects of `storage` are handled, in the version they are stored in.
    pub(crate) fn by_storage(&self, storage: &str) -> Option<&Arc<Kind>> {
        self.kinds()
            .find(|kind| kind.is(storage) && kind.api_version() == kind.stored_as)
            .or_else(|| self.unserved.iter().find(|kind| kind.is(storage)))
            .or_else(|| self.kinds().find(|kind| kind.is(storage)))
    }

    /// Every kind in every version that is served.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.groups
            .iter()
            .flat_map(|group| &group.versions)
            .flat_map(|version| &version.kinds)
    }
}

/// Adds a kind in its place.
fn add(groups: &mut Vec<Group>, kind: Arc<Kind>) {
    let index = groups
        .iter()
        .position(|group| group.name == kind.group)
        .unwrap_or_else(|| {
            groups.push(Group {
                name: kind.group.clone(),
                versions: Vec::new(),
            });
            groups.len() - 1
        });
    let versions = &mut groups[index].versions;
    match versions.iter_mut().find(|version| version.name == kind.version) {
        Some(version) => version.kinds.push(kind),
        None => versions.push(Version {
            name: kind.version.clone(),
            kinds: vec![kind],
        }),
    }
    versions.sort_by(|a, b| {
        version_rank(&b.name)
            .cmp(&version_rank(&a.name))
            .then(a.name.cmp(&b.name))
    });
}

/// Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then all others.
pub(crate) fn version_rank(name: &str) -> (u8, u64, u64) {
    let parse = || {
        let rest = name.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u64 = rest[..digits].parse().ok()?;
        let stage = &rest[digits..];
        if stage.is_empty() {
            return Some((3, major, 0));
        }
        let beta = stage.strip_prefix("beta").map(|minor| (2, minor));
        let (rank, minor) = beta.or_else(|| stage.strip_prefix("alpha").map(|minor| (1, minor)))?;
        Some((rank, major, minor.parse().ok()?))
    };
    parse().unwrap_or((0, 0, 0))
}

/// Keeps [`Served`] in step with the stored definitions.
#[derive(Debug)]
pub(crate) struct Registry {
    built_in: Vec<Arc<Kind>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The change of the definitions that `served` reflects; `None` before the first look.
    revision: Option<u64>,
    served: Arc<Served>,
    /// Definitions by name.
    compiled: HashMap<String, Compiled>,
}

/// The kinds of a definition, with what they were compiled from.
#[derive(Debug)]
struct Compiled {
    revision: u64,
    identity: Identity,
    kinds: Vec<Arc<Kind>>,
}

impl Compiled {
    /// The kinds that the definition brings: those known already, unless it has changed in what makes them.
    fn of(definition: &Stored, known: Option<Self>) -> Self {
        let object = definition.value();
        let identity = identity(&object);
        let kinds = match known {
            Some(known) if known.identity == identity => known.kinds,
            _ => crd::kinds(&object).into_iter().map(Arc::new).collect(),
        };
        Self {
            revision: definition.revision,
            identity,
            kinds,
        }
    }
}

/// Changes exactly when the kinds that a definition brings do.
type Identity = (String, u64, bool);

impl Registry {
    pub(crate) fn new() -> Self {
        let nothing = Served {
            groups: Vec::new(),
            unserved: Vec::new(),
            openapi: OpenApi::new(Vec::new()),
        };
        let state = State {
            revision: None,
            served: Arc::new(nothing),
            compiled: HashMap::new(),
        };
        Registry {
            built_in: kinds::built_in().into_iter().map(Arc::new).collect(),
            state: Mutex::new(state),
        }
    }

    /// What is served now. Cheap unless a definition has changed since the last call.
    pub(crate) fn served(&self, engine: &Engine) -> Arc<Served> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = engine.read(|memory| memory.last_change(DEFINITIONS));
        if state.revision != Some(revision) {
            let key = Arc::from(DEFINITIONS);
            let definitions: Vec<(Key, Stored)> = engine.read(|memory| {
                let current = memory.current(&key, None);
                current
                    .map(|(key, stored)| (key.clone(), stored.clone()))
                    .collect()
            });
            state.rebuild(&self.built_in, &definitions);
            state.revision = Some(revision);
        }
        Arc::clone(&state.served)
    }
}

impl State {
    fn rebuild(&mut self, built_in: &[Arc<Kind>], definitions: &[(Key, Stored)]) {
        let mut groups = Vec::new();
        let mut unserved = Vec::new();
        for kind in built_in {
            add(&mut groups, Arc::clone(kind));
        }
        let mut before = std::mem::take(&mut self.compiled);
        for (key, stored) in definitions {
            let compiled = match before.remove(&key.name) {
                Some(known) if known.revision == stored.revision => known,
                known => Compiled::of(stored, known),
            };
            for kind in &compiled.kinds {
                if kind.served {
                    add(&mut groups, Arc::clone(kind));
                } else {
                    unserved.push(Arc::clone(kind));
                }
            }
            self.compiled.insert(key.name.clone(), compiled);
        }
        let types = groups
            .iter()
            .flat_map(|group: &Group| &group.versions)
            .flat_map(|version| &version.kinds);
        let types: Vec<ServedType> = types.map(|kind| kind.describe()).collect();
        let openapi = self.served.openapi.updated(types);
        self.served = Arc::new(Served {
            groups,
            unserved,
            openapi,
        });
    }
}

fn identity(definition: &Value) -> Identity {
    let metadata = &definition["metadata"];
    (
        metadata["uid"].as_str().unwrap_or("").to_owned(),
        metadata["generation"].as_u64().unwrap_or(0),
        super::meta::is_deleting(definition),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut names = [
            "foo10",
            "v1alpha1",
            "v3beta1",
            "v12alpha1",
            "v10",
            "v11beta2",
            "v2",
            "foo1",
            "v11alpha2",
        ];
        names.sort_by(|a, b| version_rank(b).cmp(&version_rank(a)).then(a.cmp(b)));
        // The example of the Kubernetes documentation on version priority.
        let expected = [
            "v10",
            "v2",
            "v11beta2",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "v1alpha1",
            "foo1",
            "foo10",
        ];
        assert_eq!(names, expected);
    }
}
