//! From what a client sent to what may be stored: unknown fields dropped, defaults filled in, what is the server's
//! kept, ownership tracked, and all of it validated.

use jiff::Timestamp;
use serde_json::Value;

use super::super::kinds::{Kind, NAMESPACES, SECRETS};
use super::super::status::Failure;
use super::super::{Target, builtin, convert, meta, rules};
use super::options::{FieldValidation, WriteOptions};
use crate::apply;
use crate::schema::FieldError;

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Main,
    Status,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// A pod's `spec.ephemeralContainers`.
    EphemeralContainers,
    /// The `status.conditions` of a request for a certificate.
    Approval,
}

impl Part {
    pub(super) fn of(target: &Target) -> Self {
        match target.subresource.as_deref() {
            Some("status") => Part::Status,
            Some("finalize") => Part::Finalize,
            Some("ephemeralcontainers") => Part::EphemeralContainers,
            Some("approval") => Part::Approval,
            _ => Part::Main,
        }
    }

    /// The subresource as managed fields name it.
    pub(super) fn subresource(self) -> &'static str {
        match self {
            Part::Main => "",
            Part::Status => "status",
            Part::Finalize => "finalize",
            Part::EphemeralContainers => "ephemeralcontainers",
            Part::Approval => "approval",
        }
    }
}

/// Who owns the fields that a write sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// Those that changed become the manager's.
    Track,
    /// The same, on the subresource `scale`.
    Scale,
    /// Server-side apply has settled it already.
    Settled,
}

/// Turns what a client sent into what will be stored as a new object.
pub(super) fn admit_new(
    target: &Target,
    options: &WriteOptions,
    mut object: Value,
    ownership: Ownership,
) -> Result<(Value, Vec<String>), Failure> {
    let kind = &target.kind;
    let schema = kind.schema()?;
    decode(kind, &mut object)?;
    let warnings = prune(kind, options, &mut object)?;
    let now = meta::now();
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        meta::set(&mut object, field, None);
    }
    meta::set(&mut object, "uid", Some(uuid::Uuid::new_v4().to_string().into()));
    meta::set(&mut object, "creationTimestamp", Some(now.as_str().into()));
    meta::set(&mut object, "generation", kind.generation.then(|| 1.into()));
    if kind.status {
        remove(&mut object, "status");
    }
    schema.default_values(&mut object);
    builtin::complete(kind, &mut object, None, &now);
    meta::normalize(&mut object);
    if ownership == Ownership::Track {
        let (manager, version) = (&options.manager, kind.api_version());
        apply::track_update(
            None,
            &mut object,
            manager,
            "Update",
            "",
            &version,
            schema,
            Timestamp::now(),
        );
    }
    let mut errors = meta::validate(&object, kind.namespaced, |name| rules::wrong_name(kind, name));
    errors.extend(builtin::validate(kind, &object, None)?);
    if !errors.is_empty() {
        return Err(Failure::invalid(kind, meta::name(&object), &errors));
    }
    Ok((convert::to_stored(kind, object), warnings))
}

pub(super) fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove(field);
    }
}

/// Reads an object of a built-in kind as the Go structures of kube-apiserver do.
///
/// # Errors
/// 400 for a value of a wrong type.
pub(super) fn decode(kind: &Kind, object: &mut Value) -> Result<(), Failure> {
    if kind.custom {
        return Ok(());
    }
    let why = |error: String| {
        let (name, version) = (&kind.kind, &kind.version);
        Failure::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: {error}"
        ))
    };
    kind.schema()?.read(object).map_err(why)
}

/// As [`decode`], for what `patch` has made of an object.
///
/// # Errors
/// 422 for a value of a wrong type.
pub(super) fn decode_patched(kind: &Kind, patch: &Value, object: &mut Value) -> Result<(), Failure> {
    if kind.custom {
        return Ok(());
    }
    kind.schema()?
        .read(object)
        .map_err(|error| patch_misfit(kind, patch, error))
}

fn patch_misfit(kind: &Kind, patch: &Value, error: String) -> Failure {
    // A patch of a secret has values that belong in no message.
    let patch = if kind.is(SECRETS) {
        "<secret>".to_owned()
    } else {
        patch.to_string()
    };
    Failure::invalid_kind("", "", "", &[FieldError::invalid("patch", patch, error)])
}

/// Drops unknown fields, and says so as the client wants it.
pub(super) fn prune(kind: &Kind, options: &WriteOptions, object: &mut Value) -> Result<Vec<String>, Failure> {
    let strict = |error: String| {
        let (name, version) = (&kind.kind, &kind.version);
        Failure::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: {error}"
        ))
    };
    drop_unknown(kind, options, object, strict)
}

/// As [`prune`], for what `patch` has made of an object.
pub(super) fn prune_patched(
    kind: &Kind,
    options: &WriteOptions,
    patch: &Value,
    object: &mut Value,
) -> Result<Vec<String>, Failure> {
    drop_unknown(kind, options, object, |error| patch_misfit(kind, patch, error))
}

fn drop_unknown(
    kind: &Kind,
    options: &WriteOptions,
    object: &mut Value,
    strict: impl FnOnce(String) -> Failure,
) -> Result<Vec<String>, Failure> {
    let dropped = kind.schema()?.prune(object);
    let repeated = options
        .repeated
        .iter()
        .map(|path| format!("duplicate field {path:?}"));
    let unknown = dropped.iter().map(|path| format!("unknown field {path:?}"));
    let unknown: Vec<String> = repeated.chain(unknown).collect();
    match options.validation {
        FieldValidation::Strict if !unknown.is_empty() => {
            Err(strict(format!("strict decoding error: {}", unknown.join(", "))))
        }
        FieldValidation::Ignore => Ok(Vec::new()),
        _ => Ok(unknown),
    }
}

/// Turns what a write wants `live` to be into what may be stored.
pub(super) fn admit_change(
    target: &Target,
    options: &WriteOptions,
    live: &Value,
    wanted: Value,
    ownership: Ownership,
) -> Result<Value, Failure> {
    let kind = &target.kind;
    let schema = kind.schema()?;
    let part = Part::of(target);
    let now = meta::now();
    let mut new = keep_what_is_not_written(kind, part, live, wanted);
    schema.default_values(&mut new);
    builtin::complete(kind, &mut new, Some(live), &now);
    meta::normalize(&mut new);
    if kind.generation && differs_in_substance(kind, live, &new) {
        let generation = live["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
        meta::set(&mut new, "generation", Some(generation.into()));
    }
    let subresource = match ownership {
        Ownership::Track => Some(part.subresource()),
        Ownership::Scale => Some("scale"),
        Ownership::Settled => None,
    };
    if let Some(subresource) = subresource {
        let (manager, version, time) = (&options.manager, kind.api_version(), Timestamp::now());
        apply::track_update(
            Some(live),
            &mut new,
            manager,
            "Update",
            subresource,
            &version,
            schema,
            time,
        );
    }
    // The name was let in when the object came.
    let mut errors = meta::validate(&new, kind.namespaced, |_| None);
    errors.extend(new_finalizers(live, &new));
    errors.extend(builtin::validate(kind, &new, Some(live))?);
    if errors.is_empty() {
        Ok(new)
    } else {
        Err(Failure::invalid(kind, meta::name(&new), &errors))
    }
}

/// Takes from `wanted` what the endpoint writes, and all else from the live object.
fn keep_what_is_not_written(kind: &Kind, part: Part, live: &Value, mut wanted: Value) -> Value {
    let copy = |to: &mut Value, from: &Value, field: &str| match from.get(field) {
        Some(value) => to[field] = value.clone(),
        None => remove(to, field),
    };
    match part {
        Part::Main => {
            let kept = [
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "generateName",
            ];
            for field in kept {
                meta::set(&mut wanted, field, live["metadata"].get(field).cloned());
            }
            if kind.status {
                copy(&mut wanted, live, "status");
            }
            if kind.is(NAMESPACES) {
                copy(&mut wanted, live, "spec");
            }
            wanted
        }
        Part::Status => {
            let mut new = live.clone();
            copy(&mut new, &wanted, "status");
            let managed = wanted["metadata"]
                .get("managedFields")
                .or(live["metadata"].get("managedFields"));
            meta::set(&mut new, "managedFields", managed.cloned());
            new
        }
        Part::Finalize => {
            let mut new = live.clone();
            new["spec"]["finalizers"] = match wanted["spec"].get("finalizers") {
                Some(finalizers) => finalizers.clone(),
                None => Value::Array(Vec::new()),
            };
            new
        }
        Part::EphemeralContainers => {
            let mut new = live.clone();
            copy(&mut new["spec"], &wanted["spec"], "ephemeralContainers");
            new
        }
        Part::Approval => {
            let mut new = live.clone();
            copy(&mut new["status"], &wanted["status"], "conditions");
            new
        }
    }
}

/// Whether the desired state changes: everything but metadata, and but status where that is a subresource.
fn differs_in_substance(kind: &Kind, live: &Value, new: &Value) -> bool {
    let substance = |object: &Value| {
        let mut object = object.clone();
        for field in ["metadata", "apiVersion"] {
            remove(&mut object, field);
        }
        if kind.status {
            remove(&mut object, "status");
        }
        object
    };
    substance(live) != substance(new)
}

/// What is being deleted may only lose finalizers.
fn new_finalizers(live: &Value, new: &Value) -> Option<FieldError> {
    if !meta::is_deleting(live) {
        return None;
    }
    let known: Vec<&str> = meta::finalizers(live).collect();
    let added: Vec<String> = meta::finalizers(new)
        .filter(|name| !known.contains(name))
        .map(|name| format!("{name:?}"))
        .collect();
    (!added.is_empty()).then(|| {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        FieldError::forbidden("metadata.finalizers", detail)
    })
}
