//! The controllers on an API in the same process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cutover;
mod data_sync;
