//! Refusals, worded and shaped as kube-apiserver's `Status` objects: clients decide by reason and code.

use std::fmt;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::{ResponseBody, full};
use crate::Error;
use crate::engine::{Expired, WriteError};
use crate::schema::FieldError;

/// A request that was not fulfilled, and why.
#[derive(Clone, PartialEq)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Clone, PartialEq)]
struct Parts {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
    continue_token: Option<String>,
    /// Told as text and not as a `Status`.
    plain: bool,
}

impl Failure {
    pub(crate) fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Failure(Box::new(Parts {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
            continue_token: None,
            plain: false,
        }))
    }

    fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.details.insert(name.to_owned(), value.into());
        self
    }

    /// Names the object meant, by its resource as most reasons do.
    pub(crate) fn about(self, kind: &Kind, name: &str) -> Self {
        let named = if name.is_empty() {
            self
        } else {
            self.detail("name", name)
        };
        let grouped = if kind.group.is_empty() {
            named
        } else {
            named.detail("group", kind.group.as_str())
        };
        grouped.detail("kind", kind.plural.as_str())
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// What kube-apiserver answers where it has no reason prepared, also to what is the client's fault.
    pub(crate) fn unreasoned(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// Nothing at all is served under the path; clients put what they asked for into their own words.
    pub(crate) fn page_not_found() -> Self {
        let mut failure = Self::new(StatusCode::NOT_FOUND, "NotFound", "404 page not found");
        failure.0.plain = true;
        failure
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.resource());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.resource());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.resource()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// The conflict of optimistic concurrency.
    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// Server-side apply met fields of other managers: `(field, message)` each.
    pub(crate) fn apply_conflict(
        message: impl Into<String>,
        causes: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let causes: Vec<Value> = causes
            .into_iter()
            .map(|(field, message)| json!({"reason": "FieldManagerConflict", "message": message, "field": field}))
            .collect();
        Self::new(StatusCode::CONFLICT, "Conflict", message).detail("causes", causes)
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    pub(crate) fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        Self::forbidden(kind, name, &why).detail("causes", cause)
    }

    pub(crate) fn method_not_allowed(kind: &Kind, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind {:?}",
            kind.resource()
        );
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(kind, "")
    }

    pub(crate) fn no_such_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The object as a whole is refused for what its fields hold.
    pub(crate) fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid_kind(&kind.kind, &kind.group, name, errors)
    }

    /// As [`Failure::invalid`], for objects that are no resource: the options of a request.
    pub(crate) fn invalid_kind(kind: &str, group: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let summary = if let [only] = texts.as_slice() {
            only.clone()
        } else {
            format!("[{}]", texts.join(", "))
        };
        let causes: Vec<Value> = errors
            .iter()
            .map(|error| json!({"reason": error.kind.reason(), "message": error.body(), "field": error.path}))
            .collect();
        let message = format!("{qualified} {name:?} is invalid: {summary}");
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        if !name.is_empty() {
            failure = failure.detail("name", name);
        }
        if !group.is_empty() {
            failure = failure.detail("group", group);
        }
        if !kind.is_empty() {
            failure = failure.detail("kind", kind);
        }
        failure.detail("causes", causes)
    }

    /// A query parameter or option is refused.
    pub(crate) fn invalid_options(options: &str, error: FieldError) -> Self {
        Self::invalid_kind(options, "meta.k8s.io", "", &[error])
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// A list that cannot be continued consistently; `token` continues it on the present state.
    pub(crate) fn continue_expired(token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can \
                       start a new list without the continue parameter, or use the continue token in this response \
                       to retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";
        let mut failure = Self::expired(message);
        failure.0.continue_token = Some(token);
        failure
    }

    pub(crate) fn too_large_resource_version(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let cause = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
            .detail("causes", cause)
            .detail("retryAfterSeconds", 1)
    }

    pub(crate) fn timeout(message: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", message)
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        let message = format!("Internal error occurred: {message}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    pub(crate) fn code(&self) -> StatusCode {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The `v1.Status` that tells the client.
    pub(crate) fn to_status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.0.continue_token {
            metadata.insert("continue".to_owned(), token.as_str().into());
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.0.message,
        });
        if !self.0.reason.is_empty() {
            status["reason"] = self.0.reason.into();
        }
        if !self.0.details.is_empty() {
            status["details"] = Value::Object(self.0.details.clone());
        }
        status["code"] = self.0.code.as_u16().into();
        status
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let (media_type, body) = if self.0.plain {
            ("text/plain; charset=utf-8", format!("{}\n", self.0.message))
        } else {
            ("application/json", format!("{}\n", self.to_status()))
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = self.0.code;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if self.0.code == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.code.as_u16(),
            self.0.reason,
            self.0.message
        )
    }
}

impl From<Expired> for Failure {
    fn from(expired: Expired) -> Self {
        Self::expired(expired.to_string())
    }
}

/// What the engine refused. Callers that can tell the object handle [`WriteError::Conflict`] themselves.
impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict => Self::new(StatusCode::CONFLICT, "Conflict", error.to_string()),
            WriteError::TooDeep => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", error.to_string()),
            WriteError::Storage(error) => match &*error {
                Error::DiskFull { .. } => Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "InsufficientStorage",
                    error.to_string(),
                ),
                Error::Closed => Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServiceUnavailable",
                    error.to_string(),
                ),
                _ => Self::internal(error),
            },
        }
    }
}
