//! A bounded queue between calls and one thread that does slow things with what they left: exports spans, writes lines.
//! Offering never waits; what does not fit is dropped and counted. The thread is woken for the first thing after a rest and
//! for a whole batch, so that a busy gateway makes no system call for each.
//!
//! Refused: a channel of the standard library, which wakes its reader for each thing that is sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Both ends share it.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    state: Mutex<State<T>>,
    /// For the thread.
    ready: Condvar,
    /// For whoever waits for the thread.
    settled: Condvar,
    room: usize,
    batch: usize,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    things: VecDeque<T>,
    /// Nothing more is accepted; the thread ends once the queue is empty.
    closing: bool,
    /// The thread must end at once.
    abandoned: bool,
    /// The thread has ended.
    gone: bool,
    /// Somebody waits for what is queued now.
    hurry: bool,
    /// Whether the thread has something in hand.
    busy: bool,
}

impl<T> Outbox<T> {
    /// A queue of at most `room` things that are taken in batches of `batch`.
    pub(crate) fn new(room: usize, batch: usize) -> Self {
        let things = VecDeque::new();
        let state = State { things, closing: false, abandoned: false, gone: false, hurry: false, busy: false };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            settled: Condvar::new(),
            room: room.max(1),
            batch: batch.clamp(1, room.max(1)),
            dropped: AtomicU64::new(0),
        }
    }

    /// Queues `thing`. False when there is no room, or nobody takes things any more: it is then dropped and counted.
    pub(crate) fn offer(&self, thing: T) -> bool {
        let mut state = self.state.lock();
        if state.closing || state.gone || state.things.len() >= self.room {
            drop(state);
            self.count_dropped(1);
            return false;
        }
        state.things.push_back(thing);
        let queued = state.things.len();
        drop(state);
        if queued == 1 || queued == self.batch {
            self.ready.notify_one();
        }
        true
    }

    pub(crate) fn count_dropped(&self, things: usize) {
        self.dropped.fetch_add(things as u64, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn queued(&self) -> usize {
        self.state.lock().things.len()
    }

    /// For the thread: waits for a batch, at most `patience` after the first thing of it. `None` when it has to end.
    pub(crate) fn take(&self, patience: Duration) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        state.busy = false;
        if state.things.is_empty() {
            state.hurry = false;
            self.settled.notify_all();
        }
        self.ready.wait_while(&mut state, |state| state.things.is_empty() && !state.closing);
        let too_few = |state: &mut State<T>| state.things.len() < self.batch && !state.closing && !state.hurry;
        self.ready.wait_while_for(&mut state, too_few, patience);
        if state.abandoned || state.things.is_empty() {
            return None;
        }
        state.busy = true;
        let count = state.things.len().min(self.batch);
        let taken = state.things.drain(..count).collect();
        if state.things.is_empty() && state.things.capacity() > self.batch {
            // What a busy time took is given back.
            state.things = VecDeque::new();
        }
        Some(taken)
    }

    /// For the thread: waits for `time`, or until the outbox is closed.
    pub(crate) fn pause(&self, time: Duration) {
        let mut state = self.state.lock();
        self.ready.wait_while_for(&mut state, |state| !state.closing, time);
    }

    /// Whether nothing more is accepted.
    pub(crate) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Whether the thread should stop at once.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.lock().abandoned
    }

    /// Waits until the thread has dealt with everything that is queued. False when that takes longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        state.hurry = true;
        self.ready.notify_all();
        let working = |state: &mut State<T>| (state.busy || !state.things.is_empty()) && !state.gone;
        !self.settled.wait_while_for(&mut state, working, limit).timed_out()
    }

    /// Accepts nothing more, and waits until the thread has ended. When that takes longer than `limit` the thread is told
    /// to give up and left alone. Returns how many things are left behind.
    pub(crate) fn close(&self, limit: Duration) -> usize {
        let mut state = self.state.lock();
        if state.abandoned {
            return 0;
        }
        state.closing = true;
        self.ready.notify_all();
        self.settled.wait_while_for(&mut state, |state| !state.gone, limit);
        state.abandoned = true;
        self.ready.notify_all();
        let left = state.things.len();
        state.things = VecDeque::new();
        drop(state);
        self.count_dropped(left);
        left
    }

    /// The thread has ended, or cannot begin.
    fn gone(&self) {
        self.state.lock().gone = true;
        self.settled.notify_all();
    }
}

/// Says that the thread is gone when it is dropped, also by a panic.
pub(crate) struct Gone<'o, T>(pub(crate) &'o Outbox<T>);

impl<T> Drop for Gone<'_, T> {
    fn drop(&mut self) {
        self.0.gone();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let outbox = Outbox::new(3, 2);
        assert_eq!((0..10).filter(|number| outbox.offer(*number)).count(), 3);
        assert_eq!((outbox.dropped(), outbox.queued()), (7, 3));
        assert_eq!(outbox.take(LONG), Some(vec![0, 1]), "a whole batch is taken at once");
        assert_eq!(outbox.take(Duration::ZERO), Some(vec![2]));
    }

    #[test]
    fn closing_hands_out_what_is_queued_and_waits_for_the_thread() {
        let outbox = Arc::new(Outbox::new(100, 10));
        for number in 0..25 {
            outbox.offer(number);
        }
        let reader = Arc::clone(&outbox);
        let thread = thread::spawn(move || {
            let _gone = Gone(&reader);
            std::iter::from_fn(|| reader.take(LONG)).flatten().count()
        });
        assert_eq!(outbox.close(LONG), 0);
        assert_eq!(thread.join().unwrap(), 25);
        assert!(!outbox.offer(26), "nobody takes it");
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_alone() {
        let outbox = Outbox::new(10, 10);
        outbox.offer(1);
        assert_eq!(outbox.close(Duration::from_millis(10)), 1);
        assert_eq!(outbox.take(LONG), None, "it ends when it comes back");
    }

    #[test]
    fn a_flush_waits_for_what_is_in_hand() {
        let outbox = Arc::new(Outbox::new(10, 10));
        outbox.offer(1);
        let reader = Arc::clone(&outbox);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let _gone = Gone(&*reader);
            while reader.take(LONG).is_some() {
                wait.recv().unwrap();
            }
        });
        assert!(!outbox.flush(Duration::from_millis(20)), "the thread is not done");
        go.send(()).unwrap();
        assert!(outbox.flush(LONG));
        outbox.close(LONG);
        thread.join().unwrap();
    }
}
