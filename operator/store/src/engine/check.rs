//! Checking a state file: what SQLite can tell, and what the log must fulfil to be replayed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;

use super::Key;
use super::entry::{self, Entry};
use super::format::{self, mark};
use crate::Error;

/// Findings of a kind that are listed; of more there is only the number.
const LISTED: usize = 100;

/// What a state file holds, and what is wrong with it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// The version of its format.
    pub format: i64,
    /// Rows of the log, superseded ones among them.
    pub rows: u64,
    /// The revision of the last change in it; 0 if there is none.
    pub revision: u64,
    /// No revision beyond this has ever been shown to anyone.
    pub reserved: u64,
    /// Changes up to this revision can no longer be followed.
    pub floor: u64,
    /// Objects, by resource: `plural` or `plural.group`.
    pub objects: BTreeMap<String, u64>,
    /// How many problems there are. A file with problems should be replaced by a backup.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Finding>,
    /// What is worth knowing and is no damage.
    pub warnings: Vec<Finding>,
}

/// Something that [`check`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The row, if it is about one.
    pub revision: Option<u64>,
    /// What is found there.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.revision {
            Some(revision) => write!(f, "revision {revision}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Checks the state file or backup at `path` as of one moment; it may be in use.
///
/// # Errors
/// Where there is nothing that could be checked: [`Error::Io`], [`Error::NotAStore`], [`Error::NewerSchema`],
/// [`Error::Locked`], or [`Error::Database`] if the file cannot even be read.
pub fn check(path: &Path) -> Result<Report, Error> {
    let (connection, format) = format::open_read_only(path)?;
    let fail = |error| format::classify(&path.display().to_string(), error);
    // All that follows sees one snapshot.
    connection.execute_batch("BEGIN").map_err(fail)?;
    let mut report = Report {
        file: path.to_owned(),
        format,
        rows: 0,
        revision: 0,
        reserved: 0,
        floor: 0,
        objects: BTreeMap::new(),
        problem_count: 0,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    for problem in integrity(&connection).map_err(fail)? {
        report.problem(None, format!("SQLite: {problem}"));
    }
    if let Err(error) = report.read_log(&connection) {
        report.problem(None, format!("the log cannot be read to its end: {error}"));
    }
    Ok(report)
}

/// What SQLite has to say about the file's structure.
fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = lines.collect::<rusqlite::Result<Vec<_>>>()?;
    problems.retain(|line| line != "ok");
    Ok(problems)
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, revision: Option<u64>, what: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < LISTED {
            let what = what.into();
            self.problems.push(Finding { revision, what });
        }
    }

    fn warn(&mut self, revision: u64, what: String) {
        if self.warnings.len() < LISTED {
            let revision = Some(revision);
            self.warnings.push(Finding { revision, what });
        }
    }

    fn read_log(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.reserved = mark(connection, "reserved")?;
        self.floor = mark(connection, "floor")?;
        let mut live = Live::default();
        let mut statement = connection.prepare(entry::SELECT)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.rows += 1;
            match entry::read(row)? {
                Ok(entry) => self.entry(&entry, &mut live),
                Err(unreadable) => self.problem(Some(unreadable.revision), unreadable.what),
            }
        }
        if self.revision > self.reserved {
            let what = format!(
                "the mark of revisions ever used is at {}, behind the last revision: it would be used twice",
                self.reserved
            );
            self.problem(Some(self.revision), what);
        }
        if self.floor > self.reserved {
            let what = format!(
                "history is said to begin after {}, a revision that was never used",
                self.floor
            );
            self.problem(None, what);
        }
        for (key, object) in live.objects {
            if let Some(other) = live.by_uid.get(&object.uid).filter(|other| **other != key) {
                let what = format!("{key} has the uid {} of {other}", object.uid);
                self.problem(Some(object.revision), what);
            }
            *self.objects.entry(key.resource_name()).or_default() += 1;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>, live: &mut Live) {
        let Entry { revision, key, .. } = entry;
        if *revision <= self.revision {
            let what = format!("the change of {key} is not after the one before it");
            self.problem(Some(*revision), what);
        }
        self.revision = self.revision.max(*revision);
        if let Some(levels) = entry.too_deep() {
            let what =
                format!("{key} is nested {levels} levels deep: it is kept in the file, but not served");
            self.warn(*revision, what);
            return;
        }
        let object = &match entry::parse(entry.json) {
            Ok(object) => object,
            Err(error) => {
                self.problem(Some(*revision), format!("the object is not JSON: {error}"));
                return;
            }
        };
        // What left the file for memory ends with a deletion that tells nothing of it.
        if !(entry.deletion && object.is_null()) {
            for what in contradictions(key, *revision, object) {
                self.problem(Some(*revision), format!("{key}: {what}"));
            }
        }
        if let Some(before) = live.remove(key) {
            let uid = text(&object["metadata"]["uid"]);
            if !entry.deletion && before.uid != uid {
                let what = format!(
                    "{key} changed its uid from {} to {uid} without a deletion",
                    before.uid
                );
                self.problem(Some(*revision), what);
            }
        }
        if !entry.deletion {
            let levels = super::writer::depth(object);
            live.insert(key, *revision, text(&object["metadata"]["uid"]));
            if levels > super::MAX_DEPTH {
                let what = format!(
                    "{key} is nested {levels} levels deep, as earlier versions allowed: some clients cannot read \
                     it; make it flatter, or delete it"
                );
                self.warn(*revision, what);
            }
        }
    }
}

/// The objects there are after the rows read so far.
#[derive(Default)]
struct Live {
    objects: HashMap<Key, Known>,
    by_uid: HashMap<String, Key>,
}

struct Known {
    revision: u64,
    uid: String,
}

impl Live {
    fn remove(&mut self, key: &Key) -> Option<Known> {
        let known = self.objects.remove(key)?;
        if self.by_uid.get(&known.uid) == Some(key) {
            self.by_uid.remove(&known.uid);
        }
        Some(known)
    }

    fn insert(&mut self, key: &Key, revision: u64, uid: &str) {
        // Who had a uid first keeps it; the other is reported.
        self.by_uid.entry(uid.to_owned()).or_insert_with(|| key.clone());
        let uid = uid.to_owned();
        self.objects.insert(key.clone(), Known { revision, uid });
    }
}

/// Where an object says something else of itself than its row does.
fn contradictions(key: &Key, revision: u64, object: &Value) -> Vec<String> {
    let metadata = &object["metadata"];
    let group = match text(&object["apiVersion"]).split_once('/') {
        Some((group, _)) => group,
        None => "",
    };
    let stored_group = key.resource.split('/').next().unwrap_or("");
    let revision = revision.to_string();
    let claims = [
        ("group", group, stored_group),
        ("namespace", text(&metadata["namespace"]), &key.namespace),
        ("name", text(&metadata["name"]), &key.name),
        ("resourceVersion", text(&metadata["resourceVersion"]), &revision),
    ];
    let mut found: Vec<String> = claims
        .into_iter()
        .filter(|(_, said, stored)| said != stored)
        .map(|(what, said, stored)| format!("its {what} says {said:?} where the row says {stored:?}"))
        .collect();
    for (what, value) in [("kind", &object["kind"]), ("uid", &metadata["uid"])] {
        if text(value).is_empty() {
            found.push(format!("it has no {what}"));
        }
    }
    if &*key.resource == "/secrets" && object["type"] != super::RELEASE_SECRET {
        found.push(format!(
            "a Secret of type {} must not be in the file",
            object["type"]
        ));
    }
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
