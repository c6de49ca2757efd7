//! Finding secrets where none may be.
//!
//! A file is scanned as it streams by, in constant memory. One Aho-Corasick automaton over the keywords of all rules
//! passes over the bytes; only around its hits does a rule look closer:
//! - `patterns`: credentials with a published form, each a regular expression and, where the form alone says too
//!   little, an entropy;
//! - `assignment`: `password: hunter2` in the many spellings that configuration files have for it;
//! - `url`: `postgres://user:pass@host`;
//! - `encoded`: any of these wrapped in base64.
//!
//! `value` decides for all of them whether what stands there is a value, or a reference or placeholder.

mod assignment;
mod encoded;
mod file_kind;
mod key;
mod patterns;
mod url;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use homeport_bundle::{Finding, Screen, ScreenFile};
use regex::bytes::Regex;

use crate::Error;
use file_kind::FileKind;
use patterns::{PATTERNS, Span};

/// How many bytes are examined at a time.
const BLOCK: usize = 256 * 1024;
/// How far before a keyword a rule may look, in bytes. Longer lines are seen in part.
const BEHIND: usize = 1024;
/// How far after a keyword's beginning a rule may look, in bytes.
const AHEAD: usize = 4 * 1024;
/// How many findings of one file are kept: enough to act on, and a bound on memory.
const MOST_FINDINGS: usize = 100;

/// The rules, compiled. Cheap to clone; make one a process.
#[derive(Clone)]
pub struct Scanner {
    rules: Arc<Rules>,
}

/// Whom a keyword wakes.
enum Owner {
    /// The rule at this index of [`PATTERNS`].
    Pattern(usize),
    Assignment,
    Url,
    /// A literal in base64, in one of its three alignments.
    Encoded(encoded::Literal),
}

struct Rules {
    keywords: AhoCorasick,
    /// For each keyword of the automaton.
    owners: Vec<Owner>,
    /// For each of [`PATTERNS`].
    patterns: Vec<Regex>,
}

impl Scanner {
    /// Compiles the rules.
    pub fn new() -> Result<Self, Error> {
        let mut keywords: Vec<Vec<u8>> = Vec::new();
        let mut owners = Vec::new();
        let mut patterns = Vec::new();
        for (index, pattern) in PATTERNS.iter().enumerate() {
            let regex =
                Regex::new(pattern.regex).map_err(|e| Error::Rules(format!("{}: {e}", pattern.rule)))?;
            patterns.push(regex);
            for keyword in pattern.keywords {
                keywords.push(keyword.as_bytes().to_vec());
                owners.push(Owner::Pattern(index));
            }
        }
        for keyword in key::KEYWORDS {
            keywords.push(keyword.as_bytes().to_vec());
            owners.push(Owner::Assignment);
        }
        keywords.push(url::KEYWORD.to_vec());
        owners.push(Owner::Url);
        for literal in encoded::literals() {
            keywords.push(literal.text.clone());
            owners.push(Owner::Encoded(literal));
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(keywords)
            .map_err(|e| Error::Rules(e.to_string()))?;
        Ok(Self {
            rules: Arc::new(Rules {
                keywords,
                owners,
                patterns,
            }),
        })
    }

    /// Scans bytes that are all in memory. The path's name tells configuration from source code and prose.
    pub fn scan(&self, path: &str, bytes: &[u8]) -> Vec<Finding> {
        let mut file = self.open(path);
        file.write(bytes);
        file.finish()
    }

    fn begin(&self, path: &str, kind: FileKind, look_into_base64: bool) -> FileScan {
        FileScan {
            scanner: self.clone(),
            path: path.to_owned(),
            kind,
            look_into_base64,
            block: Vec::new(),
            examined: 0,
            lines_before: 0,
            pattern_done: vec![0; PATTERNS.len()],
            assignment_done: 0,
            found: file_kind::is_key_store(path)
                .then_some((1, "key-store-file"))
                .into_iter()
                .collect(),
        }
    }
}

impl Screen for Scanner {
    fn open(&self, path: &str) -> Box<dyn ScreenFile> {
        Box::new(self.begin(path, FileKind::of(path), true))
    }
}

impl ScreenFile for FileScan {
    fn write(&mut self, chunk: &[u8]) {
        self.feed(chunk);
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let path = self.path.clone();
        let finding = |(line, rule): (u64, &str)| Finding {
            path: path.clone(),
            line,
            rule: rule.to_owned(),
        };
        self.end().into_iter().map(finding).collect()
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("keywords", &self.rules.owners.len())
            .finish_non_exhaustive()
    }
}

/// The scan of one file, fed piece by piece.
struct FileScan {
    scanner: Scanner,
    path: String,
    kind: FileKind,
    look_into_base64: bool,
    /// What was fed and may still be looked at: at most [`BLOCK`] bytes.
    block: Vec<u8>,
    /// Keywords that begin before this place in the block have been dealt with.
    examined: usize,
    /// How many lines ended before the block.
    lines_before: u64,
    /// For each pattern, up to where in the block it has searched.
    pattern_done: Vec<usize>,
    /// Up to where in the block assignments have been read.
    assignment_done: usize,
    found: BTreeSet<(u64, &'static str)>,
}

impl FileScan {
    /// Takes the next bytes of the file.
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.found.len() < MOST_FINDINGS {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK {
                self.examine(BLOCK - AHEAD);
                self.forget();
            }
        }
    }

    /// Ends the file: what was found, by line and rule.
    fn end(mut self) -> BTreeSet<(u64, &'static str)> {
        self.examine(self.block.len());
        self.found
    }

    /// Deals with all keywords that begin in the block before `limit`.
    fn examine(&mut self, limit: usize) {
        let block = std::mem::take(&mut self.block);
        let rules = self.scanner.rules.clone();
        for hit in rules.keywords.find_overlapping_iter(&block) {
            if hit.start() < self.examined || hit.start() >= limit {
                continue;
            }
            match &rules.owners[hit.pattern().as_usize()] {
                Owner::Pattern(index) => {
                    self.search_pattern(&block, &rules.patterns[*index], *index, hit.start())
                }
                Owner::Assignment => self.read_assignment(&block, hit.start(), hit.end()),
                Owner::Url => {
                    if url::has_password(surroundings(&block, hit.start()), self.kind) {
                        self.report(&block, hit.start(), "url-with-password");
                    }
                }
                Owner::Encoded(literal) if self.look_into_base64 && literal.is_at(&block, hit.start()) => {
                    let decoded = literal.decode_around(surroundings(&block, hit.start()));
                    let mut inner = self.scanner.begin("", self.kind, false);
                    inner.feed(&decoded);
                    for (_, rule) in inner.end() {
                        self.report(&block, hit.start(), rule);
                    }
                }
                Owner::Encoded(_) => {}
            }
            if self.found.len() >= MOST_FINDINGS {
                break;
            }
        }
        self.examined = limit;
        self.block = block;
    }

    /// Drops what no rule will look at again.
    fn forget(&mut self) {
        let dropped = self.examined - BEHIND;
        self.lines_before += newlines(&self.block[..dropped]);
        self.block.drain(..dropped);
        self.examined -= dropped;
        self.assignment_done = self.assignment_done.saturating_sub(dropped);
        for done in &mut self.pattern_done {
            *done = done.saturating_sub(dropped);
        }
    }

    fn search_pattern(&mut self, block: &[u8], regex: &Regex, index: usize, hit: usize) {
        if hit < self.pattern_done[index] {
            return;
        }
        let pattern = &PATTERNS[index];
        let line = surroundings(block, hit);
        let begin = line.line_start();
        let end = match pattern.span {
            Span::Line => line.line_end(),
            Span::Lines => line.horizon(),
        };
        for found in regex.captures_iter(&block[begin..end]) {
            let Some(whole) = found.get(0) else {
                continue;
            };
            let secret = found.iter().skip(1).flatten().next().unwrap_or(whole);
            if pattern.accepts(whole.as_bytes(), secret.as_bytes(), self.kind) {
                self.report(block, begin + secret.start(), pattern.rule);
            }
        }
        // A window that stopped short of the line's end may have cut a match in two: search its second half again.
        let reached_end_of_line = block.get(end) == Some(&b'\n') && matches!(pattern.span, Span::Line);
        self.pattern_done[index] = if reached_end_of_line {
            end
        } else {
            hit + (end - hit) / 2 + 1
        };
    }

    fn read_assignment(&mut self, block: &[u8], start: usize, end: usize) {
        if start < self.assignment_done {
            return;
        }
        let read = assignment::read(surroundings(block, start), end, self.kind);
        self.assignment_done = read.key_end;
        if let Some(rule) = read.rule
            && surroundings(block, start).is_text()
        {
            self.report(block, start, rule);
        }
    }

    fn report(&mut self, block: &[u8], at: usize, rule: &'static str) {
        if self.found.len() < MOST_FINDINGS {
            self.found
                .insert((self.lines_before + newlines(&block[..at]) + 1, rule));
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// A place in a block and as much around it as rules may look at.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    block: &'a [u8],
    at: usize,
}

fn surroundings(block: &[u8], at: usize) -> Surroundings<'_> {
    Surroundings { block, at }
}

impl Surroundings<'_> {
    /// Where the line that holds the place begins, or the farthest that may be looked at.
    fn line_start(&self) -> usize {
        let from = self.at.saturating_sub(BEHIND);
        self.block[from..self.at]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(from, |newline| from + newline + 1)
    }

    /// Where the line ends, without its newline, or the farthest that may be looked at.
    fn line_end(&self) -> usize {
        let to = self.horizon();
        self.block[self.at..to]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(to, |newline| self.at + newline)
    }

    /// Whether the line looks like text around the place. Any few bytes of an image or an archive may read like an
    /// assignment, which has no form of its own as published credentials have.
    fn is_text(&self) -> bool {
        const NEAR: usize = 64;
        // A character that is cut at either end of what is looked at.
        const CUT: usize = 2;
        let from = self.line_start().max(self.at.saturating_sub(NEAR));
        let to = self.line_end().min(self.at + NEAR);
        let near = String::from_utf8_lossy(&self.block[from..to]);
        let broken = near.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count();
        broken <= CUT && !near.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\r'))
    }

    /// The farthest that may be looked at.
    fn horizon(&self) -> usize {
        self.block.len().min(self.at + AHEAD)
    }
}
