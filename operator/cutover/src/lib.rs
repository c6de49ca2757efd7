//! Cutting DNS over behind gates, with a way back.
//!
//! Decisions are pure, and everything that talks to a network is behind two small interfaces:
//!
//! - [`plan`]: what a cutover is to do. [`record`]: DNS record sets in one canonical form.
//! - [`changes`]: from a plan and the records as they are to a [`ChangeSet`], with ownership; what is captured before the
//!   change, and the change that brings it back.
//! - [`machine`]: [`decide`], from [`Facts`] to the next [`Step`]. It remembers nothing: kill the caller between any two
//!   steps and it goes on from what was recorded.
//! - [`triggers`]: when measurements after the switch undo it.
//! - [`provider`]: [`DnsProvider`] reads and changes records: [`Rfc2136Provider`] by signed dynamic update,
//!   [`ManualProvider`] by asking a person.
//! - [`check`]: [`Checker`] measures a service over HTTP and TCP; [`dns`] asks what name servers show.

pub mod changes;
pub mod check;
pub mod dns;
pub mod machine;
pub mod plan;
pub mod provider;
pub mod record;
pub mod triggers;

mod error;
mod ownership;

pub use changes::{Action, Captured, Change, ChangeSet, Observed, Refusal, observe};
pub use check::{Check, Checker, Measurement, Probe};
pub use error::{Error, Result};
pub use machine::{Facts, Journal, Step, decide};
pub use plan::{Plan, RecordChange};
pub use provider::DnsProvider;
pub use provider::manual::ManualProvider;
pub use provider::rfc2136::{Rfc2136Provider, TsigAlgorithm, TsigKey};
pub use record::{RecordKey, RecordSet, RecordType};
