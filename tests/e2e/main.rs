//! Whole migrations: the real program, real kubectl, Docker, PostgreSQL and BIND, and what a user sees of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod archives;
mod bundles;
mod docker_stops;
mod happy_path;
mod kills;
mod migration;
mod orders;
mod refusals;
mod rollback;
mod secrecy;
