//! Writing: create, update, patch. All three end in the same admission: prune, default, keep what is the
//! server's, validate, track ownership, store.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use super::kinds::{DEFINITIONS, Kind, LEASES, NAMESPACES};
use super::negotiate::{Format, object_format};
use super::route::Query;
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, body, builtin, convert, meta, read, table};
use crate::apply::{self, ApplyError};
use crate::engine::{Change, Expect, Stored, Write, WriteError};
use crate::patch::{self, PatchError};
use crate::schema::{FieldError, Structural};

/// Attempts at a write whose caller does not mind what else has changed meanwhile.
const ATTEMPTS: usize = 100;
/// Attempts at a random name.
const NAME_ATTEMPTS: usize = 8;
/// Longest prefix of a generated name.
const GENERATED_PREFIX: usize = 248;

/// The options of a write, from the query.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    manager: String,
    /// Whether `manager` was named by the client, and not derived from its user agent.
    explicit_manager: bool,
    validation: FieldValidation,
    force: bool,
}

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl WriteOptions {
    pub(crate) fn parse(query: &Query, headers: &HeaderMap) -> Result<Self, Failure> {
        let dry_run = match query.get("dryRun") {
            None => false,
            Some("All") => true,
            Some(other) => {
                let error = FieldError::not_supported("dryRun", other, ["All"]);
                return Err(Failure::invalid_options("WriteOptions", error));
            }
        };
        let validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let error = FieldError::not_supported("fieldValidation", other, ["Ignore", "Warn", "Strict"]);
                return Err(Failure::invalid_options("WriteOptions", error));
            }
        };
        let named = query.get("fieldManager");
        let agent = headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or("");
        let agent = agent
            .split('/')
            .next()
            .filter(|agent| !agent.is_empty())
            .unwrap_or("unknown");
        let manager = named.unwrap_or(agent);
        if manager.len() > 128 {
            let error = FieldError::invalid("fieldManager", manager, "may not be more than 128 bytes");
            return Err(Failure::invalid_options("WriteOptions", error));
        }
        Ok(WriteOptions {
            dry_run,
            manager: manager.to_owned(),
            explicit_manager: named.is_some(),
            validation,
            force: query.flag("force")?.unwrap_or(false),
        })
    }

    /// The options of what the server does by itself.
    pub(crate) fn of_server() -> Self {
        WriteOptions {
            dry_run: false,
            manager: "homeport".to_owned(),
            explicit_manager: true,
            validation: FieldValidation::Ignore,
            force: false,
        }
    }
}

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

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Main,
    Status,
    /// A namespace's `spec.finalizers`.
    Finalize,
}

impl Part {
    fn of(target: &Target) -> Self {
        match target.subresource.as_deref() {
            Some("status") => Part::Status,
            Some("finalize") => Part::Finalize,
            _ => Part::Main,
        }
    }

    /// The subresource as managed fields name it.
    fn subresource(self) -> &'static str {
        match self {
            Part::Main => "",
            Part::Status => "status",
            Part::Finalize => "finalize",
        }
    }
}

/// Who owns the fields that a write sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// Those that changed become the manager's.
    Track,
    /// Server-side apply has settled it already.
    Settled,
}

pub(crate) async fn create(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(&call.query, &call.headers)?;
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
    check_type(target, &mut object)?;
    if !meta::string(&object, "resourceVersion").is_empty() {
        return Err(Failure::bad_request(
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
                    object: stored.value,
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

/// Secrets stay in memory, so that no value of one ever reaches the disk. Helm's records of its releases are
/// Secrets by type only; without them Helm would forget at a restart what it has installed.
pub(crate) fn is_durable(kind: &Kind, object: &Value) -> bool {
    !kind.memory_only() || object["type"] == "helm.sh/release.v1"
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
fn check_type(target: &Target, object: &mut Value) -> Result<(), Failure> {
    let kind = &target.kind;
    if !meta::has_shape(object) {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object with metadata",
        ));
    }
    for (field, expected) in [("apiVersion", kind.api_version()), ("kind", kind.kind.clone())] {
        match &object[field] {
            Value::Null => object[field] = expected.into(),
            Value::String(found) if *found == expected => {}
            found => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({found}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    meta::normalize(object);
    let found = meta::string(object, "namespace");
    match &target.namespace {
        Some(namespace) if found.is_empty() => {
            meta::set(object, "namespace", Some(namespace.as_str().into()))
        }
        Some(namespace) if found != namespace => {
            return Err(Failure::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request \
                 ({found} and {namespace})"
            )));
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
    if meta::is_deleting(&found.value) {
        return Err(Failure::namespace_terminating(&target.kind, name, namespace));
    }
    Ok(())
}

/// Turns what a client sent into what will be stored as a new object.
fn admit_new(
    target: &Target,
    options: &WriteOptions,
    mut object: Value,
    ownership: Ownership,
) -> Result<(Value, Vec<String>), Failure> {
    let kind = &target.kind;
    let schema = kind.schema()?;
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
    let mut errors = meta::validate(&object, kind.namespaced, strict_names(kind));
    errors.extend(builtin::validate(kind, &object, None)?);
    if !errors.is_empty() {
        return Err(Failure::invalid(kind, meta::name(&object), &errors));
    }
    Ok((convert::to_stored(kind, object), warnings))
}

/// Roles and what binds them may have any name that fits into a path.
fn strict_names(kind: &Kind) -> bool {
    kind.group != "rbac.authorization.k8s.io"
}

pub(super) fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove(field);
    }
}

/// Drops unknown fields, and says so as the client wants it.
fn prune(kind: &Kind, options: &WriteOptions, object: &mut Value) -> Result<Vec<String>, Failure> {
    let dropped = kind.schema()?.prune(object);
    let unknown: Vec<String> = dropped
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    match options.validation {
        FieldValidation::Strict if !unknown.is_empty() => Err(Failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
            kind.version,
            unknown.join(", "),
            kind = kind.kind,
        ))),
        FieldValidation::Ignore => Ok(Vec::new()),
        _ => Ok(unknown),
    }
}

/// Whether an update need not say which state it replaces.
fn may_replace_unseen(kind: &Kind) -> bool {
    !kind.custom && !kind.is(DEFINITIONS) && !kind.is(LEASES)
}

pub(crate) async fn update(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let mut object = body::decode(&call.headers, &call.body)?;
    check_type(target, &mut object)?;
    let kind = &target.kind;
    if meta::string(&object, "resourceVersion").is_empty() && !may_replace_unseen(kind) {
        let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        return Err(Failure::invalid(kind, meta::name(&object), &[error]));
    }
    let warnings = prune(kind, &options, &mut object)?;
    let mut written = modify(api, target, &options, |_| Ok((object.clone(), Ownership::Track))).await?;
    written.warnings = warnings;
    Ok(written.respond(&target.kind, format))
}

pub(crate) async fn patch(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let written = patch_object(api, target, &options, body::media_type(&call.headers), &call.body).await?;
    Ok(written.respond(&target.kind, format))
}

/// Makes the new object from the live one, the patch and the schema.
type Merge = fn(&Value, &Value, &Structural) -> Result<Value, PatchError>;

/// Applies a patch in any of the four formats.
async fn patch_object(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    media_type: &str,
    bytes: &[u8],
) -> Result<Written, Failure> {
    if media_type == "application/apply-patch+yaml" {
        return server_side_apply(api, target, options, body::yaml(bytes)?).await;
    }
    if options.force {
        let why = "may not be specified for non-apply patch";
        return Err(Failure::invalid_options(
            "PatchOptions",
            FieldError::forbidden("force", why),
        ));
    }
    let kind = &target.kind;
    let document = || {
        serde_json::from_slice::<Value>(bytes)
            .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))
    };
    let (document, merge): (Value, Merge) = match media_type {
        "application/json-patch+json" => (document()?, |live, patch, _| patch::json_patch(live, patch)),
        "application/merge-patch+json" => (document()?, |live, patch, _| patch::merge_patch(live, patch)),
        "application/strategic-merge-patch+json" if !kind.custom => (document()?, patch::strategic_merge),
        _ => {
            let strategic = if kind.custom {
                ""
            } else {
                ", application/strategic-merge-patch+json"
            };
            return Err(Failure::unsupported_media_type(&format!(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml{strategic}"
            )));
        }
    };
    let schema = kind.schema()?;
    let mut warnings = Vec::new();
    let mut written = modify(api, target, options, |live| {
        let mut patched = merge(live, &document, schema).map_err(|error| patch_failure(target, error))?;
        check_type(target, &mut patched)?;
        warnings = prune(kind, options, &mut patched)?;
        Ok((patched, Ownership::Track))
    })
    .await?;
    written.warnings = warnings;
    Ok(written)
}

/// Why a patch was not applied to the object of `target`.
pub(super) fn patch_failure(target: &Target, error: PatchError) -> Failure {
    let message = error.to_string();
    match error {
        PatchError::Malformed(_) => Failure::bad_request(message),
        PatchError::TooLarge(_) => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        }
        PatchError::DoesNotApply(_) => {
            let name = target.name.as_deref().unwrap_or("");
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(&target.kind, name)
        }
    }
}

async fn server_side_apply(
    api: &Api,
    target: &Target,
    options: &WriteOptions,
    mut applied: Value,
) -> Result<Written, Failure> {
    let kind = &target.kind;
    if !options.explicit_manager {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(Failure::invalid_options("PatchOptions", error));
    }
    for field in ["apiVersion", "kind"] {
        if !applied[field].is_string() {
            let what = format!("{field} must be set in the applied object");
            return Err(Failure::bad_request(what));
        }
    }
    check_type(target, &mut applied)?;
    if applied["metadata"].get("managedFields").is_some() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let warnings = prune(kind, options, &mut applied)?;
    let part = Part::of(target);
    let schema = kind.schema()?;
    let version = kind.api_version();
    if kind.status && part == Part::Main {
        remove(&mut applied, "status");
    }
    let merge = |live: Option<&Value>| -> Result<(Value, Ownership), Failure> {
        let (manager, force, subresource) = (&options.manager, options.force, part.subresource());
        let now = Timestamp::now();
        apply::server_side_apply(live, &applied, manager, force, schema, subresource, &version, now)
            .map(|merged| (merged, Ownership::Settled))
            .map_err(apply_failure)
    };
    loop {
        let mut written = match modify(api, target, options, |live| merge(Some(live))).await {
            Err(failure) if failure.code() == StatusCode::NOT_FOUND && part == Part::Main => {
                if ["resourceVersion", "uid"]
                    .iter()
                    .any(|field| !meta::string(&applied, field).is_empty())
                {
                    return Err(Failure::modified(kind, target.name.as_deref().unwrap_or("")));
                }
                let (fresh, ownership) = merge(None)?;
                match create_owned(api, target, options, fresh, ownership).await {
                    // Somebody was faster: the object is there to be changed now.
                    Err(failure) if failure.code() == StatusCode::CONFLICT => continue,
                    created => created?,
                }
            }
            modified => modified?,
        };
        written.warnings = warnings;
        return Ok(written);
    }
}

fn apply_failure(error: ApplyError) -> Failure {
    let message = error.to_string();
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts
                .into_iter()
                .map(|conflict| (conflict.field, conflict.message));
            Failure::apply_conflict(message, causes)
        }
        ApplyError::Invalid(_) => Failure::bad_request(message),
    }
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
        let shown = convert::from_stored(kind, &live.value);
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

/// Applies a merge patch to the main resource, for the subresources that are views of it.
pub(super) async fn merge_into(
    api: &Api,
    target: &Target,
    call: &Call,
    document: &Value,
) -> Result<Arc<Value>, Failure> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let change = |live: &Value| {
        let changed = patch::merge_patch(live, document).map_err(|error| patch_failure(target, error))?;
        Ok((changed, Ownership::Track))
    };
    modify(api, target, &options, change)
        .await
        .map(|written| written.object)
}

/// Turns what a write wants `live` to be into what may be stored.
fn admit_change(
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
    if ownership == Ownership::Track {
        let (manager, version, time) = (&options.manager, kind.api_version(), Timestamp::now());
        apply::track_update(
            Some(live),
            &mut new,
            manager,
            "Update",
            part.subresource(),
            &version,
            schema,
            time,
        );
    }
    let mut errors = meta::validate(&new, kind.namespaced, strict_names(kind));
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
    if is_same(&live.value, &new) {
        return Ok(done(Arc::clone(&live.value)));
    }
    if options.dry_run {
        return Ok(done(Arc::new(new)));
    }
    let ends = meta::is_deleting(&new) && !meta::is_held(&new);
    let durable = is_durable(&target.kind, &new);
    let key = target.key(meta::name(&live.value));
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
    api.engine().write(write).await.map(|stored| done(stored.value))
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
