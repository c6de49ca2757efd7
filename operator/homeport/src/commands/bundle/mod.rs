//! `homeport bundle`: work on bundle files, with no API and no network.

mod inspect;
mod limits;
mod pack;
mod unpack;
mod verify;

use clap::Subcommand;
use homeport_bundle::ArchiveReport;
use homeport_secrets::Scanner;

use crate::error::CommandError;
use crate::output;

/// Packs, unpacks, verifies and inspects bundle files (.hprt).
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Packs a directory into a bundle. The same tree gives the same bytes; a secret in it is refused.
    Pack(pack::Options),
    /// Verifies a bundle and unpacks it into a new directory. A bundle that is refused writes nothing.
    Unpack(unpack::Options),
    /// Verifies a bundle: its form, every checksum, its documents, and that it holds no secret.
    Verify(verify::Options),
    /// Shows what a bundle is and what is in it.
    Inspect(inspect::Options),
}

pub(crate) fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Pack(options) => pack::run(&options),
        Command::Unpack(options) => unpack::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Inspect(options) => inspect::run(&options),
    }
}

/// What looks for secrets in the files of a bundle.
fn scanner() -> Result<Scanner, CommandError> {
    Ok(Scanner::new()?)
}

/// Says what a bundle holds, in one line, and what a person should know.
fn summarize(verb: &str, name: impl std::fmt::Display, archive: &ArchiveReport) {
    for warning in &archive.warnings {
        output::warning(warning);
    }
    output::line(format_args!(
        "{verb} {name}: {} files, {} in {}, sha256:{}",
        archive.files.len(),
        homeport_bundle::ByteSize(archive.content_size),
        homeport_bundle::ByteSize(archive.archive_size),
        archive.sha256.to_hex(),
    ));
}
