//! What to copy, from where to where, and how hard to push.

use std::path::PathBuf;

use crate::{Endpoint, Error};

/// One copy of one database.
#[derive(Clone, Debug)]
pub struct Task {
    /// Name of the copy. State on the target is kept under it: the same id resumes, another id starts anew.
    pub id: String,
    /// Read, never written.
    pub source: Endpoint,
    /// Written.
    pub target: Endpoint,
    /// Which tables take part.
    pub selection: Selection,
    /// How many streams, and index builds, run at a time.
    pub parallelism: usize,
    /// Upper bound of bytes a second read from the source, over all streams together.
    pub bandwidth_limit: Option<u64>,
    /// How the engine goes about it.
    pub tuning: Tuning,
}

/// Settings that change how fast a copy is, never what it yields.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Tables of at least twice this many bytes are copied in ranges of about this size, each a transaction of
    /// its own: several streams share the table, and an interrupted copy loses at most the ranges in flight.
    pub chunk_bytes: u64,
    /// `maintenance_work_mem` of each index build on the target, in MiB.
    pub index_memory_mib: u32,
    /// Folder with the database's client programs (`pg_dump`). Searched in the usual places if absent.
    pub client_tools: Option<PathBuf>,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            chunk_bytes: 1 << 30,
            index_memory_mib: 256,
            client_tools: None,
        }
    }
}

/// Which tables take part: everything, unless narrowed. Patterns are exact names in which `*` stands for any run
/// of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// If not empty, only tables of these schemas.
    pub include_schemas: Vec<String>,
    /// Never tables of these schemas.
    pub exclude_schemas: Vec<String>,
    /// If not empty, only these tables, as `schema.table` or, in any schema, `table`.
    pub include_tables: Vec<String>,
    /// Never these tables, as `schema.table` or, in any schema, `table`.
    pub exclude_tables: Vec<String>,
}

impl Task {
    /// A copy of a whole database with default settings.
    pub fn new(id: impl Into<String>, source: Endpoint, target: Endpoint) -> Self {
        Task {
            id: id.into(),
            source,
            target,
            selection: Selection::default(),
            parallelism: 4,
            bandwidth_limit: None,
            tuning: Tuning::default(),
        }
    }

    /// Refuses values that no engine can work with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |field: &'static str, value: String, expected: &'static str| {
            Err(Error::InvalidTask {
                task: self.id.clone(),
                field,
                value,
                expected,
            })
        };
        if self.id.is_empty() || self.id.len() > 253 {
            return invalid("id", self.id.clone(), "1 to 253 characters");
        }
        if !(1..=64).contains(&self.parallelism) {
            return invalid("parallelism", self.parallelism.to_string(), "1 to 64 streams");
        }
        if self.bandwidth_limit == Some(0) {
            return invalid(
                "bandwidth_limit",
                "0".into(),
                "at least one byte a second, or none",
            );
        }
        if self.tuning.chunk_bytes < 8192 {
            return invalid(
                "chunk_bytes",
                self.tuning.chunk_bytes.to_string(),
                "at least 8192 bytes",
            );
        }
        if !(1..=65536).contains(&self.tuning.index_memory_mib) {
            return invalid(
                "index_memory_mib",
                self.tuning.index_memory_mib.to_string(),
                "1 to 65536 MiB",
            );
        }
        Ok(())
    }
}

impl Selection {
    /// Whether a table takes part.
    pub fn includes(&self, schema: &str, table: &str) -> bool {
        let names_table =
            |pattern: &String| glob(pattern, table) || glob(pattern, &format!("{schema}.{table}"));
        let names_schema = |pattern: &String| glob(pattern, schema);
        (self.include_schemas.is_empty() || self.include_schemas.iter().any(names_schema))
            && (self.include_tables.is_empty() || self.include_tables.iter().any(names_table))
            && !self.exclude_schemas.iter().any(names_schema)
            && !self.exclude_tables.iter().any(names_table)
    }
}

/// Matches `text` against `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .any(|at| glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("users", "users", true)]
    #[case("users", "user", false)]
    #[case("user*", "users", true)]
    #[case("*", "", true)]
    #[case("*s", "users", true)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-c-b", false)]
    #[case("ü*", "über", true)]
    fn patterns(#[case] pattern: &str, #[case] text: &str, #[case] matches: bool) {
        assert_eq!(glob(pattern, text), matches);
    }

    #[rstest]
    #[case::everything(&[], &[], &[], &[], true)]
    #[case::schema(&["public"], &[], &[], &[], true)]
    #[case::other_schema(&["audit"], &[], &[], &[], false)]
    #[case::excluded_schema(&[], &["pub*"], &[], &[], false)]
    #[case::table(&[], &[], &["orders"], &[], true)]
    #[case::qualified(&[], &[], &["public.orders"], &[], true)]
    #[case::other_qualified(&[], &[], &["audit.orders"], &[], false)]
    #[case::excluded_wins(&["public"], &[], &["orders"], &["public.ord*"], false)]
    fn selections(
        #[case] include_schemas: &[&str],
        #[case] exclude_schemas: &[&str],
        #[case] include_tables: &[&str],
        #[case] exclude_tables: &[&str],
        #[case] included: bool,
    ) {
        let own = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let selection = Selection {
            include_schemas: own(include_schemas),
            exclude_schemas: own(exclude_schemas),
            include_tables: own(include_tables),
            exclude_tables: own(exclude_tables),
        };
        assert_eq!(selection.includes("public", "orders"), included);
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_with_a_part_replaced(name in "[a-zü.]{0,12}", from in 0usize..12, to in 0usize..12) {
            let chars: Vec<char> = name.chars().collect();
            let (from, to) = (from.min(to).min(chars.len()), to.max(from).min(chars.len()));
            let pattern: String =
                chars[..from].iter().chain(&['*']).chain(&chars[to..]).collect();
            prop_assert!(glob(&pattern, &name));
        }
    }
}
