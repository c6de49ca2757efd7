//! The loop around a reconcile: a fresh object, its finalizer, suspend, the verdict, events, and when to come again.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use homeport_crds::conditions::{self, Verdict};
use homeport_crds::{FINALIZER, RECONCILE_AT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, Managed};

/// How often something that is waited for is looked at, beside the watches that wake an object at once.
const POLL: Duration = Duration::from_secs(10);

/// The shortest time after which an object that is ready is looked at again, whatever its spec says.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What goes into the conditions.
    pub verdict: Verdict,
    /// When to come again, where nothing happens before.
    pub again_in: Duration,
}

impl Outcome {
    /// All is done; come again to see whether it still is.
    pub fn ready(reason: &str, message: impl Into<String>, again_in: Duration) -> Self {
        Self {
            verdict: Verdict::Ready {
                reason: reason.to_owned(),
                message: message.into(),
            },
            again_in,
        }
    }

    /// Nothing is done, since the spec says so.
    pub fn suspended() -> Self {
        Self::in_progress("Suspended", "spec.suspend is set: all stays as it is", POLL)
    }

    /// Work goes on.
    pub fn in_progress(reason: &str, message: impl Into<String>, again_in: Duration) -> Self {
        Self {
            verdict: Verdict::InProgress {
                reason: reason.to_owned(),
                message: message.into(),
            },
            again_in,
        }
    }
}

/// The watches of a controller, to which a [`Reconciler`] adds what shall wake its objects.
pub type Watches<K> = Controller<DeserializeGuard<K>>;

/// What a controller does for one resource.
pub trait Reconciler: Send + Sync + 'static {
    /// The resource.
    type Resource: Managed;

    /// When a stalled object is looked at again although nothing woke it, since what its spec names (a file, a host) may
    /// have been mended. A reconciler that sets it must not do again what failed for good. None waits for a change.
    const STALLED_AGAIN_IN: Option<Duration> = None;

    /// Brings the world one step closer to the spec, and says in `status` how it is. Called again and again: it
    /// decides from what it observes, not from what it did before. `status` starts as the object has it and is
    /// written after the call, whether it succeeds or fails; the verdict's conditions are set by the caller.
    fn reconcile(
        &self,
        object: &Self::Resource,
        status: &mut <Self::Resource as Managed>::Status,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Called in place of [`Self::reconcile`] while the spec says `suspend`: stops what is under way. None leaves the
    /// status as it is.
    fn suspend(
        &self,
        _object: &Self::Resource,
        _status: &mut <Self::Resource as Managed>::Status,
    ) -> impl Future<Output = Result<Option<Outcome>, Failure>> + Send {
        async { Ok(Some(Outcome::suspended())) }
    }

    /// Lets go of a deleted object, by its deletion policy. The object goes when this succeeds.
    fn cleanup(&self, object: &Self::Resource) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Adds what shall wake the objects beside their own changes.
    fn watches(&self, watches: Watches<Self::Resource>) -> Watches<Self::Resource>;
}

/// Runs a controller until `shutdown` is cancelled.
pub async fn drive<R: Reconciler>(reconciler: R, context: Context, shutdown: CancellationToken) {
    let api: Api<DeserializeGuard<R::Resource>> = Api::all(context.client.clone());
    let controller = reconciler.watches(Controller::new(api, watcher::Config::default()));
    let objects = controller.store();
    let state = Arc::new(Driver { reconciler, context });
    let running = controller
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(
            |object, state| boxed(async move { Ok(state.step(object).await) }),
            |_, error: &std::convert::Infallible, _| match *error {},
            state,
        )
        .for_each(|result| async move {
            match result {
                Err(error @ controller::Error::ObjectNotFound(_)) => {
                    tracing::debug!(%error, "an object was gone before its turn");
                }
                Err(error) => tracing::warn!(%error, "a watch failed; it is taken up again"),
                Ok(_) => {}
            }
        });
    tokio::select! {
        () = running => {}
        () = stopped_before_first_list(&shutdown, &objects) => {}
    }
}

/// Ends when `shutdown` comes before the API has listed the objects, and never otherwise. The graceful shutdown alone
/// would wait for that list, which may never come.
async fn stopped_before_first_list<K: Managed>(
    shutdown: &CancellationToken,
    objects: &Store<DeserializeGuard<K>>,
) {
    if shutdown
        .run_until_cancelled(objects.wait_until_ready())
        .await
        .is_some()
    {
        std::future::pending().await
    }
}

/// A boxed future, since the type of an unboxed one grows past what the compiler can prove to be `Send`.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

struct Driver<R> {
    reconciler: R,
    context: Context,
}

impl<R: Reconciler> Driver<R> {
    /// One pass over an object. What goes wrong ends in its status, its events and the log, never the controller.
    async fn step(&self, cached: Arc<DeserializeGuard<R::Resource>>) -> Action {
        let name = cached.name_any();
        let namespace = cached.namespace().unwrap_or_default();
        let uid = cached.uid().unwrap_or_default();
        let api: Api<DeserializeGuard<R::Resource>> =
            Api::namespaced(self.context.client.clone(), &namespace);
        // A cached object may be older than the status that the last pass wrote, on which decisions rest.
        let object = match api.get_opt(&name).await {
            Ok(Some(DeserializeGuard(Ok(object)))) => object,
            Ok(Some(DeserializeGuard(Err(invalid)))) => {
                tracing::error!(namespace, name, error = %invalid, "an object does not have the form of its resource");
                if invalid.metadata.deletion_timestamp.is_none() {
                    return Action::await_change();
                }
                return match self.let_go(&namespace, &invalid.metadata).await {
                    Ok(()) => Action::await_change(),
                    Err(error) => self.retry(&uid, &namespace, &name, &error),
                };
            }
            Ok(None) => {
                self.forget(&uid);
                return Action::await_change();
            }
            Err(error) => return self.retry(&uid, &namespace, &name, &error),
        };
        let api: Api<R::Resource> = Api::namespaced(self.context.client.clone(), &namespace);
        let pass = finalizer(&api, FINALIZER, Arc::new(object), |event| {
            boxed(async {
                match event {
                    Event::Apply(object) => self.apply(&api, &object).await,
                    Event::Cleanup(object) => self.cleanup(&api, &object).await,
                }
            })
        });
        match pass.await {
            Ok(action) => action,
            Err(error) => self.retry(&uid, &namespace, &name, &error),
        }
    }

    async fn apply(&self, api: &Api<R::Resource>, object: &R::Resource) -> Result<Action, kube::Error> {
        let mut status = object.status().cloned().unwrap_or_default();
        let result = if object.suspended() {
            match boxed(self.reconciler.suspend(object, &mut status)).await {
                Ok(Some(outcome)) => Ok(outcome),
                Ok(None) => return Ok(Action::await_change()),
                Err(failure) => Err(failure),
            }
        } else {
            boxed(self.reconciler.reconcile(object, &mut status)).await
        };
        self.report(api, object, status, result).await
    }

    async fn cleanup(&self, api: &Api<R::Resource>, object: &R::Resource) -> Result<Action, kube::Error> {
        match boxed(self.reconciler.cleanup(object)).await {
            Ok(()) => {
                self.forget(&object.uid().unwrap_or_default());
                Ok(Action::await_change())
            }
            // An error keeps the finalizer, so that the cleanup is tried again.
            Err(failure) => {
                let status = object.status().cloned().unwrap_or_default();
                let message = failure.to_string();
                self.report(api, object, status, Err(failure)).await?;
                Err(kube::Error::Service(message.into()))
            }
        }
    }

    /// Writes the verdict and says when to come again.
    async fn report(
        &self,
        api: &Api<R::Resource>,
        object: &R::Resource,
        mut status: <R::Resource as Managed>::Status,
        result: Result<Outcome, Failure>,
    ) -> Result<Action, kube::Error> {
        let uid = object.uid().unwrap_or_default();
        let (verdict, again_in) = match result {
            Ok(outcome) => {
                // Work that goes on may be the next try of what failed: only its end starts the backoff over.
                if matches!(outcome.verdict, Verdict::Ready { .. }) {
                    self.context.backoff.reset(&uid);
                }
                (outcome.verdict, outcome.again_in)
            }
            Err(failure) => {
                let again_in = match &failure {
                    Failure::Waiting { .. } => POLL,
                    Failure::Transient { .. } | Failure::Terminal { .. } => self.context.backoff.failed(&uid),
                };
                log_failure(object, &failure);
                (failure.verdict(), again_in)
            }
        };
        self.judge(object, &mut status, &verdict);
        self.context.status.write(api, object, &status).await?;
        let before = object
            .status()
            .cloned()
            .map(|mut status| R::Resource::conditions(&mut status).clone());
        let after = R::Resource::conditions(&mut status);
        self.context
            .events
            .publish_transitions(object, &before.unwrap_or_default(), after)
            .await;
        Ok(match (verdict, R::STALLED_AGAIN_IN) {
            (Verdict::Stalled { .. }, None) => Action::await_change(),
            (Verdict::Stalled { .. }, Some(again_in)) => Action::requeue(again_in),
            (Verdict::Ready { .. }, _) => Action::requeue(again_in.max(SHORTEST_INTERVAL)),
            _ => Action::requeue(again_in),
        })
    }

    fn judge(&self, object: &R::Resource, status: &mut <R::Resource as Managed>::Status, verdict: &Verdict) {
        let generation = object.meta().generation.unwrap_or_default();
        let observed = *R::Resource::observed_generation(status);
        let observed = conditions::summarize(R::Resource::conditions(status), generation, observed, verdict);
        *R::Resource::observed_generation(status) = observed;
        if let Some(asked) = object.annotations().get(RECONCILE_AT) {
            *R::Resource::last_handled_reconcile_at(status) = Some(asked.clone());
        }
    }

    /// Lets a deleted object go that nothing can be read from: what it made is kept.
    async fn let_go(&self, namespace: &str, metadata: &ObjectMeta) -> Result<(), kube::Error> {
        let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        let patch = Patch::Merge(json!({
            "metadata": { "finalizers": finalizers, "resourceVersion": metadata.resource_version },
        }));
        let name = metadata.name.clone().unwrap_or_default();
        let api: Api<PartialObjectMeta<R::Resource>> =
            Api::namespaced(self.context.client.clone(), namespace);
        api.patch_metadata(&name, &PatchParams::default(), &patch)
            .await
            .map(|_| ())
    }

    fn retry(&self, uid: &str, namespace: &str, name: &str, error: &dyn std::error::Error) -> Action {
        let again_in = self.context.backoff.failed(uid);
        tracing::warn!(namespace, name, %error, ?again_in, "a reconcile failed");
        Action::requeue(again_in)
    }

    fn forget(&self, uid: &str) {
        self.context.backoff.reset(uid);
        self.context.status.forget(uid);
    }
}

fn log_failure<K: Managed>(object: &K, failure: &Failure) {
    let (kind, namespace, name) = (
        K::kind(&()),
        object.namespace().unwrap_or_default(),
        object.name_any(),
    );
    match failure {
        Failure::Waiting { reason, message } => {
            tracing::debug!(%kind, namespace, name, reason, message, "waiting");
        }
        Failure::Transient { reason, message } => {
            tracing::warn!(%kind, namespace, name, reason, message, "trying again");
        }
        Failure::Terminal { reason, message } => {
            tracing::error!(%kind, namespace, name, reason, message, "stalled");
        }
    }
}

/// Names the object of a mapped watch.
pub(crate) fn reference<K: Managed>(namespace: Option<String>, name: &str) -> ObjectRef<DeserializeGuard<K>>
where
    DeserializeGuard<K>: kube::Resource<DynamicType = ()> + Debug,
{
    let reference = ObjectRef::new(name);
    match namespace {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    }
}

/// The objects of a namespace that something else matters to, for the mapper of a watch.
pub(crate) fn dependents<K: Managed>(
    store: &Store<DeserializeGuard<K>>,
    namespace: Option<String>,
    matters_to: impl Fn(&K) -> bool,
) -> Vec<ObjectRef<DeserializeGuard<K>>> {
    let objects = store.state();
    let objects = objects.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    objects
        .filter(|object| object.namespace() == namespace && matters_to(object))
        .map(|object| reference(object.namespace(), &object.name_any()))
        .collect()
}
