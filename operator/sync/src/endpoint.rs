//! Where a data system listens and how to speak to it.

use std::fmt;

use secrecy::SecretString;

/// One database of one server, with the account to use.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Account name.
    pub user: String,
    /// The account's password; `SecretString` keeps it out of `Debug`.
    pub password: SecretString,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
}

/// Encryption of a connection, with libpq's meanings (PostgreSQL documentation, "SSL Support").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// How much is asked of the server.
    pub mode: TlsMode,
    /// Certificate authorities to trust, as PEM. Without them `verify-full` trusts the public web's authorities.
    pub ca_pem: Option<String>,
}

/// How much encryption is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can, without looking at its certificate.
    #[default]
    Prefer,
    /// Encrypted or not at all. The certificate is looked at only if authorities are given, the name never.
    Require,
    /// Encrypted, with a certificate from a trusted authority for this host name.
    VerifyFull,
}

/// Which of a task's two endpoints something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The system that is read, and only read.
    Source,
    /// The system that is written.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "source",
            Side::Target => "target",
        })
    }
}

/// `host:port/database`, as messages name an endpoint.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}
