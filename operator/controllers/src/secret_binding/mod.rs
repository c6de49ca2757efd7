//! The controller of SecretBinding: asks sources for the values of a bundle's secret references, and writes them to a
//! Secret that the bundle's other resources read.
//!
//! Values are in memory and in that Secret only. Status says which names have a value and where it came from.

mod decide;
mod sources;
pub mod values;
pub(crate) mod written;

use std::time::Duration;

use homeport_bundle::{SecretReference, SecretSource as ReferenceSource};
use homeport_crds::common::DeletionPolicy;
use homeport_crds::conditions::{self, SECRETS_RESOLVED};
use homeport_crds::{HprtBundle, SecretBinding, SecretBindingStatus};
use homeport_secrets::resolve;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use crate::bundle::documents;
use crate::runtime::{Context, Failure, Outcome, Reconciler, Watches, dependents};
use sources::Sources;

/// Reconciles SecretBindings.
pub struct BindingReconciler {
    context: Context,
}

impl BindingReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

impl Reconciler for BindingReconciler {
    type Resource = SecretBinding;

    async fn reconcile(
        &self,
        binding: &SecretBinding,
        status: &mut SecretBindingStatus,
    ) -> Result<Outcome, Failure> {
        let result = self.bind(binding, status).await;
        if let Err(failure) = &result {
            let generation = binding.metadata.generation.unwrap_or_default();
            let (reason, message) = (failure.reason(), failure.to_string());
            conditions::set(
                &mut status.conditions,
                generation,
                SECRETS_RESOLVED,
                false,
                reason,
                message,
            );
        }
        result
    }

    async fn cleanup(&self, binding: &SecretBinding) -> Result<(), Failure> {
        match binding.spec.deletion_policy {
            DeletionPolicy::Retain => Ok(()),
            DeletionPolicy::Delete => {
                written::delete(&self.context.client, binding, &written::name(binding)).await
            }
        }
    }

    fn watches(&self, watches: Watches<SecretBinding>) -> Watches<SecretBinding> {
        let bindings = watches.store();
        let of_secret = watches.store();
        watches
            .watches(
                Api::<HprtBundle>::all(self.context.client.clone()),
                watcher::Config::default(),
                move |bundle| {
                    dependents(&bindings, bundle.namespace(), |binding: &SecretBinding| {
                        binding.spec.bundle_ref.name == bundle.name_any()
                    })
                },
            )
            .watches(
                Api::<Secret>::all(self.context.client.clone()),
                watcher::Config::default(),
                move |secret| {
                    dependents(&of_secret, secret.namespace(), |binding: &SecretBinding| {
                        sources::reads(binding, &secret.name_any())
                            || written::name(binding) == secret.name_any()
                    })
                },
            )
    }
}

impl BindingReconciler {
    async fn bind(
        &self,
        binding: &SecretBinding,
        status: &mut SecretBindingStatus,
    ) -> Result<Outcome, Failure> {
        let references = self.references(binding).await?;
        let sources = Sources::open(&self.context, binding).await?;
        let resolution = resolve(&references, &[], &sources.list).await;
        let before = status.clone();
        decide::report(binding, &references, &resolution, &sources.warnings, status);
        written::write(&self.context.client, binding, &resolution).await?;
        status.secret_name = Some(written::name(binding));
        if let Some(old) = before
            .secret_name
            .as_ref()
            .filter(|old| **old != written::name(binding))
        {
            written::delete(&self.context.client, binding, old).await?;
        }

        let refresh: Duration = binding.spec.refresh_interval.into();
        if *status != before || is_due(status.last_refresh_time.as_deref(), refresh) {
            status.last_refresh_time = Some(Timestamp::now().to_string());
        }
        decide::outcome(&resolution, refresh)
    }

    /// What the bundle names, and what the binding adds.
    async fn references(&self, binding: &SecretBinding) -> Result<Vec<SecretReference>, Failure> {
        let namespace = binding.namespace().unwrap_or_default();
        let documents =
            documents::read(&self.context.client, &namespace, &binding.spec.bundle_ref.name).await?;
        let mut references = documents
            .bundle
            .secrets
            .map(|manifest| manifest.secrets)
            .unwrap_or_default();
        references.extend(binding.spec.extra.iter().map(|extra| SecretReference {
            name: extra.name.clone(),
            source: ReferenceSource::Manual,
            key: None,
            description: None,
            required: extra.required,
            extra: serde_json::Map::new(),
        }));
        Ok(references)
    }
}

/// Whether the last refresh was so long ago. Anything sooner is not written down: each write of status wakes the object
/// again.
fn is_due(last: Option<&str>, interval: Duration) -> bool {
    let Some(last) = last.and_then(|last| last.parse::<Timestamp>().ok()) else {
        return true;
    };
    Timestamp::now().duration_since(last).unsigned_abs() >= interval
}
