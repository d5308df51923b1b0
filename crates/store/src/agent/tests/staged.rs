//! An engine whose commits go as they are told: fail, are overtaken, or happen without anybody being told.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Facts, KeyHead, Pin, Revision, Store};
use crate::suite::Memory;
use crate::told::Changes;

/// What becomes of a commit.
pub(super) enum Act {
    /// It is not done, with this error.
    Fail(StoreError),
    /// It is done, and its caller is told that nobody knows.
    DoneUnknown,
    /// This is done first.
    After(Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
}

#[derive(Default)]
pub(super) struct Staged {
    pub(super) memory: Arc<Memory>,
    /// One for each of the next commits; after them they just happen.
    pub(super) acts: Mutex<VecDeque<Act>>,
}

impl Store for Staged {
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        let act = self.acts.lock().pop_front();
        Box::pin(async move {
            match act {
                None => {}
                Some(Act::Fail(error)) => return Err(error),
                Some(Act::DoneUnknown) => {
                    self.memory.commit(commit).await?;
                    return Err(StoreError::Unknown("no answer came".to_owned()));
                }
                Some(Act::After(first)) => first().await,
            }
            self.memory.commit(commit).await
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        self.memory.head(key)
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.memory.revision(key, rev)
    }

    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.memory.extend(key, rev, at)
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        self.memory.history(key, before, limit)
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        self.memory.list(namespace, prefix, after, limit)
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        self.memory.namespaces()
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        self.memory.pieces(namespace, ids)
    }

    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.memory.pin(key, rev, pin)
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.memory.prune(key, keep)
    }

    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        self.memory.latest(namespace)
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        self.memory.watch(namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.memory.due(now, limit)
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.memory.forget(key, rev)
    }

    fn facts(&self) -> Facts {
        self.memory.facts()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.close()
    }
}
