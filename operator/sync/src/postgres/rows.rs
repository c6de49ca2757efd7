//! Rows in transit. The bytes that the source sends are what the target gets: nothing is parsed but the frame
//! around each row, so that its checksum can be taken as it passes.

use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio_postgres::{CopyInSink, CopyOutStream};

use super::format::Format;
use super::session::Session;
use crate::Error;
use crate::checksum::Checksum;
use crate::progress::Meter;
use crate::throttle::Throttle;

/// Size of the writes to the target. Rows are gathered to this size, so memory is bounded by it, by what the two
/// sockets hold, and by the largest single row.
const WRITE_BYTES: usize = 128 * 1024;

/// Reading counts towards the bandwidth limit and the progress in steps of this many bytes.
const ACCOUNT_BYTES: usize = 256 * 1024;

/// `PGCOPY\n\xff\r\n\0`, flags, length of the extension (PostgreSQL documentation, "COPY", "File Header").
const BINARY_HEADER: usize = 19;
const BINARY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Stands where a row's number of columns would.
const BINARY_TRAILER: &[u8] = &[0xff, 0xff];

/// What reading a table costs others: its share of the bandwidth, and a place in the figures.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) throttle: &'a Throttle,
    pub(super) meter: &'a Meter,
}

/// Rows of one `COPY … TO STDOUT`, summed as they pass.
struct RowReader<'a> {
    session: &'a Session,
    action: &'a str,
    stream: Pin<Box<CopyOutStream>>,
    format: Format,
    begun: bool,
    checksum: Checksum,
}

impl<'a> RowReader<'a> {
    async fn open(session: &'a Session, action: &'a str, sql: &str, format: Format) -> Result<Self, Error> {
        let stream = session
            .client
            .copy_out(sql)
            .await
            .map_err(|error| session.error(action, &error))?;
        Ok(RowReader {
            session,
            action,
            stream: Box::pin(stream),
            format,
            begun: false,
            checksum: Checksum::default(),
        })
    }

    /// The next frame as it came. The server sends one a row (PostgreSQL documentation, "COPY Operations").
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(frame) = self.stream.next().await else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| self.session.error(self.action, &error))?;
        let row = match (self.format, self.begun) {
            (Format::Text, _) => &frame[..],
            (Format::Binary, true) => &frame[..],
            (Format::Binary, false) => without_header(&frame).ok_or_else(|| Error::Protocol {
                what: format!("{}: the binary rows do not begin with their header", self.action),
            })?,
        };
        self.begun = true;
        let is_row = match self.format {
            Format::Text => true,
            Format::Binary => !row.is_empty() && row != BINARY_TRAILER,
        };
        if is_row {
            self.checksum.add_row(row);
        }
        Ok(Some(frame))
    }
}

/// What follows the header of binary rows, or nothing if there is none.
fn without_header(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(BINARY_SIGNATURE)?;
    let extension = rest.get(4..8)?.try_into().map(u32::from_be_bytes).ok()?;
    frame.get(BINARY_HEADER + usize::try_from(extension).ok()?..)
}

/// Reads rows and returns their checksum.
pub(super) async fn read_checksum(
    session: &Session,
    action: &str,
    sql: &str,
    format: Format,
    account: Option<Account<'_>>,
) -> Result<(Checksum, u64), Error> {
    let mut reader = RowReader::open(session, action, sql, format).await?;
    let mut tally = Tally::new(account);
    while let Some(frame) = reader.next().await? {
        tally.add(frame.len(), reader.checksum.rows()).await;
    }
    Ok((reader.checksum, tally.finish(reader.checksum.rows())))
}

/// Copies rows and returns their checksum, as the source sent them, and how many bytes they were.
pub(super) async fn copy(
    source: &Session,
    target: &Session,
    action: &str,
    (read_sql, write_sql): (&str, &str),
    format: Format,
    account: Account<'_>,
) -> Result<(Checksum, u64), Error> {
    let target_error = |error: tokio_postgres::Error| target.error(action, &error);
    let mut reader = RowReader::open(source, action, read_sql, format).await?;
    let sink: CopyInSink<Bytes> = target.client.copy_in(write_sql).await.map_err(target_error)?;
    let mut sink = pin!(sink);
    let mut buffer = BytesMut::with_capacity(WRITE_BYTES * 2);
    let mut tally = Tally::new(Some(account));
    while let Some(frame) = reader.next().await? {
        tally.add(frame.len(), reader.checksum.rows()).await;
        buffer.extend_from_slice(&frame);
        if buffer.len() >= WRITE_BYTES
            && let Err(error) = sink.feed(buffer.split().freeze()).await
        {
            return Err(refusal(sink, error, target_error).await);
        }
    }
    if !buffer.is_empty()
        && let Err(error) = sink.feed(buffer.freeze()).await
    {
        return Err(refusal(sink, error, target_error).await);
    }
    let written = sink.finish().await.map_err(target_error)?;
    let checksum = reader.checksum;
    if written != checksum.rows() {
        return Err(Error::Protocol {
            what: format!(
                "{action}: the source sent {} rows, the target took {written}",
                checksum.rows()
            ),
        });
    }
    Ok((checksum, tally.finish(checksum.rows())))
}

/// A server that refuses a row answers while rows are still being sent; sending then fails with less to say than
/// the answer does.
async fn refusal(
    sink: Pin<&mut CopyInSink<Bytes>>,
    sending: tokio_postgres::Error,
    target_error: impl Fn(tokio_postgres::Error) -> Error,
) -> Error {
    match sink.finish().await {
        Err(answer) if answer.as_db_error().is_some() => target_error(answer),
        _ => target_error(sending),
    }
}

/// Adds what passes to the figures. What a stream that ends early had added is taken back.
struct Tally<'a> {
    account: Option<Account<'a>>,
    bytes: u64,
    unaccounted: usize,
    accounted: (u64, u64),
}

impl<'a> Tally<'a> {
    fn new(account: Option<Account<'a>>) -> Self {
        Tally {
            account,
            bytes: 0,
            unaccounted: 0,
            accounted: (0, 0),
        }
    }

    async fn add(&mut self, bytes: usize, rows_so_far: u64) {
        self.bytes += bytes as u64;
        self.unaccounted += bytes;
        if self.unaccounted >= ACCOUNT_BYTES {
            if let Some(account) = self.account {
                account.throttle.take(self.unaccounted).await;
            }
            self.settle(rows_so_far);
        }
    }

    fn settle(&mut self, rows_so_far: u64) {
        if let Some(account) = self.account {
            account
                .meter
                .passed(self.unaccounted as u64, rows_so_far - self.accounted.1);
            self.accounted = (self.bytes, rows_so_far);
        }
        self.unaccounted = 0;
    }

    fn finish(mut self, rows: u64) -> u64 {
        self.settle(rows);
        self.account = None;
        self.bytes
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.account {
            account.meter.withdraw(self.accounted.0, self.accounted.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::with_a_row(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01row", Some(&b"\0\x01row"[..]))]
    #[case::alone(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", Some(&b""[..]))]
    #[case::with_an_extension(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02xx\0\x01", Some(&b"\0\x01"[..]))]
    #[case::cut(b"PGCOPY\n\xff\r\n\0\0\0\0\0", None)]
    #[case::other(b"\0\x01row", None)]
    fn headers(#[case] frame: &[u8], #[case] rest: Option<&[u8]>) {
        assert_eq!(without_header(frame), rest);
    }
}
