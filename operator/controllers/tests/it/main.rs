//! The controllers on an API in the same process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundle;
mod cutover;
mod data_sync;
mod driver;
mod secret_binding;
mod support;
