//! The v2 document in protobuf: gnostic's `openapi.v2.Document`, the only form that client-go reads it in.
//!
//! Field numbers are those of `OpenAPIv2.proto` in github.com/google/gnostic-models v0.7.0. Messages that Kubernetes'
//! documents do not use are not written.

use serde_json::{Map, Value};

/// The media type of the form.
pub(crate) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As clients ask for it, though it is none that Go could parse in an answer.
pub(crate) const REQUESTED_MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Encodes a document that is given as JSON.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let info = |info: &Value| {
        Message::default()
            .text(1, &info["title"])
            .text(2, &info["version"])
    };
    Message::default()
        .text(1, &document["swagger"])
        .message(2, info(&document["info"]))
        .message(8, paths(&document["paths"]))
        .message(9, named(1, &document["definitions"], schema))
        .0
}

/// A message as far as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, field: u64, message: Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn messages(self, field: u64, messages: impl IntoIterator<Item = Message>) -> Self {
        messages
            .into_iter()
            .fold(self, |written, message| written.message(field, message))
    }

    /// A text, or nothing if there is none.
    fn text(self, field: u64, text: &Value) -> Self {
        match text.as_str() {
            Some(text) => self.bytes(field, text.as_bytes()),
            None => self,
        }
    }

    fn texts(self, field: u64, texts: &Value) -> Self {
        let texts = texts.as_array().into_iter().flatten();
        texts.fold(self, |written, text| written.text(field, text))
    }

    fn flag(mut self, field: u64, flag: &Value) -> Self {
        if flag == true {
            self.varint(field << 3);
            self.varint(1);
        }
        self
    }

    fn integer(mut self, field: u64, number: &Value) -> Self {
        if let Some(number) = number.as_i64() {
            self.varint(field << 3);
            self.varint(number as u64);
        }
        self
    }

    fn number(mut self, field: u64, number: &Value) -> Self {
        if let Some(number) = number.as_f64() {
            self.varint(field << 3 | 1);
            self.0.extend(number.to_le_bytes());
        }
        self
    }

    /// Any value: as YAML, of which JSON is a part.
    fn any(self, field: u64, value: &Value) -> Self {
        if value.is_null() {
            return self;
        }
        self.message(field, any(value))
    }

    /// The vendor extensions among the fields of `object`.
    fn extensions(self, field: u64, object: &Value) -> Self {
        let extensions = object.as_object().into_iter().flatten();
        let extensions = extensions.filter(|(name, _)| name.starts_with("x-"));
        self.messages(field, extensions.map(|(name, value)| pair(name, any(value))))
    }
}

fn any(value: &Value) -> Message {
    Message::default().bytes(2, value.to_string().as_bytes())
}

/// `NamedSchema` and its like.
fn pair(name: &str, value: Message) -> Message {
    Message::default().bytes(1, name.as_bytes()).message(2, value)
}

/// A message of nothing but named values in the field `field`.
fn named(field: u64, values: &Value, encode: fn(&Value) -> Message) -> Message {
    let values = values.as_object().into_iter().flatten();
    Message::default().messages(field, values.map(|(name, value)| pair(name, encode(value))))
}

fn schema(schema: &Value) -> Message {
    let mut message = Message::default()
        .text(1, &schema["$ref"])
        .text(2, &schema["format"])
        .text(3, &schema["title"])
        .text(4, &schema["description"])
        .any(5, &schema["default"])
        .number(6, &schema["multipleOf"])
        .number(7, &schema["maximum"])
        .flag(8, &schema["exclusiveMaximum"])
        .number(9, &schema["minimum"])
        .flag(10, &schema["exclusiveMinimum"])
        .integer(11, &schema["maxLength"])
        .integer(12, &schema["minLength"])
        .text(13, &schema["pattern"])
        .integer(14, &schema["maxItems"])
        .integer(15, &schema["minItems"])
        .flag(16, &schema["uniqueItems"])
        .integer(17, &schema["maxProperties"])
        .integer(18, &schema["minProperties"])
        .texts(19, &schema["required"])
        .messages(20, schema["enum"].as_array().into_iter().flatten().map(any));
    message = match &schema["additionalProperties"] {
        Value::Bool(_) => message.message(21, Message::default().flag(2, &schema["additionalProperties"])),
        Value::Object(_) => message.message(
            21,
            Message::default().message(1, self::schema(&schema["additionalProperties"])),
        ),
        _ => message,
    };
    message = match &schema["type"] {
        ty @ Value::String(_) => message.message(22, Message::default().text(1, ty)),
        _ => message,
    };
    if schema["items"].is_object() {
        message = message.message(23, Message::default().message(1, self::schema(&schema["items"])));
    }
    message = message.messages(
        24,
        schema["allOf"].as_array().into_iter().flatten().map(self::schema),
    );
    if schema["properties"].is_object() {
        message = message.message(25, named(1, &schema["properties"], self::schema));
    }
    message.any(30, &schema["example"]).extensions(31, schema)
}

fn paths(paths: &Value) -> Message {
    named(2, paths, |item| {
        let operations = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)];
        let item_of = |written: Message, (method, field): (&str, u64)| match &item[method] {
            Value::Object(fields) => written.message(field, operation(&item[method], fields)),
            _ => written,
        };
        operations
            .into_iter()
            .fold(Message::default(), item_of)
            .messages(9, parameters(item))
    })
}

fn operation(operation: &Value, fields: &Map<String, Value>) -> Message {
    let responses = fields.get("responses").unwrap_or(&Value::Null);
    Message::default()
        .text(3, &operation["description"])
        .text(5, &operation["operationId"])
        .texts(6, &operation["produces"])
        .texts(7, &operation["consumes"])
        .messages(8, parameters(operation))
        .message(
            9,
            named(1, responses, |answer| {
                Message::default().message(1, response(answer))
            }),
        )
        .texts(10, &operation["schemes"])
        .extensions(13, operation)
}

fn response(response: &Value) -> Message {
    let message = Message::default().text(1, &response["description"]);
    match &response["schema"] {
        found @ Value::Object(_) => message.message(2, Message::default().message(1, schema(found))),
        _ => message,
    }
}

/// The parameters of an operation or a path.
fn parameters(owner: &Value) -> impl Iterator<Item = Message> {
    let parameters = owner["parameters"].as_array().into_iter().flatten();
    parameters.map(|parameter| {
        let kind = match parameter["in"].as_str() {
            Some("body") => Message::default().message(1, body(parameter)),
            Some("path") => Message::default().message(2, Message::default().message(4, path(parameter))),
            _ => Message::default().message(2, Message::default().message(3, query(parameter))),
        };
        Message::default().message(1, kind)
    })
}

fn body(parameter: &Value) -> Message {
    Message::default()
        .text(1, &parameter["description"])
        .text(2, &parameter["name"])
        .text(3, &parameter["in"])
        .flag(4, &parameter["required"])
        .message(5, schema(&parameter["schema"]))
}

/// What path and query parameters have alike.
fn common(parameter: &Value) -> Message {
    Message::default()
        .flag(1, &parameter["required"])
        .text(2, &parameter["in"])
        .text(3, &parameter["description"])
        .text(4, &parameter["name"])
}

fn path(parameter: &Value) -> Message {
    common(parameter)
        .text(5, &parameter["type"])
        .flag(19, &parameter["uniqueItems"])
}

fn query(parameter: &Value) -> Message {
    common(parameter)
        .text(6, &parameter["type"])
        .flag(20, &parameter["uniqueItems"])
}
