//! `homeport bundle pack`.

use std::path::PathBuf;

use clap::Args;
use homeport_bundle::{PackOptions, pack};

use super::limits::LimitOptions;
use crate::error::CommandError;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory to pack. It holds a manifest.json; checksums are filled in.
    directory: PathBuf,
    /// The bundle to write. It is replaced only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let scanner = super::scanner()?;
    let pack_options =
        PackOptions { limits: options.limits.limits(), screen: Some(&scanner), ..PackOptions::default() };
    let report = pack(&options.directory, &options.output, &pack_options)?;
    super::summarize("packed", report.path.display(), &report.archive);
    Ok(())
}
