//! What the controllers share: the loop around a reconcile, and the long work that outlives one.

pub mod backoff;
mod driver;
mod events;
mod failure;
mod managed;
mod status;
pub mod work;

use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;

pub use driver::{Outcome, Reconciler, Watches, drive};
pub(crate) use driver::{dependents, reference};
pub use failure::Failure;
pub use managed::Managed;

/// Where the controllers keep what is not in the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory for fetched bundles and, on the local target, releases. Nothing secret is kept in it.
    pub state_dir: PathBuf,
    /// Where relative paths in specs start.
    pub working_dir: PathBuf,
}

/// What every reconcile is handed: the API, and the settings. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// Where things are kept.
    pub settings: Arc<Settings>,
    events: events::Events,
    status: Arc<status::StatusWriter>,
    backoff: Arc<backoff::Backoff>,
}

impl Context {
    /// A context for the controllers on `client`.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self {
            events: events::Events::new(client.clone()),
            status: Arc::default(),
            backoff: Arc::default(),
            settings: Arc::new(settings),
            client,
        }
    }

    /// A path of a spec: as it is when absolute, else from the working directory.
    pub fn resolve_path(&self, path: &str) -> PathBuf {
        self.settings.working_dir.join(path)
    }
}
