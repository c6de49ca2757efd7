//! Where files may be in a bundle.

use crate::documents::manifest::Manifest;

/// Directories at the top of a bundle.
pub const DIRECTORIES: [&str; 8] = [
    "compose",
    "configs",
    "scripts",
    "migrations",
    "data-sync",
    "secrets",
    "dns",
    "validation",
];

/// The guide for people, beside the manifest the only file at the top.
pub const README: &str = "README.md";

/// Whether a file may be at `path`.
pub(crate) fn allows_file(path: &str) -> bool {
    match path.split_once('/') {
        Some((top, _)) => DIRECTORIES.contains(&top),
        None => path == Manifest::PATH || path == README,
    }
}
