//! What is remembered of heads that were lately read or written, so that the next write needs no read before it.
//!
//! Nothing here is ever taken for the truth about which revision is the head: only the engine's compare-and-set decides
//! that. But a revision never changes, so whatever is remembered of one is right for as long as it lasts. There are two
//! exceptions. A sliding end of its time may have been moved: whoever finds it reached reads anew. And a key that was
//! deleted and forgotten a day later begins again at number 1: nothing is remembered for so long.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ring::digest;
use rustc_hash::FxBuildHasher;
use tradewind_core::{Moment, Recent};

use crate::name::Key;
use crate::record::{Body, Record};

/// Bytes that are remembered in all.
pub(super) const BUDGET: usize = 32 << 20;
/// Tables, each behind a lock of its own.
const SHARDS: usize = 16;
/// How long something is remembered at most: far less than a tombstone is kept.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// What an entry takes besides its bytes, about.
const OVERHEAD: usize = 600;

/// A head that was read and checked, or written.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) record: Arc<Record>,
    pub(super) content: Known,
}

/// How much of its content is known.
#[derive(Clone)]
pub(super) enum Known {
    /// None of it, or there is none.
    Nothing,
    /// All of it: at most 64 KiB.
    All(Bytes),
    /// The end of a long one.
    Tail(Arc<Tail>),
}

/// The end of a long content behind its last cut, and what was hashed before it: enough to go on from.
pub(super) struct Tail {
    /// SHA-256 of everything before the end.
    pub(super) before: digest::Context,
    /// Bytes before the end.
    pub(super) start: u64,
    /// The end.
    pub(super) bytes: Bytes,
    /// The lengths of its pieces, which additions have brought; see [`MAX_OPEN`](super::body::MAX_OPEN).
    pub(super) pieces: Vec<usize>,
}

impl Hot {
    fn weight(&self) -> usize {
        let content = match &self.content {
            Known::Nothing => 0,
            Known::All(bytes) => bytes.len(),
            Known::Tail(tail) => tail.bytes.len(),
        };
        OVERHEAD + self.record.body.stored_size() + content
    }

    /// The same in memory of its own. The end of a long content has that already.
    fn copied(&self) -> Self {
        let record = match &self.record.body {
            Body::Whole(bytes) => {
                let body = Body::Whole(Bytes::copy_from_slice(bytes));
                Arc::new(Record { meta: self.record.meta.clone(), body })
            }
            _ => self.record.clone(),
        };
        let content = match &self.content {
            Known::All(bytes) => Known::All(Bytes::copy_from_slice(bytes)),
            other => other.clone(),
        };
        Self { record, content }
    }
}

/// A head, and when it was read or written.
#[derive(Clone)]
struct Entry {
    hot: Hot,
    since: Moment,
}

/// Lately used heads.
pub(super) struct Heads {
    shards: [Mutex<Shard>; SHARDS],
    hasher: FxBuildHasher,
}

type Shard = Recent<Key, Entry, FxBuildHasher>;

impl Heads {
    pub(super) fn new(budget: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(Recent::new(budget / SHARDS))), hasher: FxBuildHasher }
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        // The upper bits: the lower ones choose the place within the shard's own table.
        &self.shards[(self.hasher.hash_one(key) >> 56) as usize % SHARDS]
    }

    pub(super) fn get(&self, key: &Key, now: Moment) -> Option<Hot> {
        let mut shard = self.shard(key).lock();
        let entry = shard.get(key)?;
        if now.since(entry.since) < REMEMBERED {
            return Some(entry.hot);
        }
        shard.remove(key);
        None
    }

    /// Remembers a head, unless a newer one is known. Its bytes are copied: what they were cut out of, a request or an answer
    /// of a server, may be much longer than they are, and would count as nothing.
    pub(super) fn put(&self, key: &Key, hot: Hot, now: Moment) {
        let mut shard = self.shard(key).lock();
        if shard.peek(key).is_some_and(|known| known.hot.record.meta.rev > hot.record.meta.rev) {
            return;
        }
        let weight = hot.weight();
        shard.insert(key.clone(), Entry { hot: hot.copied(), since: now }, weight);
    }

    pub(super) fn forget(&self, key: &Key) {
        self.shard(key).lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{Kind, Meta};
    use crate::name::{Epoch, Hash, Rev};
    use tradewind_core::UnixMillis;

    fn hot(rev: u64, size: usize) -> Hot {
        let meta = Meta {
            rev: Rev::new(rev).unwrap(),
            parent: None,
            kind: Kind::Value,
            content_type: Arc::from("text/plain"),
            schema: None,
            hash: Hash([0; 32]),
            chain: Hash([0; 32]),
            size: size as u64,
            created_at: UnixMillis(0),
            expires_at: None,
            sliding: None,
            epoch: Epoch::FIRST,
            by: None,
            handoff: None,
        };
        let record = Arc::new(Record { meta, body: Body::Whole(Bytes::from(vec![0; size])) });
        Hot { record, content: Known::Nothing }
    }

    fn key(name: &str) -> Key {
        Key::parse("n", name).unwrap()
    }

    #[test]
    fn an_older_head_never_takes_the_place_of_a_newer_one() {
        let heads = Heads::new(BUDGET);
        heads.put(&key("a"), hot(2, 1), Moment::START);
        heads.put(&key("a"), hot(1, 1), Moment::START);
        assert_eq!(heads.get(&key("a"), Moment::START).unwrap().record.meta.rev.get(), 2);
        heads.forget(&key("a"));
        assert!(heads.get(&key("a"), Moment::START).is_none());
    }

    #[test]
    fn the_budget_holds_and_what_is_used_stays() {
        let heads = Heads::new(2 << 20);
        heads.put(&key("used"), hot(1, 2000), Moment::START);
        for number in 0..4000 {
            heads.put(&key(&number.to_string()), hot(1, 2000), Moment::START);
            assert!(heads.get(&key("used"), Moment::START).is_some(), "after {number}");
        }
        let kept = (0..4000).filter(|number| heads.get(&key(&number.to_string()), Moment::START).is_some()).count();
        assert!((200..(2 << 20) / hot(1, 2000).weight()).contains(&kept), "{kept}");
    }

    #[test]
    fn nothing_is_remembered_for_longer_than_an_hour() {
        let heads = Heads::new(BUDGET);
        heads.put(&key("a"), hot(5, 1), Moment::START);
        let hour = Moment::START + REMEMBERED;
        assert!(heads.get(&key("a"), Moment::from_micros(hour.micros() - 1)).is_some());
        assert!(heads.get(&key("a"), hour).is_none());
        heads.put(&key("a"), hot(1, 1), hour);
        assert_eq!(heads.get(&key("a"), hour).unwrap().record.meta.rev, Rev::FIRST);
    }

    #[test]
    fn what_is_remembered_keeps_nothing_else_in_memory() {
        let heads = Heads::new(BUDGET);
        let request = Bytes::from(vec![7; 1 << 20]);
        let mut hot = hot(1, 0);
        Arc::make_mut(&mut hot.record).body = Body::Whole(request.slice(..9));
        hot.content = Known::All(request.slice(9..99));
        heads.put(&key("a"), hot, Moment::START);
        assert!(request.is_unique());
        let kept = heads.get(&key("a"), Moment::START).unwrap();
        assert_eq!(kept.record.body, Body::Whole(Bytes::from(vec![7; 9])));
        assert!(matches!(kept.content, Known::All(bytes) if bytes == vec![7; 90]));
    }

    #[test]
    fn what_is_too_large_is_not_remembered() {
        let heads = Heads::new(1 << 20);
        heads.put(&key("a"), hot(1, 1 << 20), Moment::START);
        assert!(heads.get(&key("a"), Moment::START).is_none());
    }
}
