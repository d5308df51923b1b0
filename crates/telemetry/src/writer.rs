//! The one thread that writes the journal: batches, pruning, checkpoints, and going on when the file is bad.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tradewind_core::{Clock, DecisionId, Moment, UnixMillis};

use crate::block::Packer;
use crate::error::JournalError;
use crate::file::{FILE_NAME, JournalFile, Notice, Step, move_aside};
use crate::queue::{BATCH, Queue, Shared};
use crate::record::Record;
use crate::settings::Settings;
use crate::spend::{Spend, salvage};

/// How often the log is moved into the file and old records are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How long a writer with nothing to do sleeps before it looks for old records.
const REST: Duration = Duration::from_secs(60);
/// How long a file that could not be written is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);
pub(crate) struct Writer {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Queue,
    pub(crate) shared: Arc<Shared>,
    pub(crate) spend: Spend,
    /// `None` while the file cannot be used.
    pub(crate) file: Option<JournalFile>,
    /// Keeps other processes out; let go when the writer ends.
    pub(crate) _lock: File,
    pub(crate) retry_at: Moment,
    pub(crate) tidy_at: Moment,
    /// Whether something was written since the last checkpoint.
    pub(crate) dirty: bool,
    /// Whether there is more to delete or to give back.
    pub(crate) untidy: bool,
}

/// Tells those who wait that the writer is gone, even when it panics.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.writer_gone();
    }
}

impl Writer {
    /// Runs until the journal is closed; then writes what is queued, and ends.
    pub(crate) fn run(mut self) {
        let _gone = Gone(Arc::clone(&self.shared));
        let mut batch: Vec<Box<Record>> = Vec::new();
        let mut packer = Packer::default();
        loop {
            self.wait();
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            let ticket = self.shared.flush_asked();
            // Whoever waits, waits for what was queued when they asked, not for what comes in meanwhile.
            let mut due = self.shared.queued();
            loop {
                self.queue.take(&mut batch);
                due = due.saturating_sub(batch.len());
                if batch.is_empty() {
                    break;
                }
                self.write(&mut batch, &mut packer);
                if due == 0 {
                    break;
                }
            }
            if self.spend.is_waiting() {
                // Of calls whose records were dropped.
                self.write(&mut batch, &mut packer);
            }
            if let Some(ticket) = ticket {
                self.shared.flush_done(ticket);
            }
            packer.shrink();
            self.tidy(stopping);
            if stopping {
                return;
            }
        }
    }

    /// Sleeps until there is a batch worth writing, or something else to do.
    fn wait(&self) {
        let urgent = || {
            self.shared.queued() >= BATCH
                || self.shared.stopping.load(Ordering::Acquire)
                || self.shared.flush_asked().is_some()
        };
        if self.shared.queued() == 0 && !urgent() {
            let rest = match (self.untidy, self.dirty) {
                (true, _) => self.settings.batch_time,
                (false, true) => TIDY_EVERY,
                (false, false) => REST,
            };
            thread::park_timeout(rest);
            if self.shared.queued() == 0 {
                return;
            }
        }
        // A wake-up that came while the last batch was written is used up here; it would end the next sleep at once.
        thread::park_timeout(Duration::ZERO);
        if !urgent() {
            thread::park_timeout(self.settings.batch_time);
        }
    }

    /// Writes `batch` and empties it. A bad file is moved aside, and the batch goes into the new one.
    #[expect(clippy::vec_box, reason = "they come in boxes, and moving a pointer is cheaper than moving 1 KiB")]
    fn write(&mut self, batch: &mut Vec<Box<Record>>, packer: &mut Packer) {
        if !self.reopen() {
            self.shared.count_dropped(batch.len());
            batch.clear();
            return;
        }
        let records = batch.len();
        let blocks = packer.pack(batch);
        let spend = self.spend.clone();
        // Taken after the batch, so that what is booked for its records is in it.
        let spent = spend.take();
        for _ in 0..2 {
            if !self.reopen() {
                break;
            }
            let Some(file) = &mut self.file else { break };
            match file.append(&blocks, spent.rows()) {
                Ok(()) => {
                    spent.written();
                    self.dirty = true;
                    self.shared.written.fetch_add(records as u64, Ordering::Relaxed);
                    let newest = blocks.iter().map(|block| block.last).max().unwrap_or(0);
                    self.shared.newest.fetch_max(newest, Ordering::Relaxed);
                    self.keep_size();
                    return;
                }
                Err(error) => self.failed(&error),
            }
        }
        self.shared.count_dropped(records);
    }

    /// Opens the file when it is not open and may be tried again. False when there is none to write to.
    fn reopen(&mut self) -> bool {
        if self.file.is_some() {
            return true;
        }
        if self.clock.now() < self.retry_at {
            return false;
        }
        for _ in 0..2 {
            match JournalFile::open(&self.folder) {
                Ok(file) => {
                    self.file = Some(file);
                    self.retry_at = Moment::START;
                    return true;
                }
                Err(error) => self.failed(&error),
            }
            if self.clock.now() < self.retry_at {
                break;
            }
        }
        false
    }

    /// Closes the file. A bad one is moved aside, anything else is tried again later.
    fn failed(&mut self, error: &JournalError) {
        self.file = None;
        self.dirty = false;
        let reason = error.in_one_line();
        let notice = if error.is_bad_file() {
            match move_aside(&self.folder, self.clock.wall()) {
                Ok(path) => {
                    self.carry_spend_over(&path);
                    Notice::MovedAside { path, reason }
                }
                Err(error) => self.not_writing(error.in_one_line()),
            }
        } else {
            self.not_writing(reason)
        };
        *self.shared.notice.lock() = Some(notice);
    }

    /// Begins the new file with what can still be read of the spend book of the one at `aside`.
    fn carry_spend_over(&mut self, aside: &Path) {
        let opened = JournalFile::open(&self.folder);
        self.file = opened.and_then(|mut file| file.append(&[], &salvage(aside)).map(|()| file)).ok();
    }

    fn not_writing(&mut self, reason: String) -> Notice {
        self.retry_at = self.clock.now() + RETRY_AFTER;
        Notice::NotWriting { reason }
    }

    /// After each batch: deletes the oldest records while the journal is too large.
    fn keep_size(&mut self) {
        let Some(file) = &mut self.file else { return };
        match file.bound(self.settings.max_bytes) {
            Ok(step) => {
                self.untidy |= step.more;
                self.report(step);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Between batches: a checkpoint, a step of deleting what is too old, a step of giving back unused pages.
    fn tidy(&mut self, stopping: bool) {
        let now = self.clock.now();
        let due = now >= self.tidy_at || stopping;
        if !due && !self.untidy {
            return;
        }
        if due && !self.folder.join(FILE_NAME).exists() {
            // Somebody removed it: what is written to it now is seen by nobody.
            self.file = None;
        }
        if due {
            self.tidy_at = now + TIDY_EVERY;
        }
        let oldest_day = Spend::oldest_kept(self.clock.wall());
        let Some(file) = &mut self.file else { return };
        let max_age = u64::try_from(self.settings.max_age.as_millis()).unwrap_or(u64::MAX);
        let oldest = DecisionId::first_at(UnixMillis(self.clock.wall().0.saturating_sub(max_age)));
        let may_shrink = !stopping && self.shared.queued() == 0;
        let forgotten = if due { file.forget_spend(oldest_day) } else { Ok(()) };
        match forgotten.and_then(|()| file.tidy(oldest.number(), self.settings.max_bytes, may_shrink)) {
            Ok(step) => {
                self.untidy = step.more;
                self.dirty |= step.pruned > 0 || step.more;
                self.report(step);
            }
            Err(error) => return self.failed(&error),
        }
        if due && self.dirty {
            let checkpoint = |file: &mut JournalFile| file.checkpoint().and_then(|()| file.release_memory());
            match self.file.as_mut().map_or(Ok(()), checkpoint) {
                Ok(()) => self.dirty = false,
                Err(error) => self.failed(&error),
            }
        }
    }

    fn report(&self, step: Step) {
        self.shared.bytes.store(step.space.live_bytes + step.space.free_bytes, Ordering::Relaxed);
        self.shared.pruned.fetch_add(step.pruned as u64, Ordering::Relaxed);
    }
}
