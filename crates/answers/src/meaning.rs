//! Answers by the meaning of their question.
//!
//! A question is compared with those that were asked in the same context: the same scope, model, parameters and everything
//! said before. The nearest by cosine answers, if it is near enough and its details agree
//! ([`crate::fingerprint`]). Only answers in words are kept: a call of a tool for a question that is merely alike would do
//! the wrong thing.
//!
//! Bounds: `max_entries` questions and `max` bytes altogether; who was not used for longest goes. All questions of one
//! context are compared one by one: with 4,096 of 512 dimensions that is some two million multiplications. Look-ups compare
//! on a list that is shared and never changed, so nobody waits for them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::Moment;

use crate::fingerprint::Fingerprint;
use crate::{Entry, Finish, Key, LARGEST_ENTRY, MeaningSettings, Question};

/// Longer vectors are not kept.
pub const LONGEST_VECTOR: usize = 4096;
/// What a question takes beside its vector and its answer.
const OVERHEAD: usize = 160;

/// The bounds of a cache by meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeaningLimits {
    /// The least cosine.
    pub threshold: f32,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// How many questions are kept.
    pub entries: usize,
    /// The memory that they take with their answers, in bytes.
    pub bytes: usize,
}

impl From<&MeaningSettings> for MeaningLimits {
    fn from(settings: &MeaningSettings) -> Self {
        Self {
            threshold: settings.threshold as f32,
            ttl: settings.ttl.get(),
            entries: settings.max_entries as usize,
            bytes: settings.max.bytes(),
        }
    }
}

/// An answer to a question that means the same.
#[derive(Clone, Debug)]
pub struct Similar {
    /// The answer.
    pub entry: Arc<Entry>,
    /// The cosine of the two questions.
    pub similarity: f32,
    /// How old the answer is.
    pub age: Duration,
}

/// What became of the look-ups of one cache, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeaningStats {
    /// Look-ups that found an answer.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Look-ups where a question was near enough and its details differed.
    pub refused: u64,
    /// Questions that went to make room.
    pub evicted: u64,
    /// Questions that are kept, those whose time is over included until they are swept.
    pub entries: usize,
    /// The memory that they take with their answers.
    pub bytes: usize,
}

struct Kept {
    vector: Box<[f32]>,
    fingerprint: Fingerprint,
    entry: Arc<Entry>,
    since: Moment,
    /// When it was used last, as a count of uses.
    used: AtomicU64,
}

impl Kept {
    fn weight(&self) -> usize {
        self.entry.weight() + size_of_val(&*self.vector) + OVERHEAD
    }

    fn is_fresh(&self, ttl: Duration, now: Moment) -> bool {
        now.since(self.since) < ttl
    }
}

#[derive(Default)]
struct Contexts {
    lists: HashMap<Key, Arc<Vec<Arc<Kept>>>>,
    entries: usize,
    bytes: usize,
    evicted: u64,
}

/// The kept answers of one model, by meaning.
pub struct MeaningCache {
    limits: MeaningLimits,
    contexts: Mutex<Contexts>,
    /// How often anything was used: no two uses have the same number.
    uses: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for MeaningCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeaningCache").field("limits", &self.limits).field("stats", &self.stats()).finish()
    }
}

impl MeaningCache {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: MeaningLimits) -> Self {
        let count = || AtomicU64::new(0);
        Self { limits, contexts: Mutex::default(), uses: count(), hits: count(), misses: count(), refused: count() }
    }

    /// The answer to the question that is nearest to `question`, whose vector of unit length is `vector`, if it is near
    /// enough and its details agree. Vectors of another length are not compared.
    #[must_use]
    pub fn find(&self, question: &Question, vector: &[f32], now: Moment) -> Option<Similar> {
        let list = self.contexts.lock().lists.get(&question.context).cloned();
        let mut best: Option<(f32, &Arc<Kept>)> = None;
        let mut refused = false;
        for kept in list.iter().flat_map(|list| list.iter()) {
            if kept.vector.len() != vector.len() || !kept.is_fresh(self.limits.ttl, now) {
                continue;
            }
            let cosine = dot(&kept.vector, vector);
            let is_near = cosine >= self.limits.threshold && best.is_none_or(|(known, _)| cosine > known);
            if is_near && kept.fingerprint.agrees(&question.fingerprint) {
                best = Some((cosine, kept));
            } else {
                refused |= is_near;
            }
        }
        let Some((similarity, kept)) = best else {
            let counter = if refused { &self.refused } else { &self.misses };
            counter.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.hits.fetch_add(1, Ordering::Relaxed);
        kept.used.fetch_max(self.next_use(), Ordering::Relaxed);
        Some(Similar { entry: kept.entry.clone(), similarity: similarity.min(1.0), age: now.since(kept.since) })
    }

    /// Keeps the answer to a question. What calls tools, is no text or is too large is not kept, nor is a vector that is
    /// not of unit length or longer than [`LONGEST_VECTOR`]. A question with the same vector and details is replaced.
    pub fn keep(&self, question: &Question, vector: &[f32], entry: Arc<Entry>, now: Moment) {
        let length = dot(vector, vector);
        let is_unit = (length - 1.0).abs() < 0.01 && vector.len() <= LONGEST_VECTOR;
        let largest = LARGEST_ENTRY.min(self.limits.bytes / 8);
        if entry.finish != Finish::Stop || !is_unit || entry.weight() > largest {
            return;
        }
        let fresh = Arc::new(Kept {
            vector: vector.into(),
            fingerprint: question.fingerprint,
            entry,
            since: now,
            used: AtomicU64::new(self.next_use()),
        });
        let mut contexts = self.contexts.lock();
        let list = Arc::make_mut(contexts.lists.entry(question.context).or_default());
        let known = list.iter().position(|kept| kept.vector == fresh.vector && kept.fingerprint == fresh.fingerprint);
        let weight = fresh.weight();
        match known {
            Some(at) => {
                let before = std::mem::replace(&mut list[at], fresh).weight();
                contexts.bytes = contexts.bytes - before + weight;
            }
            None => {
                list.push(fresh);
                contexts.bytes += weight;
                contexts.entries += 1;
            }
        }
        if contexts.entries > self.limits.entries || contexts.bytes > self.limits.bytes {
            contexts.make_room(&self.limits, now);
        }
    }

    fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Forgets answers whose time is over. Call it every few seconds.
    pub fn sweep(&self, now: Moment) {
        let ttl = self.limits.ttl;
        self.contexts.lock().retain(|kept| kept.is_fresh(ttl, now));
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.contexts.lock().retain(|_| false);
    }

    /// What has been counted.
    #[must_use]
    pub fn stats(&self) -> MeaningStats {
        let contexts = self.contexts.lock();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MeaningStats {
            hits: count(&self.hits),
            misses: count(&self.misses),
            refused: count(&self.refused),
            evicted: contexts.evicted,
            entries: contexts.entries,
            bytes: contexts.bytes,
        }
    }
}

impl Contexts {
    /// Lets go what is over its time, and then what was not used for longest, with a sixteenth to spare, so that not every
    /// insertion looks at everything.
    fn make_room(&mut self, limits: &MeaningLimits, now: Moment) {
        let before = self.entries;
        self.retain(|kept| kept.is_fresh(limits.ttl, now));
        if self.entries > limits.entries || self.bytes > limits.bytes {
            let mut by_use: Vec<(u64, usize)> = self
                .lists
                .values()
                .flat_map(|list| list.iter())
                .map(|kept| (kept.used.load(Ordering::Relaxed), kept.weight()))
                .collect();
            by_use.sort_unstable();
            let (entries, bytes) = (limits.entries - limits.entries / 16, limits.bytes - limits.bytes / 16);
            let (mut left, mut weight) = (self.entries, self.bytes);
            let mut oldest = 0;
            for (used, own) in by_use {
                if left <= entries && weight <= bytes {
                    break;
                }
                (left, weight, oldest) = (left - 1, weight - own, used);
            }
            self.retain(|kept| kept.used.load(Ordering::Relaxed) > oldest);
        }
        self.evicted += (before - self.entries) as u64;
    }

    fn retain(&mut self, stays: impl Fn(&Kept) -> bool) {
        let (mut entries, mut bytes) = (0, 0);
        self.lists.retain(|_, list| {
            if !list.iter().all(|kept| stays(kept)) {
                Arc::make_mut(list).retain(|kept| stays(kept));
            }
            entries += list.len();
            bytes += list.iter().map(|kept| kept.weight()).sum::<usize>();
            !list.is_empty()
        });
        (self.entries, self.bytes) = (entries, bytes);
    }
}

/// The scalar product of two vectors of one length. Eight sums side by side, which the compiler keeps in one register.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f32 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests;
