//! The writing thread's part: a group of tasks is one transaction.
//!
//! The thread is the only one that writes, so that what it knows of the heads is true, and a compare-and-set of a key that
//! was used lately reads nothing. Within a group a later task sees what an earlier one did; readers see all of it at once,
//! when it is as durable as was promised.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, params};
use tradewind_core::UnixMillis;

use crate::embedded::{Backend, Feed, Outcome, Task, brings_all_pieces};
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::record::{MAX_RECORD, Record};
use crate::sqlite::checkpoint::{self, Checkpointer};
use crate::sqlite::heads::{Entry, Heads};
use crate::sqlite::ring::{self, Layout};
use crate::sqlite::row::{self, MAX_KEY, PIECES, place};
use crate::sqlite::{EVENTS_KEPT, MAX_PIECE, error, pieces, schema};
use crate::store::{Commit, Committed, Cursor, Durability, Event};

/// Old changes are removed so many at a time.
const EVENTS_STEP: u64 = 1024;
/// A rest of so many that the writer moves itself.
const LITTLE: usize = 1 << 20;
/// The most bytes that may lie in SQLite's log, about: a quarter of what the file has, within these bounds. At so many callers
/// wait until it has been moved; at a third of it that is begun.
const MOST_LOGGED: RangeInclusive<usize> = 8 << 20..=64 << 20;
/// What a task puts into the log beside its own bytes: a page that is changed in one place.
const PAGE_TOUCHED: usize = schema::PAGE_BYTES as usize;
/// What a piece does: its row, the two of its number, and a page that it fills in part.
const PAGES_OF_PIECE: usize = 4 * schema::PAGE_BYTES as usize;

/// Why a task, or the whole group with it, was not done.
pub(super) enum Stop {
    /// This task alone: nothing was written for it.
    Task(StoreError),
    /// SQLite failed, or a row is not what was written: the transaction is taken back.
    Group(StoreError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Group(error::of(&error))
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
    pub(super) durability: Durability,
    pub(super) max_bytes: Option<u64>,
    pub(super) heads: Arc<Heads>,
    pub(super) feed: Arc<Feed>,
    pub(super) namespaces: HashMap<Namespace, i64>,
    /// The number of the newest change.
    pub(super) cursor: u64,
    /// The number of the oldest change that is kept.
    pub(super) oldest: u64,
    /// About how many bytes lie in SQLite's log.
    pub(super) logged: usize,
    /// How many may at most; see [`MOST_LOGGED`].
    pub(super) most_logged: usize,
    /// How many of them lay there when the checkpointer was last asked.
    pub(super) asked: usize,
    pub(super) checkpointer: Checkpointer,
}

/// What a group has done so far, for nobody else to see before it is committed.
pub(super) struct Group<'c> {
    usual: Usual<'c>,
    /// How many heads were said, each in a page of its own.
    said: usize,
    /// Heads as they are now; `None` for keys that were forgotten.
    pub(super) heads: HashMap<Key, Option<Entry>>,
    events: Vec<Event>,
    namespaces: HashMap<Namespace, i64>,
    cursor: u64,
    oldest: u64,
}

/// The statements of every commit, looked up once for a group.
struct Usual<'c> {
    set_head: CachedStatement<'c>,
    put: CachedStatement<'c>,
    tell: CachedStatement<'c>,
}

impl<'c> Usual<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            set_head: connection
                .prepare_cached("UPDATE keys SET rev = ?2, ring = ?3, layout = ?4, sum = ?5 WHERE id = ?1")?,
            put: connection.prepare_cached(
                "INSERT OR REPLACE INTO revisions (place, rev, state, meta, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            tell: connection
                .prepare_cached("INSERT INTO events (cursor, namespace, name, meta) VALUES (?1, ?2, ?3, ?4)")?,
        })
    }
}

impl Backend for Writer {
    fn write(&mut self, tasks: Vec<Task>) -> Vec<Result<Outcome, StoreError>> {
        for task in &tasks {
            let pieces = if let Task::Commit(commit) = task { commit.pieces.len() } else { 0 };
            self.logged += task.bytes() + PAGE_TOUCHED + pieces * PAGES_OF_PIECE;
        }
        let several = tasks.len() > 1;
        match self.transaction(&tasks) {
            Ok(outcomes) => outcomes,
            // One of them may be too large for what room there is, or touch what is damaged, and the others not.
            Err(StoreError::Full(_) | StoreError::Damaged { .. }) if several => {
                let alone =
                    |task| self.transaction(std::slice::from_ref(task)).map_or_else(Err, |mut one| one.remove(0));
                tasks.iter().map(alone).collect()
            }
            Err(error) => tasks.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn tidy(&mut self, idle: bool) {
        let much = self.logged >= self.most_logged;
        let due = self.most_logged / 3;
        let mut little = false;
        if let Some(moved) = self.checkpointer.moved(much) {
            let rest = self.logged.saturating_sub(self.asked);
            little = rest <= LITTLE;
            // Known better now: some tasks touch more pages than was thought, others share them.
            self.logged = moved + rest;
        }
        if little || much || idle && self.logged > 0 {
            let (logged, moved) = checkpoint::step(&self.connection);
            // Somebody who reads an old state holds the rest back: tried again when as much has come once more.
            self.logged = if moved < logged { due / 2 } else { 0 };
            self.asked = self.logged;
            self.most_logged = most_logged(&self.connection);
        } else if self.logged >= due && self.checkpointer.ask() {
            self.asked = self.logged;
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|e| error::of(&e))
    }
}

impl Writer {
    /// All tasks or none, save those that are refused each for itself.
    fn transaction(&mut self, tasks: &[Task]) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        self.begin()?;
        let mut group = match Usual::prepare(&self.connection) {
            Ok(usual) => Group {
                usual,
                said: 0,
                heads: HashMap::with_capacity(tasks.len()),
                events: Vec::with_capacity(tasks.len()),
                namespaces: HashMap::new(),
                cursor: self.cursor,
                oldest: self.oldest,
            },
            Err(sqlite) => {
                self.rollback();
                return Err(error::of(&sqlite));
            }
        };
        let mut outcomes = Vec::with_capacity(tasks.len());
        for task in tasks {
            match self.task(&mut group, task) {
                Ok(outcome) => outcomes.push(Ok(outcome)),
                Err(Stop::Task(error)) => outcomes.push(Err(error)),
                Err(Stop::Group(error)) => {
                    self.rollback();
                    return Err(error);
                }
            }
        }
        if let Err(sqlite) = self.drop_old_events(&mut group) {
            self.rollback();
            return Err(error::of(&sqlite));
        }
        group.heads.keys().for_each(|key| self.heads.withhold(key));
        if let Err(sqlite) = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])) {
            self.rollback();
            group.heads.keys().for_each(|key| self.heads.give_back(key));
            return Err(error::of_commit(&sqlite));
        }
        let Group { usual, said, heads, events, namespaces, cursor, oldest } = group;
        drop(usual);
        self.logged += said * PAGE_TOUCHED;
        (self.cursor, self.oldest) = (cursor, oldest);
        self.namespaces.extend(namespaces);
        for (key, entry) in heads {
            self.heads.publish(key, entry);
        }
        self.feed.publish(events);
        Ok(outcomes)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            // Left over from a failure that not even taking it back survived.
            self.connection = schema::open_writer(&self.folder, self.durability, self.max_bytes)?;
        }
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map(|_| ())
            .map_err(|e| error::of(&e))
    }

    fn rollback(&self) {
        // Fails when SQLite has taken it back already.
        self.connection.execute_batch("ROLLBACK").ok();
    }

    fn task(&self, group: &mut Group<'_>, task: &Task) -> Result<Outcome, Stop> {
        match task {
            Task::Commit(commit) => self.commit(group, commit).map(Outcome::Committed),
            Task::Extend { key, rev, expires_at } => self.extend(group, key, *rev, *expires_at).map(Outcome::Was),
            Task::Pin { key, rev, pin } => self.pin(group, key, *rev, pin).map(Outcome::Was),
            Task::Prune { key, keep } => self.prune_now(group, key, *keep).map(Outcome::Removed),
            Task::Forget { key, rev } => self.forget(group, key, *rev).map(Outcome::Was),
        }
    }

    fn commit(&self, group: &mut Group<'_>, commit: &Commit) -> Result<Committed, Stop> {
        let Commit { key, expected, record, parent_again, pieces: given, keep } = commit;
        let before = self.known(group, key)?;
        if !expected.holds(before.as_ref().map(|entry| &entry.head.meta)) {
            return Ok(Committed::Lost(before.map(|entry| entry.head)));
        }
        let rev = record.meta.rev.get();
        let ids = record.body.pieces();
        let state = if ids.is_empty() { 0 } else { PIECES };
        let columns = row::columns(key, state, record);
        check(before.as_ref(), commit, columns.meta.len() + columns.body.len())?;

        let namespace = self.namespace(group, &key.namespace)?;
        let due = record.meta.expires_at.map(millis);
        let ring = (*keep).max(1);
        let mixed = !ids.is_empty() || before.as_ref().is_some_and(|entry| entry.layout == Layout::Mixed);
        let follows = |entry: &Entry| !mixed && entry.head.meta.rev.get() + 1 == rev && entry.ring == ring;
        let mut layout = match &before {
            _ if mixed => Layout::Mixed,
            Some(entry) if follows(entry) => entry.layout,
            _ => Layout::Loose,
        };
        let id = match &before {
            None => {
                let id = self.add_key(namespace, key, due)?;
                pieces::begin_runs(&self.connection, namespace, &[], ids, given)?;
                id
            }
            Some(entry) => {
                let old = &entry.head;
                if !follows(entry) {
                    pieces::begin_runs(&self.connection, namespace, old.body.pieces(), ids, given)?;
                    self.prune(key, namespace, entry, rev.saturating_sub(u64::from(ring)), ids)?;
                    if entry.ring != ring {
                        self.change_ring(entry.id, ring)?;
                    }
                }
                if old.meta.expires_at != record.meta.expires_at {
                    self.set_due(entry.id, due)?;
                }
                self.make_parent_small(key, entry, ring, parent_again.as_ref())?;
                entry.id
            }
        };
        let event = if state == 0 { None } else { Some(row::event(key, &columns)) };
        let at = place(id, rev, ring);
        group.usual.put.execute(params![at, rev.cast_signed(), state, &columns.meta, columns.body])?;
        if layout == Layout::Loose && ring::is_even(&self.connection, id, rev, ring)? {
            layout = Layout::Even;
        }
        let entry = Entry { id, head: Arc::new(record.clone()), ring, layout };
        if layout.says(rev) {
            set_head(group, key, &entry)?;
        }
        group.cursor += 1;
        group.usual.tell.execute(params![
            group.cursor.cast_signed(),
            namespace,
            key.name(),
            event.unwrap_or(columns.meta)
        ])?;
        let cursor = Cursor::at(group.cursor);
        group.events.push(Event { cursor, key: key.clone(), meta: record.meta.clone() });
        group.heads.insert(key.clone(), Some(entry));
        Ok(Committed::Done(cursor))
    }

    /// Writes the parent again, unless it is pinned, has pieces, or is gone. Only the body changes: the end of its time may
    /// have been moved since it was read.
    fn make_parent_small(&self, key: &Key, parent: &Entry, ring: u32, again: Option<&Record>) -> Result<(), Stop> {
        let meta = &parent.head.meta;
        let Some(again) = again.filter(|again| again.body.pieces().is_empty() && again.meta.rev == meta.rev) else {
            return Ok(());
        };
        let columns = row::columns(key, 0, &Record { meta: meta.clone(), body: again.body.clone() });
        let rev = meta.rev.get();
        self.connection
            .prepare_cached("UPDATE revisions SET meta = ?3, body = ?4 WHERE place = ?1 AND rev = ?2 AND state = 0")?
            .execute(params![place(parent.id, rev, ring), rev.cast_signed(), columns.meta, columns.body])?;
        Ok(())
    }

    /// What the head of a key is for the tasks of this group.
    pub(super) fn known(&self, group: &Group<'_>, key: &Key) -> Result<Option<Entry>, Stop> {
        if let Some(entry) = group.heads.get(key) {
            return Ok(entry.clone());
        }
        if let Some(entry) = self.heads.get(key) {
            return Ok(Some(entry));
        }
        let Some(namespace) = self.namespaces.get(&key.namespace) else { return Ok(None) };
        super::read::head(&self.connection, *namespace, key)?.transpose().map_err(Stop::Group)
    }

    /// The number of a namespace, which is added where it is new.
    pub(super) fn namespace(&self, group: &mut Group<'_>, namespace: &Namespace) -> rusqlite::Result<i64> {
        if let Some(id) = self.namespaces.get(namespace).or_else(|| group.namespaces.get(namespace)) {
            return Ok(*id);
        }
        self.connection.execute("INSERT INTO namespaces (name) VALUES (?1)", [namespace.as_str()])?;
        let id = self.connection.last_insert_rowid();
        group.namespaces.insert(namespace.clone(), id);
        Ok(id)
    }

    /// A key that [`set_head`] has to say the rest of.
    fn add_key(&self, namespace: i64, key: &Key, due: Option<i64>) -> Result<i64, Stop> {
        self.connection
            .prepare_cached(
                "INSERT INTO keys (namespace, name, due, rev, ring, layout, sum) VALUES (?1, ?2, ?3, 0, 1, 0, 0)",
            )?
            .execute(params![namespace, key.name(), due])?;
        let id = self.connection.last_insert_rowid();
        if id > MAX_KEY {
            self.connection.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([id])?;
            return Err(Stop::Task(StoreError::Full(format!("it has {MAX_KEY} keys"))));
        }
        Ok(id)
    }

    pub(super) fn set_due(&self, id: i64, due: Option<i64>) -> rusqlite::Result<()> {
        self.connection.prepare_cached("UPDATE keys SET due = ?2 WHERE id = ?1")?.execute(params![id, due])?;
        Ok(())
    }

    fn drop_old_events(&self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        while group.cursor + 1 - group.oldest >= EVENTS_KEPT + EVENTS_STEP {
            group.oldest += EVENTS_STEP;
            self.connection
                .prepare_cached("DELETE FROM events WHERE cursor < ?1")?
                .execute([group.oldest.cast_signed()])?;
        }
        Ok(())
    }
}

/// Says which revision is the head, and how the others lie.
pub(super) fn set_head(group: &mut Group<'_>, key: &Key, entry: &Entry) -> rusqlite::Result<()> {
    let &Entry { id, ring, layout, .. } = entry;
    let rev = entry.head.meta.rev.get();
    let sum = row::key_sum(key.namespace.as_str(), key.name(), id, rev, ring, layout);
    group.usual.set_head.execute(params![id, rev.cast_signed(), ring, layout as u8, sum])?;
    group.said += 1;
    Ok(())
}

/// Refuses what the engine cannot take.
fn check(before: Option<&Entry>, commit: &Commit, size: usize) -> Result<(), Stop> {
    let rev = commit.record.meta.rev.get();
    if before.is_some_and(|entry| entry.head.meta.rev.get() >= rev) {
        return Err(Stop::Task(StoreError::Unsupported("give a revision a number that is not greater")));
    }
    let too_large =
        |size: usize, limit: usize| Err(Stop::Task(StoreError::TooLarge { size: size as u64, limit: limit as u64 }));
    if size > MAX_RECORD + 8 {
        return too_large(size, MAX_RECORD);
    }
    if let Some((_, bytes)) = commit.pieces.iter().find(|(_, bytes)| bytes.len() > MAX_PIECE) {
        return too_large(bytes.len(), MAX_PIECE);
    }
    if !brings_all_pieces(before.map(|entry| &*entry.head), commit) {
        return Err(Stop::Task(StoreError::Unsupported("name a piece that nobody has brought")));
    }
    Ok(())
}

/// How many bytes may lie in SQLite's log.
pub(super) fn most_logged(connection: &Connection) -> usize {
    let pages = connection.prepare_cached("PRAGMA page_count").and_then(|mut ask| ask.query_row([], |row| row.get(0)));
    let bytes = pages.unwrap_or(0_i64).cast_unsigned() * schema::PAGE_BYTES;
    usize::try_from(bytes / 4).unwrap_or(usize::MAX).clamp(*MOST_LOGGED.start(), *MOST_LOGGED.end())
}

pub(super) fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
