//! What the four resources have in common, so that one loop drives them all.

use std::fmt::Debug;

use homeport_crds::{
    Cutover, CutoverStatus, DataSync, DataSyncStatus, HprtBundle, HprtBundleStatus, SecretBinding,
    SecretBindingStatus,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A resource of homeport.
pub trait Managed:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The type of its status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync;

    /// `status`, where it is set.
    fn status(&self) -> Option<&Self::Status>;
    /// `spec.suspend`.
    fn suspended(&self) -> bool;
    /// `status.conditions`.
    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition>;
    /// `status.observedGeneration`.
    fn observed_generation(status: &mut Self::Status) -> &mut i64;
    /// `status.lastHandledReconcileAt`.
    fn last_handled_reconcile_at(status: &mut Self::Status) -> &mut Option<String>;
}

macro_rules! managed {
    ($($resource:ty => $status:ty),+ $(,)?) => {$(
        impl Managed for $resource {
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn suspended(&self) -> bool {
                self.spec.suspend
            }

            fn conditions(status: &mut $status) -> &mut Vec<Condition> {
                &mut status.conditions
            }

            fn observed_generation(status: &mut $status) -> &mut i64 {
                &mut status.observed_generation
            }

            fn last_handled_reconcile_at(status: &mut $status) -> &mut Option<String> {
                &mut status.last_handled_reconcile_at
            }
        }
    )+};
}

managed!(
    HprtBundle => HprtBundleStatus,
    SecretBinding => SecretBindingStatus,
    DataSync => DataSyncStatus,
    Cutover => CutoverStatus,
);
