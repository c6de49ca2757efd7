//! Which field number of which message is which JSON field.
//!
//! The tables are in `messages.txt`, which says where they are from; they are read when the first protobuf body
//! arrives.

use std::{collections::HashMap, sync::LazyLock};

/// The media type of the messages themselves.
pub(super) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The fields of a message.
pub(super) type Message = [Field];

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) ty: Type,
    /// An empty value stays in JSON: it is a pointer in Go, or not declared `omitempty`.
    pub(super) keeps_empty: bool,
    /// Its fields stand in the outer object in JSON.
    pub(super) is_inline: bool,
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    /// A map from strings.
    Map,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Bytes,
    Int,
    /// A floating-point number of 64 bits.
    Number,
    Bool,
    Time,
    MicroTime,
    /// JSON text in a message: `FieldsV1`, `RawExtension`.
    Json,
    IntOrString,
    Quantity,
    /// A message that is a list of strings in JSON: `ExtraValue`.
    Strings,
    /// A message that is the value of its one set field in JSON: `JSONSchemaPropsOrBool`.
    Either(&'static str),
    Message(&'static str),
}

static MESSAGES: LazyLock<HashMap<&'static str, Vec<Field>>> =
    LazyLock::new(|| parse(include_str!("messages.txt")));

fn parse(text: &'static str) -> HashMap<&'static str, Vec<Field>> {
    let mut messages: HashMap<&str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match line.strip_prefix("  ") {
            None => current = line,
            Some(line) => messages.entry(current).or_default().extend(field(line)),
        }
    }
    messages
}

fn field(line: &'static str) -> Option<Field> {
    let mut words = line.split(' ');
    let (number, name, ty) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (ty, keeps_empty) = ty.strip_suffix('!').map_or((ty, false), |ty| (ty, true));
    let (shape, ty) = match (ty.strip_prefix("[]"), ty.strip_prefix("{}")) {
        (Some(ty), _) => (Shape::List, ty),
        (_, Some(ty)) => (Shape::Map, ty),
        _ => (Shape::One, ty),
    };
    let ty = match ty {
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "int" => Type::Int,
        "number" => Type::Number,
        "bool" => Type::Bool,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "json" => Type::Json,
        "intorstring" => Type::IntOrString,
        "quantity" => Type::Quantity,
        "strings" => Type::Strings,
        other => other.strip_prefix('|').map_or(Type::Message(other), Type::Either),
    };
    Some(Field {
        number,
        name,
        shape,
        ty,
        keeps_empty,
        is_inline: words.next() == Some("inline"),
    })
}

/// The fields of a message; a name that the table does not have has none.
pub(super) fn message(name: &str) -> &'static Message {
    MESSAGES.get(name).map_or(&[], Vec::as_slice)
}

/// The name of the message of a kind.
pub(super) fn root(api_version: &str, kind: &str) -> Option<&'static str> {
    // Options come in the group and version of what they are for.
    if kind == "DeleteOptions" {
        return Some("meta.v1.DeleteOptions");
    }
    let package = match api_version {
        "v1" => "core.v1",
        "apiextensions.k8s.io/v1" => "apiextensions.v1",
        "apiregistration.k8s.io/v1" => "apiregistration.v1",
        "apps/v1" => "apps.v1",
        "authentication.k8s.io/v1" => "authentication.v1",
        "authorization.k8s.io/v1" => "authorization.v1",
        "autoscaling/v1" => "autoscaling.v1",
        "autoscaling/v2" => "autoscaling.v2",
        "batch/v1" => "batch.v1",
        "certificates.k8s.io/v1" => "certificates.v1",
        "coordination.k8s.io/v1" => "coordination.v1",
        "discovery.k8s.io/v1" => "discovery.v1",
        "events.k8s.io/v1" => "events.v1",
        "networking.k8s.io/v1" => "networking.v1",
        "policy/v1" => "policy.v1",
        "rbac.authorization.k8s.io/v1" => "rbac.v1",
        "scheduling.k8s.io/v1" => "scheduling.v1",
        "storage.k8s.io/v1" => "storage.v1",
        _ => return None,
    };
    // Every message of the table whose first field is the metadata of an object is a kind.
    let (name, fields) = MESSAGES.get_key_value(format!("{package}.{kind}").as_str())?;
    let is_kind = fields
        .iter()
        .any(|field| field.ty == Type::Message("meta.v1.ObjectMeta"));
    is_kind.then_some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is parsed leniently; here it is held to be right.
    #[test]
    fn the_table_is_whole() {
        let lines = include_str!("messages.txt")
            .lines()
            .filter(|line| line.starts_with("  "))
            .count();
        assert_eq!(MESSAGES.values().map(Vec::len).sum::<usize>(), lines);
        for (name, fields) in MESSAGES.iter() {
            for field in fields {
                if let Type::Message(target) | Type::Either(target) = field.ty {
                    // A message without fields has no line of its own beyond its name.
                    assert!(
                        include_str!("messages.txt").contains(&format!("\n{target}\n")),
                        "{name}: {target}"
                    );
                }
                assert!(field.number > 0 && !field.name.is_empty(), "{name}");
            }
        }
    }
}
