//! `homeport bundle pack`.

use std::path::PathBuf;

use clap::Args;
use homeport_bundle::{PackOptions, pack};
use k8s_openapi::jiff::Timestamp;

use super::limits::LimitOptions;
use crate::error::CommandError;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory to pack. It holds a manifest.json; checksums are filled in.
    directory: PathBuf,
    /// The bundle to write. It is replaced only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// When the bundle was made, in seconds since 1970, in place of what its manifest says.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS", value_parser = epoch)]
    created: Option<Timestamp>,
    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let scanner = super::scanner()?;
    let pack_options = PackOptions {
        created: options.created,
        limits: options.limits.limits(),
        screen: Some(&scanner),
        ..PackOptions::default()
    };
    let report = pack(&options.directory, &options.output, &pack_options)?;
    super::summarize("packed", report.path.display(), &report.archive);
    Ok(())
}

fn epoch(text: &str) -> Result<Timestamp, String> {
    let seconds: i64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a whole number of seconds since 1970"))?;
    Timestamp::from_second(seconds).map_err(|error| error.to_string())
}
