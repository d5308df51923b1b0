//! The keys of one provider: which one to use next, and which ones rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Moment, ProviderName, TargetId};
use tradewind_decide::{KeyRing, KeysView};

/// A key ring that calls share. It knows numbers, never the keys themselves.
#[derive(Debug)]
pub struct Keys {
    ring: Mutex<KeyRing>,
    nameless: bool,
}

impl Keys {
    /// A ring of `count` keys, all of them ready.
    ///
    /// A provider that wants no key has a ring of one nameless key: after a rate limit it rests like any other, but it
    /// is never refused, since there is no other key to put in its place.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { ring: Mutex::new(KeyRing::new(count.max(1))), nameless: count == 0 }
    }

    /// Whether these are no keys that anybody has written down.
    #[must_use]
    pub const fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// Whether there is a key that may be used for `target`.
    pub fn view(&self, target: &TargetId, now: Moment) -> KeysView {
        self.ring.lock().view(target, now)
    }

    /// Whether there is a key that may be used for `target` at once.
    pub fn is_ready(&self, target: &TargetId, now: Moment) -> bool {
        self.view(target, now) == KeysView::Ready
    }

    /// The number of the key to use next.
    pub fn pick(&self, target: &TargetId, now: Moment) -> Option<usize> {
        self.ring.lock().pick(target, now)
    }

    /// The provider accepted `key`.
    pub fn accept(&self, key: usize) {
        self.ring.lock().accept(key);
    }

    /// The provider limited `key` for `target`, asking to be left alone for `asked`. Returns until when it rests.
    pub fn cool(&self, key: usize, target: &TargetId, now: Moment, asked: Option<Duration>) -> Moment {
        self.ring.lock().rate_limited(key, target, asked, now, &mut fastrand::Rng::new())
    }

    /// The provider does not accept `key` at all.
    pub fn refuse(&self, key: usize, now: Moment) {
        if self.nameless {
            return;
        }
        self.ring.lock().refuse(key, now);
    }
}

/// The key rings of all providers. A provider whose keys are the same after a reload keeps its ring, so that a key that
/// rests goes on resting.
#[derive(Debug, Default)]
pub struct KeyRings {
    known: Mutex<HashMap<ProviderName, (u64, Arc<Keys>)>>,
}

impl KeyRings {
    /// The ring of `provider`, which has `count` keys, or wants none; `fingerprint` changes when any of them does.
    pub fn get(&self, provider: &ProviderName, count: usize, fingerprint: u64) -> Arc<Keys> {
        let mut known = self.known.lock();
        match known.get(provider) {
            Some((same, keys)) if *same == fingerprint => keys.clone(),
            _ => {
                let keys = Arc::new(Keys::new(count));
                known.insert(provider.clone(), (fingerprint, keys.clone()));
                keys
            }
        }
    }
}
