//! `homeport store`: the state file's backups, the way back from one, and its check. Needs no running homeport.

mod backup;
mod check;
mod restore;

use std::path::PathBuf;

use clap::Subcommand;
use homeport_store::Report;

use super::StateDir;
use crate::error::CommandError;
use crate::output;

/// Backs up, restores and checks the state file.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes the state, as of one moment, to a file. homeport may be running.
    Backup(backup::Options),
    /// Makes a backup the state. homeport must not be running on that state directory.
    Restore(restore::Options),
    /// Checks the state file, or a backup: its structure, every object, and what resource versions rely on.
    Check(check::Options),
}

pub(crate) fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Backup(options) => backup::run(&options),
        Command::Restore(options) => restore::run(&options),
        Command::Check(options) => check::run(&options),
    }
}

/// The state file of a state directory.
fn state_file(state_dir: &StateDir) -> Result<PathBuf, CommandError> {
    Ok(state_dir.path()?.join(super::STATE_FILE))
}

/// How many objects there are, and as of when.
fn summary(report: &Report) -> String {
    let objects: u64 = report.objects.values().sum();
    format!(
        "{objects} objects, revision {}, format {}",
        report.revision, report.format
    )
}

/// Says on standard error what is worth knowing of a file that is sound.
fn warn(report: &Report) {
    for warning in &report.warnings {
        output::warning(warning);
    }
}
