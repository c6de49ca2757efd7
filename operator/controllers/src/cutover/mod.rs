//! The controller of Cutover.

use homeport_crds::Cutover;

use crate::runtime::{Context, Failure, Managed, Outcome, Reconciler, Watches};

/// Reconciles Cutover objects.
pub struct CutoverReconciler {
    _context: Context,
}

impl CutoverReconciler {
    /// A reconciler on a context.
    pub fn new(context: Context) -> Self {
        Self { _context: context }
    }
}

impl Reconciler for CutoverReconciler {
    type Resource = Cutover;

    async fn reconcile(
        &self,
        _object: &Cutover,
        _status: &mut <Cutover as Managed>::Status,
    ) -> Result<Outcome, Failure> {
        Err(Failure::waiting(
            "NotWrittenYet",
            "placeholder while the module is written",
        ))
    }

    async fn cleanup(&self, _object: &Cutover) -> Result<(), Failure> {
        Ok(())
    }

    fn watches(&self, watches: Watches<Cutover>) -> Watches<Cutover> {
        watches
    }
}
