//! The four resources of homeport (`homeport.dev/v1alpha1`) as Rust types.
//!
//! - [`HprtBundle`]: a bundle, the host it goes to, and how it is deployed there
//! - [`SecretBinding`]: where the values of a bundle's secret references come from
//! - [`DataSync`]: data that is copied (and later followed) from the source to the target
//! - [`Cutover`]: the switch of DNS records to the target, and the way back
//!
//! The types are the whole contract with users: doc comments become the text of `kubectl explain`, CEL rules
//! refuse a wrong spec when it is applied, and printer columns tell the story in `kubectl get homeport`.
//! [`definitions`] gives the CustomResourceDefinitions; `generate-crds` writes them as YAML beside this crate's
//! manifest, and a test fails when those files are stale. [`conditions`] holds what the four share in status:
//! condition types and the kstatus rules.

#![allow(clippy::duplicated_attributes, reason = "printer columns are alike")]
#![allow(unreachable_pub, reason = "KubeSchema repeats the types inside a function")]

pub mod bundle;
pub mod common;
pub mod conditions;
pub mod cutover;
pub mod data_sync;
mod definitions;
pub mod quantity;
pub mod secret_binding;

pub use bundle::{HprtBundle, HprtBundleSpec, HprtBundleStatus};
pub use cutover::{Cutover, CutoverSpec, CutoverStatus};
pub use data_sync::{DataSync, DataSyncSpec, DataSyncStatus};
pub use definitions::{definitions, file_name, to_yaml};
pub use secret_binding::{SecretBinding, SecretBindingSpec, SecretBindingStatus};

/// The API group of the four resources.
pub const GROUP: &str = "homeport.dev";
/// The version of the API group that this crate describes.
pub const VERSION: &str = "v1alpha1";
/// The annotation that asks for a reconcile now; its value is answered in `status.lastHandledReconcileAt`.
pub const RECONCILE_AT: &str = "homeport.dev/reconcile-at";
/// The finalizer that homeport puts on its resources.
pub const FINALIZER: &str = "homeport.dev/finalizer";
