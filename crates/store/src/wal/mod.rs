//! Everything in memory, with a write-ahead log and snapshots: for devices where memory is faster than their disk, and for
//! state that fits into it.
//!
//! A read copies a pointer. A write is in the log before anybody sees it; one thread writes the log, a group of writes as one
//! entry. When the log has grown to a third of the last snapshot, a new one is begun and a snapshot made of what was
//! before it, beside the writes. Writes that are faster than that wait: never longer than a snapshot takes, so that the files
//! stay in proportion to what is in them. Files: `log-N`, `snapshot-N` (everything before `log-N`), and `lock`, which keeps a
//! second process out.

mod log;
mod op;
mod snapshot;
mod tree;
mod write;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt};
use tradewind_core::{Clock, UnixMillis};

use crate::embedded::{Feed, Outcome, Task, Writing, claim};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Durability, Event, Facts, KeyHead, Pin, Revision, Store};
use crate::told::Changes;

/// How many changes a watch can go back at least.
pub const EVENTS_KEPT: u64 = 16_384;
/// The most bytes of one piece.
pub const MAX_PIECE: usize = 1 << 20;
/// A snapshot is made when the log has so many bytes, and as many as [`SNAPSHOT_SHARE`] says.
const SNAPSHOT_BYTES: u64 = 3 << 20;
/// ... and this part of what the last snapshot had. While one is made the next log may grow to three quarters of that; then
/// writes wait for the snapshot. The files together, the old snapshot with its log and the new ones, have therefore less than
/// three times what a snapshot has, or some MiB where that is more.
const SNAPSHOT_SHARE: u64 = 3;
/// From this size on, where a snapshot takes longer and is better made less often, the part is a half.
const LARGE_SNAPSHOT: u64 = 64 << 20;

/// How memory and files are used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What an acknowledged write survives: [`Durability::Fsync`]; anything else means [`Durability::Os`].
    pub durability: Durability,
    /// About the most bytes of memory that values take; writes beyond are refused as [`StoreError::Full`], save deletions.
    pub max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Fsync, max_bytes: 512 << 20 }
    }
}

/// The engine. When it is dropped it writes what was handed over, and waits for that.
pub struct Wal {
    tree: Arc<tree::Tree>,
    feed: Arc<Feed>,
    writing: Writing,
    folder: PathBuf,
    durability: Durability,
    notes: Vec<String>,
    closed: AtomicBool,
}

/// What a folder holds, read into memory.
struct Found {
    tree: tree::Tree,
    log: log::Log,
    generation: log::Generation,
    changes: u64,
    newest: u64,
    events: VecDeque<Event>,
    to_replay: u64,
    /// Bytes of the snapshot.
    snapshot_bytes: u64,
    /// What was cut off the logs.
    cut: log::Cut,
}

impl Wal {
    /// Opens the store in `folder`, or begins one. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the folder cannot be used, another process has it, or a newer release wrote it;
    /// [`StoreError::Damaged`] when a file is not what was written.
    pub fn open(folder: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let durability = match options.durability {
            Durability::Fsync => Durability::Fsync,
            _ => Durability::Os,
        };
        let lock = claim(folder)?;
        let found = read(folder, durability)?;
        let mut notes = Vec::new();
        match found.cut {
            log::Cut { bytes: 0, .. } => {}
            log::Cut { bytes, lost: false } => notes.push(format!(
                "{bytes} bytes of a write that was not finished were cut off when the store was opened"
            )),
            log::Cut { bytes, lost: true } => notes.push(format!(
                "the last {bytes} bytes of the log were not what was written and were cut off when the store was opened: \
                 acknowledged writes were lost, with the power or by damage"
            )),
        }
        let tree = Arc::new(found.tree);
        let feed = Arc::new(Feed::new(EVENTS_KEPT as usize, found.newest, found.events, None));
        let mut writer = write::Writer {
            folder: folder.to_owned(),
            sync: durability == Durability::Fsync,
            max_bytes: options.max_bytes,
            tree: tree.clone(),
            feed: feed.clone(),
            log: found.log,
            generation: found.generation,
            changes: found.changes,
            cursor: found.newest,
            to_replay: found.to_replay,
            snapshot: None,
            snapshot_at: 0,
            last_snapshot: found.snapshot_bytes,
            buffer: Vec::new(),
            _lock: lock,
        };
        writer.snapshot_at = writer.snapshot_due();
        let writing = Writing::start("state", writer, clock)?;
        Ok(Self { tree, feed, writing, folder: folder.to_owned(), durability, notes, closed: AtomicBool::new(false) })
    }

    /// How many tasks were written since the store was opened, and in how many groups: what a sync of the disk was shared by.
    #[must_use]
    pub fn written(&self) -> (u64, u64) {
        self.writing.written()
    }

    /// What `look` finds, unless the store is closed.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&tree::Tree) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let found = if self.closed.load(Ordering::Relaxed) {
            Err(StoreError::Unavailable("the store is closed".to_owned()))
        } else {
            Ok(look(&self.tree))
        };
        future::ready(found).boxed()
    }
}

/// Reads the newest snapshot and the logs behind it.
fn read(folder: &Path, durability: Durability) -> Result<Found, StoreError> {
    let files = log::Files::find(folder).map_err(|error| log::unavailable(folder, &error))?;
    let tree = tree::Tree::default();
    let (first, head) = match files.snapshots.last() {
        Some(newest) => (*newest, snapshot::load(&newest.snapshot(folder), &tree)?),
        None => (log::Generation(1), snapshot::Head::default()),
    };
    let missing =
        |generation: log::Generation| StoreError::damaged(format!("{} is missing", generation.log(folder).display()));
    let mut logs: Vec<_> = files.logs.into_iter().filter(|generation| *generation >= first).collect();
    match logs.first() {
        Some(oldest) if *oldest == first => {}
        None if files.snapshots.is_empty() => logs.push(first),
        _ => return Err(missing(first)),
    }
    let (mut changes, mut newest, mut events) = (head.changes, head.newest, VecDeque::from(head.events));
    let (mut to_replay, mut cut) = (0, log::Cut::default());
    let newest_log = logs.last().copied();
    let mut last = None;
    for (generation, expected) in logs.into_iter().zip(first.0..) {
        if generation.0 != expected {
            return Err(missing(log::Generation(expected)));
        }
        let path = generation.log(folder);
        let may_lose = durability == Durability::Os && newest_log == Some(generation);
        let opened = log::Log::open(path.clone(), may_lose, |entry| {
            let group = op::Group::decode(&entry)?;
            if (group.first, group.first_event) != (changes + 1, newest + 1) {
                return Err(StoreError::damaged(format!("{}: changes are missing", path.display())));
            }
            for op in &group.ops {
                changes += 1;
                tree.apply(op, changes);
                if let op::Op::Commit { key, record, .. } = op {
                    newest += 1;
                    events.push_back(Event { cursor: Cursor::at(newest), key: key.clone(), meta: record.meta.clone() });
                }
            }
            let surplus = events.len().saturating_sub(EVENTS_KEPT as usize);
            events.drain(..surplus);
            Ok(())
        })?;
        to_replay += opened.0.bytes();
        cut = log::Cut { bytes: cut.bytes + opened.1.bytes, lost: cut.lost || opened.1.lost };
        last = Some((generation, opened.0));
    }
    tree.settle()?;
    log::remove_before(folder, first);
    let (generation, log) = last.expect("there is a log, or one was begun");
    let to_replay = to_replay - log.bytes();
    let snapshot_bytes = snapshot::bytes(folder, first);
    Ok(Found { tree, log, generation, changes, newest, events, to_replay, snapshot_bytes, cut })
}

impl Store for Wal {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        self.look(|tree| tree.head(key))
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.look(|tree| tree.revision(key, rev).map(|kept| Arc::unwrap_or_clone(kept.record)))
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
        self.look(|tree| tree.history(key, before, limit))
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        self.look(|tree| {
            tree.list(namespace, prefix, after, limit).into_iter().map(|(key, meta)| (key, Ok(meta))).collect()
        })
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        self.look(tree::Tree::namespaces)
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        self.look(|tree| tree.pieces(namespace, ids))
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
        self.look(|_| Cursor::at(self.feed.newest()))
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        self.feed.watch(namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.look(|tree| tree.due(now, limit))
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        let task = Task::Forget { key: key.clone(), rev };
        self.writing.ask(task).map(|outcome| outcome.map(Outcome::was)).boxed()
    }

    fn facts(&self) -> Facts {
        Facts {
            engine: "wal",
            durability: self.durability,
            place: self.folder.display().to_string(),
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
            result
        }
        .boxed()
    }
}
