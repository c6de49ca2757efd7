//! Field ownership: server-side apply, and keeping `metadata.managedFields` on every other write.
//!
//! [`server_side_apply`] merges what a manager applies into the live object, takes out what it applied before
//! and no longer does, and refuses to change what others own. [`track_update`] records which fields a create,
//! update or patch has set. The meaning is that of structured-merge-diff and of the field manager of
//! kube-apiserver around it.

mod fields;
mod managers;
mod typed;

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value};

use crate::schema::{Node, Structural};
use fields::FieldSet;
use managers::{Entry, Managers, strip};

/// The annotation in which client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager that owns what was there before the first apply to an object that nobody had tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager that may take over from client-side apply.
const KUBECTL: &str = "kubectl";

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The field, such as `.spec.replicas`.
    pub(crate) field: String,
    /// Who owns it, such as `conflict with "kubectl-client-side-apply" using apps/v1`.
    pub(crate) message: String,
}

/// Why an apply was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ApplyError {
    /// Others own what would change: 409 with a cause `FieldManagerConflict` for each.
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// The applied object cannot be one: 400.
    #[error("{0}")]
    Invalid(String),
    /// The applied object does not fit its schema: what does not.
    #[error("{}", misfits(.0))]
    Untyped(Vec<String>),
}

fn misfits(problems: &[String]) -> String {
    match problems {
        [only] => only.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    }
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!(
            "Apply failed with 1 conflict: {}: {}",
            conflict.message, conflict.field
        );
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        let manager = conflict
            .message
            .strip_prefix("conflict with ")
            .unwrap_or(&conflict.message);
        by_manager.entry(manager).or_default().push(&conflict.field);
    }
    let managers: Vec<String> = by_manager
        .into_iter()
        .map(|(manager, fields)| format!("conflicts with {manager}:\n- {}", fields.join("\n- ")))
        .collect();
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        managers.join("\n")
    )
}

/// Applies an object as `manager` and returns the new live object, its `managedFields` written.
///
/// `applied` is the object as the manager sent it; the caller takes `status` out of it where the kind has a
/// status subresource and this is not it. `subresource` is empty for the object itself. Without `force`,
/// fields that others own with other values are [`ApplyError::Conflicts`]. If nothing changes, the result
/// equals `live`, times included.
#[allow(clippy::too_many_arguments)]
pub(crate) fn server_side_apply(
    live: Option<&Value>,
    applied: &Value,
    manager: &str,
    force: bool,
    schema: &Structural,
    subresource: &str,
    api_version: &str,
    now: jiff::Timestamp,
) -> Result<Value, ApplyError> {
    let node = Some(schema.root());
    let applied = acceptable(node, applied, subresource)?;
    let untracked = || Value::Object(Map::new());
    let mut before = live.cloned().unwrap_or_else(untracked);
    let managers = match (Managers::of(&before), live) {
        (Some(managers), _) => managers,
        (None, Some(live)) => owned_before(node, live, api_version),
        (None, None) => Managers::default(),
    };
    strip(&mut before);
    let me = Entry {
        manager: manager.to_owned(),
        operation: "Apply".to_owned(),
        api_version: api_version.to_owned(),
        subresource: subresource.to_owned(),
        time: Some(stamp(now)),
        fields: FieldSet::default(),
    };
    let apply = Apply {
        node,
        before: &before,
        applied: &applied,
        me: &me,
    };
    let (mut object, mut after) = match apply.run(managers.clone(), force) {
        Err(refused) if manager == KUBECTL => match apply.left_to_client_side_apply(&refused) {
            None => apply.run(managers.clone(), true),
            Some(refused) => Err(refused),
        },
        result => result,
    }
    .map_err(|refused| ApplyError::Conflicts(refused.conflicts()))?;
    if manager == KUBECTL && subresource.is_empty() {
        refresh_last_applied(&mut object, &applied);
    }
    // An apply that changes nothing leaves the time as it was, and a manager that is new without one.
    let is_noop = live.is_some() && object == before;
    if let (true, Some(mine)) = (is_noop, after.find(&me)) {
        let previous = managers.0.iter().find(|entry| entry.is_same_manager(&me));
        mine.time = previous.and_then(|previous| previous.time.clone());
    }
    after.write(&mut object);
    Ok(object)
}

/// Writes the `managedFields` of an object that was created (`old` is `None`), updated or patched: `manager`
/// now owns what it added or changed, and nobody owns what is gone.
///
/// `new` is the object as it will be stored but for `managedFields`; in it the client may have reset the list
/// to one empty entry, or edited it.
#[allow(clippy::too_many_arguments)]
pub(crate) fn track_update(
    old: Option<&Value>,
    new: &mut Value,
    manager: &str,
    operation: &str,
    subresource: &str,
    api_version: &str,
    schema: &Structural,
    now: jiff::Timestamp,
) {
    let node = Some(schema.root());
    let mut managers = if subresource.is_empty() && Managers::is_reset(new) {
        Managers::default()
    } else {
        let given = if subresource.is_empty() {
            Managers::of(new)
        } else {
            None
        };
        given.or_else(|| old.and_then(Managers::of)).unwrap_or_default()
    };
    let mut before = old.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    strip(&mut before);
    strip(new);
    let difference = typed::compare(node, Some(&before), Some(new));
    let set = difference.set();
    managers.take(&set.union(&difference.removed), |_| true);
    let me = Entry {
        manager: manager.to_owned(),
        operation: operation.to_owned(),
        api_version: api_version.to_owned(),
        subresource: subresource.to_owned(),
        time: Some(stamp(now)),
        fields: set.difference(&NOBODYS),
    };
    if !me.fields.is_empty() {
        match managers.find(&me) {
            Some(entry) => {
                entry.fields.absorb(&me.fields);
                entry.time = me.time;
            }
            None => managers.0.push(me),
        }
    }
    managers.write(new);
}

/// Fields that no manager owns: they name the object, or the server keeps them.
static NOBODYS: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut set = FieldSet::default();
    for path in [&["apiVersion"][..], &["kind"], &["metadata"]] {
        set.insert(path);
    }
    for field in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        set.insert(&["metadata", field]);
    }
    set
});

fn stamp(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The part of the applied object that counts, if it can be applied at all.
fn acceptable(node: Option<&Node>, applied: &Value, subresource: &str) -> Result<Value, ApplyError> {
    let Value::Object(fields) = applied else {
        return Err(ApplyError::Invalid(
            "the applied object must be an object".to_owned(),
        ));
    };
    let managed = applied
        .get("metadata")
        .and_then(|metadata| metadata.get("managedFields"));
    if managed.is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::Invalid(
            "metadata.managedFields must be nil".to_owned(),
        ));
    }
    let counted = match subresource {
        "status" => {
            let identity = |name: &str| matches!(name, "apiVersion" | "kind" | "status");
            let mut counted: Map<String, Value> = fields
                .iter()
                .filter(|(name, _)| identity(name))
                .map(|(name, field)| (name.clone(), field.clone()))
                .collect();
            let names = applied
                .get("metadata")
                .and_then(Value::as_object)
                .map(|metadata| {
                    let kept = metadata
                        .iter()
                        .filter(|(name, _)| matches!(name.as_str(), "name" | "namespace"));
                    kept.map(|(name, field)| (name.clone(), field.clone()))
                        .collect::<Map<_, _>>()
                });
            counted.insert("metadata".to_owned(), Value::Object(names.unwrap_or_default()));
            Value::Object(counted)
        }
        _ => {
            let mut counted = applied.clone();
            strip(&mut counted);
            counted
        }
    };
    let mut problems = Vec::new();
    if let Some(node) = node {
        typed::problems(node, &counted, "", &mut problems);
    }
    match problems.is_empty() {
        true => Ok(counted),
        false => Err(ApplyError::Untyped(problems)),
    }
}

/// The owner of an object of which nobody kept track.
fn owned_before(node: Option<&Node>, live: &Value, api_version: &str) -> Managers {
    let mut object = live.clone();
    strip(&mut object);
    let fields = typed::compare(node, Some(&Value::Object(Map::new())), Some(&object)).set();
    Managers(vec![Entry {
        manager: BEFORE_FIRST_APPLY.to_owned(),
        operation: "Update".to_owned(),
        api_version: api_version.to_owned(),
        subresource: String::new(),
        time: None,
        fields: fields.difference(&NOBODYS),
    }])
}

/// One apply, to be run with or without force.
struct Apply<'a> {
    node: Option<&'a Node>,
    before: &'a Value,
    applied: &'a Value,
    me: &'a Entry,
}

/// What others own and the apply would change.
struct Refused(Vec<(Entry, FieldSet)>);

impl Refused {
    fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for (entry, fields) in &self.0 {
            let message = format!("conflict with {}", entry.describe());
            conflicts.extend(fields.paths().into_iter().map(|field| Conflict {
                field,
                message: message.clone(),
            }));
        }
        conflicts
    }
}

impl Apply<'_> {
    fn run(&self, mut managers: Managers, force: bool) -> Result<(Value, Managers), Refused> {
        let merged = typed::merge(self.node, Some(self.before), self.applied);
        let applied = typed::fields(self.node, self.applied);
        let last = managers
            .0
            .iter()
            .find(|entry| entry.is_same_manager(self.me))
            .cloned();
        managers.0.retain(|entry| !entry.is_same_manager(self.me));
        let object = match &last {
            Some(last) => {
                let left = self.without_dropped(&merged, &last.fields, &applied, &managers);
                // What the removal has emptied is gone; where it was applied as empty it comes back.
                typed::merge(self.node, Some(&left), self.applied)
            }
            None => merged,
        };
        let difference = typed::compare(self.node, Some(self.before), Some(&object));
        let set = difference.set();
        let disputed: Vec<(Entry, FieldSet)> = managers
            .0
            .iter()
            .map(|entry| (entry.clone(), entry.fields.intersection(&set)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        if !force && !disputed.is_empty() {
            return Err(Refused(disputed));
        }
        managers.take(&set.union(&difference.removed), |_| true);
        let fields = applied.difference(&NOBODYS);
        if !fields.is_empty() {
            managers.0.push(Entry {
                fields,
                ..self.me.clone()
            });
        }
        Ok((object, managers))
    }

    /// The merged object without what this manager applied last time, no longer applies, and alone owned.
    fn without_dropped(
        &self,
        merged: &Value,
        last: &FieldSet,
        applied: &FieldSet,
        others: &Managers,
    ) -> Value {
        let owned = others
            .0
            .iter()
            .fold(applied.clone(), |all, entry| all.union(&entry.fields));
        let last = typed::with_declared_parents(self.node, last);
        let owned = typed::with_declared_parents(self.node, &owned);
        typed::remove(self.node, merged, &last.difference(&owned))
    }

    /// What is left of a refusal once fields that kubectl applied client-side before are let go: it may
    /// change those, since they were its own.
    fn left_to_client_side_apply(&self, refused: &Refused) -> Option<Refused> {
        let annotation = self
            .before
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(LAST_APPLIED));
        let last: Option<Value> = annotation
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok());
        let allowed = last
            .map(|last| typed::fields(self.node, &last))
            .unwrap_or_default();
        let left: Vec<(Entry, FieldSet)> = refused
            .0
            .iter()
            .map(|(entry, fields)| (entry.clone(), fields.difference(&allowed)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        (!left.is_empty()).then_some(Refused(left))
    }
}

/// Where client-side apply has left its annotation, kubectl keeps it in step, so that either may be used next.
fn refresh_last_applied(object: &mut Value, applied: &Value) {
    let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if let Some(last) = annotations.get_mut(LAST_APPLIED) {
        let mut applied = applied.clone();
        if let Some(annotations) = applied
            .pointer_mut("/metadata/annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.shift_remove(LAST_APPLIED);
        }
        *last = Value::from(format!("{applied}\n"));
    }
}

#[cfg(test)]
mod tests;
