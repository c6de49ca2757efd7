//! The loop around a reconcile: a fresh object, its finalizer, suspend, the verdict, events, and when to come again.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use homeport_crds::conditions::{self, Verdict};
use homeport_crds::{FINALIZER, RECONCILE_AT};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, Managed};

/// How often something that is waited for is looked at, beside the watches that wake an object at once.
const POLL: Duration = Duration::from_secs(10);

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

    /// Called in place of [`Self::reconcile`] while the spec says `suspend`. None leaves the status as it is.
    fn suspend(
        &self,
        _object: &Self::Resource,
        _status: &mut <Self::Resource as Managed>::Status,
    ) -> impl Future<Output = Result<Option<Outcome>, Failure>> + Send {
        async { Ok(None) }
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
    let state = Arc::new(Driver { reconciler, context });
    controller
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(
            |object, state| boxed(async move { Ok(state.step(object).await) }),
            |_, error: &std::convert::Infallible, _| match *error {},
            state,
        )
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "a watch or a queued reconcile ended early");
            }
        })
        .await;
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
                return Action::await_change();
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
                self.context.backoff.reset(&uid);
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
