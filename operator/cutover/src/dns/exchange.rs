//! One question and its answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::error::{Error, Result};

/// The largest answer over UDP that is asked for, in bytes; what fits into one packet almost everywhere.
const UDP_SIZE: usize = 4096;

/// Sends a message over TCP (RFC 1035, 4.2.2) and reads the answer, as bytes too: a signature is over bytes.
pub(crate) async fn over_tcp(
    server: SocketAddr,
    message: &[u8],
    wait: Duration,
) -> Result<(Vec<u8>, Message)> {
    let exchange = async {
        let length = u16::try_from(message.len()).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the message is longer than DNS allows",
            )
        })?;
        let mut framed = Vec::with_capacity(message.len() + 2);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer = within(server, wait, exchange).await?;
    let parsed = parse(server, &answer, message)?;
    Ok((answer, parsed))
}

/// Sends a query over UDP, and again over TCP if the answer is cut short.
pub(crate) async fn over_udp(server: SocketAddr, message: &[u8], wait: Duration) -> Result<Message> {
    let exchange = async {
        let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(server).await?;
        socket.send(message).await?;
        let mut answer = vec![0; UDP_SIZE];
        // Anything that does not answer this query is somebody else's: wait on.
        loop {
            let length = socket.recv(&mut answer).await?;
            if parse(server, &answer[..length], message).is_ok() {
                answer.truncate(length);
                return Ok(answer);
            }
        }
    };
    let answer = parse(server, &within(server, wait, exchange).await?, message)?;
    if answer.metadata.truncation {
        return Ok(over_tcp(server, message, wait).await?.1);
    }
    Ok(answer)
}

async fn within<T>(
    server: SocketAddr,
    wait: Duration,
    exchange: impl Future<Output = io::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(wait, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Unreachable { server, source }),
        Err(_) => Err(Error::Timeout {
            server,
            seconds: wait.as_secs(),
        }),
    }
}

/// Parses an answer and makes sure that it answers this message.
fn parse(server: SocketAddr, answer: &[u8], message: &[u8]) -> Result<Message> {
    let problem = |problem: String| Error::Protocol { server, problem };
    let answer =
        Message::from_vec(answer).map_err(|error| problem(format!("the answer cannot be read: {error}")))?;
    let is_ours = message.starts_with(&answer.metadata.id.to_be_bytes())
        && answer.metadata.message_type == MessageType::Response;
    if is_ours {
        Ok(answer)
    } else {
        Err(problem("the answer is to another question".to_owned()))
    }
}
