//! Compresses a stream in blocks, on several threads, to the same bytes whatever their number.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::gzip::{self, BLOCK};

/// Chosen by measuring: about as small as pigz's default, in half its time.
const LEVEL: u32 = 6;

/// Samples of a block that are compressed quickly to see whether more effort would be wasted.
const PROBES: usize = 4;
const PROBE: usize = 16 << 10;

/// Sizes of a member: uncompressed and compressed.
pub(super) type MemberSizes = (u64, u64);

/// Runs `produce` with a writer whose blocks are compressed by `threads` threads and written to `out` in order.
/// Returns what it returns, and the sizes of the members.
pub(super) fn deflate<T, E: From<std::io::Error> + Send>(
    out: &mut (impl Write + Send),
    threads: NonZeroUsize,
    produce: impl FnOnce(&mut BlockWriter) -> Result<T, E>,
) -> Result<(T, Vec<MemberSizes>), E> {
    let (jobs, queue) = sync_channel::<Job>(threads.get());
    let (ordered, results) = sync_channel::<Receiver<Member>>(2 * threads.get());
    let (recycler, recycled) = sync_channel::<Vec<u8>>(4 * threads.get());
    let queue = Mutex::new(queue);

    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (queue, recycler) = (&queue, recycler.clone());
            scope.spawn(move || compress_jobs(queue, &recycler));
        }
        let writing = scope.spawn(move || write_members(results, out));

        let mut writer = BlockWriter {
            block: Vec::with_capacity(BLOCK),
            recycled,
            jobs,
            ordered,
        };
        let produced =
            produce(&mut writer).and_then(|value| writer.finish().map(|()| value).map_err(E::from));
        // The threads end when nothing more can come.
        drop(writer);
        let written = writing
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the writing thread failed")));
        // A failed write also ends `produce`, with less to say.
        let sizes = written?;
        Ok((produced?, sizes))
    })
}

/// A block on its way to be compressed.
struct Job {
    block: Vec<u8>,
    reply: SyncSender<Member>,
}

/// A compressed block.
struct Member {
    bytes: Vec<u8>,
    uncompressed: usize,
}

/// Collects what is written into blocks.
pub(super) struct BlockWriter {
    block: Vec<u8>,
    recycled: Receiver<Vec<u8>>,
    jobs: SyncSender<Job>,
    ordered: SyncSender<Receiver<Member>>,
}

impl BlockWriter {
    /// Appends up to `limit` bytes from `source`, as many as one read gives and the block has room for. Returns what
    /// was appended; nothing at the end of the source.
    pub(super) fn read_from(
        &mut self,
        source: &mut impl std::io::Read,
        limit: usize,
    ) -> std::io::Result<&[u8]> {
        if self.block.len() == BLOCK {
            self.send_block()?;
        }
        let start = self.block.len();
        self.block.resize(start + limit.min(BLOCK - start), 0);
        let read = loop {
            match source.read(&mut self.block[start..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.block.truncate(start + *read.as_ref().unwrap_or(&0));
        read.map(|_| &self.block[start..])
    }

    fn send_block(&mut self) -> std::io::Result<()> {
        let empty = self
            .recycled
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        let block = std::mem::replace(&mut self.block, empty);
        let (reply, result) = sync_channel(1);
        let stopped = || std::io::Error::other("the archive could not be written further");
        self.ordered.send(result).map_err(|_| stopped())?;
        self.jobs.send(Job { block, reply }).map_err(|_| stopped())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            Ok(())
        } else {
            self.send_block()
        }
    }
}

impl Write for BlockWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.block.len() == BLOCK {
            self.send_block()?;
        }
        let fits = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn compress_jobs(queue: &Mutex<Receiver<Job>>, recycler: &SyncSender<Vec<u8>>) {
    let mut compressor = Compressor::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut block, reply }) = next else {
            return;
        };
        if let Ok(bytes) = compressor.member(&block) {
            let _writer_may_have_failed = reply.send(Member {
                bytes,
                uncompressed: block.len(),
            });
        }
        block.clear();
        let _kept_if_there_is_room = recycler.try_send(block);
    }
}

fn write_members(
    results: Receiver<Receiver<Member>>,
    out: &mut impl Write,
) -> std::io::Result<Vec<MemberSizes>> {
    let mut sizes = Vec::new();
    for result in results {
        let member = result
            .recv()
            .map_err(|_| std::io::Error::other("a block could not be compressed"))?;
        out.write_all(&member.bytes)?;
        sizes.push((member.uncompressed as u64, member.bytes.len() as u64));
    }
    Ok(sizes)
}

/// Makes members of blocks.
struct Compressor {
    thorough: Compress,
    quick: Compress,
    stored: Compress,
    scratch: Vec<u8>,
}

impl Compressor {
    fn new() -> Self {
        Self {
            thorough: Compress::new(Compression::new(LEVEL), false),
            quick: Compress::new(Compression::fast(), false),
            stored: Compress::new(Compression::none(), false),
            scratch: Vec::new(),
        }
    }

    fn member(&mut self, block: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut member = Vec::with_capacity(block.len() + block.len() / 16 + 1024);
        member.extend_from_slice(&gzip::header(0));
        let compressor = if self.is_incompressible(block)? {
            &mut self.stored
        } else {
            &mut self.thorough
        };
        deflate_block(compressor, block, &mut member)?;

        let mut crc = Crc::new();
        crc.update(block);
        member.extend_from_slice(&crc.sum().to_le_bytes());
        member.extend_from_slice(&crc.amount().to_le_bytes());

        let length = u32::try_from(member.len()).map_err(std::io::Error::other)?;
        member[..gzip::HEADER].copy_from_slice(&gzip::header(length));
        Ok(member)
    }

    /// Whether no sample of the block becomes noticeably smaller: so are images, archives and encrypted files, on
    /// which most of the time would be spent for nothing.
    fn is_incompressible(&mut self, block: &[u8]) -> std::io::Result<bool> {
        if block.len() < PROBES * PROBE {
            return Ok(false);
        }
        for i in 0..PROBES {
            let start = i * (block.len() - PROBE) / (PROBES - 1);
            self.scratch.clear();
            deflate_block(&mut self.quick, &block[start..start + PROBE], &mut self.scratch)?;
            if self.scratch.len() < PROBE - PROBE / 64 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn deflate_block(compressor: &mut Compress, block: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    compressor.reset();
    loop {
        out.reserve(block.len() / 16 + 1024);
        let done = usize::try_from(compressor.total_in()).map_err(std::io::Error::other)?;
        match compressor.compress_vec(&block[done..], out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(std::io::Error::other(error)),
        }
    }
}
