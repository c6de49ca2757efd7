//! Writing: create, update, patch. All pass the same [`admission`] and end in one conditional write, which is tried
//! again if somebody else was faster and the client did not insist on the state that it had seen.

mod admission;
mod options;
mod patch;

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::Value;

pub(crate) use self::options::WriteOptions;
pub(crate) use self::patch::{merge_into, patch, patch_failure};

use self::admission::{Ownership, admit_change, admit_new, decode, prune, remove};
use super::kinds::{DEFINITIONS, EVENTS, Kind, LEASES};
use super::negotiate::{Format, object_format};
use super::registry::Served;
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, body, convert, crd, meta, read, table};
use crate::engine::{Change, Expect, RELEASE_SECRET, Stored, Write, WriteError};
use crate::schema::FieldError;

/// Attempts at a write whose caller does not mind what else has changed meanwhile.
const ATTEMPTS: usize = 100;
/// Attempts at a random name.
const NAME_ATTEMPTS: usize = 8;
/// Longest prefix of a generated name.
const GENERATED_PREFIX: usize = 248;

/// What a write led to.
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    created: bool,
    warnings: Vec<String>,
}

impl Written {
    pub(crate) fn respond(self, kind: &Kind, format: Format) -> Response<ResponseBody> {
        let code = if self.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let mut response = super::json(code, &table::present(format, kind, &self.object, true));
        for warning in &self.warnings {
            super::warn(&mut response, warning);
        }
        response
    }
}

pub(crate) async fn create(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(call)?;
    let object = body::decode(&call.headers, &call.body)?;
    let written = create_object(api, target, &options, object).await?;
    Ok(written.respond(&target.kind, format))
}

/// Creates an object that is given in the kind's version.
pub(crate) async fn create_object(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    object: Value,
) -> Result<Written, Failure> {
    create_owned(api, target, options, object, Ownership::Track).await
}

async fn create_owned(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    mut object: Value,
    ownership: Ownership,
) -> Result<Written, Failure> {
    let kind = &target.kind;
    check_type(&api.served(), target, &mut object)?;
    if !meta::string(&object, "resourceVersion").is_empty() {
        return Err(Failure::unreasoned(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let prefix = meta::string(&object, "generateName").to_owned();
    let generated = meta::name(&object).is_empty() && !prefix.is_empty();
    check_namespace(api, target, meta::name(&object)).await?;
    let mut attempts = if generated { NAME_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let mut attempt = object.clone();
        if generated {
            meta::set(&mut attempt, "name", Some(generate_name(&prefix).into()));
        }
        let (admitted, warnings) = admit_new(target, options, attempt, ownership)?;
        if kind.is(DEFINITIONS) {
            check_names(api, kind, &admitted)?;
        }
        let name = meta::name(&admitted).to_owned();
        let key = target.key(&name);
        let exists = || Failure::already_exists(kind, &name);
        if options.dry_run {
            if api.engine().read(|memory| memory.get(&key).is_some()) {
                return Err(exists());
            }
            return Ok(Written {
                object: Arc::new(admitted),
                created: true,
                warnings,
            });
        }
        let durable = is_durable(kind, &admitted);
        let write = Write {
            key,
            expect: Expect::Absent,
            change: Change::Put(admitted),
            durable,
        };
        match api.engine().write(write).await {
            Ok(stored) => {
                return Ok(Written {
                    object: stored.value(),
                    created: true,
                    warnings,
                });
            }
            Err(WriteError::Conflict) if attempts > 0 => {}
            Err(WriteError::Conflict) => return Err(exists()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn check_names(api: &Api, kind: &Kind, definition: &Value) -> Result<(), Failure> {
    let errors = crd::taken_names(definition, &api.served());
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(kind, meta::name(definition), &errors))
    }
}

/// Secrets stay in memory, so that no value of one ever reaches the disk. Helm's records of its releases are
/// Secrets by type only; without them Helm would forget at a restart what it has installed.
pub(crate) fn is_durable(kind: &Kind, object: &Value) -> bool {
    !kind.memory_only() || object["type"] == RELEASE_SECRET
}

/// A prefix and five characters that cannot form words.
fn generate_name(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let end = prefix
        .char_indices()
        .map(|(index, _)| index)
        .nth(GENERATED_PREFIX)
        .unwrap_or(prefix.len());
    let suffix = (0..5).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    prefix[..end].chars().chain(suffix).collect()
}

/// The object must be of the kind and in the namespace that the path names; what it leaves out is filled in.
fn check_type(served: &Served, target: &Target, object: &mut Value) -> Result<(), Failure> {
    let kind = &target.kind;
    if !meta::has_shape(object) {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object with metadata",
        ));
    }
    if kind.custom && object["kind"].is_null() {
        return Err(Failure::bad_request(format!(
            "Object 'Kind' is missing in '{object}'"
        )));
    }
    for (field, expected) in [("apiVersion", kind.api_version()), ("kind", kind.kind.clone())] {
        match &object[field] {
            Value::Null => object[field] = expected.into(),
            Value::String(found) if *found == expected => {}
            _ => return Err(Failure::bad_request(other_type(served, kind, object))),
        }
    }
    meta::normalize(object);
    let found = meta::string(object, "namespace");
    match &target.namespace {
        Some(namespace) if found.is_empty() => {
            meta::set(object, "namespace", Some(namespace.as_str().into()))
        }
        Some(namespace) if found != namespace => {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        _ => {}
    }
    if let Some(name) = &target.name {
        match meta::name(object) {
            "" => meta::set(object, "name", Some(name.as_str().into())),
            found if found != name => {
                return Err(Failure::bad_request(format!(
                    "the name of the object ({found}) does not match the name on the URL ({name})"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// New objects need a namespace that lives, and a definition that does.
async fn check_namespace(api: &Api, target: &Target, name: &str) -> Result<(), Failure> {
    if target.kind.terminating {
        return Err(Failure::method_not_allowed(&target.kind, "create"));
    }
    let Some(namespace) = &target.namespace else {
        return Ok(());
    };
    let served = api.served();
    let Some(namespaces) = served.find("", "v1", "namespaces") else {
        return Ok(());
    };
    let within = Target {
        kind: Arc::clone(namespaces),
        namespace: None,
        name: None,
        subresource: None,
    };
    let found = read::find(api, &within, namespace)?;
    if found.is_deleting() {
        return Err(Failure::namespace_terminating(&target.kind, name, namespace));
    }
    Ok(())
}

/// What is said of an object of another kind or version than that of the path.
fn other_type(served: &Served, kind: &Kind, object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or("");
    let (found_version, found_kind) = (text("apiVersion"), text("kind"));
    let expected = kind.api_version();
    if kind.custom {
        return if found_version == expected {
            format!(
                "the kind in the data ({found_kind}) does not match the expected kind ({})",
                kind.kind
            )
        } else {
            format!(
                "the API version in the data ({found_version}) does not match the expected API version ({expected})"
            )
        };
    }
    let (group, version) = found_version.split_once('/').unwrap_or(("", found_version));
    let known = served
        .kinds()
        .any(|other| other.group == group && other.version == version && other.kind == found_kind);
    let why = if known {
        let internal = if kind.group.is_empty() {
            "core"
        } else {
            kind.group.split('.').next().unwrap_or("")
        };
        format!(
            "converting ({version}.{found_kind}) to ({internal}.{}): unknown conversion",
            kind.kind
        )
    } else {
        format!(
            "no kind {found_kind:?} is registered for version {found_version:?} in scheme \
             \"pkg/api/legacyscheme/scheme.go:30\""
        )
    };
    format!(
        "{found_kind} in version {version:?} cannot be handled as a {}: {why}",
        kind.kind
    )
}

/// Whether an update need not say which state it replaces.
fn may_replace_unseen(kind: &Kind) -> bool {
    !kind.custom && !kind.is(DEFINITIONS) && !kind.is(LEASES)
}

/// Whether an update of what is not there creates it.
fn may_create_by_update(kind: &Kind) -> bool {
    kind.is(LEASES) || kind.is(EVENTS) || kind.group == "rbac.authorization.k8s.io"
}

fn exists(api: &Api, target: &Target) -> bool {
    let name = target.name.as_deref().unwrap_or("");
    read::find(api, target, name).is_ok()
}

pub(crate) async fn update(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(call)?;
    let mut object = body::decode(&call.headers, &call.body)?;
    check_type(&api.served(), target, &mut object)?;
    let kind = &target.kind;
    decode(kind, &mut object)?;
    let seen = meta::string(&object, "resourceVersion");
    if !seen.is_empty() && seen.parse::<u64>().is_err() {
        return Err(Failure::unreasoned(format!(
            "strconv.ParseUint: parsing {seen:?}: invalid syntax"
        )));
    }
    if seen.is_empty() && may_create_by_update(kind) && !exists(api, target) {
        let written = create_object(api, target, &options, object).await?;
        return Ok(written.respond(kind, format));
    }
    if seen.is_empty() && !may_replace_unseen(kind) {
        read::find(api, target, target.name.as_deref().unwrap_or(""))?;
        let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        // Named by the resource here, and not by the kind.
        return Err(Failure::invalid_kind(
            &kind.plural,
            &kind.group,
            meta::name(&object),
            &[error],
        ));
    }
    let warnings = prune(kind, &options, &mut object)?;
    let mut written = modify(api, target, &options, |_| Ok((object.clone(), Ownership::Track))).await?;
    written.warnings = warnings;
    Ok(written.respond(&target.kind, format))
}

/// Changes an object as often as it takes to do so without losing anybody's change.
///
/// `change` makes the new object from the live one, both in the kind's version. If it sets a resource version,
/// that must be the live object's.
async fn modify(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    mut change: impl FnMut(&Value) -> Result<(Value, Ownership), Failure>,
) -> Result<Written, Failure> {
    let kind = &target.kind;
    let name = target.name.as_deref().unwrap_or("");
    for _ in 0..ATTEMPTS {
        let live = read::find(api, target, name)?;
        let object = live.value();
        let shown = convert::from_stored(kind, &object);
        let (new, ownership) = change(&shown)?;
        let demanded = meta::string(&new, "resourceVersion").to_owned();
        if !demanded.is_empty() && demanded != live.revision.to_string() {
            return Err(Failure::modified(kind, name));
        }
        let uid = meta::string(&new, "uid");
        if !uid.is_empty() && uid != meta::string(&shown, "uid") {
            let live = meta::string(&shown, "uid");
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {live}");
            return Err(Failure::conflict(kind, name, &why));
        }
        let admitted = admit_change(target, options, &shown, new, ownership)?;
        if kind.is(DEFINITIONS) {
            check_names(api, kind, &admitted)?;
        }
        match store_change(api, target, options, &live, admitted).await {
            Err(WriteError::Conflict) => {}
            stored => return Ok(stored?),
        }
    }
    Err(Failure::modified(kind, name))
}

/// Changes an object on behalf of the server itself; `None` leaves it as it is.
pub(crate) async fn modify_by_server(
    api: &Api,
    target: &Target,
    mut change: impl FnMut(&Value) -> Option<Value>,
) -> Result<(), Failure> {
    let change = |live: &Value| {
        let changed = change(live).unwrap_or_else(|| live.clone());
        Ok((changed, Ownership::Track))
    };
    match modify(api, target, &WriteOptions::of_server(), change).await {
        Err(failure) if failure.code() == StatusCode::NOT_FOUND => Ok(()),
        modified => modified.map(|_| ()),
    }
}

/// Stores an admitted change of `live`, unless it changes nothing.
async fn store_change(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    live: &Stored,
    admitted: Value,
) -> Result<Written, WriteError> {
    let new = convert::to_stored(&target.kind, admitted);
    let done = |object: Arc<Value>| Written {
        object,
        created: false,
        warnings: Vec::new(),
    };
    if is_same(&live.value(), &new) {
        return Ok(done(live.value()));
    }
    if options.dry_run {
        return Ok(done(Arc::new(new)));
    }
    let ends = meta::is_deleting(&new) && !meta::is_held(&new);
    let durable = is_durable(&target.kind, &new);
    let key = target.key(meta::name(&live.value()));
    let change = if ends {
        Change::Delete(new)
    } else {
        Change::Put(new)
    };
    let write = Write {
        key,
        expect: Expect::Revision(live.revision),
        change,
        durable,
    };
    api.engine().write(write).await.map(|stored| done(stored.value()))
}

/// Whether two states differ in nothing but when somebody last wrote them.
fn is_same(old: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object
            .pointer_mut("/metadata/managedFields")
            .and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            remove(entry, "time");
        }
        object
    };
    timeless(old) == timeless(new)
}
