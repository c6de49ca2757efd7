//! The four walks over objects and their schema that ownership is made of: the fields an object has, how two
//! objects differ, one merged into another, and fields taken out.
//!
//! The meaning is that of `sigs.k8s.io/structured-merge-diff`. Fields that no schema describes merge as what
//! they look like: objects field by field, lists as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{FieldSet, Step};
use crate::schema::{ListType, Node, Type};

/// How a value is owned.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// As a whole.
    Leaf,
    /// Field by field.
    Object,
    /// Item by item.
    List,
}

fn shape(node: Option<&Node>, value: &Value) -> Shape {
    match value {
        Value::Object(_) if node.is_none_or(|node| !node.atomic_map) => Shape::Object,
        Value::Array(_) if node.is_some_and(|node| node.list_type != ListType::Atomic) => Shape::List,
        _ => Shape::Leaf,
    }
}

fn child<'n>(node: Option<&'n Node>, name: &str) -> Option<&'n Node> {
    node.and_then(|node| node.field(name))
}

/// Whether the schema names this field itself, other than as an entry of a map.
fn is_declared(node: Option<&Node>, name: &str) -> bool {
    node.is_some_and(|node| node.properties.contains_key(name))
}

/// The step that leads to an item. An item without its keys is owned by its place.
fn item_step(node: Option<&Node>, item: &Value, index: usize) -> Step {
    match node {
        Some(node) if node.list_type == ListType::Map => {
            node.item_keys(item).map_or(Step::Index(index as u64), Step::keys)
        }
        _ => Step::value(item),
    }
}

fn steps(node: Option<&Node>, items: &[Value]) -> Vec<Step> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| item_step(node, item, index))
        .collect()
}

/// Why an object cannot be applied: fields that no schema declares, values of other types, items that occur twice.
pub(super) fn problems(node: &Node, value: &Value, path: &str, found: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    if let Some(wrong) = mismatch(node, value) {
        found.push(format!("{path}: {wrong}"));
        return;
    }
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            for (name, field) in fields {
                let at = format!("{path}.{name}");
                match node.field(name) {
                    Some(child) => problems(child, field, &at, found),
                    None if node.accepts_field(name) => {}
                    None => found.push(format!("{at}: field not declared in schema")),
                }
            }
        }
        Value::Array(items) => {
            let steps = steps(Some(node), items);
            for (step, item) in steps.iter().zip(items) {
                if let Some(child) = &node.items {
                    problems(child, item, &format!("{path}{step}"), found);
                }
            }
            let mut seen = BTreeSet::new();
            let is_atomic = node.list_type == ListType::Atomic;
            for step in steps.iter().filter(|_| !is_atomic) {
                if !seen.insert(step) {
                    found.push(format!("{path}: duplicate entries for key {step}"));
                }
            }
        }
        _ => {}
    }
}

/// Whether a value is of another type than its schema says, in the words of structured-merge-diff.
fn mismatch(node: &Node, value: &Value) -> Option<String> {
    let ty = node.ty.filter(|ty| !node.int_or_string && !ty.accepts(value))?;
    let expected = match ty {
        Type::Object => return Some(format!("expected map, got {value}")),
        Type::Array => return Some(format!("expected list, got {value}")),
        Type::String => "string",
        Type::Boolean => "boolean",
        // What fraction a number may have is checked later.
        Type::Integer if value.is_number() => return None,
        Type::Integer | Type::Number => "numeric (int or float)",
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    Some(format!("expected {expected}, got {found}"))
}

/// The fields that an object has, as the set that its applier owns.
pub(super) fn fields(node: Option<&Node>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match (shape(node, value), value) {
        (Shape::Object, Value::Object(fields)) => {
            for (name, field) in fields {
                let mut below = self::fields(child(node, name), field);
                // Of what is empty there is nothing below that could be owned in its stead.
                let is_empty = match field {
                    Value::Null => true,
                    Value::Object(fields) => fields.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    _ => false,
                };
                below.member |= is_empty || !is_declared(node, name);
                set.attach(Step::field(name), below);
            }
        }
        (Shape::List, Value::Array(items)) => {
            let items_node = node.and_then(|node| node.items.as_deref());
            for (step, item) in steps(node, items).into_iter().zip(items) {
                let mut below = fields(items_node, item);
                below.member = true;
                set.attach(step, below);
            }
        }
        _ => set.member = true,
    }
    set
}

/// How an object differs from another.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Difference {
    /// The fields whose new value somebody has set.
    pub(super) fn set(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    fn attach(&mut self, step: Step, below: Difference) {
        self.added.attach(step.clone(), below.added);
        self.modified.attach(step.clone(), below.modified);
        self.removed.attach(step, below.removed);
    }
}

/// How `new` differs from `old`.
pub(super) fn compare(node: Option<&Node>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let mut difference = Difference::default();
    let (before, after) = match (old, new) {
        (None, None) => return difference,
        (Some(old), Some(new)) if old == new => return difference,
        (old, new) => (known(node, old), known(node, new)),
    };
    let kind = match (before, after) {
        (Some(before), Some(after)) if before != after => {
            // Another kind of value: what was below is gone, and this is new as a whole.
            difference.modified.member = true;
            let gone = fields(node, old.unwrap_or(&Value::Null));
            difference.removed.children = gone.children;
            let come = fields(node, new.unwrap_or(&Value::Null));
            difference.added.children = come.children;
            return difference;
        }
        (kind, other) => kind.or(other).unwrap_or(Shape::Leaf),
    };
    let is_empty = |value: Option<&Value>| match value {
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    };
    // Empty against absent or null is a difference in itself.
    if kind == Shape::Leaf || (is_empty(old) && is_empty(new)) {
        difference.added.member = old.is_none();
        difference.removed.member = new.is_none();
        difference.modified.member = old.is_some() && new.is_some();
        return difference;
    }
    match kind {
        Shape::Object => {
            let empty = Map::new();
            let old = old.and_then(Value::as_object).unwrap_or(&empty);
            let new = new.and_then(Value::as_object).unwrap_or(&empty);
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let below = compare(child(node, name), old.get(name), new.get(name));
                difference.attach(Step::field(name), below);
            }
        }
        Shape::List => {
            let index = |items: Option<&Value>| -> BTreeMap<Step, Value> {
                let items = items.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                steps(node, items)
                    .into_iter()
                    .zip(items.iter().cloned())
                    .collect()
            };
            let (old, new) = (index(old), index(new));
            let items_node = node.and_then(|node| node.items.as_deref());
            let all: BTreeSet<&Step> = old.keys().chain(new.keys()).collect();
            for step in all {
                let below = compare(items_node, old.get(step), new.get(step));
                difference.attach(step.clone(), below);
            }
        }
        Shape::Leaf => {}
    }
    difference.added.member |= old.is_none();
    difference.removed.member |= new.is_none();
    difference
}

/// The shape of a value that has one: `null` takes that of what it is compared with.
fn known(node: Option<&Node>, value: Option<&Value>) -> Option<Shape> {
    value
        .filter(|value| !value.is_null())
        .map(|value| shape(node, value))
}

/// `live` with everything that `applied` says.
pub(super) fn merge(node: Option<&Node>, live: Option<&Value>, applied: &Value) -> Value {
    let Some(live) = live else { return applied.clone() };
    match (shape(node, applied), live, applied) {
        (Shape::Object, Value::Object(live), Value::Object(applied)) => {
            let mut merged = live.clone();
            for (name, field) in applied {
                let field = merge(child(node, name), live.get(name), field);
                merged.insert(name.clone(), field);
            }
            Value::Object(merged)
        }
        (Shape::List, Value::Array(live), Value::Array(applied)) => {
            Value::Array(merge_lists(node, live, applied))
        }
        _ => applied.clone(),
    }
}

/// Merges two lists item by item. Items of both stand in the order of `applied`; those of `live` alone stay
/// before what they stood before.
fn merge_lists(node: Option<&Node>, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let items_node = node.and_then(|node| node.items.as_deref());
    let (live_steps, applied_steps) = (steps(node, live), steps(node, applied));
    let by_step: BTreeMap<&Step, &Value> = live_steps.iter().zip(live).rev().collect();
    let in_applied: BTreeSet<&Step> = applied_steps.iter().collect();
    let mut done = BTreeSet::new();
    let mut merged = Vec::with_capacity(live.len() + applied.len());
    let mut rest = live_steps.iter().zip(live).peekable();
    for (step, item) in applied_steps.iter().zip(applied) {
        while let Some((live_step, live_item)) = rest.peek().copied() {
            if !in_applied.contains(live_step) {
                merged.push(live_item.clone());
            } else if !done.contains(live_step) {
                if live_step == step {
                    rest.next();
                }
                break;
            }
            rest.next();
        }
        merged.push(merge(items_node, by_step.get(step).copied(), item));
        done.insert(step);
    }
    merged.extend(
        rest.filter(|(step, _)| !in_applied.contains(step))
            .map(|(_, item)| item.clone()),
    );
    merged
}

/// `value` without the members of `set`. What is emptied by that goes as well.
pub(super) fn remove(node: Option<&Node>, value: &Value, set: &FieldSet) -> Value {
    match (shape(node, value), value) {
        (Shape::Object, Value::Object(fields)) => {
            let mut kept = Map::new();
            for (name, field) in fields {
                if let Some(field) = kept_of(child(node, name), field, set.children.get(&Step::field(name))) {
                    kept.insert(name.clone(), field);
                }
            }
            Value::Object(kept)
        }
        (Shape::List, Value::Array(items)) => {
            let items_node = node.and_then(|node| node.items.as_deref());
            let kept = steps(node, items)
                .iter()
                .zip(items)
                .filter_map(|(step, item)| kept_of(items_node, item, set.children.get(step)))
                .collect();
            Value::Array(kept)
        }
        _ => value.clone(),
    }
}

fn kept_of(node: Option<&Node>, value: &Value, set: Option<&FieldSet>) -> Option<Value> {
    let Some(set) = set else {
        return Some(value.clone());
    };
    if set.member {
        return None;
    }
    let kept = remove(node, value, set);
    let is_emptied = kept != *value
        && match &kept {
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
    (!is_emptied).then_some(kept)
}

/// The set with every declared field as a member that has members below it: who owns a field of an object
/// holds the object itself too, unless the object is an entry of a map or list.
pub(super) fn with_declared_parents(node: Option<&Node>, set: &FieldSet) -> FieldSet {
    let mut all = FieldSet {
        member: set.member,
        children: BTreeMap::new(),
    };
    for (step, below) in &set.children {
        let (node, declared) = match step {
            Step::Field(name) => (child(node, name), is_declared(node, name)),
            _ => (node.and_then(|node| node.items.as_deref()), false),
        };
        let mut below = with_declared_parents(node, below);
        below.member |= declared && !below.is_empty();
        all.attach(step.clone(), below);
    }
    all
}
