//! Deployments to the real engine of this machine. Without one, every test says so and passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod changes;
mod deploying;
mod failures;
mod killed;
mod support;
