//! Forgetting releases and snapshots that no rollback needs.

use std::path::Path;

use homeport_bundle::Manifest;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::{Layout, release_name};
use crate::record::Deployment;
use crate::snapshot;

/// At the end of the name of a release that is being removed.
const DOOMED: &str = ".removed";

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
    // Newer ones have been unpacked, and are yet to be deployed.
    let is_old = |name: &str| revision_of(name).is_some_and(|revision| revision <= newest);
    for name in host.list(&layout.hooks()).await? {
        if is_old(&name) && !kept.contains(&name) {
            host.remove(&layout.hooks().join(name)).await?;
        }
    }
    for name in host.list(&layout.releases()).await? {
        let directory = layout.releases().join(&name);
        if name.strip_suffix(DOOMED).and_then(revision_of).is_some() {
            host.remove(&directory).await?;
        } else if is_old(&name) && !kept.contains(&name) {
            remove_release(host, &directory).await?;
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

/// Removes an old release, unless it holds what did not come with it: that may be data, and nobody has a copy.
async fn remove_release(host: &dyn Host, directory: &Path) -> Result<()> {
    if let Some(found) = foreign(host, directory).await? {
        tracing::warn!(
            ?directory,
            found,
            "an old release is left: move what is needed out of it, then remove it"
        );
        return Ok(());
    }
    // Half removed, it would lack its manifest, and all that is left would look foreign.
    let mut doomed = directory.as_os_str().to_owned();
    doomed.push(DOOMED);
    host.rename(directory, Path::new(&doomed)).await?;
    host.remove(Path::new(&doomed)).await
}

/// What a release holds that is not of its bundle; `None` if there is nothing.
async fn foreign(host: &dyn Host, directory: &Path) -> Result<Option<String>> {
    let files = match host.files_below(directory).await {
        Ok(files) => files,
        // Containers make directories that only they may read. Bundles have none.
        Err(error @ Error::Io { .. }) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let content = host.read(&directory.join(Manifest::PATH)).await?;
    let manifest = content.and_then(|content| Manifest::from_json(&content).ok());
    let is_listed = |path: &Path| {
        manifest.as_ref().is_some_and(|manifest| {
            path == Path::new(Manifest::PATH) || path.to_str().is_some_and(|path| manifest.has_file(path))
        })
    };
    let found = files.iter().find(|path| !is_listed(path));
    Ok(found.map(|path| path.to_string_lossy().into_owned()))
}

/// The revision that the name of a release's directory says; `None` for names that we did not give.
fn revision_of(name: &str) -> Option<i64> {
    let (revision, digest) = name.split_once('-')?;
    (digest.len() == 12).then(|| revision.parse().ok())?
}
