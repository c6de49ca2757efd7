//! Reading an object of a built-in kind as kube-apiserver does: into Go structures, which refuse a value of another
//! type, take `null` for absent, and know quantities, times and bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::node::{Additional, GoType, Node, Type};

const QUANTITY_RULE: &str = "quantities must match the regular expression \
                             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Checks the types of all fields, and drops what such structures do not keep: nulls, and empty lists and maps
/// that are not written.
///
/// # Errors
/// The words of Go's decoder about the first value that does not fit.
pub(super) fn read(node: &Node, object: &mut Value) -> Result<(), String> {
    let place = Place {
        owner: "",
        path: String::new(),
    };
    value(node, object, &place)
}

/// Where a value stands, as Go names it: the structure and the path of fields to it, without indices.
struct Place<'n> {
    owner: &'n str,
    path: String,
}

impl Place<'_> {
    fn mismatch(&self, value: &Value, expected: &Node) -> String {
        let found = match value {
            Value::Number(number) if number.is_f64() && expected.ty == Some(Type::Integer) => {
                format!("number {number}")
            }
            other => json_kind(other).to_owned(),
        };
        let expected = go_name(expected);
        if self.owner.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {expected}");
        }
        let Place { owner, path } = self;
        format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {expected}")
    }
}

fn value(node: &Node, found: &mut Value, place: &Place<'_>) -> Result<(), String> {
    match node.go {
        GoType::Open => return Ok(()),
        GoType::IntOrString => {
            return match found {
                Value::String(_) => Ok(()),
                Value::Number(number) if !number.is_f64() => Ok(()),
                other => {
                    let kind = json_kind(other);
                    Err(format!(
                        "json: cannot unmarshal {kind} into Go value of type int32"
                    ))
                }
            };
        }
        GoType::Quantity => return quantity(found),
        GoType::Time | GoType::MicroTime => return time(found, node.go),
        GoType::Bytes => return bytes(found, node, place),
        GoType::Plain | GoType::Struct => {}
    }
    match (node.ty, &mut *found) {
        (Some(Type::Object), Value::Object(fields)) => object(node, fields, place),
        (Some(Type::Array), Value::Array(items)) => {
            let Some(of) = &node.items else { return Ok(()) };
            items.iter_mut().try_for_each(|item| value(of, item, place))
        }
        (Some(Type::String), Value::String(_)) | (Some(Type::Boolean), Value::Bool(_)) => Ok(()),
        (Some(Type::Integer), Value::Number(number)) if !number.is_f64() => Ok(()),
        (Some(Type::Number), Value::Number(_)) | (None, _) => Ok(()),
        (_, other) => Err(place.mismatch(other, node)),
    }
}

fn object(node: &Node, fields: &mut Map<String, Value>, place: &Place<'_>) -> Result<(), String> {
    fields.retain(|name, value| !value.is_null() || node.written.contains(name));
    for (name, found) in fields.iter_mut().filter(|(_, found)| !found.is_null()) {
        let (child, place) = match (node.properties.get(name), &node.additional) {
            (Some(child), _) => {
                let path = match place.path.as_str() {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                let owner = node.definition.as_deref().unwrap_or("");
                let owner = owner.rsplit('.').next().unwrap_or(owner);
                (child, &Place { owner, path })
            }
            (None, Additional::Node(child)) => (child, place),
            (None, _) => continue,
        };
        value(child, found, place)?;
    }
    fields.retain(|name, value| {
        let is_empty_map = || {
            let child = node.properties.get(name);
            child.is_some_and(|child| {
                child.properties.is_empty() && matches!(child.additional, Additional::Node(_))
            })
        };
        match value {
            Value::Array(items) if items.is_empty() => node.written.contains(name),
            Value::Object(entries) if entries.is_empty() => !is_empty_map() || node.written.contains(name),
            _ => true,
        }
    });
    Ok(())
}

/// A quantity may be a number; it is kept as text.
fn quantity(found: &mut Value) -> Result<(), String> {
    if let Value::Number(number) = found {
        *found = number.to_string().into();
    }
    let text = found.as_str().unwrap_or("");
    if is_quantity(text) {
        Ok(())
    } else {
        Err(QUANTITY_RULE.to_owned())
    }
}

/// `100m`, `1.5Gi`, `1e3`.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let is_number = number.chars().any(|c| c.is_ascii_digit()) && number.matches('.').count() <= 1;
    let known = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let is_exponent = || {
        let exponent = suffix.strip_prefix(['e', 'E']);
        exponent.is_some_and(|exponent| exponent.parse::<i32>().is_ok())
    };
    is_number && (known.contains(&suffix) || is_exponent())
}

fn time(found: &Value, of: GoType) -> Result<(), String> {
    let Value::String(text) = found else {
        let kind = json_kind(found);
        return Err(format!(
            "json: cannot unmarshal {kind} into Go value of type string"
        ));
    };
    if text.parse::<Timestamp>().is_ok() {
        return Ok(());
    }
    let layout = match of {
        GoType::MicroTime => "2006-01-02T15:04:05.000000Z07:00",
        _ => "2006-01-02T15:04:05Z07:00",
    };
    Err(format!(
        "parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""
    ))
}

fn bytes(found: &Value, node: &Node, place: &Place<'_>) -> Result<(), String> {
    let Value::String(text) = found else {
        return Err(place.mismatch(found, node));
    };
    if STANDARD.decode(text.replace(['\r', '\n'], "")).is_ok() {
        return Ok(());
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let at = text.find(|c| !is_base64(c)).unwrap_or(text.len());
    Err(format!("illegal base64 data at input byte {at}"))
}

/// What Go calls the type of a value in JSON.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go calls the type of a field.
fn go_name(node: &Node) -> String {
    if let Some(definition) = &node.definition {
        return definition.clone();
    }
    match (node.ty, &node.additional) {
        _ if node.go == GoType::Bytes => "[]uint8".to_owned(),
        (Some(Type::Array), _) => match &node.items {
            Some(items) => format!("[]{}", go_name(items)),
            None => "[]interface {}".to_owned(),
        },
        (Some(Type::Object), Additional::Node(of)) => format!("map[string]{}", go_name(of)),
        (Some(Type::String), _) => "string".to_owned(),
        (Some(Type::Boolean), _) => "bool".to_owned(),
        (Some(Type::Integer), _) if node.checks.format == Some(super::format::Format::Int64) => {
            "int64".to_owned()
        }
        (Some(Type::Integer), _) => "int32".to_owned(),
        (Some(Type::Number), _) => "float64".to_owned(),
        _ => "interface {}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::schema::builtin;

    /// Messages of a kube-apiserver 1.36.
    #[rstest]
    #[case("", "ConfigMap", json!({"data": {"a": 1}}),
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string")]
    #[case("", "ConfigMap", json!({"data": "text"}),
        "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string")]
    #[case("apps", "Deployment", json!({"spec": {"replicas": "1"}}),
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32")]
    #[case("apps", "Deployment", json!({"spec": {"template": {"spec": {"containers": [{"env": [{"value": true}]}]}}}}),
        "json: cannot unmarshal bool into Go struct field EnvVar.spec.template.spec.containers.env.value of type string")]
    #[case("", "ConfigMap", json!({"binaryData": {"a": "not base64!"}}), "illegal base64 data at input byte 3")]
    fn refuses_in_the_words_of_go(
        #[case] group: &str,
        #[case] kind: &str,
        #[case] mut object: Value,
        #[case] says: &str,
    ) {
        let schema = builtin(group, "v1", kind).unwrap();
        assert_eq!(schema.read(&mut object), Err(says.to_owned()));
    }

    #[test]
    fn keeps_what_structures_keep() {
        let schema = builtin("apps", "v1", "Deployment").unwrap();
        let mut object = json!({
            "metadata": {"labels": {}, "annotations": null},
            "spec": {"replicas": 0, "template": {"spec": {
                "containers": [{"name": "a", "args": [], "resources": {"limits": {"cpu": 2}}}],
                "volumes": [{"name": "v", "emptyDir": {}}],
            }}},
        });
        schema.read(&mut object).unwrap();
        let kept = json!({
            "metadata": {},
            "spec": {"replicas": 0, "template": {"spec": {
                "containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}],
            }}},
        });
        assert_eq!(object, kept);
    }

    #[rstest]
    #[case("100m", true)]
    #[case("1.5Gi", true)]
    #[case("1e3", true)]
    #[case("-1", true)]
    #[case("much", false)]
    #[case("1 Gi", false)]
    #[case("", false)]
    fn quantities(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(is_quantity(text), valid);
    }
}
