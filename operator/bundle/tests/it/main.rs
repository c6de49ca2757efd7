//! Archives as files: what goes in comes out, and nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod hostile;
mod interop;
mod mutation;
mod reproducible;
mod round_trip;
mod screening;
mod staging;
mod support;
mod wrong_documents;
