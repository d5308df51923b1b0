//! Requests that are under way: whoever wants the same thing in the meantime waits for the same answer.

use std::hash::Hash;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// An answer that several wait for. Whoever polls drives it, so that it goes on when the first one to ask goes away, and ends
/// when all have.
pub(super) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The requests that somebody holds, by what they are for.
pub(super) struct Flights<K, T: Clone>(Mutex<FxHashMap<K, WeakShared<BoxFuture<'static, T>>>>);

impl<K: Eq + Hash, T: Clone> Flights<K, T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(FxHashMap::default()))
    }

    /// Joins the request for `key`, or starts it.
    pub(super) fn join(&self, key: K, start: impl FnOnce() -> BoxFuture<'static, T>) -> Flight<T> {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        // Those that nobody holds any more: as many as there were waiters at once, at most.
        flights.retain(|_, flight| flight.upgrade().is_some());
        let flight = start().shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, weak);
        }
        flight
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::ready;

    use super::Flights;

    #[test]
    fn requests_that_nobody_holds_take_no_room() {
        let flights: Flights<u32, u32> = Flights::new();
        let held: Vec<_> = (0..10).map(|key| flights.join(key, || ready(key).boxed())).collect();
        for key in 0..10_000 {
            drop(flights.join(key, || ready(key).boxed()));
            assert!(flights.0.lock().len() <= held.len() + 1);
        }
        assert_eq!(flights.join(3, || ready(99).boxed()).now_or_never(), Some(3), "it is held, and joined");
        drop(held);
        assert_eq!(flights.join(3, || ready(99).boxed()).now_or_never(), Some(99));
    }
}
