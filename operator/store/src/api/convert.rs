//! Between the version that a request speaks and the one that objects are stored in.
//!
//! Custom resources differ in their `apiVersion` alone (conversion strategy `None`). Events are stored as the core
//! group's and also served as `events.k8s.io`, where many fields have other names.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::kinds::{EVENTS, Kind};

/// `events.k8s.io/v1` name, core name.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// A stored object as the kind's version shows it.
pub(crate) fn from_stored<'a>(kind: &Kind, stored: &'a Value) -> Cow<'a, Value> {
    let version = kind.api_version();
    let revision = stored["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok());
    if stored["apiVersion"] == version.as_str() && !may_lack_defaults(kind, revision.unwrap_or(0)) {
        return Cow::Borrowed(stored);
    }
    let mut shown = stored.clone();
    if kind.is(EVENTS) {
        rename(&mut shown, EVENT_FIELDS.iter().map(|(new, old)| (*old, *new)));
        if let Some(fields) = shown.as_object_mut() {
            // The core group writes these even if they are empty.
            fields.retain(|name, value| !(name.starts_with("reporting") && value == ""));
        }
    }
    shown["apiVersion"] = version.into();
    if kind.custom
        && let Ok(schema) = kind.schema()
    {
        // Each version has defaults of its own.
        schema.default_values(&mut shown);
    }
    Cow::Owned(shown)
}

/// Whether an object of that revision may be without what its schema has as defaults by now.
pub(crate) fn may_lack_defaults(kind: &Kind, revision: u64) -> bool {
    revision < kind.defaults_since
}

/// An object in the kind's version as it is stored.
pub(crate) fn to_stored(kind: &Kind, mut object: Value) -> Value {
    if object["apiVersion"] != kind.stored_as.as_str() {
        if kind.is(EVENTS) {
            rename(&mut object, EVENT_FIELDS.iter().copied());
        }
        object["apiVersion"] = kind.stored_as.as_str().into();
        if let Some(schema) = &kind.stored_schema {
            // The request was about another version, in which these fields are known.
            let _ = schema.prune(&mut object);
        }
    }
    object
}

/// Where a field of the kind's version is in stored objects, by its dotted path.
pub(crate) fn stored_path(kind: &Kind, path: &str) -> String {
    if kind.is(EVENTS) && path == "source" {
        return "source.component".to_owned();
    }
    if kind.is(EVENTS) && kind.api_version() != kind.stored_as {
        let (field, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        if let Some((_, old)) = EVENT_FIELDS.iter().find(|(new, _)| *new == field) {
            return format!("{old}{rest}");
        }
    }
    path.to_owned()
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    let Value::Object(fields) = object else { return };
    *fields = std::mem::take(fields)
        .into_iter()
        .map(
            |(name, value)| match names.clone().find(|(from, _)| *from == name) {
                Some((_, to)) => (to.to_owned(), value),
                None => (name, value),
            },
        )
        .collect::<Map<_, _>>();
}
