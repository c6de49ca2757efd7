//! An object as the engine holds it: as JSON, and beside it what is asked of many objects at once.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::entry;

/// A stored object and the revision that wrote it.
///
/// Parsed, an object takes about ten times the memory of its text, and most are never looked into. So the text is what
/// is held, and [`Stored::value`] parses it for who wants to look; who looks at the same time shares.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    /// Whether the log holds it.
    pub(super) durable: bool,
    content: Arc<Content>,
}

struct Content {
    json: Bytes,
    head: Head,
    parsed: Mutex<Weak<Value>>,
}

/// What garbage collection and versions ask of every object.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    api_version: Box<str>,
    uid: Box<str>,
    is_deleting: bool,
    owners: Box<[Box<str>]>,
}

impl Stored {
    /// The object that was just made, and its text.
    pub(super) fn new(revision: u64, durable: bool, value: &Arc<Value>, json: Bytes) -> Self {
        let content = Content {
            json,
            head: Head::of(value),
            parsed: Mutex::new(Arc::downgrade(value)),
        };
        Stored {
            revision,
            durable,
            content: Arc::new(content),
        }
    }

    /// The object that a text from the log holds.
    ///
    /// # Errors
    /// If it is not JSON.
    pub(super) fn read(revision: u64, json: &[u8]) -> serde_json::Result<Self> {
        let content = Content {
            head: Head::read(json)?,
            json: Bytes::copy_from_slice(json),
            parsed: Mutex::default(),
        };
        Ok(Stored {
            revision,
            durable: true,
            content: Arc::new(content),
        })
    }

    /// The object, to be looked into.
    pub(crate) fn value(&self) -> Arc<Value> {
        let mut parsed = self.content.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = parsed.upgrade() {
            return value;
        }
        let value = entry::parse(&self.content.json).unwrap_or_else(|error| {
            // It was JSON when it was taken in.
            tracing::error!(%error, revision = self.revision, "a stored object cannot be read");
            Value::Null
        });
        let value = Arc::new(value);
        *parsed = Arc::downgrade(&value);
        value
    }

    /// The object with nothing but its name, namespace and labels, which are found faster than all is parsed.
    pub(crate) fn names_and_labels(&self) -> Arc<Value> {
        let parsed = self.content.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = parsed.upgrade() {
            return value;
        }
        drop(parsed);
        match serde_json::from_slice::<NamesAndLabels>(&self.content.json) {
            Ok(NamesAndLabels { metadata }) => Arc::new(json!({"metadata": {
                "name": metadata.name, "namespace": metadata.namespace, "labels": metadata.labels,
            }})),
            Err(_) => self.value(),
        }
    }

    /// The object as it is in the log, and as clients are sent it.
    pub(crate) fn json(&self) -> &Bytes {
        &self.content.json
    }

    /// The version that it is stored in.
    pub(crate) fn api_version(&self) -> &str {
        &self.content.head.api_version
    }

    pub(crate) fn uid(&self) -> &str {
        &self.content.head.uid
    }

    /// Whether it has a deletion timestamp.
    pub(crate) fn is_deleting(&self) -> bool {
        self.content.head.is_deleting
    }

    /// Its owners, by uid.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &str> {
        self.content.head.owners.iter().map(|owner| &**owner)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("revision", &self.revision)
            .field("durable", &self.durable)
            .field("head", &self.content.head)
            .finish_non_exhaustive()
    }
}

/// JSON of any kind that can be parsed to its last text and number, and of which nothing is kept.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Sound, A::Error> {
        while fields.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

/// The parts of a text that [`Head`] is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadText<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    metadata: MetadataText<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataText<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    owner_references: Vec<OwnerText<'a>>,
}

#[derive(Deserialize)]
struct OwnerText<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize)]
struct NamesAndLabels {
    metadata: NamesAndLabelsMetadata,
}

#[derive(Deserialize)]
struct NamesAndLabelsMetadata {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    namespace: Value,
    #[serde(default)]
    labels: Value,
}

impl Head {
    fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or("").into();
        let owners = metadata["ownerReferences"].as_array();
        Head {
            api_version: text(&object["apiVersion"]),
            uid: text(&metadata["uid"]),
            is_deleting: metadata["deletionTimestamp"].is_string(),
            owners: owners
                .into_iter()
                .flatten()
                .map(|owner| text(&owner["uid"]))
                .collect(),
        }
    }

    fn read(json: &[u8]) -> serde_json::Result<Self> {
        // Whether all of it can be parsed: what a head does not need is skipped without a look at its texts and numbers.
        let sound = serde_json::from_slice::<Sound>(json).and_then(|Sound| serde_json::from_slice(json));
        match sound {
            Ok(HeadText {
                api_version,
                metadata,
            }) => Ok(Head {
                api_version: api_version.into(),
                uid: metadata.uid.into(),
                is_deleting: metadata.deletion_timestamp.is_some(),
                owners: metadata
                    .owner_references
                    .into_iter()
                    .map(|owner| owner.uid.into())
                    .collect(),
            }),
            // No object of Kubernetes' shape, as where a deletion has left nothing to tell: but JSON it must be.
            Err(_) => entry::parse(json).map(|value| Head::of(&value)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain(r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"u"}}"#)]
    #[case::all(
        r#"{"metadata":{"ownerReferences":[{"uid":"o","kind":"K"},{"uid":"p\u00e9"},{}],"uid":"u",
            "deletionTimestamp":"2026-01-01T00:00:00Z","labels":{"uid":"no"}},"apiVersion":"a/v1","spec":[[{}]]}"#
    )]
    #[case::nothing("null")]
    #[case::bare("{}")]
    #[case::no_metadata(r#"{"apiVersion":"v1"}"#)]
    #[case::odd(r#"{"apiVersion":1,"metadata":{"uid":[],"ownerReferences":{"uid":"x"}}}"#)]
    #[case::nulls(
        r#"{"apiVersion":null,"metadata":{"uid":null,"deletionTimestamp":null,"ownerReferences":null}}"#
    )]
    fn heads_are_the_same_from_text_and_from_values(#[case] text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        let read = Stored::read(7, text.as_bytes()).unwrap();
        assert_eq!(read.content.head, Head::of(&value));
        assert_eq!(*read.value(), value);
    }

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case(r#"{"apiVersion":"v1","metadata":{"uid":"u"}"#)]
    #[case(r#"{"apiVersion":"v1","metadata":{"uid":"u"},"spec":{"a":nul}}"#)]
    #[case(r#"{"apiVersion":"v1","metadata":{"uid":"u"}} x"#)]
    #[case(r#"{"apiVersion":"v1","metadata":{"uid":"u"},"spec":"\ud800"}"#)]
    #[case(r#"{"apiVersion":"v1","metadata":{"uid":"u"},"spec":[1e999]}"#)]
    #[case("{\"apiVersion\":\"v1\",\"metadata\":{\"uid\":\"u\"},\"spec\":\"\n\"}")]
    fn what_is_not_json_is_refused(#[case] text: &str) {
        Stored::read(7, text.as_bytes()).unwrap_err();
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let json = [&br#"{"metadata":{"uid":"u"},"spec":""#[..], b"\xff", br#""}"#].concat();
        Stored::read(7, &json).unwrap_err();
    }

    #[test]
    fn names_and_labels_are_what_the_whole_object_says() {
        let text = r#"{"spec":{"labels":{"a":"no"}},"metadata":{"labels":{"a":"b"},"name":"n","namespace":"s","uid":"u"}}"#;
        let stored = Stored::read(7, text.as_bytes()).unwrap();
        let found = stored.names_and_labels();
        assert_eq!(
            *found,
            json!({"metadata": {"name": "n", "namespace": "s", "labels": {"a": "b"}}})
        );
    }

    #[test]
    fn whoever_looks_at_the_same_time_shares() {
        let stored = Stored::read(7, br#"{"metadata":{"uid":"u"}}"#).unwrap();
        let (one, other) = (stored.value(), stored.clone().value());
        assert!(Arc::ptr_eq(&one, &other));
        drop((one, other));
        assert!(stored.content.parsed.lock().unwrap().upgrade().is_none());
    }
}
