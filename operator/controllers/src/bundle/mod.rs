//! The controller of HprtBundle: fetches and verifies the bundle, and keeps its stacks on the target as it says.
//!
//! A pass goes through the stages in the order of the conditions, and stops at the first that is not done: the source
//! is fetched and verified ([`fetch`]), secrets must have values, the target must answer, and the release must run
//! there as it is ([`target`], [`decide`]). Fetching and deploying are long work, which later passes look in on.

mod decide;
pub mod documents;
mod fetch;
mod report;
mod rollup;
mod target;

use std::sync::Arc;
use std::time::Duration;

use homeport_bundle::Checksum;
use homeport_crds::bundle::BundleMode;
use homeport_crds::common::DeletionPolicy;
use homeport_crds::conditions::{DEPLOYED, FETCHED, HEALTHY, SECRETS_RESOLVED, TARGET_REACHABLE, VERIFIED};
use homeport_crds::{Cutover, DataSync, HprtBundle, HprtBundleStatus, RECONCILE_AT, SecretBinding};
use homeport_deploy::{Change, Removal};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use crate::runtime::backoff::Backoff;
use crate::runtime::work::{WorkKey, WorkState, Works};
use crate::runtime::{Context, Failure, Outcome, Reconciler, Watches, dependents, reference};
use crate::secret_binding::{values, written};
use decide::Step;
use documents::Documents;
use fetch::{Fetched, Unpacking};
use report::Report;
use rollup::Dependents;
use target::{Checks, DeployResult, Progress, Target, Wanted};

/// How often a pass looks in on work that goes on.
const LOOK_IN: Duration = Duration::from_secs(1);

/// Reconciles HprtBundles.
pub struct BundleReconciler {
    context: Context,
    fetches: Arc<Works<(), Result<Fetched, Failure>>>,
    deploys: Arc<Works<Progress, DeployResult>>,
    /// When work that failed may be tried again, by [`backoff_key`].
    retries: Backoff,
    /// Archives are unpacked one at a time: two bundles may be of the same one.
    unpacking: Unpacking,
    checks: Checks,
}

impl BundleReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            fetches: Works::new(),
            deploys: Works::new(),
            retries: Backoff::default(),
            unpacking: Unpacking::default(),
            checks: Checks::default(),
        }
    }
}

impl Reconciler for BundleReconciler {
    type Resource = HprtBundle;

    /// The file of `spec.source.path` may have been replaced by a better one.
    const STALLED_AGAIN_IN: Option<Duration> = Some(Duration::from_secs(15));

    async fn reconcile(
        &self,
        object: &HprtBundle,
        status: &mut HprtBundleStatus,
    ) -> Result<Outcome, Failure> {
        let result = self.advance(object, status).await;
        let dependents = self.dependents(object).await?;
        rollup::roll_up(object, &dependents, status);
        result
    }

    async fn suspend(
        &self,
        object: &HprtBundle,
        _status: &mut HprtBundleStatus,
    ) -> Result<Option<Outcome>, Failure> {
        self.stop(object).await;
        Ok(Some(Outcome::suspended()))
    }

    async fn cleanup(&self, object: &HprtBundle) -> Result<(), Failure> {
        self.stop(object).await;
        self.checks.forget(object);
        // Nothing was ever deployed to a target that is not supported.
        let Ok(target) = Target::of(&self.context, object) else {
            return Ok(());
        };
        match object.spec.deletion_policy {
            DeletionPolicy::Retain => {
                if let Err(failure) = target.remove(Removal::Retain).await {
                    tracing::warn!(bundle = object.name_any(), %failure, "the target could not be told that it is let go");
                }
                Ok(())
            }
            DeletionPolicy::Delete => target.remove(Removal::Delete).await.map_err(|failure| {
                let hint = "set spec.deletionPolicy to Retain to let go of what runs there";
                Failure::transient(failure.reason(), format!("{failure}; {hint}"))
            }),
        }
    }

    fn watches(&self, watches: Watches<HprtBundle>) -> Watches<HprtBundle> {
        let client = &self.context.client;
        let bundles = watches.store();
        let config = watcher::Config::default;
        watches
            .watches(Api::<SecretBinding>::all(client.clone()), config(), |binding| {
                Some(reference(binding.namespace(), &binding.spec.bundle_ref.name))
            })
            .watches(Api::<DataSync>::all(client.clone()), config(), |sync| {
                sync.spec
                    .bundle_ref
                    .as_ref()
                    .map(|bundle| reference(sync.namespace(), &bundle.name))
            })
            .watches(Api::<Cutover>::all(client.clone()), config(), |cutover| {
                cutover
                    .spec
                    .bundle_ref
                    .as_ref()
                    .map(|bundle| reference(cutover.namespace(), &bundle.name))
            })
            .watches(Api::<Secret>::all(client.clone()), config(), |secret| {
                written::bundle_of(&secret).map(|bundle| reference(secret.namespace(), bundle))
            })
            .watches(
                Api::<ConfigMap>::all(client.clone()),
                config(),
                move |config_map| {
                    dependents(&bundles, config_map.namespace(), |bundle: &HprtBundle| {
                        documents::config_map_name(&bundle.name_any()) == config_map.name_any()
                    })
                },
            )
            .reconcile_on(self.fetches.wakes())
            .reconcile_on(self.deploys.wakes())
    }
}

impl BundleReconciler {
    /// Goes through the stages, as far as they are done.
    async fn advance(&self, object: &HprtBundle, status: &mut HprtBundleStatus) -> Result<Outcome, Failure> {
        let mut report = Report::new(object, status);
        if object.spec.signature.is_some() {
            return Err(report.failed(
                VERIFIED,
                Failure::terminal(
                    "SignatureNotSupported",
                    "spec.signature: this version of homeport does not check signatures; remove it and use sha256",
                ),
            ));
        }
        let fetched = match self.fetch(object).await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => {
                report.unknown(FETCHED, "Fetching", "the bundle is fetched and verified");
                return Ok(Outcome::in_progress(
                    "Fetching",
                    "fetching and verifying the bundle",
                    LOOK_IN,
                ));
            }
            Err(failure) => {
                let stage = if failure.reason() == "BundleRefused" {
                    VERIFIED
                } else {
                    FETCHED
                };
                return Err(report.failed(stage, failure));
            }
        };
        if report.fetched(&fetched) {
            // Who reads the documents must not find them beside conditions that speak of the bundle before.
            return Ok(Outcome::in_progress(
                "NewBundle",
                "another bundle is to be deployed",
                Duration::ZERO,
            ));
        }
        let published = Documents {
            digest: fetched.digest.clone(),
            bundle: fetched.bundle.clone(),
        };
        documents::publish(&self.context.client, object, &published).await?;

        let namespace = object.namespace().unwrap_or_default();
        let mut secrets = values::of_bundle(&self.context.client, &namespace, &object.name_any())
            .await
            .map_err(|failure| report.failed(SECRETS_RESOLVED, failure))?;
        // What else a binding has, such as the key of a DNS server, is none of the stacks' business.
        secrets.retain(|name, _| decide::is_declared(&fetched.bundle, name));
        let missing = decide::missing_secrets(&fetched.bundle, &secrets);
        if !missing.is_empty() {
            return Err(report.failed(SECRETS_RESOLVED, decide::waiting_for_secrets(&missing)));
        }
        report.holds(SECRETS_RESOLVED, "Resolved", "every required secret has a value");

        let target =
            Target::of(&self.context, object).map_err(|failure| report.failed(TARGET_REACHABLE, failure))?;
        let wanted = Wanted { fetched, secrets };
        if let Some(states) = self.checks.fresh(object, &wanted) {
            report.running(&states);
            return Ok(decide::outcome(&states, object.spec.interval.into()));
        }
        self.converge(object, &target, wanted, &mut report).await
    }

    /// Compares the target with what is wanted, and has the difference deployed.
    async fn converge(
        &self,
        object: &HprtBundle,
        target: &Target,
        wanted: Wanted,
        report: &mut Report<'_>,
    ) -> Result<Outcome, Failure> {
        let key = WorkKey::new(object, "deploy");
        let input = self.checks.input(object, &wanted);
        self.forget_what_may_be_retried(&key);
        if self.deploys.runs_with(&key, &input) {
            return self.look_in(object, &key, &wanted, report);
        }
        if self.deploys.state(&key).is_some() {
            // What ran was for another spec, or has ended and was looked at.
            self.deploys.cancel(&key).await;
        }

        let manifest = &wanted.fetched.bundle.manifest;
        target
            .reach(manifest)
            .await
            .map_err(|failure| report.failed(TARGET_REACHABLE, failure))?;
        report.holds(TARGET_REACHABLE, "Reachable", "the container engine answers");
        let release = target
            .release(&wanted)
            .await
            .map_err(|failure| report.failed(DEPLOYED, failure))?;
        let changes = target
            .plan(&release, &wanted.secrets)
            .await
            .map_err(|failure| report.failed(DEPLOYED, failure))?;
        if object.spec.mode == BundleMode::DryRun {
            report.planned(&changes);
            target.take_back(&release).await?;
            return Ok(Outcome::ready(
                "Planned",
                decide::plan_summary(&changes),
                object.spec.interval.into(),
            ));
        }
        let states = target
            .observe(&release)
            .await
            .map_err(|failure| report.failed(HEALTHY, failure))?;
        report.release(&release);
        match decide::next(release.is_current, object.spec.deploy.wait, &changes, &states) {
            Step::Rest => {
                report.running(&states);
                self.checks.passed(object, &wanted, &states);
                self.prune_cache().await;
                Ok(decide::outcome(&states, object.spec.interval.into()))
            }
            Step::Deploy => {
                let why = if changes.iter().all(|change| change.change == Change::Create) {
                    "Deploying"
                } else {
                    "Updating"
                };
                report.unknown(DEPLOYED, why, &decide::plan_summary(&changes));
                let work = target.deploy(release, wanted.secrets.clone());
                self.deploys.ensure(&key, &input, work).await;
                self.look_in(object, &key, &wanted, report)
            }
        }
    }

    /// How far the deployment is.
    fn look_in(
        &self,
        object: &HprtBundle,
        key: &WorkKey,
        wanted: &Wanted,
        report: &mut Report<'_>,
    ) -> Result<Outcome, Failure> {
        match self.deploys.state(key) {
            Some(WorkState::Running(progress)) => {
                report.progress(&progress);
                Ok(Outcome::in_progress("Deploying", progress.message(), LOOK_IN))
            }
            Some(WorkState::Ended(result)) => {
                report.ended(&result);
                let states = result
                    .outcome
                    .map_err(|failure| report.failed(DEPLOYED, decide::kept(failure)))?;
                self.deploys.forget_ended(key);
                self.retries.reset(&backoff_key(key));
                report.running(&states);
                self.checks.passed(object, wanted, &states);
                Ok(decide::outcome(&states, object.spec.interval.into()))
            }
            Some(WorkState::Lost) | None => Err(Failure::transient(
                "DeployInterrupted",
                "the deployment was interrupted; it is taken up again",
            )),
        }
    }

    /// The fetched and verified bundle; None while that goes on. A kept revision needs no source.
    async fn fetch(&self, object: &HprtBundle) -> Result<Option<Fetched>, Failure> {
        if let Some(revision) = object.spec.revision {
            return Target::of(&self.context, object)?.kept(revision).await.map(Some);
        }
        let key = WorkKey::new(object, "fetch");
        let source = &object.spec.source;
        let input = format!(
            "{} {:?}",
            fetch::fingerprint(&self.context, source).await?,
            asked_at(object)
        );
        if let Some(WorkState::Ended(Err(Failure::Transient { .. })) | WorkState::Lost) =
            self.fetches.state(&key)
            && self.retries.wait(&backoff_key(&key)).is_none()
        {
            self.fetches.forget_ended(&key);
        }
        let state = self
            .fetches
            .ensure(&key, &input, |cancel, _| {
                let work = fetch::fetch(self.context.clone(), source.clone(), self.unpacking.clone());
                async move {
                    cancel.run_until_cancelled(work).await.unwrap_or_else(|| {
                        Err(Failure::transient("Interrupted", "the fetch was interrupted"))
                    })
                }
            })
            .await;
        match state {
            WorkState::Running(()) => Ok(None),
            WorkState::Ended(Ok(fetched)) if fetched.tree.exists() => {
                self.retries.reset(&backoff_key(&key));
                Ok(Some(fetched))
            }
            WorkState::Ended(Ok(_)) => {
                self.fetches.forget_ended(&key);
                Err(Failure::transient(
                    "BundleGone",
                    "the unpacked bundle was removed; it is fetched again",
                ))
            }
            WorkState::Ended(Err(failure)) => Err(decide::kept(failure)),
            WorkState::Lost => Err(Failure::transient(
                "Interrupted",
                "the fetch was interrupted; it is taken up again",
            )),
        }
    }

    /// Lets go of a deployment that failed in a way that may pass, when its time to be tried again has come. One that
    /// failed for good is kept: it is not done again until something else is wanted.
    fn forget_what_may_be_retried(&self, key: &WorkKey) {
        let may_pass = match self.deploys.state(key) {
            Some(WorkState::Ended(result)) => matches!(result.outcome, Err(Failure::Transient { .. })),
            Some(WorkState::Lost) => true,
            _ => false,
        };
        if may_pass && self.retries.wait(&backoff_key(key)).is_none() {
            self.deploys.forget_ended(key);
        }
    }

    async fn dependents(&self, object: &HprtBundle) -> Result<Dependents, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        let syncs: Api<DataSync> = Api::namespaced(self.context.client.clone(), &namespace);
        let mut syncs = syncs.list(&ListParams::default()).await?.items;
        syncs.retain(|sync| {
            sync.spec
                .bundle_ref
                .as_ref()
                .is_some_and(|bundle| bundle.name == name)
        });
        let cutovers: Api<Cutover> = Api::namespaced(self.context.client.clone(), &namespace);
        let mut cutovers = cutovers.list(&ListParams::default()).await?.items;
        cutovers.retain(|cutover| {
            cutover
                .spec
                .bundle_ref
                .as_ref()
                .is_some_and(|bundle| bundle.name == name)
        });
        Ok(Dependents { syncs, cutovers })
    }

    /// Lets go of trees that no bundle is of any more. That it fails costs disk space, and is tried again.
    async fn prune_cache(&self) {
        let bundles: Api<HprtBundle> = Api::all(self.context.client.clone());
        let Ok(bundles) = bundles.list(&ListParams::default()).await else {
            return;
        };
        if bundles.items.iter().any(|bundle| {
            bundle
                .status
                .as_ref()
                .is_none_or(|status| status.bundle.is_none())
        }) {
            // What such a bundle fetches now is not known yet.
            return;
        }
        let digests = bundles
            .items
            .into_iter()
            .filter_map(|bundle| bundle.status?.bundle);
        let keep: Vec<String> = digests
            .map(|bundle| bundle.digest.trim_start_matches("sha256:").to_owned())
            .collect();
        if let Err(error) = fetch::prune(&self.context.settings.state_dir, &keep, fetch::GRACE).await {
            tracing::warn!(%error, "bundles that are not needed any more could not be removed");
        }
    }

    async fn stop(&self, object: &HprtBundle) {
        self.fetches.cancel(&WorkKey::new(object, "fetch")).await;
        self.deploys.cancel(&WorkKey::new(object, "deploy")).await;
    }
}

fn backoff_key(key: &WorkKey) -> String {
    format!("{}/{}", key.uid, key.part)
}

/// When a run was asked for by annotation.
fn asked_at(object: &HprtBundle) -> Option<&String> {
    object.annotations().get(RECONCILE_AT)
}

/// The digest of an archive, from its hexadecimal form.
fn checksum(digest: &str) -> Result<Checksum, Failure> {
    format!("sha256:{digest}")
        .parse()
        .map_err(|_| Failure::terminal("DigestUnreadable", format!("{digest:?} is not a SHA-256 digest")))
}
