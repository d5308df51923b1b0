//! The journal as the rest of the gateway sees it: open, send, read, close.
//!
//! Everything here that waits, waits for the disk: call it from a thread that may block.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use tradewind_core::{Clock, DecisionId};

use crate::error::JournalError;
use crate::file::{JournalFile, Notice, lock_folder, move_aside};
use crate::queue::{JournalSender, Queue, Shared, Stats};
use crate::read::{self, Page, Query};
use crate::record::Record;
use crate::settings::Settings;
use crate::spend::{Spend, salvage};
use crate::writer::Writer;

/// How long a reader waits for what is still queued.
const READ_WAIT: Duration = Duration::from_secs(1);
/// How long dropping the journal waits for what is still queued.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// The decision journal of one folder. Dropping it writes what is queued, within two seconds.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    records: SyncSender<Box<Record>>,
    shared: Arc<Shared>,
    spend: Spend,
    /// `None` once it was told to stop.
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in `folder` and starts its thread. A file that cannot be used is moved aside, and the notice
    /// says so; the work of this is bounded and does not grow with the file.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has its journal there, the file can neither be used nor moved,
    /// or no thread can be started.
    pub fn open(
        folder: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<Notice>), JournalError> {
        let lock = lock_folder(folder)?;
        let opened = || JournalFile::open(folder).and_then(|file| file.newest().map(|newest| (file, newest)));
        let mut notice = None;
        let (file, newest) = match opened() {
            Err(error) if error.is_bad_file() => {
                let path = move_aside(folder, clock.wall())?;
                let (mut file, newest) = opened()?;
                file.append(&[], &salvage(&path))?;
                notice = Some(Notice::MovedAside { path, reason: error.in_one_line() });
                (file, newest)
            }
            other => other?,
        };
        let (records, queue, shared) = Queue::new(settings.queue);
        shared.newest.store(newest, Ordering::Relaxed);
        let space = file.space()?;
        shared.bytes.store(space.live_bytes + space.free_bytes, Ordering::Relaxed);
        shared.notice.lock().clone_from(&notice);
        let spend = Spend::of_journal(folder);
        let writer = Writer {
            folder: folder.to_owned(),
            spend: spend.clone(),
            settings: Settings { max_bytes: settings.max_bytes.max(1 << 20), ..settings },
            tidy_at: clock.now(),
            retry_at: tradewind_core::Moment::START,
            clock,
            queue,
            shared: Arc::clone(&shared),
            file: Some(file),
            _lock: lock,
            dirty: false,
            untidy: true,
        };
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        Ok((Self { folder: folder.to_owned(), records, shared, spend, writer: Some(writer) }, notice))
    }

    /// A sender for whoever ends calls.
    #[must_use]
    pub fn sender(&self) -> JournalSender {
        let writer = self.writer.as_ref().expect("only close and drop take the writer").thread().clone();
        JournalSender::new(self.records.clone(), Arc::clone(&self.shared), writer)
    }

    /// The spend book that is kept in the journal's file.
    #[must_use]
    pub fn spend(&self) -> Spend {
        self.spend.clone()
    }

    /// The number of the newest record in the file, 0 when there is none: new ids come after it.
    #[must_use]
    pub fn newest_id(&self) -> u64 {
        self.shared.newest.load(Ordering::Relaxed)
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Waits until everything queued so far is in the file, or was dropped because the file cannot be written. False when
    /// that takes longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.writer.as_ref().is_some_and(|writer| self.shared.flush(writer.thread(), limit))
    }

    /// The record of `id` as one line of JSON. A record that was sent before is found, unless the disk is more than a
    /// second behind.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, id: DecisionId) -> Result<Option<String>, JournalError> {
        if let Ok(Some(record)) = read::get(&self.folder, id) {
            return Ok(Some(record));
        }
        self.flush(READ_WAIT);
        read::get(&self.folder, id)
    }

    /// The newest records that `query` asks for, the newest first. What was sent before is included, unless the disk is
    /// more than a second behind.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, query: &Query) -> Result<Page, JournalError> {
        self.flush(READ_WAIT);
        read::list(&self.folder, query)
    }

    /// Writes what is queued and stops the thread. Returns how many records were left behind because it took longer
    /// than `limit`.
    pub fn close(mut self, limit: Duration) -> usize {
        self.stop(limit)
    }

    fn stop(&mut self, limit: Duration) -> usize {
        let Some(writer) = self.writer.take() else { return 0 };
        self.shared.stopping.store(true, Ordering::Release);
        if self.shared.flush(writer.thread(), limit) || self.shared.stopped.load(Ordering::Acquire) {
            // The writer has nothing left to do but a last checkpoint.
            let _ = writer.join();
        }
        self.shared.queued()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop(DROP_WAIT);
    }
}
