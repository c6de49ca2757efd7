//! Checking a value against a schema, with the messages of Kubernetes.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    error::{FieldError, FieldErrorKind, join, quote},
    node::{Checks, ListType, Node, is_integer, type_name},
};

/// Everything wrong with a value, without regard to an older one and without rules.
pub(super) fn values(node: &Node, value: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    Walk { errors: &mut errors }.node(node, value, None, path);
    errors
}

/// Everything wrong with an object. What was wrong in `old` already and is the same now is let pass, so that
/// a schema that got stricter does not lock out changes elsewhere in the object.
pub(super) fn object(node: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    Walk { errors: &mut errors }.node(node, new, old, "");
    errors
}

struct Walk<'e> {
    errors: &'e mut Vec<FieldError>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, path: &str) {
        if old.is_some_and(|old| old == value) {
            return;
        }
        if value.is_null() && node.nullable {
            return;
        }
        if !self.has_type(node, value, path) {
            return;
        }
        self.scalars(&node.checks, value, path);
        match value {
            Value::Object(fields) => self.fields(node, fields, old.and_then(Value::as_object), path),
            Value::Array(items) => self.items(node, items, old.and_then(Value::as_array), path),
            _ => {}
        }
        self.junctors(&node.checks, value, path);
    }

    /// Reports a value of the wrong type, of which nothing else needs to be said.
    fn has_type(&mut self, node: &Node, value: &Value, path: &str) -> bool {
        let expected = match node.ty {
            _ if node.int_or_string => match value.is_string() || is_integer(value) {
                true => return true,
                false => "integer,string",
            },
            None => return true,
            Some(ty) if ty.accepts(value) => return true,
            Some(ty) => ty.name(),
        };
        let actual = type_name(value);
        let detail = format!("{path} in body must be of type {expected}: {}", quote(actual));
        self.push(path, FieldErrorKind::TypeInvalid, Value::from(actual), detail);
        false
    }

    fn scalars(&mut self, checks: &Checks, value: &Value, path: &str) {
        if !checks.allowed.is_empty() && !checks.allowed.iter().any(|allowed| same(allowed, value)) {
            let names: Vec<String> = checks
                .allowed
                .iter()
                .map(|allowed| {
                    allowed
                        .as_str()
                        .map_or_else(|| allowed.to_string(), str::to_owned)
                })
                .collect();
            let error = FieldError::not_supported(at(path), value.clone(), names.iter().map(String::as_str));
            self.errors.push(error);
        }
        if let Some(format) = checks.format.filter(|format| !format.accepts(value)) {
            let detail = format!("{path} in body must be of type {}: {value}", format.name());
            self.push(path, FieldErrorKind::TypeInvalid, value.clone(), detail);
        }
        match value {
            Value::String(text) => self.string(checks, text, path),
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    self.number(checks, number, value, path);
                }
            }
            _ => {}
        }
    }

    /// Only the first thing that is wrong with a text is said.
    fn string(&mut self, checks: &Checks, text: &str, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(max) = checks.max_length.filter(|max| length > *max) {
            let detail = format!("may not be more than {max} bytes");
            self.push(path, FieldErrorKind::TooLong, Value::from(text), detail);
        } else if let Some(min) = checks.min_length.filter(|min| length < *min) {
            self.invalid(
                path,
                Value::from(text),
                format!("should be at least {min} chars long"),
            );
        } else if let Some((source, regex)) = &checks.pattern
            && !regex.is_match(text)
        {
            self.invalid(path, Value::from(text), format!("should match '{source}'"));
        }
    }

    fn number(&mut self, checks: &Checks, number: f64, value: &Value, path: &str) {
        if let Some(max) = checks.maximum {
            if checks.exclusive_maximum && number >= max {
                self.invalid(path, value.clone(), format!("should be less than {max}"));
            } else if number > max {
                self.invalid(
                    path,
                    value.clone(),
                    format!("should be less than or equal to {max}"),
                );
            }
        }
        if let Some(min) = checks.minimum {
            if checks.exclusive_minimum && number <= min {
                self.invalid(path, value.clone(), format!("should be greater than {min}"));
            } else if number < min {
                self.invalid(
                    path,
                    value.clone(),
                    format!("should be greater than or equal to {min}"),
                );
            }
        }
        if let Some(step) = checks.multiple_of {
            let ratio = number / step;
            if (ratio - ratio.round()).abs() > 1e-9 {
                self.invalid(path, value.clone(), format!("should be a multiple of {step}"));
            }
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        fields: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
        path: &str,
    ) {
        let checks = &node.checks;
        let count = fields.len() as u64;
        if let Some(max) = checks.max_properties.filter(|max| count > *max) {
            let detail = at_most(max);
            self.push(path, FieldErrorKind::TooMany, Value::from(count), detail);
        }
        if let Some(min) = checks.min_properties.filter(|min| count < *min) {
            self.invalid(
                path,
                count.into(),
                format!("should have at least {min} properties"),
            );
        }
        for name in checks.required.iter().filter(|name| !fields.contains_key(*name)) {
            self.errors.push(FieldError::required(join(path, name), ""));
        }
        if node.embedded {
            for name in ["apiVersion", "kind"] {
                if fields.get(name).and_then(Value::as_str).unwrap_or("").is_empty() {
                    self.errors.push(FieldError::required(join(path, name), ""));
                }
            }
        }
        for (name, value) in fields {
            if let Some(child) = node.field(name) {
                self.node(child, value, old.and_then(|old| old.get(name)), &join(path, name));
            }
        }
    }

    fn items(&mut self, node: &Node, items: &[Value], old: Option<&Vec<Value>>, path: &str) {
        let checks = &node.checks;
        let count = items.len() as u64;
        if let Some(max) = checks.max_items.filter(|max| count > *max) {
            let detail = at_most(max);
            self.push(path, FieldErrorKind::TooMany, Value::from(count), detail);
        }
        if let Some(min) = checks.min_items.filter(|min| count < *min) {
            self.invalid(path, count.into(), format!("should have at least {min} items"));
        }
        if checks.unique_items && first_duplicate(items.iter().map(canonical)).is_some() {
            self.invalid(
                path,
                Value::Array(items.to_vec()),
                "shouldn't contain duplicates".to_owned(),
            );
        }
        self.duplicates(node, items, path);
        let Some(child) = &node.items else { return };
        let old_items = OldItems::of(node, old);
        for (index, item) in items.iter().enumerate() {
            self.node(
                child,
                item,
                old_items.matching(node, item),
                &format!("{path}[{index}]"),
            );
        }
    }

    /// Sets hold no value twice, and lists that are maps no key.
    fn duplicates(&mut self, node: &Node, items: &[Value], path: &str) {
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let (identity, value) = match node.list_type {
                ListType::Atomic => return,
                ListType::Set => (canonical(item), item.clone()),
                ListType::Map => match node.item_keys(item) {
                    Some(keys) => {
                        let keys = Value::Object(keys);
                        (canonical(&keys), keys)
                    }
                    None => continue,
                },
            };
            if !seen.insert(identity) {
                self.push(
                    &format!("{path}[{index}]"),
                    FieldErrorKind::Duplicate,
                    value,
                    String::new(),
                );
            }
        }
    }

    fn junctors(&mut self, checks: &Checks, value: &Value, path: &str) {
        for branch in &checks.all_of {
            self.node(branch, value, None, path);
        }
        if !checks.any_of.is_empty() {
            let failures: Vec<Vec<FieldError>> = checks
                .any_of
                .iter()
                .map(|branch| values(branch, value, path))
                .collect();
            if failures.iter().all(|errors| !errors.is_empty()) {
                self.junctor(path, "must validate at least one schema (anyOf)");
                self.errors.extend(nearest(failures));
            }
        }
        if !checks.one_of.is_empty() {
            let failures: Vec<Vec<FieldError>> = checks
                .one_of
                .iter()
                .map(|branch| values(branch, value, path))
                .collect();
            let valid = failures.iter().filter(|errors| errors.is_empty()).count();
            if valid == 0 {
                self.junctor(
                    path,
                    "must validate one and only one schema (oneOf). Found none valid",
                );
                self.errors.extend(nearest(failures));
            } else if valid > 1 {
                let found = format!(
                    "must validate one and only one schema (oneOf). Found {valid} valid alternatives"
                );
                self.junctor(path, &found);
            }
        }
        if let Some(branch) = &checks.not
            && values(branch, value, path).is_empty()
        {
            self.junctor(path, "must not validate the schema (not)");
        }
    }

    /// kube-apiserver names the field in the message alone.
    fn junctor(&mut self, path: &str, says: &str) {
        self.push(
            "",
            FieldErrorKind::Invalid,
            Value::from(""),
            format!("{} {says}", quote(path)),
        );
    }

    fn invalid(&mut self, path: &str, value: Value, says: String) {
        self.push(
            path,
            FieldErrorKind::Invalid,
            value,
            format!("{path} in body {says}"),
        );
    }

    fn push(&mut self, path: &str, kind: FieldErrorKind, value: Value, detail: String) {
        self.errors.push(FieldError {
            path: at(path),
            kind,
            value,
            detail,
        });
    }
}

fn at_most(max: u64) -> String {
    let items = if max == 1 { "item" } else { "items" };
    format!("must have at most {max} {items}")
}

/// The object as a whole has no path of its own.
fn at(path: &str) -> String {
    if path.is_empty() {
        "<nil>".to_owned()
    } else {
        path.to_owned()
    }
}

/// The failures of the branch that came nearest: they say what the user most likely has to mend.
fn nearest(failures: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    failures.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// The items of the list as it was before, found by key where the list is a map.
pub(super) struct OldItems<'v> {
    by_key: std::collections::HashMap<String, &'v Value>,
}

impl<'v> OldItems<'v> {
    pub(super) fn of(node: &Node, old: Option<&'v Vec<Value>>) -> Self {
        let mut by_key = std::collections::HashMap::new();
        if node.list_type == ListType::Map {
            for item in old.into_iter().flatten() {
                if let Some(keys) = node.item_keys(item) {
                    by_key.insert(canonical(&Value::Object(keys)), item);
                }
            }
        }
        Self { by_key }
    }

    /// The item that `item` was before: only lists that are maps can tell.
    pub(super) fn matching(&self, node: &Node, item: &Value) -> Option<&'v Value> {
        if self.by_key.is_empty() {
            return None;
        }
        let keys = node.item_keys(item)?;
        self.by_key.get(&canonical(&Value::Object(keys))).copied()
    }
}

/// Equality in JSON's sense: `1` and `1.0` are the same number.
fn same(left: &Value, right: &Value) -> bool {
    left == right || matches!((left.as_f64(), right.as_f64()), (Some(left), Some(right)) if left == right)
}

/// A text that is the same for equal values whatever the order of their fields.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<(&String, &Value)> = fields.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(name, value)| format!("{}:{}", quote(name), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

fn first_duplicate(identities: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    identities
        .into_iter()
        .find(|identity| !seen.insert(identity.clone()))
}
