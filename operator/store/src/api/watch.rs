//! Watches: the changes of a collection as a stream of events, from the present state or from a known version.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::kinds::Kind;
use super::negotiate::{Format, object_format};
use super::selector::Selector;
use super::status::Failure;
use super::{Api, Call, LongRunning, ResponseBody, Target, table};
use crate::engine::{Event, EventKind, Expired, Stored, Tail};
use crate::metrics::{Counted, WatchLabels};
use crate::schema::FieldError;

/// How often a quiet watch tells how far it has come.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch lasts if the client does not say: from this to twice this, so that not all end at once.
const DURATION: u64 = 30 * 60;
/// Bytes of initial objects sent in one piece, about: what one watch whose client does not read holds in memory.
const PIECE: usize = 64 << 10;

pub(crate) fn watch(api: &Arc<Api>, target: &Target, call: &Call) -> Result<Response<ResponseBody>, Failure> {
    let query = &call.query;
    let format = object_format(&call.headers, query)?;
    let mut selector = Selector::parse(query, &target.kind)?;
    if let Some(name) = &target.name {
        selector = selector.with_name(name);
    }
    let bookmarks = query.flag("allowWatchBookmarks")?.unwrap_or(false);
    let send_initial = query.flag("sendInitialEvents")?;
    check_options(send_initial, query.get("resourceVersionMatch"))?;
    let seconds = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
    let seconds = seconds.unwrap_or_else(|| DURATION + rand::random_range(0..DURATION));
    // Longer than a year is for ever, and must not overflow the clock.
    let deadline = Instant::now() + Duration::from_secs(seconds.min(366 * 86_400));

    let scope = Scope {
        kind: Arc::clone(&target.kind),
        namespace: target.namespace.clone(),
        selector,
    };
    let version = query.resource_version()?.filter(|version| *version > 0);
    let start = match (send_initial, version) {
        (Some(true), _) | (None, None) => Start::initial(api, &scope, version)?,
        (_, Some(version)) => Start::resume(api, &scope, version),
        (Some(false), None) => Start::at(api.engine().read(|memory| memory.revision())),
    };
    let labels = WatchLabels {
        group: scope.kind.group.clone(),
        version: scope.kind.version.clone(),
        kind: scope.kind.kind.clone(),
    };
    let watcher = Watcher {
        encoder: Encoder {
            kind: Arc::clone(&scope.kind),
            format,
            headers: true,
        },
        tail: api.engine().tail_of(&scope.kind.storage, start.position),
        scope,
        initial: start.objects.into_iter(),
        initial_end: send_initial == Some(true) && bookmarks,
        refusal: start.refusal,
        bookmarks,
        deadline,
        next_bookmark: Instant::now() + BOOKMARK,
        ended: false,
        _counted: api.metrics().watching(&labels),
    };
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let bytes = watcher.next().await?;
        Some((Ok(Frame::data(bytes)), watcher))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = StatusCode::OK;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response.extensions_mut().insert(LongRunning);
    Ok(response)
}

/// `sendInitialEvents` demands a match, and only `NotOlderThan`; without it none is allowed.
fn check_options(send_initial: Option<bool>, matching: Option<&str>) -> Result<(), Failure> {
    let refuse = |error: FieldError| Err(Failure::invalid_options("ListOptions", error));
    match (send_initial, matching) {
        (None, None) | (Some(_), Some("NotOlderThan")) => Ok(()),
        (None, Some(_)) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            refuse(FieldError::forbidden("resourceVersionMatch", why))
        }
        (Some(_), None) => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            refuse(FieldError::forbidden("resourceVersionMatch", why))
        }
        (Some(_), Some(other)) => refuse(FieldError::not_supported(
            "resourceVersionMatch",
            other,
            ["NotOlderThan"],
        )),
    }
}

/// Which objects a watch is about.
struct Scope {
    kind: Arc<Kind>,
    namespace: Option<String>,
    selector: Selector,
}

impl Scope {
    /// Whether a change of an object of this kind is in the namespace that is watched.
    fn covers(&self, event: &Event) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| event.key.namespace == *namespace)
    }

    /// What a change means to this watch: an object that leaves the selection is deleted as far as it can tell,
    /// and one that enters is new.
    fn translate<'a>(&self, event: &'a Event) -> Option<(&'static str, Shown<'a>)> {
        let before = event
            .previous
            .as_ref()
            .filter(|previous| self.selector.selects(previous));
        let after = event.kind != EventKind::Deleted && self.selector.selects(&event.stored);
        match (before, after) {
            (None, true) => Some(("ADDED", Shown::of(event))),
            (Some(_), true) => Some(("MODIFIED", Shown::of(event))),
            (Some(_), false) if event.kind == EventKind::Deleted => Some(("DELETED", Shown::of(event))),
            (Some(previous), false) => {
                let mut last = Value::clone(&previous.value());
                last["metadata"]["resourceVersion"] = event.revision().to_string().into();
                Some(("DELETED", Shown::Made(last)))
            }
            (None, false) => None,
        }
    }
}

/// The object of an event.
enum Shown<'a> {
    Stored(&'a Stored),
    Made(Value),
}

impl<'a> Shown<'a> {
    fn of(event: &'a Event) -> Self {
        Shown::Stored(&event.stored)
    }
}

/// Where a watch begins.
#[derive(Default)]
struct Start {
    objects: Vec<Stored>,
    position: u64,
    /// Told inside the stream: clients take a refused request for a reason to repeat it as it was.
    refusal: Option<Failure>,
}

impl Start {
    fn at(position: u64) -> Self {
        Start {
            position,
            ..Start::default()
        }
    }

    /// From the present state, which must be as recent as `version`.
    fn initial(api: &Api, scope: &Scope, version: Option<u64>) -> Result<Self, Failure> {
        let namespace = scope.namespace.as_deref();
        let (position, mut objects) = api.engine().read(|memory| {
            let current = memory.current(&scope.kind.storage, namespace);
            let objects: Vec<Stored> = current.map(|(_, stored)| stored.clone()).collect();
            (memory.revision(), objects)
        });
        if let Some(version) = version.filter(|version| *version > position) {
            return Err(Failure::too_large_resource_version(version, position));
        }
        objects.retain(|stored| scope.selector.selects(stored));
        Ok(Start {
            objects,
            position,
            refusal: None,
        })
    }

    /// After `version`. One from the future is of another file than this: its owner must list again.
    fn resume(api: &Api, scope: &Scope, version: u64) -> Self {
        let (oldest, newest) = api
            .engine()
            .read(|memory| (memory.floor(scope.kind.memory_only()), memory.revision()));
        let refusal = if (oldest..=newest).contains(&version) {
            None
        } else {
            Some(Failure::expired(format!(
                "too old resource version: {version} ({oldest})"
            )))
        };
        Start {
            refusal,
            ..Start::at(version)
        }
    }
}

/// The state of one watch.
struct Watcher {
    scope: Scope,
    encoder: Encoder,
    tail: Tail,
    initial: std::vec::IntoIter<Stored>,
    /// A bookmark is due that marks the end of the initial objects.
    initial_end: bool,
    refusal: Option<Failure>,
    bookmarks: bool,
    deadline: Instant,
    next_bookmark: Instant,
    ended: bool,
    _counted: Counted,
}

impl Watcher {
    /// The next piece of the stream: one or more events.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(refusal) = self.refusal.take() {
            self.ended = true;
            return Some(error_event(&refusal));
        }
        if self.initial.len() > 0 {
            let mut piece = Vec::new();
            while piece.len() < PIECE
                && let Some(object) = self.initial.next()
            {
                self.encoder.stored(&mut piece, "ADDED", &object);
            }
            if self.initial.len() == 0 {
                // The list's memory, which would be kept for as long as the watch lasts.
                self.initial = Vec::new().into_iter();
            }
            return Some(piece.into());
        }
        if std::mem::take(&mut self.initial_end) {
            return Some(self.bookmark(true));
        }
        loop {
            let wake = if self.bookmarks {
                self.next_bookmark.min(self.deadline)
            } else {
                self.deadline
            };
            match timeout_at(wake, self.tail.next()).await {
                Ok(Ok(Some(events))) => {
                    let piece = self.encode(&events);
                    if !piece.is_empty() {
                        return Some(piece);
                    }
                    // A flood of others' events must not keep this watch beyond its time.
                    if Instant::now() < wake {
                        continue;
                    }
                }
                Ok(Ok(None)) => return None,
                Ok(Err(expired)) => {
                    self.ended = true;
                    return Some(error_event(&expired.into()));
                }
                Err(_elapsed) => match self.catch_up() {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => return Some(piece),
                    Err(expired) => {
                        self.ended = true;
                        return Some(error_event(&expired.into()));
                    }
                },
            }
            self.ended = Instant::now() >= self.deadline;
            self.next_bookmark = Instant::now() + BOOKMARK;
            if self.bookmarks {
                return Some(self.bookmark(false));
            }
            if self.ended {
                return None;
            }
        }
    }

    /// Moves on to the present, which others' changes have brought forward without a word; what there is to tell on
    /// the way, if there is anything.
    fn catch_up(&mut self) -> Result<Bytes, Expired> {
        loop {
            let events = self.tail.take()?;
            let piece = self.encode(&events);
            if events.is_empty() || !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    fn encode(&mut self, events: &[Arc<Event>]) -> Bytes {
        let mut piece = Vec::new();
        for event in events.iter().filter(|event| self.scope.covers(event)) {
            if let Some((kind, object)) = self.scope.translate(event) {
                match &object {
                    Shown::Stored(stored) => self.encoder.stored(&mut piece, kind, stored),
                    Shown::Made(value) => self.encoder.made(&mut piece, kind, value),
                }
            }
        }
        piece.into()
    }

    fn bookmark(&self, initial_end: bool) -> Bytes {
        let mut metadata =
            json!({"resourceVersion": self.tail.position().to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let kind = &self.encoder.kind;
        let object = match self.encoder.format {
            Format::Whole => {
                json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata})
            }
            Format::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Format::Table(_) => json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": metadata["resourceVersion"]},
                "columnDefinitions": [],
                "rows": [{"cells": [], "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                }}],
            }),
        };
        encode("BOOKMARK", &object)
    }
}

/// Writes events in the form that the client asked for.
struct Encoder {
    kind: Arc<Kind>,
    format: Format,
    /// Whether the next table still needs its column definitions.
    headers: bool,
}

impl Encoder {
    fn stored(&mut self, piece: &mut Vec<u8>, kind: &str, stored: &Stored) {
        let shown = table::present_stored(self.format, &self.kind, stored, self.headers);
        self.headers = false;
        frame(piece, kind, |piece| piece.extend_from_slice(&shown));
    }

    fn made(&mut self, piece: &mut Vec<u8>, kind: &str, value: &Value) {
        let shown = table::present(self.format, &self.kind, value, self.headers);
        self.headers = false;
        frame(piece, kind, |piece| {
            piece.extend_from_slice(shown.to_string().as_bytes());
        });
    }
}

fn error_event(failure: &Failure) -> Bytes {
    encode("ERROR", &failure.to_status())
}

fn encode(kind: &str, object: &Value) -> Bytes {
    let mut piece = Vec::new();
    frame(&mut piece, kind, |piece| {
        piece.extend_from_slice(object.to_string().as_bytes());
    });
    piece.into()
}

/// One event: a line of JSON.
fn frame(piece: &mut Vec<u8>, kind: &str, write_object: impl FnOnce(&mut Vec<u8>)) {
    piece.extend_from_slice(b"{\"type\":\"");
    piece.extend_from_slice(kind.as_bytes());
    piece.extend_from_slice(b"\",\"object\":");
    write_object(piece);
    piece.extend_from_slice(b"}\n");
}
