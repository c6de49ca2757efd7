//! What a cluster does without being asked: garbage collection by owner, the end of namespaces and of custom
//! resource definitions, what new namespaces are furnished with, and the expiry of events.
//!
//! One task follows all changes. What it does depends on the state alone, not on the change that woke it, so that
//! work cut short by a crash is found again by the first look at everything.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::builtin::{self, NAMESPACE_FINALIZER};
use super::crd::CLEANUP_FINALIZER;
use super::delete::{self, DeleteOptions, FOREGROUND, ORPHAN};
use super::kinds::{DEFINITIONS, EVENTS, NAMESPACES};
use super::registry::Served;
use super::status::Failure;
use super::write;
use super::{Api, Target, meta};
use crate::engine::{Event, EventKind, Key, Memory, Stored};

/// How often expired events are looked for.
const PERIOD: Duration = Duration::from_secs(60);
/// How long what failed waits to be tried again: at first, and at most after failing again and again.
const BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Runs until the engine closes.
pub(crate) async fn housekeeping(api: Arc<Api>, event_ttl: Duration) {
    let mut tail = api.engine().tail(api.engine().read(Memory::revision));
    let mut work = Work::everything(&api);
    let mut expiry = tokio::time::interval(PERIOD);
    let mut backoff = BACKOFF;
    loop {
        work = work.run(&api).await;
        let failing = !work.is_empty();
        if !failing {
            backoff = BACKOFF;
        }
        tokio::select! {
            events = tail.next() => match events {
                Ok(Some(events)) => work.note(&events),
                Ok(None) => return,
                // More has changed than is remembered: look at everything again.
                Err(_) => {
                    tail = api.engine().tail(api.engine().read(Memory::revision));
                    work = Work::everything(&api);
                }
            },
            () = tokio::time::sleep(backoff), if failing => backoff = (backoff * 2).min(LONGEST_BACKOFF),
            _ = expiry.tick() => expire_events(&api, event_ttl).await,
        }
    }
}

/// What may have to be done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    /// Namespaces to furnish, to empty or to end.
    namespaces: BTreeSet<String>,
    /// Definitions that may be ending.
    definitions: BTreeSet<String>,
    /// Objects that may be waiting for their dependents.
    owners: BTreeSet<Key>,
    /// Owners, by uid, that are gone or that a dependent has left.
    gone: HashSet<String>,
    /// Objects, by uid, that were seen to be deleted.
    deleted: HashSet<String>,
    /// Objects whose owners may never have existed.
    dependents: BTreeSet<Key>,
}

impl Work {
    /// All that could be left over from before.
    fn everything(api: &Api) -> Self {
        let mut work = Work::default();
        api.engine().read(|memory| {
            memory
                .all()
                .for_each(|(key, stored)| work.note_object(key, stored))
        });
        work
    }

    fn is_empty(&self) -> bool {
        *self == Work::default()
    }

    fn note(&mut self, events: &[Arc<Event>]) {
        for event in events {
            if event.kind == EventKind::Deleted {
                let uid = event.stored.uid();
                self.gone.insert(uid.to_owned());
                self.deleted.insert(uid.to_owned());
                self.note_departure(event);
            } else {
                self.note_object(&event.key, &event.stored);
                let references = |stored: &Stored| stored.value()["metadata"]["ownerReferences"].clone();
                let before = event
                    .previous
                    .as_ref()
                    .filter(|before| before.owners().next().is_some());
                // What lets go of an owner may be the last that it has waited for.
                self.note_owners_of(before.filter(|before| references(before) != references(&event.stored)));
            }
        }
    }

    fn note_object(&mut self, key: &Key, stored: &Stored) {
        if !key.namespace.is_empty() {
            // It may have come too late for a namespace that is being deleted.
            self.namespaces.insert(key.namespace.clone());
        }
        match &*key.resource {
            NAMESPACES => drop(self.namespaces.insert(key.name.clone())),
            DEFINITIONS if stored.is_deleting() => drop(self.definitions.insert(key.name.clone())),
            _ => {}
        }
        if stored.is_deleting()
            && meta::finalizers(&stored.value()).any(|name| name == FOREGROUND || name == ORPHAN)
        {
            self.owners.insert(key.clone());
        }
        if stored.owners().next().is_some() {
            self.dependents.insert(key.clone());
        }
    }

    /// The last object of a namespace or a definition lets it end, and a dependent its owner.
    fn note_departure(&mut self, event: &Event) {
        if !event.key.namespace.is_empty() {
            self.namespaces.insert(event.key.namespace.clone());
        }
        if let Some((group, plural)) = event.key.resource.split_once('/') {
            self.definitions.insert(format!("{plural}.{group}"));
        }
        self.note_owners_of(event.previous.as_ref());
    }

    fn note_owners_of(&mut self, object: Option<&Stored>) {
        let owners = object.into_iter().flat_map(Stored::owners);
        self.gone.extend(owners.map(str::to_owned));
    }

    /// Does all of it; returns what failed and must be tried again.
    async fn run(self, api: &Api) -> Self {
        let mut left = Work::default();
        for name in self.namespaces {
            if failed(tend_namespace(api, &name).await, "namespace", &name) {
                left.namespaces.insert(name);
            }
        }
        for name in self.definitions {
            if failed(end_definition(api, &name).await, "definition", &name) {
                left.definitions.insert(name);
            }
        }
        let (owners, dependents) = find_related(api, self.owners, &self.gone, self.dependents);
        for key in dependents {
            if failed(collect(api, &key, &self.deleted).await, "dependent", &key.name) {
                left.dependents.insert(key);
            }
        }
        for key in owners {
            if failed(release(api, &key, &self.deleted).await, "owner", &key.name) {
                left.owners.insert(key);
            }
        }
        if !left.is_empty() {
            // What is tried again must still know of whom it was left.
            left.deleted = self.deleted;
        }
        left
    }
}

/// Whether to try again; says so in the log.
fn failed(outcome: Result<(), Failure>, what: &str, name: &str) -> bool {
    match outcome {
        Ok(()) => false,
        Err(failure) => {
            tracing::warn!(
                ?failure,
                what,
                name,
                "housekeeping failed and will be tried again"
            );
            true
        }
    }
}

/// Adds to the owners and dependents in question those that the uids in `gone` lead to: an owner that is there and
/// waiting, and the objects that name it.
fn find_related(
    api: &Api,
    mut owners_in_question: BTreeSet<Key>,
    gone: &HashSet<String>,
    mut dependents: BTreeSet<Key>,
) -> (BTreeSet<Key>, BTreeSet<Key>) {
    if !gone.is_empty() {
        api.engine().read(|memory| {
            for uid in gone {
                if let Some((key, stored)) = memory.by_uid(uid)
                    && stored.is_deleting()
                {
                    owners_in_question.insert(key.clone());
                }
            }
            for (key, stored) in memory.all() {
                if stored.owners().any(|uid| gone.contains(uid)) {
                    dependents.insert(key.clone());
                }
            }
        });
    }
    (owners_in_question, dependents)
}

/// The object at `key` as the target of a change by the server, with its present state.
fn target_of(api: &Api, key: &Key) -> Option<(Target, Stored)> {
    let stored = api.engine().read(|memory| memory.get(key).cloned())?;
    let kind = Arc::clone(api.served().by_storage(&key.resource)?);
    let namespace = (!key.namespace.is_empty()).then(|| key.namespace.clone());
    Some((
        Target {
            kind,
            namespace,
            name: Some(key.name.clone()),
            subresource: None,
        },
        stored,
    ))
}

/// Deletes in the background; an object that is gone already is no failure.
async fn discard(api: &Api, key: &Key) -> Result<(), Failure> {
    let Some((target, stored)) = target_of(api, key) else {
        return Ok(());
    };
    let options = DeleteOptions::with_uid(stored.uid());
    discard_with(api, &target, &stored, &options).await
}

async fn discard_with(
    api: &Api,
    target: &Target,
    stored: &Stored,
    options: &DeleteOptions,
) -> Result<(), Failure> {
    if stored.is_deleting() && meta::is_held(&stored.value()) {
        return Ok(());
    }
    match delete::delete_object(api, target, meta::name(&stored.value()), options).await {
        Err(failure) if failure.code() == StatusCode::NOT_FOUND => Ok(()),
        deleted => deleted.map(|_| ()),
    }
}

/// Furnishes a living namespace; empties one that is being deleted, and ends it when it is empty.
async fn tend_namespace(api: &Api, name: &str) -> Result<(), Failure> {
    let key = Key::new(&NAMESPACES.into(), "", name);
    let namespace = target_of(api, &key);
    if namespace
        .as_ref()
        .is_some_and(|(_, stored)| !stored.is_deleting())
    {
        return builtin::furnish(api, name).await;
    }
    let served = api.served();
    // What has no definition any more cannot be handled, and must not keep the namespace for ever.
    let remaining = || {
        contents(api, |key, _| {
            key.namespace == name && served.by_storage(&key.resource).is_some()
        })
    };
    for content in remaining() {
        discard(api, &content).await?;
    }
    let Some((target, _)) = namespace else {
        return Ok(());
    };
    let held = remaining();
    if !held.is_empty() {
        // Finalizers hold some of it. Its departure will bring us back.
        return tell_what_remains(api, target, &held).await;
    }
    let finalize = Target {
        subresource: Some("finalize".to_owned()),
        ..target
    };
    write::modify_by_server(api, &finalize, |namespace| {
        let mut ended = namespace.clone();
        ended
            .pointer_mut("/spec/finalizers")?
            .as_array_mut()?
            .retain(|finalizer| finalizer != NAMESPACE_FINALIZER);
        Some(ended)
    })
    .await
}

/// Says in the status of a namespace that is being deleted what it waits for.
async fn tell_what_remains(api: &Api, namespace: Target, held: &[Key]) -> Result<(), Failure> {
    let mut resources = BTreeMap::<String, usize>::new();
    let mut finalizers = BTreeMap::<String, usize>::new();
    api.engine().read(|memory| {
        for (key, stored) in held.iter().filter_map(|key| Some((key, memory.get(key)?))) {
            let (group, plural) = key.resource.split_once('/').unwrap_or(("", &key.resource));
            *resources.entry(format!("{plural}.{group}")).or_default() += 1;
            for finalizer in meta::finalizers(&stored.value()) {
                *finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    });
    let counted = |what: &BTreeMap<String, usize>, verb: &str| {
        let parts: Vec<String> = what
            .iter()
            .map(|(name, count)| format!("{name} {verb} {count} resource instances"))
            .collect();
        parts.join(", ")
    };
    let condition = |name: &str, status: &str, reason: &str, message: String| {
        json!({
            "type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": meta::now(),
        })
    };
    let conditions = [
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        condition(
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", counted(&resources, "has")),
        ),
        condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                counted(&finalizers, "in")
            ),
        ),
    ];
    let status = Target {
        subresource: Some("status".to_owned()),
        ..namespace
    };
    write::modify_by_server(api, &status, |namespace| {
        let told = |condition: &Value| {
            let name = &condition["type"];
            let before = namespace["status"]["conditions"].as_array();
            let same = before.into_iter().flatten().find(|old| {
                old["type"] == *name
                    && old["status"] == condition["status"]
                    && old["message"] == condition["message"]
            });
            same.unwrap_or(condition).clone()
        };
        let mut waiting = namespace.clone();
        waiting["status"]["conditions"] = conditions.iter().map(told).collect();
        Some(waiting)
    })
    .await
}

/// Deletes the objects of a definition that is being deleted, and lets it go when there are none.
async fn end_definition(api: &Api, name: &str) -> Result<(), Failure> {
    let key = Key::new(&DEFINITIONS.into(), "", name);
    let Some((target, stored)) = target_of(api, &key) else {
        return Ok(());
    };
    if !stored.is_deleting() {
        return Ok(());
    }
    let Some((plural, group)) = name.split_once('.') else {
        return Ok(());
    };
    let storage = format!("{group}/{plural}");
    for instance in contents(api, |key, _| *key.resource == *storage) {
        discard(api, &instance).await?;
    }
    if !contents(api, |key, _| *key.resource == *storage).is_empty() {
        return Ok(());
    }
    drop_finalizer(api, &target, CLEANUP_FINALIZER).await
}

fn contents(api: &Api, choose: impl Fn(&Key, &Stored) -> bool) -> Vec<Key> {
    api.engine().read(|memory| {
        memory
            .all()
            .filter(|(key, stored)| choose(key, stored))
            .map(|(key, _)| key.clone())
            .collect()
    })
}

async fn drop_finalizer(api: &Api, target: &Target, finalizer: &str) -> Result<(), Failure> {
    write::modify_by_server(api, target, |object| {
        let mut released = object.clone();
        meta::remove_finalizer(&mut released, finalizer);
        Some(released)
    })
    .await
}

/// Deletes an object none of whose owners exists any more; an owner that waits for this object to go does not
/// count. If another one remains, the object is set free of those that do not count, and lives.
///
/// `deleted` are the uids of objects that were seen to be deleted.
async fn collect(api: &Api, key: &Key, deleted: &HashSet<String>) -> Result<(), Failure> {
    loop {
        let Some((target, stored)) = target_of(api, key) else {
            return Ok(());
        };
        let lost = lost_owners(api, key, &stored.value(), deleted);
        let done = if lost.is_empty() {
            Ok(())
        } else if stored.owners().all(|owner| lost.contains(owner)) {
            let uid = stored.uid();
            let options = DeleteOptions::with_uid(uid).at(stored.revision);
            discard_with(api, &target, &stored, &options).await
        } else {
            let version = stored.revision.to_string();
            write::modify_by_server(api, &target, |object| {
                let mut freed = without_owners(object, &lost)?;
                meta::set(&mut freed, "resourceVersion", Some(version.as_str().into()));
                Some(freed)
            })
            .await
        };
        match done {
            // Somebody has changed it meanwhile, maybe its owners: decide again.
            Err(failure) if failure.code() == StatusCode::CONFLICT => {}
            done => return done,
        }
    }
}

/// The owners of an object, by uid, that are gone or wait for it to go.
fn lost_owners(api: &Api, key: &Key, object: &Value, deleted: &HashSet<String>) -> HashSet<String> {
    let served = api.served();
    let references = object["metadata"]["ownerReferences"].as_array();
    api.engine().read(|memory| {
        references
            .into_iter()
            .flatten()
            .filter_map(|reference| {
                let uid = reference["uid"].as_str()?;
                let lost = match memory.by_uid(uid) {
                    Some((owner, state)) => {
                        !can_own(owner, key) || (state.is_deleting() && waits_for_dependents(&state.value()))
                    }
                    None => deleted.contains(uid) || would_be_known(&served, reference),
                };
                lost.then(|| uid.to_owned())
            })
            .collect()
    })
}

/// The object without its references to `gone`, by uid; `None` if it has none at all.
fn without_owners(object: &Value, gone: &HashSet<String>) -> Option<Value> {
    let mut freed = object.clone();
    let owners = freed.pointer_mut("/metadata/ownerReferences")?.as_array_mut()?;
    owners.retain(|owner| owner["uid"].as_str().is_none_or(|uid| !gone.contains(uid)));
    Some(freed)
}

/// Whether the owner that `reference` names would be here if it existed. Those of kinds that are not served may be
/// elsewhere, and those that are kept in memory only vanish at a restart without anybody having deleted them.
fn would_be_known(served: &Served, reference: &Value) -> bool {
    served.kinds().any(|kind| {
        reference["kind"] == kind.kind.as_str()
            && reference["apiVersion"] == kind.api_version()
            && !kind.memory_only()
    })
}

/// An owner in another namespace is none. Of a cluster-scoped object it is an error, but nothing to delete it for.
fn can_own(owner: &Key, dependent: &Key) -> bool {
    owner.namespace.is_empty() || dependent.namespace.is_empty() || owner.namespace == dependent.namespace
}

fn waits_for_dependents(owner: &Value) -> bool {
    meta::is_deleting(owner) && meta::finalizers(owner).any(|finalizer| finalizer == FOREGROUND)
}

/// Does for an owner that is being deleted what it waits for: deletes its dependents or sets them free.
async fn release(api: &Api, key: &Key, deleted: &HashSet<String>) -> Result<(), Failure> {
    let Some((target, stored)) = target_of(api, key) else {
        return Ok(());
    };
    if !stored.is_deleting() {
        return Ok(());
    }
    let uid = stored.uid().to_owned();
    let dependents = || contents(api, |_, stored| stored.owners().any(|owner| owner == uid));
    if meta::finalizers(&stored.value()).any(|finalizer| finalizer == ORPHAN) {
        for dependent in dependents() {
            let Some((target, _)) = target_of(api, &dependent) else {
                continue;
            };
            let gone = HashSet::from([uid.clone()]);
            write::modify_by_server(api, &target, |object| without_owners(object, &gone)).await?;
        }
        drop_finalizer(api, &target, ORPHAN).await?;
    }
    if waits_for_dependents(&stored.value()) {
        for dependent in dependents() {
            collect(api, &dependent, deleted).await?;
        }
        let blocking = contents(api, |_, stored| blocks(stored, &uid));
        if blocking.is_empty() {
            drop_finalizer(api, &target, FOREGROUND).await?;
        }
    }
    Ok(())
}

/// Whether the object demands that the owner outlives it.
fn blocks(stored: &Stored, owner: &str) -> bool {
    if !stored.owners().any(|uid| uid == owner) {
        return false;
    }
    let object = stored.value();
    let references = object["metadata"]["ownerReferences"].as_array();
    references
        .into_iter()
        .flatten()
        .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}

/// Deletes events that nobody has repeated for `ttl`.
async fn expire_events(api: &Api, ttl: Duration) {
    let resource = Arc::from(EVENTS);
    let now = Timestamp::now();
    let expired = |stored: &Stored| {
        let event = &stored.value();
        let times = [
            &event["series"]["lastObservedTime"],
            &event["lastTimestamp"],
            &event["eventTime"],
            &event["metadata"]["creationTimestamp"],
        ];
        let last = times
            .into_iter()
            .filter_map(|time| time.as_str()?.parse::<Timestamp>().ok())
            .max();
        last.is_none_or(|last| {
            u64::try_from(now.as_second() - last.as_second()).is_ok_and(|age| age > ttl.as_secs())
        })
    };
    let events: Vec<(Key, Stored)> = api.engine().read(|memory| {
        let current = memory.current(&resource, None);
        current
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect()
    });
    for (key, _) in events.iter().filter(|(_, stored)| expired(stored)) {
        failed(discard(api, key).await, "event", &key.name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::engine::{Engine, HistoryLimit, Location};

    #[tokio::test]
    async fn only_the_state_that_was_judged_is_deleted() {
        let limit = HistoryLimit {
            events: 100,
            bytes: 1 << 20,
        };
        let api = Api::new(Engine::open(&Location::Memory, limit).unwrap(), None);
        api.bootstrap().await.unwrap();
        let key = Key::new(&NAMESPACES.into(), "", "team");
        let target = Target {
            kind: Arc::clone(api.served().by_storage(NAMESPACES).unwrap()),
            namespace: None,
            name: Some("team".to_owned()),
            subresource: None,
        };
        let namespace = json!({"metadata": {"name": "team"}});
        let options = write::WriteOptions::of_server();
        write::create_object(&api, &target, &options, namespace)
            .await
            .ok()
            .unwrap();
        let (_, judged) = target_of(&api, &key).unwrap();
        write::modify_by_server(&api, &target, |live| {
            let mut adopted = live.clone();
            adopted["metadata"]["labels"]["adopted"] = "yes".into();
            Some(adopted)
        })
        .await
        .unwrap();
        let options = DeleteOptions::with_uid(meta::string(&judged.value(), "uid")).at(judged.revision);
        let refused = discard_with(&api, &target, &judged, &options).await.unwrap_err();
        assert_eq!(refused.code(), StatusCode::CONFLICT);
        let (_, live) = target_of(&api, &key).unwrap();
        assert!(!meta::is_deleting(&live.value()));
    }
}
