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
const SIZE: usize = 62;
/// Revisions of a run, and those that lie there before they are removed: both are seen to by the script in one go.
const RUN: u8 = 16;
/// Heads that are remembered. One takes some 120 bytes and the key.
const REMEMBERED: usize = 65_536;

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
        let part = |at: usize| {
            f64::from(u32::from_be_bytes(*self.stamp[at..].first_chunk().expect("a stamp has three of them")))
        };
        self.rev as f64 * 3.0
            + self.low as f64 * 11.0
            + self.floor as f64 * 13.0
            + part(0) * 19.0
            + part(4) * 23.0
            + part(8) * 29.0
            + f64::from(self.run) * 31.0
    }

    pub(super) fn stamp(&self) -> [u8; STAMP] {
        self.stamp
    }

    /// The head that takes its place when a value follows it that has no end, and `removed` is the last revision that is not
    /// kept any more. `None` where it is not what is expected, or the script has more to do.
    fn followed_by(&self, expected: &Expected, meta: &Meta, removed: u64) -> Option<Self> {
        let is_expected = match expected {
            Expected::Absent => false,
            Expected::At(rev) => rev.get() == self.rev,
            Expected::Is(rev, chain) => mark(*rev, chain) == self.mark,
        };
        let rev = meta.rev.get();
        let is_next = self.rev.checked_add(1) == Some(rev);
        let low = self.low.max(removed + 1);
        if !is_expected || !is_next || meta.expires_at.is_some() || meta.kind.is_tombstone() {
            return None;
        }
        (self.run < RUN && low - self.floor < 2 * u64::from(RUN)).then(|| Self {
            mark: mark(meta.rev, &meta.chain),
            rev,
            low,
            run: self.run + 1,
            ..*self
        })
    }
}

/// The heads that this store wrote last. What others write meanwhile makes them wrong, which the server finds.
pub(super) struct Heads {
    last: Mutex<Recent<Key, Head, FxBuildHasher>>,
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

    /// The head of a key and what takes its place, if that is all there is to do. It is forgotten: its stamp and the next
    /// revision together are good for one try.
    pub(super) fn follow(&self, key: &Key, expected: &Expected, meta: &Meta, removed: u64) -> Option<[Head; 2]> {
        let mut last = self.last.lock();
        let head = *last.peek(key)?;
        let next = head.followed_by(expected, meta, removed)?;
        last.remove(key);
        Some([head, next])
    }

    /// Remembers a head that was written here.
    pub(super) fn set(&self, key: &Key, head: Head) {
        self.last.lock().insert(key.clone(), head, 1);
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

    #[test]
    fn the_script_is_asked_for_all_but_the_next_value() {
        let first = record(b"value").meta;
        let next = following(&first, b"next").meta;
        let head = Head { mark: mark(first.rev, &first.chain), ..of(1) };
        let at = Expected::At(first.rev);
        let followed = head.followed_by(&at, &next, 0).unwrap();
        assert_eq!(followed, Head { mark: mark(next.rev, &next.chain), rev: 2, run: 2, ..head });
        assert_eq!(head.followed_by(&Expected::head(Some(&first)), &next, 0), Some(followed));
        for other in [Expected::Absent, Expected::At(next.rev), Expected::head(Some(&next))] {
            assert_eq!(head.followed_by(&other, &next, 0), None);
        }
        let mortal = Meta { expires_at: Some(UnixMillis(1)), ..next.clone() };
        let deleted = Meta { kind: crate::Kind::Deleted, ..next.clone() };
        let later = Meta { rev: next.rev.next(), ..next.clone() };
        for other in [mortal, deleted, later, first] {
            assert_eq!(head.followed_by(&at, &other, 0), None);
        }
        assert_eq!(Head { run: RUN, ..head }.followed_by(&at, &next, 0), None, "the run is full");
        assert_eq!(head.followed_by(&at, &next, 1).unwrap().low, 2);
        assert_eq!(head.followed_by(&at, &next, 31).unwrap().low, 32);
        assert_eq!(head.followed_by(&at, &next, 32), None, "there is enough to remove");
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
        heads.set(&key, head);
        let next = following(&first, b"next").meta;
        assert_eq!(heads.follow(&key, &Expected::Absent, &next, 0), None);
        let at = Expected::At(first.rev);
        assert_eq!(heads.follow(&key, &at, &next, 0).map(|[is, _]| is), Some(head));
        assert_eq!(heads.follow(&key, &at, &next, 0), None);
    }
}
