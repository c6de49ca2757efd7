//! Patches: JSON patch, merge patch, strategic merge patch, and server-side apply.

use std::sync::Arc;

use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::super::kinds::Kind;
use super::super::negotiate::object_format;
use super::super::status::Failure;
use super::super::{Api, Call, ResponseBody, Target, body, meta};
use super::admission::{Ownership, Part, decode_patched, prune_patched, remove};
use super::{WriteOptions, Written, check_type, create_owned, modify};
use crate::apply::{self, ApplyError};
use crate::patch::{self, PatchError};
use crate::schema::{FieldError, Structural};

pub(crate) async fn patch(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let options = WriteOptions::parse(call)?;
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
    let document = || document(media_type, bytes);
    let (document, merge): (Value, Merge) = match media_type {
        "application/json-patch+json" => (document()?, |live, patch, _| patch::json_patch(live, patch)),
        "application/merge-patch+json" => (document()?, |live, patch, _| patch::merge_patch(live, patch)),
        "application/strategic-merge-patch+json" if !kind.custom => (document()?, patch::strategic_merge),
        "application/strategic-merge-patch+json" => {
            let accepted =
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(Failure::unsupported_media_type(accepted));
        }
        _ => {
            let (code, reason) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType");
            return Err(Failure::new(code, reason, "415: Unsupported Media Type"));
        }
    };
    let schema = kind.schema()?;
    let mut warnings = Vec::new();
    let mut written = modify(api, target, options, |live| {
        let mut patched = merge(live, &document, schema).map_err(|error| patch_failure(target, error))?;
        let uid = meta::string(&patched, "uid");
        if !uid.is_empty() && uid != meta::string(live, "uid") {
            let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
            return Err(Failure::invalid(kind, meta::name(live), &[error]));
        }
        check_type(&api.served(), target, &mut patched)?;
        decode_patched(kind, &document, &mut patched)?;
        warnings = prune_patched(kind, options, &document, &mut patched)?;
        Ok((patched, Ownership::Track))
    })
    .await?;
    written.warnings = warnings;
    Ok(written)
}

/// The patch, which is an object, or for a JSON patch a list.
fn document(media_type: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let refuse = |error: String| Failure::bad_request(error);
    let document = serde_json::from_slice::<Value>(bytes)
        .map_err(|error| refuse(format!("error decoding patch: {error}")))?;
    let found = match &document {
        Value::Null => return Ok(document),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wrong = |of: &str| format!("json: cannot unmarshal {found} into Go value of type {of}");
    let map = "map[string]interface {}";
    match (media_type, found) {
        ("application/json-patch+json", "array") => Ok(document),
        ("application/json-patch+json", _) => Err(refuse(format!(
            "error decoding patch: {}",
            wrong("[]handlers.jsonPatchOp")
        ))),
        (_, "object") => Ok(document),
        ("application/merge-patch+json", _) => Err(refuse(format!("error decoding patch: {}", wrong(map)))),
        _ => Err(refuse(wrong(map))),
    }
}

/// Why a patch was not applied to the object of `target`.
pub(crate) fn patch_failure(target: &Target, error: PatchError) -> Failure {
    let message = error.to_string();
    match error {
        PatchError::Malformed(_) => Failure::bad_request(message),
        PatchError::NoMergeKey(_) => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message),
        PatchError::TooLarge(_) => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        }
        PatchError::DoesNotApply(_) => {
            tracing::debug!(resource = %target.kind.resource(), name = ?target.name, %message, "patch refused");
            let message = "the server rejected our request due to an error in our request";
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
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
    check_type(&api.served(), target, &mut applied)?;
    if applied["metadata"].get("managedFields").is_some() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let part = Part::of(target);
    let schema = kind.schema()?;
    let version = kind.api_version();
    if kind.status && part == Part::Main {
        remove(&mut applied, "status");
    }
    let merge = |live: Option<&Value>| -> Result<(Value, Ownership), Failure> {
        let (uid, name) = (meta::string(&applied, "uid"), meta::name(&applied));
        if !uid.is_empty() && live.is_some_and(|live| meta::string(live, "uid") != uid) {
            let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
            return Err(Failure::invalid(kind, name, &[error]));
        }
        let (manager, force, subresource) = (&options.manager, options.force, part.subresource());
        let now = Timestamp::now();
        let merged =
            apply::server_side_apply(live, &applied, manager, force, schema, subresource, &version, now)
                .map_err(|error| apply_failure(target, &applied, error))?;
        Ok((merged, Ownership::Settled))
    };
    loop {
        let written = match modify(api, target, options, |live| merge(Some(live))).await {
            Err(failure) if failure.code() == StatusCode::NOT_FOUND && part == Part::Main => {
                if !meta::string(&applied, "uid").is_empty() {
                    return Err(Failure::modified(kind, target.name.as_deref().unwrap_or("")));
                }
                let (mut fresh, ownership) = merge(None)?;
                // kube-apiserver creates it whatever state was meant.
                meta::set(&mut fresh, "resourceVersion", None);
                match create_owned(api, target, options, fresh, ownership).await {
                    // Somebody was faster: the object is there to be changed now.
                    Err(failure) if failure.code() == StatusCode::CONFLICT => continue,
                    created => created?,
                }
            }
            modified => modified?,
        };
        return Ok(written);
    }
}

fn apply_failure(target: &Target, applied: &Value, error: ApplyError) -> Failure {
    let message = error.to_string();
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts
                .into_iter()
                .map(|conflict| (conflict.field, conflict.message));
            Failure::apply_conflict(message, causes)
        }
        ApplyError::Invalid(_) => Failure::bad_request(message),
        ApplyError::Untyped(_) => {
            let Kind {
                group, version, kind, ..
            } = &*target.kind;
            let name = meta::name(applied);
            let name = match &target.namespace {
                Some(namespace) => format!("{namespace}/{name}"),
                None => format!("/{name}"),
            };
            let of = format!("{name}; {group}/{version}, Kind={kind}");
            let message = format!("failed to create typed patch object ({of}): {message}");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
        }
    }
}

/// Applies a merge patch to the main resource, for the subresource `scale` that is a view of it.
pub(crate) async fn merge_into(
    api: &Api,
    target: &Target,
    call: &Call,
    document: &Value,
) -> Result<Arc<Value>, Failure> {
    let options = WriteOptions::parse(call)?;
    let change = |live: &Value| {
        let changed = patch::merge_patch(live, document).map_err(|error| patch_failure(target, error))?;
        Ok((changed, Ownership::Scale))
    };
    modify(api, target, &options, change)
        .await
        .map(|written| written.object)
}
