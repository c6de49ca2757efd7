//! The controller of DataSync.

use homeport_crds::DataSync;

use crate::runtime::{Context, Failure, Managed, Outcome, Reconciler, Watches};

/// Reconciles DataSync objects.
pub struct SyncReconciler {
    _context: Context,
}

impl SyncReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self { _context: context }
    }
}

impl Reconciler for SyncReconciler {
    type Resource = DataSync;

    async fn reconcile(
        &self,
        _object: &DataSync,
        _status: &mut <DataSync as Managed>::Status,
    ) -> Result<Outcome, Failure> {
        Err(Failure::waiting(
            "NotWrittenYet",
            "placeholder while the module is written",
        ))
    }

    async fn cleanup(&self, _object: &DataSync) -> Result<(), Failure> {
        Ok(())
    }

    fn watches(&self, watches: Watches<DataSync>) -> Watches<DataSync> {
        watches
    }
}
