//! A bounded cache of vectors, by embedder and text. Without a clock: a vector never grows old, only unused.
//!
//! Texts are kept as a keyed hash of 128 bits, so that the cache holds no text of a caller's and nobody can make two
//! texts meet. Sixteen parts, each with a lock of its own that is held for a look-up and never across an embedding: two
//! callers that miss the same text at once both compute it, which is cheaper than making one wait. What goes first is
//! decided by CLOCK: an entry that was used since the hand came by is passed over once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

use crate::Vector;

/// Parts of the cache, a power of two.
const PARTS: usize = 16;
/// What an entry takes beside the values of its vector, in bytes, with its share of the table: measured generously.
const OVERHEAD: usize = 128;

/// A cache of vectors.
pub struct VectorCache {
    parts: [Mutex<Part>; PARTS],
    /// Room of each part, in bytes.
    room: usize,
    keys: [RandomState; 2],
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache has done and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorCacheStats {
    /// Look-ups that found a vector.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Vectors that are held.
    pub entries: usize,
    /// Bytes that they take, an estimate that is not too small.
    pub bytes: usize,
}

#[derive(Default)]
struct Part {
    places: HashMap<u128, usize, FxBuildHasher>,
    entries: Vec<Entry>,
    hand: usize,
    bytes: usize,
}

struct Entry {
    key: u128,
    vector: Arc<Vector>,
    /// How far the sentences of the text lie apart, as long as somebody has worked it out.
    spread: Option<f32>,
    used: bool,
}

impl VectorCache {
    /// An empty cache that takes at most `room` bytes. Vectors that are larger than a sixteenth of it are not kept, so
    /// that 0 is a cache that keeps nothing.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            room: room / PARTS,
            keys: [RandomState::new(), RandomState::new()],
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The vector that `embedder` has given for `text`, or what `embed` gives now, which is kept. An error is not kept.
    ///
    /// # Errors
    /// What `embed` gives.
    pub fn get_or<E>(
        &self,
        embedder: &str,
        text: &str,
        embed: impl FnOnce() -> Result<Vector, E>,
    ) -> Result<Arc<Vector>, E> {
        if let Some(vector) = self.get(embedder, text) {
            return Ok(vector);
        }
        let vector = Arc::new(embed()?);
        self.put(embedder, text, vector.clone());
        Ok(vector)
    }

    /// The vector that is kept for `text`.
    #[must_use]
    pub fn get(&self, embedder: &str, text: &str) -> Option<Arc<Vector>> {
        self.get_with_spread(embedder, text).map(|(vector, _)| vector)
    }

    /// The vector that is kept for `text`, and the spread beside it.
    #[must_use]
    pub fn get_with_spread(&self, embedder: &str, text: &str) -> Option<(Arc<Vector>, Option<f32>)> {
        let key = self.key(embedder, text);
        let found = self.part(key).lock().get(key);
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a vector, in place of one that was kept for the same text.
    pub fn put(&self, embedder: &str, text: &str, vector: Arc<Vector>) {
        let key = self.key(embedder, text);
        if size(&vector) <= self.room {
            self.part(key).lock().put(key, vector, self.room);
        }
    }

    /// Keeps the spread of `text` ([`Complexity::spread_of`](crate::Complexity::spread_of)) beside its vector, as long as
    /// that is kept.
    pub fn put_spread(&self, embedder: &str, text: &str, spread: f32) {
        let key = self.key(embedder, text);
        let mut part = self.part(key).lock();
        if let Some(place) = part.places.get(&key).copied() {
            part.entries[place].spread = Some(spread);
        }
    }

    /// What it has done and holds.
    #[must_use]
    pub fn stats(&self) -> VectorCacheStats {
        let mut stats = VectorCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: 0,
            bytes: 0,
        };
        for part in &self.parts {
            let part = part.lock();
            stats.entries += part.entries.len();
            stats.bytes += part.bytes;
        }
        stats
    }

    /// SipHash with two keys that nobody outside knows.
    fn key(&self, embedder: &str, text: &str) -> u128 {
        let [low, high] = self.keys.each_ref().map(|keys| u128::from(keys.hash_one((embedder, text))));
        (high << 64) | low
    }

    fn part(&self, key: u128) -> &Mutex<Part> {
        // Of other bits than the tables of the parts use.
        &self.parts[(key >> 96) as usize % PARTS]
    }
}

impl std::fmt::Debug for VectorCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// What an entry takes, in bytes.
fn size(vector: &Vector) -> usize {
    OVERHEAD + size_of_val(vector.values())
}

impl Part {
    fn get(&mut self, key: u128) -> Option<(Arc<Vector>, Option<f32>)> {
        let entry = &mut self.entries[*self.places.get(&key)?];
        entry.used = true;
        Some((entry.vector.clone(), entry.spread))
    }

    fn put(&mut self, key: u128, vector: Arc<Vector>, room: usize) {
        if let Some(place) = self.places.get(&key).copied() {
            self.remove(place);
        }
        while self.bytes + size(&vector) > room {
            self.evict();
        }
        self.bytes += size(&vector);
        self.places.insert(key, self.entries.len());
        self.entries.push(Entry { key, vector, spread: None, used: false });
    }

    /// Lets go of the first entry from the hand on that was not used since it came by. There is one.
    fn evict(&mut self) {
        loop {
            self.hand %= self.entries.len();
            let entry = &mut self.entries[self.hand];
            if !entry.used {
                return self.remove(self.hand);
            }
            entry.used = false;
            self.hand += 1;
        }
    }

    /// The last entry takes the place of the removed one, and is looked at by the hand a little earlier for it.
    fn remove(&mut self, place: usize) {
        let removed = self.entries.swap_remove(place);
        self.bytes -= size(&removed.vector);
        self.places.remove(&removed.key);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(first: f32) -> Vector {
        Vector::new(vec![first, 1.0, 0.0, 0.0]).unwrap()
    }

    /// What a vector of these takes.
    const SIZE: usize = OVERHEAD + 16;

    #[test]
    fn a_text_is_embedded_once_for_each_embedder() {
        let cache = VectorCache::new(1 << 20);
        let embed = |first| move || Ok::<_, ()>(vector(first));
        for _ in 0..3 {
            assert_eq!(*cache.get_or("one", "text", embed(1.0)).unwrap(), vector(1.0));
            assert_eq!(*cache.get_or("two", "text", embed(2.0)).unwrap(), vector(2.0));
        }
        // Nothing is glued together: these are two other texts.
        assert!(cache.get("onet", "ext").is_none() && cache.get("one", "tex").is_none());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries, stats.bytes), (4, 4, 2, 2 * SIZE));
    }

    #[test]
    fn an_error_is_not_kept() {
        let cache = VectorCache::new(1 << 20);
        assert_eq!(cache.get_or("one", "text", || Err("no")), Err("no"));
        assert_eq!(*cache.get_or("one", "text", || Ok::<_, ()>(vector(1.0))).unwrap(), vector(1.0));
    }

    #[test]
    fn bytes_stay_within_the_room() {
        let room = PARTS * SIZE * 4;
        let cache = VectorCache::new(room);
        for number in 0..2000u16 {
            cache.put("one", &number.to_string(), Arc::new(vector(f32::from(number))));
            let stats = cache.stats();
            assert!(stats.bytes <= room && stats.bytes == stats.entries * SIZE, "{stats:?}");
        }
        assert_eq!(cache.stats().entries, PARTS * 4, "all parts are full");
    }

    #[test]
    fn what_is_used_stays() {
        let cache = VectorCache::new(PARTS * SIZE * 8);
        cache.put("one", "used", Arc::new(vector(7.0)));
        cache.put("one", "unused", Arc::new(vector(8.0)));
        for number in 0..5000u16 {
            assert!(cache.get("one", "used").is_some(), "gone after {number}");
            cache.put("one", &number.to_string(), Arc::new(vector(f32::from(number))));
        }
        assert!(cache.get("one", "unused").is_none());
    }

    #[test]
    fn the_same_text_again_takes_the_place_of_the_first() {
        let cache = VectorCache::new(1 << 20);
        cache.put("one", "text", Arc::new(vector(1.0)));
        cache.put("one", "text", Arc::new(vector(2.0)));
        assert_eq!(*cache.get("one", "text").unwrap(), vector(2.0));
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn a_spread_is_kept_beside_its_vector() {
        let cache = VectorCache::new(1 << 20);
        cache.put_spread("one", "text", 0.5);
        assert!(cache.get_with_spread("one", "text").is_none(), "there is nothing to keep it beside");
        cache.put("one", "text", Arc::new(vector(1.0)));
        cache.put("two", "text", Arc::new(vector(1.0)));
        assert_eq!(cache.get_with_spread("one", "text").unwrap().1, None);
        cache.put_spread("one", "text", 0.5);
        assert_eq!(cache.get_with_spread("one", "text").unwrap(), (Arc::new(vector(1.0)), Some(0.5)));
        assert_eq!(cache.get_with_spread("two", "text").unwrap().1, None);
        cache.put("one", "text", Arc::new(vector(2.0)));
        assert_eq!(cache.get_with_spread("one", "text").unwrap().1, None, "it was of another vector");
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        for room in [0, PARTS * SIZE - 1] {
            let cache = VectorCache::new(room);
            cache.put("one", "text", Arc::new(vector(1.0)));
            assert_eq!(cache.stats().entries, 0);
        }
    }

    #[test]
    fn part_agrees_with_its_table_after_any_course() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut part = Part::default();
        for _ in 0..20_000 {
            let key = u128::from(random.u8(..40));
            if random.bool() {
                let length = random.usize(1..20);
                let made = Vector::new(vec![1.0; length]).unwrap();
                part.put(key, Arc::new(made), 2000);
            } else if let Some((found, _)) = part.get(key) {
                assert!(found.dimensions() < 20);
            }
            assert_eq!(part.places.len(), part.entries.len());
            assert!(part.places.iter().all(|(key, place)| part.entries[*place].key == *key));
            assert_eq!(part.bytes, part.entries.iter().map(|entry| size(&entry.vector)).sum::<usize>());
            assert!(part.bytes <= 2000);
        }
    }

    #[test]
    fn threads_may_share_it() {
        let cache = VectorCache::new(PARTS * SIZE * 4);
        std::thread::scope(|scope| {
            for thread in 0..4u16 {
                let cache = &cache;
                scope.spawn(move || {
                    for number in 0..2000 {
                        let number = (number * 7 + thread) % 97;
                        let found = cache.get_or("one", &number.to_string(), || Ok::<_, ()>(vector(f32::from(number))));
                        assert_eq!(*found.unwrap(), vector(f32::from(number)));
                    }
                });
            }
        });
        let stats = cache.stats();
        assert_eq!(stats.hits + stats.misses, 8000);
    }
}
