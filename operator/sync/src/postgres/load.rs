//! Moving the rows and building what belongs to them: workers that share one queue, each with a session on either
//! side.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tracing::warn;

use super::catalog::{Catalog, PageRange, Table};
use super::foreign_keys::{ForeignKey, ForeignKeys, rounds};
use super::jobs::Queue;
use super::rows::{self, Account};
use super::schema::{self, Object, Roles, Schema};
use super::session::Session;
use super::state::{self, LARGE_OBJECTS, State, TableState};
use super::{Sides, application, backoff, large_objects};
use crate::checksum::Checksum;
use crate::progress::Meter;
use crate::throttle::Throttle;
use crate::{Error, Side, Task, Verdict};

/// What a worker may be given to do. Numbers are indexes into the copy's tables and objects.
#[derive(Clone, Debug)]
enum Job {
    /// Find out whether a table that an earlier run finished is still the same on both sides.
    Recheck(usize),
    /// Find out whether the ranges that an earlier run copied are still the same on the source.
    RecheckChunks(usize),
    /// Copy a whole table in one transaction.
    Load(usize),
    /// Copy a range of a big table in one transaction.
    LoadChunk(usize, PageRange),
    /// Read back a table that was copied in ranges.
    ReadBack(usize),
    LargeObjects,
    /// Create primary keys and other constraints of a table, which lock it, one after the other.
    Constraints(usize, Vec<usize>),
    /// Create one index of a table, beside others.
    Index(usize, usize),
    /// Create a foreign key between two tables, which locks both.
    ForeignKey(ForeignKey),
    /// Create one object that is not built with a table.
    Object(usize),
    Analyze(usize),
}

/// How far a table is in this run.
#[derive(Debug, Default)]
struct TableRun {
    /// An earlier run's rows have to give way.
    replace: bool,
    chunks_left: usize,
    /// Sum of what the source sent of the table.
    source: Checksum,
    bytes: u64,
    verdict: Option<Verdict>,
    builds_left: usize,
}

/// What a run did.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) kept: usize,
    pub(super) warnings: Vec<String>,
    pub(super) verdicts: Vec<Verdict>,
}

/// A copy under way: what all its workers know and share.
pub(super) struct Copy {
    task: Task,
    sides: Sides,
    tables: Vec<Table>,
    objects: Vec<Object>,
    /// Constraints and indexes by table; they are built as soon as the table is complete.
    constraints: HashMap<usize, Vec<usize>>,
    indexes: HashMap<usize, Vec<usize>>,
    /// What a table's rows are worth in the queue: its size, and that of the foreign keys that wait for it.
    weights: Vec<u64>,
    foreign_keys: Mutex<ForeignKeys>,
    /// Foreign keys of partitioned tables, with the relations that each locks.
    partitioned_keys: Vec<(usize, (u32, u32))>,
    /// Everything else after the data, in order.
    others: Vec<usize>,
    roles: Roles,
    state: State,
    throttle: Throttle,
    meter: Arc<Meter>,
    /// Tables of the target that foreign keys point to: they cannot be truncated.
    referenced: Mutex<HashSet<String>>,
    /// Tables of the target that have triggers, which must not fire.
    has_triggers: Mutex<bool>,
    created: Mutex<HashSet<usize>>,
    runs: Mutex<Vec<TableRun>>,
    outcome: Mutex<Outcome>,
    queue: Queue<Job>,
}

impl Copy {
    pub(super) fn new(
        task: Task,
        sides: Sides,
        Catalog {
            tables, relations, ..
        }: Catalog,
        schema: Schema,
        state: State,
        roles: Roles,
        meter: Arc<Meter>,
    ) -> Arc<Copy> {
        let by_oid: HashMap<u32, usize> = tables
            .iter()
            .enumerate()
            .map(|(index, table)| (table.oid, index))
            .collect();
        let mut constraints: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut indexes: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut foreign_keys = ForeignKeys::default();
        let mut partitioned_keys = Vec::new();
        let mut weights: Vec<u64> = tables.iter().map(|table| table.bytes).collect();
        let mut others = Vec::new();
        for (index, object) in schema.after_data.iter().enumerate() {
            let oid = object.entry.oid;
            let constraint = relations.of_constraints.get(&oid);
            match object.entry.kind.as_str() {
                "FK CONSTRAINT" => {
                    let (relation, referenced) = constraint.copied().unwrap_or_default();
                    match (by_oid.get(&relation), by_oid.get(&referenced)) {
                        (Some(&table), Some(&referenced)) => {
                            weights[table] += tables[table].bytes;
                            weights[referenced] += tables[table].bytes;
                            foreign_keys.waiting.push(ForeignKey {
                                object: index,
                                table,
                                referenced,
                            });
                        }
                        _ => partitioned_keys.push((index, (relation, referenced))),
                    }
                }
                "CONSTRAINT" => match constraint.and_then(|(relation, _)| by_oid.get(relation)) {
                    Some(table) => constraints.entry(*table).or_default().push(index),
                    None => others.push(index),
                },
                "INDEX" => match relations
                    .of_indexes
                    .get(&oid)
                    .and_then(|relation| by_oid.get(relation))
                {
                    Some(table) => indexes.entry(*table).or_default().push(index),
                    None => others.push(index),
                },
                _ => others.push(index),
            }
        }
        let created = schema
            .after_data
            .iter()
            .enumerate()
            .filter(|(_, object)| {
                state
                    .objects
                    .get(&object.key)
                    .is_some_and(|(_, created)| *created)
            })
            .map(|(index, _)| index)
            .collect();
        Arc::new(Copy {
            throttle: Throttle::new(task.bandwidth_limit),
            runs: Mutex::new(tables.iter().map(|_| TableRun::default()).collect()),
            task,
            sides,
            tables,
            objects: schema.after_data,
            constraints,
            indexes,
            weights,
            foreign_keys: Mutex::new(foreign_keys),
            partitioned_keys,
            others,
            roles,
            state,
            meter,
            referenced: Mutex::default(),
            has_triggers: Mutex::default(),
            created: Mutex::new(created),
            outcome: Mutex::default(),
            queue: Queue::new(),
        })
    }

    pub(super) fn sides(&self) -> &Sides {
        &self.sides
    }

    /// Brings every table to the source's rows, with its indexes.
    pub(super) async fn data(self: &Arc<Self>, with_large_objects: bool) -> Result<(), Error> {
        for (index, table) in self.tables.iter().enumerate() {
            let known = self.known(table);
            if known.verified.is_some() {
                self.queue.push(self.weights[index], Job::Recheck(index));
            } else if !known.chunks.is_empty() {
                self.queue.push(self.weights[index], Job::RecheckChunks(index));
            }
        }
        self.work().await?;
        if lock(&self.runs).iter().any(|run| run.replace) {
            self.drop_foreign_keys_and_triggers().await?;
        }
        self.look_at_target().await?;
        for index in 0..self.tables.len() {
            self.begin_table(index).await?;
        }
        if with_large_objects {
            self.queue.push(u64::MAX, Job::LargeObjects);
        }
        self.work().await
    }

    /// Creates what comes after the data and is not built with a table: first what foreign keys may rest on.
    pub(super) async fn after_data(self: &Arc<Self>) -> Result<(), Error> {
        let mut worker = Worker::new(self);
        for object in &self.others {
            worker.create_object(*object).await?;
        }
        for round in rounds(&self.partitioned_keys) {
            for object in round {
                self.queue.push(1, Job::Object(object));
            }
            self.work().await?;
        }
        Ok(())
    }

    /// What the run did, with its verdicts by name.
    pub(super) fn take_outcome(&self) -> Outcome {
        let mut outcome = std::mem::take(&mut *lock(&self.outcome));
        outcome
            .verdicts
            .extend(lock(&self.runs).iter_mut().filter_map(|run| run.verdict.take()));
        outcome.verdicts.sort_by(|a, b| a.table.cmp(&b.table));
        outcome
    }

    fn known(&self, table: &Table) -> TableState {
        self.state
            .tables
            .get(&table.sql_name())
            .cloned()
            .unwrap_or_default()
    }

    /// Runs workers until the queue is empty. The first error ends all of them.
    async fn work(self: &Arc<Self>) -> Result<(), Error> {
        let mut workers = JoinSet::new();
        for _ in 0..self.task.parallelism {
            let mut worker = Worker::new(self);
            workers.spawn(async move { worker.run().await });
        }
        join(workers).await
    }

    /// Constraints that an earlier run created and that forbid replacing rows. They are created again.
    async fn drop_foreign_keys_and_triggers(&self) -> Result<(), Error> {
        let target = &self.sides.target;
        let doomed: Vec<usize> = lock(&self.created)
            .iter()
            .copied()
            .filter(|index| {
                matches!(
                    self.objects[*index].entry.kind.as_str(),
                    "FK CONSTRAINT" | "TRIGGER"
                )
            })
            .collect();
        for index in doomed {
            let object = &self.objects[index];
            let sql = format!(
                "BEGIN; {} {} COMMIT",
                object.entry.drop,
                state::mark_object(&self.task.id, &object.key, false)
            );
            target.run(&format!("replacing {}", object.key), &sql).await?;
            lock(&self.created).remove(&index);
        }
        Ok(())
    }

    /// Foreign keys and triggers that are on the target although the task did not create them.
    async fn look_at_target(&self) -> Result<(), Error> {
        let looking = "looking at the target's tables";
        let target = &self.sides.target;
        let referenced = target
            .rows(
                looking,
                "SELECT DISTINCT n.nspname::text, c.relname::text FROM pg_catalog.pg_constraint f \
                 JOIN pg_catalog.pg_class c ON c.oid = f.confrelid \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE f.contype = 'f'",
                &[],
            )
            .await?
            .iter()
            .map(|row| super::qualified(row.get(0), row.get(1)))
            .collect();
        let pending: Vec<String> = {
            let runs = lock(&self.runs);
            self.tables
                .iter()
                .zip(runs.iter())
                .filter(|(_, run)| run.verdict.is_none())
                .map(|(table, _)| table.sql_name())
                .collect()
        };
        let has_triggers: bool = target
            .row(
                looking,
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t \
                 JOIN unnest($1::text[]) name ON t.tgrelid = pg_catalog.to_regclass(name) \
                 WHERE t.tgenabled IN ('O', 'A'))",
                &[&pending],
            )
            .await?
            .get(0);
        *lock(&self.referenced) = referenced;
        *lock(&self.has_triggers) = has_triggers;
        Ok(())
    }

    /// Pushes the jobs that a table needs, given what is known of it.
    async fn begin_table(&self, index: usize) -> Result<(), Error> {
        let table = &self.tables[index];
        if lock(&self.runs)[index].verdict.is_some() {
            self.begin_builds(index);
            return Ok(());
        }
        let whole = table.chunks(self.task.tuning.chunk_bytes, self.sides.source.version().major);
        let replace = lock(&self.runs)[index].replace;
        let done: Vec<PageRange> = if replace {
            Vec::new()
        } else {
            self.known(table).chunks.iter().map(|(range, _)| *range).collect()
        };
        // Rows that have to give way are forgotten by the transaction that removes them.
        if done.is_empty() && !replace {
            state::forget_chunks(&self.sides.target, &self.task.id, &table.sql_name()).await?;
            state::record_table(&self.sides.target, &self.task.id, &table.sql_name(), None).await?;
        }
        if whole.is_empty() && done.is_empty() {
            self.queue.push(self.weights[index], Job::Load(index));
            return Ok(());
        }
        if replace {
            self.empty_for_chunks(index).await?;
        }
        let chunks = missing(&whole, &done);
        if chunks.is_empty() {
            self.queue.push(self.weights[index], Job::ReadBack(index));
            self.begin_builds(index);
            return Ok(());
        }
        lock(&self.runs)[index].chunks_left = chunks.len();
        for range in &chunks {
            self.queue
                .push(self.weights[index], Job::LoadChunk(index, *range));
        }
        Ok(())
    }

    /// Empties a table whose rows were all found to be the task's, before its ranges are copied anew.
    async fn empty_for_chunks(&self, index: usize) -> Result<(), Error> {
        let table = &self.tables[index];
        let action = format!("emptying {}", table.name());
        let target = &self.sides.target;
        target.run(&action, &lock_statement(table)).await?;
        self.refuse_rows_of_others(target, table).await?;
        target.run(&action, &self.empty_statement(table)).await?;
        state::forget_chunks(target, &self.task.id, &table.sql_name()).await?;
        state::record_table(target, &self.task.id, &table.sql_name(), None).await?;
        target.run(&action, "COMMIT").await
    }

    /// Refuses to replace rows that somebody else wrote or changed since the table was compared. To be asked in a
    /// transaction that keeps everybody else from the table.
    async fn refuse_rows_of_others(&self, target: &Session, table: &Table) -> Result<(), Error> {
        let name = table.sql_name();
        let recorded = match state::recorded_table(target, &self.task.id, &name).await? {
            Some(checksum) => checksum,
            None => state::recorded_chunks(target, &self.task.id, &name).await?,
        };
        let action = format!("comparing {}", table.name());
        let sql = table.copy_out(None);
        let (found, _) = rows::read_checksum(target, &action, &sql, table.format, None).await?;
        if found != recorded && found.rows() > 0 {
            return Err(self.not_empty(&table.name()));
        }
        Ok(())
    }

    fn can_truncate(&self, table: &Table) -> bool {
        table.filter.is_none() && !lock(&self.referenced).contains(&table.sql_name())
    }

    fn empty_statement(&self, table: &Table) -> String {
        if self.can_truncate(table) {
            format!("TRUNCATE ONLY {}", table.sql_name())
        } else {
            format!(
                "DELETE FROM ONLY {} {}",
                table.sql_name(),
                table.filter.as_deref().unwrap_or_default()
            )
        }
    }

    /// The table's rows are there: its constraints, then its indexes, then its statistics.
    fn begin_builds(&self, index: usize) {
        let created = lock(&self.created);
        let left = |objects: Option<&Vec<usize>>| -> Vec<usize> {
            objects
                .into_iter()
                .flatten()
                .copied()
                .filter(|object| !created.contains(object))
                .collect()
        };
        let constraints = left(self.constraints.get(&index));
        let indexes = left(self.indexes.get(&index));
        drop(created);
        lock(&self.runs)[index].builds_left = usize::from(!constraints.is_empty()) + indexes.len();
        let weight = self.weights[index];
        if constraints.is_empty() && indexes.is_empty() {
            self.begin_analyze(index);
        } else if constraints.is_empty() {
            for object in indexes {
                self.queue.push(weight, Job::Index(index, object));
            }
        } else {
            self.queue.push(weight, Job::Constraints(index, constraints));
        }
    }

    fn constraints_done(&self, index: usize) {
        let created = lock(&self.created);
        let indexes: Vec<usize> = self
            .indexes
            .get(&index)
            .into_iter()
            .flatten()
            .copied()
            .filter(|object| !created.contains(object))
            .collect();
        drop(created);
        for object in indexes {
            self.queue
                .push(self.tables[index].bytes, Job::Index(index, object));
        }
        self.build_done(index);
    }

    fn build_done(&self, index: usize) {
        let mut runs = lock(&self.runs);
        runs[index].builds_left -= 1;
        let last = runs[index].builds_left == 0;
        drop(runs);
        if last {
            self.begin_analyze(index);
        }
    }

    fn begin_analyze(&self, index: usize) {
        if self.tables[index].is_partition {
            // It is analyzed with its parent.
            self.complete(index);
        } else {
            let weight = self.weights[index] - self.tables[index].bytes;
            self.queue.push(weight, Job::Analyze(index));
        }
    }

    /// The table is as it will be, but for its foreign keys.
    fn complete(&self, index: usize) {
        lock(&self.foreign_keys).complete.insert(index);
        self.begin_foreign_keys();
    }

    fn foreign_key_done(&self, key: ForeignKey) {
        let mut keys = lock(&self.foreign_keys);
        keys.locked.remove(&key.table);
        keys.locked.remove(&key.referenced);
        drop(keys);
        self.begin_foreign_keys();
    }

    fn begin_foreign_keys(&self) {
        for key in lock(&self.foreign_keys).take_ready() {
            self.queue
                .push(self.tables[key.table].bytes, Job::ForeignKey(key));
        }
    }

    /// Counts a table as copied and compared.
    fn settle(&self, index: usize, bytes: u64, verdict: Verdict) {
        self.meter
            .finished(self.tables[index].oid, bytes, verdict.rows_source);
        lock(&self.runs)[index].verdict = Some(verdict);
    }

    fn count(&self, bytes: u64, rows: u64) {
        let mut outcome = lock(&self.outcome);
        outcome.bytes += bytes;
        outcome.rows += rows;
    }

    fn mismatch(&self, table: &str) -> Error {
        Error::Mismatch {
            target: self.sides.target.endpoint().to_owned(),
            tables: vec![table.to_owned()],
        }
    }

    fn not_empty(&self, table: &str) -> Error {
        Error::TargetNotEmpty {
            target: self.sides.target.endpoint().to_owned(),
            tables: vec![table.to_owned()],
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for all workers. The first error ends the others, and their sessions, before it is returned.
pub(super) async fn join(mut workers: JoinSet<Result<(), Error>>) -> Result<(), Error> {
    while let Some(finished) = workers.join_next().await {
        let outcome = finished.unwrap_or_else(|error| {
            Err(Error::Protocol {
                what: format!("a worker ended early: {error}"),
            })
        });
        if outcome.is_err() {
            workers.shutdown().await;
            return outcome;
        }
    }
    Ok(())
}

/// The ranges of `whole` that `done` does not cover, cut at the borders of both.
fn missing(whole: &[PageRange], done: &[PageRange]) -> Vec<PageRange> {
    let everything = [PageRange { first: 0, end: None }];
    let whole = if whole.is_empty() { &everything } else { whole };
    let mut missing = Vec::new();
    for range in whole {
        let mut first = range.first;
        let end = range.end.unwrap_or(u64::MAX);
        let mut covers: Vec<(u64, u64)> = done
            .iter()
            .map(|range| (range.first, range.end.unwrap_or(u64::MAX)))
            .collect();
        covers.sort_unstable();
        for (from, to) in covers {
            if from > first && from < end {
                missing.push(PageRange {
                    first,
                    end: Some(from),
                });
            }
            if to > first && from < end {
                first = to;
            }
        }
        if first < end {
            missing.push(PageRange {
                first,
                end: (end != u64::MAX).then_some(end),
            });
        }
    }
    missing
}

/// One worker with its sessions, which it opens when it first needs them and again after they broke.
struct Worker {
    copy: Arc<Copy>,
    source: Option<Session>,
    target: Option<Session>,
}

impl Worker {
    fn new(copy: &Arc<Copy>) -> Worker {
        Worker {
            copy: Arc::clone(copy),
            source: None,
            target: None,
        }
    }

    async fn run(&mut self) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        while let Some(job) = copy.queue.take().await {
            self.attempt(job).await?;
            copy.queue.done();
        }
        Ok(())
    }

    /// Does a job, again if a connection breaks, as long as the session that keeps the snapshot and the one that
    /// keeps the lock are there.
    async fn attempt(&mut self, job: Job) -> Result<(), Error> {
        let mut delays = backoff();
        loop {
            let error = match self.perform(job.clone()).await {
                Err(error) if error.is_transient() => error,
                outcome => return outcome,
            };
            self.source = None;
            self.target = None;
            let leaders = [&self.copy.sides.source, &self.copy.sides.target];
            let Some(delay) = delays
                .next()
                .filter(|_| leaders.iter().all(|leader| !leader.client.is_closed()))
            else {
                return Err(error);
            };
            warn!(%error, ?job, ?delay, "trying again");
            self.copy.meter.retried();
            tokio::time::sleep(delay).await;
        }
    }

    async fn perform(&mut self, job: Job) -> Result<(), Error> {
        match job {
            Job::Recheck(table) => self.recheck(table).await,
            Job::RecheckChunks(table) => self.recheck_chunks(table).await,
            Job::Load(table) => self.load(table).await,
            Job::LoadChunk(table, range) => self.load_chunk(table, range).await,
            Job::ReadBack(table) => self.read_back(table).await,
            Job::LargeObjects => self.large_objects().await,
            Job::Constraints(table, objects) => {
                for object in objects {
                    self.create_object(object).await?;
                }
                self.copy.constraints_done(table);
                Ok(())
            }
            Job::Index(table, object) => {
                self.create_object(object).await?;
                self.copy.build_done(table);
                Ok(())
            }
            Job::Object(object) => self.create_object(object).await,
            Job::ForeignKey(key) => {
                self.create_object(key.object).await?;
                self.copy.foreign_key_done(key);
                Ok(())
            }
            Job::Analyze(index) => {
                let copy = Arc::clone(&self.copy);
                let table = &copy.tables[index];
                let action = format!("analyzing {}", table.name());
                self.target()
                    .await?
                    .run(&action, &format!("ANALYZE {}", table.sql_name()))
                    .await?;
                copy.complete(index);
                Ok(())
            }
        }
    }

    /// The worker's session on the target.
    async fn target(&mut self) -> Result<&Session, Error> {
        match &mut self.target {
            Some(target) => Ok(target),
            slot => Ok(slot.insert(open_target(&self.copy).await?)),
        }
    }

    /// The worker's sessions on both sides; the one on the source is at the copy's snapshot.
    async fn both(&mut self) -> Result<(&Session, &Session), Error> {
        let source = match &mut self.source {
            Some(source) => source,
            slot => {
                let task = &self.copy.task;
                let session = Session::open(&task.source, Side::Source, &application(task)).await?;
                take_on_snapshot(&session, &self.copy.sides.snapshot, &self.copy.sides.source).await?;
                slot.insert(session)
            }
        };
        let target = match &mut self.target {
            Some(target) => target,
            slot => slot.insert(open_target(&self.copy).await?),
        };
        Ok((source, target))
    }

    /// An earlier run's table is kept if both sides still have the checksum that it recorded.
    async fn recheck(&mut self, index: usize) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let table = &copy.tables[index];
        let Some(recorded) = copy.known(table).verified else {
            return Ok(());
        };
        let (source, target) = self.both().await?;
        let sql = table.copy_out(None);
        let action = format!("comparing {}", table.name());
        let ((on_source, bytes), (on_target, _)) = tokio::try_join!(
            rows::read_checksum(source, &action, &sql, table.format, Some(copy.account())),
            rows::read_checksum(target, &action, &sql, table.format, None),
        )?;
        if on_target != recorded {
            return Err(copy.not_empty(&table.name()));
        }
        if on_source == recorded {
            lock(&copy.outcome).kept += 1;
            copy.settle(index, bytes, Verdict::new(table.name(), on_source, on_target));
        } else {
            copy.meter.withdraw(bytes, on_source.rows());
            lock(&copy.runs)[index].replace = true;
        }
        Ok(())
    }

    /// An earlier run's ranges are kept if the source still has the same rows in all of them.
    async fn recheck_chunks(&mut self, index: usize) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let table = &copy.tables[index];
        let (source, _) = self.both().await?;
        let action = format!("comparing {}", table.name());
        let (mut kept, mut bytes) = (Checksum::default(), 0);
        for (range, recorded) in copy.known(table).chunks {
            let sql = table.copy_out(Some(range));
            let (on_source, read) =
                rows::read_checksum(source, &action, &sql, table.format, Some(copy.account())).await?;
            kept += on_source;
            bytes += read;
            if on_source != recorded {
                copy.meter.withdraw(bytes, kept.rows());
                lock(&copy.runs)[index].replace = true;
                return Ok(());
            }
        }
        let mut runs = lock(&copy.runs);
        runs[index].source = kept;
        runs[index].bytes = bytes;
        Ok(())
    }

    /// Copies a whole table: emptied, filled, read back, compared and recorded in one transaction.
    async fn load(&mut self, index: usize) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let table = &copy.tables[index];
        let replace = lock(&copy.runs)[index].replace;
        let (source, target) = self.both().await?;
        let action = format!("copying {}", table.name());
        target.run(&action, &lock_statement(table)).await?;
        let recorded = state::recorded_table(target, &copy.task.id, &table.sql_name()).await?;
        let replace = replace || recorded.is_some();
        if replace {
            copy.refuse_rows_of_others(target, table).await?;
        } else if target
            .row(&action, &table.any_row(), &[])
            .await?
            .get::<_, bool>(0)
        {
            return Err(copy.not_empty(&table.name()));
        }
        // Emptying an empty table lets its rows be written frozen.
        let freeze = copy.can_truncate(table);
        if freeze || replace {
            target.run(&action, &copy.empty_statement(table)).await?;
        }
        if replace {
            state::forget_chunks(target, &copy.task.id, &table.sql_name()).await?;
        }
        let statements = (table.copy_out(None), table.copy_in(freeze));
        let (sent, bytes) = rows::copy(
            source,
            target,
            &action,
            (&statements.0, &statements.1),
            table.format,
            copy.account(),
        )
        .await?;
        let (received, _) = rows::read_checksum(target, &action, &statements.0, table.format, None).await?;
        if sent != received {
            target.run(&action, "ROLLBACK").await?;
            return Err(copy.mismatch(&table.name()));
        }
        state::record_table(target, &copy.task.id, &table.sql_name(), Some(received)).await?;
        target.run(&action, "COMMIT").await?;
        copy.count(bytes, sent.rows());
        copy.settle(index, bytes, Verdict::new(table.name(), sent, received));
        copy.begin_builds(index);
        Ok(())
    }

    /// Copies a range of a table and records it, in one transaction. Who copies the last one starts what follows.
    async fn load_chunk(&mut self, index: usize, range: PageRange) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let table = &copy.tables[index];
        let (source, target) = self.both().await?;
        let action = format!("copying {}", table.name());
        target.run(&action, "BEGIN").await?;
        let recorded = state::recorded_chunk(target, &copy.task.id, &table.sql_name(), range).await?;
        let (sent, bytes) = match recorded {
            Some(checksum) => (checksum, 0),
            None => {
                let statements = (table.copy_out(Some(range)), table.copy_in(false));
                let statements = (statements.0.as_str(), statements.1.as_str());
                let account = copy.account();
                let (sent, bytes) =
                    rows::copy(source, target, &action, statements, table.format, account).await?;
                state::record_chunk(target, &copy.task.id, &table.sql_name(), range, sent).await?;
                (sent, bytes)
            }
        };
        target.run(&action, "COMMIT").await?;
        copy.count(bytes, sent.rows());
        let last = {
            let mut runs = lock(&copy.runs);
            let run = &mut runs[index];
            run.source += sent;
            run.bytes += bytes;
            run.chunks_left -= 1;
            run.chunks_left == 0
        };
        if last {
            copy.queue.push(copy.weights[index], Job::ReadBack(index));
            copy.begin_builds(index);
        }
        Ok(())
    }

    /// Reads a table back that was copied in ranges, compares and records it.
    async fn read_back(&mut self, index: usize) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let table = &copy.tables[index];
        let (sent, bytes) = {
            let runs = lock(&copy.runs);
            (runs[index].source, runs[index].bytes)
        };
        let target = self.target().await?;
        let action = format!("reading back {}", table.name());
        let (received, _) =
            rows::read_checksum(target, &action, &table.copy_out(None), table.format, None).await?;
        if sent != received {
            return Err(copy.mismatch(&table.name()));
        }
        target.run(&action, "BEGIN").await?;
        state::record_table(target, &copy.task.id, &table.sql_name(), Some(received)).await?;
        state::forget_chunks(target, &copy.task.id, &table.sql_name()).await?;
        target.run(&action, "COMMIT").await?;
        copy.settle(index, bytes, Verdict::new(table.name(), sent, received));
        Ok(())
    }

    /// Copies all large objects, or finds those of an earlier run unchanged, in one transaction.
    async fn large_objects(&mut self) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        let (source, target) = self.both().await?;
        let action = "copying large objects";
        target.run(action, "BEGIN").await?;
        let recorded = state::recorded_table(target, &copy.task.id, LARGE_OBJECTS).await?;
        let on_target = large_objects::read_checksum(target).await?;
        if on_target != recorded.unwrap_or_default() {
            return Err(copy.not_empty(LARGE_OBJECTS));
        }
        let mut verdict = None;
        if recorded.is_some() {
            let on_source = large_objects::read_checksum(source).await?;
            verdict = (on_source == on_target).then(|| Verdict::new(LARGE_OBJECTS, on_source, on_target));
        }
        if verdict.is_none() {
            large_objects::remove_all(target).await?;
            let (sent, bytes, warnings) =
                large_objects::copy(source, target, &copy.throttle, &copy.meter).await?;
            let received = large_objects::read_checksum(target).await?;
            if sent != received {
                return Err(copy.mismatch(LARGE_OBJECTS));
            }
            state::record_table(target, &copy.task.id, LARGE_OBJECTS, Some(received)).await?;
            copy.count(bytes, 0);
            lock(&copy.outcome).warnings.extend(warnings);
            verdict = Some(Verdict::new(LARGE_OBJECTS, sent, received));
        }
        target.run(action, "COMMIT").await?;
        // A database without large objects has no verdict on them.
        lock(&copy.outcome)
            .verdicts
            .extend(verdict.filter(|verdict| verdict.rows_source > 0));
        Ok(())
    }

    async fn create_object(&mut self, index: usize) -> Result<(), Error> {
        let copy = Arc::clone(&self.copy);
        if lock(&copy.created).contains(&index) {
            return Ok(());
        }
        let target = self.target().await?;
        // While there are jobs for all workers, a build that takes further processes takes them from the others.
        let helpers = copy.queue.idle(copy.task.parallelism);
        let object = &copy.objects[index];
        let warning = schema::create_after_data(target, &copy.task.id, object, &copy.roles, helpers).await?;
        lock(&copy.created).insert(index);
        lock(&copy.outcome).warnings.extend(warning);
        Ok(())
    }
}

impl Copy {
    fn account(&self) -> Account<'_> {
        Account {
            throttle: &self.throttle,
            meter: &self.meter,
        }
    }
}

async fn open_target(copy: &Copy) -> Result<Session, Error> {
    let session = Session::open(&copy.task.target, Side::Target, &application(&copy.task)).await?;
    let settings = format!(
        "SET synchronous_commit = off; SET maintenance_work_mem = '{}MB'; {}",
        copy.task.tuning.index_memory_mib,
        schema::CREATE_SETTINGS
    );
    session.run("preparing the session", &settings).await?;
    if *lock(&copy.has_triggers) {
        session
            .run(
                "keeping triggers and foreign keys that the target already has from acting on the copied rows",
                "SET session_replication_role = replica",
            )
            .await?;
    }
    Ok(session)
}

/// Lets a new session see what the exporting one sees, as long as that one is there.
pub(super) async fn take_on_snapshot(
    session: &Session,
    snapshot: &str,
    leader: &Session,
) -> Result<(), Error> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        super::literal(snapshot)
    );
    match session.run("taking on the snapshot", &sql).await {
        Err(_) if leader.client.is_closed() => Err(Error::Unreachable {
            side: leader.side,
            endpoint: leader.endpoint().to_owned(),
            cause: "the connection that kept the snapshot broke".into(),
        }),
        outcome => outcome,
    }
}

/// Begins a transaction in which nobody else sees or changes the table.
fn lock_statement(table: &Table) -> String {
    format!(
        "BEGIN; SET LOCAL lock_timeout = '60s'; LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE",
        table.sql_name()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn ranges(ranges: &[(u64, Option<u64>)]) -> Vec<PageRange> {
        ranges
            .iter()
            .map(|(first, end)| PageRange {
                first: *first,
                end: *end,
            })
            .collect()
    }

    #[rstest]
    #[case::nothing_done(&[(0, Some(5)), (5, None)], &[], &[(0, Some(5)), (5, None)])]
    #[case::all_done(&[(0, Some(5)), (5, None)], &[(0, Some(5)), (5, None)], &[])]
    #[case::a_gap(&[(0, Some(5)), (5, Some(10)), (10, None)], &[(0, Some(5)), (10, None)], &[(5, Some(10))])]
    #[case::the_table_grew(&[(0, Some(5)), (5, Some(10)), (10, None)], &[(0, Some(5))], &[(5, Some(10)), (10, None)])]
    #[case::other_borders(&[(0, Some(8)), (8, None)], &[(0, Some(5))], &[(5, Some(8)), (8, None)])]
    #[case::no_longer_big(&[], &[(5, Some(10))], &[(0, Some(5)), (10, None)])]
    fn what_is_missing(
        #[case] whole: &[(u64, Option<u64>)],
        #[case] done: &[(u64, Option<u64>)],
        #[case] expected: &[(u64, Option<u64>)],
    ) {
        assert_eq!(missing(&ranges(whole), &ranges(done)), ranges(expected));
    }

    proptest! {
        #[test]
        fn done_and_missing_cover_every_page_once(step in 1u64..20, count in 1u64..20, other in 1u64..20, picks: Vec<bool>) {
            let divide = |step: u64, count: u64| -> Vec<PageRange> {
                (0..count)
                    .map(|n| PageRange { first: n * step, end: (n + 1 < count).then_some((n + 1) * step) })
                    .collect()
            };
            let done: Vec<PageRange> = divide(other, picks.len() as u64)
                .into_iter()
                .zip(&picks)
                .filter_map(|(range, pick)| pick.then_some(range))
                .collect();
            let missing = missing(&divide(step, count), &done);
            for page in 0..500 {
                let covers = done
                    .iter()
                    .chain(&missing)
                    .filter(|range| range.first <= page && range.end.is_none_or(|end| page < end))
                    .count();
                prop_assert_eq!(covers, 1, "page {}", page);
            }
        }
    }
}
