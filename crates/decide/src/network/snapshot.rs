//! The context that is kept, and when a new one that says the same needs no evaluation.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Moment, UnixMillis};

use super::context::Context;
use super::fingerprint::Fingerprint;

/// The context that is kept, with its times.
///
/// Its end is measured on the monotonic clock; the time on the wall clock is only shown. `generation` belongs to the timer
/// that is to remove it: one that was armed for another generation must leave it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the host said.
    pub context: Arc<Context>,
    fingerprint: Fingerprint,
    since: Moment,
    ends: Option<(Moment, u64)>,
    generation: u64,
}

impl Snapshot {
    /// Keeps a context that arrived now.
    #[must_use]
    pub fn new(context: Context, now: Moment, wall: UnixMillis, generation: u64) -> Self {
        let fingerprint = context.fingerprint();
        let ends = context.ttl.map(|ttl| end(ttl, now, wall));
        Self { context: Arc::new(context), fingerprint, since: now, ends, generation }
    }

    /// Whether `next` can take the light path: it says the same, both have a time to live, every group could be set to
    /// what its policy says (`nothing_missing`), and the members of no group have changed since (`nothing_dirty`). Then
    /// [`renew`](Self::renew) is all there is to do, and the rows of the answer are
    /// [`standing`](super::Machine::standing).
    #[must_use]
    pub fn is_light(&self, next: &Context, nothing_missing: bool, nothing_dirty: bool) -> bool {
        nothing_missing
            && nothing_dirty
            && next.ttl.is_some()
            && self.context.ttl.is_some()
            && self.fingerprint == next.fingerprint()
    }

    /// Moves age and end, for a context that says the same, and nothing else.
    pub fn renew(&mut self, next: &Context, now: Moment, wall: UnixMillis, generation: u64) {
        (self.since, self.generation) = (now, generation);
        self.ends = next.ttl.map(|ttl| end(ttl, now, wall));
    }

    /// Gives it to another timer; age and end stay.
    pub const fn rearm(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// For how long it is good from `now` on; `None` for until it is replaced.
    #[must_use]
    pub fn remaining(&self, now: Moment) -> Option<Duration> {
        self.ends.map(|(at, _)| at.since(now))
    }

    /// Whether the timer of `generation` is to remove it now.
    #[must_use]
    pub fn is_over(&self, generation: u64, now: Moment) -> bool {
        self.generation == generation && self.ends.is_some_and(|(at, _)| now >= at)
    }

    /// When it ends, in seconds since the Unix epoch.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.ends.map(|(_, unix)| unix)
    }

    /// For how long it has been there, in whole seconds.
    #[must_use]
    pub const fn age_seconds(&self, now: Moment) -> u64 {
        now.since(self.since).as_secs()
    }
}

fn end(ttl: u32, now: Moment, wall: UnixMillis) -> (Moment, u64) {
    (now + Duration::from_secs(ttl.into()), wall.0 / 1000 + u64::from(ttl))
}
