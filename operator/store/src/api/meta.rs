//! `metadata`: what the server keeps there, and what clients may.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::schema::FieldError;

pub(crate) const LABEL_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters \
     or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
     'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
     '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
     validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
     '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
     '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// A label's value, and its name without prefix.
const LABEL_BYTES: usize = 63;
/// All annotations of an object together.
const ANNOTATION_BYTES: usize = 256 << 10;

/// Now, in the form of `metav1.Time`.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn string<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or("")
}

pub(crate) fn name(object: &Value) -> &str {
    string(object, "name")
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether something keeps a deleted object: its finalizers, or those of a namespace's spec.
pub(crate) fn is_held(object: &Value) -> bool {
    let of_namespace = object["kind"] == "Namespace"
        && object["apiVersion"] == "v1"
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|finalizers| !finalizers.is_empty());
    of_namespace || finalizers(object).next().is_some()
}

/// Adds a finalizer, if `condition` holds and it is not there.
pub(crate) fn add_finalizer(object: &mut Value, finalizer: &str, condition: bool) {
    if !condition || finalizers(object).any(|found| found == finalizer) {
        return;
    }
    match object
        .pointer_mut("/metadata/finalizers")
        .and_then(Value::as_array_mut)
    {
        Some(finalizers) => finalizers.push(finalizer.into()),
        None => set(object, "finalizers", Some(vec![finalizer].into())),
    }
}

pub(crate) fn remove_finalizer(object: &mut Value, finalizer: &str) {
    if let Some(finalizers) = object
        .pointer_mut("/metadata/finalizers")
        .and_then(Value::as_array_mut)
    {
        finalizers.retain(|found| found != finalizer);
    }
    normalize(object);
}

/// Drops what `metav1.ObjectMeta` does not write: empty lists and maps, nulls, empty strings.
pub(crate) fn normalize(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

/// Whether `object` is a JSON object with, if any, an object as `metadata`; adds an empty one if there is none.
pub(crate) fn has_shape(object: &mut Value) -> bool {
    let Value::Object(fields) = object else {
        return false;
    };
    let metadata = fields.entry("metadata").or_insert(Value::Null);
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.is_object()
}

/// Sets a field of `metadata`, or removes it if there is no value.
/// Moves the fields `first` to the front of an object.
pub(crate) fn lead_with(object: &mut Value, first: [&str; 2]) {
    let Value::Object(fields) = object else { return };
    for (place, field) in first.into_iter().enumerate() {
        if let Some(value) = fields.shift_remove(field) {
            fields.shift_insert(place.min(fields.len()), field.to_owned(), value);
        }
    }
}

pub(crate) fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    match value {
        Some(value) if !value.is_null() => drop(metadata.insert(field.to_owned(), value)),
        _ => drop(metadata.shift_remove(field)),
    }
}

/// What is wrong with names, labels, annotations, finalizers and owners.
/// `wrong_name` says so of the name.
pub(crate) fn validate(
    object: &Value,
    namespaced: bool,
    wrong_name: impl Fn(&str) -> Option<String>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = &object["metadata"];
    let name = name(object);
    // Something follows it that may end a name.
    let prefix = string(object, "generateName");
    let begun = prefix.strip_suffix('-').map(|begin| format!("{begin}a"));
    if let Some(detail) = Some(begun.as_deref().unwrap_or(prefix))
        .filter(|begun| !begun.is_empty())
        .and_then(&wrong_name)
    {
        errors.push(FieldError::invalid("metadata.generateName", prefix, detail));
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Some(detail) = wrong_name(name) {
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if !namespaced && metadata["namespace"].is_string() {
        errors.push(FieldError::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        for wrong in wrong_qualified(key) {
            errors.push(FieldError::invalid("metadata.labels", key.as_str(), wrong));
        }
        let text = value.as_str().unwrap_or("");
        if text.len() > LABEL_BYTES {
            let detail = format!("must be no more than {LABEL_BYTES} bytes");
            errors.push(FieldError::invalid("metadata.labels", value.clone(), detail));
        } else if !is_label_value(text) {
            errors.push(FieldError::invalid(
                "metadata.labels",
                value.clone(),
                LABEL_VALUE_RULE,
            ));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        for wrong in wrong_qualified(&key.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", key.as_str(), wrong));
        }
    }
    if size > ANNOTATION_BYTES {
        let kind = crate::schema::FieldErrorKind::TooLong;
        let detail = format!("may not be more than {ANNOTATION_BYTES} bytes");
        errors.push(FieldError::new("metadata.annotations", kind, "", detail));
    }
    for finalizer in finalizers(object) {
        for wrong in wrong_qualified(finalizer) {
            errors.push(FieldError::invalid("metadata.finalizers", finalizer, wrong));
        }
    }
    let mut controllers = Vec::new();
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for (field, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().unwrap_or("").is_empty() {
                let path = format!("metadata.ownerReferences.{field}");
                errors.push(FieldError::invalid(path, "", detail));
            }
        }
        if owner["controller"] == true {
            let text = |field: &str| owner[field].as_str().unwrap_or("");
            controllers.push(format!("{}/{}", text("kind"), text("name")));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        errors.push(FieldError::invalid(
            "metadata.ownerReferences",
            metadata["ownerReferences"].clone(),
            detail,
        ));
    }
    errors
}

/// What is wrong with a name that must be an RFC 1123 subdomain.
pub(crate) fn wrong_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!is_subdomain(name)).then(|| SUBDOMAIN_RULE.to_owned())
}

/// RFC 1123 subdomain.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text
            .split('.')
            .all(|part| is_dns_part(part, char::is_alphanumeric))
}

/// RFC 1035 label.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text, char::is_alphabetic)
}

fn is_dns_part(text: &str, first: fn(char) -> bool) -> bool {
    text.starts_with(first)
        && !text.ends_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What is wrong with a name that must be `name` or `prefix/name`, the prefix being a DNS subdomain.
pub(crate) fn wrong_qualified(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (prefix, name) = match text.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {QUALIFIED_RULE} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    match prefix.map(|prefix| (prefix, wrong_subdomain(prefix))) {
        Some(("", _)) => wrong.push("prefix part must be non-empty".to_owned()),
        Some((_, Some(detail))) => wrong.push(format!("prefix part {detail}")),
        _ => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_BYTES {
        wrong.push(format!("name part must be no more than {LABEL_BYTES} bytes"));
    }
    if name.is_empty() || !has_label_form(name) {
        wrong.push(format!("name part {QUALIFIED_RULE}"));
    }
    wrong
}

/// What the value of a label may be.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.len() <= LABEL_BYTES && has_label_form(text)
}

fn has_label_form(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || (text.starts_with(edge)
            && text.ends_with(edge)
            && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"name": "a.b-c"}), &[])]
    #[case(json!({}), &["metadata.name"])]
    #[case(json!({"name": "A"}), &["metadata.name"])]
    #[case(json!({"name": "a", "labels": {"x/y": "v", "bad key": "v"}}), &["metadata.labels"])]
    #[case(json!({"name": "a", "labels": {"x": "-"}}), &["metadata.labels"])]
    #[case(json!({"name": "a", "finalizers": ["x.io/ok", "no no"]}), &["metadata.finalizers"])]
    #[case(json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "x"}]}),
        &["metadata.ownerReferences.uid"])]
    fn validates(#[case] metadata: Value, #[case] paths: &[&str]) {
        let errors = validate(&json!({"metadata": metadata}), true, wrong_subdomain);
        assert_eq!(
            errors.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(),
            paths
        );
    }
}
