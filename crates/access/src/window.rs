//! A limit within any 60 seconds, as a window that slides by a quarter of a second.
//!
//! What was taken counts from its slot until 240 whole slots have passed after it, so that no 60 seconds ever see more
//! than the limit; of a limit that is always used up 240/241 come through, 0.4 % less than it says. A token bucket was
//! refused: it lets twice the limit through in one minute. One that remembers each call was refused: its memory grows
//! with the limit.

use std::time::Duration;

use tradewind_core::Moment;

/// Microseconds of a slot.
const SLOT: u64 = 250_000;
/// Slots that 60 seconds can touch.
const SLOTS: usize = 241;

/// What was taken within the last 60 seconds.
#[derive(Debug)]
pub(crate) struct Window {
    /// By the number of the slot modulo [`SLOTS`].
    counts: Box<[u64]>,
    /// The sum of `counts`.
    sum: u64,
    /// The number of the newest slot.
    newest: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { counts: vec![0; SLOTS].into_boxed_slice(), sum: 0, newest: 0 }
    }
}

/// The place of `slot` in the ring.
const fn place(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

impl Window {
    /// Takes `amount` if it fits below `limit`, and says from which slot.
    ///
    /// # Errors
    /// When it does not fit: how long until it would, if nobody else takes anything; `None` when it never can.
    pub(crate) fn take(&mut self, amount: u64, limit: u64, now: Moment) -> Result<u64, Option<Duration>> {
        self.advance(now);
        if amount > limit {
            return Err(None);
        }
        if self.sum > limit - amount {
            return Err(Some(self.wait(self.sum - (limit - amount), now)));
        }
        self.put(amount);
        Ok(self.newest)
    }

    /// Counts `amount` at `now`, whether it fits or not.
    pub(crate) fn add(&mut self, amount: u64, now: Moment) {
        self.advance(now);
        self.put(amount);
    }

    /// Gives back what was taken from `slot`; without effect when that is longer ago than the window.
    pub(crate) fn give_back(&mut self, slot: u64, amount: u64) {
        if self.newest - slot.min(self.newest) < SLOTS as u64 {
            let count = &mut self.counts[place(slot)];
            let amount = amount.min(*count);
            *count -= amount;
            self.sum -= amount;
        }
    }

    fn put(&mut self, amount: u64) {
        // The slot and the sum keep the same: neither can be more than what fits both.
        let amount = amount.min(u64::MAX - self.sum);
        self.counts[place(self.newest)] += amount;
        self.sum += amount;
    }

    /// Lets go of the slots that are over. A moment before the newest counts as the newest.
    fn advance(&mut self, now: Moment) {
        let slot = now.micros() / SLOT;
        let passed = slot.saturating_sub(self.newest);
        for number in 1..=passed.min(SLOTS as u64) {
            let count = &mut self.counts[place(self.newest + number)];
            self.sum -= *count;
            *count = 0;
        }
        self.newest = self.newest.max(slot);
    }

    /// How long until `excess` has left the window.
    fn wait(&self, excess: u64, now: Moment) -> Duration {
        let mut left = 0;
        for age in (0..SLOTS as u64).rev() {
            let Some(slot) = self.newest.checked_sub(age) else { continue };
            left += self.counts[place(slot)];
            if left >= excess {
                let gone = (slot + SLOTS as u64).saturating_mul(SLOT);
                return Duration::from_micros(gone.saturating_sub(now.micros()));
            }
        }
        Duration::from_micros(SLOTS as u64 * SLOT)
    }
}

#[cfg(test)]
mod tests;
