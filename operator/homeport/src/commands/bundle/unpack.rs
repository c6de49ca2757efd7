//! `homeport bundle unpack`.

use std::path::PathBuf;

use clap::Args;
use homeport_bundle::unpack;

use super::limits::LimitOptions;
use crate::error::CommandError;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bundle.
    bundle: PathBuf,
    /// The directory to make. It must not exist, or be empty [default: the bundle's name without .hprt].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let directory = match &options.output {
        Some(directory) => directory.clone(),
        None => default_directory(options)?,
    };
    let scanner = super::scanner()?;
    let unpacked = unpack(
        &options.bundle,
        &directory,
        &options.limits.limits(),
        Some(&scanner),
    )?;
    super::summarize("unpacked", unpacked.path.display(), &unpacked.archive);
    Ok(())
}

fn default_directory(options: &Options) -> Result<PathBuf, CommandError> {
    let stem = options.bundle.file_stem().map(PathBuf::from);
    stem.filter(|stem| *stem != options.bundle)
        .ok_or_else(|| CommandError::new("name the directory to unpack into with --output"))
}
