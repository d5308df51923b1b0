//! Where the heads of keys lie in their streams, as far as it was seen: what a commit is compared by. Bounded; what is not
//! there costs a read, and what is wrong costs a refused write and a read, never more.
//!
//! A place is good for the connection that it was seen over, and no other: a server that lost its latest messages gives their
//! places to others when it comes back.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::name::{Hash, Key, Rev};
use crate::store::Expected;

/// Keys of one generation; two are kept. A place takes some 140 bytes and the key.
const GENERATION: usize = 32_768;

/// A head's number and place, and what else the next commit has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rev: Rev,
    pub(super) chain: Hash,
    pub(super) at: u64,
    /// The lowest revision that the key keeps unpinned.
    pub(super) low: u64,
    /// The connection over which it was seen, by [`Link::connection`](super::link::Link::connection).
    pub(super) connection: u64,
}

impl Place {
    /// Whether it is that of the head which is expected.
    pub(super) fn fits(&self, expected: Expected) -> bool {
        match expected {
            Expected::Absent => false,
            Expected::At(rev) => self.rev == rev,
            Expected::Is(rev, chain) => self.rev == rev && self.chain == chain,
        }
    }

    /// What a commit on it needs: its place, and the lowest revision that the key keeps.
    pub(super) fn parent(self) -> (u64, u64) {
        (self.at, self.low)
    }
}

/// The places of heads, the newest two generations.
#[derive(Default)]
pub(super) struct Places {
    generations: Mutex<[FxHashMap<Key, Place>; 2]>,
}

impl Places {
    /// The place that was seen over this connection.
    pub(super) fn get(&self, key: &Key, connection: u64) -> Option<Place> {
        let generations = self.generations.lock();
        let known = generations.iter().find_map(|generation| generation.get(key));
        known.filter(|place| place.connection == connection).copied()
    }

    /// Remembers a place, unless a later one is known.
    pub(super) fn set(&self, key: &Key, place: Place) {
        let mut generations = self.generations.lock();
        let known = generations.iter().find_map(|generation| generation.get(key));
        if known.is_some_and(|known| (known.connection, known.at) > (place.connection, place.at)) {
            return;
        }
        let [young, old] = &mut *generations;
        if young.len() >= GENERATION {
            *old = std::mem::take(young);
        }
        young.insert(key.clone(), place);
    }

    pub(super) fn remove(&self, key: &Key) {
        for generation in &mut *self.generations.lock() {
            generation.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Namespace;

    fn key(number: usize) -> Key {
        Key::new(Namespace::parse("a").unwrap(), &number.to_string()).unwrap()
    }

    fn place(at: u64) -> Place {
        Place { rev: Rev::new(at).unwrap(), chain: Hash([0; 32]), at, low: 1, connection: 1 }
    }

    #[test]
    fn a_later_place_stays_and_old_keys_go() {
        let places = Places::default();
        places.set(&key(0), place(7));
        places.set(&key(0), place(5));
        assert_eq!(places.get(&key(0), 1), Some(place(7)));
        places.remove(&key(0));
        places.set(&key(0), place(5));
        assert_eq!(places.get(&key(0), 1), Some(place(5)));
        for number in 1..=2 * GENERATION {
            places.set(&key(number), place(1));
        }
        assert_eq!(places.get(&key(0), 1), None);
        assert_eq!(places.get(&key(2 * GENERATION), 1), Some(place(1)));
        let kept: usize = places.generations.lock().iter().map(FxHashMap::len).sum();
        assert!(kept <= 2 * GENERATION, "{kept}");
    }
    #[test]
    fn a_place_is_good_for_its_connection() {
        let places = Places::default();
        places.set(&key(0), place(7));
        assert_eq!(places.get(&key(0), 2), None);
        // The server gives the places behind its fifth again.
        let again = Place { connection: 2, ..place(6) };
        places.set(&key(0), again);
        places.set(&key(0), place(8));
        assert_eq!((places.get(&key(0), 1), places.get(&key(0), 2)), (None, Some(again)));
    }
}
