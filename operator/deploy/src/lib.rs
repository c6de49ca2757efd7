//! Deploying the compose stacks of an unpacked bundle to a host, and taking a deployment back.
//!
//! A [`Release`] is a bundle that lies unpacked in its place in the [`Layout`] of a [`Host`]. [`deploy`] brings it to run
//! there: it gathers facts about each stack and decides what to do with it (`stack`, `decide`), records what runs
//! (`snapshot`), and lets Compose bring up what differs (`compose`), each stack when those that it depends on are
//! healthy (`order`, `gate`). What homeport knows of the deployment is in [`Deployment`], a file on the host: with it a
//! deployment that was killed at any instant is taken up where it was, and what is as it should be is left untouched.
//!
//! A rollback is a deployment: of [`Release::kept`], with [`Options::pin_images`]. [`plan`] is a deployment without its
//! steps. [`observe`] says what runs; [`remove`] ends it all.
//!
//! Values of secrets are in the environment of the programs that need them, and nowhere else: every text of a program
//! goes through `redact` before it gets into an error or an event, and configurations are remembered as keyed hashes
//! (`fingerprint`).

mod audit;
mod compose;
mod decide;
mod deploy;
mod engine;
mod error;
mod fingerprint;
mod gate;
mod history;
mod hooks;
mod host;
mod layout;
mod lock;
mod mounts;
mod observe;
mod options;
mod order;
mod record;
mod redact;
mod release;
mod remove;
mod report;
mod snapshot;
mod stack;
mod state;

pub use deploy::{Observer, deploy, plan};
pub use engine::Engine;
pub use error::{Error, Result, Retry};
pub use host::{Command, Host, LocalHost, Output};
pub use layout::Layout;
pub use observe::observe;
pub use options::Options;
pub use record::{Attempt, Deployment, Gate, ReleaseRecord, ServiceRecord, StackRecord};
pub use release::Release;
pub use remove::{Removal, remove};
pub use report::{Change, Event, Report, StackChange};
pub use snapshot::{ContainerSnapshot, Snapshot, StackSnapshot};
pub use state::{ServiceState, StackPhase, StackState, summary};
