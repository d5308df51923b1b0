//! The end of values and of tombstones.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_core::Moment;

use crate::error::StateError;
use crate::meta::Kind;
use crate::name::{Key, Rev};

use super::draft::Draft;
use super::{State, Swept, Terms};

/// How long a key that could not be swept is passed over.
const PASSED_OVER: Duration = Duration::from_secs(600);
/// The most such keys that are remembered. Where more than these are due before all others, those wait.
const MOST_PASSED_OVER: usize = 4096;

/// Keys that are due and cannot be swept, at which revision, and until when they are passed over.
#[derive(Default)]
pub(super) struct Failing(Mutex<FxHashMap<Key, (Rev, Moment)>>);

impl Failing {
    /// How many there are now.
    fn count(&self, now: Moment) -> usize {
        let mut failing = self.0.lock();
        failing.retain(|_, (_, until)| *until > now);
        failing.len()
    }

    fn has(&self, key: &Key, rev: Rev) -> bool {
        self.0.lock().get(key).is_some_and(|(failed, _)| *failed == rev)
    }

    /// Remembers one. `false` when there is no room for it.
    fn add(&self, key: Key, rev: Rev, now: Moment) -> bool {
        let mut failing = self.0.lock();
        let has_room = failing.len() < MOST_PASSED_OVER || failing.contains_key(&key);
        if has_room {
            failing.insert(key, (rev, now + PASSED_OVER));
        }
        has_room
    }
}

impl State {
    /// Buries values whose time is over, so that watchers are told, and forgets tombstones that are 24 hours old: at most
    /// `limit` of both together, the longest due first. To be called again at once when there is more.
    ///
    /// A read never waits for this: what has expired is gone for readers at once. A value that is read within the very
    /// moment of its end may be buried although the read let its time begin again.
    ///
    /// A key that cannot be read or written is counted, and passed over for ten minutes: it must not keep those behind it from
    /// their end.
    ///
    /// # Errors
    /// Those of the engine that concern all keys; what was done by then stays done.
    pub async fn sweep(&self, limit: usize) -> Result<Swept, StateError> {
        let now = self.clock.now();
        let asked = limit + self.failing.count(now);
        let due = self.store.due(self.now(), asked).await?;
        let full = due.len() == asked;
        let (mut swept, mut goes_on, mut unremembered) = (Swept::default(), false, 0);
        let due = due.into_iter().filter(|(key, meta)| !self.failing.has(key, meta.rev)).take(limit);
        for (key, meta) in due.collect::<Vec<_>>() {
            let is_tombstone = meta.kind.is_tombstone();
            let done = if is_tombstone {
                self.heads.forget(&key);
                self.store.forget(&key, meta.rev).await.map_err(StateError::from)
            } else {
                self.bury(&key, meta.rev).await
            };
            match done {
                Ok(done) => {
                    goes_on |= done;
                    let count = if is_tombstone { &mut swept.forgotten } else { &mut swept.expired };
                    *count += u64::from(done);
                }
                Err(error @ (StateError::Unavailable(_) | StateError::Full(_))) => return Err(error),
                Err(error) => {
                    if self.failing.add(key.clone(), meta.rev, now) {
                        goes_on = true;
                    } else {
                        unremembered += 1;
                    }
                    swept.why.get_or_insert((key, error));
                }
            }
        }
        swept.failed = self.failing.count(now) as u64 + unremembered;
        // Where nothing could be done, others do it: nobody is told to come again at once.
        swept.more = full && goes_on;
        Ok(swept)
    }

    /// Puts a tombstone in the place of a value whose time is over, unless another revision is there by now, or another
    /// end.
    pub(super) async fn bury(&self, key: &Key, rev: Rev) -> Result<bool, StateError> {
        let Some(record) = self.store.head(key).await? else { return Ok(false) };
        let now = self.now();
        if record.meta.rev != rev || record.meta.kind.is_tombstone() || !record.meta.has_expired(now) {
            return Ok(false);
        }
        let head = self.with_known(key, record);
        let expired = Draft::tombstone(Kind::Expired, Terms::default());
        Ok(self.replace(key, Some(&head), &expired, now).await?.is_ok())
    }
}
