//! The heads that were read or written lately, in memory: what most reads want, and all that a compare-and-set needs.
//!
//! Bounded in bytes. Shards keep readers on different cores apart.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use tradewind_core::Recent;

use crate::name::Key;
use crate::record::Record;
use crate::sqlite::ring::Layout;

const SHARDS: usize = 16;
/// What an entry takes beside its body, in bytes.
const OVERHEAD: usize = 640;

/// A head, and where it lies.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The number of the key.
    pub(super) id: i64,
    pub(super) head: Arc<Record>,
    /// How many places there are for its revisions.
    pub(super) ring: u32,
    /// How they lie there.
    pub(super) layout: Layout,
}

impl Entry {
    fn bytes(&self) -> usize {
        OVERHEAD + self.head.body.stored_size()
    }
}

struct Shard {
    recent: Recent<Key, Entry>,
    /// Counts what was published, so that a reader that was slower than the writer does not put an old head in its place.
    published: u64,
}

pub(super) struct Heads {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

impl Heads {
    /// At most about `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(Shard::new(bytes / SHARDS))), hasher: RandomState::new() }
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The head of a key, when it is here.
    pub(super) fn get(&self, key: &Key) -> Option<Entry> {
        self.shard(key).lock().recent.get(key)
    }

    /// What [`Heads::fill`] wants back.
    pub(super) fn published(&self, key: &Key) -> u64 {
        self.shard(key).lock().published
    }

    /// Keeps a head that was read after [`Heads::published`] was asked, unless something was written since.
    pub(super) fn fill(&self, key: &Key, entry: Entry, published: u64) {
        let mut shard = self.shard(key).lock();
        if shard.published == published {
            shard.put(key.clone(), entry);
        }
    }

    /// The writer's word on what the head is now.
    pub(super) fn publish(&self, key: Key, entry: Option<Entry>) {
        let mut shard = self.shard(&key).lock();
        shard.published += 1;
        match entry {
            Some(entry) => shard.put(key, entry),
            None => drop(shard.recent.remove(&key)),
        }
    }
}

impl Shard {
    fn new(bytes: usize) -> Self {
        Self { recent: Recent::new(bytes), published: 0 }
    }

    fn put(&mut self, key: Key, entry: Entry) {
        let weight = entry.bytes();
        self.recent.insert(key, entry, weight);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tradewind_core::UnixMillis;

    use super::*;
    use crate::meta::{Kind, Meta};
    use crate::name::{Epoch, Hash, Rev};
    use crate::record::Body;

    fn entry(rev: u64, length: usize) -> Entry {
        let meta = Meta {
            rev: Rev::new(rev).unwrap(),
            parent: None,
            kind: Kind::Value,
            content_type: Arc::from("text/plain"),
            schema: None,
            hash: Hash([0; 32]),
            chain: Hash([0; 32]),
            size: 0,
            created_at: UnixMillis(0),
            expires_at: None,
            sliding: None,
            epoch: Epoch::FIRST,
            by: None,
            handoff: None,
        };
        let body = Body::Whole(Bytes::from(vec![0; length]));
        Entry { id: 1, head: Arc::new(Record { meta, body }), ring: 1, layout: Layout::Loose }
    }

    fn rev(heads: &Heads, key: &Key) -> Option<u64> {
        heads.get(key).map(|entry| entry.head.meta.rev.get())
    }

    #[test]
    fn a_slow_reader_does_not_put_an_old_head_back() {
        let heads = Heads::new(1 << 20);
        let key = Key::parse("n", "k").unwrap();
        let before = heads.published(&key);
        heads.publish(key.clone(), Some(entry(2, 10)));
        heads.publish(key.clone(), None);
        heads.fill(&key, entry(1, 10), before);
        assert_eq!(rev(&heads, &key), None);
        heads.fill(&key, entry(3, 10), heads.published(&key));
        assert_eq!(rev(&heads, &key), Some(3));
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let heads = Heads::new(1 << 20);
        let used = Key::parse("n", "used").unwrap();
        heads.publish(used.clone(), Some(entry(1, 1000)));
        for number in 0..10_000 {
            heads.publish(Key::parse("n", &format!("k{number}")).unwrap(), Some(entry(1, 1000)));
            assert_eq!(rev(&heads, &used), Some(1), "after {number}");
        }
        let kept = (0..10_000).filter(|number| heads.get(&Key::parse("n", &format!("k{number}")).unwrap()).is_some());
        let kept = kept.count();
        assert!((100..1_000).contains(&kept), "{kept} of 1.6 KB each are in a mebibyte");
    }
}
