//! How much is fetched at once from one list of upstreams.
//!
//! Each list has places of its own, so that upstreams that are slow, or mean to be, keep nobody from what others have. What is
//! begun goes on when its caller has hung up, so that the bound on calls bounds nothing here; without one, a client and an
//! upstream together could fill the memory with answers that never end.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tradewind_core::FaultKind;

use super::stopping;
use crate::failure::Failure;

/// Versions whose info and go.mod come in at once.
const HEADS: usize = 64;
/// Lists, `@latest` and queries that come in at once.
const ANSWERS: usize = 32;
/// Zips that come in at once.
const ZIPS: usize = 32;
/// Of these, zips that nobody has asked for yet.
const AHEAD: usize = 6;
/// All that somebody has asked for, and that comes in or waits for a place.
const UNDER_WAY: usize = 4096;
/// Zips that nobody has asked for, and that come in or wait. A build reads go.mod files by the thousand: what cannot wait
/// here comes when somebody asks for it.
const UNDER_WAY_AHEAD: usize = 4096;

/// The places for what comes from one list of upstreams.
pub(super) struct Places {
    heads: Semaphore,
    answers: Semaphore,
    zips: Semaphore,
    ahead: Semaphore,
    under_way: Arc<Semaphore>,
    under_way_ahead: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            heads: Semaphore::new(HEADS),
            answers: Semaphore::new(ANSWERS),
            zips: Semaphore::new(ZIPS),
            ahead: Semaphore::new(AHEAD),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            under_way_ahead: Arc::new(Semaphore::new(UNDER_WAY_AHEAD)),
        }
    }
}

/// A place that is given back when it is dropped.
pub(super) type Place<'a> = Result<SemaphorePermit<'a>, Failure>;

impl Places {
    /// Room for one thing more that comes in or waits.
    ///
    /// # Errors
    /// When there is too much of it already.
    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit, Failure> {
        room(&self.under_way)
    }

    /// Room for one zip more that nobody has asked for; it takes none from what somebody asks for.
    ///
    /// # Errors
    /// When too many wait already.
    pub(super) fn room_ahead(&self) -> Result<OwnedSemaphorePermit, Failure> {
        room(&self.under_way_ahead)
    }

    /// For the small files of a version.
    pub(super) async fn head(&self) -> Place<'_> {
        place(self.heads.acquire().await)
    }

    /// For an answer that changes with time. It may wait for small files of versions, and never the other way round.
    pub(super) async fn answer(&self) -> Place<'_> {
        place(self.answers.acquire().await)
    }

    /// For a zip. Taken when all else is here that is needed of the version.
    pub(super) async fn zip(&self) -> Place<'_> {
        place(self.zips.acquire().await)
    }

    /// For a version whose zip nobody has asked for.
    pub(super) async fn ahead(&self) -> Place<'_> {
        place(self.ahead.acquire().await)
    }
}

fn room(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    let reason = "the module proxy is fetching too much already: try again in a moment";
    Arc::clone(of).try_acquire_owned().map_err(|_| Failure::upstream(FaultKind::Busy, 503, reason))
}

fn place(acquired: Result<SemaphorePermit<'_>, AcquireError>) -> Place<'_> {
    acquired.map_err(|_| stopping())
}
