//! The compiled form of a schema: a tree of nodes that every walk (default, prune, validate, merge) follows.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;
use serde_json::{Map, Value};

use super::{cel::Rule, format::Format};

/// The JSON type that a schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => is_integer(value),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// JSON has one kind of number: `1.0` is an integer too.
pub(crate) fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The name of the type that a value has, as messages give it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How a list merges: `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    /// One value, owned and replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each of which is owned by itself.
    Set,
    /// Objects told apart by their `list_map_keys`.
    Map,
}

/// What may stand under names that `properties` does not list.
#[derive(Debug, Default)]
pub(crate) enum Additional {
    /// Nothing: such fields are unknown.
    #[default]
    None,
    /// Anything.
    Any,
    /// Values of this schema: the object is a map.
    Node(Arc<Node>),
}

/// How kube-apiserver reads a value of a built-in kind, where that is not said by its JSON type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GoType {
    /// As its JSON type says.
    #[default]
    Plain,
    /// A structure, whose name is the node's `definition`.
    Struct,
    /// JSON of any shape.
    Open,
    Bytes,
    IntOrString,
    MicroTime,
    Quantity,
    Time,
}

/// A schema for one value.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) ty: Option<Type>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) list_type: ListType,
    pub(crate) list_map_keys: Vec<String>,
    pub(crate) atomic_map: bool,
    /// The key by which a strategic merge patch joins list items (`x-kubernetes-patch-merge-key`).
    pub(crate) patch_merge_key: Option<String>,
    /// Whether a strategic merge patch merges this list (`x-kubernetes-patch-strategy: merge`).
    pub(crate) patch_merge: bool,
    pub(crate) default: Option<Value>,
    pub(crate) go: GoType,
    /// The Go name of a built-in structure, such as `v1.Container`.
    pub(crate) definition: Option<String>,
    /// Fields of a built-in structure that are written even if they are empty.
    pub(crate) written: Vec<String>,
    pub(crate) properties: BTreeMap<String, Arc<Node>>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Arc<Node>>,
    pub(crate) checks: Checks,
    pub(crate) rules: Vec<Rule>,
    /// Whether any rule stands at or below this node, so that walks can pass by the rest.
    pub(crate) has_rules: bool,
}

/// The value validations of a schema.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) allowed: Vec<Value>,
    pub(crate) pattern: Option<(String, Regex)>,
    pub(crate) format: Option<Format>,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) required: Vec<String>,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

/// A step from a schema down to one within it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NodeChild<'a> {
    Field(&'a str),
    Item,
}

impl Node {
    /// The Go name of the built-in structure that this describes, such as `v1.Container`.
    pub(crate) fn definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    /// The schema of a field or of the items, if the schema knows one.
    pub(crate) fn child(&self, step: NodeChild<'_>) -> Option<&Node> {
        match step {
            NodeChild::Field(name) => self.field(name),
            NodeChild::Item => self.items.as_deref(),
        }
    }

    /// A schema that accepts and keeps anything.
    pub(crate) fn open() -> Self {
        Self {
            preserve_unknown: true,
            nullable: true,
            ..Self::default()
        }
    }

    /// Whether a field that has no schema may be there all the same.
    pub(crate) fn accepts_field(&self, name: &str) -> bool {
        let of_resource = self.embedded && matches!(name, "apiVersion" | "kind" | "metadata");
        of_resource || self.preserve_unknown || matches!(self.additional, Additional::Any)
    }

    /// The schema of the field `name`, if the schema knows one.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        match (self.properties.get(name), &self.additional) {
            (Some(node), _) => Some(node),
            (None, Additional::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// The keys of a list item that tell it from its siblings, with schema defaults filled in.
    /// `None` if the item is no object or lacks a key that has no default.
    pub(crate) fn item_keys(&self, item: &Value) -> Option<Map<String, Value>> {
        let item = item.as_object()?;
        let mut keys: Vec<&String> = self.list_map_keys.iter().collect();
        keys.sort();
        keys.into_iter()
            .map(|key| {
                let fallback = || self.items.as_ref()?.properties.get(key)?.default.as_ref();
                let value = item.get(key).filter(|value| !value.is_null()).or_else(fallback)?;
                Some((key.clone(), value.clone()))
            })
            .collect()
    }
}
