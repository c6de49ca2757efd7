//! What ran on a host before it was changed: the way back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
