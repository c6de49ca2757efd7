//! Deploying the compose stacks of an unpacked bundle to a host.

mod deploy;
mod engine;
mod error;
mod host;
mod layout;
mod options;
mod record;
mod release;
mod report;
mod snapshot;
mod state;

pub use deploy::{Removal, deploy, observe, plan, remove};
pub use engine::Engine;
pub use error::{Error, Result, Retry};
pub use host::{Command, Host, LocalHost, Output};
pub use layout::Layout;
pub use options::Options;
pub use record::{Attempt, Deployment, Gate, ReleaseRecord, ServiceRecord, StackRecord};
pub use release::Release;
pub use report::{Change, Event, Report, StackChange};
pub use snapshot::{ContainerSnapshot, Snapshot, StackSnapshot};
pub use state::{ServiceState, StackPhase, StackState, summary};
