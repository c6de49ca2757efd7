//! What the resources that name a bundle add to its status: `Synced`, `CutOver`, and the step of the migration.

use homeport_crds::conditions::{self, CUT_OVER, DEPLOYED, HEALTHY, READY, SYNCED};
use homeport_crds::{Cutover, DataSync, HprtBundle, HprtBundleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

/// The syncs and cutovers of a bundle.
#[derive(Clone, Debug, Default)]
pub(super) struct Dependents {
    pub(super) syncs: Vec<DataSync>,
    pub(super) cutovers: Vec<Cutover>,
}

/// One of them, as far as it matters here.
struct Part<'a> {
    name: String,
    /// Whether there is nothing left to do for it.
    ready: bool,
    /// Whether it is done, and not undone by a rollback.
    done: bool,
    percent: i32,
    reason: &'a str,
}

/// Sets `Synced` and `CutOver`, and the step with its percentage.
pub(super) fn roll_up(bundle: &HprtBundle, dependents: &Dependents, status: &mut HprtBundleStatus) {
    let generation = bundle.metadata.generation.unwrap_or_default();
    let syncs: Vec<Part<'_>> = dependents.syncs.iter().map(sync_part).collect();
    let cutovers: Vec<Part<'_>> = dependents.cutovers.iter().map(cutover_part).collect();
    set(
        &mut status.conditions,
        generation,
        SYNCED,
        "WaitingForSync",
        &syncs,
    );
    set(
        &mut status.conditions,
        generation,
        CUT_OVER,
        "WaitingForCutover",
        &cutovers,
    );

    let is_true = |type_| conditions::is_true_at(&status.conditions, type_, generation);
    let (step, percent) = if !is_true(DEPLOYED) || !is_true(HEALTHY) {
        ("Deploy", deploy_percent(status))
    } else if let Some(percent) = open_percent(&syncs) {
        ("Sync", percent)
    } else if let Some(percent) = open_percent(&cutovers) {
        ("Cutover", percent)
    } else {
        ("Done", 100)
    };
    status.step = Some(step.to_owned());
    status.percent = Some(percent);
}

fn sync_part(sync: &DataSync) -> Part<'_> {
    let status = sync.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let percent = status.and_then(|status| status.percent).unwrap_or_default();
    part(sync, SYNCED, conditions, percent)
}

/// A cutover counts by its steps.
fn cutover_part(cutover: &Cutover) -> Part<'_> {
    let status = cutover.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let steps = status.map_or(&[][..], |status| &status.steps);
    let done = steps.iter().filter(|step| step.state == "Done").count();
    part(cutover, CUT_OVER, conditions, percent_of(done, steps.len()))
}

fn part<'a>(object: &impl ResourceExt, stage: &str, conditions: &'a [Condition], percent: i32) -> Part<'a> {
    let generation = object.meta().generation.unwrap_or_default();
    Part {
        name: object.name_any(),
        ready: conditions::is_true_at(conditions, READY, generation),
        done: conditions::is_true_at(conditions, stage, generation),
        percent,
        reason: conditions::find(conditions, READY).map_or("NotObserved", |ready| ready.reason.as_str()),
    }
}

/// Where there are no parts there is nothing to say. The reason is repeated and not the message, which changes with every
/// byte that is copied.
fn set(conditions: &mut Vec<Condition>, generation: i64, type_: &str, waiting: &str, parts: &[Part<'_>]) {
    if parts.is_empty() {
        conditions::remove(conditions, type_);
        return;
    }
    match parts.iter().find(|part| !part.done) {
        Some(part) => {
            let message = format!("{} is not done: {}", part.name, part.reason);
            conditions::set(conditions, generation, type_, false, waiting, message);
        }
        None => {
            let names = parts
                .iter()
                .map(|part| part.name.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            conditions::set(
                conditions,
                generation,
                type_,
                true,
                "Ready",
                format!("{names} done"),
            );
        }
    }
}

/// The mean percentage, where any is open.
fn open_percent(parts: &[Part<'_>]) -> Option<i32> {
    let open = parts.iter().any(|part| !part.ready);
    let sum: i32 = parts
        .iter()
        .map(|part| if part.ready { 100 } else { part.percent.min(99) })
        .sum();
    open.then(|| sum / i32::try_from(parts.len()).unwrap_or(i32::MAX))
}

fn deploy_percent(status: &HprtBundleStatus) -> i32 {
    let services = || status.stacks.iter().flat_map(|stack| &stack.services);
    let up = services().filter(|service| {
        service.state == "running" && (service.health.is_empty() || service.health == "healthy")
    });
    percent_of(up.count(), services().count())
}

fn percent_of(done: usize, total: usize) -> i32 {
    (done * 100)
        .checked_div(total)
        .and_then(|percent| i32::try_from(percent).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn bundle() -> HprtBundle {
        serde_json::from_value(json!({
            "apiVersion": "homeport.dev/v1alpha1", "kind": "HprtBundle",
            "metadata": { "name": "shop", "generation": 1 },
            "spec": { "source": { "path": "a.hprt" }, "target": { "local": {} } },
        }))
        .unwrap()
    }

    fn sync(ready: bool, percent: i32) -> DataSync {
        let mut conditions = Vec::new();
        for type_ in [READY, SYNCED] {
            conditions::set(&mut conditions, 1, type_, ready, "Reason", "copying");
        }
        serde_json::from_value(json!({
            "apiVersion": "homeport.dev/v1alpha1", "kind": "DataSync",
            "metadata": { "name": "main", "generation": 1 },
            "spec": { "bundleRef": { "name": "shop" } },
            "status": { "observedGeneration": 1, "percent": percent, "conditions": conditions },
        }))
        .unwrap()
    }

    fn deployed() -> HprtBundleStatus {
        let mut status = HprtBundleStatus::default();
        conditions::set(&mut status.conditions, 1, DEPLOYED, true, "Deployed", "");
        conditions::set(&mut status.conditions, 1, HEALTHY, true, "Healthy", "");
        status
    }

    #[test]
    fn the_step_follows_the_resources() {
        let step = |dependents: Dependents, mut status: HprtBundleStatus| {
            roll_up(&bundle(), &dependents, &mut status);
            (status.step.unwrap(), status.percent.unwrap())
        };
        assert_eq!(
            step(Dependents::default(), HprtBundleStatus::default()),
            ("Deploy".into(), 0)
        );
        assert_eq!(step(Dependents::default(), deployed()), ("Done".into(), 100));
        let half = Dependents {
            syncs: vec![sync(true, 100), sync(false, 40)],
            cutovers: Vec::new(),
        };
        assert_eq!(step(half, deployed()), ("Sync".into(), 70));
    }

    #[test]
    fn a_cutover_that_was_rolled_back_is_ready_and_not_cut_over() {
        let mut conditions = Vec::new();
        conditions::set(&mut conditions, 1, READY, true, "RolledBack", "");
        conditions::set(&mut conditions, 1, CUT_OVER, false, "RolledBack", "");
        let cutover: Cutover = serde_json::from_value(json!({
            "apiVersion": "homeport.dev/v1alpha1", "kind": "Cutover",
            "metadata": { "name": "names", "generation": 1 },
            "spec": { "bundleRef": { "name": "shop" }, "desired": "RolledBack", "provider": { "manual": {} } },
            "status": { "observedGeneration": 1, "conditions": conditions },
        }))
        .unwrap();
        let mut status = deployed();
        let dependents = Dependents {
            syncs: Vec::new(),
            cutovers: vec![cutover],
        };
        roll_up(&bundle(), &dependents, &mut status);
        assert_eq!(status.step.as_deref(), Some("Done"));
        let cut_over = conditions::find(&status.conditions, CUT_OVER).unwrap();
        assert_eq!(
            (cut_over.status.as_str(), cut_over.message.as_str()),
            ("False", "names is not done: RolledBack")
        );
    }

    #[test]
    fn an_open_sync_never_counts_as_whole() {
        let mut status = deployed();
        let dependents = Dependents {
            syncs: vec![sync(false, 100)],
            cutovers: Vec::new(),
        };
        roll_up(&bundle(), &dependents, &mut status);
        assert_eq!(status.percent, Some(99));
        let synced = conditions::find(&status.conditions, SYNCED).unwrap();
        assert_eq!(
            (synced.status.as_str(), synced.message.as_str()),
            ("False", "main is not done: Reason")
        );
    }
}
