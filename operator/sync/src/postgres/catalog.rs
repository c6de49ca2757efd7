//! What the source holds, from its system catalogs.

use std::collections::{HashMap, HashSet};

use super::format::{Format, Types};
use super::session::Session;
use super::sql::{ident, qualified};
use super::state::SCHEMA;
use crate::{Error, Selection};

/// A table with rows of its own: ordinary tables and the leaves of partitioned ones.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) table: String,
    /// Columns that hold data: name and type, in order. Generated ones are computed by the target.
    pub(super) columns: Vec<Column>,
    /// For a configuration table of an extension: the condition that picks the user's rows among the extension's.
    pub(super) filter: Option<String>,
    pub(super) format: Format,
    /// Estimates of the server.
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// Length of the main fork in pages.
    pub(super) pages: u64,
    pub(super) is_partition: bool,
}

/// A column as `pg_attribute` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) type_oid: u32,
}

/// Pages `first..end` of a table; without an end, all from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRange {
    pub(super) first: u64,
    pub(super) end: Option<u64>,
}

impl Table {
    /// `schema.table`, as people read it.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    pub(super) fn sql_name(&self) -> String {
        qualified(&self.schema, &self.table)
    }

    fn column_list(&self) -> String {
        self.columns
            .iter()
            .map(|column| ident(&column.name))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Reads the table's own rows (not its children's), or those in a range of pages.
    pub(super) fn copy_out(&self, range: Option<PageRange>) -> String {
        let condition = match (range, &self.filter) {
            (Some(PageRange { first, end }), _) => {
                let upper = end.map_or(String::new(), |end| format!(" AND ctid < '({end},0)'"));
                format!(" WHERE ctid >= '({first},0)'{upper}")
            }
            (None, Some(filter)) => format!(" {filter}"),
            (None, None) if !self.columns.is_empty() => {
                return format!(
                    "COPY {} ({}) TO STDOUT ({})",
                    self.sql_name(),
                    self.column_list(),
                    self.format.option()
                );
            }
            (None, None) => String::new(),
        };
        format!(
            "COPY (SELECT {} FROM ONLY {}{condition}) TO STDOUT ({})",
            self.column_list(),
            self.sql_name(),
            self.format.option()
        )
    }

    /// Writes rows. `freeze` is for a table that the same transaction emptied: its rows are visible to all as soon
    /// as it commits and no later scan has to mark them so.
    pub(super) fn copy_in(&self, freeze: bool) -> String {
        let columns = if self.columns.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.column_list())
        };
        let freeze = if freeze { ", FREEZE" } else { "" };
        format!(
            "COPY {}{columns} FROM STDIN ({}{freeze})",
            self.sql_name(),
            self.format.option()
        )
    }

    /// A query for whether the target's table holds rows that would be in the way.
    pub(super) fn any_row(&self) -> String {
        let filter = self.filter.as_deref().unwrap_or_default();
        format!("SELECT EXISTS (SELECT FROM ONLY {} {filter})", self.sql_name())
    }

    /// The ranges in which the table is copied: one unless it is big.
    pub(super) fn chunks(&self, chunk_bytes: u64, source_major: u32) -> Vec<PageRange> {
        const PAGE: u64 = 8192;
        // Before version 14 a range of pages is found by reading the whole table.
        let splits = self.filter.is_none()
            && source_major >= 14
            && self.bytes >= chunk_bytes.saturating_mul(2)
            && self.pages > 1;
        if !splits {
            return Vec::new();
        }
        // Values kept out of line count as bytes of the pages that point to them.
        let bytes_per_page = (self.bytes / self.pages).max(PAGE);
        let step = (chunk_bytes / bytes_per_page).max(1);
        let mut ranges: Vec<PageRange> = (0..self.pages.div_ceil(step))
            .map(|index| PageRange {
                first: index * step,
                end: Some((index + 1) * step),
            })
            .collect();
        // Pages added while others are copied hold nothing that the snapshot sees, except if the estimate was old.
        if let Some(last) = ranges.last_mut() {
            last.end = None;
        }
        ranges
    }
}

/// Everything of the source that a copy needs to know beside its schema.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Biggest first.
    pub(super) tables: Vec<Table>,
    /// Tables, partitioned tables and foreign tables that the selection leaves out.
    pub(super) excluded: HashSet<u32>,
    /// Those whose values are copied.
    pub(super) sequences: Vec<Sequence>,
    /// Partitioned tables that are not partitions themselves, as SQL names them. Nothing else analyzes them.
    pub(super) partitioned: Vec<String>,
    /// OIDs of materialized views that hold rows.
    pub(super) populated_views: HashSet<u32>,
    pub(super) relations: Relations,
    pub(super) extensions: Vec<String>,
    pub(super) large_objects: u64,
    pub(super) warnings: Vec<String>,
}

/// A sequence of the source.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    pub(super) schema: String,
    pub(super) name: String,
    /// OIDs of the relations that own it or have it in a column's default.
    pub(super) users: Vec<u32>,
}

/// Which relations indexes and constraints belong to, by OID.
#[derive(Debug, Default)]
pub(super) struct Relations {
    pub(super) of_indexes: HashMap<u32, u32>,
    /// The relation, and for a foreign key the one that it points to.
    pub(super) of_constraints: HashMap<u32, (u32, u32)>,
}

impl Relations {
    async fn read(source: &Session) -> Result<Relations, Error> {
        let indexes = source
            .rows(
                READING,
                "SELECT indexrelid, indrelid FROM pg_catalog.pg_index",
                &[],
            )
            .await?;
        let constraints = source
            .rows(
                READING,
                "SELECT oid, conrelid, confrelid FROM pg_catalog.pg_constraint",
                &[],
            )
            .await?;
        Ok(Relations {
            of_indexes: indexes.iter().map(|row| (row.get(0), row.get(1))).collect(),
            of_constraints: constraints
                .iter()
                .map(|row| (row.get(0), (row.get(1), row.get(2))))
                .collect(),
        })
    }
}

/// Schemas that belong to the server or to homeport.
fn own_schema_condition() -> String {
    format!(
        "n.nspname <> 'information_schema' AND n.nspname <> '{SCHEMA}' AND n.nspname !~ '^pg_' \
         AND c.relpersistence <> 't'"
    )
}

const READING: &str = "reading the catalogs";

impl Catalog {
    pub(super) async fn read(
        source: &Session,
        selection: &Selection,
        same_major: bool,
    ) -> Result<Catalog, Error> {
        let mut warnings = Vec::new();
        let relations = relations(source).await?;
        let mut included = HashSet::new();
        let mut excluded = HashSet::new();
        let mut selected = Vec::new();
        let mut partitioned = Vec::new();
        for relation in relations {
            let takes_part = selection.includes(&relation.schema, &relation.table)
                || relation
                    .ancestors
                    .iter()
                    .any(|(schema, table)| selection.includes(schema, table));
            if !takes_part {
                excluded.insert(relation.oid);
                continue;
            }
            included.insert(relation.oid);
            if relation.kind == 'p' {
                if relation.ancestors.is_empty() {
                    partitioned.push(qualified(&relation.schema, &relation.table));
                }
            } else if relation.kind == 'f' {
                warnings.push(format!(
                    "{}.{} is a foreign table: its definition is copied, its rows stay where they are",
                    relation.schema, relation.table
                ));
            } else if relation.kind == 'r' && relation.extension_condition != Some(None) {
                selected.push(relation);
            }
        }
        let types = Types::read(source).await?;
        let mut columns = columns(
            source,
            &selected.iter().map(|relation| relation.oid).collect::<Vec<_>>(),
        )
        .await?;
        let tables = selected
            .into_iter()
            .map(|relation| {
                let columns = columns.remove(&relation.oid).unwrap_or_default();
                Table {
                    oid: relation.oid,
                    schema: relation.schema,
                    table: relation.table,
                    format: types.format(&columns, same_major),
                    columns,
                    filter: relation.extension_condition.flatten(),
                    bytes: relation.bytes,
                    rows: relation.rows,
                    pages: relation.pages,
                    is_partition: !relation.ancestors.is_empty(),
                }
            })
            .collect();
        let mut sequences = sequences(source).await?;
        if *selection != Selection::default() {
            let unattached: Vec<String> = sequences
                .iter()
                .filter(|sequence| sequence.users.is_empty())
                .map(|sequence| format!("{}.{}", sequence.schema, sequence.name))
                .collect();
            if !unattached.is_empty() {
                warnings.push(format!(
                    "the values of sequences that no table owns or has in a column's default are left out, because \
                     the task takes only some tables: {}",
                    unattached.join(", ")
                ));
            }
            // The others may be ahead of the source's: the target's application may already use their tables.
            sequences.retain(|sequence| sequence.users.iter().any(|user| included.contains(user)));
        }
        Ok(Catalog {
            tables,
            excluded,
            sequences,
            partitioned,
            populated_views: oids(
                source,
                "SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'm' AND relispopulated",
            )
            .await?
            .into_iter()
            .collect(),
            relations: Relations::read(source).await?,
            extensions: source
                .rows(
                    READING,
                    "SELECT extname::text FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1",
                    &[],
                )
                .await?
                .iter()
                .map(|row| row.get(0))
                .collect(),
            large_objects: source
                .row(
                    READING,
                    "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata",
                    &[],
                )
                .await?
                .get::<_, i64>(0)
                .unsigned_abs(),
            warnings,
        })
    }
}

/// A row of `pg_class`.
struct Relation {
    oid: u32,
    schema: String,
    table: String,
    kind: char,
    bytes: u64,
    rows: u64,
    pages: u64,
    /// Set for an extension's own table; the inner value is set if users may add rows to it.
    extension_condition: Option<Option<String>>,
    /// Schema and name of the partitioned tables above it.
    ancestors: Vec<(String, String)>,
}

async fn relations(source: &Session) -> Result<Vec<Relation>, Error> {
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
                coalesce(pg_catalog.pg_table_size(c.oid), 0), greatest(c.reltuples, 0)::float8, \
                coalesce(pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int8, 0), \
                e.oid IS NOT NULL, \
                CASE WHEN c.oid = ANY (e.extconfig) \
                     THEN coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '') END, \
                ARRAY(SELECT an.nspname::text FROM pg_catalog.pg_partition_ancestors(c.oid) a (relid) \
                      JOIN pg_catalog.pg_class ac ON ac.oid = a.relid \
                      JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace \
                      WHERE a.relid <> c.oid ORDER BY a.relid::oid), \
                ARRAY(SELECT ac.relname::text FROM pg_catalog.pg_partition_ancestors(c.oid) a (relid) \
                      JOIN pg_catalog.pg_class ac ON ac.oid = a.relid \
                      WHERE a.relid <> c.oid ORDER BY a.relid::oid) \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                                         AND d.objsubid = 0 AND d.deptype = 'e' \
         LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
         WHERE c.relkind IN ('r', 'p', 'f') AND {} \
         ORDER BY 5 DESC, c.oid",
        own_schema_condition()
    );
    let rows = source.rows(READING, &sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let of_extension: bool = row.get(7);
            let schemas: Vec<String> = row.get(9);
            let names: Vec<String> = row.get(10);
            Relation {
                oid: row.get(0),
                schema: row.get(1),
                table: row.get(2),
                kind: row.get::<_, String>(3).chars().next().unwrap_or('r'),
                bytes: row.get::<_, i64>(4).unsigned_abs(),
                rows: row.get::<_, f64>(5) as u64,
                pages: row.get::<_, i64>(6).unsigned_abs(),
                extension_condition: of_extension.then(|| row.get::<_, Option<String>>(8)),
                ancestors: schemas.into_iter().zip(names).collect(),
            }
        })
        .collect())
}

/// The columns with data of the relations with these OIDs.
async fn columns(session: &Session, relations: &[u32]) -> Result<HashMap<u32, Vec<Column>>, Error> {
    let rows = session
        .rows(
            READING,
            "SELECT attrelid, attname::text, pg_catalog.format_type(atttypid, atttypmod), atttypid \
             FROM pg_catalog.pg_attribute \
             WHERE attrelid = ANY ($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' \
             ORDER BY attrelid, attnum",
            &[&relations],
        )
        .await?;
    let mut columns: HashMap<u32, Vec<Column>> = HashMap::new();
    for row in &rows {
        columns.entry(row.get(0)).or_default().push(Column {
            name: row.get(1),
            type_name: row.get(2),
            type_oid: row.get(3),
        });
    }
    Ok(columns)
}

/// The columns with data that the target has for each of `tables`; none for a table that it does not have.
pub(super) async fn target_columns(
    target: &Session,
    tables: &[Table],
) -> Result<Vec<Option<Vec<Column>>>, Error> {
    let names: Vec<String> = tables.iter().map(Table::sql_name).collect();
    let rows = target
        .rows(
            READING,
            "SELECT pg_catalog.to_regclass(name)::oid FROM unnest($1::text[]) WITH ORDINALITY AS t (name, at) ORDER BY at",
            &[&names],
        )
        .await?;
    let oids: Vec<Option<u32>> = rows.iter().map(|row| row.get(0)).collect();
    let mut found = columns(target, &oids.iter().flatten().copied().collect::<Vec<_>>()).await?;
    Ok(oids
        .into_iter()
        .map(|oid| oid.map(|oid| found.remove(&oid).unwrap_or_default()))
        .collect())
}

async fn sequences(source: &Session) -> Result<Vec<Sequence>, Error> {
    // A serial column's sequence depends on the column automatically, an identity column's internally; a sequence
    // that was made by itself is known by the default that depends on it.
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, \
                ARRAY(SELECT d.refobjid FROM pg_catalog.pg_depend d \
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') \
                      UNION \
                      SELECT a.adrelid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid \
                      WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass \
                        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid) \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'S' AND {} ORDER BY 1, 2",
        own_schema_condition()
    );
    Ok(source
        .rows(READING, &sql, &[])
        .await?
        .iter()
        .map(|row| Sequence {
            schema: row.get(0),
            name: row.get(1),
            users: row.get(2),
        })
        .collect())
}

async fn oids(source: &Session, sql: &str) -> Result<Vec<u32>, Error> {
    Ok(source
        .rows(READING, sql, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn table(columns: &[&str], filter: Option<&str>) -> Table {
        Table {
            oid: 1,
            schema: "Sales".into(),
            table: "or\"ders".into(),
            columns: columns
                .iter()
                .map(|name| Column {
                    name: name.to_string(),
                    type_name: "integer".into(),
                    type_oid: 23,
                })
                .collect(),
            filter: filter.map(str::to_owned),
            format: Format::Binary,
            bytes: 0,
            rows: 0,
            pages: 0,
            is_partition: false,
        }
    }

    #[rstest]
    #[case(&["a", "b"], None, None, r#"COPY "Sales"."or""ders" ("a", "b") TO STDOUT (FORMAT binary)"#)]
    #[case(&[], None, None, r#"COPY (SELECT  FROM ONLY "Sales"."or""ders") TO STDOUT (FORMAT binary)"#)]
    #[case(&["a"], Some("WHERE a > 1"), None,
           r#"COPY (SELECT "a" FROM ONLY "Sales"."or""ders" WHERE a > 1) TO STDOUT (FORMAT binary)"#)]
    #[case(&["a"], None, Some(PageRange { first: 3, end: Some(5) }),
           r#"COPY (SELECT "a" FROM ONLY "Sales"."or""ders" WHERE ctid >= '(3,0)' AND ctid < '(5,0)') TO STDOUT (FORMAT binary)"#)]
    #[case(&["a"], None, Some(PageRange { first: 5, end: None }),
           r#"COPY (SELECT "a" FROM ONLY "Sales"."or""ders" WHERE ctid >= '(5,0)') TO STDOUT (FORMAT binary)"#)]
    fn reading(
        #[case] columns: &[&str],
        #[case] filter: Option<&str>,
        #[case] range: Option<PageRange>,
        #[case] sql: &str,
    ) {
        assert_eq!(table(columns, filter).copy_out(range), sql);
    }

    proptest! {
        #[test]
        fn chunks_cover_every_page_once(bytes in 0u64..1 << 40, pages in 0u64..1 << 20, chunk in 8192u64..1 << 32) {
            let table = Table { bytes, pages, ..table(&["a"], None) };
            let chunks = table.chunks(chunk, 15);
            if chunks.is_empty() {
                prop_assert!(bytes < 2 * chunk || pages < 2);
            } else {
                prop_assert_eq!(chunks[0].first, 0);
                prop_assert_eq!(chunks[chunks.len() - 1].end, None);
                for pair in chunks.windows(2) {
                    prop_assert_eq!(pair[0].end, Some(pair[1].first));
                    prop_assert!(pair[0].first < pair[1].first);
                }
            }
            prop_assert!(table.chunks(chunk, 13).is_empty());
        }
    }
}
