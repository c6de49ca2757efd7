//! The controller of SecretBinding.

pub mod values;

use homeport_crds::SecretBinding;

use crate::runtime::{Context, Failure, Managed, Outcome, Reconciler, Watches};

/// Reconciles SecretBinding objects.
pub struct BindingReconciler {
    _context: Context,
}

impl BindingReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self { _context: context }
    }
}

impl Reconciler for BindingReconciler {
    type Resource = SecretBinding;

    async fn reconcile(
        &self,
        _object: &SecretBinding,
        _status: &mut <SecretBinding as Managed>::Status,
    ) -> Result<Outcome, Failure> {
        Err(Failure::waiting(
            "NotWrittenYet",
            "placeholder while the module is written",
        ))
    }

    async fn cleanup(&self, _object: &SecretBinding) -> Result<(), Failure> {
        Ok(())
    }

    fn watches(&self, watches: Watches<SecretBinding>) -> Watches<SecretBinding> {
        watches
    }
}
