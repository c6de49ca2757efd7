//! What runs of a release, for its status and to notice drift.

use std::collections::BTreeMap;

use homeport_bundle::Stack;

use crate::compose::{Compose, Container};
use crate::decide::drift;
use crate::engine::Engine;
use crate::error::Result;
use crate::fingerprint::Salt;
use crate::gate::service_states;
use crate::host::Host;
use crate::record::{Deployment, StackRecord};
use crate::redact::Redactor;
use crate::release::Release;
use crate::stack::keyed;
use crate::state::{ServiceState, StackPhase, StackState};

/// What runs of a release's stacks, in the order of its manifest. Needs no secrets.
pub async fn observe(host: &dyn Host, release: &Release) -> Result<Vec<StackState>> {
    let engine = Engine::of(host).await?;
    let secrets = BTreeMap::new();
    let redactor = Redactor::new(&secrets);
    let compose = Compose::new(host, &engine, &secrets, &redactor);
    let salt = Salt::peek(host, release.layout()).await?;
    let deployment = Deployment::load(host, release.layout()).await?;
    states(&compose, &salt, release, &deployment).await
}

pub(crate) async fn states(
    compose: &Compose<'_>,
    salt: &Salt,
    release: &Release,
    deployment: &Deployment,
) -> Result<Vec<StackState>> {
    let mut states = Vec::new();
    for stack in &release.manifest().stacks {
        states.push(match deployment.stacks.get(&stack.name) {
            Some(record) => {
                let containers = keyed(salt, compose.containers(&record.project).await?);
                state(&stack.name, record, &containers)
            }
            None => pending(stack),
        });
    }
    Ok(states)
}

/// The state of a stack that has not been brought up.
fn pending(stack: &Stack) -> StackState {
    let service = |name: &String| ServiceState {
        name: name.clone(),
        state: "missing".to_owned(),
        health: String::new(),
        exit_code: None,
        image: String::new(),
        healthy: false,
    };
    StackState {
        name: stack.name.clone(),
        phase: StackPhase::Pending,
        services: stack.services.iter().map(service).collect(),
        drift: None,
    }
}

/// The state of a stack that was brought up, from its containers.
fn state(name: &str, record: &StackRecord, containers: &[Container]) -> StackState {
    let services = service_states(&record.services, containers);
    let is_wanted = record.services.values().any(|service| service.replicas > 0);
    let phase = if services.iter().all(|service| service.healthy) {
        StackPhase::Healthy
    } else if !record.settled {
        StackPhase::Deploying
    } else if containers.is_empty() && is_wanted {
        StackPhase::Missing
    } else {
        StackPhase::Unhealthy
    };
    StackState {
        name: name.to_owned(),
        phase,
        services,
        drift: record
            .settled
            .then(|| drift(&record.services, containers))
            .flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Gate, ServiceRecord};
    use jiff::Timestamp;
    use rstest::rstest;

    fn record(settled: bool) -> StackRecord {
        let service = || ServiceRecord {
            config: "h".to_owned(),
            replicas: 1,
            gate: Gate::Running,
            image: "app:1".to_owned(),
        };
        StackRecord {
            revision: 1,
            project: "p".to_owned(),
            fingerprint: String::new(),
            services: [("db".to_owned(), service()), ("web".to_owned(), service())].into(),
            settled,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn container(service: &str, state: &str) -> Container {
        Container {
            service: service.to_owned(),
            state: state.to_owned(),
            config_hash: "h".to_owned(),
            ..Container::default()
        }
    }

    #[rstest]
    #[case(true, &[("db", "running"), ("web", "running")], StackPhase::Healthy, "2/2", false)]
    #[case(false, &[("db", "running"), ("web", "created")], StackPhase::Deploying, "1/2", false)]
    #[case(true, &[("db", "running"), ("web", "exited")], StackPhase::Unhealthy, "1/2", true)]
    #[case(true, &[("db", "running")], StackPhase::Unhealthy, "1/2", true)]
    #[case(true, &[], StackPhase::Missing, "0/2", true)]
    fn phases(
        #[case] settled: bool,
        #[case] containers: &[(&str, &str)],
        #[case] phase: StackPhase,
        #[case] summary: &str,
        #[case] drifted: bool,
    ) {
        let containers: Vec<Container> = containers.iter().map(|(s, state)| container(s, state)).collect();
        let state = state("shop", &record(settled), &containers);
        assert_eq!((state.phase, state.summary().as_str()), (phase, summary));
        assert_eq!(state.drift.is_some(), drifted);
    }
}
