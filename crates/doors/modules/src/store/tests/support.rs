//! A store in a temporary folder, with a clock that is set by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tradewind_core::{Clock, Moment, UnixMillis};

use crate::name::ModuleVersion;
use crate::store::manifest::sample;
use crate::store::{Blob, Held, Limits, Manifest, Store, StoreError, Tree};

pub(super) const START: u64 = 1_795_294_621_000;

#[derive(Debug)]
pub(super) struct TestClock(AtomicU64);

impl TestClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(START)))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::START + Duration::from_millis(self.0.load(Ordering::Relaxed) - START)
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) clock: Arc<TestClock>,
    pub(super) store: Store,
    pub(super) tree: Tree,
}

impl Bench {
    pub(super) fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let store = Store::open(folder.path(), limits, clock.clone()).unwrap();
        Self { folder, clock, store, tree: Tree::new("go") }
    }

    /// The store as another process, or the next start, sees it.
    pub(super) fn reopened(&self, limits: Limits) -> Store {
        Store::open(self.folder.path(), limits, self.clock.clone()).unwrap()
    }

    pub(super) fn commit(&self, module: &str, version: &str, zip: &[u8]) -> Manifest {
        commit(&self.store, &self.tree, module, version, zip).unwrap()
    }

    pub(super) fn has(&self, module: &str, version: &str) -> bool {
        self.store.read(&self.tree, &of(module, version)).is_some()
    }

    pub(super) fn blob(&self, blob: &Blob) -> PathBuf {
        self.store.0.layout.blob(&blob.sha256)
    }

    pub(super) fn file(&self, module: &str, version: &str) -> PathBuf {
        self.store.0.layout.version(&self.tree, &of(module, version))
    }
}

pub(super) fn of(module: &str, version: &str) -> ModuleVersion {
    ModuleVersion::parse(&format!("{module}@{version}")).unwrap()
}

pub(super) fn held(store: &Store, zip: &[u8]) -> Result<Held, StoreError> {
    let mut incoming = store.incoming()?;
    for piece in zip.chunks(10_000) {
        incoming.write(piece)?;
    }
    Ok(incoming.finish())
}

pub(super) fn commit(
    store: &Store,
    tree: &Tree,
    module: &str,
    version: &str,
    zip: &[u8],
) -> Result<Manifest, StoreError> {
    let held = held(store, zip)?;
    let manifest = sample(module, version, held.blob());
    store.commit(tree, manifest, held).map(|kept| (*kept).clone())
}

/// Bytes that nobody else has.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}
