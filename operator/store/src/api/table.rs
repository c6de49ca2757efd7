//! The forms in which objects are presented: whole, as metadata, as rows of a table.

use std::borrow::Cow;
use std::ops::Deref;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::columns::Column;
use super::convert;
use super::kinds::Kind;
use super::negotiate::{Format, Include};
use super::printers;
use crate::engine::Stored;

/// One object, in the kind's version and the asked-for form.
pub(crate) fn present<'a>(format: Format, kind: &Kind, stored: &'a Value, headers: bool) -> Cow<'a, Value> {
    match format {
        Format::Whole => convert::from_stored(kind, stored),
        Format::Metadata => Cow::Owned(metadata_only(stored)),
        Format::Table(include) => {
            let metadata = json!({"resourceVersion": stored["metadata"]["resourceVersion"]});
            Cow::Owned(table(kind, include, [stored], metadata, headers))
        }
    }
}

/// A stored object as text, in the kind's version and the asked-for form.
pub(crate) fn present_stored(format: Format, kind: &Kind, stored: &Stored, headers: bool) -> Bytes {
    let is_current =
        stored.api_version() == kind.api_version() && !convert::may_lack_defaults(kind, stored.revision);
    if matches!(format, Format::Whole) && is_current {
        stored.json().clone()
    } else {
        present(format, kind, &stored.value(), headers).to_string().into()
    }
}

/// A list; `metadata` is its ListMeta.
pub(crate) fn present_list(format: Format, kind: &Kind, stored: &[Stored], metadata: Value) -> Vec<u8> {
    let (list_version, list_kind) = match format {
        Format::Table(include) => {
            let objects = stored.iter().map(Stored::value);
            return table(kind, include, objects, metadata, true)
                .to_string()
                .into_bytes();
        }
        Format::Whole => (kind.api_version(), kind.list_kind.as_str()),
        Format::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList"),
    };
    // Written piece by piece: a list of thousands of objects need not be copied first.
    let head = json!({"kind": list_kind, "apiVersion": list_version, "metadata": metadata}).to_string();
    let mut text = head.into_bytes();
    text.pop();
    text.extend_from_slice(b",\"items\":[");
    for (index, object) in stored.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&present_stored(format, kind, object, false));
    }
    text.extend_from_slice(b"]}");
    text
}

fn metadata_only(stored: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored["metadata"]})
}

fn table(
    kind: &Kind,
    include: Include,
    stored: impl IntoIterator<Item = impl Deref<Target = Value>>,
    metadata: Value,
    headers: bool,
) -> Value {
    let whole = |object: &Value| convert::from_stored(kind, object).into_owned();
    rows(&kind.columns, include, stored, metadata, headers, whole)
}

/// A Scale as a table of one row.
pub(crate) fn scale(include: Include, scale: &Value) -> Value {
    let metadata = json!({"resourceVersion": scale["metadata"]["resourceVersion"]});
    rows(&printers::scale(), include, [scale], metadata, true, Value::clone)
}

fn rows(
    columns: &[Column],
    include: Include,
    objects: impl IntoIterator<Item = impl Deref<Target = Value>>,
    metadata: Value,
    headers: bool,
    whole: impl Fn(&Value) -> Value,
) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let object = &*object;
            let cells: Vec<Value> = columns.iter().map(|column| column.render(object, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                Include::Nothing => {}
                Include::Metadata => row["object"] = metadata_only(object),
                Include::Object => row["object"] = whole(object),
            }
            row
        })
        .collect();
    let mut table = Map::new();
    table.insert("kind".to_owned(), "Table".into());
    table.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    table.insert("metadata".to_owned(), metadata);
    // In a watch only the first event has them.
    let columns: Option<Vec<Value>> = headers.then(|| columns.iter().map(definition).collect());
    table.insert("columnDefinitions".to_owned(), columns.into());
    table.insert("rows".to_owned(), rows.into());
    Value::Object(table)
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}
