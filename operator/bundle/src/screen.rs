//! The eye that looks over every file for secrets, while it streams by.

use std::fmt;

/// Looks for secrets' values in files. The bundle crate calls it for every file that it packs, verifies or
/// unpacks; what finds them is elsewhere.
///
/// Files are shown as they stream past, in chunks of any size cut at any byte, so that memory does not grow with them:
/// a rule that works on lines keeps the unfinished line until the next chunk.
pub trait Screen: Send + Sync {
    /// Begins a file; `path` is its path in the bundle.
    fn open(&self, path: &str) -> Box<dyn ScreenFile>;
}

/// One file under a [`Screen`].
pub trait ScreenFile {
    /// Shows the next part of the file.
    fn write(&mut self, chunk: &[u8]);

    /// Says that the file has ended, and asks for what was found in it.
    fn finish(self: Box<Self>) -> Vec<Finding>;
}

/// A secret's value where none may be. Tells where it is, never what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path in the bundle.
    pub path: String,
    /// Line in the file, from 1.
    pub line: u64,
    /// Name of the rule that it matches.
    pub rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{} looks like one ({}): put a reference in its place",
            self.path, self.line, self.rule
        )
    }
}
