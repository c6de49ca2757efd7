//! Copying data between systems: one engine a data system, each planned, resumable and verified.
//!
//! A caller describes a copy as a [`Task`] and hands it to an [`Engine`]. [`Engine::plan`] looks, [`Engine::copy`]
//! moves and verifies, [`Engine::verify`] compares and never writes. All three may be killed at any instant and
//! called again. A [`Progress`] travels by a watch channel; an [`Error`] says whether trying again may help, a
//! reason for a condition, and what to do.
//!
//! # PostgreSQL
//! [`Postgres`] copies one database. Its source is only read.
//!
//! - *One snapshot.* A read-only transaction on the source exports its snapshot; every stream, and `pg_dump`, sees
//!   the source through it. A run that lost its snapshot starts over with a new one, keeping what did not change.
//! - *Schema* (`postgres/schema.rs`): `pg_dump` writes the table of contents of an archive; its objects are
//!   created by us, the part before the data in one transaction, the part after it one object a transaction. This
//!   is the one client program that is needed; it has to be as new as the source's server (`postgres/pg_dump.rs`).
//! - *Rows* (`postgres/rows.rs`): raw `COPY` frames from one socket to the other, binary where that is safe
//!   (`postgres/format.rs`). A table is one transaction that truncates it, loads it with `FREEZE`, reads it back,
//!   compares checksums and records both. A big table is one transaction a range of pages instead, shared by all
//!   streams. Indexes of a finished table are built while other tables are copied, and foreign keys as soon as both
//!   their tables are complete (`postgres/load.rs`).
//! - *Checksums* (`checksum.rs`): the sum of a hash of each row as the server sends it, with settings that make both
//!   servers write alike. The source's is taken while rows pass, so that only the target is read a second time, and
//!   no function has to exist or agree on either server.
//! - *State* (`postgres/state.rs`): kept in the target, recorded in the same transactions as the data. On the next
//!   run a finished table is kept only if the source at the new snapshot and the target both still have the recorded
//!   checksum. Rows that the task did not put there are never deleted: that is [`Error::TargetNotEmpty`].

mod checksum;
mod endpoint;
mod engine;
mod error;
mod postgres;
mod progress;
mod task;
mod throttle;

pub use endpoint::{Endpoint, Side, Tls, TlsMode};
pub use engine::{Engine, Plan, PlannedTable, Report, Verdict};
pub use error::Error;
pub use postgres::{Postgres, write_mark};
pub use progress::{Phase, Progress};
pub use task::{Selection, Task, Tuning};
