//! Many callers, one question: the first asks, the others wait for the answer.
//!
//! A leader that answers hands the answer to all who wait. One that is dropped without an answer (it failed, or its caller
//! left) is followed by whoever has waited longest, and by no more than [`MOST_LEADERS`] in a row: then everybody goes on
//! alone, so that no caller pays for the failures of many. One that has an answer nobody else may get
//! ([`Leader::release`]) sends all on at once. No call is lost: every follower learns one of these, or is dropped itself.
//!
//! Nothing here runs by itself and no lock is held while something waits: a follower is a future that any executor polls.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tradewind_core::Moment;

use crate::{Entry, ExactCache, Key};

/// How many leaders in a row may fail before those who wait go on alone.
pub const MOST_LEADERS: u32 = 2;

/// A question that is being asked.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// Who waits, those who have waited longest first.
    seats: BTreeMap<u64, Arc<Seat>>,
    next: u64,
    /// Leaders that have failed.
    failed: u32,
}

impl Flight {
    /// A place to wait for the answer to `key`.
    pub(crate) fn follow(&mut self, cache: &Arc<ExactCache>, key: Key) -> Follower {
        let seat = Arc::new(Seat(Mutex::new(State::Waiting(None))));
        let ticket = self.next;
        self.next += 1;
        self.seats.insert(ticket, seat.clone());
        Follower { cache: cache.clone(), key, ticket, seat }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.seats.len()
    }
}

/// Where one follower waits.
struct Seat(Mutex<State>);

enum State {
    Waiting(Option<Waker>),
    Told(Followed),
    Done,
}

impl Seat {
    fn tell(&self, what: Followed) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Told(what));
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}

/// What a follower has waited for.
#[derive(Debug)]
pub enum Followed {
    /// The answer.
    Hit(Arc<Entry>),
    /// The one before has failed: this caller asks now, and others wait for it.
    Lead(Leader),
    /// This caller asks for itself, and keeps its answer to itself.
    Alone,
}

/// The duty to ask a question that others may be waiting for. Dropping it hands the duty on.
#[must_use = "others wait for the answer"]
pub struct Leader {
    cache: Arc<ExactCache>,
    key: Key,
    /// Whether what was to be told has been told.
    done: bool,
}

impl Leader {
    pub(crate) fn new(cache: &Arc<ExactCache>, key: Key) -> Self {
        Self { cache: cache.clone(), key, done: false }
    }

    /// Keeps the answer, and gives it to all who wait: also when it is too large to be kept.
    pub fn complete(mut self, entry: Entry, now: Moment) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.done = true;
        let flight = self.cache.land(self.key, Some((&entry, now)));
        tell_all(flight, || Followed::Hit(entry.clone()));
        entry
    }

    /// Gives an answer to all who wait that is not the answer to this very request, and so is not kept under it: one that
    /// was found by its meaning.
    pub fn share(mut self, entry: &Arc<Entry>) {
        self.done = true;
        let flight = self.cache.land(self.key, None);
        tell_all(flight, || Followed::Hit(entry.clone()));
    }

    /// There is an answer, and it is for nobody else: all who wait go on alone, at once.
    pub fn release(mut self) {
        self.done = true;
        tell_all(self.cache.land(self.key, None), || Followed::Alone);
    }
}

fn tell_all(flight: Option<Flight>, what: impl Fn() -> Followed) {
    for seat in flight.into_iter().flat_map(|flight| flight.seats.into_values()) {
        seat.tell(what());
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let next = {
            let mut shard = self.cache.shard(self.key).lock();
            let Some(flight) = shard.flights.get_mut(&self.key) else { return };
            flight.failed += 1;
            let next = (flight.failed < MOST_LEADERS).then(|| flight.seats.pop_first()).flatten();
            match next {
                Some((_, seat)) => Next::Leader(seat),
                None => Next::Nobody(shard.flights.remove(&self.key)),
            }
        };
        match next {
            Next::Leader(seat) => seat.tell(Followed::Lead(Self::new(&self.cache, self.key))),
            Next::Nobody(flight) => tell_all(flight, || Followed::Alone),
        }
    }
}

enum Next {
    Leader(Arc<Seat>),
    Nobody(Option<Flight>),
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leader({:?})", self.key)
    }
}

/// Waits for the answer that another caller is asking for. Dropping it is going away: the caller may then ask by itself.
#[must_use = "a follower has to be awaited"]
pub struct Follower {
    cache: Arc<ExactCache>,
    key: Key,
    ticket: u64,
    seat: Arc<Seat>,
}

impl Future for Follower {
    type Output = Followed;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Followed> {
        let mut state = self.seat.0.lock();
        match std::mem::replace(&mut *state, State::Done) {
            State::Told(what) => Poll::Ready(what),
            State::Waiting(waker) => {
                let kept = waker.filter(|waker| waker.will_wake(context.waker()));
                *state = State::Waiting(Some(kept.unwrap_or_else(|| context.waker().clone())));
                Poll::Pending
            }
            State::Done => Poll::Ready(Followed::Alone), // polled after its end
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.seat.0.lock();
        let before = std::mem::replace(&mut *state, State::Done);
        drop(state);
        match before {
            // It is still among those who wait, or just being told something that it will not hear.
            State::Waiting(_) => {
                let mut shard = self.cache.shard(self.key).lock();
                if let Some(flight) = shard.flights.get_mut(&self.key) {
                    flight.leave(self.ticket, &self.seat);
                }
            }
            // A duty that was never taken up goes to the next one.
            State::Told(what) => drop(what),
            State::Done => {}
        }
    }
}

impl Flight {
    fn leave(&mut self, ticket: u64, seat: &Arc<Seat>) {
        // Another flight under the same key has other seats.
        if self.seats.get(&ticket).is_some_and(|known| Arc::ptr_eq(known, seat)) {
            self.seats.remove(&ticket);
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Follower({:?})", self.key)
    }
}
