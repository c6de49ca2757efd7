//! The controller of Cutover: points records at the target behind gates, and knows the way back.
//!
//! A pass reads: what the status says was done (`journal`) -> what is asked for (`definition`) -> the world (`observe`,
//! `provider`) -> one step, decided by [`homeport_cutover::decide`] -> that step (`act`) -> status (`report`). The status
//! is written between two steps: the records as they were are in it before the first of them is changed, and so is a
//! decision to roll back before it is acted on. A process that is killed goes on from there, and finds a change that it
//! made without being able to say so already made.
//!
//! Once the records are switched and the soak is over, they are left alone. Where somebody changes them afterwards,
//! `status.observed` and the condition CutOver say so, `Ready` stays True, and nothing fights over them: an edit of the
//! spec or the annotation `homeport.dev/reconcile-at` asks for the switch again, with all its gates. So does a change
//! of what the records are to be. The way back stays the one to the records as they were before the first switch, also
//! of those that the plan leaves out since; what it has in addition is captured in addition.
//!
//! Deleting a Cutover changes nothing in DNS.

mod act;
mod definition;
mod failures;
mod journal;
mod observe;
mod provider;
mod report;
mod writes;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use homeport_crds::cutover::{CutoverSpec, DnsProviderSpec};
use homeport_crds::{Cutover, CutoverStatus, DataSync, HprtBundle, SecretBinding};
use homeport_cutover::changes;
use homeport_cutover::machine::{Desired, Direction, Mode, Reason};
use homeport_cutover::triggers::TriggerState;
use homeport_cutover::{Facts, Plan, Step, decide};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use crate::runtime::{Context, Failure, Outcome, Reconciler, Watches, dependents};
use act::Pass;

/// Reconciles Cutovers.
pub struct CutoverReconciler {
    context: Context,
    /// What was measured since the switch, for the triggers, by the uid of the Cutover. A process that starts anew
    /// begins to measure anew.
    measured: Mutex<HashMap<String, TriggerState>>,
}

impl CutoverReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            measured: Mutex::default(),
        }
    }
}

impl Reconciler for CutoverReconciler {
    type Resource = Cutover;

    /// A server's configuration, and records of others, are mended without a word to the API.
    const STALLED_AGAIN_IN: Option<Duration> = Some(Duration::from_secs(60));

    async fn reconcile(&self, cutover: &Cutover, status: &mut CutoverStatus) -> Result<Outcome, Failure> {
        journal::prepare(status, &cutover.spec);
        let result = self.advance(cutover, status).await;
        report::cut_over(cutover, status, &result);
        result
    }

    /// The records stay as they are: what they are to be without a Cutover is not homeport's to say.
    async fn cleanup(&self, cutover: &Cutover) -> Result<(), Failure> {
        self.forget_measured(cutover);
        Ok(())
    }

    fn watches(&self, watches: Watches<Cutover>) -> Watches<Cutover> {
        let (of_bundle, of_sync) = (watches.store(), watches.store());
        let (of_binding, of_secret) = (watches.store(), watches.store());
        let client = &self.context.client;
        watches
            .watches(
                Api::<HprtBundle>::all(client.clone()),
                watcher::Config::default(),
                move |bundle| {
                    dependents(&of_bundle, bundle.namespace(), |cutover| {
                        goes_with(cutover, &bundle.name_any())
                    })
                },
            )
            .watches(
                Api::<DataSync>::all(client.clone()),
                watcher::Config::default(),
                move |sync| {
                    let bundle = sync.spec.bundle_ref.as_ref().map(|bundle| bundle.name.clone());
                    dependents(&of_sync, sync.namespace(), |cutover| {
                        bundle.as_ref().is_some_and(|bundle| goes_with(cutover, bundle))
                    })
                },
            )
            .watches(
                Api::<SecretBinding>::all(client.clone()),
                watcher::Config::default(),
                move |binding| {
                    dependents(&of_binding, binding.namespace(), |cutover| {
                        goes_with(cutover, &binding.spec.bundle_ref.name)
                    })
                },
            )
            .watches(
                Api::<Secret>::all(client.clone()),
                watcher::Config::default(),
                move |secret| {
                    dependents(&of_secret, secret.namespace(), |cutover| {
                        reads(&cutover.spec.provider, &secret.name_any())
                    })
                },
            )
    }
}

impl CutoverReconciler {
    async fn advance(&self, cutover: &Cutover, status: &mut CutoverStatus) -> Result<Outcome, Failure> {
        let now = Timestamp::now();
        let facts = journal::facts(cutover, status, now);
        // What a person asks for comes before everything that can fail: an annotation is answered once, and the way
        // back must not wait for the way forward.
        match decide(&facts) {
            Step::Begin => Ok(self.begin(cutover, status, "the records are to be switched again")),
            Step::Resume => Ok(self.resume(cutover, status)),
            Step::DecideRollback(cause) if facts.desired == Desired::RolledBack => {
                Ok(act::decide_rollback(cutover, status, &cause, now))
            }
            Step::Halt(_) if facts.journal.halted.is_some() => Err(act::still_halted(status)),
            Step::Done { outcome, cause } => self.rest(cutover, status, &facts, outcome, cause).await,
            _ => self.step(cutover, status, facts, now).await,
        }
    }

    /// Looks at the world, and makes one step.
    async fn step(
        &self,
        cutover: &Cutover,
        status: &mut CutoverStatus,
        mut facts: Facts,
        now: Timestamp,
    ) -> Result<Outcome, Failure> {
        provider::check_supported(&cutover.spec)?;
        let plan = self.plan(cutover, &facts).await?;
        let provider = provider::of(&self.context, cutover).await?;
        if let Some(plan) = &plan {
            journal::add_plan(&mut facts, plan);
        }
        let mut pass = Pass {
            context: &self.context,
            cutover,
            plan,
            provider,
            captured: journal::captured(status),
            observed: None,
            syncs: observe::syncs(&self.context, cutover).await?,
            now,
        };
        self.look(&mut pass, &mut facts, journal::is_on_top(status))
            .await?;
        if pass.is_planned_anew(&facts, journal::is_on_top(status)) {
            return Ok(match journal::is_on_top(status) {
                true => self.switch_again(cutover, status),
                false => self.begin(
                    cutover,
                    status,
                    "the plan is another one than what was captured for",
                ),
            });
        }

        let mut step = decide(&facts);
        if let Step::LookAround(direction) = step {
            let servers = provider::servers(&cutover.spec).await?;
            let look = observe::look_around(&servers, &pass.captured, direction).await;
            status.observed = look.observed;
            if look.unseen.is_empty() {
                return Ok(pass.seen(status, direction));
            }
            facts.unseen = Some(look.unseen);
            step = decide(&facts);
        }
        if step == Step::RunPostChecks {
            let measured = pass.run_post_checks(status).await?;
            let now = Timestamp::now();
            facts.journal = journal::journal(status, now);
            facts.fired = self.measured(cutover, measured, &pass);
            step = match facts.fired {
                Some(_) => decide(&facts),
                None => return Ok(pass.checked(status, &facts)),
            };
        }
        if matches!(&step, Step::DecideRollback(cause) if cause.reason != Reason::Requested) {
            facts.writes = writes::since(&self.context, &pass.syncs, &status.write_marks).await;
            step = decide(&facts);
        }
        pass.make(status, &facts, step).await
    }

    /// The plan, on the way to the target. The way back needs what was captured alone.
    async fn plan(&self, cutover: &Cutover, facts: &Facts) -> Result<Option<Plan>, Failure> {
        let is_forward = facts.desired == Desired::CutOver && facts.journal.rolling_back.is_none();
        if !is_forward {
            return Ok(None);
        }
        let bundle = observe::documents(&self.context, cutover).await?;
        definition::plan(cutover, bundle.as_ref()).map(Some)
    }

    /// Gathers the facts that are not in the object.
    async fn look(&self, pass: &mut Pass<'_>, facts: &mut Facts, is_on_top: bool) -> Result<(), Failure> {
        if facts.mode == Mode::DryRun {
            return Ok(());
        }
        let is_back = pass.plan.is_none();
        if !is_back && !facts.journal.switched {
            facts.waiting_for = observe::waiting_for(&self.context, pass.cutover).await?;
            facts.sync = observe::sync_gate(&pass.syncs, pass.cutover.spec.gates.max_sync_lag_bytes);
        }
        if pass.captured.is_empty() {
            return Ok(());
        }
        let observed = changes::observe(&*pass.provider, &observe::keys(&pass.captured)).await;
        let observed = match observed {
            // Checks tell more than a server that does not answer now.
            Err(_) if !is_back && facts.journal.switched => return Ok(()),
            observed => observed.map_err(failures::of_dns)?,
        };
        let is_asked_twice =
            facts.retry && facts.journal.halted.is_some() && facts.desired == Desired::RolledBack;
        let is_by_hand = facts.mode == Mode::Manual && (is_back || !facts.journal.switched);
        if is_asked_twice || is_by_hand || is_on_top {
            let direction = if is_back {
                Direction::Backward
            } else {
                Direction::Forward
            };
            pass.captured = observe::as_found(std::mem::take(&mut pass.captured), &observed, direction);
        }
        facts.position = Some(changes::position(&pass.captured, &observed));
        pass.observed = Some(observed);
        Ok(())
    }

    fn begin(&self, cutover: &Cutover, status: &mut CutoverStatus, why: &str) -> Outcome {
        self.forget_measured(cutover);
        journal::begin(status);
        act::at_once("Beginning", why)
    }

    fn switch_again(&self, cutover: &Cutover, status: &mut CutoverStatus) -> Outcome {
        self.forget_measured(cutover);
        journal::begin_on_top(status);
        act::at_once("Beginning", "the records are to be switched again")
    }

    fn resume(&self, cutover: &Cutover, status: &mut CutoverStatus) -> Outcome {
        if !journal::may_be_switched(status) && !journal::is_on_top(status) {
            return self.begin(cutover, status, "asked to try again; nothing had been changed");
        }
        self.forget_measured(cutover);
        journal::resume(status, Timestamp::now());
        act::at_once("Resuming", "asked to try again; what was captured is kept")
    }

    /// Nothing is left to do: says whether it is still so.
    async fn rest(
        &self,
        cutover: &Cutover,
        status: &mut CutoverStatus,
        facts: &Facts,
        outcome: homeport_cutover::machine::Outcome,
        cause: Option<homeport_cutover::machine::Cause>,
    ) -> Result<Outcome, Failure> {
        use homeport_cutover::machine::Outcome::RolledBack;
        self.forget_measured(cutover);
        if outcome == RolledBack {
            return match cause {
                Some(cause) if facts.desired == Desired::CutOver => Err(act::rolled_back_since(&cause)),
                _ => Ok(act::rolled_back(cutover, status).await),
            };
        }
        let different = act::look_again(cutover, status, Direction::Forward).await;
        // What cannot be read now is no other plan.
        if let Ok(Some(plan)) = self.plan(cutover, facts).await {
            let is_another = journal::wants_more(&plan, &journal::captured(status));
            if is_another || facts.retry && !different.is_empty() {
                return Ok(self.switch_again(cutover, status));
            }
        }
        Ok(act::cut_over(status, &different))
    }

    /// Gives measurements to the triggers, and says which of them fires.
    fn measured(
        &self,
        cutover: &Cutover,
        measured: Vec<homeport_cutover::Measurement>,
        pass: &Pass<'_>,
    ) -> Option<String> {
        let triggers = pass.plan.as_ref().map_or(&[][..], |plan| &plan.triggers);
        let mut all = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let state = all.entry(cutover.uid().unwrap_or_default()).or_default();
        let fired: Vec<_> = measured
            .into_iter()
            .filter_map(|measurement| state.observe(measurement, triggers))
            .collect();
        fired.first().map(ToString::to_string)
    }

    fn forget_measured(&self, cutover: &Cutover) {
        self.measured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&cutover.uid().unwrap_or_default());
    }
}

fn goes_with(cutover: &Cutover, bundle: &str) -> bool {
    let CutoverSpec { bundle_ref, .. } = &cutover.spec;
    bundle_ref
        .as_ref()
        .is_some_and(|reference| reference.name == bundle)
}

/// Whether a provider's credentials are in this Secret.
fn reads(provider: &DnsProviderSpec, secret: &str) -> bool {
    provider
        .rfc2136
        .as_ref()
        .is_some_and(|rfc2136| rfc2136.tsig.secret_ref.name == secret)
}
