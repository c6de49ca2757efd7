//! Comparing both sides without writing anything.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::catalog::Table;
use super::jobs::Queue;
use super::load::{join, lock, take_on_snapshot};
use super::rows::{self, Account};
use super::session::Session;
use super::state::LARGE_OBJECTS;
use super::{Sides, application, large_objects};
use crate::progress::Meter;
use crate::throttle::Throttle;
use crate::{Error, Side, Task, Verdict};

/// A comparison of both sides, each at a snapshot of its own.
pub(super) struct Comparison {
    task: Task,
    sides: Sides,
    target_snapshot: String,
    tables: Vec<Table>,
    /// Whether the target has the table, with the same columns.
    comparable: Vec<bool>,
    throttle: Throttle,
    meter: Arc<Meter>,
    verdicts: Mutex<Vec<Verdict>>,
    queue: Queue<usize>,
}

impl Comparison {
    pub(super) fn new(
        task: Task,
        sides: Sides,
        target_snapshot: String,
        tables: Vec<Table>,
        comparable: Vec<bool>,
        meter: Arc<Meter>,
    ) -> Arc<Comparison> {
        let throttle = Throttle::new(task.bandwidth_limit);
        Arc::new(Comparison {
            task,
            sides,
            target_snapshot,
            tables,
            comparable,
            throttle,
            meter,
            verdicts: Mutex::default(),
            queue: Queue::new(),
        })
    }

    /// Verdicts by name.
    pub(super) async fn run(self: &Arc<Self>, with_large_objects: bool) -> Result<Vec<Verdict>, Error> {
        for (index, table) in self.tables.iter().enumerate() {
            self.queue.push(table.bytes, index);
        }
        let mut workers = JoinSet::new();
        for _ in 0..self.task.parallelism.min(self.tables.len()) {
            let comparison = Arc::clone(self);
            workers.spawn(async move { comparison.work().await });
        }
        join(workers).await?;
        if with_large_objects {
            let (on_source, on_target) = tokio::try_join!(
                large_objects::read_checksum(&self.sides.source),
                large_objects::read_checksum(&self.sides.target),
            )?;
            lock(&self.verdicts).push(Verdict::new(LARGE_OBJECTS, on_source, on_target));
        }
        let mut verdicts = std::mem::take(&mut *lock(&self.verdicts));
        verdicts.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(verdicts)
    }

    async fn work(&self) -> Result<(), Error> {
        let application = application(&self.task);
        let source = Session::open(&self.task.source, Side::Source, &application).await?;
        take_on_snapshot(&source, &self.sides.snapshot, &self.sides.source).await?;
        let target = Session::open(&self.task.target, Side::Target, &application).await?;
        take_on_snapshot(&target, &self.target_snapshot, &self.sides.target).await?;
        while let Some(index) = self.queue.take().await {
            let verdict = self.compare(&source, &target, index).await?;
            lock(&self.verdicts).push(verdict);
            self.queue.done();
        }
        Ok(())
    }

    async fn compare(&self, source: &Session, target: &Session, index: usize) -> Result<Verdict, Error> {
        let table = &self.tables[index];
        let sql = table.copy_out(None);
        let action = format!("comparing {}", table.name());
        let account = Account {
            throttle: &self.throttle,
            meter: &self.meter,
        };
        let read_target = async {
            if self.comparable[index] {
                rows::read_checksum(target, &action, &sql, table.format, None).await
            } else {
                Ok(Default::default())
            }
        };
        let ((on_source, bytes), (on_target, _)) = tokio::try_join!(
            rows::read_checksum(source, &action, &sql, table.format, Some(account)),
            read_target,
        )?;
        self.meter.finished(table.oid, bytes, on_source.rows());
        let mut verdict = Verdict::new(table.name(), on_source, on_target);
        // An empty table that the target does not have is not the same as one that it has.
        verdict.equal &= self.comparable[index];
        Ok(verdict)
    }
}
