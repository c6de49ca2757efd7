//! What name servers show to those who ask.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::system_conf::read_system_conf;

use crate::dns::exchange::over_udp;
use crate::error::{Error, Result};
use crate::record::{RecordKey, RecordSet};

/// What one server shows of one record set.
#[derive(Debug)]
pub struct Sighting {
    /// The server.
    pub server: SocketAddr,
    /// Which record set was asked for.
    pub key: RecordKey,
    /// The answer; `None` if there is no such record.
    pub seen: Result<Option<RecordSet>>,
}

impl Sighting {
    /// Whether the server shows these values. A resolver counts the time to live down, so it is not compared.
    pub fn shows(&self, wanted: Option<&RecordSet>) -> bool {
        match (&self.seen, wanted) {
            (Ok(Some(seen)), Some(wanted)) => seen.same_values(wanted),
            (Ok(None), None) => true,
            _ => false,
        }
    }
}

/// Asks every server for every record set, all at once.
pub async fn look(servers: &[SocketAddr], keys: &[RecordKey], wait: Duration) -> Vec<Sighting> {
    let questions = servers
        .iter()
        .flat_map(|server| keys.iter().map(move |key| (*server, key)));
    join_all(questions.map(|(server, key)| async move {
        Sighting {
            server,
            key: key.clone(),
            seen: query(server, key, wait).await,
        }
    }))
    .await
}

/// The name servers that this host is configured to ask.
pub fn system_servers() -> Result<Vec<SocketAddr>> {
    let unusable = |error: String| {
        Error::invalid(
            "/etc/resolv.conf",
            "",
            format!("cannot be used ({error}); name the DNS servers to ask"),
        )
    };
    let (config, _) = read_system_conf().map_err(|error| unusable(error.to_string()))?;
    let servers: Vec<SocketAddr> = config
        .name_servers()
        .iter()
        .map(|server| SocketAddr::new(server.ip, super::PORT))
        .collect();
    if servers.is_empty() {
        Err(unusable("it names no server".to_owned()))
    } else {
        Ok(servers)
    }
}

/// Asks one server, as a resolver's client does.
pub(crate) async fn query(server: SocketAddr, key: &RecordKey, wait: Duration) -> Result<Option<RecordSet>> {
    let name = key.wire_name()?;
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), key.record_type.wire()));
    message.set_edns(Edns::new());
    let bytes = message
        .to_vec()
        .map_err(|error| Error::invalid("name", &key.name, format!("cannot be asked for: {error}")))?;
    let answer = over_udp(server, &bytes, wait).await?;
    match answer.metadata.response_code {
        ResponseCode::NoError => {
            let here = || {
                answer
                    .answers
                    .iter()
                    .filter(|r| r.name == name && r.record_type() == key.record_type.wire())
            };
            let ttl = here().map(|record| record.ttl).min();
            Ok(ttl.map(|ttl| RecordSet::from_wire(ttl, here().map(|record| &record.data))))
        }
        ResponseCode::NXDomain => Ok(None),
        code => Err(Error::Failed {
            server,
            zone: key.zone.clone(),
            code: code.to_string(),
            transient: code == ResponseCode::ServFail,
        }),
    }
}
