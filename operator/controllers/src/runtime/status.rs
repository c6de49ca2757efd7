//! Writing status: by server-side apply, only when it changed, and at most once a second for each object.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::Managed;

const FIELD_MANAGER: &str = "homeport";
const PACE: Duration = Duration::from_secs(1);

/// Writes status, and remembers when it last did for each object.
#[derive(Debug, Default)]
pub(super) struct StatusWriter {
    next_write: Mutex<HashMap<String, Instant>>,
}

impl StatusWriter {
    /// Writes `status` where it differs from what the object has, after the object's pace allows it.
    pub(super) async fn write<K: Managed>(
        &self,
        api: &Api<K>,
        object: &K,
        status: &K::Status,
    ) -> Result<(), kube::Error> {
        if object.status() == Some(status) {
            return Ok(());
        }
        let uid = object.uid().unwrap_or_default();
        tokio::time::sleep_until(self.reserve(&uid)).await;
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // With the uid, the write fails where the object was deleted and made anew in the meantime.
            "metadata": { "name": object.name_any(), "uid": uid },
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        api.patch_status(&object.name_any(), &parameters, &Patch::Apply(&patch))
            .await?;
        Ok(())
    }

    /// When the next write of this object may be made. Counts it as made.
    fn reserve(&self, uid: &str) -> Instant {
        let mut next_write = self.next_write.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = next_write.get(uid).map_or(now, |at| (*at).max(now));
        next_write.insert(uid.to_owned(), at + PACE);
        at
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.next_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_of_one_object_are_a_second_apart() {
        let writer = StatusWriter::default();
        let start = Instant::now();
        let first = writer.reserve("a");
        let second = writer.reserve("a");
        assert!(first - start < PACE && second - first >= PACE);
        assert!(writer.reserve("b") - start < PACE);
    }
}
