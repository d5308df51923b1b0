//! The end of values and of tombstones.

use crate::error::StateError;
use crate::meta::Kind;
use crate::name::{Key, Rev};

use super::write::Draft;
use super::{State, Swept, Terms};

impl State {
    /// Buries values whose time is over, so that watchers are told, and forgets tombstones that are 24 hours old: at most
    /// `limit` of both together, the longest due first. To be called again at once when there is more.
    ///
    /// A read never waits for this: what has expired is gone for readers at once. A value that is read within the very
    /// moment of its end may be buried although the read let its time begin again.
    ///
    /// A key that cannot be read or written is passed over and counted: it must not keep the others from their end.
    ///
    /// # Errors
    /// Those of the engine that concern all keys; what was done by then stays done.
    pub async fn sweep(&self, limit: usize) -> Result<Swept, StateError> {
        let due = self.store.due(self.now(), limit).await?;
        let full = due.len() == limit;
        let mut swept = Swept::default();
        for (key, meta) in due {
            let is_tombstone = meta.kind.is_tombstone();
            let done = if is_tombstone {
                self.heads.forget(&key);
                self.store.forget(&key, meta.rev).await.map_err(StateError::from)
            } else {
                self.bury(&key, meta.rev).await
            };
            match done {
                Ok(done) if is_tombstone => swept.forgotten += u64::from(done),
                Ok(done) => swept.expired += u64::from(done),
                Err(error @ (StateError::Unavailable(_) | StateError::Full(_))) => return Err(error),
                Err(_) => swept.failed += 1,
            }
        }
        // Where nothing could be done, others do it: nobody is told to come again at once.
        swept.more = full && swept.expired + swept.forgotten > 0;
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
