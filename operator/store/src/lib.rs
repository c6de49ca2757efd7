//! A Kubernetes API over one local file; knows nothing of migrations.
//!
//! The store serves what kubectl, Helm, client-go and kube need of a cluster's API: discovery, custom resource
//! definitions, the usual built-in kinds, watches, server-side apply. It runs nothing: a Deployment is a record, a
//! Job stays where it is. From the bottom up:
//!
//! - `engine`: versioned objects in memory, each change appended to one SQLite file before anyone sees it.
//! - `schema`, `apply`, `patch`, `protobuf`, `openapi`: pure functions on objects: structural schemas with
//!   defaulting, pruning and CEL; field ownership; the patch formats; reading and describing objects.
//! - `api`: Kubernetes' request semantics on top of both, as a function from request to response.
//! - `server`: TLS, the bearer token and limits around it, and the kubeconfig that leads clients here.
//!
//! ```no_run
//! # async fn example() -> Result<(), homeport_store::Error> {
//! let store = homeport_store::Store::open(homeport_store::Options::file("state/state.db")).await?;
//! // In the same process: `kube::Client::new(store.service(), "default")`.
//! let service = store.service();
//! # drop(service);
//! # Ok(())
//! # }
//! ```

mod api;
mod apply;
mod engine;
mod error;
mod metrics;
mod openapi;
mod patch;
mod private_file;
mod protobuf;
mod schema;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use api::{ApiService, ResponseBody};
pub use engine::{Finding, Report, Restored, backup, check, restore};
pub use error::Error;
pub use server::{Kubeconfig, ServingIdentity, load_or_create_token};

use api::Api;
use engine::{Engine, HistoryLimit, Location};

/// History kept for watches that resume and lists that continue.
const HISTORY: HistoryLimit = HistoryLimit {
    events: 10_000,
    bytes: 8 << 20,
};
/// How long kube-apiserver keeps events.
const EVENT_TTL: Duration = Duration::from_secs(60 * 60);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    location: Location,
    root_ca: Option<String>,
    event_ttl: Duration,
}

impl Options {
    /// Keeps the state in the file at `path`, which is made with mode 0600 if there is none. Its directory must
    /// exist. Secrets stay in memory all the same, but for Helm's release records.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Options {
            location: Location::File(path.into()),
            root_ca: None,
            event_ttl: EVENT_TTL,
        }
    }

    /// Keeps everything in memory, for tests and previews.
    #[must_use]
    pub fn memory() -> Self {
        Options {
            location: Location::Memory,
            root_ca: None,
            event_ttl: EVENT_TTL,
        }
    }

    /// The certificate (PEM) that clients shall trust; published in each namespace's `kube-root-ca.crt`.
    #[must_use]
    pub fn with_root_ca(mut self, pem: impl Into<String>) -> Self {
        self.root_ca = Some(pem.into());
        self
    }

    /// How long events are kept after they last changed; one hour unless told.
    #[must_use]
    pub fn with_event_ttl(mut self, ttl: Duration) -> Self {
        self.event_ttl = ttl;
        self
    }
}

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    api: Arc<Api>,
    background: CancellationToken,
}

impl Store {
    /// Opens or creates the state file, brings one of an earlier version up to date, replays it, and starts what a cluster does by itself: garbage collection,
    /// the end of namespaces and custom resource definitions, the expiry of events.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has the file; [`Error::NewerSchema`] and [`Error::NotAStore`] for
    /// files that are not understood; [`Error::Damaged`], [`Error::Database`] and [`Error::Io`] from below.
    pub async fn open(options: Options) -> Result<Store, Error> {
        let Options {
            location,
            root_ca,
            event_ttl,
        } = options;
        let engine = tokio::task::spawn_blocking(move || Engine::open(&location, HISTORY))
            .await
            .map_err(|error| Error::Thread(std::io::Error::other(error)))??;
        let api = Arc::new(Api::new(engine, root_ca));
        api.bootstrap().await?;
        let background = CancellationToken::new();
        tokio::spawn(
            background
                .clone()
                .run_until_cancelled_owned(api::housekeeping(Arc::clone(&api), event_ttl)),
        );
        Ok(Store { api, background })
    }

    /// The API as a tower service, for clients in this process: requests through it are those of the user
    /// `system:homeport` in the group `system:masters`.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService::new(Arc::clone(&self.api))
    }

    /// Serves the API over TLS on `listener` until `shutdown`. Clients authenticate with `token` as bearer.
    /// Health and version are served to anyone.
    ///
    /// # Errors
    /// [`Error::Identity`] if TLS cannot be set up with `identity`.
    pub async fn serve(
        &self,
        listener: TcpListener,
        identity: &ServingIdentity,
        token: SecretString,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        server::serve(Arc::clone(&self.api), listener, identity, &token, shutdown).await
    }

    /// Finishes what is being written and closes the file. Requests that come later fail.
    pub async fn close(self) {
        self.background.cancel();
        self.api.engine().close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
