//! One part of the cache of exact answers: a table with a bound in bytes, and the questions that are being asked.
//!
//! What goes when it is full: the oldest entry that has not been used since the hand came by last (second chance). It is
//! close to least recently used and costs a hit nothing but a flag. The ring holds each key of the table exactly once.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tradewind_core::Moment;

use crate::flight::Flight;
use crate::{Entry, Key};

/// A table of answers.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    kept: HashMap<Key, Kept>,
    ring: VecDeque<Key>,
    bytes: usize,
    pub(crate) evicted: u64,
    /// The questions that somebody is asking now; each has its leader.
    pub(crate) flights: HashMap<Key, Flight>,
}

#[derive(Debug)]
struct Kept {
    entry: Arc<Entry>,
    since: Moment,
    used: bool,
}

impl Kept {
    fn is_fresh(&self, ttl: Duration, now: Moment) -> bool {
        now.since(self.since) < ttl
    }
}

impl Shard {
    /// The answer under `key`, with its age, if it is younger than `ttl`. An older one stays until its place is needed.
    pub(crate) fn get(&mut self, key: Key, ttl: Duration, now: Moment) -> Option<(Arc<Entry>, Duration)> {
        let kept = self.kept.get_mut(&key).filter(|kept| kept.is_fresh(ttl, now))?;
        kept.used = true;
        Some((kept.entry.clone(), now.since(kept.since)))
    }

    /// Keeps an answer that weighs no more than `most`, and lets others go until all weigh no more than that.
    pub(crate) fn put(&mut self, key: Key, entry: Arc<Entry>, most: usize, ttl: Duration, now: Moment) {
        let weight = entry.weight();
        let kept = Kept { entry, since: now, used: false };
        match self.kept.entry(key) {
            Slot::Occupied(mut slot) => {
                self.bytes -= slot.get().entry.weight();
                slot.insert(kept);
            }
            Slot::Vacant(slot) => {
                slot.insert(kept);
                self.ring.push_back(key);
            }
        }
        self.bytes += weight;
        while self.bytes > most && self.evict_one(ttl, now) {}
    }

    fn evict_one(&mut self, ttl: Duration, now: Moment) -> bool {
        while let Some(key) = self.ring.pop_front() {
            let Slot::Occupied(mut slot) = self.kept.entry(key) else { continue };
            let kept = slot.get_mut();
            if kept.used && kept.is_fresh(ttl, now) {
                kept.used = false;
                self.ring.push_back(key);
                continue;
            }
            self.bytes -= slot.remove().entry.weight();
            self.evicted += 1;
            return true;
        }
        false
    }

    /// Forgets what is older than `ttl`.
    pub(crate) fn sweep(&mut self, ttl: Duration, now: Moment) {
        let mut bytes = 0;
        self.kept.retain(|_, kept| {
            let stays = kept.is_fresh(ttl, now);
            bytes += if stays { kept.entry.weight() } else { 0 };
            stays
        });
        self.bytes = bytes;
        self.ring.retain(|key| self.kept.contains_key(key));
    }

    /// Forgets all answers.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.ring.clear();
        self.bytes = 0;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn entries(&self) -> usize {
        self.kept.len()
    }

    /// Whether ring, table and count say the same.
    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        let weights: usize = self.kept.values().map(|kept| kept.entry.weight()).sum();
        let mut ring: Vec<Key> = self.ring.iter().copied().collect();
        ring.sort_unstable_by_key(|key| key.0);
        ring.dedup();
        ring.len() == self.ring.len()
            && ring.len() == self.kept.len()
            && ring.iter().all(|key| self.kept.contains_key(key))
            && weights == self.bytes
    }
}
