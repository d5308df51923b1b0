//! What becomes of requests that no door ever sees: how many were refused with which code, and whom the refusals of keys
//! were about. Nothing here is said or shown; whoever runs the front asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tradewind_access::Denied;
use tradewind_core::Code;

/// What is refused before any door: shown from the beginning, so that the first refusal is seen as an increase.
const BEFORE_DOORS: [Code; 8] = [
    Code::UnknownPath,
    Code::HeadersTooLarge,
    Code::NotLocal,
    Code::BadHeader,
    Code::UnknownKey,
    Code::KeyRevoked,
    Code::ContextRefused,
    Code::Overloaded,
];

/// Why a request was refused with 401, without the words for its caller. There are no more of these than keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It had no key.
    Missing,
    /// It had one that nobody knows.
    Unknown,
    /// It had the key of this name, which was revoked.
    Revoked(Arc<str>),
    /// It had the key of this name, which has expired.
    Expired(Arc<str>),
}

impl Why {
    fn of(denied: &Denied) -> Self {
        match denied {
            Denied::Missing => Self::Missing,
            Denied::Unknown => Self::Unknown,
            Denied::Revoked { name } => Self::Revoked(name.clone()),
            Denied::Expired { name } => Self::Expired(name.clone()),
        }
    }
}

/// Requests refused with 401, by why.
pub type Unauthorized = BTreeMap<Why, u64>;

/// The counters of one front.
#[derive(Debug)]
pub(crate) struct Tally {
    /// In the order of [`Code::ALL`].
    codes: [AtomicU64; Code::ALL.len()],
    unauthorized: Mutex<Unauthorized>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { codes: std::array::from_fn(|_| AtomicU64::new(0)), unauthorized: Mutex::default() }
    }
}

impl Tally {
    /// Counts a refusal.
    pub(crate) fn count(&self, code: Code) {
        // The variants have no numbers of their own, so theirs are their places in `Code::ALL`.
        if let Some(counter) = self.codes.get(code as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes whom a refusal with 401 was about.
    pub(crate) fn note(&self, denied: &Denied) {
        *self.unauthorized.lock().entry(Why::of(denied)).or_default() += 1;
    }

    /// What was refused so far.
    pub(crate) fn codes(&self) -> Vec<(Code, u64)> {
        let counted = Code::ALL.iter().zip(&self.codes);
        let all = counted.map(|(code, counter)| (*code, counter.load(Ordering::Relaxed)));
        all.filter(|(code, count)| *count > 0 || BEFORE_DOORS.contains(code)).collect()
    }

    /// What was noted since this was last asked.
    pub(crate) fn take_unauthorized(&self) -> Unauthorized {
        std::mem::take(&mut self.unauthorized.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_counter_of_its_own() {
        let tally = Tally::default();
        for (number, code) in Code::ALL.iter().enumerate() {
            (0..=number).for_each(|_| tally.count(*code));
        }
        let expected: Vec<_> = Code::ALL.iter().copied().zip(1..).collect();
        assert_eq!(tally.codes(), expected);
    }

    #[test]
    fn what_can_be_refused_is_shown_from_the_beginning() {
        assert_eq!(Tally::default().codes(), BEFORE_DOORS.map(|code| (code, 0)));
    }
}
