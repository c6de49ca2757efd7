//! The controller of DataSync: brings a source's data to the target, once, and proves that both sides agree.
//!
//! A pass reads: what is asked for (`definition`, `observe`) -> the next step of each task (`decide`) -> runs that
//! begin or go on (`run`) -> status (`report`). A task is done when the status says so for the digest of what is
//! asked for; the work in memory is only the way there, and a process that is killed begins it again: the engine
//! finds on the target what it had copied.
//!
//! [`gate`] and [`write_mark`] are for the Cutover controller: whether a sync is verified, and whether somebody has
//! written to the target since.

mod decide;
mod definition;
mod gate;
mod observe;
mod report;
mod run;
mod write_mark;

use std::hash::RandomState;
use std::sync::Arc;

use homeport_crds::data_sync::{SyncEndpoint, SyncTaskSpec};
use homeport_crds::{DataSync, DataSyncStatus, HprtBundle, SecretBinding};
use homeport_sync::{Engine, Postgres};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use crate::runtime::backoff::Backoff;
use crate::runtime::work::{WorkKey, WorkState, Works};
use crate::runtime::{Context, Failure, Outcome, Reconciler, Watches, dependents};
use decide::{Step, decide, outcome};
use observe::{Asked, Observed, ObservedTask};
use run::{Ended, Live, Run};

pub use gate::{SyncGate, gate};
pub use write_mark::write_mark;

/// Reconciles DataSyncs.
pub struct SyncReconciler {
    context: Context,
    engine: Arc<dyn Engine>,
    works: Arc<Works<Live, Ended>>,
    backoff: Arc<Backoff>,
    hasher: RandomState,
}

impl SyncReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self::with_engine(context, Arc::new(Postgres))
    }

    /// A reconciler whose tasks are moved by this engine.
    pub fn with_engine(context: Context, engine: Arc<dyn Engine>) -> Self {
        Self {
            context,
            engine,
            works: Works::new(),
            backoff: Arc::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Reconciler for SyncReconciler {
    type Resource = DataSync;

    async fn reconcile(&self, sync: &DataSync, status: &mut DataSyncStatus) -> Result<Outcome, Failure> {
        let result = self.advance(sync, status).await;
        report::synced(sync, status, &result);
        result
    }

    /// Pauses what is not done. What is done stays so.
    async fn suspend(
        &self,
        sync: &DataSync,
        status: &mut DataSyncStatus,
    ) -> Result<Option<Outcome>, Failure> {
        self.stop(sync).await;
        let asked = observe::asked(&self.context, sync).await;
        if asked.is_ok_and(|asked| observe::all_done(sync, status, &asked)) {
            return self.reconcile(sync, status).await.map(Some);
        }
        report::paused(status);
        let message =
            "paused by spec.suspend; what is copied is kept, and the rest goes on when that is false";
        let result = Ok(Outcome::in_progress("Suspended", message, decide::REST));
        report::synced(sync, status, &result);
        result.map(Some)
    }

    /// Ends what runs. What was copied stays: it is not homeport's to delete.
    async fn cleanup(&self, sync: &DataSync) -> Result<(), Failure> {
        self.stop(sync).await;
        Ok(())
    }

    fn watches(&self, watches: Watches<DataSync>) -> Watches<DataSync> {
        let (of_bundle, of_binding, of_secret) = (watches.store(), watches.store(), watches.store());
        let client = &self.context.client;
        watches
            .reconcile_on(self.works.wakes())
            .watches(
                Api::<HprtBundle>::all(client.clone()),
                watcher::Config::default(),
                move |bundle| {
                    dependents(&of_bundle, bundle.namespace(), |sync| {
                        takes_from(sync, &bundle.name_any())
                    })
                },
            )
            .watches(
                Api::<SecretBinding>::all(client.clone()),
                watcher::Config::default(),
                move |binding| {
                    dependents(&of_binding, binding.namespace(), |sync| {
                        takes_from(sync, &binding.spec.bundle_ref.name)
                    })
                },
            )
            .watches(
                Api::<Secret>::all(client.clone()),
                watcher::Config::default(),
                move |secret| {
                    dependents(&of_secret, secret.namespace(), |sync| {
                        may_read(sync, &secret.name_any())
                    })
                },
            )
    }
}

impl SyncReconciler {
    async fn advance(&self, sync: &DataSync, status: &mut DataSyncStatus) -> Result<Outcome, Failure> {
        let asked = match observe::asked(&self.context, sync).await {
            Ok(asked) => asked,
            Err(failure) => {
                if matches!(failure, Failure::Terminal { .. }) {
                    // What runs is no longer what is asked for.
                    self.stop(sync).await;
                }
                return Err(failure);
            }
        };
        self.stop_strangers(sync, &asked).await;
        let mut observed =
            observe::observe(&self.context, &self.works, &self.hasher, sync, status, &asked).await?;
        let steps = decide(&observed.facts);
        self.act(sync, &mut observed, &steps).await;
        report::tasks(status, &observed, &steps, Timestamp::now());
        let result = outcome(
            &observed.facts,
            &steps,
            || report::done(observed.facts.mode, status),
            || report::under_way(status),
        );
        report::history(sync, status, &observed.facts, &result);
        result
    }

    /// Begins and ends runs by the steps. The facts then have the works as they are after it.
    async fn act(&self, sync: &DataSync, observed: &mut Observed, steps: &[Step]) {
        let tasks = observed.tasks.drain(..).zip(&mut observed.facts.tasks);
        let mut after = Vec::new();
        for ((task, facts), step) in tasks.zip(steps) {
            let ObservedTask {
                key,
                digest,
                prepared,
            } = task;
            match (step, prepared) {
                (Step::Run, Some(prepared)) => {
                    let failed_before = matches!(facts.work, Some(WorkState::Ended(_) | WorkState::Lost));
                    let retries = facts
                        .recorded
                        .as_ref()
                        .map_or(0, |task| task.retries.unsigned_abs());
                    let run = Run {
                        engine: self.engine.clone(),
                        mode: sync.spec.mode,
                        task: prepared.task,
                        digest: digest.clone(),
                        input: prepared.input.clone(),
                        retries_before: retries + u64::from(failed_before),
                        backoff: self.backoff.clone(),
                    };
                    self.works.forget_ended(&key);
                    let begin = |cancel, live| run.run(cancel, live);
                    facts.work = Some(self.works.ensure(&key, &prepared.input, begin).await);
                }
                // The status has it; or what goes on is of another definition.
                (Step::Done, _) if facts.is_done() => self.works.cancel(&key).await,
                (Step::Hold, _) if facts.work.is_none() => self.works.cancel(&key).await,
                _ => {}
            }
            after.push(ObservedTask {
                key,
                digest,
                prepared: None,
            });
        }
        observed.tasks = after;
    }

    /// Ends all runs of a sync, and waits for their end.
    async fn stop(&self, sync: &DataSync) {
        for key in self.works.keys_of(sync) {
            self.works.cancel(&key).await;
        }
    }

    /// Ends the runs of tasks that the sync no longer has.
    async fn stop_strangers(&self, sync: &DataSync, asked: &Asked) {
        let is_asked_for = |key: &WorkKey| asked.tasks.iter().any(|task| task.name == key.part);
        for key in self.works.keys_of(sync) {
            if !is_asked_for(&key) {
                self.works.cancel(&key).await;
            }
        }
    }
}

fn takes_from(sync: &DataSync, bundle: &str) -> bool {
    let reference = sync.spec.bundle_ref.as_ref();
    reference.is_some_and(|reference| reference.name == bundle)
}

/// Whether a change of this Secret may matter. Those that a bundle's values are in are known to its SecretBindings
/// only, and a look is cheap.
fn may_read(sync: &DataSync, secret: &str) -> bool {
    let ends = |task: &SyncTaskSpec| [task.source.clone(), task.target.clone()];
    let is_named = |end: SyncEndpoint| {
        let ca = end.tls.and_then(|tls| tls.ca_secret_ref);
        let references = [end.password_secret_ref, ca];
        references
            .iter()
            .flatten()
            .any(|reference| reference.name == secret)
    };
    sync.spec.bundle_ref.is_some() || sync.spec.tasks.iter().flat_map(ends).any(is_named)
}
