//! Everything, in memory: namespaces, in them keys in the order of their names, in those revisions; and pieces.
//!
//! Readers take a read lock for as long as it takes to copy a pointer. The one writer takes the write locks only to apply
//! what is in the log already, never while it waits for a disk.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::Revision;
use crate::wal::op::Op;

/// What a revision takes beside its body, in bytes of memory.
pub(super) const REVISION_OVERHEAD: u64 = 512;
/// What a piece takes beside its bytes.
const PIECE_OVERHEAD: u64 = 96;

/// A revision that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) record: Arc<Record>,
    pub(super) pinned: bool,
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// In order; never empty.
    pub(super) revisions: Vec<Kept>,
    /// The number of the last change to it: what a snapshot has of it already is not done again.
    pub(super) changed: u64,
}

impl Entry {
    pub(super) fn head(&self) -> &Arc<Record> {
        &self.revisions.last().expect("a key has a revision").record
    }

    fn find(&self, rev: Rev) -> Option<usize> {
        self.revisions.binary_search_by_key(&rev, |kept| kept.record.meta.rev).ok()
    }
}

#[derive(Debug)]
struct Piece {
    /// `None` while a log is played whose snapshot was made when the piece was gone already.
    bytes: Option<Bytes>,
    /// How many revisions name it.
    holds: u64,
}

/// A namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    keys: RwLock<BTreeMap<Arc<str>, Entry>>,
    pieces: RwLock<HashMap<PieceId, Piece>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tree {
    spaces: RwLock<BTreeMap<Namespace, Arc<Space>>>,
    due: RwLock<BTreeSet<(UnixMillis, Key)>>,
    bytes: AtomicU64,
}

impl Tree {
    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn space(&self, namespace: &Namespace) -> Option<Arc<Space>> {
        self.spaces.read().get(namespace).cloned()
    }

    /// All of them, in order.
    pub(super) fn spaces(&self) -> Vec<(Namespace, Arc<Space>)> {
        self.spaces.read().iter().map(|(namespace, space)| (namespace.clone(), space.clone())).collect()
    }

    fn space_or_new(&self, namespace: &Namespace) -> Arc<Space> {
        match self.space(namespace) {
            Some(space) => space,
            None => self.spaces.write().entry(namespace.clone()).or_default().clone(),
        }
    }

    pub(super) fn head(&self, key: &Key) -> Option<Arc<Record>> {
        self.space(&key.namespace)?.keys.read().get(key.name()).map(|entry| entry.head().clone())
    }

    pub(super) fn revision(&self, key: &Key, rev: Rev) -> Option<Kept> {
        let space = self.space(&key.namespace)?;
        let keys = space.keys.read();
        let entry = keys.get(key.name())?;
        entry.find(rev).map(|at| entry.revisions[at].clone())
    }

    pub(super) fn history(&self, key: &Key, before: Option<Rev>, limit: usize) -> Vec<Revision> {
        let Some(space) = self.space(&key.namespace) else { return Vec::new() };
        let keys = space.keys.read();
        let Some(entry) = keys.get(key.name()) else { return Vec::new() };
        let older = |kept: &&Kept| before.is_none_or(|before| kept.record.meta.rev < before);
        let revision = |kept: &Kept| Revision { meta: kept.record.meta.clone(), pinned: kept.pinned };
        entry.revisions.iter().rev().filter(older).take(limit).map(revision).collect()
    }

    pub(super) fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(Key, Meta)> {
        let Some(space) = self.space(namespace) else { return Vec::new() };
        let keys = space.keys.read();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        keys.range::<str, _>((from, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .take(limit)
            .map(|(name, entry)| (key_of(namespace, name), entry.head().meta.clone()))
            .collect()
    }

    /// Namespaces with a key in them.
    pub(super) fn namespaces(&self) -> Vec<Namespace> {
        let used = |(namespace, space): (Namespace, Arc<Space>)| (!space.keys.read().is_empty()).then_some(namespace);
        self.spaces().into_iter().filter_map(used).collect()
    }

    pub(super) fn pieces(&self, namespace: &Namespace, ids: &[PieceId]) -> Vec<Option<Bytes>> {
        let Some(space) = self.space(namespace) else { return vec![None; ids.len()] };
        let pieces = space.pieces.read();
        ids.iter().map(|id| pieces.get(id).and_then(|piece| piece.bytes.clone())).collect()
    }

    pub(super) fn due(&self, now: UnixMillis, limit: usize) -> Vec<(Key, Meta)> {
        let due: Vec<Key> =
            self.due.read().iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, key)| key.clone()).collect();
        // The head may be a newer one meanwhile, which is over later, or never.
        let over =
            |key: Key| self.head(&key).filter(|head| head.meta.has_expired(now)).map(|head| (key, head.meta.clone()));
        due.into_iter().filter_map(over).collect()
    }

    /// Some keys of a namespace after `after`, as they are at this moment.
    pub(super) fn some(&self, space: &Space, after: Option<&Arc<str>>, limit: usize) -> Vec<(Arc<str>, Entry)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&**after));
        let keys = space.keys.read();
        keys.range::<str, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect()
    }

    /// The pieces of a namespace at this moment.
    pub(super) fn all_pieces(&self, space: &Space) -> Vec<(PieceId, Bytes)> {
        let pieces = space.pieces.read();
        pieces.iter().filter_map(|(id, piece)| Some((*id, piece.bytes.clone()?))).collect()
    }

    /// Does the change with this number, unless it is done already. Only one thread may.
    pub(super) fn apply(&self, op: &Op, number: u64) {
        let key = op.key();
        let space = self.space_or_new(&key.namespace);
        if let Op::Commit { pieces, .. } = op {
            // Before the revision that names them can be read.
            self.bring(&space, pieces);
        }
        let mut freed: Vec<Arc<Record>> = Vec::new();
        let mut held: Vec<Arc<Record>> = Vec::new();
        let mut keys = space.keys.write();
        let mut place = keys.entry(key.shared_name());
        if let Place::Occupied(entry) = &place
            && entry.get().changed >= number
        {
            drop(keys);
            self.drop_unheld(&space, op);
            return;
        }
        let over_before = over(&place);
        match op {
            Op::Commit { record, again, keep, .. } => {
                let entry = place.or_insert(Entry { revisions: Vec::new(), changed: number });
                if let Some(again) = again
                    && let Some(at) = entry.find(again.meta.rev).filter(|at| !entry.revisions[*at].pinned)
                {
                    held.push(again.clone());
                    freed.push(std::mem::replace(&mut entry.revisions[at].record, again.clone()));
                }
                held.push(record.clone());
                entry.revisions.push(Kept { record: record.clone(), pinned: false });
                prune(entry, *keep, &mut freed);
                entry.changed = number;
            }
            Op::Extend { expires_at, .. } => {
                if let Place::Occupied(entry) = &mut place {
                    let entry = entry.get_mut();
                    if let Some(head) = entry.revisions.last_mut() {
                        Arc::make_mut(&mut head.record).meta.expires_at = Some(*expires_at);
                    }
                    entry.changed = number;
                }
            }
            Op::Pin { rev, whole, .. } => {
                if let Place::Occupied(entry) = &mut place {
                    let entry = entry.get_mut();
                    if let Some(at) = entry.find(*rev) {
                        let kept = &mut entry.revisions[at];
                        kept.pinned = whole.is_some();
                        if let Some(whole) = whole {
                            held.push(whole.clone());
                            freed.push(std::mem::replace(&mut kept.record, whole.clone()));
                        }
                    }
                    entry.changed = number;
                }
            }
            Op::Prune { keep, .. } => {
                if let Place::Occupied(entry) = &mut place {
                    prune(entry.get_mut(), *keep, &mut freed);
                    entry.get_mut().changed = number;
                }
            }
            Op::Forget { .. } => {
                if let Place::Occupied(entry) = place {
                    freed.extend(entry.remove().revisions.into_iter().map(|kept| kept.record));
                }
            }
        }
        let over_after = keys.get(key.name()).and_then(|entry| entry.head().meta.expires_at);
        drop(keys);
        if over_before != over_after {
            let mut due = self.due.write();
            over_before.map(|at| due.remove(&(at, key.clone())));
            over_after.map(|at| due.insert((at, key.clone())));
        }
        held.iter().for_each(|record| self.hold(&space, record));
        freed.iter().for_each(|record| self.release(&space, record));
        self.drop_unheld(&space, op);
    }

    /// Puts in a key of a snapshot.
    pub(super) fn restore(&self, key: &Key, entry: Entry) {
        let space = self.space_or_new(&key.namespace);
        entry.revisions.iter().for_each(|kept| self.hold(&space, &kept.record));
        if let Some(at) = entry.head().meta.expires_at {
            self.due.write().insert((at, key.clone()));
        }
        space.keys.write().insert(key.shared_name(), entry);
    }

    /// Puts in pieces of a snapshot.
    pub(super) fn restore_pieces(&self, namespace: &Namespace, pieces: &[(PieceId, Bytes)]) {
        self.bring(&self.space_or_new(namespace), pieces);
    }

    /// After a snapshot and its logs: every piece that is named has to be there, and no other.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        for (namespace, space) in self.spaces() {
            let mut pieces = space.pieces.write();
            let unheld: Vec<PieceId> = pieces.iter().filter(|(_, piece)| piece.holds == 0).map(|(id, _)| *id).collect();
            for id in unheld {
                self.remove_piece(&mut pieces, &id);
            }
            if let Some((id, _)) = pieces.iter().find(|(_, piece)| piece.bytes.is_none()) {
                return Err(StoreError::damaged(format!("piece {id} of {namespace} is missing")));
            }
        }
        Ok(())
    }

    fn bring(&self, space: &Space, brought: &[(PieceId, Bytes)]) {
        if brought.is_empty() {
            return;
        }
        let mut pieces = space.pieces.write();
        for (id, bytes) in brought {
            let piece = pieces.entry(*id).or_insert(Piece { bytes: None, holds: 0 });
            if piece.bytes.is_none() {
                piece.bytes = Some(bytes.clone());
                self.bytes.fetch_add(PIECE_OVERHEAD + bytes.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Pieces that a change brought, and that nothing names after it.
    fn drop_unheld(&self, space: &Space, op: &Op) {
        let Op::Commit { pieces: brought, .. } = op else { return };
        if brought.is_empty() {
            return;
        }
        let mut pieces = space.pieces.write();
        for (id, _) in brought {
            if pieces.get(id).is_some_and(|piece| piece.holds == 0) {
                self.remove_piece(&mut pieces, id);
            }
        }
    }

    fn remove_piece(&self, pieces: &mut HashMap<PieceId, Piece>, id: &PieceId) {
        if let Some(bytes) = pieces.remove(id).and_then(|piece| piece.bytes) {
            self.bytes.fetch_sub(PIECE_OVERHEAD + bytes.len() as u64, Ordering::Relaxed);
        }
    }

    fn hold(&self, space: &Space, record: &Record) {
        self.bytes.fetch_add(size(record), Ordering::Relaxed);
        let ids = record.body.pieces();
        if ids.is_empty() {
            return;
        }
        let mut pieces = space.pieces.write();
        for id in ids.iter().collect::<HashSet<_>>() {
            pieces.entry(*id).or_insert(Piece { bytes: None, holds: 0 }).holds += 1;
        }
    }

    fn release(&self, space: &Space, record: &Record) {
        self.bytes.fetch_sub(size(record), Ordering::Relaxed);
        let ids = record.body.pieces();
        if ids.is_empty() {
            return;
        }
        let mut pieces = space.pieces.write();
        for id in ids.iter().collect::<HashSet<_>>() {
            let Some(piece) = pieces.get_mut(id) else { continue };
            piece.holds = piece.holds.saturating_sub(1);
            if piece.holds == 0 {
                self.remove_piece(&mut pieces, id);
            }
        }
    }
}

/// What a revision takes, in bytes of memory.
pub(super) fn size(record: &Record) -> u64 {
    REVISION_OVERHEAD + record.body.stored_size() as u64
}

/// A key that is in the tree already, and was checked when it came in.
pub(super) fn key_of(namespace: &Namespace, name: &str) -> Key {
    Key::new(namespace.clone(), name).expect("checked when it came in")
}

fn over(place: &Place<'_, Arc<str>, Entry>) -> Option<UnixMillis> {
    match place {
        Place::Occupied(entry) => entry.get().head().meta.expires_at,
        Place::Vacant(_) => None,
    }
}

/// Removes all but the newest `keep` by number, and the pinned ones.
fn prune(entry: &mut Entry, keep: u32, freed: &mut Vec<Arc<Record>>) {
    let limit = entry.head().meta.rev.get().saturating_sub(u64::from(keep.max(1)));
    // Usually there is one, the oldest; pinned ones stay in front of it.
    if !entry.revisions.iter().take_while(|kept| kept.record.meta.rev.get() <= limit).any(|kept| !kept.pinned) {
        return;
    }
    entry.revisions.retain(|kept| {
        let stays = kept.pinned || kept.record.meta.rev.get() > limit;
        if !stays {
            freed.push(kept.record.clone());
        }
        stays
    });
}
