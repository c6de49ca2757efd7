//! The controller of HprtBundle.

pub mod documents;

use homeport_crds::HprtBundle;

use crate::runtime::{Context, Failure, Managed, Outcome, Reconciler, Watches};

/// Reconciles HprtBundle objects.
pub struct BundleReconciler {
    _context: Context,
}

impl BundleReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self { _context: context }
    }
}

impl Reconciler for BundleReconciler {
    type Resource = HprtBundle;

    async fn reconcile(
        &self,
        _object: &HprtBundle,
        _status: &mut <HprtBundle as Managed>::Status,
    ) -> Result<Outcome, Failure> {
        Err(Failure::waiting(
            "NotWrittenYet",
            "placeholder while the module is written",
        ))
    }

    async fn cleanup(&self, _object: &HprtBundle) -> Result<(), Failure> {
        Ok(())
    }

    fn watches(&self, watches: Watches<HprtBundle>) -> Watches<HprtBundle> {
        watches
    }
}
