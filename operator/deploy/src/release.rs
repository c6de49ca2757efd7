//! A bundle as it lies unpacked on a host.

use std::path::{Path, PathBuf};

use homeport_bundle::{Checksum, Manifest};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::{Layout, release_name};
use crate::record::Deployment;

/// An unpacked bundle that can be deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    layout: Layout,
    revision: i64,
    digest: Checksum,
    manifest: Manifest,
}

impl Release {
    /// The bundle of that digest that lies unpacked in [`Layout::release_directory`].
    pub async fn open(host: &dyn Host, layout: &Layout, revision: i64, digest: Checksum) -> Result<Self> {
        let path = layout.release_directory(revision, digest);
        let damaged = |source| Error::DamagedRelease {
            path: path.clone(),
            source,
        };
        let content = host.read(&path.join(Manifest::PATH)).await?;
        let content = content.ok_or_else(|| damaged(homeport_bundle::Error::ManifestMissing))?;
        Ok(Self {
            layout: layout.clone(),
            revision,
            digest,
            manifest: Manifest::from_json(&content).map_err(damaged)?,
        })
    }

    /// The release of a revision that was deployed before and is still kept: what a rollback deploys.
    pub async fn kept(host: &dyn Host, layout: &Layout, revision: i64) -> Result<Self> {
        let deployment = Deployment::load(host, layout).await?;
        match deployment.release(revision) {
            Some(release) => Self::open(host, layout, revision, release.digest).await,
            None => Err(Error::NoSuchRevision {
                bundle: layout.bundle_name(),
                revision,
                known: deployment.known_revisions(),
            }),
        }
    }

    /// Counts from 1.
    pub const fn revision(&self) -> i64 {
        self.revision
    }

    /// Of the bundle as a file.
    pub const fn digest(&self) -> Checksum {
        self.digest
    }

    /// What the bundle says of itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is on the host.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its directory on the host.
    pub fn directory(&self) -> PathBuf {
        self.layout.release_directory(self.revision, self.digest)
    }

    /// The name of its directory.
    pub fn name(&self) -> String {
        release_name(self.revision, self.digest)
    }

    pub(crate) fn path_of(&self, file: &str) -> PathBuf {
        self.directory().join(Path::new(file))
    }
}
