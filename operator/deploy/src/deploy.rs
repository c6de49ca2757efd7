//! The pipeline.
use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::error::Result;
use crate::host::Host;
use crate::layout::Layout;
use crate::options::Options;
use crate::release::Release;
use crate::report::{Event, Report, StackChange};
use crate::state::StackState;

/// Deploys a release: brings its stacks up in order, each when those that it depends on are healthy.
///
/// What is unchanged and healthy is left untouched. It may be killed at any instant: doing it again ends in the same
/// state. Deploying a kept release ([`Release::kept`]) is how a rollback is done. Values of `secrets` reach Compose and
/// the hooks by their environment only.
pub async fn deploy(
    host: &dyn Host,
    release: &Release,
    options: &Options,
    secrets: &BTreeMap<String, SecretString>,
    observer: &(dyn Fn(Event) + Send + Sync),
) -> Result<Report> {
    let _ = (host, release, options, secrets, observer);
    todo!("lands next")
}

/// What [`deploy`] would do. Touches nothing.
pub async fn plan(
    host: &dyn Host,
    release: &Release,
    options: &Options,
    secrets: &BTreeMap<String, SecretString>,
) -> Result<Vec<StackChange>> {
    let _ = (host, release, options, secrets);
    todo!("lands next")
}

/// What runs of a release's stacks, in the order of its manifest. Needs no secrets.
pub async fn observe(host: &dyn Host, release: &Release) -> Result<Vec<StackState>> {
    let _ = (host, release);
    todo!("lands next")
}

/// What becomes of a deployment whose resource is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// All runs on, and all files stay.
    Retain,
    /// Containers, networks and volumes are removed, then the files.
    Delete,
}

/// Ends a deployment.
pub async fn remove(host: &dyn Host, layout: &Layout, removal: Removal, options: &Options) -> Result<()> {
    let _ = (host, layout, removal, options);
    todo!("lands next")
}
