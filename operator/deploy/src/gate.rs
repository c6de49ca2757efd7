//! When a stack is healthy: a judgement from what the engine says of its containers. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::compose::{Container, Project, Service};
use crate::record::{Gate, ServiceRecord};
use crate::state::ServiceState;

/// What can be said of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it should be.
    Healthy,
    /// It is not yet, or not any more, but may become so by itself.
    Waiting,
    /// It has failed, and nothing will start it again.
    Failed,
}

/// When a service of a project counts as healthy.
pub(crate) fn gate_of(name: &str, project: &Project) -> Gate {
    let is_awaited = project
        .services
        .values()
        .filter_map(|service| service.depends_on.get(name))
        .any(|dependency| dependency.condition == "service_completed_successfully");
    match project
        .services
        .get(name)
        .and_then(|service| service.restart.as_deref())
    {
        Some("no") => Gate::Done,
        _ if is_awaited => Gate::Done,
        None | Some("") => Gate::RunningOrDone,
        Some(policy) if policy.starts_with("on-failure") => Gate::RunningOrDone,
        Some(_) => Gate::Running,
    }
}

/// How many containers a service has.
pub(crate) fn replicas_of(service: &Service) -> u32 {
    let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
    service.scale.or(replicas).unwrap_or(1)
}

/// What can be said of a container of a service with that gate.
pub(crate) fn verdict(gate: Gate, container: &Container) -> Verdict {
    match (container.state.as_str(), container.health.as_str()) {
        ("running", "healthy") => Verdict::Healthy,
        ("running", "") if gate != Gate::Done => Verdict::Healthy,
        ("exited", _) if gate == Gate::Running => Verdict::Waiting,
        ("exited", _) if container.exit_code == 0 => Verdict::Healthy,
        ("exited" | "dead", _) => Verdict::Failed,
        _ => Verdict::Waiting,
    }
}

/// The state of a service with those containers; the worst of them stands for all.
pub(crate) fn service_state(name: &str, record: &ServiceRecord, containers: &[Container]) -> ServiceState {
    let own: Vec<&Container> = containers.iter().filter(|c| c.service == name).collect();
    let worst = own
        .iter()
        .copied()
        .find(|c| verdict(record.gate, c) != Verdict::Healthy)
        .or_else(|| own.first().copied());
    let complete = own.len() >= record.replicas as usize;
    let all_healthy = own.iter().all(|c| verdict(record.gate, c) == Verdict::Healthy);
    ServiceState {
        name: name.to_owned(),
        state: worst.map_or_else(|| "missing".to_owned(), |c| c.state.clone()),
        health: worst.map(|c| c.health.clone()).unwrap_or_default(),
        exit_code: worst
            .filter(|c| matches!(c.state.as_str(), "exited" | "dead"))
            .map(|c| c.exit_code),
        image: worst.map_or_else(|| record.image.clone(), |c| c.image.clone()),
        healthy: complete && all_healthy,
    }
}

/// Remembers since when containers run, to tell those that stay up from those that fall over again and again.
#[derive(Debug)]
pub(crate) struct Stability {
    needed: Duration,
    since: HashMap<(String, String), Instant>,
}

impl Stability {
    pub(crate) fn new(needed: Duration) -> Self {
        Self {
            needed,
            since: HashMap::new(),
        }
    }

    /// Whether all containers have run long enough without a restart. Those with a health check, and those that have
    /// ended, need not.
    pub(crate) fn reached(&mut self, containers: &[Container], now: Instant) -> bool {
        let starts: Vec<(String, String)> = containers
            .iter()
            .filter(|c| c.state == "running" && c.health.is_empty())
            .map(|c| (c.id.clone(), c.started_at.clone()))
            .collect();
        self.since.retain(|start, _| starts.contains(start));
        let needed = self.needed;
        let mut reached = true;
        for start in starts {
            let since = self.since.entry(start).or_insert(now);
            reached &= now.duration_since(*since) >= needed;
        }
        reached
    }
}

/// The states of a stack's services, in the order of their names.
pub(crate) fn service_states(
    services: &BTreeMap<String, ServiceRecord>,
    containers: &[Container],
) -> Vec<ServiceState> {
    services
        .iter()
        .map(|(name, record)| service_state(name, record, containers))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    fn container(state: &str, health: &str, exit_code: i64) -> Container {
        Container {
            id: "c1".to_owned(),
            service: "web".to_owned(),
            state: state.to_owned(),
            health: health.to_owned(),
            exit_code,
            started_at: "t1".to_owned(),
            ..Container::default()
        }
    }

    #[rstest]
    #[case(Gate::Running, "running", "", 0, Verdict::Healthy)]
    #[case(Gate::Running, "running", "starting", 0, Verdict::Waiting)]
    #[case(Gate::Running, "running", "unhealthy", 0, Verdict::Waiting)]
    #[case(Gate::Running, "running", "healthy", 0, Verdict::Healthy)]
    #[case(Gate::Running, "restarting", "", 1, Verdict::Waiting)]
    #[case(Gate::Running, "exited", "", 0, Verdict::Waiting)]
    #[case(Gate::Running, "exited", "", 1, Verdict::Waiting)]
    #[case(Gate::Running, "paused", "healthy", 0, Verdict::Waiting)]
    #[case(Gate::RunningOrDone, "running", "", 0, Verdict::Healthy)]
    #[case(Gate::RunningOrDone, "exited", "", 0, Verdict::Healthy)]
    #[case(Gate::RunningOrDone, "exited", "", 137, Verdict::Failed)]
    #[case(Gate::Done, "created", "", 0, Verdict::Waiting)]
    #[case(Gate::Done, "running", "", 0, Verdict::Waiting)]
    #[case(Gate::Done, "running", "healthy", 0, Verdict::Healthy)]
    #[case(Gate::Done, "exited", "", 0, Verdict::Healthy)]
    #[case(Gate::Done, "exited", "", 3, Verdict::Failed)]
    #[case(Gate::Done, "dead", "", 0, Verdict::Failed)]
    fn verdicts(
        #[case] gate: Gate,
        #[case] state: &str,
        #[case] health: &str,
        #[case] code: i64,
        #[case] expected: Verdict,
    ) {
        assert_eq!(verdict(gate, &container(state, health, code)), expected);
    }

    #[rstest]
    #[case(r#"{"services":{"a":{}}}"#, Gate::RunningOrDone)]
    #[case(r#"{"services":{"a":{"restart":"no"}}}"#, Gate::Done)]
    #[case(r#"{"services":{"a":{"restart":"unless-stopped"}}}"#, Gate::Running)]
    #[case(r#"{"services":{"a":{"restart":"on-failure:3"}}}"#, Gate::RunningOrDone)]
    #[case(
        r#"{"services":{"a":{},"b":{"depends_on":{"a":{"condition":"service_completed_successfully"}}}}}"#,
        Gate::Done
    )]
    #[case(
        r#"{"services":{"a":{},"b":{"depends_on":{"a":{"condition":"service_started"}}}}}"#,
        Gate::RunningOrDone
    )]
    fn gates(#[case] project: &str, #[case] expected: Gate) {
        assert_eq!(gate_of("a", &serde_json::from_str(project).unwrap()), expected);
    }

    fn record(replicas: u32) -> ServiceRecord {
        ServiceRecord {
            config: String::new(),
            replicas,
            gate: Gate::Running,
            image: "app:1".to_owned(),
        }
    }

    #[test]
    fn a_service_is_as_healthy_as_its_worst_container() {
        let two = [
            container("running", "healthy", 0),
            container("running", "unhealthy", 0),
        ];
        let state = service_state("web", &record(2), &two);
        assert!(!state.healthy);
        assert_eq!(state.health, "unhealthy");
    }

    #[test]
    fn a_service_needs_all_its_containers() {
        assert!(!service_state("web", &record(2), &[container("running", "healthy", 0)]).healthy);
        assert!(service_state("web", &record(0), &[]).healthy);
        let missing = service_state("web", &record(1), &[]);
        assert_eq!(
            (missing.state.as_str(), missing.image.as_str()),
            ("missing", "app:1")
        );
    }

    #[test]
    fn only_what_stays_up_is_stable() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut stability = Stability::new(Duration::from_secs(3));
        let mut running = container("running", "", 0);
        assert!(!stability.reached(std::slice::from_ref(&running), start));
        assert!(stability.reached(std::slice::from_ref(&running), after(3)));

        running.started_at = "t2".to_owned();
        assert!(!stability.reached(std::slice::from_ref(&running), after(4)));
        assert!(stability.reached(std::slice::from_ref(&running), after(7)));
        assert!(stability.reached(&[container("running", "healthy", 0)], start));
    }
}
