//! What has been written to the target since the switch, which a rollback would leave behind.

use futures::future::{join_all, try_join_all};
use homeport_crds::DataSync;
use homeport_crds::cutover::WriteMark;
use homeport_cutover::machine::Writes;
use kube::ResourceExt;

use crate::data_sync::write_mark;
use crate::runtime::{Context, Failure};

/// The marks of all databases of the target, to be compared with later ones.
///
/// # Errors
/// Where a database cannot be asked: a switch without a mark could not be undone safely.
pub(super) async fn marks(context: &Context, syncs: &[DataSync]) -> Result<Vec<WriteMark>, Failure> {
    let marks = try_join_all(syncs.iter().map(|sync| write_mark(context, sync))).await?;
    Ok(marks.into_iter().flatten().collect())
}

/// What was written since the marks of the switch. What cannot be told counts as written.
pub(super) async fn since(context: &Context, syncs: &[DataSync], at_switch: &[WriteMark]) -> Writes {
    if at_switch.is_empty() {
        return Writes::Safe;
    }
    let looks = syncs
        .iter()
        .map(|sync| async { (sync.name_any(), write_mark(context, sync).await) });
    let mut now = Vec::new();
    let mut unknown = Vec::new();
    for (sync, marks) in join_all(looks).await {
        match marks {
            Ok(marks) => now.extend(marks),
            Err(failure) => unknown.push((sync, failure.to_string())),
        }
    }
    compare(at_switch, &now, &unknown)
}

/// Compares marks of the switch with those of now. `unknown` names the syncs that could not be asked, and why.
fn compare(at_switch: &[WriteMark], now: &[WriteMark], unknown: &[(String, String)]) -> Writes {
    let lost: Vec<String> = at_switch
        .iter()
        .filter_map(|before| {
            let task = &before.task;
            match now.iter().find(|mark| mark.task == *task) {
                Some(mark) if mark.mark == before.mark => None,
                Some(_) => Some(format!("what was written to the target of {task} since the switch")),
                None => {
                    let sync = task.split('/').next().unwrap_or_default();
                    let why = unknown
                        .iter()
                        .find(|(name, _)| name == sync)
                        .map_or("its DataSync has no such task any more", |(_, why)| why);
                    Some(format!(
                        "what may have been written to the target of {task} since the switch (it cannot be told: {why})"
                    ))
                }
            }
        })
        .collect();
    if lost.is_empty() {
        Writes::Safe
    } else {
        Writes::Stranded(lost.join(", and "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use rstest::rstest;

    fn marks(marks: &[(&str, &str)]) -> Vec<WriteMark> {
        let mark = |(task, mark): &(&str, &str)| WriteMark {
            task: (*task).to_owned(),
            mark: (*mark).to_owned(),
        };
        marks.iter().map(mark).collect()
    }

    #[rstest]
    #[case::nothing_to_mark(&[], &[("db/a", "1")], None)]
    #[case::untouched(&[("db/a", "1"), ("db/b", "2")], &[("db/b", "2"), ("db/a", "1")], None)]
    #[case::written(&[("db/a", "1"), ("db/b", "2")], &[("db/a", "1"), ("db/b", "3")], Some("written to the target of db/b"))]
    #[case::not_reached(&[("off/a", "1")], &[], Some("no connection"))]
    #[case::gone(&[("db/a", "1")], &[], Some("no such task any more"))]
    fn marks_that_differ_are_writes(
        #[case] at_switch: &[(&str, &str)],
        #[case] now: &[(&str, &str)],
        #[case] says: Option<&str>,
    ) {
        let unknown = [("off".to_owned(), "no connection".to_owned())];
        match (compare(&marks(at_switch), &marks(now), &unknown), says) {
            (Writes::Safe, None) => {}
            (Writes::Stranded(what), Some(says)) => assert!(what.contains(says), "{what}"),
            (writes, says) => panic!("{writes:?} instead of {says:?}"),
        }
    }
}
