//! `metadata.managedFields`: who owns which fields, and since when.

use serde_json::{Map, Value, json};

use super::fields::FieldSet;

/// More entries of `Update` than this are folded into one, so that the list cannot grow without end.
const MAX_UPDATE_MANAGERS: usize = 10;
/// The manager of folded entries.
const ANCIENT: &str = "ancient-changes";

/// One entry: the fields of one manager by one kind of operation on one subresource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: String,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

impl Entry {
    pub(super) fn is_apply(&self) -> bool {
        self.operation == "Apply"
    }

    /// Whether another entry is of the same manager; an applier is the same through all versions.
    pub(super) fn is_same_manager(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.is_apply() || self.api_version == other.api_version)
    }

    /// `"kubectl-client-side-apply" using apps/v1`, as conflicts name a manager.
    pub(super) fn describe(&self) -> String {
        let mut text = Value::from(self.manager.as_str()).to_string();
        if !self.subresource.is_empty() {
            text.push_str(&format!(
                " with subresource {}",
                Value::from(self.subresource.as_str())
            ));
        }
        if !self.is_apply() {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn decode(entry: &Value) -> Option<Self> {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let operation = text("operation");
        if operation != "Apply" && operation != "Update" {
            return None;
        }
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: match entry.get("fieldsV1") {
                Some(fields) => FieldSet::decode(fields)?,
                None => FieldSet::default(),
            },
        })
    }

    fn encode(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("manager".to_owned(), json!(self.manager));
        entry.insert("operation".to_owned(), json!(self.operation));
        entry.insert("apiVersion".to_owned(), json!(self.api_version));
        if let Some(time) = &self.time {
            entry.insert("time".to_owned(), json!(time));
        }
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), self.fields.encode());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), json!(self.subresource));
        }
        Value::Object(entry)
    }
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Managers(pub(super) Vec<Entry>);

impl Managers {
    /// Reads the entries of an object; `None` if there are none or any is malformed.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let entries = list(object)?;
        let entries: Option<Vec<Entry>> = entries.iter().map(Entry::decode).collect();
        entries.filter(|entries| !entries.is_empty()).map(Self)
    }

    /// Whether a client asks to forget all ownership, by setting the list to one empty entry or to none.
    pub(super) fn is_reset(object: &Value) -> bool {
        list(object).is_some_and(
            |entries| matches!(entries.as_slice(), [only] if only.as_object().is_some_and(Map::is_empty)),
        )
    }

    pub(super) fn find(&mut self, like: &Entry) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.is_same_manager(like))
    }

    /// Takes fields from every manager that `takes_from` names.
    pub(super) fn take(&mut self, fields: &FieldSet, takes_from: impl Fn(&Entry) -> bool) {
        for entry in self.0.iter_mut().filter(|entry| takes_from(entry)) {
            entry.fields = entry.fields.difference(fields);
        }
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// Writes the entries into an object, in Kubernetes' order; an empty list is left out.
    pub(super) fn write(mut self, object: &mut Value) {
        self.fold_oldest();
        self.0.sort_by(|a, b| {
            let key = |entry: &Entry| {
                (
                    entry.operation.clone(),
                    entry.time.clone(),
                    entry.manager.clone(),
                    entry.api_version.clone(),
                    entry.subresource.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        let Some(object) = object.as_object_mut() else {
            return;
        };
        if self.0.is_empty() {
            if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                metadata.shift_remove("managedFields");
            }
            return;
        }
        let entries = self.0.iter().map(Entry::encode).collect();
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }

    fn fold_oldest(&mut self) {
        let mut updates: Vec<Entry> = self.0.iter().filter(|entry| !entry.is_apply()).cloned().collect();
        if updates.len() <= MAX_UPDATE_MANAGERS {
            return;
        }
        self.0.retain(Entry::is_apply);
        updates.sort_by(|a, b| a.time.cmp(&b.time));
        let surplus = updates.len() - MAX_UPDATE_MANAGERS + 1;
        let recent = updates.split_off(surplus);
        for old in updates {
            let folded = Entry {
                manager: ANCIENT.to_owned(),
                subresource: String::new(),
                ..old
            };
            match self.find(&folded) {
                Some(entry) => {
                    entry.fields.absorb(&folded.fields);
                    entry.time = folded.time;
                }
                None => self.0.push(folded),
            }
        }
        self.0.extend(recent);
    }
}

fn list(object: &Value) -> Option<&Vec<Value>> {
    object.get("metadata")?.get("managedFields")?.as_array()
}

/// Takes the list out of an object.
pub(super) fn strip(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
}
