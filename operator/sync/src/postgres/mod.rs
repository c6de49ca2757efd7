//! The PostgreSQL engine: opening both sides, looking at them, and the order of a copy's steps.

mod archive;
mod catalog;
mod compare;
mod foreign_keys;
mod format;
mod jobs;
mod large_objects;
mod load;
mod pg_dump;
mod rows;
mod schema;
mod session;
mod sql;
mod state;
mod tap;
mod tls;
mod write_mark;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::catalog::{Catalog, Column, Sequence, Table};
use self::compare::Comparison;
use self::format::Format;
use self::load::Copy;
use self::schema::{Roles, Schema};
use self::session::Session;
use self::sql::{literal, qualified};
use self::state::State;
use crate::progress::Meter;
use crate::{Engine, Error, Phase, Plan, PlannedTable, Progress, Report, Selection, Side, Task, Verdict};

pub use self::write_mark::write_mark;

/// Copies one PostgreSQL database into another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

#[async_trait]
impl Engine for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn plan(&self, task: &Task, cancel: &CancellationToken) -> Result<Plan, Error> {
        unless_cancelled(cancel, async {
            task.check()?;
            let sides = Sides::open(task).await?;
            let survey = sides.survey(task).await?;
            Ok(survey.plan(task, &sides))
        })
        .await
    }

    async fn copy(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Report, Error> {
        task.check()?;
        watched(progress, cancel, |meter| async move {
            retrying(&meter, || copy_once(task, Arc::clone(&meter))).await
        })
        .await
    }

    async fn verify(
        &self,
        task: &Task,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Verdict>, Error> {
        task.check()?;
        watched(progress, cancel, |meter| async move {
            retrying(&meter, || verify_once(task, Arc::clone(&meter))).await
        })
        .await
    }
}

/// Ends `work` early, by dropping it, when the caller asks to stop: its connections close and the servers undo
/// what was not committed.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        outcome = work => outcome,
    }
}

/// Runs `work` with a meter whose figures go to the caller.
async fn watched<T, F: Future<Output = Result<T, Error>>>(
    progress: &watch::Sender<Progress>,
    cancel: &CancellationToken,
    work: impl FnOnce(Arc<Meter>) -> F,
) -> Result<T, Error> {
    let meter = Arc::new(Meter::default());
    let reporting = Arc::clone(&meter).report(progress);
    let outcome = unless_cancelled(cancel, async {
        tokio::select! {
            outcome = work(Arc::clone(&meter)) => outcome,
            never = reporting => match never {},
        }
    })
    .await;
    meter.publish(progress);
    outcome
}

/// Delays between tries, with jitter: about half a minute altogether.
fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(7)
        .with_jitter()
        .build()
}

/// Tries `work` again while its errors are transient.
async fn retrying<T, F: Future<Output = Result<T, Error>>>(
    meter: &Meter,
    mut work: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut delays = backoff();
    loop {
        match work().await {
            Err(error) if error.is_transient() => {
                let Some(delay) = delays.next() else {
                    return Err(error);
                };
                warn!(%error, ?delay, "trying again");
                meter.retried();
                tokio::time::sleep(delay).await;
            }
            outcome => return outcome,
        }
    }
}

/// What sessions of a task are called in the servers' lists of sessions.
fn application(task: &Task) -> String {
    // Servers cut names off after 63 bytes.
    format!(
        "homeport sync {}",
        hex::encode(&Sha256::digest(task.id.as_bytes())[..8])
    )
}

fn lock_key(task: &Task, purpose: &str) -> i64 {
    let digest = Sha256::digest(format!("homeport {purpose} {}", task.id).as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0i64, |key, byte| (key << 8) | i64::from(*byte))
}

/// Both sides, the source at an exported snapshot that lasts as long as this.
struct Sides {
    source: Session,
    target: Session,
    snapshot: String,
    lsn: String,
}

impl Sides {
    async fn open(task: &Task) -> Result<Sides, Error> {
        let application = application(task);
        let source = Session::open(&task.source, Side::Source, &application).await?;
        let target = Session::open(&task.target, Side::Target, &application).await?;
        refuse_same_database(task, &source, &target).await?;
        // The position is read before the snapshot is taken: everything up to it is in the snapshot.
        let lsn = source
            .row(
                "reading the write-ahead-log position",
                "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
                        ELSE pg_catalog.pg_current_wal_lsn() END::text",
                &[],
            )
            .await?
            .get(0);
        let snapshot = export_snapshot(&source).await?;
        Ok(Sides {
            source,
            target,
            snapshot,
            lsn,
        })
    }

    /// Makes sure that nobody else works on this task, and that nobody does so any more.
    async fn lock(&self, task: &Task) -> Result<(), Error> {
        let locking = "taking the task's lock";
        let key = lock_key(task, "task");
        let got: bool = self
            .target
            .row(locking, "SELECT pg_catalog.pg_try_advisory_lock($1)", &[&key])
            .await?
            .get(0);
        if !got {
            return Err(Error::Busy {
                task: task.id.clone(),
                target: self.target.endpoint().to_owned(),
            });
        }
        self.end_leftovers(task).await
    }

    /// A killed process leaves behind sessions that still build an index, say, and would commit it.
    async fn end_leftovers(&self, task: &Task) -> Result<(), Error> {
        const TRIES: u32 = 100;
        for _ in 0..TRIES {
            let left: i64 = self
                .target
                .row(
                    "ending sessions of an earlier run",
                    "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
                     WHERE application_name = $1 AND datname = current_database() AND usename = current_user \
                       AND pid <> pg_catalog.pg_backend_pid()",
                    &[&application(task)],
                )
                .await?
                .get(0);
            if left == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Error::Busy {
            task: task.id.clone(),
            target: self.target.endpoint().to_owned(),
        })
    }

    /// Looks at both sides and refuses what a copy could not finish, without writing anything.
    async fn survey(&self, task: &Task) -> Result<Survey, Error> {
        let same_major = self.source.version().major == self.target.version().major;
        let mut catalog = Catalog::read(&self.source, &task.selection, same_major).await?;
        self.refuse_missing_extensions(&catalog).await?;
        let entries = pg_dump::schema(task, self.source.version(), &self.snapshot).await?;
        let schema = schema::arrange(entries, &catalog);
        // A table whose parent was left out is left out with it.
        catalog
            .tables
            .retain(|table| schema.tables.contains(&table.oid) || table.filter.is_some());
        let mut state = State::read(&self.target, &task.id).await?;
        let changed = schema::changed(&schema, &state);
        if !changed.is_empty() {
            return Err(Error::SchemaChanged {
                target: self.target.endpoint().to_owned(),
                objects: changed,
            });
        }
        let on_target = catalog::target_columns(&self.target, &catalog.tables).await?;
        self.refuse_different_tables(&catalog.tables, &on_target)?;
        self.refuse_foreign_rows(&catalog, &on_target, &mut state).await?;
        let mut warnings = std::mem::take(&mut catalog.warnings);
        warnings.extend(schema.warnings.iter().cloned());
        if self.target.version().major < self.source.version().major {
            warnings.push(format!(
                "the target runs PostgreSQL {}, older than the source's {}: it may not know all that the schema uses",
                self.target.version().text,
                self.source.version().text
            ));
        }
        if catalog.large_objects > 0 && !copies_large_objects(&task.selection) {
            warnings.push("large objects are left out, because the task takes only some tables".into());
        }
        Ok(Survey {
            catalog,
            schema,
            state,
            warnings,
        })
    }

    async fn refuse_missing_extensions(&self, catalog: &Catalog) -> Result<(), Error> {
        let available: HashSet<String> = self
            .target
            .rows(
                "listing extensions",
                "SELECT name::text FROM pg_catalog.pg_available_extensions",
                &[],
            )
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let extensions: Vec<String> = catalog
            .extensions
            .iter()
            .filter(|name| !available.contains(*name))
            .cloned()
            .collect();
        if extensions.is_empty() {
            return Ok(());
        }
        Err(Error::ExtensionsMissing {
            target: self.target.endpoint().to_owned(),
            extensions,
        })
    }

    fn refuse_different_tables(
        &self,
        tables: &[Table],
        on_target: &[Option<Vec<Column>>],
    ) -> Result<(), Error> {
        for (table, columns) in tables.iter().zip(on_target) {
            if let Some(difference) = columns
                .as_ref()
                .and_then(|columns| difference(&table.columns, columns))
            {
                return Err(Error::TargetDiffers {
                    target: self.target.endpoint().to_owned(),
                    table: table.name(),
                    difference,
                });
            }
        }
        Ok(())
    }

    /// Refuses tables with rows that the task cannot have put there. A table that somebody emptied is begun anew.
    async fn refuse_foreign_rows(
        &self,
        catalog: &Catalog,
        on_target: &[Option<Vec<Column>>],
        state: &mut State,
    ) -> Result<(), Error> {
        let mut occupied = Vec::new();
        for (table, _) in catalog
            .tables
            .iter()
            .zip(on_target)
            .filter(|(_, columns)| columns.is_some())
        {
            let action = format!("looking for rows in {}", table.name());
            let any: bool = self.target.row(&action, &table.any_row(), &[]).await?.get(0);
            let Some(known) = state.tables.get_mut(&table.sql_name()) else {
                if any {
                    occupied.push(table.name());
                }
                continue;
            };
            let had_rows = known.verified.is_none_or(|checksum| checksum.rows() > 0);
            if !any && had_rows {
                *known = state::TableState::default();
            } else if known.verified.is_none() {
                let ours: u64 = known.chunks.iter().map(|(_, checksum)| checksum.rows()).sum();
                let count = format!("SELECT count(*) FROM ONLY {}", table.sql_name());
                let rows: i64 = self.target.row(&action, &count, &[]).await?.get(0);
                if ours != rows.unsigned_abs() {
                    occupied.push(table.name());
                }
            }
        }
        if occupied.is_empty() {
            return Ok(());
        }
        occupied.sort();
        Err(Error::TargetNotEmpty {
            target: self.target.endpoint().to_owned(),
            tables: occupied,
        })
    }
}

/// What both sides hold, found to be fit for a copy.
struct Survey {
    catalog: Catalog,
    schema: Schema,
    state: State,
    warnings: Vec<String>,
}

impl Survey {
    fn plan(&self, task: &Task, sides: &Sides) -> Plan {
        let major = sides.source.version().major;
        let planned = |table: &Table| PlannedTable {
            name: table.name(),
            bytes_estimate: table.bytes,
            rows_estimate: table.rows,
            chunks: table.chunks(task.tuning.chunk_bytes, major).len().max(1),
            binary: table.format == Format::Binary,
        };
        Plan {
            source_version: sides.source.version().text.clone(),
            target_version: sides.target.version().text.clone(),
            tables: self.catalog.tables.iter().map(planned).collect(),
            extensions: self.catalog.extensions.clone(),
            resumes: self.state.began,
            warnings: self.warnings.clone(),
        }
    }
}

/// Large objects belong to no table, so a task that takes only some tables leaves them out, as `pg_dump` does.
fn copies_large_objects(selection: &Selection) -> bool {
    selection.include_schemas.is_empty() && selection.include_tables.is_empty()
}

/// In what two tables' columns with data differ, whatever their order.
fn difference(source: &[Column], target: &[Column]) -> Option<String> {
    let types = |columns: &[Column]| -> HashMap<String, String> {
        columns
            .iter()
            .map(|column| (column.name.clone(), column.type_name.clone()))
            .collect()
    };
    let (source_types, target_types) = (types(source), types(target));
    for Column { name, type_name, .. } in source {
        match target_types.get(name) {
            None => return Some(format!("it has no column {name}")),
            Some(other) if other != type_name => {
                return Some(format!(
                    "its column {name} is of type {other} instead of {type_name}"
                ));
            }
            Some(_) => {}
        }
    }
    target
        .iter()
        .find(|column| !source_types.contains_key(&column.name))
        .map(|column| format!("it has a column {} that the source does not have", column.name))
}

/// Begins a read-only transaction whose snapshot other sessions can take on, and returns its name.
async fn export_snapshot(session: &Session) -> Result<String, Error> {
    let exporting = "exporting a snapshot";
    session
        .run(exporting, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    Ok(session
        .row(exporting, "SELECT pg_catalog.pg_export_snapshot()", &[])
        .await?
        .get(0))
}

/// The target takes a lock and the source is asked whether it sees it: names and addresses of one server may differ.
async fn refuse_same_database(task: &Task, source: &Session, target: &Session) -> Result<(), Error> {
    let comparing = "comparing the two databases";
    let key = lock_key(task, "same database");
    let pid: i32 = target
        .row(
            comparing,
            "SELECT pg_catalog.pg_backend_pid() FROM pg_catalog.pg_advisory_lock_shared($1)",
            &[&key],
        )
        .await?
        .get(0);
    let same: bool = source
        .row(
            comparing,
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND l.pid = $1 AND d.datname = current_database() \
               AND ((l.classid::int8 << 32) | l.objid::int8) = $2)",
            &[&pid, &key],
        )
        .await?
        .get(0);
    if same {
        return Err(Error::SameDatabase {
            endpoint: source.endpoint().to_owned(),
        });
    }
    Ok(())
}

/// One try at a whole copy. Whatever an earlier try or run finished is found in the state.
async fn copy_once(task: &Task, meter: Arc<Meter>) -> Result<Report, Error> {
    meter.enter(Phase::Planning);
    let sides = Sides::open(task).await?;
    sides.lock(task).await?;
    let Survey {
        mut catalog,
        schema,
        state,
        mut warnings,
    } = sides.survey(task).await?;
    info!(
        task = task.id,
        tables = catalog.tables.len(),
        resumes = state.began,
        "copying"
    );

    meter.enter(Phase::Schema);
    let roles = Roles::read(&sides.target).await?;
    warnings.extend(roles.missing_owners(schema.before_data.iter()));
    let names: Vec<String> = catalog.tables.iter().map(Table::sql_name).collect();
    warnings
        .extend(schema::create_before_data(&sides.target, &task.id, &schema, &state, &names, &roles).await?);
    let on_target = catalog::target_columns(&sides.target, &catalog.tables).await?;
    sides.refuse_different_tables(&catalog.tables, &on_target)?;

    meter.expect(
        catalog
            .tables
            .iter()
            .map(|table| (table.oid, table.bytes, table.rows)),
    );
    meter.enter(Phase::Data);
    let sequences = std::mem::take(&mut catalog.sequences);
    let partitioned = std::mem::take(&mut catalog.partitioned);
    let populated_views = schema.populated_views.clone();
    let privileges = schema.privileges.clone();
    let copy = Copy::new(
        task.clone(),
        sides,
        catalog,
        schema,
        state,
        roles,
        Arc::clone(&meter),
    );
    copy.data(copies_large_objects(&task.selection)).await?;

    meter.enter(Phase::Finishing);
    copy.after_data().await?;
    let Sides {
        source, target, lsn, ..
    } = copy.sides();
    set_sequences(source, target, &sequences).await?;
    for view in populated_views {
        let sql = format!("REFRESH MATERIALIZED VIEW {view}");
        target
            .run(&format!("refreshing the materialized view {view}"), &sql)
            .await?;
    }
    for table in partitioned {
        target
            .run(&format!("analyzing {table}"), &format!("ANALYZE {table}"))
            .await?;
    }
    warnings.extend(schema::grant(target, &privileges).await?);
    make_durable(target).await?;

    meter.enter(Phase::Done);
    let outcome = copy.take_outcome();
    warnings.extend(outcome.warnings);
    info!(
        task = task.id,
        bytes = outcome.bytes,
        rows = outcome.rows,
        "copied"
    );
    Ok(Report {
        snapshot_lsn: lsn.clone(),
        bytes_copied: outcome.bytes,
        rows_copied: outcome.rows,
        tables_kept: outcome.kept,
        retries: meter.retries(),
        warnings,
        verdicts: outcome.verdicts,
    })
}

/// Sequences are not part of any snapshot. What is read now is at or past what the copied rows have used.
async fn set_sequences(source: &Session, target: &Session, sequences: &[Sequence]) -> Result<(), Error> {
    for batch in sequences.chunks(100) {
        let selects: Vec<String> = batch
            .iter()
            .map(|sequence| {
                let sequence = qualified(&sequence.schema, &sequence.name);
                format!(
                    "SELECT {}, last_value::text, is_called::text FROM {sequence}",
                    literal(&sequence)
                )
            })
            .collect();
        let values = source
            .text_rows("reading sequences", &selects.join(" UNION ALL "))
            .await?;
        let sets: Vec<String> = values
            .iter()
            .filter_map(|row| match row.as_slice() {
                [Some(sequence), Some(value), Some(called)] => Some(format!(
                    "SELECT pg_catalog.setval(s, {value}, {called}) \
                     FROM pg_catalog.to_regclass({}) s WHERE s IS NOT NULL",
                    literal(sequence)
                )),
                _ => None,
            })
            .collect();
        target.run("setting sequences", &sets.join("; ")).await?;
    }
    Ok(())
}

/// Sessions commit without waiting for the disk; one commit that waits brings all earlier ones there.
async fn make_durable(target: &Session) -> Result<(), Error> {
    target
        .run(
            "waiting for the disk",
            "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_catalog.txid_current(); COMMIT",
        )
        .await
}

/// Reads both sides, each at a snapshot of its own.
async fn verify_once(task: &Task, meter: Arc<Meter>) -> Result<Vec<Verdict>, Error> {
    meter.enter(Phase::Planning);
    let sides = Sides::open(task).await?;
    let same_major = sides.source.version().major == sides.target.version().major;
    let catalog = Catalog::read(&sides.source, &task.selection, same_major).await?;
    let on_target = catalog::target_columns(&sides.target, &catalog.tables).await?;
    let comparable = catalog
        .tables
        .iter()
        .zip(on_target)
        .map(|(table, columns)| columns.is_some_and(|columns| difference(&table.columns, &columns).is_none()))
        .collect();
    meter.expect(
        catalog
            .tables
            .iter()
            .map(|table| (table.oid, table.bytes, table.rows)),
    );
    meter.enter(Phase::Verifying);
    let large_objects = catalog.large_objects > 0 && copies_large_objects(&task.selection);
    let target_snapshot = export_snapshot(&sides.target).await?;
    let comparison = Comparison::new(
        task.clone(),
        sides,
        target_snapshot,
        catalog.tables,
        comparable,
        Arc::clone(&meter),
    );
    let verdicts = comparison.run(large_objects).await?;
    meter.enter(Phase::Done);
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[("a", "integer"), ("b", "text")], None)]
    #[case(&[("b", "text"), ("a", "integer")], None)]
    #[case(&[("a", "integer")], Some("it has no column b"))]
    #[case(&[("a", "bigint"), ("b", "text")], Some("its column a is of type bigint instead of integer"))]
    #[case(&[("a", "integer"), ("b", "text"), ("c", "text")], Some("it has a column c that the source does not have"))]
    fn differences(#[case] target: &[(&str, &str)], #[case] expected: Option<&str>) {
        let columns = |columns: &[(&str, &str)]| -> Vec<Column> {
            columns
                .iter()
                .map(|(name, type_name)| Column {
                    name: name.to_string(),
                    type_name: type_name.to_string(),
                    type_oid: 0,
                })
                .collect()
        };
        let source = columns(&[("a", "integer"), ("b", "text")]);
        assert_eq!(difference(&source, &columns(target)).as_deref(), expected);
    }
}
