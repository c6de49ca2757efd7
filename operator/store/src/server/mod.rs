//! The API on a socket: TLS, authentication, and limits on what a client may take.

mod auth;
mod inflight;
mod kubeconfig;
mod stall;
mod strangers;
mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::auth::load_or_create_token;
pub use self::kubeconfig::Kubeconfig;
pub use self::tls::ServingIdentity;

use self::auth::Authenticator;
use self::inflight::Inflight;
use self::stall::StallGuard;
use self::strangers::{Stranger, Strangers};
use crate::Error;
use crate::api::{Api, Failure, LongRunning, ResponseBody, User};
use crate::metrics::Counted;

/// Connections at a time, if there are descriptors for so many; more wait to be accepted.
const CONNECTIONS: u64 = 10_000;
/// Of those, connections at a time that have not yet shown the token; and at most half, where there are few.
const STRANGERS: usize = 512;
/// Descriptors that are left for everything else that this process does.
const RESERVE: u64 = 256;
/// Requests at a time on one HTTP/2 connection; kube-apiserver's limit.
const STREAMS: u32 = 250;
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a request's head, counted from the answer before it: how long an HTTP/1.1 connection may be idle. It is
/// kube-apiserver's, as clients reuse their connections and trip over those that have just been closed.
const HEADERS: Duration = Duration::from_secs(90);
/// How long a connection may last without a request that carries the token; a stranger keeps no place for longer.
const INTRODUCTION: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long a client may take nothing of what it is sent.
const STALL: Duration = Duration::from_secs(60);
/// Bytes of a request's body that an HTTP/2 client may send ahead of their being read. Those of a connection may all
/// do so: requests that wait for a place must not take the window of those that have one. A stranger's are thrown away.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// Bytes of an answer that wait to be sent to an HTTP/2 client.
const SEND_BUFFER: usize = 64 << 10;
/// How often an idle HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);
/// How long requests under way may take to finish when a connection is ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Paths that need no token: what probes and version checks use.
const ANONYMOUS: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

/// Serves until `shutdown`; then ends watches, lets other requests finish, and returns.
pub(crate) async fn serve(
    api: Arc<Api>,
    listener: TcpListener,
    identity: &ServingIdentity,
    token: &SecretString,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
    let front = Arc::new(Front {
        api,
        authenticator: Authenticator::new(token),
        inflight: Inflight::new(),
        shutdown: shutdown.clone(),
    });
    let limit = connection_limit();
    let slots = Arc::new(Semaphore::new(limit));
    let strangers = Strangers::new(STRANGERS.min(limit / 2));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok((stream, _)) => {
                let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
                let (stranger, crowded) = strangers.admit();
                if crowded {
                    front.api.metrics().evicted.inc();
                }
                connections.spawn(async move {
                    let _counted = Counted::new(front.api.metrics().connections.clone());
                    let stranger = Arc::new(stranger);
                    tokio::select! {
                        () = serve_connection(stream, acceptor, front, Arc::clone(&stranger)) => {}
                        () = stranger.evicted() => tracing::debug!("a connection made room for newer ones"),
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                // The peer gave up, or descriptors ran out: neither is a reason to stop, the latter to slow down.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// As many connections as the process can have files open, but for a reserve. The system's soft limit, which is low
/// for the sake of programs that cannot do with more, is raised to the hard one first.
fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = files.saturating_sub(RESERVE).clamp(RESERVE, CONNECTIONS);
    tracing::debug!(files, connections, "connections are limited");
    usize::try_from(connections).unwrap_or(usize::MAX)
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    front: Arc<Front>,
    stranger: Arc<Stranger>,
) {
    // Watch events are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let stream = StallGuard::new(stream, STALL);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        tracing::debug!("a TLS handshake failed");
        return;
    };
    let shutdown = front.shutdown.clone();
    let caller = Arc::clone(&stranger);
    let service = service_fn(move |request| {
        let (front, caller) = (Arc::clone(&front), Arc::clone(&caller));
        async move { Ok::<_, Infallible>(front.handle(request, &caller).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // What was agreed on during the handshake: to find out from the first bytes is to wait for them without limit.
    let mut builder = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder.http2_only(),
        _ => builder.http1_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let silent = async {
        if tokio::time::timeout(INTRODUCTION, stranger.introduced())
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = silent => {
            tracing::debug!("a connection made no authenticated request in time");
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Stands before the API: admits requests, and ends long answers at shutdown.
struct Front {
    api: Arc<Api>,
    authenticator: Authenticator,
    inflight: Inflight,
    shutdown: CancellationToken,
}

impl Front {
    /// Answers a request; with one that carries the token, the `caller` is no stranger any more.
    async fn handle(&self, request: Request<Incoming>, caller: &Stranger) -> Response<ResponseBody> {
        let path = request.uri().path();
        if !self.authenticator.admits(request.headers()) {
            let open =
                ANONYMOUS.contains(&path) || path.starts_with("/livez/") || path.starts_with("/readyz/");
            return if open {
                // What a stranger sends along is not even read.
                let request = request.map(|_| Empty::<Bytes>::new());
                Arc::clone(&self.api).handle(User::anonymous(), request).await
            } else {
                Failure::unauthorized().into_response()
            };
        }
        caller.introduce();
        let place = match self.inflight.place(request.method(), self.api.metrics()).await {
            Ok(place) => place,
            Err(failure) => return inflight::refuse(failure),
        };
        let response = Arc::clone(&self.api).handle(User::administrator(), request).await;
        if response.extensions().get::<LongRunning>().is_none() {
            return inflight::hold(response, place);
        }
        let shutdown = self.shutdown.clone();
        response.map(|body| {
            let frames = body.into_data_stream().take_until(shutdown.cancelled_owned());
            StreamBody::new(frames.map(|data: Result<Bytes, Infallible>| data.map(hyper::body::Frame::data)))
                .boxed_unsync()
        })
    }
}
