//! How a release is deployed.

use std::time::Duration;

/// How a release is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Who deploys, for the lock and the audit log.
    pub actor: String,
    /// Why, for the lock and the audit log.
    pub reason: String,
    /// The stacks to deploy; all of the bundle's if empty.
    pub stacks: Vec<String>,
    /// Whether a stack must be healthy before those that depend on it begin, and before the deployment is at its end.
    pub wait: bool,
    /// How long a stack may take to be brought up and become healthy.
    pub timeout: Duration,
    /// How long a service without a health check must run without a restart to count as healthy.
    pub stable: Duration,
    /// How many stacks may be brought up at once.
    pub parallelism: usize,
    /// Whether stacks and services that the release does not have are removed. Volumes stay.
    pub prune: bool,
    /// Whether the hooks run: `scripts/pre-deploy.sh` and `scripts/post-deploy.sh`, once a release.
    pub hooks: bool,
    /// How long a hook may run.
    pub hook_timeout: Duration,
    /// Whether what runs is recorded before it is changed.
    pub snapshot: bool,
    /// How many releases besides the current one are kept, and how many snapshots.
    pub history_limit: usize,
    /// Whether services run the very images that they ran with when the release was last deployed, even if their
    /// names now stand for others: what a rollback asks for.
    pub pin_images: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            actor: "homeport".to_owned(),
            reason: "deploy".to_owned(),
            stacks: Vec::new(),
            wait: true,
            timeout: Duration::from_secs(600),
            stable: Duration::from_secs(3),
            parallelism: 2,
            prune: false,
            hooks: true,
            hook_timeout: Duration::from_secs(600),
            snapshot: true,
            history_limit: 5,
            pin_images: false,
        }
    }
}
