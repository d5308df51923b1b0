//! Where the heads of keys lie in their streams, as far as it was seen: what a commit is compared by. Bounded; what is not
//! there costs a read, and what is wrong costs a refused write and a read, never more.
//!
//! A place is good for the connection that it was seen over, and no other: a server that lost its latest messages gives their
//! places to others when it comes back.

use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use tradewind_core::Recent;

use crate::name::{Hash, Key, Rev};
use crate::store::Expected;

/// The most places. One takes some 140 bytes and the key.
const MOST: usize = 65_536;

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

/// The places of heads that were used lately.
pub(super) struct Places(Mutex<Recent<Key, Place, FxBuildHasher>>);

impl Default for Places {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(MOST)))
    }
}

impl Places {
    /// The place that was seen over this connection.
    pub(super) fn get(&self, key: &Key, connection: u64) -> Option<Place> {
        self.0.lock().get(key).filter(|place| place.connection == connection)
    }

    /// Remembers a place, unless a later one is known.
    pub(super) fn set(&self, key: &Key, place: Place) {
        let mut places = self.0.lock();
        let is_later = |known: &Place| (known.connection, known.at) > (place.connection, place.at);
        if !places.peek(key).is_some_and(is_later) {
            places.insert(key.clone(), place, 1);
        }
    }

    pub(super) fn remove(&self, key: &Key) {
        self.0.lock().remove(key);
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
        for number in 1..=2 * MOST {
            places.set(&key(number), place(1));
        }
        assert_eq!(places.get(&key(0), 1), None);
        assert_eq!(places.get(&key(2 * MOST), 1), Some(place(1)));
        let kept = (0..=2 * MOST).filter(|number| places.0.lock().peek(&key(*number)).is_some()).count();
        assert!((MOST / 2..=MOST).contains(&kept), "{kept}");
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
