//! Answers by the canonical form of their request.
//!
//! Bounds: `max` bytes altogether, [`LARGEST_ENTRY`] and an eighth of `max` for one answer; a larger one is not kept. The
//! table is in parts, each with its lock and its share of the bytes, so that calls rarely meet. A lock is held for a
//! look-up or an insertion and never while anything waits. Questions that are being asked are as many as calls are under
//! way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::Moment;

use crate::flight::Flight;
use crate::shard::Shard;
use crate::{Entry, ExactSettings, Follower, Key, Leader};

/// The largest answer that is kept, in bytes: longer ones are rare, and would push out many others.
pub const LARGEST_ENTRY: usize = 1 << 20;
/// A part of the table has at least this many bytes, so that the largest answer fits well.
const SHARD: usize = 4 << 20;
const MOST_SHARDS: usize = 16;

/// The kept answers of one model.
#[derive(Debug)]
pub struct ExactCache {
    shards: Vec<Mutex<Shard>>,
    /// Bytes for each part.
    share: usize,
    largest: usize,
    ttl: Duration,
    hits: AtomicU64,
    followed: AtomicU64,
    misses: AtomicU64,
}

/// What was found for a request.
#[derive(Debug)]
pub enum Lookup {
    /// A kept answer, and how old it is.
    Hit(Arc<Entry>, Duration),
    /// Nobody has asked: this caller does, and others wait for it.
    Lead(Leader),
    /// Somebody is asking: this caller waits.
    Follow(Follower),
}

/// What became of the look-ups of one cache, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExactStats {
    /// Look-ups that found an answer.
    pub hits: u64,
    /// Look-ups that found somebody asking.
    pub followed: u64,
    /// Look-ups that had to ask.
    pub misses: u64,
    /// Answers that went to make room.
    pub evicted: u64,
    /// Answers that are kept, those whose time is over included until they are swept.
    pub entries: usize,
    /// The memory that they take.
    pub bytes: usize,
    /// Callers that wait for another's answer now.
    pub waiting: usize,
}

impl ExactCache {
    /// An empty cache within the bounds of `settings`.
    #[must_use]
    pub fn new(settings: &ExactSettings) -> Arc<Self> {
        let max = settings.max.bytes();
        let shards = (max / SHARD).clamp(1, MOST_SHARDS);
        // A power of two, so that a part is found by its bits.
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        Arc::new(Self {
            share: max / shards,
            largest: LARGEST_ENTRY.min(max / 8),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            ttl: settings.ttl.get(),
            hits: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The answer to a request, or the duty to ask, or the place to wait for whoever asks.
    pub fn lookup(self: &Arc<Self>, key: Key, now: Moment) -> Lookup {
        let mut shard = self.shard(key).lock();
        if let Some((entry, age)) = shard.get(key, self.ttl, now) {
            drop(shard);
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Lookup::Hit(entry, age);
        }
        if let Some(flight) = shard.flights.get_mut(&key) {
            let follower = flight.follow(self, key);
            drop(shard);
            self.followed.fetch_add(1, Ordering::Relaxed);
            return Lookup::Follow(follower);
        }
        shard.flights.insert(key, Flight::default());
        drop(shard);
        self.misses.fetch_add(1, Ordering::Relaxed);
        Lookup::Lead(Leader::new(self, key))
    }

    /// Keeps an answer that was asked for without looking before: that of a caller who wanted a new one.
    pub fn keep(&self, key: Key, entry: Entry, now: Moment) {
        if entry.weight() <= self.largest {
            self.shard(key).lock().put(key, Arc::new(entry), self.share, self.ttl, now);
        }
    }

    /// Forgets answers whose time is over. Call it every few seconds.
    pub fn sweep(&self, now: Moment) {
        for shard in &self.shards {
            shard.lock().sweep(self.ttl, now);
        }
    }

    /// Forgets all answers. Who waits goes on waiting.
    pub fn clear(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn stats(&self) -> ExactStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = ExactStats {
            hits: count(&self.hits),
            followed: count(&self.followed),
            misses: count(&self.misses),
            ..ExactStats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.evicted += shard.evicted;
            stats.entries += shard.entries();
            stats.bytes += shard.bytes();
            stats.waiting += shard.flights.values().map(Flight::waiting).sum::<usize>();
        }
        stats
    }

    pub(crate) fn shard(&self, key: Key) -> &Mutex<Shard> {
        &self.shards[key.0 as usize & (self.shards.len() - 1)]
    }

    /// Ends the question under `key`, keeping its answer if there is one.
    pub(crate) fn land(&self, key: Key, answer: Option<(&Arc<Entry>, Moment)>) -> Option<Flight> {
        let mut shard = self.shard(key).lock();
        if let Some((entry, now)) = answer.filter(|(entry, _)| entry.weight() <= self.largest) {
            shard.put(key, entry.clone(), self.share, self.ttl, now);
        }
        shard.flights.remove(&key)
    }
}

#[cfg(test)]
mod tests;
