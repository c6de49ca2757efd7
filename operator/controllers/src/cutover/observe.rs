//! Gathering what a cutover's next step depends on: its bundle, its syncs, and what name servers show.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use homeport_bundle::Bundle;
use homeport_crds::conditions::{self, DEPLOYED, HEALTHY, READY};
use homeport_crds::cutover::ObservedRecord;
use homeport_crds::{Cutover, DataSync, HprtBundle};
use homeport_cutover::dns::{Sighting, look};
use homeport_cutover::machine::{Direction, SyncGate};
use homeport_cutover::{Captured, Observed, RecordKey, RecordSet};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::bundle::documents;
use crate::data_sync;
use crate::runtime::{Context, Failure};

/// How long a name server may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// The documents of the bundle that a cutover names; None where it names none.
///
/// # Errors
/// [`Failure::Waiting`] until the bundle is verified.
pub(super) async fn documents(context: &Context, cutover: &Cutover) -> Result<Option<Bundle>, Failure> {
    let Some(reference) = &cutover.spec.bundle_ref else {
        return Ok(None);
    };
    let namespace = cutover.namespace().unwrap_or_default();
    let documents = documents::read(&context.client, &namespace, &reference.name).await?;
    Ok(Some(documents.bundle))
}

/// The DataSyncs that name the cutover's bundle, by their names.
pub(super) async fn syncs(context: &Context, cutover: &Cutover) -> Result<Vec<DataSync>, Failure> {
    let Some(reference) = &cutover.spec.bundle_ref else {
        return Ok(Vec::new());
    };
    let namespace = cutover.namespace().unwrap_or_default();
    let syncs: Api<DataSync> = Api::namespaced(context.client.clone(), &namespace);
    let mut syncs = syncs.list(&ListParams::default()).await?.items;
    syncs.retain(|sync| sync.spec.bundle_ref.as_ref() == Some(reference));
    syncs.sort_by_key(ResourceExt::name_any);
    Ok(syncs)
}

/// What the bundle still lacks before its records may be switched; None where it lacks nothing, or none is named.
pub(super) async fn waiting_for(context: &Context, cutover: &Cutover) -> Result<Option<String>, Failure> {
    let Some(reference) = &cutover.spec.bundle_ref else {
        return Ok(None);
    };
    let namespace = cutover.namespace().unwrap_or_default();
    let bundles: Api<HprtBundle> = Api::namespaced(context.client.clone(), &namespace);
    let bundle = bundles.get_opt(&reference.name).await?;
    Ok(match bundle {
        None => Some(format!(
            "HprtBundle {namespace}/{} does not exist yet",
            reference.name
        )),
        Some(bundle) => lacks(&bundle),
    })
}

/// What a bundle lacks, by its conditions at its generation.
fn lacks(bundle: &HprtBundle) -> Option<String> {
    let generation = bundle.metadata.generation.unwrap_or_default();
    let conditions = bundle
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let what = [(DEPLOYED, "deployed"), (HEALTHY, "healthy")]
        .into_iter()
        .find(|(type_, _)| !conditions::is_true_at(conditions, type_, generation));
    what.map(|(type_, word)| {
        let why = conditions::find(conditions, type_)
            .filter(|condition| condition.status != "True")
            .or_else(|| conditions::find(conditions, READY).filter(|ready| ready.status != "True"))
            .map(|condition| format!(": {}", condition.message))
            .unwrap_or_default();
        format!(
            "HprtBundle {}/{} is not {word} yet{why}",
            bundle.namespace().unwrap_or_default(),
            bundle.name_any()
        )
    })
}

/// Whether the data has arrived.
pub(super) fn sync_gate(syncs: &[DataSync], most_lag: Option<i64>) -> SyncGate {
    let behind: Vec<String> = syncs
        .iter()
        .filter_map(|sync| match data_sync::gate(sync) {
            data_sync::SyncGate::Verified => lag(sync, most_lag?),
            data_sync::SyncGate::Waiting(why) | data_sync::SyncGate::Failed(why) => Some(why),
        })
        .collect();
    if behind.is_empty() {
        SyncGate::Met
    } else {
        SyncGate::Behind(behind.join("; "))
    }
}

/// Which task of a sync is further behind than it may be.
fn lag(sync: &DataSync, most: i64) -> Option<String> {
    let tasks = sync.status.iter().flat_map(|status| &status.tasks);
    let late = tasks
        .filter_map(|task| Some((&task.name, task.lag_bytes?)))
        .find(|(_, lag)| *lag > most)?;
    Some(format!(
        "DataSync {}/{}: task {} is {} bytes behind, more than the {most} of gates.maxSyncLagBytes",
        sync.namespace().unwrap_or_default(),
        sync.name_any(),
        late.0,
        late.1
    ))
}

/// The records that were captured.
pub(super) fn keys(captured: &[Captured]) -> BTreeSet<RecordKey> {
    captured.iter().map(|record| record.key.clone()).collect()
}

/// What was captured, with a record that is neither as it was nor as it is to be taken as it is found: on the way
/// forward as what comes before the change, on the way back as what it is that is undone.
///
/// A person makes a change by steps of their own, so what is between them is no one else's; and a person who asks twice
/// for the records as they were gets them.
pub(super) fn as_found(captured: Vec<Captured>, observed: &Observed, direction: Direction) -> Vec<Captured> {
    let same = |one: Option<&RecordSet>, other: Option<&RecordSet>| match (one, other) {
        (Some(one), Some(other)) => one.same_values(other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let mut captured = captured;
    for record in &mut captured {
        let found = observed.records.get(&record.key);
        if same(found, record.before.as_ref()) || same(found, record.after.as_ref()) {
            continue;
        }
        match direction {
            Direction::Forward => record.before = found.cloned(),
            Direction::Backward => record.after = found.cloned(),
        }
    }
    captured
}

/// What name servers show of the records of a cutover.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Look {
    /// All that was seen, for the status.
    pub(super) observed: Vec<ObservedRecord>,
    /// What is not as it is wanted, or could not be asked, for people.
    pub(super) unseen: Vec<String>,
    /// That of it which was answered, and otherwise than it is wanted.
    pub(super) different: Vec<String>,
}

/// Asks name servers for the records.
pub(super) async fn look_around(servers: &[SocketAddr], captured: &[Captured], direction: Direction) -> Look {
    let keys: Vec<RecordKey> = captured.iter().map(|record| record.key.clone()).collect();
    let mut seen = Look::default();
    for sighting in look(servers, &keys, ANSWER).await {
        let record = captured.iter().find(|record| record.key == sighting.key);
        let wanted = record.and_then(|record| match direction {
            Direction::Forward => record.after.as_ref(),
            Direction::Backward => record.before.as_ref(),
        });
        seen.add(&sighting, wanted);
    }
    seen
}

impl Look {
    fn add(&mut self, sighting: &Sighting, wanted: Option<&RecordSet>) {
        let Sighting { server, key, seen } = sighting;
        let matches = sighting.shows(wanted);
        let values = match seen {
            Ok(Some(set)) => set.values.clone(),
            _ => Vec::new(),
        };
        if !matches {
            let shown = match seen {
                Ok(Some(set)) => set.values.join(", "),
                Ok(None) => "absent".to_owned(),
                Err(error) => error.to_string(),
            };
            let line = format!("{server} ({key}: {shown})");
            if seen.is_ok() {
                self.different.push(line.clone());
            }
            self.unseen.push(line);
        }
        self.observed.push(ObservedRecord {
            resolver: server.to_string(),
            name: key.name.clone(),
            record_type: key.record_type.to_string(),
            values,
            matches,
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_crds::HprtBundleStatus;
    use homeport_cutover::RecordType;
    use homeport_cutover::changes::{Position, position};
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::new(&[], Some("is not deployed yet"))]
    #[case::deploying(&[(DEPLOYED, false, 2)], Some("is not deployed yet: so it is"))]
    #[case::starting(&[(DEPLOYED, true, 2), (HEALTHY, false, 2)], Some("is not healthy yet: so it is"))]
    #[case::ready(&[(DEPLOYED, true, 2), (HEALTHY, true, 2)], None)]
    #[case::ready_before_an_edit(&[(DEPLOYED, true, 1), (HEALTHY, true, 1)], Some("is not deployed yet"))]
    fn a_bundle_must_be_deployed_and_healthy_now(
        #[case] conditions: &[(&str, bool, i64)],
        #[case] expected: Option<&str>,
    ) {
        let spec = json!({ "source": { "path": "/a" }, "target": { "local": {} } });
        let mut bundle = HprtBundle::new("shop", serde_json::from_value(spec).unwrap());
        bundle.metadata.generation = Some(2);
        let mut status = HprtBundleStatus::default();
        for (type_, is_so, generation) in conditions {
            conditions::set(
                &mut status.conditions,
                *generation,
                type_,
                *is_so,
                "Why",
                "so it is",
            );
        }
        bundle.status = Some(status);
        match (lacks(&bundle), expected) {
            (None, None) => {}
            (Some(lacks), Some(expected)) => assert!(lacks.contains(expected), "{lacks}"),
            (lacks, expected) => assert_eq!(lacks.as_deref(), expected),
        }
    }

    fn set(value: &str) -> RecordSet {
        RecordSet::parse(RecordType::A, 60, &[value.to_owned()]).unwrap()
    }

    #[rstest]
    #[case::as_it_was(Some("203.0.113.1"), Position::Before, Position::Before)]
    #[case::as_it_is_to_be(Some("192.0.2.9"), Position::After, Position::After)]
    #[case::otherwise(Some("198.51.100.7"), Position::Before, Position::After)]
    #[case::gone(None, Position::Before, Position::After)]
    fn what_is_found_is_taken_as_it_is(
        #[case] found: Option<&str>,
        #[case] forward: Position,
        #[case] backward: Position,
    ) {
        let key = RecordKey::new("shop.example", "www.shop.example", RecordType::A).unwrap();
        let captured = vec![Captured {
            key: key.clone(),
            before: Some(set("203.0.113.1")),
            after: Some(set("192.0.2.9")),
            owner_before: None,
        }];
        let mut observed = Observed::default();
        observed.records.extend(found.map(|found| (key, set(found))));
        let position = |direction| position(&as_found(captured.clone(), &observed, direction), &observed);
        assert_eq!(position(Direction::Forward), forward);
        assert_eq!(position(Direction::Backward), backward);
    }

    #[test]
    fn a_server_that_is_silent_is_not_one_that_differs() {
        let key = RecordKey::new("shop.example", "www.shop.example", RecordType::A).unwrap();
        let sighting = |seen| Sighting {
            server: "192.0.2.53:53".parse().unwrap(),
            key: key.clone(),
            seen,
        };
        let wanted = set("192.0.2.9");
        let mut look = Look::default();
        look.add(&sighting(Ok(Some(wanted.clone()))), Some(&wanted));
        assert!(look.unseen.is_empty() && look.observed[0].matches);
        let silent = homeport_cutover::Error::Timeout {
            server: "192.0.2.53:53".parse().unwrap(),
            seconds: 3,
        };
        look.add(&sighting(Err(silent)), Some(&wanted));
        assert_eq!((look.unseen.len(), look.different.len()), (1, 0));
        look.add(&sighting(Ok(None)), Some(&wanted));
        assert_eq!(look.different, ["192.0.2.53:53 (www.shop.example A: absent)"]);
    }
}
