//! The way of a record from a call to the writer thread: a bounded queue that never makes a call wait.
//!
//! The channel holds boxes, so that an empty queue costs 16 bytes a place and not a whole record. The writer is woken
//! only by the first record after a rest and when a batch is full, so that a busy gateway makes no system call a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::file::Notice;
use crate::record::Record;

/// At most this many records are written in one transaction.
pub(crate) const BATCH: usize = 4096;

/// What the journal has done since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that are in the file.
    pub written: u64,
    /// Records that were lost: the queue was full, or the file could not be written.
    pub dropped: u64,
    /// Records that wait to be written.
    pub queued: usize,
    /// Records deleted for their age or the journal's size.
    pub pruned: u64,
    /// The file's size with its unused pages, without the write-ahead log.
    pub bytes: u64,
    /// What a person should know: the last time that something went wrong.
    pub notice: Option<Notice>,
    /// Whether the writer thread runs.
    pub running: bool,
}

/// What senders, readers and the writer share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    queued: AtomicUsize,
    pub(crate) written: AtomicU64,
    dropped: AtomicU64,
    pub(crate) pruned: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) newest: AtomicU64,
    pub(crate) stopping: AtomicBool,
    pub(crate) stopped: AtomicBool,
    pub(crate) notice: Mutex<Option<Notice>>,
    flush: Mutex<Flush>,
    flushed: Condvar,
}

#[derive(Debug, Default)]
struct Flush {
    asked: u64,
    done: u64,
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            pruned: self.pruned.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            notice: self.notice.lock().clone(),
            running: !self.stopped.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    pub(crate) fn count_dropped(&self, records: usize) {
        self.dropped.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Waits until everything that was queued before has been written or dropped. False when `limit` passed first.
    pub(crate) fn flush(&self, writer: &Thread, limit: Duration) -> bool {
        let mut flush = self.flush.lock();
        flush.asked += 1;
        let ticket = flush.asked;
        writer.unpark();
        let reached = |flush: &mut Flush| flush.done < ticket && !self.stopped.load(Ordering::Acquire);
        self.flushed.wait_while_for(&mut flush, reached, limit);
        flush.done >= ticket
    }

    /// The newest flush that was asked for, when there is one that is not done.
    pub(crate) fn flush_asked(&self) -> Option<u64> {
        let flush = self.flush.lock();
        (flush.asked > flush.done).then_some(flush.asked)
    }

    pub(crate) fn flush_done(&self, ticket: u64) {
        self.flush.lock().done = ticket;
        self.flushed.notify_all();
    }

    /// The writer is gone: nobody may wait for it, and what is still queued is lost.
    pub(crate) fn writer_gone(&self) {
        let lost = self.queued.swap(0, Ordering::AcqRel);
        self.count_dropped(lost);
        self.stopped.store(true, Ordering::Release);
        drop(self.flush.lock());
        self.flushed.notify_all();
    }
}

/// Hands records to the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JournalSender {
    records: SyncSender<Box<Record>>,
    shared: Arc<Shared>,
    /// The thread to wake; `None` when somebody else reads the records.
    writer: Option<Thread>,
}

impl JournalSender {
    pub(crate) fn new(records: SyncSender<Box<Record>>, shared: Arc<Shared>, writer: Thread) -> Self {
        Self { records, shared, writer: Some(writer) }
    }

    /// A sender without a journal: records arrive at the receiver. For tests, and for tools that look at records.
    #[must_use]
    pub fn to_channel(capacity: usize) -> (Self, Receiver<Box<Record>>) {
        let (records, receiver) = mpsc::sync_channel(capacity);
        (Self { records, shared: Arc::default(), writer: None }, receiver)
    }

    /// Queues `record` to be written; never waits. False when the queue is full or the journal is closed: the record is
    /// then dropped, and counted in [`Stats::dropped`].
    pub fn try_send(&self, record: impl Into<Box<Record>>) -> bool {
        // Counted before it is sent, so that the writer never takes more than it knows of.
        let before = self.shared.queued.fetch_add(1, Ordering::AcqRel);
        if self.records.try_send(record.into()).is_err() {
            self.shared.queued.fetch_sub(1, Ordering::AcqRel);
            self.shared.count_dropped(1);
            return false;
        }
        if (before == 0 || before == BATCH)
            && let Some(writer) = &self.writer
        {
            writer.unpark();
        }
        true
    }
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Queue {
    records: Receiver<Box<Record>>,
    shared: Arc<Shared>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> (SyncSender<Box<Record>>, Self, Arc<Shared>) {
        let (sender, records) = mpsc::sync_channel(capacity.max(1));
        let shared = Arc::new(Shared::default());
        (sender, Self { records, shared: Arc::clone(&shared) }, shared)
    }

    /// Moves what is queued into `batch`, at most [`BATCH`] records.
    #[expect(clippy::vec_box, reason = "they come in boxes, and moving a pointer is cheaper than moving 1 KiB")]
    pub(crate) fn take(&self, batch: &mut Vec<Box<Record>>) {
        batch.extend(self.records.try_iter().take(BATCH));
        self.shared.queued.fetch_sub(batch.len(), Ordering::AcqRel);
    }
}
