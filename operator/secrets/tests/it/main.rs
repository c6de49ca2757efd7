//! What callers see: resolving from real files and variables, and scanning through the bundle's interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod assignments;
mod credentials;
mod ordinary_files;
mod resolving;
mod streaming;

use std::sync::LazyLock;

use homeport_secrets::Scanner;

/// The rules take a while to compile without optimisation.
static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new().unwrap());

/// The rules that a file breaks, with their lines.
fn findings(path: &str, text: &str) -> Vec<(u64, String)> {
    SCANNER
        .scan(path, text.as_bytes())
        .into_iter()
        .map(|found| (found.line, found.rule))
        .collect()
}
