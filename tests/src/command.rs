//! Programs that are run to their end.

use std::fmt;
use std::process::{Command, Stdio};

use crate::repository::search_path;

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The program and its arguments.
    pub command: String,
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Both outputs, one after the other.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.success { "succeeded" } else { "failed" };
        write!(f, "{} {end}\n{}{}", self.command, self.stdout, self.stderr)
    }
}

/// Runs a program to its end, with the tools of `make setup` in its `PATH`.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Finished {
    let text = format!("{command:?}");
    let output = command
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{text} cannot be started: {error}; run `make setup`"));
    Finished {
        command: text,
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a program that must succeed, and returns its standard output.
///
/// # Panics
/// If it fails.
pub fn run_ok(command: &mut Command) -> String {
    let finished = run(command);
    assert!(finished.success, "{finished}");
    finished.stdout
}
