//! What runs of a bundle's stacks, and whether it is what was deployed.

use serde::{Deserialize, Serialize};

/// What runs of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackState {
    /// The stack.
    pub name: String,
    /// What can be said of it as a whole.
    pub phase: StackPhase,
    /// Its services.
    pub services: Vec<ServiceState>,
    /// Why it is not what was deployed, if it is not: somebody changed or removed it, or it broke.
    pub drift: Option<String>,
}

/// What can be said of a stack as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StackPhase {
    /// It has not been brought up.
    Pending,
    /// It is being brought up, and has not been healthy yet.
    Deploying,
    /// All services are healthy.
    Healthy,
    /// Not all services are.
    Unhealthy,
    /// It was brought up, and nothing of it is there any more.
    Missing,
}

/// What runs of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The service.
    pub name: String,
    /// As the engine has it: `running`, `exited`, `restarting` ...; `missing` without a container.
    pub state: String,
    /// What its health check says: `starting`, `healthy`, `unhealthy`; empty without a health check.
    pub health: String,
    /// Its exit status, if it has ended.
    pub exit_code: Option<i64>,
    /// Its image, by name.
    pub image: String,
    /// Whether it counts as healthy.
    pub healthy: bool,
}

impl StackState {
    /// How many of its services are healthy.
    pub fn healthy(&self) -> usize {
        self.services.iter().filter(|service| service.healthy).count()
    }

    /// How many services it has.
    pub const fn total(&self) -> usize {
        self.services.len()
    }

    /// Healthy services of all: `1/2`.
    pub fn summary(&self) -> String {
        format!("{}/{}", self.healthy(), self.total())
    }
}

/// Healthy stacks of all: `3/8`.
pub fn summary(stacks: &[StackState]) -> String {
    let healthy = stacks
        .iter()
        .filter(|stack| stack.phase == StackPhase::Healthy)
        .count();
    format!("{healthy}/{}", stacks.len())
}
