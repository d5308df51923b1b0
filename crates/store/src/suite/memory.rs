//! The oracle: an engine so plain that it can be seen to be right. All in one map behind one lock, nothing kept on disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::watch;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{Body, PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Durability, Event, Facts, KeyHead, Pin, Revision, Store};
use crate::told::{Changes, Passed};

/// An engine that keeps everything in memory.
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<()>,
    events_kept: usize,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    spaces: BTreeMap<Namespace, Space>,
}

#[derive(Default)]
struct Space {
    keys: BTreeMap<String, BTreeMap<Rev, Kept>>,
    pieces: BTreeMap<PieceId, Bytes>,
    events: VecDeque<Event>,
    latest: u64,
}

struct Kept {
    record: Record,
    pinned: bool,
    /// Whether it cannot be read any more.
    damaged: bool,
}

impl Kept {
    fn readable(&self) -> Result<&Record, StoreError> {
        if self.damaged {
            return Err(StoreError::damaged(format!("revision {} is not what was written", self.record.meta.rev)));
        }
        Ok(&self.record)
    }
}

impl Space {
    /// Removes all but the newest `keep` and the pinned, and then the pieces that nothing names any more.
    fn prune(&mut self, name: &str, keep: u32) -> u64 {
        let Some(revisions) = self.keys.get_mut(name) else { return 0 };
        let newest = revisions.last_key_value().map_or(0, |(rev, _)| rev.get());
        let oldest = newest.saturating_sub(u64::from(keep.max(1)));
        let before = revisions.len();
        revisions.retain(|rev, kept| rev.get() > oldest || kept.pinned);
        let removed = before - revisions.len();
        self.drop_pieces();
        removed as u64
    }

    fn drop_pieces(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let records = self.keys.values().flat_map(BTreeMap::values);
        let named: BTreeSet<PieceId> = records.flat_map(|kept| kept.record.body.pieces().iter().copied()).collect();
        self.pieces.retain(|id, _| named.contains(id));
    }
}

impl Memory {
    /// An empty one that keeps the last 100,000 changes of each namespace.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(100_000)
    }

    /// An empty one that keeps the last `events` changes of each namespace.
    #[must_use]
    pub fn keeping(events: usize) -> Self {
        Self { inner: Arc::default(), changed: watch::Sender::new(()), events_kept: events }
    }

    /// Bytes of everything that is kept: encoded records and pieces.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let inner = self.inner.lock();
        let spaces = inner.spaces.values();
        let bytes: usize = spaces
            .map(|space| {
                let records = space.keys.values().flat_map(BTreeMap::values);
                let records: usize = records.map(|kept| kept.record.encode().len()).sum();
                records + space.pieces.values().map(|bytes| 32 + bytes.len()).sum::<usize>()
            })
            .sum();
        bytes as u64
    }

    /// Changes a byte of a kept body or of a kept piece, as a disk does that fails. Whether there was one to change.
    pub fn damage(&self, key: &Key, rev: Rev) -> bool {
        let mut inner = self.inner.lock();
        let Some(space) = inner.spaces.get_mut(&key.namespace) else { return false };
        let Some(kept) = space.keys.get_mut(key.name()).and_then(|revisions| revisions.get_mut(&rev)) else {
            return false;
        };
        match &mut kept.record.body {
            Body::Whole(bytes) | Body::Delta { bytes, .. } => flip(bytes),
            Body::Pieces(ids) => {
                let Some(bytes) = ids.first().and_then(|id| space.pieces.get_mut(id)) else { return false };
                flip(bytes);
            }
            Body::None => return false,
        }
        true
    }

    /// Loses a piece.
    pub fn drop_piece(&self, namespace: &Namespace, id: &PieceId) {
        if let Some(space) = self.inner.lock().spaces.get_mut(namespace) {
            space.pieces.remove(id);
        }
    }

    /// Makes a kept revision one that cannot be read, with its meta. Whether there was one.
    pub fn damage_all_of(&self, key: &Key, rev: Rev) -> bool {
        let mut inner = self.inner.lock();
        let revisions = inner.spaces.get_mut(&key.namespace).and_then(|space| space.keys.get_mut(key.name()));
        let kept = revisions.and_then(|revisions| revisions.get_mut(&rev));
        kept.is_some_and(|kept| {
            kept.damaged = true;
            true
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Inner) -> T) -> Result<T, StoreError> {
        self.change(|inner| work(inner))
    }

    fn change<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        Ok(work(&mut inner))
    }

    fn commit_now(&self, commit: Commit) -> Result<Committed, StoreError> {
        let committed = self.change(|inner| {
            let space = inner.spaces.entry(commit.key.namespace.clone()).or_default();
            let revisions = space.keys.get(commit.key.name());
            let head = revisions.and_then(BTreeMap::last_key_value);
            if !commit.expected.holds(head.map(|(_, kept)| &kept.record.meta)) {
                return Committed::Lost(head.map(|(_, kept)| Arc::new(kept.record.clone())));
            }
            let revisions = space.keys.entry(commit.key.name().to_owned()).or_default();
            if let Some(parent) = commit.parent_again
                && let Some(kept) = revisions.get_mut(&parent.meta.rev)
                && !kept.pinned
            {
                kept.record.body = parent.body;
            }
            let meta = commit.record.meta.clone();
            revisions.insert(meta.rev, Kept { record: commit.record, pinned: false, damaged: false });
            space.pieces.extend(commit.pieces);
            space.prune(commit.key.name(), commit.keep);
            space.latest += 1;
            let cursor = Cursor::at(space.latest);
            space.events.push_back(Event { cursor, key: commit.key, meta });
            while space.events.len() > self.events_kept {
                space.events.pop_front();
            }
            Committed::Done(cursor)
        })?;
        self.changed.send_replace(());
        Ok(committed)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn flip(bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    let middle = changed.len() / 2;
    if let Some(byte) = changed.get_mut(middle) {
        *byte ^= 1;
    }
    *bytes = changed.into();
}

/// An answer that is there at once.
fn now<'a, T: Send + 'a>(answer: Result<T, StoreError>) -> BoxFuture<'a, Result<T, StoreError>> {
    ready(answer).boxed()
}

impl Store for Memory {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        now(self
            .read(|inner| {
                let revisions = inner.spaces.get(&key.namespace)?.keys.get(key.name())?;
                revisions.last_key_value().map(|(_, kept)| kept.readable().cloned().map(Arc::new))
            })
            .and_then(Option::transpose))
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        now(self
            .read(|inner| {
                let revisions = inner.spaces.get(&key.namespace)?.keys.get(key.name())?;
                revisions.get(&rev).map(|kept| kept.readable().cloned())
            })
            .and_then(Option::transpose))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        async move { self.commit_now(commit) }.boxed()
    }

    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, expires_at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>> {
        now(self.change(|inner| {
            let revisions = inner.spaces.get_mut(&key.namespace).and_then(|space| space.keys.get_mut(key.name()));
            let Some(mut head) = revisions.and_then(BTreeMap::last_entry) else { return false };
            if *head.key() != rev {
                return false;
            }
            let meta = &mut head.get_mut().record.meta;
            if meta.expires_at.is_some_and(|at| at < expires_at) {
                meta.expires_at = Some(expires_at);
            }
            true
        }))
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        now(self
            .read(|inner| {
                let space = inner.spaces.get(&key.namespace);
                let Some(revisions) = space.and_then(|space| space.keys.get(key.name())) else { return Ok(Vec::new()) };
                let newest_first = revisions.iter().rev().filter(|(rev, _)| before.is_none_or(|before| **rev < before));
                newest_first
                    .take(limit)
                    .map(|(_, kept)| Ok(Revision { meta: kept.readable()?.meta.clone(), pinned: kept.pinned }))
                    .collect()
            })
            .and_then(|history| history))
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        now(self.read(|inner| {
            let Some(space) = inner.spaces.get(namespace) else { return Vec::new() };
            let from = match after {
                Some(after) if after >= prefix => Bound::Excluded(after),
                _ => Bound::Included(prefix),
            };
            let keys = space.keys.range::<str, _>((from, Bound::Unbounded));
            let keys = keys.take_while(|(name, _)| name.starts_with(prefix));
            let heads = keys.filter_map(|(name, revisions)| {
                let key = Key::new(namespace.clone(), name).ok()?;
                revisions.last_key_value().map(|(_, kept)| (key, kept.readable().map(|record| record.meta.clone())))
            });
            heads.take(limit).collect()
        }))
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        now(self.read(|inner| {
            let spaces = inner.spaces.iter().filter(|(_, space)| !space.keys.is_empty());
            spaces.map(|(namespace, _)| namespace.clone()).collect()
        }))
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        now(self.read(|inner| {
            let space = inner.spaces.get(namespace);
            ids.iter().map(|id| space.and_then(|space| space.pieces.get(id)).cloned()).collect()
        }))
    }

    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>> {
        now(self.change(|inner| {
            let revisions = inner.spaces.get_mut(&key.namespace).and_then(|space| space.keys.get_mut(key.name()));
            let Some(kept) = revisions.and_then(|revisions| revisions.get_mut(&rev)) else { return false };
            match pin {
                Pin::On(record) if record.meta.chain != kept.record.meta.chain => return false,
                Pin::On(record) => {
                    kept.record.body = record.body;
                    kept.pinned = true;
                }
                Pin::Off => kept.pinned = false,
            }
            true
        }))
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        now(self.change(|inner| inner.spaces.get_mut(&key.namespace).map_or(0, |space| space.prune(key.name(), keep))))
    }

    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        now(self.read(|inner| Cursor::at(inner.spaces.get(namespace).map_or(0, |space| space.latest))))
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        let after = match after {
            After::Cursor(cursor) => cursor,
            After::Now => Cursor::at(self.inner.lock().spaces.get(namespace).map_or(0, |space| space.latest)),
        };
        let watch = Watch {
            inner: self.inner.clone(),
            changed: self.changed.subscribe(),
            namespace: namespace.clone(),
            prefix: prefix.to_owned(),
            after,
            passed: Passed::default(),
            ended: false,
        };
        let passed = watch.passed.clone();
        let events = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|item| (item, watch)) });
        Changes::new(events.boxed(), passed)
    }

    fn due(&self, now_is: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        now(self.read(|inner| {
            let mut due = Vec::new();
            for (namespace, space) in &inner.spaces {
                for (name, revisions) in &space.keys {
                    let Some((_, head)) = revisions.last_key_value() else { continue };
                    if head.record.meta.has_expired(now_is)
                        && let Ok(key) = Key::new(namespace.clone(), name)
                    {
                        due.push((key, head.record.meta.clone()));
                    }
                }
            }
            due.sort_by_key(|(_, meta)| meta.expires_at);
            due.truncate(limit);
            due
        }))
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        now(self.change(|inner| {
            let Some(space) = inner.spaces.get_mut(&key.namespace) else { return false };
            let head = space.keys.get(key.name()).and_then(BTreeMap::last_key_value);
            let fits = head.is_some_and(|(head, kept)| *head == rev && kept.record.meta.kind.is_tombstone());
            if fits {
                space.keys.remove(key.name());
                space.drop_pieces();
            }
            fits
        }))
    }

    fn facts(&self) -> Facts {
        Facts {
            engine: "memory",
            durability: Durability::Memory,
            place: "memory".to_owned(),
            rewrites: true,
            events_kept: self.events_kept as u64,
            notes: Vec::new(),
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.lock().closed = true;
        self.changed.send_replace(());
        now(Ok(()))
    }
}

/// A watch and how far it is.
struct Watch {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Receiver<()>,
    namespace: Namespace,
    prefix: String,
    after: Cursor,
    passed: Passed,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Event, StoreError>> {
        while !self.ended {
            self.changed.mark_unchanged();
            match self.step() {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
            if self.ended || self.changed.changed().await.is_err() {
                return None;
            }
        }
        None
    }

    fn step(&mut self) -> Result<Option<Event>, StoreError> {
        let inner = self.inner.lock();
        self.ended = inner.closed;
        let Some(space) = inner.spaces.get(&self.namespace) else {
            return if self.after == Cursor::START { Ok(None) } else { Err(StoreError::CursorGone) };
        };
        let first = space.latest - space.events.len() as u64;
        if self.after.minor != 0 || self.after.major > space.latest || self.after.major < first {
            return Err(StoreError::CursorGone);
        }
        let seen = (self.after.major - first) as usize;
        let next = space.events.iter().skip(seen).find(|event| event.key.name().starts_with(&self.prefix));
        self.after = next.map_or_else(|| Cursor::at(space.latest), |event| event.cursor);
        if next.is_none() {
            self.passed.move_to(self.after);
        }
        Ok(next.cloned())
    }
}
