//! Dynamic update (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS, Windows DNS.
//!
//! All changes of a zone are one update, which the server makes in whole or not at all. Its prerequisites say what the
//! records are now; if that is no longer so, the server refuses the update and nothing is overwritten.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode, UpdateMessage};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm as WireAlgorithm, TsigError};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as WireType, TSigner};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::changes::{Action, Change, ChangeSet};
use crate::dns::exchange::over_tcp;
use crate::error::{Error, Result};
use crate::ownership;
use crate::provider::DnsProvider;
use crate::record::{RecordKey, RecordSet, wire_name};

/// How long a server may take to answer.
const WAIT: Duration = Duration::from_secs(10);
/// How far clocks may differ, in seconds: the value that RFC 8945, 10 recommends.
const FUDGE: u16 = 300;

/// The algorithms of TSIG keys (RFC 8945, 6) that are not known to be weak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl TsigAlgorithm {
    /// The name in DNS, as `tsig-keygen` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> WireAlgorithm {
        match self {
            Self::HmacSha256 => WireAlgorithm::HmacSha256,
            Self::HmacSha384 => WireAlgorithm::HmacSha384,
            Self::HmacSha512 => WireAlgorithm::HmacSha512,
        }
    }
}

/// A TSIG key.
#[derive(Debug, Clone)]
pub struct TsigKey {
    /// Its name, as the server knows it.
    pub name: String,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The secret in base64, as `tsig-keygen` writes it.
    pub secret: SecretString,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Changes records by signed dynamic update.
#[derive(Clone)]
pub struct Rfc2136Provider {
    server: SocketAddr,
    signer: TSigner,
    key_name: String,
    algorithm: TsigAlgorithm,
    clock: Clock,
}

impl fmt::Debug for Rfc2136Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rfc2136Provider")
            .field("server", &self.server)
            .field("key", &self.key_name)
            .finish_non_exhaustive()
    }
}

impl Rfc2136Provider {
    /// A provider for the zones of which `server` is the primary.
    pub fn new(server: SocketAddr, key: &TsigKey) -> Result<Self> {
        let secret = STANDARD
            .decode(key.secret.expose_secret().trim())
            .map(Zeroizing::new)
            .map_err(|_| {
                Error::invalid(
                    "tsig secret",
                    "(hidden)",
                    "is not base64; use it as tsig-keygen prints it, without quotes",
                )
            })?;
        let name = wire_name("tsig key name", &key.name)?;
        let signer = TSigner::new(secret.to_vec(), key.algorithm.wire(), name, FUDGE).map_err(|error| {
            Error::invalid(
                "tsig algorithm",
                key.algorithm.as_str(),
                format!("cannot be used: {error}"),
            )
        })?;
        Ok(Self {
            server,
            signer,
            key_name: key.name.trim_end_matches('.').to_owned(),
            algorithm: key.algorithm,
            clock: Arc::new(SystemTime::now),
        })
    }

    /// Takes the time of signatures from another clock.
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    fn now(&self) -> u64 {
        (self.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    /// Signs and sends a message; the answer is authentic, or says why the server does not trust the message.
    async fn ask(&self, mut message: Message) -> Result<Message> {
        let unsendable = |error: String| Error::invalid("message", "", format!("cannot be sent: {error}"));
        let verifier = message
            .finalize(&self.signer, self.now())
            .map_err(|error| unsendable(error.to_string()))?;
        let bytes = message.to_vec().map_err(|error| unsendable(error.to_string()))?;
        let (answer_bytes, answer) = over_tcp(self.server, &bytes, WAIT).await?;

        if let Some(error) = answer.signature().and_then(|record| record.data.error) {
            return Err(self.distrust(
                error,
                answer.signature().map(|record| record.data.other.as_slice()),
            ));
        }
        // A server that knows nothing of the zone or the key may refuse without signing; that grants nothing.
        let is_refusal = matches!(
            answer.metadata.response_code,
            ResponseCode::Refused | ResponseCode::NotAuth | ResponseCode::NotImp | ResponseCode::FormErr
        );
        if is_refusal && answer.signature().is_none() {
            return Ok(answer);
        }
        let not_authentic = |problem: String| Error::NotAuthentic {
            server: self.server,
            key: self.key_name.clone(),
            problem,
        };
        let mut verifier = verifier.ok_or_else(|| not_authentic("the query was not signed".to_owned()))?;
        verifier
            .verify(&answer_bytes)
            .map_err(|error| not_authentic(error.to_string()))?;
        Ok(answer)
    }

    /// What the error field of the server's TSIG record means (RFC 8945, 5.2).
    fn distrust(&self, error: TsigError, other: Option<&[u8]>) -> Error {
        let (server, key) = (self.server, self.key_name.clone());
        match error {
            TsigError::BadKey => Error::UnknownKey {
                server,
                key,
                algorithm: self.algorithm.as_str(),
            },
            TsigError::BadSig | TsigError::BadTrunc => Error::WrongSecret { server, key },
            TsigError::BadTime => {
                // The server's time, in 48 bits.
                let theirs = other
                    .unwrap_or_default()
                    .iter()
                    .fold(0_u64, |time, byte| time << 8 | u64::from(*byte));
                Error::ClockSkew {
                    server,
                    seconds: theirs.abs_diff(self.now()),
                }
            }
            TsigError::Unknown(code) => Error::NotAuthentic {
                server,
                key,
                problem: format!("TSIG error {code}"),
            },
        }
    }

    /// What a code that is no success means.
    fn failure(&self, code: ResponseCode, zone: &str, what: &'static str) -> Error {
        let (server, zone) = (self.server, zone.to_owned());
        match code {
            ResponseCode::NXRRSet
            | ResponseCode::YXRRSet
            | ResponseCode::NXDomain
            | ResponseCode::YXDomain => Error::ConcurrentChange {
                zone,
                code: code.to_string(),
            },
            ResponseCode::NotAuth | ResponseCode::NotZone => Error::NotPrimary { server, zone },
            ResponseCode::Refused => Error::Forbidden { server, zone, what },
            other => Error::Failed {
                server,
                zone,
                code: other.to_string(),
                transient: other == ResponseCode::ServFail,
            },
        }
    }

    /// Whether there is a record set at the very name. A query cannot tell: a wildcard answers it in the same way. An
    /// update with a prerequisite and no changes can (RFC 2136, 2.4.1).
    async fn is_at_name(&self, key: &RecordKey) -> Result<bool> {
        let mut probe = update(&key.wire_zone()?);
        probe.add_pre_requisite(empty(key.wire_name()?, key.record_type.wire(), DNSClass::ANY));
        match self.ask(probe).await?.metadata.response_code {
            ResponseCode::NoError => Ok(true),
            ResponseCode::NXRRSet => Ok(false),
            code => Err(self.failure(code, &key.zone, "updates")),
        }
    }

    async fn update_zone(&self, zone: &str, changes: &[&Change]) -> Result<()> {
        let mut message = update(&wire_name("zone", zone)?);
        let mut additions = Vec::new();
        for change in changes {
            let mark = ownership::mark_key(&change.key)?;
            let mark_of = |owner: &Option<String>| owner.as_deref().map(ownership::mark);
            replace(
                &mut message,
                &mut additions,
                &change.key,
                &change.before,
                &change.after,
            )?;
            replace(
                &mut message,
                &mut additions,
                &mark,
                &mark_of(&change.owner_before),
                &mark_of(&change.owner_after),
            )?;
        }
        // A server ignores an alias beside other records in silence: whatever goes must go first.
        message.add_updates(additions);
        match self.ask(message).await?.metadata.response_code {
            ResponseCode::NoError => Ok(()),
            code => Err(self.failure(code, zone, "updates")),
        }
    }

    /// A server may ignore an update that its rules for zones forbid, and report success.
    async fn check_applied(&self, change: &Change) -> Result<()> {
        let found = self.read(&change.key).await?;
        if found == change.after {
            return Ok(());
        }
        Err(Error::Failed {
            server: self.server,
            zone: change.key.zone.clone(),
            code: format!(
                "success, but {} is not as it was set; another record may stand in its way",
                change.key
            ),
            transient: false,
        })
    }
}

fn update(zone: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(zone.clone(), WireType::SOA));
    message
}

/// A record without data, which means a whole record set (RFC 2136, 2.4 and 2.5).
fn empty(name: Name, record_type: WireType, class: DNSClass) -> Record {
    let mut record = Record::update0(name, 0, record_type);
    record.dns_class = class;
    record
}

/// Adds what it takes to make one record set of another: a prerequisite that it is as it was, and its removal; the
/// records to add are collected apart.
fn replace(
    message: &mut Message,
    additions: &mut Vec<Record>,
    key: &RecordKey,
    before: &Option<RecordSet>,
    after: &Option<RecordSet>,
) -> Result<()> {
    let (name, wire_type) = (key.wire_name()?, key.record_type.wire());
    match before {
        // RFC 2136, 2.4.2: exactly these records exist.
        Some(before) => {
            for data in before.to_wire(key.record_type)? {
                message.add_pre_requisite(Record::from_rdata(name.clone(), 0, data));
            }
        }
        // RFC 2136, 2.4.3: no such record exists.
        None => message.add_pre_requisite(empty(name.clone(), wire_type, DNSClass::NONE)),
    }
    if before == after {
        return Ok(());
    }
    if before.is_some() {
        message.add_update(empty(name.clone(), wire_type, DNSClass::ANY));
    }
    if let Some(after) = after {
        for data in after.to_wire(key.record_type)? {
            additions.push(Record::from_rdata(name.clone(), after.ttl, data));
        }
    }
    Ok(())
}

#[async_trait]
impl DnsProvider for Rfc2136Provider {
    fn name(&self) -> &str {
        "rfc2136"
    }

    fn keeps_ownership(&self) -> bool {
        true
    }

    async fn read(&self, key: &RecordKey) -> Result<Option<RecordSet>> {
        let name = key.wire_name()?;
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name.clone(), key.record_type.wire()));
        let answer = self.ask(message).await?;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain if !answer.metadata.authoritative => {
                return Err(Error::NotPrimary {
                    server: self.server,
                    zone: key.zone.clone(),
                });
            }
            ResponseCode::NXDomain => return Ok(None),
            ResponseCode::NoError => {}
            code => return Err(self.failure(code, &key.zone, "queries")),
        }
        let here = || {
            answer
                .answers
                .iter()
                .filter(|r| r.name == name && r.record_type() == key.record_type.wire())
        };
        let Some(ttl) = here().map(|record| record.ttl).min() else {
            return Ok(None);
        };
        if !self.is_at_name(key).await? {
            return Ok(None);
        }
        Ok(Some(RecordSet::from_wire(ttl, here().map(|record| &record.data))))
    }

    async fn apply(&self, changes: &ChangeSet) -> Result<()> {
        let mut by_zone: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in &changes.changes {
            by_zone.entry(&change.key.zone).or_default().push(change);
        }
        for (zone, changes) in by_zone {
            if changes.iter().all(|change| change.action() == Action::Keep) {
                continue;
            }
            self.update_zone(zone, &changes).await?;
            for change in changes {
                self.check_applied(change).await?;
            }
        }
        Ok(())
    }
}
