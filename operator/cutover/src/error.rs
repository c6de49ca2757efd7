//! What can go wrong on the way to a cutover.

use std::io;
use std::net::SocketAddr;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a plan, a DNS server or a provider.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A plan, record or setting that cannot work as it is written.
    #[error("{field}: {value:?} {remedy}")]
    Invalid {
        /// Where it stands.
        field: String,
        /// What stands there.
        value: String,
        /// What is wrong and how to mend it.
        remedy: String,
    },
    /// The server could not be reached.
    #[error("DNS server {server}: {source}; check that it runs and that port {} is open to this host", server.port())]
    Unreachable {
        /// The server.
        server: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server did not answer in time.
    #[error("DNS server {server} did not answer within {seconds} s")]
    Timeout {
        /// The server.
        server: SocketAddr,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The server answered with something that is no answer to the question.
    #[error("DNS server {server}: {problem}")]
    Protocol {
        /// The server.
        server: SocketAddr,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The server does not know the TSIG key (RFC 8945, BADKEY).
    #[error(
        "DNS server {server} does not know TSIG key {key} with {algorithm}; check keyName and algorithm against its configuration"
    )]
    UnknownKey {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: String,
        /// Its algorithm.
        algorithm: &'static str,
    },
    /// The server knows the key by name, but not with this secret (RFC 8945, BADSIG).
    #[error(
        "DNS server {server} refuses the signature of TSIG key {key}; check that the secret is the one in its configuration"
    )]
    WrongSecret {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// The clocks of the two hosts are too far apart (RFC 8945, BADTIME).
    #[error(
        "DNS server {server} and this host differ by {seconds} s in time, which TSIG does not allow; set both clocks by NTP"
    )]
    ClockSkew {
        /// The server.
        server: SocketAddr,
        /// By how much they differ, in seconds.
        seconds: u64,
    },
    /// The answer is not signed as it should be: someone else may have sent it.
    #[error("the answer of DNS server {server} is not signed by TSIG key {key}: {problem}")]
    NotAuthentic {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// The server does not serve the zone, or not as its primary (RFC 2136, NOTAUTH and NOTZONE).
    #[error(
        "DNS server {server} is not the primary of zone {zone}; name the primary server, or mend the zone"
    )]
    NotPrimary {
        /// The server.
        server: SocketAddr,
        /// The zone.
        zone: String,
    },
    /// The server's policy forbids the query or the update (REFUSED).
    #[error(
        "DNS server {server} refuses {what} in zone {zone}; grant it to the key, for example with update-policy in BIND"
    )]
    Forbidden {
        /// The server.
        server: SocketAddr,
        /// The zone.
        zone: String,
        /// What was asked for.
        what: &'static str,
    },
    /// A record changed between reading and updating, so nothing was updated (RFC 2136, NXRRSET and its kin).
    #[error("a record of zone {zone} changed while it was being updated ({code}); nothing was changed")]
    ConcurrentChange {
        /// The zone.
        zone: String,
        /// What the server answered.
        code: String,
    },
    /// Any other answer that is no success.
    #[error("DNS server {server} answers {code} for zone {zone}")]
    Failed {
        /// The server.
        server: SocketAddr,
        /// The zone.
        zone: String,
        /// The code.
        code: String,
        /// Whether the code says that it may pass (SERVFAIL).
        transient: bool,
    },
    /// A person has not done yet what was asked for.
    #[error("waiting for a person: {}", instructions.join("; "))]
    WaitingForPerson {
        /// What remains to be done, one line a step.
        instructions: Vec<String>,
    },
}

impl Error {
    /// Whether the same operation may succeed later without anyone changing what was asked for.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. }
            | Self::ClockSkew { .. }
            | Self::ConcurrentChange { .. }
            | Self::WaitingForPerson { .. } => true,
            Self::Failed { transient, .. } => *transient,
            Self::Invalid { .. }
            | Self::UnknownKey { .. }
            | Self::WrongSecret { .. }
            | Self::NotAuthentic { .. }
            | Self::NotPrimary { .. }
            | Self::Forbidden { .. } => false,
        }
    }

    pub(crate) fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field: field.into(),
            value: value.into(),
            remedy: remedy.into(),
        }
    }
}
