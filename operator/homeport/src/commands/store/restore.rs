//! `homeport store restore`.

use std::path::PathBuf;

use clap::Args;

use super::StateDir;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The backup.
    backup: PathBuf,
    #[command(flatten)]
    state_dir: StateDir,
    /// Replaces the state that there is, and keeps it beside the new one.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let state_dir = options.state_dir.path()?;
    crate::commands::make_state_dir(&state_dir)?;
    let state = super::state_file(&options.state_dir)?;
    let restored = homeport_store::restore(&options.backup, &state, options.force)?;
    super::warn(&restored.report);
    if let Some(replaced) = &restored.replaced {
        output::line(format_args!(
            "the state from before is kept as {}",
            replaced.display()
        ));
    }
    output::line(format_args!(
        "restored {} from {}: {}",
        state.display(),
        options.backup.display(),
        super::summary(&restored.report)
    ));
    Ok(())
}
