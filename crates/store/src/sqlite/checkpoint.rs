//! Moves SQLite's log into the file, beside the writer instead of in its way.
//!
//! A thread with a connection of its own does the bulk of it while writes go on. The log can only begin anew when all of it
//! has been moved, and more has come meanwhile: the thread goes over it again until the rest is little, and that the writer
//! moves itself, between two groups. When the thread falls behind, the writer waits for it and moves the rest, and callers
//! wait: the log stays bounded.
//!
//! SQLite brings what was moved to disk only with the end of the log, which is the writer's turn. The thread therefore does
//! that itself beforehand, through a descriptor of its own; see [`Held`] for what has to be heeded with one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::error::StoreError;
use crate::sqlite::schema;
use crate::store::Durability;

/// A page in the log, and what is said of it there, in bytes.
const FRAME_BYTES: u64 = schema::PAGE_BYTES + 24;

/// Whether the thread is still there is looked at this often while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A descriptor of the file beside those of SQLite. On Unix, when a process closes any descriptor of a file it loses all its
/// locks on it: this one has to stay open until every connection is closed.
pub(super) struct Held(File);

impl Held {
    /// Opens the file in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) fn open(folder: &Path) -> Result<Arc<Self>, StoreError> {
        let path = folder.join(schema::FILE_NAME);
        let file = File::options().read(true).write(true).open(&path);
        file.map(|file| Arc::new(Self(file)))
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))
    }
}

/// What the thread is at.
enum Stage {
    Idle,
    /// The thread was asked, or is at it.
    Asked,
    /// It has moved what was there, and so many bytes were.
    Moved(usize),
    /// The store is closed.
    Ended,
}

/// The thread.
pub(super) struct Checkpointer {
    stage: Arc<(Mutex<Stage>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts it.
    ///
    /// # Errors
    /// See [`schema::open_writer`].
    pub(super) fn start(folder: &Path, durability: Durability, held: Arc<Held>) -> Result<Self, StoreError> {
        let connection = schema::open_helper(folder, durability)?;
        let stage = Arc::new((Mutex::new(Stage::Idle), Condvar::new()));
        let of_thread = stage.clone();
        let thread = thread::Builder::new()
            .name("state-log".to_owned())
            .spawn(move || run(&of_thread, &connection, &held))
            .map_err(|error| StoreError::Unavailable(format!("no thread could be started: {error}")))?;
        Ok(Self { stage, thread: Some(thread) })
    }

    /// Asks for the bulk to be moved; false when it was asked before.
    pub(super) fn ask(&self) -> bool {
        let mut stage = self.stage.0.lock();
        let idle = matches!(*stage, Stage::Idle);
        if idle {
            *stage = Stage::Asked;
            self.stage.1.notify_all();
        }
        idle
    }

    /// How many bytes lay in the log when its bulk was moved, if that has happened since it was asked for; then it may be
    /// asked for again. Waits for it when that is wanted.
    pub(super) fn moved(&self, wait: bool) -> Option<usize> {
        let mut stage = self.stage.0.lock();
        while wait && matches!(*stage, Stage::Asked) && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
        {
            self.stage.1.wait_for(&mut stage, LOOK_AGAIN);
        }
        let Stage::Moved(bytes) = *stage else { return None };
        *stage = Stage::Idle;
        Some(bytes)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        *self.stage.0.lock() = Stage::Ended;
        self.stage.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened; the writer moves everything then.
            thread.join().ok();
        }
    }
}

fn run((stage, changed): &(Mutex<Stage>, Condvar), connection: &Connection, held: &Held) {
    loop {
        let mut now = stage.lock();
        match *now {
            Stage::Asked => drop(now),
            Stage::Ended => return,
            Stage::Idle | Stage::Moved(_) => {
                changed.wait(&mut now);
                continue;
            }
        }
        // What could not be moved, for want of room or because somebody reads, the writer tries again.
        let (logged, _) = step(connection);
        // What this does not bring to disk, SQLite does before the log begins anew.
        held.0.sync_data().ok();
        let mut now = stage.lock();
        if matches!(*now, Stage::Asked) {
            *now = Stage::Moved(logged);
            changed.notify_all();
        }
    }
}

/// Moves as much as can be moved without waiting for anybody. How many bytes lie in the log, and how many of them have been
/// moved; when it fails, as if nothing lay there that has not been moved: it is tried again when as much has come once more.
pub(super) fn step(connection: &Connection) -> (usize, usize) {
    let bytes = |frames: i64| usize::try_from(frames.max(0).cast_unsigned() * FRAME_BYTES).unwrap_or(usize::MAX);
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((bytes(row.get(1)?), bytes(row.get(2)?))))
        .unwrap_or_default()
}
