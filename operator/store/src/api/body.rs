//! Request bodies: reading them within limits, and decoding the media types that clients send.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::status::Failure;
use crate::protobuf;

/// kube-apiserver's limit of a request's body.
const LIMIT: usize = 3 << 20;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(60);

const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

pub(crate) async fn collect<B>(body: B) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, LIMIT).collect())
        .await
        .map_err(|_| Failure::timeout("the request's body did not arrive in time"))?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::body_too_large(LIMIT)),
        Err(error) => Err(Failure::bad_request(format!(
            "the request's body could not be read: {error}"
        ))),
    }
}

/// The media type of the body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

/// An object in any of the accepted media types; JSON if none is named.
///
/// # Errors
/// 415 for other media types, 400 for what cannot be decoded.
pub(crate) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    let broken = |error: &dyn std::fmt::Display| {
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type Object): {error}"
        ))
    };
    match media_type(headers) {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| broken(&error)),
        "application/yaml" => yaml(body),
        "application/vnd.kubernetes.protobuf" => protobuf::decode(body).map_err(|error| broken(&error)),
        _ => Err(Failure::unsupported_media_type(ACCEPTED)),
    }
}

/// The fields that a JSON body has more than once, by their paths: `data.k`, `spec.ports[1].name`.
pub(crate) fn repeated_fields(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    // What is no JSON is refused by who decodes it.
    let _ = Repeated {
        path: String::new(),
        found: &mut found,
    }
    .deserialize(&mut reader);
    found
}

/// Walks a value without keeping it, and notes fields that come again.
struct Repeated<'f> {
    path: String,
    found: &'f mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Repeated<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Repeated<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = match self.path.as_str() {
                "" => name.clone(),
                parent => format!("{parent}.{name}"),
            };
            if !seen.insert(name) {
                self.found.push(path.clone());
            }
            let found = &mut *self.found;
            fields.next_value_seed(Repeated { path, found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let path = format!("{}[{index}]", self.path);
            let found = &mut *self.found;
            if items.next_element_seed(Repeated { path, found })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// YAML, of which JSON is the common case.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Failure> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let broken =
        |error: &dyn std::fmt::Display| Failure::bad_request(format!("error decoding YAML: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| broken(&error))?;
    serde_saphyr::from_str(text).map_err(|error| broken(&error))
}
