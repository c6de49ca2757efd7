//! Differences that are meant.

use std::fs;
use std::path::Path;

use regex::Regex;

/// The entries of `accepted.txt`.
pub(crate) struct Accepted {
    entries: Vec<Entry>,
    count: usize,
}

struct Entry {
    /// Which steps: a pattern of `scenario: command`.
    steps: Regex,
    /// Which lines of them are not compared; without it none is.
    lines: Option<Regex>,
    used: bool,
}

impl Accepted {
    /// Reads entries that are set apart by empty lines: comments that say why, `steps: <pattern>`, `lines: <pattern>`.
    pub(crate) fn read(file: &Path) -> Accepted {
        let text = fs::read_to_string(file).unwrap();
        let pattern = |entry: &str, key: &str| {
            let line = entry.lines().find_map(|line| line.strip_prefix(key))?;
            Some(Regex::new(line.trim()).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        };
        let parse = |entry: &str| {
            assert!(
                entry.starts_with('#'),
                "{}: no reason for {entry}",
                file.display()
            );
            Some(Entry {
                steps: pattern(entry, "steps:")?,
                lines: pattern(entry, "lines:"),
                used: false,
            })
        };
        Accepted {
            entries: text.trim().split("\n\n").filter_map(parse).collect(),
            count: 0,
        }
    }

    /// Both outputs without what may differ in them.
    pub(crate) fn strip(&mut self, command: &str, expected: &str, found: &str) -> (String, String) {
        let (mut expected, mut found) = (expected.to_owned(), found.to_owned());
        let mut differed = expected != found;
        for entry in &mut self.entries {
            if expected == found {
                break;
            }
            if !entry.steps.is_match(command) {
                continue;
            }
            let kept = |text: &str| match &entry.lines {
                Some(lines) => text
                    .lines()
                    .filter(|line| !lines.is_match(line))
                    .fold(String::new(), append),
                None => String::new(),
            };
            let (there, here) = (kept(&expected), kept(&found));
            entry.used |= there.len() != expected.len() || here.len() != found.len();
            (expected, found) = (there, here);
        }
        differed &= expected == found;
        self.count += usize::from(differed);
        (expected, found)
    }

    /// How many steps were taken for equal although they differed.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Entries that did nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|entry| !entry.used)
            .map(|entry| entry.steps.as_str())
    }
}

fn append(mut text: String, line: &str) -> String {
    text.push_str(line);
    text.push('\n');
    text
}
