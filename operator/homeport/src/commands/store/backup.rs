//! `homeport store backup`.

use std::path::PathBuf;

use clap::Args;

use super::StateDir;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    state_dir: StateDir,
    /// The file to write, mode 0600. It is replaced only when the backup is complete and has passed its check.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let report = homeport_store::backup(&super::state_file(&options.state_dir)?, &options.output)?;
    super::warn(&report);
    output::line(format_args!(
        "backed up to {}: {}",
        options.output.display(),
        super::summary(&report)
    ));
    Ok(())
}
