//! A check over TCP: whether someone listens.

use tokio::net::TcpStream;

use super::Seen;

/// A connection that must come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpProbe {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl TcpProbe {
    pub(super) async fn ask(&self) -> Seen {
        match TcpStream::connect((self.host.as_str(), self.port)).await {
            Ok(_) => Seen {
                observed: "connected".to_owned(),
                fault: None,
            },
            Err(error) => Seen {
                observed: "no connection".to_owned(),
                fault: Some(format!("no connection to {}:{}: {error}", self.host, self.port)),
            },
        }
    }
}
