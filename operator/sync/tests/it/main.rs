//! The PostgreSQL engine on real servers: one pair of them for the whole binary, a pair of databases for each test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod copying;
mod interrupted;
mod refusals;
mod secrets;
mod servers;
