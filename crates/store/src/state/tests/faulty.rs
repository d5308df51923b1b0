//! An engine that counts what it is asked, and fails when it is told to.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{Body, PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Facts, KeyHead, Pin, Revision, Store};
use crate::suite::Memory;
use crate::told::Changes;

/// What happens to the next commits.
#[derive(Clone, Debug, Default)]
pub(super) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// So many more succeed, then each fails with this and is not done.
    After(u64, StoreError),
    /// Each is done, and its caller is told that nobody knows.
    DoneUnknown,
    /// Those that are lost are said to be done.
    LostDone,
}

/// What it does with one revision that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// It reads back with another content.
    Other,
    /// No history lists it.
    Hides,
    /// It is never pinned, though that is said to be done.
    NoPin,
}

/// What is asked, and what happens before it.
type Meanwhile = (&'static str, Box<dyn FnOnce() + Send>);

#[derive(Default)]
pub(super) struct Faulty {
    pub(super) memory: Memory,
    pub(super) fault: Mutex<Fault>,
    asked: Mutex<Vec<&'static str>>,
    /// Bytes of records and pieces that each commit brought.
    pub(super) brought: Mutex<Vec<u64>>,
    pub(super) extend_fails: Mutex<bool>,
    /// A key whose head cannot be read.
    pub(super) broken: Mutex<Option<Key>>,
    /// What happens once, before it is next asked this.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    /// The most revisions that a commit asked to keep.
    pub(super) keeps: Mutex<u32>,
    /// The most revisions of a key that it says it keeps.
    pub(super) most: Mutex<Option<u32>>,
    /// Of which revision it does not tell the truth.
    pub(super) lie: Mutex<Option<(Key, Rev, Lie)>>,
}

impl Faulty {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What was asked since the last call of this.
    pub(super) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn ask(&self, what: &'static str) -> &Memory {
        self.asked.lock().push(what);
        let meanwhile = self.meanwhile.lock().take_if(|(before, _)| *before == what);
        if let Some((_, happens)) = meanwhile {
            happens();
        }
        &self.memory
    }

    fn lies(&self, key: &Key, rev: Rev, lie: Lie) -> bool {
        self.lie.lock().as_ref().is_some_and(|(of, at, what)| (of, *at, *what) == (key, rev, lie))
    }

    fn fault(&self) -> Fault {
        let mut fault = self.fault.lock();
        match &mut *fault {
            Fault::After(left, _) if *left > 0 => {
                *left -= 1;
                Fault::None
            }
            fault => fault.clone(),
        }
    }
}

impl Store for Faulty {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        if self.broken.lock().as_ref() == Some(key) {
            return ready(Err(StoreError::damaged("a test"))).boxed();
        }
        self.ask("head").head(key)
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let found = self.ask("revision").revision(key, rev);
        if !self.lies(key, rev, Lie::Other) {
            return found;
        }
        async move {
            let mut found = found.await;
            if let Ok(Some(record)) = &mut found {
                record.body = Body::Whole(Bytes::from_static(b"something else"));
            }
            found
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        let again = commit.parent_again.as_ref().map_or(0, |parent| parent.encode().len());
        let pieces: usize = commit.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        self.brought.lock().push((commit.record.encode().len() + again + pieces) as u64);
        let mut keeps = self.keeps.lock();
        *keeps = commit.keep.max(*keeps);
        drop(keeps);
        let memory = self.ask("commit");
        match self.fault() {
            Fault::None => memory.commit(commit),
            Fault::After(_, error) => ready(Err(error)).boxed(),
            Fault::DoneUnknown => {
                let done = memory.commit(commit);
                async move { done.await.and(Err(StoreError::Unknown("no answer came".to_owned()))) }.boxed()
            }
            Fault::LostDone => async move {
                match memory.commit(commit).await {
                    Ok(Committed::Lost(_)) => Ok(Committed::Done(Cursor::START)),
                    outcome => outcome,
                }
            }
            .boxed(),
        }
    }

    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>> {
        let memory = self.ask("extend");
        if *self.extend_fails.lock() {
            return ready(Err(StoreError::Unavailable("a test".to_owned()))).boxed();
        }
        memory.extend(key, rev, at)
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        let found = self.ask("history").history(key, before, limit);
        async move {
            let mut found = found.await?;
            found.retain(|one| !self.lies(key, one.meta.rev, Lie::Hides));
            Ok(found)
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        self.ask("list").list(namespace, prefix, after, limit)
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        self.ask("namespaces").namespaces()
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        self.ask("pieces").pieces(namespace, ids)
    }

    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>> {
        let memory = self.ask("pin");
        if self.lies(key, rev, Lie::NoPin) { ready(Ok(true)).boxed() } else { memory.pin(key, rev, pin) }
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.ask("prune").prune(key, keep)
    }

    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        self.ask("latest").latest(namespace)
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        self.ask("watch").watch(namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.ask("due").due(now, limit)
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.ask("forget").forget(key, rev)
    }

    fn facts(&self) -> Facts {
        self.memory.facts()
    }

    fn most_revisions(&self) -> Option<u32> {
        *self.most.lock()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.close()
    }
}
