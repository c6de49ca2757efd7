//! The commands, one module each.

pub(crate) mod bundle;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod up;

use std::fs::DirBuilder;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

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

/// The API's file in the state directory.
const STATE_FILE: &str = "state.db";

/// Makes the state directory, mode 0700, unless it is there.
fn make_state_dir(path: &Path) -> Result<(), CommandError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .doing(|| format!("the state directory {} could not be made", path.display()))
}
