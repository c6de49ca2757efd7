//! `homeport bundle inspect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use homeport_bundle::{ArchiveReport, ByteSize, inspect};
use serde_json::json;

use super::limits::LimitOptions;
use crate::error::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bundle.
    bundle: PathBuf,
    /// The form of what is printed.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    limits: LimitOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// The manifest, the files, and the digest, as one JSON object.
    Json,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let archive = inspect(&options.bundle, &options.limits.limits())?;
    match options.output {
        Format::Text => print_text(&archive),
        Format::Json => output::line(serde_json::to_string_pretty(&json!({
            "sha256": archive.sha256.to_hex(),
            "archive_size": archive.archive_size,
            "content_size": archive.content_size,
            "manifest": archive.bundle.manifest,
            "files": archive.files.iter().map(|file| json!({
                "path": file.path, "size": file.size, "executable": file.executable,
            })).collect::<Vec<_>>(),
        }))?),
    }
    Ok(())
}

fn print_text(archive: &ArchiveReport) {
    for warning in &archive.warnings {
        output::warning(warning);
    }
    let manifest = &archive.bundle.manifest;
    output::line(format_args!("sha256    {}", archive.sha256.to_hex()));
    output::line(format_args!("format    {} {}", manifest.format, manifest.version));
    let created = manifest
        .created
        .map(|created| created.to_string())
        .unwrap_or_default();
    output::line(format_args!(
        "created   {created} by homeport {}",
        manifest.homeport_version
    ));
    output::line(format_args!(
        "size      {} in {} files ({} packed)",
        ByteSize(archive.content_size),
        archive.files.len(),
        ByteSize(archive.archive_size)
    ));
    if let Some(secrets) = &archive.bundle.secrets {
        let names: Vec<&str> = secrets
            .secrets
            .iter()
            .map(|secret| secret.name.as_str())
            .collect();
        output::line(format_args!("secrets   {} (references only)", names.join(", ")));
    }
    if let Some(sync) = &archive.bundle.sync {
        let names: Vec<&str> = sync.tasks.iter().map(|task| task.name.as_str()).collect();
        output::line(format_args!("data      {}", names.join(", ")));
    }
    let stacks = manifest.stacks.iter().map(|stack| {
        [
            stack.name.clone(),
            stack.services.join(", "),
            stack.depends_on.join(", "),
        ]
    });
    output::line("");
    output::line(output::table(
        ["STACK", "SERVICES", "DEPENDS ON"],
        &stacks.collect::<Vec<_>>(),
    ));
    let files = archive
        .files
        .iter()
        .map(|file| [file.size.to_string(), file.path.clone()]);
    output::line("");
    output::line(output::table(["BYTES", "FILE"], &files.collect::<Vec<_>>()));
}
