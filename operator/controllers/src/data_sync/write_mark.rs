//! How much has been written to a sync's target databases.

use futures::future::try_join_all;
use homeport_crds::DataSync;
use homeport_crds::cutover::WriteMark;
use kube::ResourceExt;

use super::observe::{self, Vault};
use crate::runtime::{Context, Failure};

/// A mark for each of a sync's databases on the target, as `sync/task`. Where two marks of the same task are equal,
/// nothing was committed to that database's tables in between; where they differ, something was, and a rollback of
/// the switch would lose it. See [`homeport_sync::write_mark`] for what a mark rests on, and for why this may take
/// some seconds.
///
/// # Errors
/// [`Failure::Waiting`] while the bundle's documents or a password are missing, [`Failure::Transient`] where the
/// database cannot be asked now: then it is not known whether something was written.
pub async fn write_mark(context: &Context, sync: &DataSync) -> Result<Vec<WriteMark>, Failure> {
    let asked = observe::asked(context, sync).await?;
    let mut vault = Vault::new(context, sync, &asked);
    let mut targets = Vec::new();
    for task in &asked.tasks {
        vault.require(task).await?;
        targets.push((task.name.clone(), vault.endpoint(&task.target).await?));
    }
    try_join_all(targets.into_iter().map(|(task, target)| async move {
        let mark = homeport_sync::write_mark(&target).await.map_err(|error| {
            let message = format!("task {task}: {error}");
            match error.is_transient() {
                true => Failure::transient(error.reason(), message),
                false => Failure::terminal(error.reason(), message),
            }
        })?;
        Ok(WriteMark {
            task: format!("{}/{task}", sync.name_any()),
            mark,
        })
    }))
    .await
}
