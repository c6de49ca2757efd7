//! Reviews: who am I, and may I? Whoever is let in may do everything.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::negotiate::{Format, object_format};
use super::status::Failure;
use super::{Api, Call, ResponseBody, body, tokens};
use crate::schema::FieldError;

pub(crate) fn answer(api: &Api, kind: &Kind, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    if !matches!(object_format(&call.headers, &call.query)?, Format::Whole) {
        return Err(Failure::not_acceptable("application/json"));
    }
    let mut review = body::decode(&call.headers, &call.body)?;
    let Value::Object(fields) = &mut review else {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object",
        ));
    };
    let spec = &fields.get("spec").cloned().unwrap_or_default();
    if kind.kind.ends_with("AccessReview")
        && spec["resourceAttributes"].is_null() == spec["nonResourceAttributes"].is_null()
    {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let error = FieldError::invalid("spec.resourceAttributes", spec["resourceAttributes"].clone(), why);
        return Err(Failure::invalid(kind, "", &[error]));
    }
    let status = match kind.kind.as_str() {
        "TokenReview" => tokens::review(api, spec),
        "SelfSubjectReview" => json!({"userInfo": {"username": call.user.name, "groups": call.user.groups}}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true, "reason": "everyone who is authenticated may do everything"}),
    };
    fields.insert("apiVersion".to_owned(), kind.api_version().into());
    fields.insert("kind".to_owned(), kind.kind.as_str().into());
    fields.insert("status".to_owned(), status);
    Ok(super::json(StatusCode::CREATED, &review))
}
