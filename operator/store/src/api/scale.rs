//! The scale subresource: `autoscaling/v1` Scale as a view of the replicas of an object.

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::kinds::{Scale, ScaleSelector};
use super::negotiate::{Format, object_format};
use super::status::Failure;
use super::{Api, Call, ResponseBody, Target, body, meta, read, selector, table, write};
use crate::patch;
use crate::schema::FieldError;

pub(crate) async fn answer(
    api: &Api,
    target: &Target,
    call: &Call,
) -> Result<Response<ResponseBody>, Failure> {
    let format = object_format(&call.headers, &call.query)?;
    let respond = |shown: &Value| match format {
        Format::Table(include) => super::json(StatusCode::OK, &table::scale(include, shown)),
        Format::Whole | Format::Metadata => super::json(StatusCode::OK, shown),
    };
    let scale = target.kind.scale.as_ref().ok_or_else(Failure::no_such_path)?;
    let name = target.name.as_deref().unwrap_or("");
    let live = read::find(api, target, name)?;
    let shown = show(scale, &live.value());
    if call.method == Method::GET && target.kind.custom && replicas_of(scale, &live.value()).is_none() {
        let path = scale.spec_replicas.join(".");
        let why = format!("the spec replicas field \".{path}\" does not exist");
        return Err(Failure::internal(why));
    }
    let wanted = match call.method {
        Method::GET => return Ok(respond(&shown)),
        Method::PUT => body::decode(&call.headers, &call.body)?,
        Method::PATCH => {
            let document: Value = serde_json::from_slice(&call.body)
                .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
            match body::media_type(&call.headers) {
                "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                    patch::merge_patch(&shown, &document)
                }
                "application/json-patch+json" => patch::json_patch(&shown, &document),
                _ => {
                    let accepted = "application/json-patch+json, application/merge-patch+json";
                    return Err(Failure::unsupported_media_type(accepted));
                }
            }
            .map_err(|error| write::patch_failure(target, error))?
        }
        _ => return Err(Failure::no_such_method()),
    };
    let replicas = match wanted["spec"].get("replicas") {
        None => 0,
        Some(replicas) => replicas.as_i64().filter(|count| *count >= 0).ok_or_else(|| {
            let detail = match target.kind.custom {
                true => "should be a non-negative integer",
                false => "must be greater than or equal to 0",
            };
            let error = FieldError::invalid("spec.replicas", replicas.clone(), detail);
            Failure::invalid_kind("Scale", "autoscaling", name, &[error])
        })?,
    };
    let mut change = json!(replicas);
    for field in scale.spec_replicas.iter().rev() {
        change = Value::Object(Map::from_iter([(field.clone(), change)]));
    }
    let version = meta::string(&wanted, "resourceVersion");
    if !version.is_empty() && (call.method == Method::PUT || version != live.revision.to_string()) {
        change["metadata"] = json!({"resourceVersion": version});
    }
    let main = Target {
        kind: std::sync::Arc::clone(&target.kind),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        subresource: None,
    };
    let changed = write::merge_into(api, &main, call, &change).await?;
    Ok(respond(&show(scale, &changed)))
}

fn replicas_of(scale: &Scale, object: &Value) -> Option<i64> {
    let mut path = scale.spec_replicas.iter();
    path.try_fold(object, |value, field| value.get(field))?.as_i64()
}

fn show(scale: &Scale, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut shown = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            shown.insert(field.to_owned(), value.clone());
        }
    }
    let first = |path: &super::jsonpath::JsonPath| path.find(object).first().map(|value| (*value).clone());
    let mut status = json!({"replicas": first(&scale.status_replicas).unwrap_or_else(|| 0.into())});
    let selector = match &scale.selector {
        Some(ScaleSelector::Text(path)) => first(path),
        Some(ScaleSelector::Labels) => Some(selector::text_of(&object["spec"]["selector"]).into()),
        None => None,
    };
    if let Some(selector) = selector {
        status["selector"] = selector;
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": shown,
        "spec": {"replicas": replicas_of(scale, object).unwrap_or(0)},
        "status": status,
    })
}
