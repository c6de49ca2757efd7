//! `homeport bundle verify`.

use std::path::PathBuf;

use clap::Args;
use homeport_bundle::verify;

use super::limits::LimitOptions;
use crate::error::CommandError;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bundle.
    bundle: PathBuf,
    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let scanner = super::scanner()?;
    let archive = verify(&options.bundle, &options.limits.limits(), Some(&scanner))?;
    super::summarize("verified", options.bundle.display(), &archive);
    Ok(())
}
