//! The rows of `COPY … TO STDOUT`, taken from a connection's bytes before the driver unpacks them.
//!
//! A server sends one message a row. To have the driver pass each on, from its task to the copy's, costs more than all
//! that a copy does with a row. So a [`Tap`] stands between the driver and the socket, or the TLS session on it: while
//! a reading is open on its [`Line`], it keeps the messages with rows (CopyData), sums and gathers them, and hands them
//! over in batches. All other messages pass, so that the driver still sees how the statement begins and ends
//! (PostgreSQL documentation, "Message Flow", "COPY Operations").

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_util::io::poll_read_buf;

use super::format::Format;
use super::rows::Wanted;
use crate::checksum::Checksum;

/// What is asked of the socket at a time.
const READ_BYTES: usize = 128 * 1024;
/// Rows are handed over when there are this many bytes of them.
const BATCH_BYTES: usize = 128 * 1024;
/// From what size on the memory that a large row took is given back after it.
const LARGE_BYTES: usize = 4 * READ_BYTES;
/// Batches that may wait. When there are more, nothing is read, so that the server has to wait.
const BATCHES: usize = 2;

/// Tag and length, which counts itself (PostgreSQL documentation, "Message Formats").
const HEADER_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;
const COPY_DATA: u8 = b'd';

/// `PGCOPY\n\xff\r\n\0`, flags, length of the extension (PostgreSQL documentation, "COPY", "File Header").
const BINARY_HEADER: usize = 19;
const BINARY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Stands where a row's number of columns would.
const BINARY_TRAILER: &[u8] = &[0xff, 0xff];

/// Where in a connection a tap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Socket,
    Tls,
}

/// What a connection's tap and the reader of its rows share.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Whether the connection stands: before it does, not all bytes are messages.
    established: AtomicBool,
    /// Whether messages can only be read on top of TLS.
    encrypted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reading: Option<Reading>,
    /// Who reads from the connection, when it waits for batches to be taken.
    driver: Option<Waker>,
    /// Who takes batches, when there is none.
    taker: Option<Waker>,
    /// What the server sent that is against the protocol: the connection is over.
    violation: Option<&'static str>,
}

/// Rows of one statement under way.
#[derive(Debug)]
struct Reading {
    format: Format,
    wanted: Wanted,
    begun: bool,
    checksum: Checksum,
    gathered: BytesMut,
    length: usize,
    full: VecDeque<Batch>,
}

/// Some rows in a row, as the server sent them but for the frames of their messages.
#[derive(Debug)]
pub(super) struct Batch {
    /// Empty if only the checksum was wanted.
    pub(super) bytes: Bytes,
    /// How many bytes the rows were.
    pub(super) length: usize,
    /// The checksum of all rows of the statement up to the last of these.
    pub(super) checksum: Checksum,
}

impl Line {
    /// Notes that the connection stands.
    pub(super) fn established(&self) {
        self.established.store(true, Ordering::Release);
    }

    fn carries_messages(&self, layer: Layer) -> bool {
        self.established.load(Ordering::Acquire)
            && self.encrypted.load(Ordering::Acquire) == (layer == Layer::Tls)
    }

    /// Takes the rows of the next statement, until [`Line::end`].
    pub(super) fn begin(&self, format: Format, wanted: Wanted) {
        self.state().reading = Some(Reading {
            format,
            wanted,
            begun: false,
            checksum: Checksum::default(),
            gathered: BytesMut::new(),
            length: 0,
            full: VecDeque::new(),
        });
    }

    /// Lets rows that still come pass to the driver, which throws away what nobody asks it for.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.reading = None;
        wake(&mut state.driver);
    }

    /// The next full batch. Pending until there is one.
    pub(super) fn poll_batch(&self, context: &mut Context<'_>) -> Poll<Batch> {
        let mut state = self.state();
        let batch = state
            .reading
            .as_mut()
            .and_then(|reading| reading.full.pop_front());
        match batch {
            Some(batch) => {
                wake(&mut state.driver);
                Poll::Ready(batch)
            }
            None => {
                state.taker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// What is left once the driver has seen the statement's end.
    pub(super) fn rest(&self) -> Option<Batch> {
        let mut state = self.state();
        let reading = state.reading.as_mut()?;
        reading
            .full
            .pop_front()
            .or_else(|| (reading.length > 0).then(|| reading.cut()))
    }

    /// What was against the protocol, if the connection ended for that.
    pub(super) fn violation(&self) -> Option<&'static str> {
        self.state().violation
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Reading {
    fn take(&mut self, frame: &[u8]) -> Result<(), &'static str> {
        let row = match self.format {
            Format::Binary if !self.begun => {
                without_header(frame).ok_or("the binary rows do not begin with their header")?
            }
            _ => frame,
        };
        self.begun = true;
        let is_row = match self.format {
            Format::Text => true,
            Format::Binary => !row.is_empty() && row != BINARY_TRAILER,
        };
        if is_row {
            self.checksum.add_row(row);
        }
        self.length += frame.len();
        if self.wanted == Wanted::Rows {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve(BATCH_BYTES + BATCH_BYTES / 8);
            }
            self.gathered.extend_from_slice(frame);
        }
        if self.length >= BATCH_BYTES {
            let batch = self.cut();
            self.full.push_back(batch);
        }
        Ok(())
    }

    fn cut(&mut self) -> Batch {
        Batch {
            bytes: std::mem::take(&mut self.gathered).freeze(),
            length: std::mem::take(&mut self.length),
            checksum: self.checksum,
        }
    }
}

/// What follows the header of binary rows, or nothing if there is none.
fn without_header(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(BINARY_SIGNATURE)?;
    let extension = rest.get(4..8)?.try_into().map(u32::from_be_bytes).ok()?;
    frame.get(BINARY_HEADER + usize::try_from(extension).ok()?..)
}

/// A stream that keeps rows from whoever reads it, while somebody else wants them.
#[derive(Debug)]
pub(super) struct Tap<S> {
    stream: S,
    layer: Layer,
    line: Arc<Line>,
    /// What was read from the stream and is neither passed on nor taken.
    input: BytesMut,
    /// How much of the message at the beginning of `input` is still to be passed on.
    passing: usize,
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, layer: Layer, line: Arc<Line>) -> Self {
        Tap {
            stream,
            layer,
            line,
            input: BytesMut::new(),
            passing: 0,
        }
    }

    /// Deals with what was read, as far as it goes. Pending if batches have to be taken first.
    fn digest(&mut self, context: &mut Context<'_>, output: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let digested = self.pass(context, output);
        if self.input.is_empty() && self.input.capacity() > LARGE_BYTES {
            self.input = BytesMut::new();
        }
        match digested {
            Poll::Ready(Err(violation)) => {
                self.line.state().violation = Some(violation);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn pass(
        &mut self,
        context: &mut Context<'_>,
        output: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), &'static str>> {
        let mut state = self.line.state();
        while output.remaining() > 0 {
            if self.passing > 0 {
                let length = self.passing.min(self.input.len()).min(output.remaining());
                if length == 0 {
                    break;
                }
                output.put_slice(&self.input[..length]);
                self.input.advance(length);
                self.passing -= length;
                continue;
            }
            let Some((tag, length)) = header(&self.input)? else {
                break;
            };
            let State {
                reading: Some(reading),
                driver,
                taker,
                ..
            } = &mut *state
            else {
                self.passing = 1 + length;
                continue;
            };
            if tag != COPY_DATA {
                self.passing = 1 + length;
                continue;
            }
            if self.input.len() <= length {
                // The whole row is needed for its checksum.
                self.input.reserve(1 + length - self.input.len());
                break;
            }
            if reading.full.len() >= BATCHES {
                *driver = Some(context.waker().clone());
                return Poll::Pending;
            }
            reading.take(&self.input[HEADER_BYTES..=length])?;
            self.input.advance(1 + length);
            if !reading.full.is_empty() {
                wake(taker);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A message's tag and length, if so much of it is there.
fn header(input: &[u8]) -> Result<Option<(u8, usize)>, &'static str> {
    let Some(([tag, length @ ..], _)) = input.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) if length >= LENGTH_BYTES => Ok(Some((*tag, length))),
        _ => Err("the server sent a message with a wrong length"),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        output: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = &mut *self;
        if !tap.line.carries_messages(tap.layer) {
            return Pin::new(&mut tap.stream).poll_read(context, output);
        }
        let before = output.filled().len();
        loop {
            let digested = tap.digest(context, output)?;
            if output.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            ready!(digested);
            tap.input.reserve(READ_BYTES);
            if ready!(poll_read_buf(Pin::new(&mut tap.stream), context, &mut tap.input))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tap<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Makes TLS sessions with a tap on them.
pub(super) struct TappedTls<T> {
    pub(super) tls: T,
    pub(super) line: Arc<Line>,
}

impl<S, T> TlsConnect<S> for TappedTls<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Tap<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let TappedTls { tls, line } = self;
        let connecting = tls.connect(stream);
        Box::pin(async move {
            let stream = connecting.await?;
            line.encrypted.store(true, Ordering::Release);
            Ok(Tap::new(stream, Layer::Tls, line))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;

    use proptest::prelude::*;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

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

    fn message(tag: u8, payload: &[u8]) -> Vec<u8> {
        let length = i32::try_from(payload.len() + LENGTH_BYTES).unwrap();
        [&[tag][..], &length.to_be_bytes(), payload].concat()
    }

    fn tapped() -> (DuplexStream, Tap<DuplexStream>, Arc<Line>) {
        let (server, client) = tokio::io::duplex(1 << 20);
        let line = Arc::new(Line::default());
        line.established();
        let tap = Tap::new(client, Layer::Socket, Arc::clone(&line));
        (server, tap, line)
    }

    fn sum<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Checksum {
        let mut checksum = Checksum::default();
        rows.into_iter().for_each(|row| checksum.add_row(row));
        checksum
    }

    /// What a server sends in `pieces`, seen from the driver and from the reader of rows.
    async fn pass(pieces: Vec<Vec<u8>>, wanted: Wanted) -> (Vec<u8>, Vec<u8>, Checksum, usize) {
        let (mut server, mut tap, line) = tapped();
        line.begin(Format::Text, wanted);
        let driver = tokio::spawn(async move {
            let mut seen = Vec::new();
            tap.read_to_end(&mut seen).await.map(|_| seen)
        });
        let server = tokio::spawn(async move {
            for piece in pieces {
                server.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut rows, mut checksum, mut length) = (Vec::new(), Checksum::default(), 0);
        let mut take = |batch: Batch| {
            rows.extend_from_slice(&batch.bytes);
            checksum = batch.checksum;
            length += batch.length;
        };
        tokio::pin!(driver);
        let seen = loop {
            tokio::select! {
                biased;
                batch = poll_fn(|context| line.poll_batch(context)) => take(batch),
                seen = &mut driver => break seen.unwrap().unwrap(),
            }
        };
        std::iter::from_fn(|| line.rest()).for_each(take);
        server.await.unwrap();
        (seen, rows, checksum, length)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    proptest! {
        #[test]
        fn rows_go_to_their_reader_and_all_else_to_the_driver(
            messages in prop::collection::vec((prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..300)), 0..60),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            gather: bool,
        ) {
            let bytes: Vec<u8> = messages
                .iter()
                .flat_map(|(is_row, payload)| message(if *is_row { COPY_DATA } else { b'N' }, payload))
                .collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect();
            let expected: Vec<&[u8]> =
                messages.iter().filter(|(is_row, _)| *is_row).map(|(_, row)| &row[..]).collect();
            let others: Vec<u8> = messages
                .iter()
                .filter(|(is_row, _)| !is_row)
                .flat_map(|(_, payload)| message(b'N', payload))
                .collect();
            let wanted = if gather { Wanted::Rows } else { Wanted::Checksum };
            let (seen, rows, checksum, length) = run(pass(pieces, wanted));
            prop_assert_eq!(seen, others);
            prop_assert_eq!(checksum, if length > 0 { sum(expected.iter().copied()) } else { Checksum::default() });
            prop_assert_eq!(length, expected.concat().len());
            prop_assert_eq!(rows, if gather { expected.concat() } else { Vec::new() });
        }
    }

    #[test]
    fn rows_larger_than_all_buffers_pass_whole() {
        let row: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let pieces = vec![
            message(COPY_DATA, &row),
            message(COPY_DATA, b"small"),
            message(b'c', b""),
        ];
        let (seen, rows, checksum, _) = run(pass(pieces, Wanted::Rows));
        assert_eq!(seen, message(b'c', b""));
        assert_eq!(rows, [&row[..], b"small"].concat());
        assert_eq!(checksum, sum([&row[..], b"small"]));
    }

    #[tokio::test]
    async fn the_server_waits_while_nobody_takes_rows() {
        let (mut server, mut tap, line) = tapped();
        line.begin(Format::Text, Wanted::Checksum);
        let row = message(COPY_DATA, &[7; 1000]);
        let mut accepted = 0;
        let mut buffer = [0; 64];
        loop {
            accepted += server.write(&row).await.unwrap();
            // The driver looks again after each write, and stops when batches wait.
            let mut output = ReadBuf::new(&mut buffer);
            let looked =
                poll_fn(|context| Poll::Ready(Pin::new(&mut tap).poll_read(context, &mut output))).await;
            assert!(looked.is_pending());
            if accepted > BATCHES * BATCH_BYTES + 2 * READ_BYTES {
                break;
            }
        }
        assert!(line.state().reading.as_ref().unwrap().full.len() <= BATCHES);
        line.end();
        let read = tap.read(&mut buffer).await.unwrap();
        assert!(read > 0, "rows that nobody wants any more pass to the driver");
    }

    #[rstest]
    #[case::negative(b"d\xff\xff\xff\xff")]
    #[case::shorter_than_itself(b"N\0\0\0\x03")]
    #[tokio::test]
    async fn impossible_lengths_end_the_connection(#[case] bytes: &[u8]) {
        let (mut server, mut tap, _line) = tapped();
        server.write_all(bytes).await.unwrap();
        let error = tap.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn binary_rows_without_their_header_are_refused() {
        let (mut server, mut tap, line) = tapped();
        line.begin(Format::Binary, Wanted::Checksum);
        server.write_all(&message(COPY_DATA, b"\0\x01row")).await.unwrap();
        let error = tap.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
