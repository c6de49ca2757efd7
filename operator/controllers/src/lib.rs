//! One controller per resource: the only crate that joins Kubernetes and the domain.
//!
//! [`run`] starts the four controllers on a `kube::Client`, and cannot tell whether homeport's own API or a
//! kube-apiserver is behind it. What they share is in [`runtime`]: the loop around a reconcile (fresh object,
//! finalizer, suspend, verdict to conditions, events, backoff) and [`runtime::work`], which holds the long tasks that
//! outlive a single reconcile. Each resource has a module of its own that reads as a pipeline: observe (gather facts)
//! -> decide (a pure function from facts to the next step) -> act -> report (status).
//!
//! - [`bundle`] reconciles HprtBundle
//! - [`secret_binding`] reconciles SecretBinding
//! - [`data_sync`] reconciles DataSync
//! - [`cutover`] reconciles Cutover

pub mod bundle;
pub mod cutover;
pub mod data_sync;
pub mod runtime;
pub mod secret_binding;

use kube::Client;
use tokio_util::sync::CancellationToken;

pub use runtime::{Context, Settings};

/// Runs the four controllers until `shutdown` is cancelled.
///
/// Work that is under way then is stopped where it is; it is picked up from there at the next start.
pub async fn run(client: Client, settings: Settings, shutdown: CancellationToken) {
    let context = Context::new(client, settings);
    tokio::join!(
        runtime::drive(
            bundle::BundleReconciler::new(context.clone()),
            context.clone(),
            shutdown.clone()
        ),
        runtime::drive(
            secret_binding::BindingReconciler::new(context.clone()),
            context.clone(),
            shutdown.clone()
        ),
        runtime::drive(
            data_sync::SyncReconciler::new(context.clone()),
            context.clone(),
            shutdown.clone()
        ),
        runtime::drive(
            cutover::CutoverReconciler::new(context.clone()),
            context.clone(),
            shutdown.clone()
        ),
    );
}
