//! The store from outside: in process by kube, over TLS by real kubectl, and killed in the middle of writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod client;
mod clients;
mod crowd;
mod durability;
mod full_disk;
mod hostile;
mod hostile_connections;
mod housekeeping;
mod kubectl;
mod server;
mod store_file;
mod support;
mod watch;
