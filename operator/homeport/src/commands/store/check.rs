//! `homeport store check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use homeport_store::Report;

use super::StateDir;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to check [default: the one in the state directory].
    file: Option<PathBuf>,
    #[command(flatten)]
    state_dir: StateDir,
    /// The form of what is printed.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// All that was found, as one JSON object.
    Json,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let file = match &options.file {
        Some(file) => file.clone(),
        None => super::state_file(&options.state_dir)?,
    };
    let report = homeport_store::check(&file)?;
    match options.output {
        Format::Text => print_text(&report),
        Format::Json => output::line(serde_json::to_string_pretty(&report)?),
    }
    if report.is_sound() {
        Ok(())
    } else {
        Err(CommandError::new(format!(
            "{} is damaged: {} problems; restore a backup with `homeport store restore`",
            file.display(),
            report.problem_count
        )))
    }
}

fn print_text(report: &Report) {
    super::warn(report);
    output::line(format_args!("file       {}", report.file.display()));
    output::line(format_args!("format     {}", report.format));
    output::line(format_args!(
        "revisions  up to {}, reserved up to {}, history after {}",
        report.revision, report.reserved, report.floor
    ));
    output::line(format_args!("rows       {}", report.rows));
    output::line("");
    let rows = report
        .objects
        .iter()
        .map(|(resource, count)| [count.to_string(), resource.clone()]);
    output::line(output::table(["OBJECTS", "RESOURCE"], &rows.collect::<Vec<_>>()));
    output::line("");
    for problem in &report.problems {
        output::line(format_args!("problem: {problem}"));
    }
    let unlisted = report.problem_count - report.problems.len() as u64;
    if unlisted > 0 {
        output::line(format_args!("and {unlisted} more problems"));
    }
    if report.is_sound() {
        output::line("ok");
    }
}
