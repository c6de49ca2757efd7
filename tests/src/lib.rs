//! What the end-to-end tests and the benchmarks share: real servers, the real program, the real clients.
//!
//! A [`Webshop`] is the example of `examples/webshop` in a place of its own: its cloud side runs on loopback addresses
//! that nobody else has, its bundle and manifests are copies with these addresses and names, and all that it leaves in
//! Docker is removed when it is dropped. [`Homeport`] is the program as a child process, which can be killed and started
//! again; [`Kubectl`] the client that drives it. Nothing here decides whether a test passes: a step that cannot be done
//! at all panics with the output of what failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a step that cannot be done ends the test, and says why"
)]

mod address;
mod command;
mod docker;
mod homeport;
mod image;
mod kube_apiserver;
mod kubectl;
mod postgres;
mod repository;
mod secrecy;
mod until;
mod webshop;

pub use address::{free_port, loopback_host};
pub use command::{Finished, run, run_ok};
pub use docker::{DockerProxy, docker_missing};
pub use homeport::Homeport;
pub use image::busybox_image;
pub use kube_apiserver::{KubeApiserver, kube_apiserver_missing};
pub use kubectl::{KINDS, Kubectl};
pub use postgres::{PostgresServer, postgres_program};
pub use repository::{homeport_binary, repository, search_path};
pub use secrecy::{CommandLines, Leak, find_in_files, find_in_text};
pub use until::until;
pub use webshop::{Summary, Webshop};
