//! Which paths a bundle may hold: those that mean the same one place below the destination on every system.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// It is not UTF-8.
    #[error("it is not UTF-8; rename the file")]
    NotUtf8,
    /// It begins with a slash.
    #[error("it is absolute; make it relative to the bundle's top")]
    Absolute,
    /// It has a component `..`.
    #[error("it leaves the bundle by `..`; remove that component")]
    Traversal,
    /// It has a component `.`, or none between two slashes, or none at all.
    #[error("it has an empty component or `.`; write each name once, with single slashes")]
    EmptyComponent,
    /// It has a backslash, which Windows takes for a separator.
    #[error("it has a backslash, which separates names on some systems; use / or rename the file")]
    Backslash,
    /// It begins with a drive letter, or names a stream of a file.
    #[error("it has a colon, which names a drive or stream on Windows; rename the file")]
    DriveOrStream,
    /// It has a NUL, another control character, or one that hides or reorders text.
    #[error("it has a control or invisible character; rename the file")]
    ControlCharacter,
    /// Windows cannot hold the name.
    #[error("Windows reserves or forbids this name; rename the file, or allow such names in the limits")]
    ReservedName,
    /// It is longer than allowed.
    #[error("it is longer than {0} bytes; shorten it")]
    TooLong(usize),
    /// It cannot be written in a ustar header.
    #[error(
        "it does not fit a ustar header, which has 100 bytes for the file's name and 155 for what precedes; shorten it"
    )]
    NotUstar,
    /// It has more components than allowed.
    #[error("it has more than {0} components; nest the file less deeply")]
    TooDeep(usize),
}

/// Checks a path of a file, relative and with `/` between its components, apart from limits.
pub(crate) fn check(path: &str) -> std::result::Result<(), PathFault> {
    if path.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    if path.chars().any(hides_or_controls) {
        return Err(PathFault::ControlCharacter);
    }
    if path.contains('\\') {
        return Err(PathFault::Backslash);
    }
    if path.contains(':') {
        return Err(PathFault::DriveOrStream);
    }
    for component in path.split('/') {
        match component {
            ".." => return Err(PathFault::Traversal),
            "" | "." => return Err(PathFault::EmptyComponent),
            _ => {}
        }
    }
    Ok(())
}

/// Checks a path against limits too.
pub(crate) fn check_within(path: &str, limits: &Limits) -> std::result::Result<(), PathFault> {
    if path.len() > limits.max_path_length {
        return Err(PathFault::TooLong(limits.max_path_length));
    }
    check(path)?;
    if path.split('/').count() > limits.max_path_depth {
        return Err(PathFault::TooDeep(limits.max_path_depth));
    }
    if limits.portable_names && path.split('/').any(is_reserved) {
        return Err(PathFault::ReservedName);
    }
    Ok(())
}

/// Control characters, and those format characters (Unicode general category Cf and a few blanks) that make one path
/// look like another, or that some file systems ignore.
fn hides_or_controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Names that Windows cannot hold ("Naming Files, Paths, and Namespaces" of its file system documentation).
fn is_reserved(component: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = component
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_lowercase();
    let numbered = |prefix| {
        let number = stem
            .strip_prefix(prefix)
            .map(|rest| rest.chars().collect::<Vec<_>>());
        matches!(number.as_deref(), Some(['1'..='9' | '¹' | '²' | '³']))
    };
    DEVICES.contains(&stem.as_str())
        || numbered("com")
        || numbered("lpt")
        || component.ends_with(['.', ' '])
        || component.contains(['<', '>', '"', '|', '?', '*'])
}

/// The paths seen so far, to refuse those that are or may become the same place.
#[derive(Default)]
pub(crate) struct PathSet {
    /// By the folded form of each path and of each directory on the way to it.
    seen: HashMap<String, Seen>,
}

struct Seen {
    path: String,
    is_file: bool,
    /// It came as an entry of its own, not only as part of another's path.
    is_entry: bool,
}

impl PathSet {
    /// Adds a path that [`check_within`] accepts.
    pub(crate) fn insert(&mut self, path: &str, is_file: bool) -> Result<()> {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        for parent in parents {
            self.insert_one(parent, false, false)?;
        }
        self.insert_one(path, is_file, true)
    }

    /// Whether a file at `path` was added.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.seen
            .get(&fold(path))
            .is_some_and(|seen| seen.is_file && seen.path == path)
    }

    fn insert_one(&mut self, path: &str, is_file: bool, is_entry: bool) -> Result<()> {
        let Some(seen) = self.seen.get_mut(&fold(path)) else {
            self.seen.insert(
                fold(path),
                Seen {
                    path: path.to_owned(),
                    is_file,
                    is_entry,
                },
            );
            return Ok(());
        };
        if seen.path != path {
            let (path, other) = (path.to_owned(), seen.path.clone());
            return Err(if path.nfc().eq(other.nfc()) {
                Error::NormalizationCollision { path, other }
            } else {
                Error::CaseCollision { path, other }
            });
        }
        if seen.is_file != is_file {
            return Err(Error::FileDirectoryConflict {
                path: path.to_owned(),
            });
        }
        if seen.is_entry && is_entry {
            return Err(Error::Duplicate {
                path: path.to_owned(),
            });
        }
        seen.is_entry |= is_entry;
        Ok(())
    }
}

/// One form for all paths that some file system takes for the same: decomposed compatibly, without case. Upper case
/// first, so that `ß` and `ss` meet.
fn fold(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    path.nfkd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkd()
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("../etc/passwd", PathFault::Traversal)]
    #[case("configs/../../x", PathFault::Traversal)]
    #[case("/etc/passwd", PathFault::Absolute)]
    #[case("", PathFault::EmptyComponent)]
    #[case("configs//x", PathFault::EmptyComponent)]
    #[case("configs/./x", PathFault::EmptyComponent)]
    #[case("configs/", PathFault::EmptyComponent)]
    #[case("configs\\x", PathFault::Backslash)]
    #[case("C:/x", PathFault::DriveOrStream)]
    #[case("configs/x:stream", PathFault::DriveOrStream)]
    #[case("configs/a\0b", PathFault::ControlCharacter)]
    #[case("configs/a\nb", PathFault::ControlCharacter)]
    #[case("configs/\u{202e}gpj.sh", PathFault::ControlCharacter)]
    #[case("configs/NUL", PathFault::ReservedName)]
    #[case("configs/com1.txt", PathFault::ReservedName)]
    #[case("configs/trailing.", PathFault::ReservedName)]
    #[case("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", PathFault::TooDeep(16))]
    fn unsafe_paths(#[case] path: &str, #[case] fault: PathFault) {
        assert_eq!(check_within(path, &Limits::default()), Err(fault));
    }

    #[rstest]
    #[case("compose/docker-compose.yml")]
    #[case("secrets/.env.template")]
    #[case("configs/größe/..data")]
    #[case("configs/company.conf")]
    fn safe_paths(#[case] path: &str) {
        assert_eq!(check_within(path, &Limits::default()), Ok(()));
    }

    #[test]
    fn too_long() {
        let path = "a".repeat(256);
        assert_eq!(
            check_within(&path, &Limits::default()),
            Err(PathFault::TooLong(255))
        );
    }

    #[rstest]
    #[case("configs/A", "configs/a", "CaseCollision")]
    #[case("Configs/x", "configs/y", "CaseCollision")]
    #[case("configs/straße", "configs/STRASSE", "CaseCollision")]
    #[case("configs/\u{e9}", "configs/e\u{301}", "NormalizationCollision")]
    #[case("configs/a", "configs/a/b", "FileDirectoryConflict")]
    #[case("configs/a/b", "configs/a", "FileDirectoryConflict")]
    #[case("configs/a", "configs/a", "Duplicate")]
    fn collisions(#[case] first: &str, #[case] second: &str, #[case] expected: &str) {
        let mut paths = PathSet::default();
        paths.insert(first, true).unwrap();
        let error = format!("{:?}", paths.insert(second, true).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_directory_may_come_before_or_after_what_is_in_it() {
        let mut paths = PathSet::default();
        paths.insert("configs", false).unwrap();
        paths.insert("configs/a/b", true).unwrap();
        paths.insert("configs/a", false).unwrap();
        assert!(paths.insert("configs/a", false).is_err());
    }
}
