//! Forgetting releases and snapshots that no rollback needs.

use crate::error::Result;
use crate::host::Host;
use crate::layout::{Layout, release_name};
use crate::record::Deployment;
use crate::snapshot;

/// Keeps `limit` releases besides the current one, and as many snapshots, and records it: first the record, then the
/// files, so that nothing that is recorded is ever missing.
pub(crate) async fn prune(
    host: &dyn Host,
    layout: &Layout,
    deployment: &mut Deployment,
    limit: usize,
) -> Result<()> {
    let way_back = match &deployment.snapshot {
        Some(name) => snapshot::read(host, layout, name)
            .await?
            .and_then(|taken| taken.revision),
        None => None,
    };
    deployment.prune(limit, way_back);
    deployment.save(host, layout).await?;

    let kept: Vec<String> = deployment
        .releases
        .iter()
        .map(|(revision, release)| release_name(*revision, release.digest))
        .collect();
    let newest = deployment.releases.keys().next_back().copied().unwrap_or(0);
    for directory in [layout.releases(), layout.hooks()] {
        for name in host.list(&directory).await? {
            // Newer ones have been unpacked, and are yet to be deployed.
            let is_old = revision_of(&name).is_some_and(|revision| revision <= newest);
            if is_old && !kept.contains(&name) {
                host.remove(&directory.join(name)).await?;
            }
        }
    }
    let snapshots = host.list(&layout.snapshots()).await?;
    let obsolete = snapshots.len().saturating_sub(limit.max(1));
    for name in &snapshots[..obsolete] {
        if deployment.snapshot.as_ref() != Some(name) {
            host.remove(&layout.snapshots().join(name)).await?;
        }
    }
    Ok(())
}

/// The revision that the name of a release's directory says; `None` for names that we did not give.
fn revision_of(name: &str) -> Option<i64> {
    let (revision, digest) = name.split_once('-')?;
    (digest.len() == 12).then(|| revision.parse().ok())?
}
