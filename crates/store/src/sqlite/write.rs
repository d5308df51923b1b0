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

use crate::embedded::{Backend, Outcome, Task, Waiting, brings_all_pieces};
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::record::{MAX_RECORD, Record};
use crate::sqlite::checkpoint::{self, Checkpointer};
use crate::sqlite::durable::{self, NewHeads, News, Syncer, Told};
use crate::sqlite::heads::Entry;
use crate::sqlite::ring::{self, Layout};
use crate::sqlite::row::{self, MAX_KEY, PIECES, place};
use crate::sqlite::{EVENTS_KEPT, MAX_PIECE, error, pieces, schema};
use crate::store::{Commit, Committed, Cursor, Durability, Event};

/// Old changes are removed so many at a time.
const EVENTS_STEP: u64 = 1024;
/// A rest of so many that the writer moves itself.
const LITTLE: usize = 1 << 20;
/// The most bytes that may lie in SQLite's log, about: a quarter of what the file has, within these bounds. At so many callers
/// wait until it has been moved; at two thirds of it that is begun: a page that is changed often is moved once for many times
/// that it was logged.
const MOST_LOGGED: RangeInclusive<usize> = 8 << 20..=256 << 20;
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
    pub(super) told: Arc<Told>,
    /// Brings SQLite's log to disk; none where that was not promised.
    pub(super) sync: Option<durable::Sync>,
    /// Does that while the next group is worked out.
    pub(super) syncer: Option<Syncer>,
    /// Heads of the last group, which may not have been told yet.
    pub(super) in_flight: Arc<NewHeads>,
    /// Whether a sync has failed. What lies in the log is in doubt then, until all of it is in the file.
    pub(super) in_doubt: bool,
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
pub(super) struct Work {
    outcomes: Vec<Result<Outcome, StoreError>>,
    /// How many heads were said, each in a page of its own.
    said: usize,
    pub(super) heads: NewHeads,
    events: Vec<Event>,
    namespaces: HashMap<Namespace, i64>,
    cursor: u64,
    oldest: u64,
}

/// A group at work.
pub(super) struct Group<'c> {
    usual: Usual<'c>,
    pub(super) work: Work,
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

impl Drop for Writer {
    fn drop(&mut self) {
        // After a panic between a commit and its sync nobody else would let readers go.
        self.told.seen.settle();
    }
}

impl Backend for Writer {
    fn write(&mut self, tasks: Vec<Task>, mut waiting: Waiting) {
        for task in &tasks {
            let pieces = if let Task::Commit(commit) = task { commit.pieces.len() } else { 0 };
            self.logged += task.bytes() + PAGE_TOUCHED + pieces * PAGES_OF_PIECE;
        }
        match self.transaction(&tasks, Some(&mut waiting)) {
            Ok((outcomes, news)) => self.finish(outcomes, news, waiting),
            // One of them may be too large for what room there is, or touch what is damaged, and the others not.
            Err(StoreError::Full(_) | StoreError::Damaged { .. }) if tasks.len() > 1 => {
                waiting.answer(tasks.iter().map(|task| self.alone(task)).collect());
            }
            Err(error) => waiting.answer(tasks.iter().map(|_| Err(error.clone())).collect()),
        }
    }

    fn settle(&mut self) {
        if self.syncer.as_ref().is_some_and(|syncer| !syncer.wait()) {
            self.in_doubt = true;
        }
    }

    fn tidy(&mut self, idle: bool) {
        let much = self.logged >= self.most_logged;
        let due = self.most_logged / 3 * 2;
        let mut little = idle && (1..=LITTLE).contains(&self.logged);
        if let Some(moved) = self.checkpointer.moved(much) {
            let rest = self.logged.saturating_sub(self.asked);
            little = rest <= LITTLE;
            // Known better now: some tasks touch more pages than was thought, others share them.
            self.logged = moved + rest;
        }
        if little || much {
            let (logged, moved) = checkpoint::step(&self.connection);
            // Somebody who reads an old state holds the rest back: tried again when as much has come once more.
            self.logged = if moved < logged { due / 2 } else { 0 };
            self.asked = self.logged;
            self.most_logged = most_logged(&self.connection);
        } else if (self.logged >= due || idle && self.logged > 0) && self.checkpointer.ask() {
            self.asked = self.logged;
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|e| error::of(&e))
    }
}

impl Writer {
    /// Brings a group that is committed to disk, and answers it.
    fn finish(&mut self, outcomes: Vec<Result<Outcome, StoreError>>, news: News, waiting: Waiting) {
        match &self.syncer {
            Some(syncer) if waiting.others_wait() && syncer.works() => syncer.hand(outcomes, news, waiting),
            _ => waiting.answer(self.sync_now(outcomes, news)),
        }
    }

    /// One task by itself.
    fn alone(&mut self, task: &Task) -> Result<Outcome, StoreError> {
        let (outcomes, news) = self.transaction(std::slice::from_ref(task), None)?;
        self.sync_now(outcomes, news).remove(0)
    }

    fn sync_now(&mut self, outcomes: Vec<Result<Outcome, StoreError>>, news: News) -> Vec<Result<Outcome, StoreError>> {
        let synced = self.sync.as_ref().map_or(Ok(()), |sync| sync());
        // It is in the file, whatever the disk says.
        self.told.of(news);
        match synced {
            Ok(()) => outcomes,
            Err(error) => {
                self.in_doubt = true;
                durable::unknown(outcomes, &error)
            }
        }
    }

    /// All tasks or none, save those that are refused each for itself: worked out while the last group goes to disk, and
    /// committed when it is there. `waiting` is told how long that took.
    fn transaction(
        &mut self,
        tasks: &[Task],
        mut waiting: Option<&mut Waiting>,
    ) -> Result<(Vec<Result<Outcome, StoreError>>, News), StoreError> {
        self.begin()?;
        let work = match self.work(tasks) {
            Ok(work) => work,
            Err(error) => {
                self.rollback();
                return Err(error);
            }
        };
        match &mut waiting {
            Some(waiting) => waiting.worked_out(|| self.settle()),
            None => self.settle(),
        }
        if self.in_doubt {
            // It builds on a group that may be lost.
            self.rollback();
            return self.transaction(tasks, waiting);
        }
        self.told.seen.begin();
        if let Err(sqlite) = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])) {
            self.rollback();
            self.told.seen.settle();
            return Err(error::of_commit(&sqlite));
        }
        self.logged += work.said * PAGE_TOUCHED;
        (self.cursor, self.oldest) = (work.cursor, work.oldest);
        self.namespaces.extend(work.namespaces);
        self.in_flight = Arc::new(work.heads);
        Ok((work.outcomes, News { heads: self.in_flight.clone(), events: work.events }))
    }

    /// Works out all tasks within the transaction that is open.
    fn work(&self, tasks: &[Task]) -> Result<Work, StoreError> {
        let sqlite = |e| error::of(&e);
        let work = Work {
            outcomes: Vec::with_capacity(tasks.len()),
            said: 0,
            heads: HashMap::with_capacity(tasks.len()),
            events: Vec::with_capacity(tasks.len()),
            namespaces: HashMap::new(),
            cursor: self.cursor,
            oldest: self.oldest,
        };
        let mut group = Group { usual: Usual::prepare(&self.connection).map_err(sqlite)?, work };
        for task in tasks {
            let outcome = match self.task(&mut group, task) {
                Ok(outcome) => Ok(outcome),
                Err(Stop::Task(error)) => Err(error),
                Err(Stop::Group(error)) => return Err(error),
            };
            group.work.outcomes.push(outcome);
        }
        self.drop_old_events(&mut group.work).map_err(sqlite)?;
        Ok(group.work)
    }

    /// Moves all of the log into the file, after a sync of the log has failed: what was written may not be where the system
    /// says it is, and a sync that succeeds afterwards says nothing about it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Full`], when that does not succeed either.
    fn clear_doubt(&mut self) -> Result<(), StoreError> {
        // SQLite waits for readers, but not for somebody else who is moving it.
        self.checkpointer.moved(true);
        let held_back = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
            .map_err(|e| error::of(&e))?;
        if held_back {
            let why = "its log could not be brought to disk, and somebody reads the file, so that it cannot be moved";
            return Err(StoreError::Unavailable(format!("{}: {why}", schema::FILE_NAME)));
        }
        (self.in_doubt, self.logged, self.asked) = (false, 0, 0);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            // Left over from a failure that not even taking it back survived.
            self.connection = schema::open_writer(&self.folder, self.durability, self.max_bytes)?;
        }
        if self.in_doubt {
            self.clear_doubt()?;
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
        group.work.cursor += 1;
        group.usual.tell.execute(params![
            group.work.cursor.cast_signed(),
            namespace,
            key.name(),
            event.unwrap_or(columns.meta)
        ])?;
        let cursor = Cursor::at(group.work.cursor);
        group.work.events.push(Event { cursor, key: key.clone(), meta: record.meta.clone() });
        group.work.heads.insert(key.clone(), Some(entry));
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
        if let Some(entry) = group.work.heads.get(key) {
            return Ok(entry.clone());
        }
        if let Some(entry) = self.in_flight.get(key) {
            return Ok(entry.clone());
        }
        if let Some(entry) = self.told.heads.get(key) {
            return Ok(Some(entry));
        }
        let Some(namespace) = self.namespaces.get(&key.namespace) else { return Ok(None) };
        super::read::head(&self.connection, *namespace, key)?.transpose().map_err(Stop::Group)
    }

    /// The number of a namespace, which is added where it is new.
    pub(super) fn namespace(&self, group: &mut Group<'_>, namespace: &Namespace) -> rusqlite::Result<i64> {
        if let Some(id) = self.namespaces.get(namespace).or_else(|| group.work.namespaces.get(namespace)) {
            return Ok(*id);
        }
        self.connection.execute("INSERT INTO namespaces (name) VALUES (?1)", [namespace.as_str()])?;
        let id = self.connection.last_insert_rowid();
        group.work.namespaces.insert(namespace.clone(), id);
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

    fn drop_old_events(&self, work: &mut Work) -> rusqlite::Result<()> {
        while work.cursor + 1 - work.oldest >= EVENTS_KEPT + EVENTS_STEP {
            work.oldest += EVENTS_STEP;
            self.connection
                .prepare_cached("DELETE FROM events WHERE cursor < ?1")?
                .execute([work.oldest.cast_signed()])?;
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
    group.work.said += 1;
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
