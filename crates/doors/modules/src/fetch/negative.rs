//! What was asked for in vain a moment ago: the go command asks for each prefix of a path, and over TLS for each twice.
//!
//! In memory alone and within bounds: when there are too many, what is over is thrown away, and if that does not help,
//! everything.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_core::Moment;

use crate::failure::Failure;
use crate::name::Asked;
use crate::store::Tree;

/// The most that is remembered; some 300 bytes each.
const MOST: usize = 32_768;

/// What failed lately, and until when that counts.
#[derive(Default)]
pub(super) struct Negatives(Mutex<FxHashMap<(Tree, Asked), (Failure, Moment)>>);

impl Negatives {
    /// The failure of the last time, if it still counts.
    pub(super) fn find(&self, tree: &Tree, asked: &Asked, now: Moment) -> Option<Failure> {
        let known = self.0.lock();
        known.get(&(tree.clone(), asked.clone())).filter(|(_, until)| now < *until).map(|(failure, _)| failure.clone())
    }

    /// Remembers a failure for `time`.
    pub(super) fn note(&self, tree: &Tree, asked: &Asked, failure: &Failure, now: Moment, time: Duration) {
        if time.is_zero() {
            return;
        }
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert((tree.clone(), asked.clone()), (failure.clone(), now + time));
    }

    /// Forgets all of it.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}
