//! Decision ids: short, sortable by time, unique within a journal.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UnixMillis;

/// The bits below the millisecond: room for a million ids in one millisecond.
const SEQUENCE_BITS: u32 = 20;
/// Crockford's base 32: no I, L, O or U, so that an id can be read out loud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 13;

/// The id of one decision; sorts by the time at which the call came in. Shown as 13 letters of Crockford base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(u64);

impl DecisionId {
    /// From the number that the journal keeps.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number that the journal keeps; below 2^63, so it fits SQLite's signed row id.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The smallest id that a call at `at` can have.
    #[must_use]
    pub const fn first_at(at: UnixMillis) -> Self {
        Self((at.0 << SEQUENCE_BITS) & (u64::MAX >> 1))
    }

    /// The text form without an allocation.
    #[must_use]
    pub fn letters(self) -> [u8; LENGTH] {
        let mut letters = [b'0'; LENGTH];
        for (index, letter) in letters.iter_mut().enumerate() {
            let shift = 5 * (LENGTH - 1 - index);
            *letter = ALPHABET[(self.0 >> shift) as usize & 31];
        }
        letters
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.letters()).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a decision id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a decision id: 13 letters and digits, as in the header x-tradewind-decision")]
pub struct ParseDecisionIdError(String);

impl FromStr for DecisionId {
    type Err = ParseDecisionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseDecisionIdError(text.chars().take(40).collect());
        if text.len() != LENGTH {
            return Err(refused());
        }
        let mut number: u64 = 0;
        for byte in text.bytes() {
            let letter = byte.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|known| *known == letter).ok_or_else(refused)?;
            number = number.checked_mul(32).and_then(|n| n.checked_add(digit as u64)).ok_or_else(refused)?;
        }
        if number > u64::MAX >> 1 {
            return Err(refused());
        }
        Ok(Self(number))
    }
}

impl Serialize for DecisionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DecisionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Hands out ids that only ever grow, even when the wall clock is set back.
#[derive(Debug)]
pub struct DecisionIds {
    last: AtomicU64,
}

impl DecisionIds {
    /// A source whose first id comes after `after`, the newest id the journal already holds (0 when it is empty).
    #[must_use]
    pub const fn after(after: u64) -> Self {
        Self { last: AtomicU64::new(after) }
    }

    /// The next id for a call that came in at `at`.
    pub fn next(&self, at: UnixMillis) -> DecisionId {
        let floor = DecisionId::first_at(at).0;
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = floor.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return DecisionId(next),
                Err(seen) => last = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_sort_by_time() {
        let ids = DecisionIds::after(0);
        let first = ids.next(UnixMillis(1_795_294_621_123));
        let second = ids.next(UnixMillis(1_795_294_621_123));
        let set_back = ids.next(UnixMillis(1_000));
        assert!(first < second && second < set_back);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!(first.to_string().to_uppercase().parse(), Ok(first));
        assert!(first.to_string() < second.to_string());
        assert_eq!(first.to_string().len(), LENGTH);
    }

    #[test]
    fn nonsense_is_not_an_id() {
        for text in ["", "abc", "zzzzzzzzzzzzz", "0000000000000000", "il0000000000u"] {
            assert!(text.parse::<DecisionId>().is_err(), "{text}");
        }
    }
}
