//! The container engine and Compose on a host: are they there, and are they what a bundle needs.

use std::collections::BTreeMap;

use homeport_bundle::Manifest;

use crate::error::Result;
use crate::host::Host;

/// The programs that run containers on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Version of the engine.
    pub docker: String,
    /// Version of Compose.
    pub compose: String,
}

impl Engine {
    /// Asks a host. An error if the engine does not answer, or Compose is missing or too old.
    pub async fn of(host: &dyn Host) -> Result<Self> {
        let _ = (host, BTreeMap::<String, String>::new());
        todo!("lands next")
    }

    /// Checks that a host has what a bundle needs.
    pub fn check(&self, host: &dyn Host, manifest: &Manifest) -> Result<()> {
        let _ = (host, manifest);
        todo!("lands next")
    }
}
