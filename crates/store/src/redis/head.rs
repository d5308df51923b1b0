//! What a key's head is, as the scripts write it too (`lua/common.lua`), and the heads that this store wrote last.
//!
//! A record lies under a *stamp* and its revision, so that it can be put there before it is known whether it wins, and takes
//! nobody's place. Successive revisions by one store have the same stamp: a *run*. Whoever wrote the last revision of a run,
//! and nobody else, may write the next one: it knows the whole head, so that the server need only compare it.

use parking_lot::Mutex;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustc_hash::FxBuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use tradewind_core::{Recent, UnixMillis};

use super::sealed::{self, damaged};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Hash, Key, Rev};
use crate::store::Expected;

/// Bytes of a stamp.
pub(super) const STAMP: usize = 12;
/// Bytes of a head.
pub(super) const SIZE: usize = 62;
/// Bytes of a noted run.
const NOTE: usize = STAMP + 9;
/// Bytes of a record's place.
pub(super) const PLACE: usize = STAMP + 8;
/// The most revisions of a run; `lua/common.lua` looks no further for where one begins.
const LONGEST_RUN: u64 = 16;
/// The least that a run may have before the next one begins.
const SHORTEST_RUN: u64 = 4;
/// What is remembered of heads, in runs. One takes some 30 bytes; a head as much as four of them, and the key.
const REMEMBERED: usize = 262_144;
const HEAD_WEIGHT: usize = 4;

/// What tells a head from others. 64 bits of a chain are enough to tell it from another of the same length.
pub(super) fn mark(rev: Rev, chain: &Hash) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&sealed::field(rev));
    mark[8..].copy_from_slice(&chain.0[..8]);
    mark
}

/// The beginning of a head: what stands there about its revision.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    mark: [u8; 16],
    expires_at: Option<UnixMillis>,
}

impl Beginning {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (mark, expires) = bytes.split_first_chunk::<16>()?;
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        Some(Self { mark: *mark, expires_at: (expires != 0).then_some(UnixMillis(expires)) })
    }

    /// Whether it is the head of this revision.
    pub(super) fn names(&self, rev: Rev) -> bool {
        self.mark[..8] == sealed::field(rev)
    }

    /// The meta that lies there, with the end as the head has it: a sliding time moves it.
    pub(super) fn complete(&self, key: &Key, meta: &mut Meta) -> Result<(), StoreError> {
        if self.mark != mark(meta.rev, &meta.chain) {
            return Err(damaged(key, "its head is another than the one that lies there"));
        }
        meta.expires_at = self.expires_at;
        Ok(())
    }
}

/// A head on which nothing hangs: no end, no tombstone, no pieces, no pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    mark: [u8; 16],
    rev: u64,
    /// The lowest revision that is kept.
    low: u64,
    /// The lowest that may lie there.
    floor: u64,
    stamp: [u8; STAMP],
    /// How many revisions have the stamp; this is the last of them.
    run: u8,
}

impl Head {
    /// Reads a head that the script wrote. `None` when something hangs on it, or it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let mark = *bytes.first_chunk().expect("it is long enough");
        let number = |at: usize| u64::from_be_bytes(*bytes[at..].first_chunk().expect("it is long enough"));
        let stamp = *bytes[41..].first_chunk().expect("it is long enough");
        let head = Self { mark, rev: number(0), low: number(24), floor: number(32), stamp, run: bytes[53] };
        (head.bytes() == *bytes).then_some(head)
    }

    pub(super) fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..16].copy_from_slice(&self.mark);
        bytes[24..32].copy_from_slice(&self.low.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.floor.to_be_bytes());
        bytes[41..53].copy_from_slice(&self.stamp);
        bytes[53] = self.run;
        bytes[54..].copy_from_slice(&self.sum().to_be_bytes());
        bytes
    }

    /// The same sum as the script's: every flipped bit makes another.
    #[expect(clippy::cast_precision_loss, reason = "scripts count like this, and revisions end before it matters")]
    fn sum(&self) -> f64 {
        let sum = self.rev as f64 * 3.0 + self.low as f64 * 11.0 + self.floor as f64 * 13.0;
        with_stamp(sum, &self.stamp) + f64::from(self.run) * 31.0
    }

    pub(super) fn stamp(&self) -> [u8; STAMP] {
        self.stamp
    }

    /// The first revision of the run.
    fn begins(&self) -> u64 {
        self.rev + 1 - u64::from(self.run)
    }
}

/// A sum with a stamp's part of it. The order is the scripts': above 2^48 or so, they round.
fn with_stamp(sum: f64, stamp: &[u8; STAMP]) -> f64 {
    let part =
        |at: usize| f64::from(u32::from_be_bytes(*stamp[at..].first_chunk().expect("a stamp has three of them")));
    sum + part(0) * 19.0 + part(4) * 23.0 + part(8) * 29.0
}

/// Successive revisions with the same stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    many: u8,
    stamp: [u8; STAMP],
}

impl Run {
    fn last(&self) -> u64 {
        self.first + u64::from(self.many) - 1
    }

    /// How it is noted in its key.
    #[expect(clippy::cast_precision_loss, reason = "scripts count like this, and revisions end before it matters")]
    fn note(&self) -> [u8; NOTE] {
        let mut note = [0; NOTE];
        note[..STAMP].copy_from_slice(&self.stamp);
        note[STAMP] = self.many;
        let sum = with_stamp(self.first as f64 * 3.0, &self.stamp) + f64::from(self.many) * 31.0;
        note[STAMP + 1..].copy_from_slice(&sum.to_be_bytes());
        note
    }
}

/// Where a record lies: under the stamp of its run and its revision.
pub(super) fn place(stamp: &[u8; STAMP], rev: u64) -> [u8; PLACE] {
    let mut place = [0; PLACE];
    place[..STAMP].copy_from_slice(stamp);
    place[STAMP..].copy_from_slice(&rev.to_be_bytes());
    place
}

/// A head, and the runs before its own as far as this store wrote them, the oldest first, with none of others between them.
/// Numbers may have been left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    head: Head,
    older: Vec<Run>,
}

/// What goes with a head that begins a run: the one before it is noted, and those that end before what is kept are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// The first revision of the run that ended, and its note.
    pub(super) first: [u8; 8],
    pub(super) note: Vec<u8>,
    /// The first revisions of the runs that are removed.
    pub(super) runs: Vec<[u8; 8]>,
    /// Where their records lie.
    pub(super) records: Vec<[u8; PLACE]>,
}

/// A head that is written as a whole.
pub(super) struct Whole {
    pub(super) expected: [u8; SIZE],
    pub(super) head: Head,
    pub(super) turn: Option<Turn>,
}

impl Known {
    /// What takes its place when a value follows it that has no end, and `removed` is the last revision that is not kept any
    /// more. `None` where it is not what is expected, or the script has more to do.
    fn followed_by(
        &self,
        expected: &Expected,
        meta: &Meta,
        removed: u64,
        stamp: impl FnOnce() -> [u8; STAMP],
    ) -> Option<(Head, Option<Turn>)> {
        let head = &self.head;
        let is_expected = match expected {
            Expected::Absent => false,
            Expected::At(rev) => rev.get() == head.rev,
            Expected::Is(rev, chain) => mark(*rev, chain) == head.mark,
        };
        let rev = meta.rev.get();
        let is_next = head.rev.checked_add(1) == Some(rev);
        if !is_expected || !is_next || meta.expires_at.is_some() || meta.kind.is_tombstone() {
            return None;
        }
        let next = Head { mark: mark(meta.rev, &meta.chain), rev, low: head.low.max(removed + 1), ..*head };
        // At the most half as many lie there unkept as are kept, or two of the shortest runs.
        let longest = ((rev - removed) / 4).clamp(SHORTEST_RUN, LONGEST_RUN);
        if u64::from(head.run) < longest {
            return Some((Head { run: head.run + 1, ..next }, None));
        }
        if self.older.first().map_or_else(|| head.begins(), |run| run.first) > head.floor {
            return None;
        }
        let ended = Run { first: head.begins(), many: head.run, stamp: head.stamp };
        let mut turn = Turn { first: ended.first.to_be_bytes(), note: ended.note().to_vec(), ..Turn::default() };
        let mut floor = rev;
        for run in self.older.iter().chain([&ended]).filter(|run| run.last() >= head.floor) {
            if run.last() >= next.low {
                // Never above what is kept, where numbers were left out before the run.
                floor = run.first.max(head.floor).min(next.low);
                break;
            }
            turn.runs.push(run.first.to_be_bytes());
            turn.records.extend((run.first.max(head.floor)..=run.last()).map(|rev| place(&run.stamp, rev)));
        }
        Some((Head { floor, stamp: stamp(), run: 1, ..next }, Some(turn)))
    }

    /// The same when `next` was written in place of its head, at whose end a run may have ended.
    fn with(mut self, next: Head) -> Self {
        if next.run == 1 {
            self.older.push(Run { first: self.head.begins(), many: self.head.run, stamp: self.head.stamp });
            self.older.retain(|run| run.last() >= next.floor);
        }
        Self { head: next, ..self }
    }
}

/// The heads that this store wrote last. What others write meanwhile makes them wrong, which the server finds.
pub(super) struct Heads {
    last: Mutex<Recent<Key, Known, FxBuildHasher>>,
    /// Where stamps begin: nobody else's do so near it.
    start: u64,
    stamps: AtomicU64,
}

impl Heads {
    /// # Errors
    /// [`StoreError::Unavailable`] when the system has no random numbers.
    pub(super) fn new() -> Result<Self, StoreError> {
        let mut start = [0; 8];
        let none = |_| StoreError::Unavailable("the system gives no random numbers".to_owned());
        SystemRandom::new().fill(&mut start).map_err(none)?;
        let last = Mutex::new(Recent::new(REMEMBERED));
        Ok(Self { last, start: u64::from_be_bytes(start), stamps: AtomicU64::new(0) })
    }

    /// What takes the place of a key's head, if it is known and that is all there is to do. It is forgotten: its stamp and the
    /// next revision together are good for one try. When it is done, [`set`](Self::set) takes what is known then.
    pub(super) fn follow(&self, key: &Key, expected: &Expected, meta: &Meta, removed: u64) -> Option<(Whole, Known)> {
        let mut last = self.last.lock();
        let (head, turn) = last.peek(key)?.followed_by(expected, meta, removed, || self.stamp())?;
        let known = last.remove(key)?;
        Some((Whole { expected: known.head.bytes(), head, turn }, known.with(head)))
    }

    /// Remembers what was written here as a whole.
    pub(super) fn set(&self, key: &Key, known: Known) {
        let weight = HEAD_WEIGHT + known.older.len();
        self.last.lock().insert(key.clone(), known, weight);
    }

    /// Remembers a head that the script made, and which one it took the place of.
    pub(super) fn set_after(&self, key: &Key, head: Head, before: Option<Head>) {
        let known = self.last.lock().remove(key).filter(|known| Some(known.head) == before);
        self.set(key, known.map_or(Known { head, older: Vec::new() }, |known| known.with(head)));
    }

    /// A stamp that nobody has.
    pub(super) fn stamp(&self) -> [u8; STAMP] {
        // A number of 96 bits that begins anywhere, and goes on by one.
        let number = (u128::from(self.start) << 32).wrapping_add(self.stamps.fetch_add(1, Ordering::Relaxed).into());
        *number.to_be_bytes()[16 - STAMP..].first_chunk().expect("a stamp's bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{following, record};

    fn of(rev: u64) -> Head {
        let mut mark = [7; 16];
        mark[..8].copy_from_slice(&rev.to_be_bytes());
        Head { mark, rev, low: rev, floor: rev, stamp: *b"a fine stamp", run: 1 }
    }

    #[test]
    fn every_flipped_bit_makes_it_another_or_none() {
        let head = Head { low: 3, floor: 2, run: 3, ..of(5) };
        assert_eq!(Head::read(&head.bytes()), Some(head));
        for bit in 0..SIZE * 8 {
            let mut bytes = head.bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The chain is compared with that of the record.
            let is_chain = (8..16).contains(&(bit / 8));
            assert_eq!(Head::read(&bytes).is_some(), is_chain, "bit {bit}");
        }
        assert_eq!(Head::read(&head.bytes()[1..]), None);
    }

    fn known(head: Head) -> Known {
        Known { head, older: Vec::new() }
    }

    fn other() -> [u8; STAMP] {
        *b"other stamps"
    }

    #[test]
    fn the_script_is_asked_for_all_but_the_next_value() {
        let first = record(b"value").meta;
        let next = following(&first, b"next").meta;
        let head = Head { mark: mark(first.rev, &first.chain), ..of(1) };
        let follow = |head, expected: &Expected, next: &Meta| known(head).followed_by(expected, next, 0, other);
        let at = Expected::At(first.rev);
        let followed = follow(head, &at, &next).unwrap();
        assert_eq!(followed, (Head { mark: mark(next.rev, &next.chain), rev: 2, run: 2, ..head }, None));
        assert_eq!(follow(head, &Expected::head(Some(&first)), &next), Some(followed));
        for other in [Expected::Absent, Expected::At(next.rev), Expected::head(Some(&next))] {
            assert_eq!(follow(head, &other, &next), None);
        }
        let mortal = Meta { expires_at: Some(UnixMillis(1)), ..next.clone() };
        let deleted = Meta { kind: crate::Kind::Deleted, ..next.clone() };
        let later = Meta { rev: next.rev.next(), ..next };
        for other in [mortal, deleted, later, first] {
            assert_eq!(follow(head, &at, &other), None);
        }
    }

    /// Whatever is kept, nothing that is kept is removed, all else is in time, and what is removed is known.
    #[test]
    fn runs_end_and_are_removed_when_they_are_not_kept() {
        for keep in [1, 2, 3, 8, 32, 100] {
            let heads = Heads::new().unwrap();
            let key = crate::suite::key("n", "k");
            let mut last = record(b"value").meta;
            let mut head = Head { mark: mark(last.rev, &last.chain), stamp: heads.stamp(), ..of(1) };
            heads.set_after(&key, head, None);
            let mut there = std::collections::BTreeSet::from([(1, place(&head.stamp, 1))]);
            let mut noted = std::collections::BTreeSet::new();
            for rev in 2..500_u64 {
                let next = following(&last, b"next").meta;
                let removed = rev.saturating_sub(keep);
                let (whole, known) = heads.follow(&key, &Expected::At(last.rev), &next, removed).unwrap();
                assert_eq!(whole.expected, head.bytes());
                head = whole.head;
                assert!(there.insert((rev, place(&head.stamp, rev))), "a place is given once");
                if let Some(turn) = &whole.turn {
                    noted.insert(u64::from_be_bytes(turn.first));
                    for run in &turn.runs {
                        assert!(noted.remove(&u64::from_be_bytes(*run)), "it was noted");
                    }
                    for record in &turn.records {
                        let rev = u64::from_be_bytes(*record[STAMP..].first_chunk().unwrap());
                        assert!(rev <= removed && there.remove(&(rev, *record)), "{keep}: {rev}");
                    }
                }
                assert_eq!(there.first().unwrap().0, head.floor);
                assert_eq!(there.len() as u64, rev - head.floor + 1);
                assert!(noted.first().is_none_or(|first| *first == head.floor));
                let unkept = head.low - head.floor;
                assert!(unkept < 2 * (keep / 4).clamp(SHORTEST_RUN, LONGEST_RUN), "{keep}: {unkept}");
                heads.set(&key, known);
                last = next;
            }
        }
    }

    /// Runs before those that this store wrote are the script's to remove.
    #[test]
    fn what_is_not_known_is_not_removed() {
        let first = record(b"value").meta;
        let next = following(&first, b"next").meta;
        let full = Head { mark: mark(first.rev, &first.chain), low: 1, floor: 1, run: 1, ..of(1) };
        let at = Expected::At(first.rev);
        assert!(known(full).followed_by(&at, &next, 0, other).is_some());
        let later = Meta { rev: Rev::new(100).unwrap(), ..first };
        let after = following(&later, b"after").meta;
        let head = Head { mark: mark(later.rev, &later.chain), low: 60, floor: 60, run: 16, ..of(100) };
        let at = Expected::At(later.rev);
        assert_eq!(known(head).followed_by(&at, &after, 60, other), None);
        let older = vec![Run { first: 60, many: 25, stamp: other() }];
        assert!(Known { head, older }.followed_by(&at, &after, 60, other).is_some());
        let heads = Heads::new().unwrap();
        let key = crate::suite::key("n", "k");
        // What the script wrote goes on with what is known, if it took that one's place.
        for (before, runs) in [(Some(head), 1), (Some(full), 0), (None, 0)] {
            heads.set(&key, known(head));
            heads.set_after(&key, Head { rev: 101, run: 1, floor: 60, ..head }, before);
            assert_eq!(heads.last.lock().peek(&key).unwrap().older.len(), runs);
        }
    }

    #[test]
    fn no_stamp_comes_twice() {
        let (one, other) = (Heads::new().unwrap(), Heads::new().unwrap());
        let stamps: std::collections::HashSet<_> = (0..1000).flat_map(|_| [one.stamp(), other.stamp()]).collect();
        assert_eq!(stamps.len(), 2000);
    }

    #[test]
    fn a_head_is_good_for_one_try() {
        let heads = Heads::new().unwrap();
        let key = crate::suite::key("n", "k");
        let first = record(b"value").meta;
        let head = Head { mark: mark(first.rev, &first.chain), ..of(1) };
        heads.set_after(&key, head, None);
        let next = following(&first, b"next").meta;
        assert!(heads.follow(&key, &Expected::Absent, &next, 0).is_none());
        let at = Expected::At(first.rev);
        assert_eq!(heads.follow(&key, &at, &next, 0).map(|(whole, _)| whole.expected), Some(head.bytes()));
        assert!(heads.follow(&key, &at, &next, 0).is_none());
    }
}
