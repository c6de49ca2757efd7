//! Whether a sync lets a cutover go ahead.

use homeport_crds::conditions::{self, READY, STALLED};
use homeport_crds::{DataSync, RECONCILE_AT};
use kube::ResourceExt;

/// What a sync says to a cutover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncGate {
    /// Both sides agree, by the spec as it is now.
    Verified,
    /// Not yet: why, for people.
    Waiting(String),
    /// Not without somebody's help: why, for people.
    Failed(String),
}

/// Judges a sync by its conditions at its current generation. A run that was asked for and has not begun yet is
/// waited for.
pub fn gate(sync: &DataSync) -> SyncGate {
    let name = format!(
        "DataSync {}/{}",
        sync.namespace().unwrap_or_default(),
        sync.name_any()
    );
    let generation = sync.metadata.generation.unwrap_or_default();
    let Some(status) = &sync.status else {
        return SyncGate::Waiting(format!("{name} has not begun yet"));
    };
    let asked = sync.annotations().get(RECONCILE_AT);
    if asked.is_some() && asked != status.last_handled_reconcile_at.as_ref() {
        return SyncGate::Waiting(format!("{name} has been asked for a run that has not begun yet"));
    }
    let said = conditions::find(&status.conditions, READY)
        .map(|ready| format!("{name}: {}", ready.message))
        .unwrap_or_else(|| format!("{name} has not begun yet"));
    if conditions::is_true_at(&status.conditions, READY, generation) {
        SyncGate::Verified
    } else if conditions::is_true_at(&status.conditions, STALLED, generation) {
        SyncGate::Failed(said)
    } else {
        SyncGate::Waiting(said)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_crds::DataSyncStatus;
    use homeport_crds::conditions::{Verdict, summarize};
    use rstest::rstest;

    fn said(verdict: fn(String, String) -> Verdict, generation: i64) -> Option<DataSyncStatus> {
        let mut status = DataSyncStatus::default();
        summarize(
            &mut status.conditions,
            generation,
            -1,
            &verdict("R".into(), "as it is".into()),
        );
        Some(status)
    }

    fn ready(reason: String, message: String) -> Verdict {
        Verdict::Ready { reason, message }
    }

    fn in_progress(reason: String, message: String) -> Verdict {
        Verdict::InProgress { reason, message }
    }

    fn retrying(reason: String, message: String) -> Verdict {
        Verdict::Retrying { reason, message }
    }

    fn stalled(reason: String, message: String) -> Verdict {
        Verdict::Stalled { reason, message }
    }

    #[rstest]
    #[case::new(None, "waiting")]
    #[case::verified(said(ready, 2), "verified")]
    #[case::changed_since(said(ready, 1), "waiting")]
    #[case::copying(said(in_progress, 2), "waiting")]
    #[case::retrying(said(retrying, 2), "waiting")]
    #[case::failed(said(stalled, 2), "failed")]
    #[case::failed_before_the_change(said(stalled, 1), "waiting")]
    fn only_what_is_ready_now_is_verified(#[case] status: Option<DataSyncStatus>, #[case] expected: &str) {
        let mut sync = DataSync::new("db", serde_json::from_value(serde_json::json!({})).unwrap());
        sync.metadata.generation = Some(2);
        sync.status = status;
        let gate = match gate(&sync) {
            SyncGate::Verified => "verified",
            SyncGate::Waiting(_) => "waiting",
            SyncGate::Failed(_) => "failed",
        };
        assert_eq!(gate, expected);
    }

    #[test]
    fn a_run_that_was_asked_for_is_waited_for() {
        let mut sync = DataSync::new("db", serde_json::from_value(serde_json::json!({})).unwrap());
        sync.metadata.generation = Some(2);
        sync.status = said(ready, 2);
        sync.annotations_mut().insert(RECONCILE_AT.into(), "now".into());
        assert!(matches!(gate(&sync), SyncGate::Waiting(_)));
        sync.status.as_mut().unwrap().last_handled_reconcile_at = Some("now".into());
        assert_eq!(gate(&sync), SyncGate::Verified);
    }
}
