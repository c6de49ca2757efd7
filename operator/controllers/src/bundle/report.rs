//! What a pass observed, written into the status.

use homeport_crds::bundle::{BundleSummary, ServiceStatus, SnapshotStatus, StackStatus};
use homeport_crds::common::{Outcome as RunOutcome, RunRecord, record_run};
use homeport_crds::conditions::{self, DEPLOYED, FETCHED, HEALTHY, TARGET_REACHABLE, VERIFIED};
use homeport_crds::{HprtBundle, HprtBundleStatus};
use homeport_deploy::{StackChange, StackPhase, StackState, summary};
use jiff::Timestamp;

use super::fetch::Fetched;
use super::target::{DeployResult, Placed, Progress};
use crate::runtime::Failure;

/// Writes into the status of one bundle.
pub(super) struct Report<'a> {
    status: &'a mut HprtBundleStatus,
    generation: i64,
    rolls_back: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(object: &HprtBundle, status: &'a mut HprtBundleStatus) -> Self {
        Self {
            status,
            generation: object.metadata.generation.unwrap_or_default(),
            rolls_back: object.spec.revision.is_some(),
        }
    }

    /// A stage holds.
    pub(super) fn holds(&mut self, stage: &str, reason: &str, message: &str) {
        conditions::set(
            &mut self.status.conditions,
            self.generation,
            stage,
            true,
            reason,
            message,
        );
    }

    /// A stage is under way.
    pub(super) fn unknown(&mut self, stage: &str, reason: &str, message: &str) {
        conditions::set_unknown(
            &mut self.status.conditions,
            self.generation,
            stage,
            reason,
            message,
        );
    }

    /// A stage failed; hands the failure on. A target that does not answer is that stage's failure, whichever noticed it.
    /// It leaves open how healthy the services are, and so does a deployment that failed.
    pub(super) fn failed(&mut self, stage: &str, failure: Failure) -> Failure {
        let unreachable = failure.reason() == "TargetUnreachable";
        let stage = if unreachable { TARGET_REACHABLE } else { stage };
        let (reason, message) = (failure.reason(), failure.to_string());
        if unreachable || stage == DEPLOYED {
            self.unknown(HEALTHY, reason, &message);
        }
        conditions::set(
            &mut self.status.conditions,
            self.generation,
            stage,
            false,
            reason,
            message,
        );
        failure
    }

    /// The bundle is here and verified. Whether it is another one than the conditions after this stage speak of; they are
    /// open then.
    pub(super) fn fetched(&mut self, fetched: &Fetched) -> bool {
        let digest = format!("sha256:{}", fetched.digest);
        let is_other = self
            .status
            .bundle
            .as_ref()
            .is_some_and(|known| known.digest != digest)
            && conditions::find(&self.status.conditions, DEPLOYED)
                .is_some_and(|deployed| deployed.status == "True");
        if is_other {
            for stage in [DEPLOYED, HEALTHY] {
                self.unknown(stage, "NewBundle", "another bundle is to be deployed");
            }
        }
        let manifest = &fetched.bundle.manifest;
        self.holds(FETCHED, "Fetched", &format!("sha256:{}", fetched.digest));
        self.holds(
            VERIFIED,
            "Verified",
            &format!("{} files are as the manifest says", fetched.files),
        );
        self.status.bundle = Some(BundleSummary {
            digest: format!("sha256:{}", fetched.digest),
            format_version: manifest.version.to_string(),
            homeport_version: manifest.homeport_version.clone(),
            created: manifest
                .created
                .map(|created| created.to_string())
                .unwrap_or_default(),
            provider: manifest.source.as_ref().map(|source| source.provider.clone()),
            region: manifest.source.as_ref().and_then(|source| source.region.clone()),
            resource_count: manifest
                .source
                .as_ref()
                .map(|source| to_i64(source.resource_count)),
            stack_count: to_i64(manifest.stacks.len() as u64),
            files: to_i64(fetched.files),
            size_bytes: to_i64(fetched.size),
            dependencies: manifest
                .dependencies
                .iter()
                .map(|(name, need)| (name.clone(), need.to_string()))
                .collect(),
        });
        let required = fetched
            .bundle
            .secrets
            .iter()
            .flat_map(|manifest| &manifest.secrets);
        self.status.required_secrets = required
            .filter(|secret| secret.required)
            .map(|secret| secret.name.clone())
            .collect();
        is_other
    }

    /// Nothing is done: this would be.
    pub(super) fn planned(&mut self, changes: &[StackChange]) {
        self.status.plan = changes.iter().map(ToString::to_string).collect();
    }

    /// The release that is looked at.
    pub(super) fn release(&mut self, placed: &Placed) {
        self.status.plan.clear();
        if placed.is_current {
            self.status.revision = Some(placed.release.revision());
        }
    }

    /// All is deployed and healthy.
    pub(super) fn running(&mut self, states: &[StackState]) {
        self.stacks(states);
        let message = format!("{} stacks", summary(states));
        self.holds(DEPLOYED, "Deployed", &message);
        let unhealthy = states.iter().find(|state| state.phase != StackPhase::Healthy);
        match unhealthy {
            None => self.holds(HEALTHY, "Healthy", &format!("{message} healthy")),
            // Only where the spec says not to wait for health.
            Some(state) => {
                let message = format!("stack {}: {} services healthy", state.name, state.summary());
                conditions::set(
                    &mut self.status.conditions,
                    self.generation,
                    HEALTHY,
                    false,
                    "NotHealthy",
                    message,
                );
            }
        }
    }

    /// The deployment goes on.
    pub(super) fn progress(&mut self, progress: &Progress) {
        self.unknown(DEPLOYED, "Deploying", progress.message());
        self.unknown(HEALTHY, "Deploying", progress.message());
        if !progress.states.is_empty() {
            let states: Vec<StackState> = progress.states.values().cloned().collect();
            self.merge_stacks(&states);
        }
    }

    /// The deployment has ended.
    pub(super) fn ended(&mut self, result: &DeployResult) {
        if let Some(snapshot) = &result.snapshot {
            self.status.snapshot = Some(SnapshotStatus {
                revision: snapshot.revision,
                taken_at: snapshot.taken.to_string(),
                containers: to_i64(snapshot.running() as u64),
            });
        }
        let (outcome, message) = match &result.outcome {
            Ok(states) => {
                self.status.revision = Some(result.revision);
                (RunOutcome::Succeeded, format!("{} stacks", summary(states)))
            }
            Err(failure) => {
                for stack in &mut self.status.stacks {
                    if stack.state == "Deploying" {
                        stack.state = "Failed".to_owned();
                    }
                }
                (RunOutcome::Failed, format!("{}: {failure}", failure.reason()))
            }
        };
        if !result.changed {
            return;
        }
        let run = RunRecord {
            action: if self.rolls_back { "RollBack" } else { "Deploy" }.to_owned(),
            revision: Some(result.revision),
            generation: self.generation,
            started_at: result.started.to_string(),
            finished_at: Timestamp::now().to_string(),
            outcome,
            message,
        };
        match self.status.history.first_mut() {
            Some(last) if last.started_at == run.started_at => {}
            // Tries that fail alike are one entry: they must not push out the revisions that can be rolled back to.
            Some(last) if fails_alike(last, &run) => *last = run,
            _ => record_run(&mut self.status.history, run),
        }
    }

    fn stacks(&mut self, states: &[StackState]) {
        self.status.stacks = states.iter().map(stack_status).collect();
        self.status.stacks_ready = Some(summary(states));
    }

    /// Puts what is known of some stacks over what was known of all.
    fn merge_stacks(&mut self, states: &[StackState]) {
        for state in states {
            let fresh = stack_status(state);
            match self
                .status
                .stacks
                .iter_mut()
                .find(|stack| stack.name == state.name)
            {
                Some(stack) => *stack = fresh,
                None => self.status.stacks.push(fresh),
            }
        }
        let total = self.status.bundle.as_ref().map_or(0, |bundle| bundle.stack_count);
        let healthy = self
            .status
            .stacks
            .iter()
            .filter(|stack| stack.state == "Healthy")
            .count();
        self.status.stacks_ready = Some(format!("{healthy}/{total}"));
    }
}

/// Whether two runs failed to deploy the same revision for the same reason, which begins the message.
fn fails_alike(a: &RunRecord, b: &RunRecord) -> bool {
    let reason = |run: &RunRecord| run.message.split(':').next().map(str::to_owned);
    a.outcome == RunOutcome::Failed
        && b.outcome == RunOutcome::Failed
        && a.revision == b.revision
        && reason(a) == reason(b)
}

fn stack_status(state: &StackState) -> StackStatus {
    let phase = match state.phase {
        StackPhase::Pending => "Pending",
        StackPhase::Deploying => "Deploying",
        StackPhase::Healthy => "Healthy",
        StackPhase::Unhealthy => "Unhealthy",
        StackPhase::Missing => "Missing",
    };
    let services = state.services.iter().map(|service| ServiceStatus {
        name: service.name.clone(),
        state: service.state.clone(),
        health: service.health.clone(),
        image: service.image.clone(),
    });
    StackStatus {
        name: state.name.clone(),
        state: phase.to_owned(),
        services_ready: state.summary(),
        services: services.collect(),
        message: state.drift.clone().unwrap_or_default(),
    }
}

fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
