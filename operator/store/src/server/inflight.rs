//! Requests being answered: as many as memory is meant for, and the others wait their turn.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::{Failure, ResponseBody};
use crate::metrics::{Counted, Metrics};

/// kube-apiserver's limits of requests that change something, and of those that do not.
const MUTATING: usize = 200;
const READ_ONLY: usize = 400;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// The places of requests being answered.
pub(super) struct Inflight {
    mutating: Arc<Semaphore>,
    read_only: Arc<Semaphore>,
}

/// One place; free again when this is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Inflight {
    pub(super) fn new() -> Self {
        Inflight {
            mutating: Arc::new(Semaphore::new(MUTATING)),
            read_only: Arc::new(Semaphore::new(READ_ONLY)),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// 429, with which clients try again, if none gets free in time.
    pub(super) async fn place(&self, method: &Method, metrics: &Metrics) -> Result<Place, Failure> {
        let mutating = !method.is_safe();
        let places = if mutating { &self.mutating } else { &self.read_only };
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(places).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Place {
                _permit: permit,
                _counted: metrics.answering(mutating),
            }),
            _ => Err(Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "Too many requests, please try again later.",
            )),
        }
    }
}

/// The answer to a request that found no place.
pub(super) fn refuse(failure: Failure) -> Response<ResponseBody> {
    let mut response = failure.into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// Keeps `place` until the whole answer has been sent, as it takes memory until then.
pub(super) fn hold(response: Response<ResponseBody>, place: Place) -> Response<ResponseBody> {
    response.map(|body| Held { body, _place: place }.boxed_unsync())
}

struct Held {
    body: ResponseBody,
    _place: Place,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::FutureExt as _;

    use super::*;
    use crate::engine::{Engine, HistoryLimit, Location};

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_for_one_and_is_sent_away_in_the_end() {
        let limit = HistoryLimit { events: 1, bytes: 1 };
        let engine = Engine::open(&Location::Memory, limit).unwrap();
        let metrics = Metrics::new(engine.metrics());
        let inflight = Inflight::new();
        let mut places = Vec::new();
        for _ in 0..MUTATING {
            places.push(inflight.place(&Method::POST, &metrics).await.ok().unwrap());
        }
        let refused = inflight.place(&Method::PUT, &metrics).await.err().unwrap();
        assert_eq!(refused.code(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refuse(refused).headers()[header::RETRY_AFTER], "1");
        assert!(
            inflight.place(&Method::GET, &metrics).await.is_ok(),
            "reading has places of its own"
        );

        let mut waiting = Box::pin(inflight.place(&Method::PATCH, &metrics));
        assert!(waiting.as_mut().now_or_never().is_none());
        let answer = Response::new(crate::api::full("sent"));
        drop(hold(answer, places.remove(0)));
        assert!(waiting.await.is_ok());
    }
}
