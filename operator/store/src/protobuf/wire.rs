//! The wire format: a walk over bytes and a table at once.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{
    ProtobufError,
    tables::{self, Field, Message, Shape, Type},
};

/// Deeper messages are refused; Kubernetes' own are some fifteen deep.
const MAX_DEPTH: usize = 100;

type Result<T> = std::result::Result<T, ProtobufError>;

/// Decodes a `runtime.Unknown`: type meta, message, encoding, type.
pub(super) fn unknown(bytes: &[u8]) -> Result<Value> {
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let (mut encoding, mut content_type) = (String::new(), String::new());
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(meta)) => {
                let mut reader = Reader(meta);
                while let Some((number, wire)) = reader.field()? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => api_version = string(text)?,
                        (2, Wire::Bytes(text)) => kind = string(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (3, Wire::Bytes(text)) => encoding = string(text)?,
            (4, Wire::Bytes(text)) => content_type = string(text)?,
            _ => {}
        }
    }
    let plain = encoding.is_empty() && matches!(content_type.as_str(), "" | tables::CONTENT_TYPE);
    let Some(root) = tables::root(&api_version, &kind).filter(|_| plain) else {
        return Err(ProtobufError::Unsupported { api_version, kind });
    };
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    object.extend(message(raw, tables::message(root), 0)?);
    Ok(Value::Object(object))
}

fn message(bytes: &[u8], message: &Message, depth: usize) -> Result<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return Err(malformed(format!(
            "messages are nested more than {MAX_DEPTH} deep"
        )));
    }
    let mut object = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        let Some(field) = message.iter().find(|field| field.number == number) else {
            continue;
        };
        match field.shape {
            Shape::One => one(&mut object, field, wire, depth)?,
            Shape::List => {
                let list = object.entry(field.name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    item(list, field, wire, depth)?;
                }
            }
            Shape::Map => {
                let (key, value) = entry(wire, field.ty, depth)?;
                let map = object.entry(field.name).or_insert_with(|| json!({}));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, value);
                }
            }
        }
    }
    Ok(object)
}

fn one(object: &mut Map<String, Value>, field: &Field, wire: Wire<'_>, depth: usize) -> Result<()> {
    let Some(value) = value(wire, field.ty, depth)? else {
        return Ok(());
    };
    let is_empty = match &value {
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(flag) => !flag,
        _ => false,
    };
    match value {
        _ if is_empty && !field.keeps_empty => {}
        Value::Object(fields) if field.is_inline => object.extend(fields),
        value => {
            object.insert(field.name.to_owned(), value);
        }
    }
    Ok(())
}

fn item(list: &mut Vec<Value>, field: &Field, wire: Wire<'_>, depth: usize) -> Result<()> {
    match (field.ty, wire) {
        // Numbers may come packed.
        (Type::Int, Wire::Bytes(packed)) => {
            let mut reader = Reader(packed);
            while !reader.0.is_empty() {
                list.push(json!(reader.varint()? as i64));
            }
        }
        (ty, wire) => list.extend(value(wire, ty, depth)?),
    }
    Ok(())
}

fn entry(wire: Wire<'_>, of: Type, depth: usize) -> Result<(String, Value)> {
    let Wire::Bytes(bytes) = wire else {
        return Err(malformed("a map entry is not a message"));
    };
    let (mut key, mut found) = (String::new(), None);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(text)) => key = string(text)?,
            (2, wire) => found = value(wire, of, depth)?,
            _ => {}
        }
    }
    let empty = || match of {
        Type::Message(_) => json!({}),
        Type::Either(_) => json!(false),
        Type::Strings => json!([]),
        _ => json!(""),
    };
    Ok((key, found.unwrap_or_else(empty)))
}

fn value(wire: Wire<'_>, ty: Type, depth: usize) -> Result<Option<Value>> {
    Ok(Some(match (ty, wire) {
        (Type::String, Wire::Bytes(text)) => json!(string(text)?),
        (Type::Bytes, Wire::Bytes(bytes)) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        (Type::Int, Wire::Varint(number)) => json!(number as i64),
        (Type::Number, Wire::Double(number)) => whole(number),
        (Type::Bool, Wire::Varint(number)) => json!(number != 0),
        (Type::Message(of), Wire::Bytes(bytes)) => {
            Value::Object(message(bytes, tables::message(of), depth + 1)?)
        }
        (Type::Either(of), Wire::Bytes(bytes)) => either(message(bytes, tables::message(of), depth + 1)?),
        (Type::Time, Wire::Bytes(bytes)) => return time(bytes, false),
        (Type::MicroTime, Wire::Bytes(bytes)) => return time(bytes, true),
        (Type::Json, Wire::Bytes(bytes)) => return raw_json(bytes).map(Some),
        (Type::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Type::Quantity, Wire::Bytes(bytes)) => match (Reader(bytes)).field()? {
            Some((1, Wire::Bytes(text))) => json!(string(text)?),
            _ => json!("0"),
        },
        (Type::Strings, Wire::Bytes(bytes)) => {
            let mut items = Vec::new();
            let mut reader = Reader(bytes);
            while let Some((number, wire)) = reader.field()? {
                if let (1, Wire::Bytes(text)) = (number, wire) {
                    items.push(json!(string(text)?));
                }
            }
            Value::Array(items)
        }
        _ => {
            return Err(malformed(
                "a field has another wire type than its message declares",
            ));
        }
    }))
}

/// A number as Go's JSON writes it: without a fraction where it has none.
fn whole(number: f64) -> Value {
    let integer = number as i64;
    if integer as f64 == number {
        json!(integer)
    } else {
        json!(number)
    }
}

/// Of the two fields, the schema says more than the truth value beside it.
fn either(mut fields: Map<String, Value>) -> Value {
    fields
        .shift_remove("schema")
        .or_else(|| fields.into_iter().map(|(_, value)| value).next())
        .unwrap_or(Value::Bool(false))
}

/// A `Timestamp`; the zero time of Go is absent in JSON.
fn time(bytes: &[u8], micros: bool) -> Result<Option<Value>> {
    let (mut seconds, mut nanos, mut is_set) = (0_i64, 0_i32, false);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(number)) => (seconds, is_set) = (number as i64, true),
            (2, Wire::Varint(number)) => nanos = number as i32,
            _ => {}
        }
    }
    if !is_set {
        return Ok(None);
    }
    let time = jiff::Timestamp::new(seconds, if micros { nanos } else { 0 })
        .map_err(|error| malformed(format!("a time is out of range: {error}")))?;
    let format = if micros {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    Ok(Some(json!(time.strftime(format).to_string())))
}

/// A message whose only field is JSON text: `FieldsV1`, `JSON`, `RawExtension`.
fn raw_json(bytes: &[u8]) -> Result<Value> {
    match Reader(bytes).field()? {
        Some((1, Wire::Bytes(text))) => {
            serde_json::from_slice(text).map_err(|error| malformed(format!("raw JSON: {error}")))
        }
        _ => Ok(json!({})),
    }
}

fn int_or_string(bytes: &[u8]) -> Result<Value> {
    let (mut is_string, mut number, mut text) = (false, 0_i64, String::new());
    let mut reader = Reader(bytes);
    while let Some((field, wire)) = reader.field()? {
        match (field, wire) {
            (1, Wire::Varint(kind)) => is_string = kind == 1,
            (2, Wire::Varint(value)) => number = value as i64,
            (3, Wire::Bytes(value)) => text = string(value)?,
            _ => {}
        }
    }
    Ok(if is_string { json!(text) } else { json!(number) })
}

fn string(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed("a string is not UTF-8"))
}

fn malformed(reason: impl Into<String>) -> ProtobufError {
    ProtobufError::Malformed(reason.into())
}

/// A value as it stands on the wire.
enum Wire<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    Double(f64),
    /// Numbers of 32 bits, of which Kubernetes' messages have none that matter here.
    Fixed,
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// The next field, or `None` at the end.
    fn field(&mut self) -> Result<Option<(u64, Wire<'b>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => self
                .take(8)
                .map(|bytes| Wire::Double(f64::from_le_bytes(bytes.try_into().unwrap_or_default())))?,
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            other => return Err(malformed(format!("unknown wire type {other}"))),
        };
        Ok(Some((key >> 3, wire)))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self
                .0
                .split_first()
                .ok_or_else(|| malformed("a number is cut short"))?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("a number is longer than 64 bits"))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8]> {
        if length > self.0.len() {
            return Err(malformed("a field is cut short"));
        }
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }
}
