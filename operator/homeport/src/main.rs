//! homeport: moves an application out of a cloud onto hosts that its owners control.
//!
//! Every command is a view on the four resources (`homeport-crds`), or on a bundle file. This crate parses the command
//! line and wires the other crates together.

mod commands;
mod error;
mod logging;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{bundle, status, store, up};

/// Moves an application out of a cloud onto hosts that its owners control.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: logging::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs homeport here: its Kubernetes API and the controllers, in one process.
    Up(up::Options),
    /// Shows how far the migrations are, in the five steps from Analyze to Cutover.
    Status(status::Options),
    /// Packs, unpacks, verifies and inspects bundle files (.hprt).
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Backs up, restores and checks the state file.
    #[command(subcommand)]
    Store(store::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(&cli.logging);
    // Fails only where a provider was installed before, which nothing here does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let result = match cli.command {
        Command::Up(options) => commands::in_runtime(up::run(options)),
        Command::Status(options) => commands::in_runtime(status::run(options)),
        Command::Bundle(command) => bundle::run(command),
        Command::Store(command) => store::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
