//! The options of a write, as queries carry them.

use http::{HeaderMap, header};

use super::super::route::Query;
use super::super::status::Failure;
use crate::schema::FieldError;

/// The options of a write, from the query.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(super) manager: String,
    /// Whether `manager` was named by the client, and not derived from its user agent.
    pub(super) explicit_manager: bool,
    pub(super) validation: FieldValidation,
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
            manager: "homeport-store".to_owned(),
            explicit_manager: true,
            validation: FieldValidation::Ignore,
            force: false,
        }
    }
}
