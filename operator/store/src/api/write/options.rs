//! The options of a write, as queries carry them.

use http::{Method, header};
use serde_json::json;

use super::super::status::Failure;
use super::super::{Call, body};
use crate::schema::{FieldError, FieldErrorKind};

/// How long the name of a field manager may be, in bytes.
const MAX_MANAGER: usize = 128;

/// The options of a write, from the query.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(super) manager: String,
    /// Whether `manager` was named by the client, and not derived from its user agent.
    pub(super) explicit_manager: bool,
    pub(super) validation: FieldValidation,
    /// Fields that the body has more than once.
    pub(super) repeated: Vec<String>,
    pub(super) force: bool,
}

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl WriteOptions {
    pub(crate) fn parse(call: &Call) -> Result<Self, Failure> {
        let Call { query, headers, .. } = call;
        let refuse = |error: FieldError| {
            let options = match call.method {
                Method::POST => "CreateOptions",
                Method::PUT => "UpdateOptions",
                _ => "PatchOptions",
            };
            Err(Failure::invalid_options(options, error))
        };
        let dry_run = match query.get("dryRun") {
            None => false,
            Some("All") => true,
            Some(other) => return refuse(FieldError::not_supported("dryRun", json!([other]), ["All"])),
        };
        let validation = match query.get("fieldValidation") {
            None | Some("Warn" | "") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let known = ["", "Ignore", "Strict", "Warn"];
                return refuse(FieldError::not_supported("fieldValidation", other, known));
            }
        };
        let whole_object = matches!(call.method, Method::POST | Method::PUT);
        let repeated = match body::media_type(headers) {
            "" | "application/json" if whole_object => body::repeated_fields(&call.body),
            _ => Vec::new(),
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
        if manager.len() > MAX_MANAGER {
            let detail = format!("may not be more than {MAX_MANAGER} bytes");
            let kind = FieldErrorKind::TooLong;
            return refuse(FieldError::new("fieldManager", kind, "", detail));
        }
        if let Some((at, wrong)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(wrong));
            return refuse(FieldError::invalid("fieldManager", manager, detail));
        }
        Ok(WriteOptions {
            dry_run,
            manager: manager.to_owned(),
            explicit_manager: named.is_some(),
            validation,
            repeated,
            force: query.flag("force")?.unwrap_or(false),
        })
    }

    /// The options of what the server does by itself.
    pub(crate) fn of_server() -> Self {
        WriteOptions {
            dry_run: false,
            manager: "homeport-store".to_owned(),
            explicit_manager: true,
            validation: FieldValidation::Ignore,
            repeated: Vec::new(),
            force: false,
        }
    }
}
