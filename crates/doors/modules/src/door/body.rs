//! A zip as a body: read from its file in large pieces, just ahead of the socket.
//!
//! Most zips that are asked for are in the page cache. Where the system can say so (Linux: `preadv2` with `RWF_NOWAIT`), a
//! piece is read at once, on the thread that sends it; else on a thread that may wait for the disk. A download has two
//! buffers and no more, whatever the server would be ready to hold: each is used again as soon as the socket has taken what
//! was in it, so that they stay in the processor's cache, and a caller that reads slowly costs no more than one that does
//! not. Refused: mapping the file (a file that is cut under it would end the process), and `sendfile`, which would go around
//! hyper's framing and around TLS.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::record::Recording;
use crate::failure::{Failure, FailureKind};
use crate::store::ZipFile;

/// What is read and sent at once.
const PIECE: usize = 128 * 1024;
/// Pieces of one download that may be on their way.
const ON_THEIR_WAY: usize = 2;

/// A zip, or a part of it.
pub(super) struct ZipBody {
    zip: Arc<ZipFile>,
    at: u64,
    end: u64,
    buffers: Arc<Buffers>,
    /// A piece that is being read where that may wait.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
    recording: Option<Recording>,
}

/// The buffers of one download.
#[derive(Default)]
struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    on_their_way: AtomicUsize,
    waker: AtomicWaker,
}

/// A buffer on its way: when it is dropped, the socket has taken it.
struct Sent {
    bytes: Vec<u8>,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.buffers.free.lock().push(std::mem::take(&mut self.bytes));
        self.buffers.on_their_way.fetch_sub(1, Ordering::Release);
        self.buffers.waker.wake();
    }
}

impl ZipBody {
    /// The bytes from `from` to before `end`.
    pub(super) fn new(zip: ZipFile, from: u64, end: u64, recording: Recording) -> Self {
        let zip = Arc::new(zip);
        Self { zip, at: from, end, buffers: Arc::default(), reading: None, recording: Some(recording) }
    }

    /// A piece that has been read.
    fn piece(&mut self, bytes: Vec<u8>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.at += bytes.len() as u64;
        if self.at >= self.end
            && let Some(recording) = self.recording.take()
        {
            recording.whole();
        }
        self.buffers.on_their_way.fetch_add(1, Ordering::Relaxed);
        let sent = Sent { bytes, buffers: Arc::clone(&self.buffers) };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(sent)))))
    }
}

impl http_body::Body for ZipBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(reading) = &mut this.reading {
            let read = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
            this.reading = None;
            return match read {
                Ok(buffer) => this.piece(buffer),
                Err(error) => {
                    // Nobody has gone: the file is not what it was.
                    if let Some(recording) = this.recording.take() {
                        recording.broke_off(&unread(&error));
                    }
                    Poll::Ready(Some(Err(error)))
                }
            };
        }
        let left = this.end - this.at;
        if left == 0 {
            return Poll::Ready(None);
        }
        // Registered before it is looked at, so that no wake-up is missed.
        this.buffers.waker.register(context.waker());
        if this.buffers.on_their_way.load(Ordering::Acquire) >= ON_THEIR_WAY {
            return Poll::Pending;
        }
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let mut buffer = this.buffers.free.lock().pop().unwrap_or_default();
        buffer.resize(length, 0);
        match read_now(&this.zip.file, &mut buffer, this.at) {
            Some(read) => {
                buffer.truncate(read);
                this.piece(buffer)
            }
            None => {
                let (zip, at) = (Arc::clone(&this.zip), this.at);
                this.reading = Some(tokio::task::spawn_blocking(move || {
                    read_at(&zip.file, &mut buffer, at)?;
                    Ok(buffer)
                }));
                Pin::new(this).poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// The failure of a zip that cannot be read.
pub(super) fn unread(error: &io::Error) -> Failure {
    let reason = format!("the store of the module proxy cannot be read: {error}");
    Failure::new(FailureKind::Storage, 500, reason)
}

/// Reads what is there without waiting for a disk; nothing when it would have to, or cannot be told.
#[cfg(target_os = "linux")]
pub(super) fn read_now(file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    let read = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(buffer)], at, flags).ok()?;
    (read > 0).then_some(read)
}

/// Elsewhere nobody can tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_now(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}

/// Fills the buffer from `at` on; blocks on the disk.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, at);
    #[cfg(windows)]
    {
        let (mut buffer, mut at) = (buffer, at);
        while !buffer.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += read as u64;
            buffer = &mut buffer[read..];
        }
        Ok(())
    }
}
