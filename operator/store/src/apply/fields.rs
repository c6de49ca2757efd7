//! Sets of field paths, and their form in `managedFields`: FieldsV1.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::schema::canonical;

/// Deeper sets are refused; no object is that deep.
const MAX_DEPTH: usize = 128;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of an object: `f:name`.
    Field(String),
    /// An item of a list that is a map, by its keys as canonical JSON: `k:{"name":"x"}`.
    Keys(String),
    /// An item of a set, as JSON: `v:"x"`.
    Value(String),
    /// An item by its place; written by nobody, but valid: `i:0`.
    Index(u64),
}

impl Step {
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    pub(super) fn keys(keys: Map<String, Value>) -> Self {
        Self::Keys(canonical(&Value::Object(keys)))
    }

    pub(super) fn value(value: &Value) -> Self {
        Self::Value(canonical(value))
    }

    fn parse(text: &str) -> Option<Self> {
        let json = |text: &str| {
            serde_json::from_str::<Value>(text)
                .ok()
                .map(|value| canonical(&value))
        };
        match text.split_once(':')? {
            ("f", name) => Some(Self::Field(name.to_owned())),
            ("k", keys) => json(keys).map(Self::Keys),
            ("v", value) => json(value).map(Self::Value),
            ("i", index) => index.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Keys(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// `.spec.ports[port=80,protocol="TCP"]`, as conflicts name fields.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Keys(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
        }
    }
}

/// A set of paths, as a tree: each node says whether the path that leads to it is a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    pub(super) member: bool,
    pub(super) children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Puts a set below a step; empty sets leave no trace.
    pub(super) fn attach(&mut self, step: Step, below: FieldSet) {
        if !below.is_empty() {
            self.children.entry(step).or_default().absorb(&below);
        }
    }

    /// Adds one path of field names.
    pub(super) fn insert(&mut self, path: &[&str]) {
        match path.split_first() {
            None => self.member = true,
            Some((name, rest)) => self.children.entry(Step::field(name)).or_default().insert(rest),
        }
    }

    pub(super) fn absorb(&mut self, other: &FieldSet) {
        self.member |= other.member;
        for (step, below) in &other.children {
            self.children.entry(step.clone()).or_default().absorb(below);
        }
    }

    pub(super) fn union(&self, other: &FieldSet) -> FieldSet {
        let mut all = self.clone();
        all.absorb(other);
        all
    }

    /// The members that are not members of `other`. What is below a removed member stays.
    pub(super) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut left = FieldSet {
            member: self.member && !other.member,
            children: BTreeMap::new(),
        };
        for (step, below) in &self.children {
            let below = match other.children.get(step) {
                Some(other) => below.difference(other),
                None => below.clone(),
            };
            left.attach(step.clone(), below);
        }
        left
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet {
            member: self.member && other.member,
            children: BTreeMap::new(),
        };
        for (step, below) in &self.children {
            if let Some(other) = other.children.get(step) {
                both.attach(step.clone(), below.intersection(other));
            }
        }
        both
    }

    /// Every member, as conflicts name it.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    /// At each level first what is a member there, as structured-merge-diff lists them.
    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        let members = self.children.iter().filter(|(_, below)| below.member);
        paths.extend(members.map(|(step, _)| format!("{path}{step}")));
        for (step, below) in &self.children {
            below.collect(&format!("{path}{step}"), paths);
        }
    }

    /// Reads FieldsV1; `None` if it is malformed.
    pub(super) fn decode(fields: &Value) -> Option<Self> {
        Self::decode_at(fields, 0)
    }

    fn decode_at(fields: &Value, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        let fields = fields.as_object()?;
        let mut set = FieldSet::default();
        for (name, below) in fields {
            if name == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::decode_at(below, depth + 1)?;
            child.member |= child.children.is_empty();
            set.children.insert(Step::parse(name)?, child);
        }
        Some(set)
    }

    /// Writes FieldsV1.
    pub(super) fn encode(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, below) in &self.children {
            fields.insert(step.encode(), below.encode());
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"f:spec": {"f:replicas": {}}}))]
    #[case(json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}))]
    #[case(json!({"f:a": {"k:{\"name\":\"x\",\"port\":80}": {".": {}, "f:b": {}}, "v:\"f\"": {}, "i:3": {}}}))]
    fn reads_and_writes_fields_v1(#[case] fields: Value) {
        assert_eq!(FieldSet::decode(&fields).unwrap().encode(), fields);
    }

    #[rstest]
    #[case(json!({"spec": {}}))]
    #[case(json!({"k:nonsense": {}}))]
    #[case(json!([]))]
    #[case(json!({"f:a": 3}))]
    fn refuses_what_is_not_fields_v1(#[case] fields: Value) {
        assert_eq!(FieldSet::decode(&fields), None);
    }

    #[test]
    fn names_paths_as_conflicts_do() {
        let fields = json!({"f:spec": {
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}},
            "f:finalizers": {"v:\"x\"": {}}
        }});
        assert_eq!(
            FieldSet::decode(&fields).unwrap().paths(),
            [
                ".spec.finalizers[=\"x\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].name"
            ]
        );
    }
}
