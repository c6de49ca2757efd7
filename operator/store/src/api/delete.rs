//! Deletion: at once, or by marking the object and waiting for whoever holds it with a finalizer.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::builtin::FIRST_NAMESPACES;
use super::kinds::{DEFINITIONS, Kind, NAMESPACES};
use super::negotiate::object_format;
use super::selector::Selector;
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, body, meta, read, table};
use crate::engine::{Change, Expect, Stored, Write, WriteError};
use crate::schema::FieldError;

/// Held until the dependents that block it are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Held until the dependents no longer name it as their owner.
pub(crate) const ORPHAN: &str = "orphan";

/// Attempts at a deletion that does not mind what else has changed meanwhile.
const ATTEMPTS: usize = 100;

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// `meta/v1` DeleteOptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    propagation: Option<Propagation>,
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
}

impl DeleteOptions {
    /// From the body, and where that is silent from the query.
    fn parse(call: &Call) -> Result<Self, Failure> {
        let given = if call.body.is_empty() {
            Value::Null
        } else {
            body::decode(&call.headers, &call.body)?
        };
        if let Some(kind) = given["kind"]
            .as_str()
            .filter(|kind| !matches!(*kind, "" | "DeleteOptions"))
        {
            let message =
                format!("the kind in the data ({kind}) does not match the expected kind (DeleteOptions)");
            return Err(Failure::bad_request(message));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy = text(&given["propagationPolicy"]);
        let policy = policy.or_else(|| call.query.get("propagationPolicy").map(str::to_owned));
        let orphan = given["orphanDependents"]
            .as_bool()
            .or(call.query.flag("orphanDependents")?);
        let refuse = |error: FieldError| Err(Failure::invalid_options("DeleteOptions", error));
        let propagation = match (policy.as_deref(), orphan) {
            (Some(_), Some(_)) => {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                return refuse(FieldError::invalid("propagationPolicy", policy, why));
            }
            (Some("Background"), _) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (_, Some(true)) => Some(Propagation::Orphan),
            (Some(other), _) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                return refuse(FieldError::not_supported("propagationPolicy", other, supported));
            }
            (None, _) => None,
        };
        let dry_run = given["dryRun"][0].as_str().or_else(|| call.query.get("dryRun"));
        if let Some(other) = dry_run.filter(|value| *value != "All") {
            return refuse(FieldError::not_supported("dryRun", json!([other]), ["All"]));
        }
        Ok(DeleteOptions {
            propagation,
            uid: text(&given["preconditions"]["uid"]),
            resource_version: text(&given["preconditions"]["resourceVersion"]),
            dry_run: dry_run.is_some(),
        })
    }

    pub(crate) fn with_uid(uid: &str) -> Self {
        DeleteOptions {
            uid: Some(uid.to_owned()),
            ..DeleteOptions::default()
        }
    }

    /// Only the state of `revision` may be deleted.
    pub(crate) fn at(self, revision: u64) -> Self {
        DeleteOptions {
            resource_version: Some(revision.to_string()),
            ..self
        }
    }
}

/// How a deletion ended.
pub(crate) enum Deleted {
    /// The object is gone; this is its last state.
    Gone(Arc<Value>),
    /// It is marked, and waits for its finalizers.
    Waiting(Arc<Value>),
}

pub(crate) async fn delete(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = DeleteOptions::parse(call)?;
    let kind = &target.kind;
    match delete_object(api, target, target.name.as_deref().unwrap_or(""), &options).await? {
        Deleted::Waiting(object) => Ok(super::json(
            StatusCode::OK,
            &table::present(format, kind, &object, true),
        )),
        Deleted::Gone(object) => {
            let mut details = json!({"name": meta::name(&object)});
            if !kind.group.is_empty() {
                details["group"] = kind.group.as_str().into();
            }
            details["kind"] = kind.plural.as_str().into();
            details["uid"] = meta::string(&object, "uid").into();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            Ok(super::json(StatusCode::OK, &status))
        }
    }
}

pub(crate) async fn delete_collection(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let kind = &target.kind;
    if !kind.verbs().contains(&"deletecollection") {
        return Err(Failure::no_such_method());
    }
    let format = object_format(&call.headers, &call.query)?;
    let options = DeleteOptions::parse(call)?;
    let selector = Selector::parse(&call.query, kind)?;
    let mut deleted = Vec::new();
    for (key, stored) in read::selected(api, kind, target.namespace.as_deref(), &selector) {
        let namespace = (!key.namespace.is_empty()).then(|| key.namespace.clone());
        let within = Target {
            kind: Arc::clone(kind),
            namespace,
            name: None,
            subresource: None,
        };
        match delete_object(api, &within, &key.name, &options).await {
            Err(failure) if failure.code() == StatusCode::NOT_FOUND => {}
            Err(failure) => return Err(failure),
            Ok(_) => deleted.push(stored),
        }
    }
    let metadata = json!({"resourceVersion": api.engine().read(|memory| memory.revision()).to_string()});
    let bytes = table::present_list(format, kind, &deleted, metadata);
    Ok(super::json_bytes(StatusCode::OK, bytes))
}

/// Deletes the object, or marks it as deleted if something holds it.
pub(crate) async fn delete_object(
    api: &Api,
    target: &Target,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, Failure> {
    let kind = &target.kind;
    if kind.is(NAMESPACES) && FIRST_NAMESPACES.contains(&name) {
        return Err(Failure::forbidden(
            kind,
            name,
            "this namespace may not be deleted",
        ));
    }
    for _ in 0..ATTEMPTS {
        let live = read::find(api, target, name)?;
        check_preconditions(kind, name, &live, options)?;
        let object = live.value();
        let marked = mark(kind, &object, options.propagation);
        let held = meta::is_held(&marked);
        if options.dry_run {
            let object = Arc::new(marked);
            return Ok(if held {
                Deleted::Waiting(object)
            } else {
                Deleted::Gone(object)
            });
        }
        if held && marked == *object {
            return Ok(Deleted::Waiting(object));
        }
        let change = match held {
            true => Change::Put(marked),
            // Gone at once, it was never in the state of being deleted.
            false if !live.is_deleting() => Change::Delete(Value::clone(&object)),
            false => Change::Delete(marked),
        };
        let durable = super::write::is_durable(kind, &object);
        let expect = Expect::Revision(live.revision);
        match api
            .engine()
            .write(Write {
                key: target.key(name),
                expect,
                change,
                durable,
            })
            .await
        {
            Ok(stored) if held => return Ok(Deleted::Waiting(stored.value())),
            Ok(stored) => return Ok(Deleted::Gone(stored.value())),
            Err(WriteError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::modified(kind, name))
}

fn check_preconditions(
    kind: &Kind,
    name: &str,
    live: &Stored,
    options: &DeleteOptions,
) -> Result<(), Failure> {
    let refuse = |what: &str, asked: &str, found: &str, why: &str| {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the {what} in the precondition ({asked}) does not match the \
             {what} in record ({found}). The object might have been {why}",
            kind.kind
        );
        Err(Failure::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name))
    };
    let uid = live.uid();
    if let Some(asked) = options.uid.as_deref().filter(|asked| *asked != uid) {
        return refuse("UID", asked, uid, "deleted and then recreated");
    }
    let version = live.revision.to_string();
    if let Some(asked) = options
        .resource_version
        .as_deref()
        .filter(|asked| *asked != version)
    {
        return refuse("ResourceVersion", asked, &version, "modified");
    }
    Ok(())
}

/// The object as one that is being deleted.
fn mark(kind: &Kind, live: &Value, propagation: Option<Propagation>) -> Value {
    let mut marked = live.clone();
    match propagation {
        Some(Propagation::Foreground) => meta::add_finalizer(&mut marked, FOREGROUND, true),
        Some(Propagation::Orphan) => meta::add_finalizer(&mut marked, ORPHAN, true),
        Some(Propagation::Background) | None => {}
    }
    if propagation.is_some_and(|propagation| propagation != Propagation::Foreground) {
        meta::remove_finalizer(&mut marked, FOREGROUND);
    }
    if propagation.is_some_and(|propagation| propagation != Propagation::Orphan) {
        meta::remove_finalizer(&mut marked, ORPHAN);
    }
    if meta::is_deleting(live) {
        return marked;
    }
    meta::set(&mut marked, "deletionTimestamp", Some(meta::now().into()));
    meta::set(&mut marked, "deletionGracePeriodSeconds", Some(0.into()));
    if let Some(generation) = live["metadata"]["generation"].as_u64() {
        meta::set(&mut marked, "generation", Some((generation + 1).into()));
    }
    if kind.is(NAMESPACES) {
        marked["status"] = json!({"phase": "Terminating"});
    }
    if kind.is(DEFINITIONS) {
        super::crd::complete(&mut marked, Some(live), &meta::now());
    }
    marked
}
