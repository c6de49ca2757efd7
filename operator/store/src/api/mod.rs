//! Kubernetes' request semantics: a function from request to response.
//!
//! [`route`] takes the path apart, [`negotiate`] finds the form of the answer, [`registry`] knows the kinds;
//! [`read`], [`watch`], [`write`] and [`delete`] do the verbs. What a cluster does without being asked is in
//! [`housekeeping`].

mod body;
mod builtin;
mod columns;
mod convert;
mod crd;
mod defaults;
mod delete;
mod discovery;
mod housekeeping;
mod jsonpath;
mod kinds;
mod meta;
mod negotiate;
mod printers;
mod read;
mod registry;
mod review;
mod route;
mod rules;
mod scale;
mod selector;
mod status;
mod table;
mod tokens;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

pub(crate) use self::housekeeping::housekeeping;
pub(crate) use self::status::Failure;

use self::kinds::{COMPONENT_STATUSES, Kind};
use self::registry::{Registry, Served};
use self::route::{Query, ResourcePath, Route};
use self::tokens::Tokens;
use crate::Error;
use crate::engine::{Engine, Key, WriteError};
use crate::metrics::{self, Metrics, RequestLabels};

/// The body of a response: whole, or a stream of watch events.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Marks responses that go on until the client or the server ends them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongRunning;

/// On whose behalf a request is made. There is no authorization beyond being admitted.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) groups: &'static [&'static str],
}

impl User {
    /// Whoever calls from within the process.
    pub(crate) fn system() -> Self {
        User {
            name: "system:homeport",
            groups: &["system:masters", "system:authenticated"],
        }
    }

    /// Whoever holds the token.
    pub(crate) fn administrator() -> Self {
        User {
            name: "homeport",
            groups: &["system:masters", "system:authenticated"],
        }
    }

    pub(crate) fn anonymous() -> Self {
        User {
            name: "system:anonymous",
            groups: &["system:unauthenticated"],
        }
    }
}

/// The API over one engine.
pub(crate) struct Api {
    engine: Engine,
    metrics: Metrics,
    registry: Registry,
    root_ca: Option<String>,
    tokens: Tokens,
}

/// A request once its body has been read.
pub(crate) struct Call {
    pub(crate) user: User,
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The resource that a call is about, found among what is served.
pub(crate) struct Target {
    pub(crate) kind: Arc<Kind>,
    /// `None` also for a namespaced kind across all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(&self.kind.storage, self.namespace.as_deref().unwrap_or(""), name)
    }
}

impl Api {
    pub(crate) fn new(engine: Engine, root_ca: Option<String>) -> Self {
        Api {
            metrics: Metrics::new(engine.metrics()),
            engine,
            registry: Registry::new(),
            root_ca,
            tokens: Tokens::new(),
        }
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        self.registry.served(&self.engine)
    }

    /// Creates what every cluster has from the start.
    pub(crate) async fn bootstrap(&self) -> Result<(), Error> {
        match builtin::bootstrap(self).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(Error::Bootstrap(failure.message().to_owned())),
        }
    }

    /// Answers any request; failures are answers too.
    pub(crate) async fn handle<B>(self: Arc<Self>, user: User, request: Request<B>) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let (head, request_body) = request.into_parts();
        let route = Route::parse(head.uri.path());
        let query = Query::parse(head.uri.query());
        let labels = self.labels(&route, &head, &query);
        let answer = async {
            let route = route?;
            let body = body::collect(request_body).await?;
            let call = Call {
                user,
                method: head.method,
                query,
                headers: head.headers,
                body,
            };
            self.dispatch(route, call).await
        };
        let response = answer.await.unwrap_or_else(Failure::into_response);
        let ends = response.extensions().get::<LongRunning>().is_none();
        self.metrics.answered(
            labels,
            response.status().as_u16(),
            ends.then(|| started.elapsed()),
        );
        response
    }

    /// What the metrics say of a request.
    fn labels(&self, route: &Result<Route, Failure>, head: &Parts, query: &Query) -> RequestLabels {
        let mut labels = RequestLabels {
            component: "apiserver",
            verb: match head.method {
                Method::GET => "GET",
                Method::HEAD => "HEAD",
                Method::POST => "POST",
                Method::PUT => "PUT",
                Method::PATCH => "PATCH",
                Method::DELETE => "DELETE",
                _ => "other",
            },
            ..RequestLabels::default()
        };
        let Ok(Route::Resource(path)) = route else {
            return labels;
        };
        let served = self.served();
        let Some(kind) = served.find(&path.group, &path.version, &path.plural) else {
            return labels;
        };
        labels.group.clone_from(&kind.group);
        labels.version.clone_from(&kind.version);
        labels.resource.clone_from(&kind.plural);
        if let Some(subresource) = path.subresource.as_deref()
            && kind.subresources().iter().any(|(name, _)| *name == subresource)
        {
            labels.subresource = subresource.to_owned();
        }
        if query.get("dryRun") == Some("All") {
            labels.dry_run = "All";
        }
        labels.verb = match (labels.verb, path.name.is_some()) {
            ("GET", _) if path.watch || query.flag("watch").ok().flatten() == Some(true) => "WATCH",
            ("GET", false) => "LIST",
            ("DELETE", false) => "DELETECOLLECTION",
            ("PATCH", _) if body::media_type(&head.headers) == "application/apply-patch+yaml" => "APPLY",
            (verb, _) => verb,
        };
        labels.scope = match (&path.name, &path.namespace) {
            (Some(_), _) => "resource",
            (None, _) if labels.verb == "POST" => "resource",
            (None, Some(_)) => "namespace",
            (None, None) => "cluster",
        };
        labels
    }

    fn metrics_text(&self) -> Result<Response<ResponseBody>, Failure> {
        let mut objects = BTreeMap::<String, u64>::new();
        self.engine.read(|memory| {
            for (key, _) in memory.all() {
                *objects.entry(key.resource_name()).or_default() += 1;
            }
        });
        let text = self.metrics.text(objects).map_err(Failure::internal)?;
        let mut response = Response::new(full(text));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(metrics::MEDIA_TYPE),
        );
        Ok(response)
    }

    async fn dispatch(self: &Arc<Self>, route: Route, call: Call) -> Result<Response<ResponseBody>, Failure> {
        match route {
            Route::Resource(path) => self.resource(path, call).await,
            _ if call.method != Method::GET && call.method != Method::HEAD => Err(Failure::no_such_method()),
            Route::Metrics => self.metrics_text(),
            Route::Health => self.health(call.query.has("verbose")),
            route => discovery::answer(self, &route, &call),
        }
    }

    /// Ready and alive are the same here: the state was read before the first request could come.
    fn health(&self, verbose: bool) -> Result<Response<ResponseBody>, Failure> {
        match (self.engine.is_open(), verbose) {
            (false, _) => Err(Failure::from(WriteError::from(Arc::new(Error::Closed)))),
            (true, false) => Ok(text("ok")),
            (true, true) => Ok(text("[+]ping ok\n[+]store ok\ncheck passed\n")),
        }
    }

    async fn resource(
        self: &Arc<Self>,
        path: ResourcePath,
        call: Call,
    ) -> Result<Response<ResponseBody>, Failure> {
        let served = self.served();
        let kind = served
            .find(&path.group, &path.version, &path.plural)
            .ok_or_else(|| no_resource(&served, &path.group))?;
        if path.namespace.is_some() && !kind.namespaced {
            return Err(Failure::no_such_path());
        }
        let target = Target {
            kind: Arc::clone(kind),
            namespace: path.namespace,
            name: path.name,
            subresource: path.subresource,
        };
        let mut response = match (path.watch, &call.method) {
            (false, _) => self.verb(&target, &call).await?,
            (true, &Method::GET) if !kind.review => watch::watch(self, &target, &call)?,
            (true, _) => return Err(Failure::no_such_method()),
        };
        if let Some(warning) = &kind.deprecation {
            warn(&mut response, warning);
        }
        Ok(response)
    }

    async fn verb(self: &Arc<Self>, target: &Target, call: &Call) -> Result<Response<ResponseBody>, Failure> {
        let kind = &target.kind;
        if kind.review {
            return match (&call.method, &target.name) {
                (&Method::POST, None) => review::answer(self, kind, call),
                _ => Err(Failure::no_such_method()),
            };
        }
        if let Some(subresource) = target.subresource.as_deref() {
            let known = kind.subresources().iter().any(|(name, _)| *name == subresource);
            return match (known, subresource, &call.method) {
                (false, ..) => Err(Failure::no_such_path()),
                (_, "scale", _) => scale::answer(self, target, call).await,
                (_, "token", &Method::POST) => tokens::issue(self, target, call),
                (_, "token", _) => Err(Failure::no_such_method()),
                (_, _, &Method::PUT) => write::update(self, target, call).await,
                (_, "finalize", _) => Err(Failure::no_such_method()),
                (_, _, &Method::GET) => read::get(self, target, call),
                (_, _, &Method::PATCH) => write::patch(self, target, call).await,
                _ => Err(Failure::no_such_method()),
            };
        }
        if kind.namespaced
            && target.namespace.is_none()
            && (target.name.is_some() || call.method == Method::POST)
        {
            return Err(Failure::no_such_path());
        }
        let watching = call.query.flag("watch")?.unwrap_or(false);
        let reads = matches!(call.method, Method::GET | Method::HEAD) && !watching;
        if kind.is(COMPONENT_STATUSES) && !reads {
            return Err(Failure::no_such_method());
        }
        match (&call.method, &target.name) {
            (&Method::GET | &Method::HEAD, _) if watching => watch::watch(self, target, call),
            (&Method::GET | &Method::HEAD, Some(_)) => read::get(self, target, call),
            (&Method::GET | &Method::HEAD, None) => read::list(self, target, call),
            (&Method::POST, None) => write::create(self, target, call).await,
            (&Method::PUT, Some(_)) => write::update(self, target, call).await,
            (&Method::PATCH, Some(_)) => write::patch(self, target, call).await,
            (&Method::DELETE, Some(_)) => delete::delete(self, target, call).await,
            (&Method::DELETE, None) => delete::delete_collection(self, target, call).await,
            _ => Err(Failure::no_such_method()),
        }
    }
}

/// The API as a tower service for clients in the same process, such as `kube::Client`.
#[derive(Clone)]
pub struct ApiService {
    api: Arc<Api>,
}

impl ApiService {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        ApiService { api }
    }
}

impl std::fmt::Debug for ApiService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiService").finish_non_exhaustive()
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = Arc::clone(&self.api);
        Box::pin(async move { Ok(api.handle(User::system(), request).await) })
    }
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).boxed_unsync()
}

fn text(text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(full(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn json_bytes(code: StatusCode, bytes: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

fn json(code: StatusCode, value: &Value) -> Response<ResponseBody> {
    json_bytes(code, format!("{value}\n"))
}

/// Groups of Kubernetes' own say that they lack a resource; where there is no such group, nobody answers.
fn no_resource(served: &Served, group: &str) -> Failure {
    if served.kinds().any(|kind| kind.group == group && !kind.custom) {
        Failure::no_such_path()
    } else {
        Failure::page_not_found()
    }
}

/// Adds a `Warning` header, which kubectl prints.
fn warn(response: &mut Response<ResponseBody>, message: &str) {
    let printable = message
        .replace(['\n', '\r'], " ")
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{printable}\"")) {
        response.headers_mut().append(header::WARNING, value);
    }
}
