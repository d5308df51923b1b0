//! The writing thread's part: decides a group of tasks, puts it into the log as one entry, and only then applies it.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::embedded::{Backend, Feed, Outcome, Task, Waiting, brings_all_pieces};
use crate::error::StoreError;
use crate::name::{Key, Rev};
use crate::record::{MAX_RECORD, Record};
use crate::store::{Commit, Committed, Cursor, Event, Pin};
use crate::wal::log::{Generation, Log};
use crate::wal::op::{Group, Op};
use crate::wal::snapshot::{self, Head};
use crate::wal::tree::{Tree, size};
use crate::wal::{LARGE_SNAPSHOT, MAX_PIECE, SNAPSHOT_BYTES, SNAPSHOT_SHARE};

/// What an entry of the log may keep of the buffer that it was made in.
const BUFFER_KEPT: usize = 1 << 20;

pub(super) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) sync: bool,
    pub(super) max_bytes: u64,
    pub(super) tree: Arc<Tree>,
    pub(super) feed: Arc<Feed>,
    pub(super) log: Log,
    pub(super) generation: Generation,
    /// The number of the last change.
    pub(super) changes: u64,
    /// The number of the last event.
    pub(super) cursor: u64,
    /// Bytes of the logs that a start has to play again.
    pub(super) to_replay: u64,
    /// A snapshot that is being made.
    pub(super) snapshot: Option<JoinHandle<Result<(), StoreError>>>,
    /// How many bytes of log make the next one due.
    pub(super) snapshot_at: u64,
    /// How many bytes the last one has.
    pub(super) last_snapshot: u64,
    pub(super) buffer: Vec<u8>,
    /// Keeps other processes out; let go when the writer ends.
    pub(super) _lock: File,
}

/// Tasks that go into the log together, decided and not yet applied.
#[derive(Default)]
struct Plan {
    ops: Vec<Op>,
    /// Heads as they will be.
    heads: HashMap<Key, Arc<Record>>,
    events: Vec<Event>,
    /// Bytes of memory that it will take.
    bytes: u64,
    outcomes: Vec<Result<Outcome, StoreError>>,
}

impl Backend for Writer {
    fn write(&mut self, tasks: Vec<Task>, waiting: Waiting) {
        let mut outcomes = Vec::with_capacity(tasks.len());
        let mut rest = &tasks[..];
        while !rest.is_empty() {
            // A task that looks further than at the head of a key waits until what came before it is applied.
            let together = self.decide(rest);
            let count = together.outcomes.len();
            match self.do_all(together) {
                Ok(done) => outcomes.extend(done),
                // One of them may be too large for what room there is, and the others not.
                Err(StoreError::Full(_)) if count > 1 => {
                    for task in &rest[..count] {
                        let alone = self.decide(std::slice::from_ref(task));
                        outcomes.push(self.do_all(alone).map_or_else(Err, |mut done| done.remove(0)));
                    }
                }
                Err(error) => outcomes.extend((0..count).map(|_| Err(error.clone()))),
            }
            rest = &rest[count..];
        }
        waiting.answer(outcomes);
    }

    fn tidy(&mut self, _idle: bool) {
        let falls_behind = self.log.bytes() >= self.snapshot_due() / 4 * 3;
        if self.snapshot.as_ref().is_some_and(|thread| falls_behind || thread.is_finished()) {
            self.end_snapshot();
        }
        if self.snapshot.is_none() && self.to_replay + self.log.bytes() >= self.snapshot_at {
            self.begin_snapshot();
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        // One that fails is made again next time; the logs are there. While one was made, writers that do not wait for the
        // disk may have written far more than they were to.
        self.end_snapshot();
        self.tidy(true);
        self.end_snapshot();
        // With something whole behind them, damage to the last changes cannot look like a write that was not finished.
        let last = Group { first: self.changes + 1, first_event: self.cursor + 1, ops: Vec::new() };
        self.buffer.clear();
        last.encode(&mut self.buffer);
        self.log.append(&self.buffer, true)
    }
}

impl Writer {
    /// Decides as many tasks as can be decided before one is applied.
    fn decide(&self, tasks: &[Task]) -> Plan {
        let mut plan = Plan::default();
        for task in tasks {
            let outcome = match task {
                Task::Commit(commit) => self.commit(&mut plan, commit).map(Outcome::Committed),
                Task::Extend { key, rev, expires_at } => Ok(Outcome::Was(match self.known(&plan, key) {
                    Some(head) if head.meta.rev == *rev => {
                        if head.meta.expires_at.is_some_and(|now| now < *expires_at) {
                            let mut head = Record::clone(&head);
                            head.meta.expires_at = Some(*expires_at);
                            plan.heads.insert(key.clone(), Arc::new(head));
                            plan.ops.push(Op::Extend { key: key.clone(), expires_at: *expires_at });
                        }
                        true
                    }
                    _ => false,
                })),
                Task::Pin { key, .. } | Task::Prune { key, .. } | Task::Forget { key, .. }
                    if plan.heads.contains_key(key) =>
                {
                    return plan;
                }
                Task::Pin { key, rev, pin } => self.pin(&mut plan, key, *rev, pin).map(Outcome::Was),
                Task::Prune { key, keep } => Ok(Outcome::Removed(self.prune(&mut plan, key, *keep))),
                Task::Forget { key, rev } => Ok(Outcome::Was(match self.tree.head(key) {
                    Some(head) if head.meta.rev == *rev && head.meta.kind.is_tombstone() => {
                        plan.ops.push(Op::Forget { key: key.clone() });
                        true
                    }
                    _ => false,
                })),
            };
            plan.outcomes.push(outcome);
            if matches!(plan.ops.last(), Some(Op::Pin { .. } | Op::Prune { .. } | Op::Forget { .. })) {
                // Later tasks for the key have to see it.
                return plan;
            }
        }
        plan
    }

    /// What the head of a key will be.
    fn known(&self, plan: &Plan, key: &Key) -> Option<Arc<Record>> {
        plan.heads.get(key).cloned().or_else(|| self.tree.head(key))
    }

    fn commit(&self, plan: &mut Plan, commit: &Commit) -> Result<Committed, StoreError> {
        let Commit { key, expected, record, parent_again, pieces, keep } = commit;
        let before = self.known(plan, key);
        if !expected.holds(before.as_deref().map(|head| &head.meta)) {
            return Ok(Committed::Lost(before));
        }
        check(before.as_deref(), commit)?;
        let needed = size(record) + pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let taken = self.tree.bytes() + plan.bytes;
        if taken + needed > self.max_bytes && !record.meta.kind.is_tombstone() {
            return Err(StoreError::Full(format!("{taken} of {} bytes of memory are taken", self.max_bytes)));
        }
        plan.bytes += needed;
        let record = Arc::new(record.clone());
        let cursor = Cursor::at(self.cursor + 1 + plan.events.len() as u64);
        plan.events.push(Event { cursor, key: key.clone(), meta: record.meta.clone() });
        plan.heads.insert(key.clone(), record.clone());
        // One that names pieces is as small as it gets. Only the body changes: the end of its time may have been moved.
        let again = before.zip(parent_again.as_ref()).and_then(|(parent, again)| {
            let fits =
                parent.meta.rev == again.meta.rev && parent.body.pieces().is_empty() && again.body.pieces().is_empty();
            fits.then(|| Arc::new(Record { meta: parent.meta.clone(), body: again.body.clone() }))
        });
        plan.ops.push(Op::Commit { key: key.clone(), record, again, pieces: pieces.clone(), keep: *keep });
        Ok(Committed::Done(cursor))
    }

    fn pin(&self, plan: &mut Plan, key: &Key, rev: Rev, pin: &Pin) -> Result<bool, StoreError> {
        let Some(kept) = self.tree.revision(key, rev) else { return Ok(false) };
        let whole = match pin {
            Pin::On(whole) if whole.meta.rev == rev && whole.meta.chain != kept.record.meta.chain => return Ok(false),
            Pin::On(_) if kept.pinned => return Ok(true),
            Pin::Off if !kept.pinned => return Ok(true),
            Pin::Off => None,
            Pin::On(whole) => {
                if whole.meta.rev != rev {
                    return Err(StoreError::Unsupported("pin a revision as another one"));
                }
                let pieces = kept.record.body.pieces();
                if pieces.is_empty() && !whole.body.pieces().is_empty() {
                    return Err(StoreError::Unsupported("pin a revision as another one"));
                }
                let body = if pieces.is_empty() { &whole.body } else { &kept.record.body };
                Some(Arc::new(Record { meta: kept.record.meta.clone(), body: body.clone() }))
            }
        };
        plan.ops.push(Op::Pin { key: key.clone(), rev, whole });
        Ok(true)
    }

    /// How many revisions will be gone.
    fn prune(&self, plan: &mut Plan, key: &Key, keep: u32) -> u64 {
        let Some(head) = self.tree.head(key) else { return 0 };
        let limit = head.meta.rev.get().saturating_sub(u64::from(keep.max(1)));
        let history = self.tree.history(key, None, usize::MAX);
        let going = history.iter().filter(|kept| !kept.pinned && kept.meta.rev.get() <= limit).count();
        if going > 0 {
            plan.ops.push(Op::Prune { key: key.clone(), keep });
        }
        going as u64
    }

    fn do_all(&mut self, plan: Plan) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        if plan.ops.is_empty() {
            return Ok(plan.outcomes);
        }
        let group = Group { first: self.changes + 1, first_event: self.cursor + 1, ops: plan.ops };
        self.buffer.clear();
        group.encode(&mut self.buffer);
        self.log.append(&self.buffer, self.sync)?;
        self.buffer.shrink_to(BUFFER_KEPT);
        for (op, number) in group.ops.iter().zip(group.first..) {
            self.tree.apply(op, number);
        }
        self.changes += group.ops.len() as u64;
        self.cursor += plan.events.len() as u64;
        self.feed.publish(plan.events);
        Ok(plan.outcomes)
    }

    /// How many bytes of log make a snapshot due.
    pub(super) fn snapshot_due(&self) -> u64 {
        let share = if self.last_snapshot < LARGE_SNAPSHOT { SNAPSHOT_SHARE } else { 2 };
        SNAPSHOT_BYTES.max(self.last_snapshot / share)
    }

    /// Waits for the snapshot that is being made, if one is.
    fn end_snapshot(&mut self) {
        let Some(thread) = self.snapshot.take() else { return };
        if let Ok(Ok(())) = thread.join() {
            self.to_replay = 0;
            self.last_snapshot = snapshot::bytes(&self.folder, self.generation);
            self.snapshot_at = self.snapshot_due();
        }
    }

    /// Begins a new log, and has a snapshot of everything before it made.
    fn begin_snapshot(&mut self) {
        // Whatever fails, for want of room perhaps, is tried again when as much has been written once more.
        self.snapshot_at = self.to_replay + self.log.bytes() + self.snapshot_due();
        if self.log.sync().is_err() {
            return;
        }
        let next = self.generation.next();
        let Ok((log, _)) = Log::open(next.log(&self.folder), false, |_| Ok(())) else { return };
        self.to_replay += self.log.bytes();
        self.log = log;
        self.generation = next;
        let head = Head { changes: self.changes, newest: self.cursor, events: self.feed.kept() };
        let (folder, tree) = (self.folder.clone(), self.tree.clone());
        let make = move || snapshot::write(&folder, next, &tree, &head);
        self.snapshot = std::thread::Builder::new().name("state-snapshot".to_owned()).spawn(make).ok();
    }
}

/// Refuses what the engine cannot take.
fn check(before: Option<&Record>, commit: &Commit) -> Result<(), StoreError> {
    let record = &commit.record;
    if before.is_some_and(|head| head.meta.rev >= record.meta.rev) {
        return Err(StoreError::Unsupported("give a revision a number that is not greater"));
    }
    let too_large = |size: usize, limit: usize| StoreError::TooLarge { size: size as u64, limit: limit as u64 };
    let stored = record.body.stored_size();
    // With room for the longest meta.
    if stored + 2048 > MAX_RECORD && record.encode().len() > MAX_RECORD {
        return Err(too_large(stored, MAX_RECORD));
    }
    if let Some((_, bytes)) = commit.pieces.iter().find(|(_, bytes)| bytes.len() > MAX_PIECE) {
        return Err(too_large(bytes.len(), MAX_PIECE));
    }
    if brings_all_pieces(before, commit) {
        Ok(())
    } else {
        Err(StoreError::Unsupported("name a piece that nobody has brought"))
    }
}
