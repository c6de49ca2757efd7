//! The program from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod limits;
mod store;
