//! Threads that read, with a connection each, so that a read neither waits for the writer nor holds up the caller's own
//! thread while a disk turns.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::sqlite::durable::Seen;
use crate::sqlite::schema;

/// Threads that read.
const READERS: usize = 2;
/// Reads that may wait; more are refused as [`StoreError::Busy`].
const MOST_WAITING: usize = 4096;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the reading threads.
pub(super) struct Readers {
    queue: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    seen: Arc<Seen>,
}

impl Readers {
    /// Opens the connections and starts the threads.
    ///
    /// # Errors
    /// See [`schema::open_reader`].
    pub(super) fn start(folder: &Path, seen: &Arc<Seen>) -> Result<Arc<Self>, StoreError> {
        let (queue, reads) = mpsc::sync_channel(MOST_WAITING);
        let reads = Arc::new(Mutex::new(reads));
        let mut threads = Vec::new();
        for _ in 0..READERS {
            let connection = schema::open_reader(folder)?;
            let reads = reads.clone();
            let thread = thread::Builder::new().name("state-read".to_owned()).spawn(move || run(&reads, &connection));
            threads
                .push(thread.map_err(|error| StoreError::Unavailable(format!("no thread could be started: {error}")))?);
        }
        Ok(Arc::new(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads), seen: seen.clone() }))
    }

    /// Has something read, and waits for it, and until what was read is as durable as was promised.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Unavailable`] after the end, and those of `read`.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let seen = self.seen.clone();
        let read: Read = Box::new(move |connection| {
            let found = read(connection);
            seen.wait();
            // Whoever has gone away does not want to know.
            reply.send(found).ok();
        });
        match self.queue.lock().as_ref().ok_or_else(closed)?.try_send(read) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(closed()),
        }
        answer.await.map_err(|_| closed())?
    }

    /// Ends the threads and waits until they are gone, with their files.
    pub(super) fn close(&self) {
        *self.queue.lock() = None;
        for thread in self.threads.lock().drain(..) {
            // A panic was reported when it happened, and those who waited were told.
            thread.join().ok();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(reads: &Mutex<Receiver<Read>>, connection: &Connection) {
    loop {
        // One thread waits for the next read, the others for it.
        let next = reads.lock().recv();
        match next {
            Ok(read) => read(connection),
            Err(_) => return,
        }
    }
}
