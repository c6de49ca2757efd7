//! A person makes the changes; DNS tells whether they are made.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::changes::{Action, Change, ChangeSet};
use crate::dns::{self, look};
use crate::error::{Error, Result};
use crate::provider::DnsProvider;
use crate::record::{RecordKey, RecordSet};

/// How long a server may take to answer.
const WAIT: Duration = Duration::from_secs(5);

/// Says what a person is to do, and asks name servers whether it is done.
#[derive(Debug, Clone)]
pub struct ManualProvider {
    servers: Vec<SocketAddr>,
}

impl ManualProvider {
    /// A provider that asks these servers; the host's own if there is none.
    pub fn new(servers: Vec<SocketAddr>) -> Result<Self> {
        let servers = if servers.is_empty() {
            dns::system_servers()?
        } else {
            servers
        };
        Ok(Self { servers })
    }

    /// What a person is to do, one line a step, in an order that works: what is in the way goes first.
    pub fn instructions(changes: &ChangeSet) -> Vec<String> {
        let of = |action| {
            changes
                .changes
                .iter()
                .filter(move |change| change.action() == action)
        };
        [Action::Delete, Action::Update, Action::Create]
            .into_iter()
            .flat_map(of)
            .map(instruction)
            .collect()
    }
}

fn instruction(change: &Change) -> String {
    let RecordKey {
        zone,
        name,
        record_type,
    } = &change.key;
    let values = |set: &RecordSet| set.values.join(" and ");
    match (&change.before, &change.after) {
        (Some(before), None) => format!(
            "In zone {zone}, delete the {record_type} record of {name} ({})",
            values(before)
        ),
        (Some(before), Some(after)) => format!(
            "In zone {zone}, change the {record_type} record of {name} from {} to {}, with a TTL of {} s",
            values(before),
            values(after),
            after.ttl
        ),
        (None, Some(after)) => format!(
            "In zone {zone}, create a {record_type} record of {name} with {}, with a TTL of {} s",
            values(after),
            after.ttl
        ),
        (None, None) => format!("In zone {zone}, leave {name} without a {record_type} record"),
    }
}

#[async_trait]
impl DnsProvider for ManualProvider {
    fn name(&self) -> &str {
        "manual"
    }

    fn keeps_ownership(&self) -> bool {
        false
    }

    async fn read(&self, key: &RecordKey) -> Result<Option<RecordSet>> {
        let mut failure = None;
        for server in &self.servers {
            match dns::query(*server, key, WAIT).await {
                Ok(found) => return Ok(found),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::invalid("servers", "[]", "is empty; name a DNS server to ask")))
    }

    /// Succeeds once every server shows every change.
    async fn apply(&self, changes: &ChangeSet) -> Result<()> {
        let keys: Vec<RecordKey> = changes.changes.iter().map(|change| change.key.clone()).collect();
        let sightings = look(&self.servers, &keys, WAIT).await;
        let is_done = |change: &&Change| {
            sightings
                .iter()
                .filter(|s| s.key == change.key)
                .all(|s| s.shows(change.after.as_ref()))
        };
        let (_, waiting): (Vec<&Change>, Vec<&Change>) = changes.changes.iter().partition(is_done);
        if waiting.is_empty() {
            return Ok(());
        }
        let waiting = ChangeSet {
            changes: waiting.into_iter().cloned().collect(),
        };
        let mut instructions = Self::instructions(&waiting);
        if instructions.is_empty() {
            instructions.push("Wait until the name servers show the change".to_owned());
        }
        Err(Error::WaitingForPerson { instructions })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::record::RecordType;

    #[test]
    fn instructions_are_exact_and_in_an_order_that_works() {
        let change = |record_type, before: Option<&str>, after: Option<&str>| Change {
            key: RecordKey::new("shop.example", "www.shop.example", record_type).unwrap(),
            before: before.map(|v| RecordSet::parse(record_type, 300, &[v.to_owned()]).unwrap()),
            after: after.map(|v| RecordSet::parse(record_type, 60, &[v.to_owned()]).unwrap()),
            owner_before: None,
            owner_after: None,
        };
        let set = ChangeSet {
            changes: vec![
                change(RecordType::A, None, Some("192.0.2.9")),
                change(RecordType::CNAME, Some("lb.example.net"), None),
                change(RecordType::AAAA, Some("2001:db8::1"), Some("2001:db8::2")),
            ],
        };
        assert_eq!(
            ManualProvider::instructions(&set),
            [
                "In zone shop.example, delete the CNAME record of www.shop.example (lb.example.net.)",
                "In zone shop.example, change the AAAA record of www.shop.example from 2001:db8::1 to 2001:db8::2, with a TTL of 60 s",
                "In zone shop.example, create a A record of www.shop.example with 192.0.2.9, with a TTL of 60 s",
            ]
        );
    }
}
