//! Reads a gzip file as one stream; members that announce their length are inflated on several threads.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::gzip::{self, MAX_SIZED_MEMBER, flag};
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Bytes read from the file, and inflated of a stream, at a time.
const CHUNK: usize = 256 << 10;

/// The file as it was read.
pub(super) struct Compressed {
    pub(super) sha256: Checksum,
    pub(super) size: u64,
}

/// Runs `consume` with what the gzip file at `path` inflates to. Memory is bounded by a few blocks a thread.
pub(super) fn inflate<T>(
    path: &Path,
    limits: &Limits,
    consume: impl FnOnce(&mut Inflated) -> Result<T>,
) -> Result<(T, Compressed)> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let metadata = file.metadata().map_err(|error| Error::io("read", path, error))?;
    if metadata.is_dir() {
        return Err(Error::io("read", path, std::io::ErrorKind::IsADirectory.into()));
    }
    limits.check_archive_size(metadata.len())?;

    let threads = thread::available_parallelism().map_or(1, |count| count.get());
    let (jobs, queue) = sync_channel::<Job>(threads);
    let (ordered, pieces) = sync_channel::<Piece>(2 * threads);
    let (recycler, recycled) = sync_channel::<Vec<u8>>(4 * threads);
    let queue = Mutex::new(queue);
    let recycled = Mutex::new(recycled);

    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| inflate_jobs(&queue, &recycled));
        }
        let source = Source::new(file, path, limits);
        let reading = scope.spawn(move || read_members(source, &jobs, &ordered));

        let mut inflated = Inflated {
            pieces,
            recycler,
            limits: *limits,
            chunk: Vec::new(),
            position: 0,
            total: 0,
        };
        let consumed = consume(&mut inflated);
        drop(inflated);
        let read = reading.join().map_err(|_| internal("the reading thread failed"));
        Ok((consumed?, read?))
    })
}

/// What a gzip file inflates to, in order.
pub(super) struct Inflated {
    pieces: Receiver<Piece>,
    recycler: SyncSender<Vec<u8>>,
    limits: Limits,
    chunk: Vec<u8>,
    position: usize,
    /// Bytes inflated up to the end of `chunk`.
    total: u64,
}

/// The next part of the stream, or where it will come from.
enum Piece {
    Ready(Result<Chunk>),
    Pending(Receiver<Result<Chunk>>),
}

struct Chunk {
    bytes: Vec<u8>,
    /// Where in the compressed file its member, or the part of it that was read, ends.
    compressed_end: u64,
}

impl Inflated {
    /// The next bytes, at least one; none at the end of the stream.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        while self.position == self.chunk.len() {
            let Ok(piece) = self.pieces.recv() else {
                return Ok(&[]);
            };
            let chunk = match piece {
                Piece::Ready(chunk) => chunk,
                Piece::Pending(result) => result
                    .recv()
                    .unwrap_or_else(|_| Err(internal("an inflating thread failed"))),
            }?;
            let spent = std::mem::replace(&mut self.chunk, chunk.bytes);
            let _kept_if_there_is_room = self.recycler.try_send(spent);
            self.position = 0;
            self.total += self.chunk.len() as u64;
            if self.limits.ratio_exceeded(chunk.compressed_end, self.total) {
                return Err(Error::RatioExceeded {
                    limit: self.limits.max_ratio,
                });
            }
        }
        Ok(&self.chunk[self.position..])
    }

    /// Passes over bytes that [`Self::fill`] returned.
    pub(super) fn consume(&mut self, count: usize) {
        self.position += count;
    }

    /// Fills `buffer` as far as the stream goes.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let bytes = self.fill()?;
            let count = bytes.len().min(buffer.len() - read);
            if count == 0 {
                break;
            }
            buffer[read..read + count].copy_from_slice(&bytes[..count]);
            self.consume(count);
            read += count;
        }
        Ok(read)
    }
}

/// A member to be inflated.
struct Job {
    member: Vec<u8>,
    header: usize,
    offset: u64,
    reply: SyncSender<Result<Chunk>>,
}

fn inflate_jobs(queue: &Mutex<Receiver<Job>>, recycled: &Mutex<Receiver<Vec<u8>>>) {
    let mut decompress = Decompress::new(false);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let buffer = recycled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_recv()
            .unwrap_or_default();
        let compressed_end = job.offset + job.member.len() as u64;
        let inflated = inflate_member(&mut decompress, &job.member[job.header..], buffer);
        let chunk = inflated
            .map(|bytes| Chunk {
                bytes,
                compressed_end,
            })
            .map_err(|reason| Error::CorruptGzip {
                offset: job.offset,
                reason: reason.to_owned(),
            });
        let _consumer_may_have_stopped = job.reply.send(chunk);
    }
}

/// Inflates the deflate stream and trailer of a member to a buffer of exactly the length that the trailer tells.
fn inflate_member(
    decompress: &mut Decompress,
    member: &[u8],
    mut buffer: Vec<u8>,
) -> std::result::Result<Vec<u8>, &'static str> {
    let Some((deflated, trailer)) = member.split_last_chunk::<{ gzip::TRAILER }>() else {
        return Err("a member is shorter than it may be");
    };
    let (crc, length) = trailer_fields(trailer);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_SIZED_MEMBER {
        return Err("a member of announced length is too long");
    }
    decompress.reset(false);
    buffer.clear();
    buffer.reserve_exact(length);
    // Capacity may exceed the length: the check of `total_out` below covers that.
    match decompress.decompress_vec(deflated, &mut buffer, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => {}
        Ok(_) => return Err("a member inflates to another length than it tells"),
        Err(_) => return Err("the compressed data is invalid"),
    }
    if decompress.total_in() != deflated.len() as u64 || buffer.len() != length {
        return Err("a member has another length than it tells");
    }
    let mut found = Crc::new();
    found.update(&buffer);
    if found.sum() != crc {
        Err("the CRC-32 does not match")
    } else {
        Ok(buffer)
    }
}

/// CRC-32 and length modulo 2^32 of the uncompressed data.
fn trailer_fields(trailer: &[u8; gzip::TRAILER]) -> (u32, u32) {
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    (
        u32::from_le_bytes([c0, c1, c2, c3]),
        u32::from_le_bytes([l0, l1, l2, l3]),
    )
}

/// Cuts the file into members, gives those of known length to the threads, and inflates the others itself.
fn read_members(mut source: Source<'_>, jobs: &SyncSender<Job>, ordered: &SyncSender<Piece>) -> Compressed {
    if let Err(error) = read_all_members(&mut source, jobs, ordered) {
        let _consumer_may_have_stopped = ordered.send(Piece::Ready(Err(error)));
    }
    Compressed {
        sha256: Checksum::finish(source.hasher),
        size: source.read_total,
    }
}

/// Reads to the end of the file, or until the consumer, which then says why itself, wants no more.
fn read_all_members(
    source: &mut Source<'_>,
    jobs: &SyncSender<Job>,
    ordered: &SyncSender<Piece>,
) -> Result<()> {
    let mut is_first = true;
    while is_first || !source.fill()?.is_empty() {
        let offset = source.offset();
        let (header, announced) = read_member_header(source, is_first)?;
        is_first = false;
        let length = announced.map(|length| length as usize);
        let going_on = match length {
            Some(length) if length <= MAX_SIZED_MEMBER => {
                let Some(rest) = length.checked_sub(header.len() + gzip::TRAILER) else {
                    return Err(corrupt(offset, "a member is shorter than it may be"));
                };
                let mut member = header;
                let head = member.len();
                source.append(&mut member, rest + gzip::TRAILER)?;
                let (reply, result) = sync_channel(1);
                ordered.send(Piece::Pending(result)).is_ok()
                    && jobs
                        .send(Job {
                            member,
                            header: head,
                            offset,
                            reply,
                        })
                        .is_ok()
            }
            _ => {
                let going_on = stream_member(source, offset, ordered)?;
                if going_on && length.is_some_and(|length| length as u64 != source.offset() - offset) {
                    return Err(corrupt(offset, "a member has another length than it tells"));
                }
                going_on
            }
        };
        if !going_on {
            break;
        }
    }
    Ok(())
}

/// Reads a member's header (RFC 1952, 2.3). Returns its bytes and the length that it announces.
fn read_member_header(source: &mut Source<'_>, is_first: bool) -> Result<(Vec<u8>, Option<u32>)> {
    let offset = source.offset();
    let mut header = Vec::with_capacity(gzip::HEADER);
    if is_first && !source.begins_with(&gzip::MAGIC)? {
        return Err(Error::NotGzip);
    }
    source.append(&mut header, 3)?;
    if header != gzip::MAGIC {
        return Err(Error::TrailingData {
            what: "bytes that are no gzip member",
        });
    }
    source.append(&mut header, 7)?;
    let flags = header[3];
    if flags & flag::RESERVED != 0 {
        return Err(corrupt(offset, "a member's header has reserved bits set"));
    }
    let mut announced = None;
    if flags & flag::EXTRA != 0 {
        source.append(&mut header, 2)?;
        let start = header.len();
        let length = usize::from(u16::from_le_bytes([header[start - 2], header[start - 1]]));
        source.append(&mut header, length)?;
        announced = gzip::member_length(&header[start..]);
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            source.append_text(&mut header, offset)?;
        }
    }
    if flags & flag::HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(&header);
        let start = header.len();
        source.append(&mut header, 2)?;
        if header[start..] != (crc.sum() as u16).to_le_bytes() {
            return Err(corrupt(offset, "the CRC-16 of a member's header does not match"));
        }
    }
    Ok((header, announced))
}

/// Inflates a member of unknown length. Whether the consumer still wants more.
fn stream_member(source: &mut Source<'_>, offset: u64, ordered: &SyncSender<Piece>) -> Result<bool> {
    let mut decompress = Decompress::new(false);
    let mut crc = Crc::new();
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        let mut at_end = false;
        while !at_end && bytes.len() < CHUNK {
            let input = source.fill()?;
            if input.is_empty() {
                return Err(Error::Truncated {
                    within: "compressed data".to_owned(),
                });
            }
            let before = (decompress.total_in(), bytes.len());
            let status = decompress
                .decompress_vec(input, &mut bytes, FlushDecompress::None)
                .map_err(|_| corrupt(offset, "the compressed data is invalid"))?;
            let consumed = decompress.total_in() - before.0;
            source.consume(consumed as usize);
            at_end = status == Status::StreamEnd;
            if !at_end && consumed == 0 && bytes.len() == before.1 {
                return Err(corrupt(offset, "the compressed data is invalid"));
            }
        }
        crc.update(&bytes);
        if at_end {
            let mut trailer = Vec::with_capacity(gzip::TRAILER);
            source.append(&mut trailer, gzip::TRAILER)?;
            let matches =
                trailer[..4] == crc.sum().to_le_bytes() && trailer[4..] == crc.amount().to_le_bytes();
            if !matches {
                return Err(corrupt(offset, "CRC-32 or length of a member does not match"));
            }
        }
        let chunk = Chunk {
            bytes,
            compressed_end: source.offset(),
        };
        if ordered.send(Piece::Ready(Ok(chunk))).is_err() {
            return Ok(false);
        }
        if at_end {
            return Ok(true);
        }
    }
}

/// The compressed file, hashed as it is read.
struct Source<'a> {
    file: File,
    path: &'a Path,
    limits: &'a Limits,
    hasher: Sha256,
    buffer: Vec<u8>,
    position: usize,
    length: usize,
    read_total: u64,
}

impl<'a> Source<'a> {
    fn new(file: File, path: &'a Path, limits: &'a Limits) -> Self {
        let buffer = vec![0; CHUNK];
        Self {
            file,
            path,
            limits,
            hasher: Sha256::new(),
            buffer,
            position: 0,
            length: 0,
            read_total: 0,
        }
    }

    /// Where the next byte is in the file.
    fn offset(&self) -> u64 {
        self.read_total - (self.length - self.position) as u64
    }

    /// The next bytes, at least one; none at the end of the file.
    fn fill(&mut self) -> Result<&[u8]> {
        while self.position == self.length {
            match self.file.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                Ok(read) => {
                    (self.position, self.length) = (0, read);
                    self.read_total += read as u64;
                    // The file may grow while it is read, or be a pipe.
                    self.limits.check_archive_size(self.read_total)?;
                    self.hasher.update(&self.buffer[..read]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", self.path, error)),
            }
        }
        Ok(&self.buffer[self.position..self.length])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }

    /// Whether the bytes at hand begin so; only of use at the file's beginning.
    fn begins_with(&mut self, magic: &[u8]) -> Result<bool> {
        Ok(self.fill()?.starts_with(magic))
    }

    /// Appends the next `count` bytes.
    fn append(&mut self, to: &mut Vec<u8>, mut count: usize) -> Result<()> {
        while count > 0 {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Err(Error::Truncated {
                    within: "a gzip member".to_owned(),
                });
            }
            let part = bytes.len().min(count);
            to.extend_from_slice(&bytes[..part]);
            self.consume(part);
            count -= part;
        }
        Ok(())
    }

    /// Appends the next bytes up to a NUL.
    fn append_text(&mut self, to: &mut Vec<u8>, offset: u64) -> Result<()> {
        const LONGEST: usize = 4096;
        for _ in 0..LONGEST {
            self.append(to, 1)?;
            if to.last() == Some(&0) {
                return Ok(());
            }
        }
        Err(corrupt(
            offset,
            "a member's header has a very long name or comment",
        ))
    }
}

fn corrupt(offset: u64, reason: &str) -> Error {
    Error::CorruptGzip {
        offset,
        reason: reason.to_owned(),
    }
}

/// A thread of ours is gone: no archive can cause that.
fn internal(what: &str) -> Error {
    Error::Io {
        action: "inflate",
        path: "the archive".into(),
        source: std::io::Error::other(what.to_owned()),
    }
}
