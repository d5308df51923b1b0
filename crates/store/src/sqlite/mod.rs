//! SQLite, the default engine: one file that any tool can read, written by one thread in groups.
//!
//! A group of commits is one transaction and one sync of the disk; each is answered when that is done, and meanwhile the next
//! group is worked out. Reads of heads are answered from memory where the head was used lately, all others by threads that
//! only read: in WAL mode they do not wait for the writer, save that nothing is told before it is durable. Files: `state.db`
//! with its log, and `lock`, which keeps a second process out.

mod checkpoint;
mod durable;
mod error;
mod heads;
mod keep;
mod log;
mod pieces;
mod read;
mod readers;
mod ring;
mod row;
mod schema;
mod write;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt};
use parking_lot::Mutex;
use tradewind_core::{Clock, UnixMillis};

use crate::embedded::{Feed, Outcome, Task, Writing, claim};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Durability, Facts, KeyHead, Pin, Revision, Store};
use crate::told::Changes;

pub use schema::FILE_NAME;

/// How many changes a watch can go back at least.
pub const EVENTS_KEPT: u64 = 100_000;
/// The most bytes of one piece.
pub const MAX_PIECE: usize = 1 << 20;
/// Changes that are kept in memory as well, for watches that keep up.
const EVENTS_IN_MEMORY: usize = 4096;

/// How the file is used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What an acknowledged write survives: [`Durability::Fsync`]; anything else means [`Durability::Os`].
    pub durability: Durability,
    /// The most bytes of the file, its log not counted; writes beyond are refused as [`StoreError::Full`].
    pub max_bytes: Option<u64>,
    /// Bytes of heads that are kept in memory.
    pub heads_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Fsync, max_bytes: None, heads_bytes: 32 << 20 }
    }
}

/// The engine. When it is dropped it writes what was handed over, and waits for that.
pub struct Sqlite {
    heads: Arc<heads::Heads>,
    feed: Arc<Feed>,
    writing: Writing,
    readers: Arc<readers::Readers>,
    folder: PathBuf,
    durability: Durability,
    notes: Vec<String>,
    closed: AtomicBool,
    /// Let go when no connection is left.
    held: Mutex<Option<(Arc<checkpoint::Held>, File)>>,
}

impl Sqlite {
    /// Opens the store in `folder`, or begins one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the folder or file cannot be used, another process has it, or a newer release wrote
    /// it; [`StoreError::Damaged`] when the file is not what was written. It blocks for as long as the disk takes.
    pub fn open(folder: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(folder, options, clock, |sync| sync)
    }

    /// The same, with something in the place of what brings the log to disk.
    fn open_with(
        folder: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
        instead: impl FnOnce(durable::Sync) -> durable::Sync,
    ) -> Result<Self, StoreError> {
        let durability = match options.durability {
            Durability::Fsync => Durability::Fsync,
            _ => Durability::Os,
        };
        let lock = claim(folder)?;
        let mut notes = Vec::new();
        match log::inspect(folder)? {
            log::Finding::Whole => {}
            log::Finding::Torn { bytes } => {
                notes.push(format!(
                    "{bytes} bytes of a write that was not finished were cut off when the store was opened"
                ));
            }
            log::Finding::Damaged { at } if durability == Durability::Fsync => {
                return Err(StoreError::damaged(format!(
                    "{FILE_NAME}-wal at byte {at}: writes that were acknowledged follow on one that is not what was written"
                )));
            }
            log::Finding::Damaged { at } => {
                notes.push(format!("writes after byte {at} of {FILE_NAME}-wal were lost, with the power or by damage"));
            }
        }
        let connection = schema::open_writer(folder, durability, options.max_bytes)?;
        let (oldest, newest) = read::range_of_events(&connection).map_err(|e| error::of(&e))?;
        let held = checkpoint::Held::open(folder)?;
        let namespaces = read::namespace_ids(&connection)?.into_iter().collect();
        let seen = Arc::new(durable::Seen::default());
        let readers = readers::Readers::start(folder, &seen)?;
        let older = Box::new(read::OldEvents(readers.clone()));
        let heads = Arc::new(heads::Heads::new(options.heads_bytes));
        let feed = Arc::new(Feed::new(EVENTS_IN_MEMORY, newest, VecDeque::new(), Some(older)));
        let told = Arc::new(durable::Told { heads: heads.clone(), feed: feed.clone(), seen });
        let sync = match durability {
            Durability::Fsync => Some(instead(durable::sync_of_log(folder)?)),
            _ => None,
        };
        let syncer = sync.clone().map(|sync| durable::Syncer::start(sync, told.clone())).transpose()?;
        let writer = write::Writer {
            most_logged: write::most_logged(&connection),
            connection,
            folder: folder.to_owned(),
            durability,
            max_bytes: options.max_bytes,
            told,
            sync,
            syncer,
            in_flight: Arc::default(),
            in_doubt: false,
            namespaces,
            cursor: newest,
            oldest,
            logged: 0,
            asked: 0,
            checkpointer: checkpoint::Checkpointer::start(folder, durability, held.clone())?,
        };
        let writing = Writing::start("state", writer, clock)?;
        Ok(Self {
            heads,
            feed,
            writing,
            readers,
            folder: folder.to_owned(),
            durability,
            notes,
            closed: AtomicBool::new(false),
            held: Mutex::new(Some((held, lock))),
        })
    }

    /// How many tasks were written since the store was opened, and in how many groups: what a sync of the disk was shared by.
    #[must_use]
    pub fn written(&self) -> (u64, u64) {
        self.writing.written()
    }

    /// What SQLite's own check of the file finds, a line each and at most a hundred; none when it is sound. It reads all of
    /// the file, and finds what no read of a single revision can: a key that its index has lost.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the check itself fails; see also [`Store`].
    pub async fn inspect(&self) -> Result<Vec<String>, StoreError> {
        self.readers.ask(read::inspect).await
    }

    /// Ends the threads with their connections, and then gives up the file and the folder.
    fn let_go(&self) {
        self.writing.join();
        self.readers.close();
        // The folder last: whoever has it may count on nobody else having the file.
        if let Some((file, folder)) = self.held.lock().take() {
            drop(file);
            drop(folder);
        }
    }

    async fn head_from_file(&self, key: &Key) -> Result<Option<Arc<Record>>, StoreError> {
        let published = self.heads.published(key);
        let wanted = key.clone();
        let read = move |connection: &rusqlite::Connection| {
            let find = || {
                let snapshot = connection.unchecked_transaction()?;
                let Some(namespace) = read::namespace_id(&snapshot, &wanted.namespace)? else { return Ok(Ok(None)) };
                read::head(&snapshot, namespace, &wanted).map(Option::transpose)
            };
            read::settle(find())
        };
        let Some(entry) = self.readers.ask(read).await? else { return Ok(None) };
        let head = entry.head.clone();
        self.heads.fill(key, entry, published);
        Ok(Some(head))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Store for Sqlite {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        match self.heads.get(key) {
            Some(entry) if !self.closed.load(Ordering::Relaxed) => future::ready(Ok(Some(entry.head))).boxed(),
            _ => self.head_from_file(key).boxed(),
        }
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let key = key.clone();
        self.readers.ask(move |connection| read::revision(connection, &key, rev)).boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.writing.ask(Task::Commit(Box::new(commit))).map(|outcome| outcome.map(Outcome::committed)).boxed()
    }

    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, expires_at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>> {
        let task = Task::Extend { key: key.clone(), rev, expires_at };
        self.writing.ask(task).map(|outcome| outcome.map(Outcome::was)).boxed()
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        let key = key.clone();
        self.readers.ask(move |connection| read::history(connection, &key, before, limit)).boxed()
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        let (namespace, prefix, after) = (namespace.clone(), prefix.to_owned(), after.map(str::to_owned));
        self.readers.ask(move |connection| read::list(connection, &namespace, &prefix, after.as_deref(), limit)).boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        let (namespace, after) = (namespace.clone(), after.map(str::to_owned));
        self.readers.ask(move |connection| read::keys(connection, &namespace, after.as_deref(), limit)).boxed()
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        self.readers.ask(read::namespaces).boxed()
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        let (namespace, ids) = (namespace.clone(), ids.to_vec());
        self.readers.ask(move |connection| read::pieces(connection, &namespace, &ids)).boxed()
    }

    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>> {
        let task = Task::Pin { key: key.clone(), rev, pin };
        self.writing.ask(task).map(|outcome| outcome.map(Outcome::was)).boxed()
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        let task = Task::Prune { key: key.clone(), keep };
        self.writing.ask(task).map(|outcome| outcome.map(Outcome::removed)).boxed()
    }

    fn latest<'a>(&'a self, _namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        // Changes are numbered over the whole store.
        future::ready(Ok(Cursor::at(self.feed.newest()))).boxed()
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        self.feed.watch(namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.readers.ask(move |connection| read::due(connection, now, limit)).boxed()
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        let task = Task::Forget { key: key.clone(), rev };
        self.writing.ask(task).map(|outcome| outcome.map(Outcome::was)).boxed()
    }

    fn facts(&self) -> Facts {
        Facts {
            engine: "sqlite",
            durability: self.durability,
            place: self.folder.join(FILE_NAME).display().to_string(),
            rewrites: true,
            events_kept: EVENTS_KEPT,
            notes: self.notes.clone(),
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            self.closed.store(true, Ordering::Relaxed);
            let result = self.writing.close().await;
            self.feed.close();
            self.let_go();
            result
        }
        .boxed()
    }
}
