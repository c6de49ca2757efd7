//! The end of a deployment.

use std::collections::BTreeMap;

use crate::audit;
use crate::compose::Compose;
use crate::engine::Engine;
use crate::error::Result;
use crate::host::Host;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::record::Deployment;
use crate::redact::Redactor;

/// What becomes of a deployment whose resource is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// All runs on, and all files stay.
    Retain,
    /// Containers, networks and volumes are removed, then the files.
    Delete,
}

/// Ends a deployment. `actor` is who wants it, for the lock and the audit log.
pub async fn remove(host: &dyn Host, layout: &Layout, removal: Removal, actor: &str) -> Result<()> {
    let deployment = Deployment::load(host, layout).await?;
    if removal == Removal::Retain {
        if deployment == Deployment::default() {
            return Ok(());
        }
        return audit::record(host, layout, actor, "let go", "all runs on").await;
    }
    let lock = Lock::acquire(host, layout, actor, "remove").await?;
    if !deployment.stacks.is_empty() {
        delete_stacks(host, layout, &deployment).await?;
    }
    // The lock goes with the rest.
    host.remove(&layout.directory()).await?;
    drop(lock);
    Ok(())
}

async fn delete_stacks(host: &dyn Host, layout: &Layout, deployment: &Deployment) -> Result<()> {
    let engine = Engine::of(host).await?;
    let secrets = BTreeMap::new();
    let redactor = Redactor::new(&secrets);
    let compose = Compose::new(host, &engine, &secrets, &redactor);
    // A network that another stack still uses is left by the first round and taken by the second.
    for _ in 0..2 {
        for (stack, record) in &deployment.stacks {
            let lock = layout.stack_lock(stack);
            host.create(&lock, b"").await?;
            compose.down(stack, &record.project, true, &lock).await?;
        }
    }
    Ok(())
}
