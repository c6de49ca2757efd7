//! Logs, on standard error.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How much is logged, and in what form.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is logged: error, warn, info, debug or trace, or a filter such as `info,homeport_sync=debug`.
    #[arg(
        long,
        global = true,
        env = "HOMEPORT_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    /// The form of log lines.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. A filter that cannot be read is reported, and `info` is taken.
pub(crate) fn init(options: &Options) {
    let (filter, problem) = match EnvFilter::try_new(&options.log) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match options.log_format {
        Format::Text => builder.init(),
        Format::Json => builder.json().init(),
    }
    if let Some(error) = problem {
        tracing::warn!(%error, filter = options.log, "the log filter cannot be read: logging at info");
    }
}
