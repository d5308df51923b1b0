//! Fetches what is asked for, checks it, stores it, and only then lets it be given: each version once, however many ask.
//!
//! What a version is made of comes in two steps. Its info and its go.mod are small, and most of what the go command reads
//! are go.mod files; they are given as soon as the checksum database vouches for the go.mod (`head`). The zip follows in a
//! flight of its own (`zip`), and when it is here and was checked, the version is stored as a whole. How much comes in at once
//! is bounded for each list of upstreams (`places`). What a failure of an
//! upstream means for what is kept here already is decided in `answers`.

mod answers;
mod flights;
mod head;
mod info;
mod mount;
mod negative;
mod passed;
mod places;
mod stored;
mod zip;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_core::Clock;
use tradewind_egress::Spawner;

pub(crate) use self::answers::Changing;
use self::flights::Flights;
use self::head::Head;
pub(crate) use self::head::not_cached;
pub(crate) use self::info::Info;
pub(crate) use self::mount::{Building, MAIN, Mount};
use self::negative::Negatives;
pub(crate) use self::passed::Passed;
pub(crate) use self::zip::{Progress, Watch};
use crate::failure::Failure;
use crate::name::{Asked, ModuleVersion};
use crate::store::{Answer, Store, StoreError};

/// What may be fetched for an answer that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Nothing.
    Nothing,
    /// Info and go.mod.
    Head,
    /// These, and the zip behind them, where the document wants versions to be here whole.
    Whole,
}

/// Where what is given was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Taken {
    /// From the store.
    Stored,
    /// From an upstream, now.
    Fetched,
    /// From the store although it is not fresh, since no upstream could say better.
    Stale,
}

impl Taken {
    /// The name in metrics and records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Fetched => "fetched",
            Self::Stale => "stale",
        }
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Zips that came in, were checked and stored.
    pub(crate) zips: AtomicU64,
    /// Bytes of zips that came in.
    pub(crate) bytes: AtomicU64,
    /// Versions that were refused because of what came.
    pub(crate) unverified: AtomicU64,
}

/// What came of asking for a list, `@latest` or a query.
type Answered = Result<Arc<Answer>, Failure>;

/// What came of asking for the small files of a version.
type Headed = Result<Arc<Head>, Failure>;

/// What fetches. One for the life of the process, over all documents.
pub(crate) struct Fetcher {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    spawner: Spawner,
    heads: Flights<(u64, ModuleVersion), Option<Headed>>,
    zips: Flights<(u64, ModuleVersion), zip::Telling>,
    answers: Flights<(u64, Asked), Option<Answered>>,
    /// What was taken without a checksum database is compared with it.
    compared: Flights<(u64, ModuleVersion), Option<Result<(), Failure>>>,
    negatives: Negatives,
    /// Versions that a checksum database did not know a moment ago, and that may be given without.
    unvouched: Negatives,
}

impl Fetcher {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, spawner: Spawner) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            counters: Counters::default(),
            spawner,
            heads: Flights::default(),
            zips: Flights::default(),
            answers: Flights::default(),
            compared: Flights::default(),
            negatives: Negatives::default(),
            unvouched: Negatives::default(),
        })
    }

    /// Fetches that are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.heads.count() + self.zips.count() + self.answers.count()
    }

    /// Another document is in place: what was not there may be now.
    pub(crate) fn forget_failures(&self) {
        self.negatives.clear();
        self.unvouched.clear();
    }

    /// Does what blocks on the disk where that is allowed.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> T + Send + 'static) -> Result<T, Failure> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| Failure::internal("work on the store broke off"))
    }

    /// [`Self::blocking`] for what may fail.
    async fn storing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.blocking(work).await?.map_err(Failure::from)
    }

    /// Remembers a failure for as long as it is likely to be the answer to the same question.
    fn note_failure(&self, mount: &Mount, asked: &Asked, failure: &Failure) {
        use crate::failure::FailureKind::{Missing, Storage, Unverified};
        // A full disk among them: a zip would come from far each time, only to find that out.
        if matches!(failure.kind, Missing | Unverified | Storage) {
            self.negatives.note(&mount.tree, asked, failure, self.clock.now(), mount.missing);
        }
    }
}

impl Counters {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// What is said when the process ends before there is an answer.
fn stopping() -> Failure {
    Failure::new(crate::failure::FailureKind::Internal, 503, "the module proxy is stopping")
}
