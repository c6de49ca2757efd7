//! What to do with a stack: a decision from what is wanted, recorded and there. No I/O.

use std::collections::BTreeMap;

use crate::compose::Container;
use crate::gate::service_states;
use crate::record::{Gate, ServiceRecord, StackRecord};
use crate::report::Change;

/// What is wanted and what is there.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// Of the stack as it is wanted.
    pub(crate) fingerprint: &'a str,
    /// Its services as they are wanted.
    pub(crate) services: &'a BTreeMap<String, ServiceRecord>,
    /// IDs of the images that their names stand for now, of those that are on the host.
    pub(crate) image_ids: &'a BTreeMap<String, String>,
    /// The stack as it was last brought up.
    pub(crate) record: Option<&'a StackRecord>,
    /// What is there; hashes keyed.
    pub(crate) containers: &'a [Container],
    /// Whether containers of services that the stack does not have go.
    pub(crate) prune: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) change: Change,
    /// Why.
    pub(crate) reason: String,
    /// Whether Compose must bring it up, or it is enough to wait for it.
    pub(crate) up: bool,
}

impl Decision {
    fn update(reason: impl Into<String>, up: bool) -> Self {
        Self {
            change: Change::Update,
            reason: reason.into(),
            up,
        }
    }
}

/// Leaves a stack alone if it is what is wanted: bringing it up again would start tasks that have ended once more.
pub(crate) fn decide(facts: &Facts<'_>) -> Decision {
    let Some(record) = facts.record else {
        return if facts.containers.is_empty() {
            Decision {
                change: Change::Create,
                reason: String::new(),
                up: true,
            }
        } else {
            Decision::update("there are containers, but no record of them", true)
        };
    };
    if record.fingerprint != facts.fingerprint {
        return Decision::update("its configuration, files or secrets have changed", true);
    }
    if let Some(reason) = drift(&record.services, facts.containers) {
        return Decision::update(reason, true);
    }
    if let Some(reason) = changed_image(facts) {
        return Decision::update(reason, true);
    }
    if facts.prune
        && let Some(orphan) = facts
            .containers
            .iter()
            .find(|c| !facts.services.contains_key(&c.service))
    {
        return Decision::update(format!("service {} is to be removed", orphan.service), true);
    }
    if !record.settled {
        return Decision::update("it was being brought up", false);
    }
    let states = service_states(&record.services, facts.containers);
    match states.iter().find(|state| !state.healthy) {
        Some(state) => Decision::update(format!("service {} is not healthy", state.name), false),
        None => Decision {
            change: Change::Unchanged,
            reason: String::new(),
            up: false,
        },
    }
}

/// Why the containers are not those that were brought up, if they are not.
pub(crate) fn drift(services: &BTreeMap<String, ServiceRecord>, containers: &[Container]) -> Option<String> {
    services.iter().find_map(|(name, record)| {
        let own: Vec<&Container> = containers.iter().filter(|c| c.service == *name).collect();
        let replicas = record.replicas as usize;
        if own.len() != replicas {
            let found = own.len();
            return Some(format!(
                "service {name} has {found} containers instead of {replicas}"
            ));
        }
        own.iter().find_map(|container| {
            if container.config_hash != record.config {
                return Some(format!("service {name} has another configuration"));
            }
            is_down(record.gate, container).then(|| format!("service {name} is {}", container.state))
        })
    })
}

/// Whether a container needs someone to start it.
fn is_down(gate: Gate, container: &Container) -> bool {
    match container.state.as_str() {
        "exited" => gate == Gate::Running || container.exit_code != 0,
        "created" | "dead" | "paused" | "removing" => true,
        _ => false,
    }
}

fn changed_image(facts: &Facts<'_>) -> Option<String> {
    facts.containers.iter().find_map(|container| {
        let wanted = facts.image_ids.get(&container.service)?;
        (*wanted != container.image_id)
            .then(|| format!("service {} has another image of the same name", container.service))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use jiff::Timestamp;
    use rstest::rstest;

    struct Case {
        record: Option<StackRecord>,
        containers: Vec<Container>,
        image: &'static str,
        prune: bool,
    }

    fn services(gate: Gate) -> BTreeMap<String, ServiceRecord> {
        let web = ServiceRecord {
            config: "h1".to_owned(),
            replicas: 1,
            gate,
            image: "app:1".to_owned(),
        };
        BTreeMap::from([("web".to_owned(), web)])
    }

    fn settled() -> Case {
        let record = StackRecord {
            revision: 1,
            project: "p".to_owned(),
            fingerprint: "f1".to_owned(),
            services: services(Gate::Running),
            settled: true,
            since: Timestamp::UNIX_EPOCH,
        };
        let container = Container {
            service: "web".to_owned(),
            state: "running".to_owned(),
            image_id: "i1".to_owned(),
            config_hash: "h1".to_owned(),
            ..Container::default()
        };
        Case {
            record: Some(record),
            containers: vec![container],
            image: "i1",
            prune: false,
        }
    }

    fn with(mend: impl FnOnce(&mut Case)) -> Case {
        let mut case = settled();
        mend(&mut case);
        case
    }

    fn orphan() -> Container {
        Container {
            service: "old".to_owned(),
            state: "running".to_owned(),
            ..Container::default()
        }
    }

    #[rstest]
    #[case::settled(settled(), Change::Unchanged, false, "")]
    #[case::nothing(with(|c| { c.record = None; c.containers.clear(); }), Change::Create, true, "")]
    #[case::record_lost(with(|c| c.record = None), Change::Update, true, "no record")]
    #[case::configured(with(|c| c.record.as_mut().unwrap().fingerprint = "f0".into()), Change::Update, true, "changed")]
    #[case::removed(with(|c| c.containers.clear()), Change::Update, true, "0 containers instead of 1")]
    #[case::stopped(with(|c| c.containers[0].state = "exited".into()), Change::Update, true, "web is exited")]
    #[case::paused(with(|c| c.containers[0].state = "paused".into()), Change::Update, true, "web is paused")]
    #[case::changed(with(|c| c.containers[0].config_hash = "h0".into()), Change::Update, true, "another configuration")]
    #[case::image(with(|c| c.image = "i2"), Change::Update, true, "another image")]
    #[case::killed(with(|c| c.record.as_mut().unwrap().settled = false), Change::Update, false, "was being brought up")]
    #[case::unhealthy(with(|c| c.containers[0].health = "unhealthy".into()), Change::Update, false, "web is not healthy")]
    #[case::restarting(with(|c| c.containers[0].state = "restarting".into()), Change::Update, false, "not healthy")]
    #[case::orphan_stays(with(|c| c.containers.push(orphan())), Change::Unchanged, false, "")]
    #[case::orphan_goes(with(|c| { c.containers.push(orphan()); c.prune = true; }), Change::Update, true, "removed")]
    fn decisions(#[case] case: Case, #[case] change: Change, #[case] up: bool, #[case] reason: &str) {
        let decision = decide(&Facts {
            fingerprint: "f1",
            services: &services(Gate::Running),
            image_ids: &BTreeMap::from([("web".to_owned(), case.image.to_owned())]),
            record: case.record.as_ref(),
            containers: &case.containers,
            prune: case.prune,
        });
        assert_eq!((decision.change, decision.up), (change, up));
        assert!(decision.reason.contains(reason), "{}", decision.reason);
    }

    #[rstest]
    #[case(Gate::Done, 0, None)]
    #[case(Gate::RunningOrDone, 0, None)]
    #[case(Gate::Done, 1, Some("service web is exited"))]
    #[case(Gate::Running, 0, Some("service web is exited"))]
    fn tasks_that_have_ended_well_are_not_started_again(
        #[case] gate: Gate,
        #[case] exit_code: i64,
        #[case] expected: Option<&str>,
    ) {
        let mut case = settled();
        case.containers[0].state = "exited".to_owned();
        case.containers[0].exit_code = exit_code;
        assert_eq!(drift(&services(gate), &case.containers).as_deref(), expected);
    }
}
