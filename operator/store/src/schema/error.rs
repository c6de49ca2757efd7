//! Field errors, worded as `k8s.io/apimachinery/pkg/util/validation/field` words them.

use std::fmt;

use serde_json::Value;

/// What is wrong with a field; decides the first words of the message and the `reason` of a status cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldErrorKind {
    /// A value that must be present is absent or empty.
    Required,
    /// The value is malformed or out of bounds.
    Invalid,
    /// As [`Self::Invalid`], of an object or a list, which is too big to print.
    InvalidWhole,
    /// The value is not one of the allowed values.
    NotSupported,
    /// The value has another type than the schema asks for.
    TypeInvalid,
    /// A string longer than allowed.
    TooLong,
    /// A list or map with more entries than allowed.
    TooMany,
    /// A value that would be fine elsewhere but may not be set here.
    Forbidden,
    /// A value that must be unique occurs twice.
    Duplicate,
    /// What the value names is not there.
    NotFound,
}

impl FieldErrorKind {
    /// The machine-readable `reason` that goes into `status.details.causes`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::InvalidWhole => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::InvalidWhole | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
        }
    }

    /// Kubernetes leaves the value out where it is absent, secret by nature or too big to print.
    fn prints_value(self) -> bool {
        !matches!(
            self,
            Self::Required | Self::Forbidden | Self::TooLong | Self::InvalidWhole
        )
    }
}

/// One thing wrong with one field of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    /// Where: `spec.containers[0].name`; `<nil>` stands for the object as a whole.
    pub(crate) path: String,
    /// What kind of wrong.
    pub(crate) kind: FieldErrorKind,
    /// The offending value.
    pub(crate) value: Value,
    /// What would be right.
    pub(crate) detail: String,
}

impl FieldError {
    /// An error of any kind.
    pub(crate) fn new(
        path: impl Into<String>,
        kind: FieldErrorKind,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            kind,
            value: value.into(),
            detail: detail.into(),
        }
    }

    /// A malformed value.
    pub(crate) fn invalid(
        path: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(path, FieldErrorKind::Invalid, value, detail)
    }

    /// A missing value.
    pub(crate) fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(path, FieldErrorKind::Required, Value::Null, detail)
    }

    /// A value that may not be set.
    pub(crate) fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(path, FieldErrorKind::Forbidden, Value::Null, detail)
    }

    /// A value outside an enumeration.
    pub(crate) fn not_supported<'a>(
        path: impl Into<String>,
        value: impl Into<Value>,
        supported: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names: Vec<String> = supported.into_iter().map(quote).collect();
        let detail = match names.is_empty() {
            true => String::new(),
            false => format!("supported values: {}", names.join(", ")),
        };
        Self::new(path, FieldErrorKind::NotSupported, value, detail)
    }

    /// The same error seen from an enclosing object: `prefix` is put before the path.
    #[must_use]
    pub(crate) fn within(mut self, prefix: &str) -> Self {
        self.path = join(prefix, &self.path);
        self
    }

    /// The message without the path, as it goes into `status.details.causes[].message`.
    pub(crate) fn body(&self) -> String {
        let mut text = self.kind.title().to_owned();
        if self.kind.prints_value() {
            text.push_str(": ");
            text.push_str(&printed(&self.value));
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// Joins two field paths; either may be empty, and an index needs no dot.
pub(crate) fn join(parent: &str, child: &str) -> String {
    match (parent.is_empty(), child.is_empty()) {
        (true, _) => child.to_owned(),
        (_, true) => parent.to_owned(),
        _ if child.starts_with('[') => format!("{parent}{child}"),
        _ => format!("{parent}.{child}"),
    }
}

/// A string in double quotes, escaped as Go's `%q` does.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(FieldError::required("spec.x", ""), "spec.x: Required value")]
    #[case(FieldError::required("spec.x", "set it"), "spec.x: Required value: set it")]
    #[case(
        FieldError::invalid("spec.source", "a", "no"),
        "spec.source: Invalid value: \"a\": no"
    )]
    #[case(
        FieldError::invalid("<nil>", Value::Null, "no"),
        "<nil>: Invalid value: null: no"
    )]
    #[case(FieldError::invalid("n", json!(3), "no"), "n: Invalid value: 3: no")]
    #[case(
        FieldError::not_supported("spec.mode", "a", ["b", "c"]),
        "spec.mode: Unsupported value: \"a\": supported values: \"b\", \"c\""
    )]
    #[case(FieldError::forbidden("a", "not here"), "a: Forbidden: not here")]
    #[case(
        FieldError::new("l", FieldErrorKind::TooMany, json!(4), "must have at most 3 items"),
        "l: Too many: 4: must have at most 3 items"
    )]
    fn prints_as_kubernetes_does(#[case] error: FieldError, #[case] text: &str) {
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(quote("a\"b\\c\n\u{7}\u{1}ä"), r#""a\"b\\c\n\a\x01ä""#);
    }

    #[test]
    fn within_joins_paths() {
        assert_eq!(
            FieldError::required("[0].a", "").within("spec.l").path,
            "spec.l[0].a"
        );
        assert_eq!(FieldError::required("a", "").within("spec").path, "spec.a");
    }
}
