//! Brings groups to disk and answers them, beside the writer: while one is on its way to the disk the next one is worked out.
//!
//! SQLite itself would wait for the disk within `COMMIT`. It is told not to, and its log is synced here, by a thread of its
//! own where others wait for the next group, and by the writer where nobody does. The next group is committed only when this
//! one is on disk: what a loss of power takes is one transaction at most, as if SQLite had waited, and the log can be read
//! afterwards by the same rules; see [`log`](crate::sqlite::log).
//!
//! A group that is committed lies in the file before it is durable. Until it is, no reader tells of it: see [`Seen`].

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use crate::embedded::{Feed, Outcome, Waiting};
use crate::error::StoreError;
use crate::name::Key;
use crate::sqlite::heads::{Entry, Heads};
use crate::sqlite::schema;
use crate::store::Event;

/// Heads as they are now; `None` for keys that were forgotten.
pub(super) type NewHeads = HashMap<Key, Option<Entry>>;

/// Brings the log to disk.
pub(super) type Sync = Arc<dyn Fn() -> io::Result<()> + Send + std::marker::Sync>;

/// Syncs the log of the file in `folder`, which is there as long as the file is open; at once what an earlier process may have
/// left there, and then whenever it is called.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(super) fn sync_of_log(folder: &Path) -> Result<Sync, StoreError> {
    let path = folder.join(format!("{}-wal", schema::FILE_NAME));
    let unavailable = |error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let log = File::options().read(true).write(true).open(&path).map_err(unavailable)?;
    log.sync_data().map_err(unavailable)?;
    Ok(Arc::new(move || log.sync_data()))
}

/// Groups that are in the file, and those of them that readers may tell of. Whoever has read something waits until that is
/// durable, and until memory knows it too: nobody may find a new head in the file and then the old one in memory.
#[derive(Default)]
pub(super) struct Seen {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    /// Groups that were committed, or may be right now.
    committed: u64,
    /// Groups of which readers may tell.
    settled: u64,
}

impl Seen {
    /// A group is about to be committed.
    pub(super) fn begin(&self) {
        self.counts.lock().committed += 1;
    }

    /// Readers may tell of all that was committed.
    pub(super) fn settle(&self) {
        let mut counts = self.counts.lock();
        counts.settled = counts.committed;
        drop(counts);
        self.changed.notify_all();
    }

    /// Waits until whatever may be in the file by now may be told.
    pub(super) fn wait(&self) {
        let mut counts = self.counts.lock();
        let read = counts.committed;
        while counts.settled < read {
            self.changed.wait(&mut counts);
        }
    }
}

/// What readers and watches learn of a group.
pub(super) struct News {
    pub(super) heads: Arc<NewHeads>,
    pub(super) events: Vec<Event>,
}

/// Who is told of a group.
pub(super) struct Told {
    pub(super) heads: Arc<Heads>,
    pub(super) feed: Arc<Feed>,
    pub(super) seen: Arc<Seen>,
}

impl Told {
    /// Before any caller is answered, so that whoever asks after that finds it.
    pub(super) fn of(&self, News { heads, events }: News) {
        for (key, entry) in heads.iter() {
            self.heads.publish(key.clone(), entry.clone());
        }
        self.feed.publish(events);
        self.seen.settle();
    }
}

/// A group that is committed.
struct Committed {
    outcomes: Vec<Result<Outcome, StoreError>>,
    news: News,
    waiting: Waiting,
}

enum Stage {
    Idle,
    /// This one is next, or at work.
    Handed(Box<Committed>),
    Syncing,
    /// The last group could not be brought to disk.
    Failed,
    /// The store is closed.
    Ended,
}

/// The thread.
pub(super) struct Syncer {
    stage: Arc<(Mutex<Stage>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the system has no more threads.
    pub(super) fn start(sync: Sync, told: Arc<Told>) -> Result<Self, StoreError> {
        let stage = Arc::new((Mutex::new(Stage::Idle), Condvar::new()));
        let of_thread = stage.clone();
        let thread = thread::Builder::new()
            .name("state-sync".to_owned())
            .spawn(move || run(&of_thread, &sync, &told))
            .map_err(|error| StoreError::Unavailable(format!("no thread could be started: {error}")))?;
        Ok(Self { stage, thread: Some(thread) })
    }

    /// Whether groups may be handed over.
    pub(super) fn works(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Hands a group over, when the last one is durable.
    pub(super) fn hand(&self, outcomes: Vec<Result<Outcome, StoreError>>, news: News, waiting: Waiting) {
        *self.stage.0.lock() = Stage::Handed(Box::new(Committed { outcomes, news, waiting }));
        self.stage.1.notify_all();
    }

    /// Waits until the last group is answered. False, once, when it could not be brought to disk.
    pub(super) fn wait(&self) -> bool {
        let mut stage = self.stage.0.lock();
        loop {
            match *stage {
                Stage::Idle | Stage::Ended => return true,
                Stage::Failed => {
                    *stage = Stage::Idle;
                    return false;
                }
                Stage::Handed(_) | Stage::Syncing => self.stage.1.wait(&mut stage),
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.wait();
        *self.stage.0.lock() = Stage::Ended;
        self.stage.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            thread.join().ok();
        }
    }
}

/// Lets everybody go on when the thread ends by a panic: nobody knows what has become of the group that it was at.
struct Gone<'a>(&'a (Mutex<Stage>, Condvar), &'a Seen);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut stage = self.0.0.lock();
        if !matches!(*stage, Stage::Ended) {
            *stage = Stage::Failed;
            self.1.settle();
        }
        drop(stage);
        self.0.1.notify_all();
    }
}

fn run(shared: &(Mutex<Stage>, Condvar), sync: &Sync, told: &Told) {
    let _gone = Gone(shared, &told.seen);
    let (stage, changed) = shared;
    loop {
        let mut now = stage.lock();
        let Committed { outcomes, news, waiting } = match std::mem::replace(&mut *now, Stage::Syncing) {
            Stage::Handed(committed) => *committed,
            Stage::Ended => return,
            other => {
                *now = other;
                changed.wait(&mut now);
                continue;
            }
        };
        drop(now);
        let synced = sync();
        // It is in the file, whatever the disk says.
        told.of(news);
        let (next, outcomes) = match synced {
            Ok(()) => (Stage::Idle, outcomes),
            Err(error) => (Stage::Failed, unknown(outcomes, &error)),
        };
        waiting.answer(outcomes);
        *stage.lock() = next;
        changed.notify_all();
    }
}

/// What is said of a group that could not be brought to disk: what is refused in it stays refused.
pub(super) fn unknown(
    outcomes: Vec<Result<Outcome, StoreError>>,
    error: &io::Error,
) -> Vec<Result<Outcome, StoreError>> {
    let lost = |_| Err(StoreError::Unknown(format!("the log of {} cannot be synced: {error}", schema::FILE_NAME)));
    outcomes.into_iter().map(|outcome| outcome.and_then(lost)).collect()
}

#[cfg(test)]
mod tests;
