//! Talking to DNS servers: messages over TCP and UDP, and what name servers show.

pub(crate) mod exchange;
mod view;

use std::net::{IpAddr, SocketAddr};

use crate::error::{Error, Result};

pub(crate) use view::query;
pub use view::{Sighting, look, system_servers};

/// The port of DNS.
const PORT: u16 = 53;

/// The address of a server that is written as `address`, `address:port`, `name` or `name:port`.
pub async fn server_address(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, PORT));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (text, Some(PORT)),
    };
    let remedy = "is no DNS server; write it as address, address:port, name or name:port";
    let port = port.ok_or_else(|| Error::invalid("server", text, remedy))?;
    let mut addresses = tokio::net::lookup_host((name, port)).await.map_err(|error| {
        Error::invalid(
            "server",
            text,
            format!("has no address ({error}); check the name"),
        )
    })?;
    addresses
        .next()
        .ok_or_else(|| Error::invalid("server", text, "has no address; check the name"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("192.0.2.1", "192.0.2.1:53")]
    #[case("192.0.2.1:5353", "192.0.2.1:5353")]
    #[case("2001:db8::1", "[2001:db8::1]:53")]
    #[case("[2001:db8::1]", "[2001:db8::1]:53")]
    #[case("[2001:db8::1]:5353", "[2001:db8::1]:5353")]
    #[tokio::test]
    async fn addresses(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(server_address(text).await.unwrap(), expected.parse().unwrap());
    }

    #[tokio::test]
    async fn a_wrong_port_is_refused() {
        assert!(matches!(
            server_address("ns.example.net:dns").await,
            Err(Error::Invalid { .. })
        ));
    }
}
