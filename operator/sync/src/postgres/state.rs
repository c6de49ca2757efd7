//! What a task has done, kept in the target itself, in the schema `homeport`.
//!
//! Every step records itself in the transaction that does it, so that a killed process leaves it done and recorded
//! or neither. The tables are a few kilobytes; they stay after the copy, so that a copy that is asked for again
//! knows which rows it put there itself. Drop the schema to make the target forget.

use std::collections::HashMap;

use super::catalog::PageRange;
use super::session::Session;
use super::sql::literal;
use crate::Error;
use crate::checksum::Checksum;

/// The schema on the target that holds the state. It is never copied.
pub(super) const SCHEMA: &str = "homeport";

const READING: &str = "reading the state of earlier runs";
const RECORDING: &str = "recording the state of the copy";

/// What earlier runs of a task recorded.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether any run got as far as creating the schema.
    pub(super) began: bool,
    /// Schema objects by name: digest of the SQL that creates them, and whether they were created.
    pub(super) objects: HashMap<String, (String, bool)>,
    /// Tables by SQL name.
    pub(super) tables: HashMap<String, TableState>,
}

/// How far one table is. A table that has a state was empty, or did not exist, when the task first saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct TableState {
    /// Set once the table's rows on the target were read back and agreed.
    pub(super) verified: Option<Checksum>,
    /// Ranges that are there, with how many bytes they were.
    pub(super) chunks: Vec<(PageRange, Checksum)>,
}

impl State {
    pub(super) async fn read(target: &Session, task: &str) -> Result<State, Error> {
        let exists: bool = target
            .row(
                READING,
                &format!("SELECT pg_catalog.to_regclass('{SCHEMA}.sync_chunk') IS NOT NULL"),
                &[],
            )
            .await?
            .get(0);
        let mut state = State::default();
        if !exists {
            return Ok(state);
        }
        for row in target
            .rows(
                READING,
                "SELECT name, digest, created FROM homeport.sync_object WHERE task = $1",
                &[&task],
            )
            .await?
        {
            state.objects.insert(row.get(0), (row.get(1), row.get(2)));
        }
        for row in target
            .rows(
                READING,
                "SELECT name, rows, checksum FROM homeport.sync_table WHERE task = $1",
                &[&task],
            )
            .await?
        {
            let name: String = row.get(0);
            let verified = checksum(row.get(1), row.get(2));
            state.tables.entry(name).or_default().verified = verified;
        }
        for row in target
            .rows(
                READING,
                "SELECT name, first_page, end_page, rows, checksum FROM homeport.sync_chunk WHERE task = $1 \
                 ORDER BY name, first_page",
                &[&task],
            )
            .await?
        {
            let range = PageRange {
                first: row.get::<_, i64>(1).unsigned_abs(),
                end: row.get::<_, Option<i64>>(2).map(i64::unsigned_abs),
            };
            if let Some(checksum) = checksum(Some(row.get(3)), row.get(4)) {
                state
                    .tables
                    .entry(row.get(0))
                    .or_default()
                    .chunks
                    .push((range, checksum));
            }
        }
        state.began = !state.objects.is_empty() || !state.tables.is_empty();
        Ok(state)
    }
}

/// Under which name large objects are recorded, beside the tables.
pub(super) const LARGE_OBJECTS: &str = "large objects";

fn checksum(rows: Option<i64>, sum: Option<String>) -> Option<Checksum> {
    Checksum::from_parts(rows?.unsigned_abs(), &sum?)
}

/// Creates the state's tables. To be run in the transaction that creates the task's schema.
pub(super) fn create() -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; \
         COMMENT ON SCHEMA {SCHEMA} IS 'State of homeport''s copies into this database. May be dropped after the cutover.'; \
         CREATE TABLE IF NOT EXISTS {SCHEMA}.sync_object \
             (task text, name text, digest text NOT NULL, created boolean NOT NULL, PRIMARY KEY (task, name)); \
         CREATE TABLE IF NOT EXISTS {SCHEMA}.sync_table \
             (task text, name text, rows bigint, checksum text, PRIMARY KEY (task, name)); \
         CREATE TABLE IF NOT EXISTS {SCHEMA}.sync_chunk \
             (task text, name text, first_page bigint, end_page bigint, rows bigint NOT NULL, checksum text NOT NULL, \
              PRIMARY KEY (task, name, first_page));"
    )
}

/// Records schema objects: name, digest, whether created.
pub(super) async fn record_objects(
    target: &Session,
    task: &str,
    objects: &[(String, String, bool)],
) -> Result<(), Error> {
    let names: Vec<&str> = objects.iter().map(|(name, ..)| name.as_str()).collect();
    let digests: Vec<&str> = objects.iter().map(|(_, digest, _)| digest.as_str()).collect();
    let created: Vec<bool> = objects.iter().map(|(.., created)| *created).collect();
    target
        .execute(
            RECORDING,
            "INSERT INTO homeport.sync_object SELECT $1, * FROM unnest($2::text[], $3::text[], $4::boolean[]) \
             ON CONFLICT (task, name) DO UPDATE SET digest = excluded.digest, created = excluded.created",
            &[&task, &names, &digests, &created],
        )
        .await
        .map(drop)
}

/// SQL that marks an object as created, or as no longer there.
pub(super) fn mark_object(task: &str, name: &str, created: bool) -> String {
    format!(
        "UPDATE {SCHEMA}.sync_object SET created = {created} WHERE task = {} AND name = {};",
        literal(task),
        literal(name)
    )
}

/// Claims tables that are empty or do not exist yet: rows in them will be the task's own.
pub(super) async fn claim_tables(target: &Session, task: &str, tables: &[String]) -> Result<(), Error> {
    target
        .execute(
            RECORDING,
            "INSERT INTO homeport.sync_table (task, name) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
            &[&task, &tables],
        )
        .await
        .map(drop)
}

/// Records what a table holds, or with none that it holds nothing that counts.
pub(super) async fn record_table(
    target: &Session,
    task: &str,
    table: &str,
    verified: Option<Checksum>,
) -> Result<(), Error> {
    let rows = verified.map(|checksum| checksum.rows() as i64);
    let sum = verified.map(|checksum| checksum.to_string());
    target
        .execute(
            RECORDING,
            "INSERT INTO homeport.sync_table VALUES ($1, $2, $3, $4) \
             ON CONFLICT (task, name) DO UPDATE SET rows = excluded.rows, checksum = excluded.checksum",
            &[&task, &table, &rows, &sum],
        )
        .await
        .map(drop)
}

/// What a table is recorded to hold, as the session's transaction sees it: a commit whose answer was lost is found.
pub(super) async fn recorded_table(
    target: &Session,
    task: &str,
    table: &str,
) -> Result<Option<Checksum>, Error> {
    let sql = "SELECT rows, checksum FROM homeport.sync_table WHERE task = $1 AND name = $2";
    let rows = target.rows(READING, sql, &[&task, &table]).await?;
    Ok(rows.first().and_then(|row| checksum(row.get(0), row.get(1))))
}

/// What a range is recorded to hold, like [`recorded_table`].
pub(super) async fn recorded_chunk(
    target: &Session,
    task: &str,
    table: &str,
    range: PageRange,
) -> Result<Option<Checksum>, Error> {
    let sql =
        "SELECT rows, checksum FROM homeport.sync_chunk WHERE task = $1 AND name = $2 AND first_page = $3";
    let rows = target
        .rows(READING, sql, &[&task, &table, &(range.first as i64)])
        .await?;
    Ok(rows.first().and_then(|row| checksum(row.get(0), row.get(1))))
}

/// What all recorded ranges of a table hold together, like [`recorded_table`].
pub(super) async fn recorded_chunks(target: &Session, task: &str, table: &str) -> Result<Checksum, Error> {
    let sql = "SELECT rows, checksum FROM homeport.sync_chunk WHERE task = $1 AND name = $2";
    let rows = target.rows(READING, sql, &[&task, &table]).await?;
    let mut sum = Checksum::default();
    for chunk in rows.iter().filter_map(|row| checksum(row.get(0), row.get(1))) {
        sum += chunk;
    }
    Ok(sum)
}

/// Records a range of a table.
pub(super) async fn record_chunk(
    target: &Session,
    task: &str,
    table: &str,
    range: PageRange,
    checksum: Checksum,
) -> Result<(), Error> {
    target
        .execute(
            RECORDING,
            "INSERT INTO homeport.sync_chunk VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &task,
                &table,
                &(range.first as i64),
                &range.end.map(|end| end as i64),
                &(checksum.rows() as i64),
                &checksum.to_string(),
            ],
        )
        .await
        .map(drop)
}

/// Forgets a table's ranges.
pub(super) async fn forget_chunks(target: &Session, task: &str, table: &str) -> Result<(), Error> {
    target
        .execute(
            RECORDING,
            "DELETE FROM homeport.sync_chunk WHERE task = $1 AND name = $2",
            &[&task, &table],
        )
        .await
        .map(drop)
}
