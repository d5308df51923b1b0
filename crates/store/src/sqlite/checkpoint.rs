//! Moves SQLite's log into the file, beside the writer instead of in its way.
//!
//! A thread with a connection of its own does the bulk of it while writes go on. The log can only begin anew when all of it
//! has been moved, and more has come meanwhile; that little rest the writer moves itself, between two groups. When the thread
//! falls behind, the writer does all of it, and callers wait: the log stays bounded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle, Thread};

use rusqlite::Connection;

use crate::error::StoreError;
use crate::sqlite::schema;
use crate::store::Durability;

/// Nothing to do.
const IDLE: u8 = 0;
/// The thread was asked, or is at it.
const ASKED: u8 = 1;
/// It has moved what was there; the rest is the writer's.
const MOVED: u8 = 2;
/// The store is closed.
const ENDED: u8 = 3;

/// The thread.
pub(super) struct Checkpointer {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
    wake: Thread,
}

impl Checkpointer {
    /// Starts it.
    ///
    /// # Errors
    /// See [`schema::open_writer`].
    pub(super) fn start(folder: &Path, durability: Durability) -> Result<Self, StoreError> {
        let connection = schema::open_helper(folder, durability)?;
        let state = Arc::new(AtomicU8::new(IDLE));
        let of_thread = state.clone();
        let thread = thread::Builder::new()
            .name("state-log".to_owned())
            .spawn(move || run(&of_thread, &connection))
            .map_err(|error| StoreError::Unavailable(format!("no thread could be started: {error}")))?;
        let wake = thread.thread().clone();
        Ok(Self { state, thread: Some(thread), wake })
    }

    /// Asks for the bulk to be moved, unless it was asked before.
    pub(super) fn ask(&self) {
        if self.state.compare_exchange(IDLE, ASKED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.wake.unpark();
        }
    }

    /// Whether the bulk has been moved since it was asked for; then it may be asked for again.
    pub(super) fn has_moved(&self) -> bool {
        self.state.compare_exchange(MOVED, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.state.store(ENDED, Ordering::Release);
        self.wake.unpark();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened; the writer moves everything then.
            thread.join().ok();
        }
    }
}

fn run(state: &AtomicU8, connection: &Connection) {
    loop {
        match state.load(Ordering::Acquire) {
            ASKED => {
                // What could not be moved, for want of room or because somebody reads, the writer tries again.
                step(connection);
                state.compare_exchange(ASKED, MOVED, Ordering::AcqRel, Ordering::Relaxed).ok();
            }
            ENDED => return,
            _ => thread::park(),
        }
    }
}

/// Moves as much as can be moved without waiting for anybody.
pub(super) fn step(connection: &Connection) {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).ok();
}
