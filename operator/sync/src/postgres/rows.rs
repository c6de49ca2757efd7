//! Rows in transit. The bytes that the source sends are what the target gets: nothing is parsed but the frame
//! around each row, so that its checksum can be taken as it passes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use futures::{SinkExt, Stream};
use tokio_postgres::{CopyInSink, CopyOutStream};

use super::format::Format;
use super::session::Session;
use super::tap::{Batch, Line};
use crate::Error;
use crate::checksum::Checksum;
use crate::progress::Meter;
use crate::throttle::Throttle;

/// Reading counts towards the bandwidth limit and the progress in steps of this many bytes.
const ACCOUNT_BYTES: usize = 256 * 1024;

/// What reading a table costs others: its share of the bandwidth, and a place in the figures.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) throttle: &'a Throttle,
    pub(super) meter: &'a Meter,
}

/// Whether the rows themselves are wanted, or only their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Rows,
    Checksum,
}

/// Rows of one `COPY … TO STDOUT`.
struct RowReader<'a> {
    session: &'a Session,
    action: &'a str,
    stream: Pin<Box<CopyOutStream>>,
    ended: bool,
    /// Last, so that rows are taken from the driver for as long as it could be handed any.
    line: Reading<'a>,
}

/// Takes a statement's rows from the driver, as long as it lives.
struct Reading<'a>(&'a Line);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<'a> RowReader<'a> {
    async fn open(
        session: &'a Session,
        action: &'a str,
        sql: &str,
        format: Format,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        session.line.begin(format, wanted);
        let line = Reading(&session.line);
        let stream = session
            .client
            .copy_out(sql)
            .await
            .map_err(|error| session.error(action, &error))?;
        Ok(RowReader {
            session,
            action,
            stream: Box::pin(stream),
            ended: false,
            line,
        })
    }

    /// The next rows. The driver sees the end of the statement when all its rows were taken.
    async fn next(&mut self) -> Result<Option<Batch>, Error> {
        poll_fn(|context| {
            if self.ended {
                return Poll::Ready(Ok(self.line.0.rest()));
            }
            if let Poll::Ready(batch) = self.line.0.poll_batch(context) {
                return Poll::Ready(Ok(Some(batch)));
            }
            match self.stream.as_mut().poll_next(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => {
                    self.ended = true;
                    Poll::Ready(Ok(self.line.0.rest()))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(self.session.error(self.action, &error))),
                Poll::Ready(Some(Ok(_))) => Poll::Ready(Err(Error::Protocol {
                    what: format!("{}: a row went past its reader", self.action),
                })),
            }
        })
        .await
    }
}

/// Reads rows and returns their checksum and how many bytes they were.
pub(super) async fn read_checksum(
    session: &Session,
    action: &str,
    sql: &str,
    format: Format,
    account: Option<Account<'_>>,
) -> Result<(Checksum, u64), Error> {
    let mut reader = RowReader::open(session, action, sql, format, Wanted::Checksum).await?;
    let mut checksum = Checksum::default();
    let mut tally = Tally::new(account);
    while let Some(batch) = reader.next().await? {
        checksum = batch.checksum;
        tally.add(batch.length, checksum.rows()).await;
    }
    Ok((checksum, tally.finish(checksum.rows())))
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
    let mut reader = RowReader::open(source, action, read_sql, format, Wanted::Rows).await?;
    let sink: CopyInSink<Bytes> = target.client.copy_in(write_sql).await.map_err(target_error)?;
    let mut sink = pin!(sink);
    let mut checksum = Checksum::default();
    let mut tally = Tally::new(Some(account));
    while let Some(batch) = reader.next().await? {
        checksum = batch.checksum;
        tally.add(batch.length, checksum.rows()).await;
        if let Err(error) = sink.feed(batch.bytes).await {
            return Err(refusal(sink, error, target_error).await);
        }
    }
    let written = sink.finish().await.map_err(target_error)?;
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
