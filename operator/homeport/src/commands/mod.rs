//! The commands, one module each.

pub(crate) mod bundle;
pub(crate) mod status;
pub(crate) mod up;

use std::future::Future;
use std::path::PathBuf;

use clap::Args;

use crate::error::{CommandError, Doing};

/// Runs a command that does network or disk work.
pub(crate) fn in_runtime(
    command: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .doing(|| "the async runtime could not be started".to_owned())?;
    runtime.block_on(command)
}

/// Where homeport keeps its state.
#[derive(Debug, Args)]
pub(crate) struct StateDir {
    /// The directory of homeport's state: the API's file, its kubeconfig, fetched bundles and releases
    /// [default: ~/.homeport].
    #[arg(long, env = "HOMEPORT_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl StateDir {
    /// The directory.
    pub(crate) fn path(&self) -> Result<PathBuf, CommandError> {
        match &self.state_dir {
            Some(path) => std::path::absolute(path).doing(|| format!("--state-dir {}", path.display())),
            None => std::env::home_dir()
                .map(|home| home.join(".homeport"))
                .ok_or_else(|| CommandError::new("there is no home directory: name one with --state-dir")),
        }
    }
}

/// The kubeconfig in the state directory.
pub(crate) const KUBECONFIG: &str = "kubeconfig";
