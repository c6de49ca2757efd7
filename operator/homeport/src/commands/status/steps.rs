//! The five steps of a migration, read from its resources' status.

use homeport_crds::conditions::{self, DEPLOYED, HEALTHY, READY, STALLED};
use homeport_crds::{Cutover, DataSync, HprtBundle, SecretBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::output;

/// A bundle and what is for it.
pub(super) struct Migration<'a> {
    pub(super) bundle: &'a HprtBundle,
    pub(super) bindings: &'a [SecretBinding],
    pub(super) syncs: &'a [DataSync],
    pub(super) cutovers: &'a [Cutover],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    Running,
    Waiting,
    Failed,
    Stalled,
    NotAsked,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "retrying",
            Self::Stalled => "stalled",
            Self::NotAsked => "-",
        }
    }
}

struct Step {
    name: &'static str,
    state: State,
    progress: String,
    detail: String,
}

impl Step {
    fn new(name: &'static str, state: State, progress: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            name,
            state,
            progress: progress.into(),
            detail: detail.into(),
        }
    }
}

/// The table of a migration.
pub(super) fn render(migration: &Migration<'_>) -> String {
    let bundle = migration.bundle;
    let target = match (&bundle.spec.target.local, &bundle.spec.target.ssh) {
        (_, Some(ssh)) => format!("{}@{}", ssh.user, ssh.host),
        _ => "local".to_owned(),
    };
    let title = format!(
        "{}/{} -> {target}",
        bundle.namespace().unwrap_or_default(),
        bundle.name_any()
    );
    let rows: Vec<[String; 4]> = [
        analyze(bundle),
        export(bundle),
        deploy(migration),
        sync(migration),
        cutover(migration),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, step)| {
        [
            format!("{}/5 {}", index + 1, step.name),
            step.state.text().to_owned(),
            step.progress,
            step.detail,
        ]
    })
    .collect();
    format!(
        "{title}\n{}",
        output::table(["STEP", "STATE", "PROGRESS", "DETAIL"], &rows)
    )
}

/// Analysis is over before there is a bundle: the bundle says what it found.
fn analyze(bundle: &HprtBundle) -> Step {
    let Some(summary) = bundle.status.as_ref().and_then(|status| status.bundle.as_ref()) else {
        return Step::new("Analyze", State::Waiting, "", "for the bundle");
    };
    let place = [&summary.provider, &summary.region]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    let resources = summary
        .resource_count
        .map_or_else(String::new, |count| format!("{count} resources"));
    Step::new("Analyze", State::Done, resources, place)
}

fn export(bundle: &HprtBundle) -> Step {
    let Some(status) = &bundle.status else {
        return Step::new("Export", State::Waiting, "", "for the bundle");
    };
    match &status.bundle {
        Some(summary) => {
            let digest = summary.digest.trim_start_matches("sha256:");
            let short = digest.get(..12).unwrap_or(digest);
            let detail = format!("sha256:{short}, format {}", summary.format_version);
            Step::new("Export", State::Done, format!("{} files", summary.files), detail)
        }
        None => Step::new(
            "Export",
            verdict(&status.conditions),
            "",
            message(&status.conditions),
        ),
    }
}

fn deploy(migration: &Migration<'_>) -> Step {
    let bundle = migration.bundle;
    let generation = bundle.metadata.generation.unwrap_or_default();
    let Some(status) = &bundle.status else {
        return Step::new("Deploy", State::Waiting, "", "");
    };
    let progress = status
        .stacks_ready
        .as_ref()
        .map_or_else(String::new, |ready| format!("{ready} stacks"));
    let is_true = |type_| conditions::is_true_at(&status.conditions, type_, generation);
    if is_true(DEPLOYED) && is_true(HEALTHY) {
        let revision = status
            .revision
            .map_or_else(String::new, |revision| format!("revision {revision}, healthy"));
        return Step::new("Deploy", State::Done, progress, revision);
    }
    let waits_for_secrets =
        conditions::find(&status.conditions, READY).is_some_and(|ready| ready.reason == "WaitingForSecrets");
    // A secret that is missing is the binding's to explain.
    let unresolved = migration
        .bindings
        .iter()
        .filter_map(|binding| conditions::find(&binding.status.as_ref()?.conditions, READY))
        .find(|ready| waits_for_secrets && ready.status == "False");
    let detail = unresolved.map_or_else(|| message(&status.conditions), |ready| ready.message.clone());
    Step::new("Deploy", verdict(&status.conditions), progress, detail)
}

fn sync(migration: &Migration<'_>) -> Step {
    let [first, ..] = migration.syncs else {
        return Step::new("Sync", State::NotAsked, "", "no DataSync for this bundle");
    };
    // The one that is furthest from done tells how the step is.
    let sync = migration
        .syncs
        .iter()
        .find(|sync| !is_ready(sync.metadata.generation, sync_conditions(sync)));
    let Some(status) = sync.unwrap_or(first).status.as_ref() else {
        return Step::new("Sync", State::Waiting, "", "");
    };
    let tasks = status
        .tasks_done
        .as_ref()
        .map_or_else(String::new, |done| format!("{done} tasks"));
    let progress = [
        tasks,
        status
            .percent
            .map_or_else(String::new, |percent| format!("{percent}%")),
    ];
    let progress = progress
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    if sync.is_none() {
        return Step::new("Sync", State::Done, progress, message(&status.conditions));
    }
    let pace = match (&status.rate, &status.eta) {
        (Some(rate), Some(eta)) => format!(" ({rate}, {eta} left)"),
        _ => String::new(),
    };
    let detail = format!("{}{pace}", message(&status.conditions));
    Step::new("Sync", verdict(&status.conditions), progress, detail)
}

fn cutover(migration: &Migration<'_>) -> Step {
    let [first, ..] = migration.cutovers else {
        return Step::new("Cutover", State::NotAsked, "", "no Cutover for this bundle");
    };
    let open = migration.cutovers.iter().find(|cutover| {
        let conditions = cutover
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        !is_ready(cutover.metadata.generation, conditions)
    });
    let Some(status) = open.unwrap_or(first).status.as_ref() else {
        return Step::new("Cutover", State::Waiting, "", "");
    };
    let progress = status
        .step
        .clone()
        .or_else(|| status.state.clone())
        .unwrap_or_default();
    let state = if open.is_none() {
        State::Done
    } else {
        verdict(&status.conditions)
    };
    Step::new("Cutover", state, progress, message(&status.conditions))
}

fn sync_conditions(sync: &DataSync) -> &[Condition] {
    sync.status.as_ref().map_or(&[], |status| &status.conditions)
}

fn is_ready(generation: Option<i64>, conditions: &[Condition]) -> bool {
    conditions::is_true_at(conditions, READY, generation.unwrap_or_default())
}

fn message(conditions: &[Condition]) -> String {
    conditions::find(conditions, READY).map_or_else(String::new, |ready| ready.message.clone())
}

/// How a resource that is not done is, by its conditions.
fn verdict(conditions: &[Condition]) -> State {
    if conditions::find(conditions, STALLED).is_some_and(|stalled| stalled.status == "True") {
        return State::Stalled;
    }
    match conditions::find(conditions, READY) {
        None => State::Waiting,
        Some(ready) if ready.status == "False" => State::Failed,
        Some(ready) if ready.reason.starts_with("Waiting") => State::Waiting,
        Some(_) => State::Running,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({
            "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    }

    fn bundle(status: Value) -> HprtBundle {
        serde_json::from_value(json!({
            "apiVersion": "homeport.dev/v1alpha1", "kind": "HprtBundle",
            "metadata": { "name": "webshop", "namespace": "default", "generation": 1 },
            "spec": { "source": { "path": "a.hprt" }, "target": { "local": {} } },
            "status": status,
        }))
        .unwrap()
    }

    fn sync_of(status: Value) -> DataSync {
        serde_json::from_value(json!({
            "apiVersion": "homeport.dev/v1alpha1", "kind": "DataSync",
            "metadata": { "name": "webshop", "namespace": "default", "generation": 1 },
            "spec": { "bundleRef": { "name": "webshop" } },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_migration_under_way_is_told_in_five_steps() {
        let bundle = bundle(json!({
            "observedGeneration": 1, "stacksReady": "2/2", "revision": 1,
            "bundle": {
                "digest": "sha256:0123456789abcdef", "formatVersion": "1.0.0", "homeportVersion": "0.1.0",
                "created": "2026-01-01T00:00:00Z", "provider": "aws", "region": "us-east-1", "resourceCount": 24,
                "stackCount": 2, "files": 23, "sizeBytes": 1000,
            },
            "conditions": [
                condition("Deployed", "True", "Deployed", ""), condition("Healthy", "True", "Healthy", ""),
                condition("Ready", "True", "Healthy", "2/2 stacks healthy"),
            ],
        }));
        let sync = sync_of(json!({
            "observedGeneration": -1, "tasksDone": "0/1", "percent": 43, "rate": "85 MB/s", "eta": "12s",
            "conditions": [condition("Ready", "Unknown", "Copying", "copying main")],
        }));
        let table = render(&Migration {
            bundle: &bundle,
            bindings: &[],
            syncs: &[sync],
            cutovers: &[],
        });
        assert_eq!(
            table,
            "default/webshop -> local\n\
             STEP         STATE    PROGRESS        DETAIL\n\
             1/5 Analyze  done     24 resources    aws us-east-1\n\
             2/5 Export   done     23 files        sha256:0123456789ab, format 1.0.0\n\
             3/5 Deploy   done     2/2 stacks      revision 1, healthy\n\
             4/5 Sync     running  0/1 tasks, 43%  copying main (85 MB/s, 12s left)\n\
             5/5 Cutover  -                        no Cutover for this bundle"
        );
    }

    #[rstest]
    #[case("Unknown", "WaitingForBundle", State::Waiting)]
    #[case("Unknown", "Copying", State::Running)]
    #[case("False", "TargetUnreachable", State::Failed)]
    fn an_open_step_is_judged_by_ready(#[case] status: &str, #[case] reason: &str, #[case] expected: State) {
        let conditions: Vec<Condition> =
            serde_json::from_value(json!([condition("Ready", status, reason, "")])).unwrap();
        assert_eq!(verdict(&conditions), expected);
    }

    #[test]
    fn what_was_ready_for_an_older_spec_is_open() {
        let conditions: Vec<Condition> =
            serde_json::from_value(json!([condition("Ready", "True", "Synced", "")])).unwrap();
        assert!(is_ready(Some(1), &conditions));
        assert!(!is_ready(Some(2), &conditions));
    }
}
