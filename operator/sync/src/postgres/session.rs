//! Connections: opening them, the settings that make both servers write values alike, and errors that name what
//! was being done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use super::tap::{Layer, Line, Tap, TappedTls};
use super::tls;
use crate::error::sqlstate_remedy;
use crate::{Endpoint, Error, Side, TlsMode};

/// Values written by two servers, or twice by one, must be the same bytes. Names are always qualified, and row
/// security raises an error instead of hiding rows.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
     SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; SET extra_float_digits = 3; \
     SET bytea_output = 'hex'; SET xmloption = content; SET lc_monetary = 'C'; SET row_security = off; \
     SET standard_conforming_strings = on; SET search_path = ''; ";

/// How long a host name may take to be resolved, and each of its addresses until a session is ready there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Oldest server that is read or written: from here on floating-point numbers are written alike by all versions.
const OLDEST_MAJOR: u32 = 12;

/// An open connection. Dropping it closes the socket, and with it ends whatever the server was doing for it.
pub(super) struct Session {
    pub(super) client: Client,
    /// By which rows are read.
    pub(super) line: Arc<Line>,
    pub(super) side: Side,
    endpoint: String,
    version: Version,
    driver: AbortHandle,
}

/// A server's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u32,
    /// As the server spells it.
    pub(super) text: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects and applies the settings. `application` is what the server lists the session as. Of a host name's
    /// addresses the first is used at which a server answers in time.
    pub(super) async fn open(endpoint: &Endpoint, side: Side, application: &str) -> Result<Session, Error> {
        let unreachable = |cause: String| Error::Unreachable {
            side,
            endpoint: endpoint.to_string(),
            cause: format!("error connecting to server: {cause}"),
        };
        let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
        let addresses = timeout(CONNECT_TIMEOUT, lookup)
            .await
            .map_err(|_| unreachable("the host name is not resolved in time".into()))?
            .map_err(|error| unreachable(error.to_string()))?;
        let mut last = unreachable("the host name has no address".into());
        for address in addresses {
            let opening = Session::open_at(address, endpoint, side, application);
            match timeout(CONNECT_TIMEOUT, opening).await {
                Ok(Err(error)) if error.is_transient() => last = error,
                Ok(outcome) => return outcome,
                Err(_) => last = unreachable(format!("{address} does not answer in time")),
            }
        }
        Err(last)
    }

    async fn open_at(
        address: SocketAddr,
        endpoint: &Endpoint,
        side: Side,
        application: &str,
    ) -> Result<Session, Error> {
        let name = endpoint.to_string();
        let line = Arc::new(Line::default());
        let socket = open_socket(address).await.map_err(|error| Error::Unreachable {
            side,
            endpoint: name.clone(),
            cause: format!("error connecting to server: {error}"),
        })?;
        let mut config = Config::new();
        config
            .dbname(&endpoint.database)
            .user(&endpoint.user)
            .password(endpoint.password.expose_secret())
            .application_name(application)
            .ssl_mode(match endpoint.tls.mode {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
            });
        let mut connectors = MakeRustlsConnect::new(tls::client_config(endpoint, side)?);
        let Ok(tls) = MakeTlsConnect::<Tap<TcpStream>>::make_tls_connect(&mut connectors, &endpoint.host);
        let tls = TappedTls {
            tls,
            line: Arc::clone(&line),
        };
        let (client, connection) = config
            .connect_raw(Tap::new(socket, Layer::Socket, Arc::clone(&line)), tls)
            .await
            .map_err(|error| connect_error(side, &name, &error))?;
        line.established();
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%side, %error, "connection ended");
            }
        })
        .abort_handle();
        let mut session = Session {
            client,
            line,
            side,
            endpoint: name,
            version: Version {
                major: 0,
                text: String::new(),
            },
            driver,
        };
        session.version = session.read_version().await?;
        let mut settings = SETTINGS.to_owned();
        if session.version.major >= 17 {
            settings += "SET transaction_timeout = 0; ";
        }
        if session.version.major >= 14 {
            // A server that builds an index for a process that was killed notices and stops.
            settings += "SET client_connection_check_interval = '2s'; ";
        }
        session.run("preparing the session", &settings).await?;
        Ok(session)
    }

    async fn read_version(&self) -> Result<Version, Error> {
        let row = self
            .row(
                "reading the server's version",
                "SELECT current_setting('server_version_num')::int4, current_setting('server_version')",
                &[],
            )
            .await?;
        let number: i32 = row.get(0);
        let version = Version {
            major: number.unsigned_abs() / 10_000,
            text: row.get(1),
        };
        if version.major < OLDEST_MAJOR {
            return Err(Error::UnsupportedVersion {
                side: self.side,
                endpoint: self.endpoint.clone(),
                version: version.text,
                remedy: "homeport copies from and to PostgreSQL 12 and later: upgrade that server first",
            });
        }
        Ok(version)
    }

    pub(super) fn version(&self) -> &Version {
        &self.version
    }

    /// `host:port/database`.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Runs statements that return nothing of interest. `action` names what is being done, for errors.
    pub(super) async fn run(&self, action: &str, sql: &str) -> Result<(), Error> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| self.error(action, &error))
    }

    pub(super) async fn rows(
        &self,
        action: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.client
            .query(sql, params)
            .await
            .map_err(|error| self.error(action, &error))
    }

    pub(super) async fn row(
        &self,
        action: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        self.client
            .query_one(sql, params)
            .await
            .map_err(|error| self.error(action, &error))
    }

    pub(super) async fn execute(
        &self,
        action: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.client
            .execute(sql, params)
            .await
            .map_err(|error| self.error(action, &error))
    }

    /// Runs one query without parameters by the simple protocol: values come as text.
    pub(super) async fn text_rows(&self, action: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let messages = self
            .client
            .simple_query(sql)
            .await
            .map_err(|error| self.error(action, &error))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    }

    /// An error of this session, named by what was being done.
    pub(super) fn error(&self, action: &str, error: &tokio_postgres::Error) -> Error {
        if let Some(violation) = self.line.violation() {
            return Error::Protocol {
                what: format!("{action}: {violation}"),
            };
        }
        match error.as_db_error() {
            Some(refusal) => Error::Database {
                side: self.side,
                endpoint: self.endpoint.clone(),
                action: action.to_owned(),
                message: refusal.message().to_owned(),
                sqlstate: refusal.code().code().to_owned(),
                remedy: sqlstate_remedy(refusal.code().code()),
            },
            None => Error::Unreachable {
                side: self.side,
                endpoint: self.endpoint.clone(),
                cause: format!("the connection broke while {action}: {}", causes(error)),
            },
        }
    }
}

async fn open_socket(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    // A server that is gone without a word is noticed within a minute.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
    Ok(socket)
}

fn connect_error(side: Side, endpoint: &str, error: &tokio_postgres::Error) -> Error {
    let endpoint = endpoint.to_owned();
    if let Some(refusal) = error.as_db_error() {
        return Error::Database {
            side,
            endpoint,
            action: "connecting".into(),
            message: refusal.message().to_owned(),
            sqlstate: refusal.code().code().to_owned(),
            remedy: sqlstate_remedy(refusal.code().code()),
        };
    }
    let cause = causes(error);
    // tokio-postgres has no public kinds; these prefixes are its own `Display` texts for them.
    if cause.starts_with("error performing TLS handshake") {
        return Error::Tls {
            side,
            endpoint,
            cause,
            remedy: "give the authority that signed the server's certificate, or lower the TLS mode if the \
                     network is trusted",
        };
    }
    if cause.starts_with("authentication error") || cause.starts_with("invalid configuration") {
        return Error::Database {
            side,
            endpoint,
            action: "connecting".into(),
            message: cause,
            sqlstate: "28000".into(),
            remedy: sqlstate_remedy("28000"),
        };
    }
    Error::Unreachable {
        side,
        endpoint,
        cause,
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
