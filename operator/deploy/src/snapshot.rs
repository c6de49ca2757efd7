//! What ran on a host before it was changed: the way back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compose::Compose;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::Layout;
use crate::record::{Deployment, read_json, write_json};
use crate::release::Release;
use crate::stack::stack_files;

/// What ran before a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// When it was taken.
    pub taken: Timestamp,
    /// The revision that ran: deploying it again is the way back. `None` if nothing of the bundle did.
    pub revision: Option<i64>,
    /// The revision that was about to be deployed.
    pub before: i64,
    /// The stacks that ran.
    pub stacks: BTreeMap<String, StackSnapshot>,
}

/// What ran of one stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackSnapshot {
    /// The revision that it was brought up from.
    pub revision: i64,
    /// Its containers.
    pub containers: Vec<ContainerSnapshot>,
    /// Its configuration as Compose reads it, the names of secrets in the place of their values.
    pub config: serde_json::Value,
}

/// A container that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSnapshot {
    /// Its name.
    pub name: String,
    /// The service that it was of.
    pub service: String,
    /// Its state.
    pub state: String,
    /// Its image, by name.
    pub image: String,
    /// Its image, by ID.
    pub image_id: String,
}

impl Snapshot {
    /// How many containers ran.
    pub fn running(&self) -> usize {
        let containers = self.stacks.values().flat_map(|stack| &stack.containers);
        containers
            .filter(|container| container.state == "running")
            .count()
    }
}

/// Records what runs now.
pub(crate) async fn take(
    host: &dyn Host,
    compose: &Compose<'_>,
    release: &Release,
    deployment: &Deployment,
) -> Result<Snapshot> {
    let mut stacks = BTreeMap::new();
    for (name, record) in &deployment.stacks {
        let containers = compose.containers(&record.project).await?;
        let containers = containers.into_iter().map(|container| ContainerSnapshot {
            name: container.name,
            service: container.service,
            state: container.state,
            image: container.image,
            image_id: container.image_id,
        });
        let taken = StackSnapshot {
            revision: record.revision,
            containers: containers.collect(),
            config: config(host, compose, release.layout(), deployment, name, record.revision).await?,
        };
        stacks.insert(name.clone(), taken);
    }
    Ok(Snapshot {
        taken: Timestamp::now(),
        revision: deployment.current,
        before: release.revision(),
        stacks,
    })
}

/// The configuration that a stack was brought up with; null if its release is not whole any more, which must not keep
/// a whole one from being deployed.
async fn config(
    host: &dyn Host,
    compose: &Compose<'_>,
    layout: &Layout,
    deployment: &Deployment,
    stack: &str,
    revision: i64,
) -> Result<serde_json::Value> {
    let Some(kept) = deployment.release(revision) else {
        return Ok(serde_json::Value::Null);
    };
    let read = async {
        let release = Release::open(host, layout, revision, kept.digest).await?;
        match release.manifest().stack(stack) {
            Some(stack) => compose.bare_config(&stack_files(&release, stack)).await,
            None => Ok(serde_json::Value::Null),
        }
    };
    match read.await {
        Err(error @ (Error::DamagedRelease { .. } | Error::InvalidCompose { .. })) => {
            tracing::warn!(stack, %error, "the snapshot holds no configuration of this stack");
            Ok(serde_json::Value::Null)
        }
        other => other,
    }
}

/// Keeps a snapshot; its name.
pub(crate) async fn write(host: &dyn Host, layout: &Layout, snapshot: &Snapshot) -> Result<String> {
    let name = format!("{}.json", snapshot.taken.strftime("%Y%m%dT%H%M%S%6fZ"));
    write_json(host, &layout.snapshots().join(&name), snapshot).await?;
    Ok(name)
}

/// A snapshot that was kept.
pub(crate) async fn read(host: &dyn Host, layout: &Layout, name: &str) -> Result<Option<Snapshot>> {
    read_json(host, &layout.snapshots().join(name)).await
}
