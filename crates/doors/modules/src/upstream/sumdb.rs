//! A checksum database, reached through an upstream or at its own address, as the go command looks for it: each proxy is
//! asked whether it passes requests on, and where none does, the database itself is asked. Who was found so is asked from then
//! on, until it fails.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tradewind_core::{Clock, Moment};

use super::chain::{Chain, Hop};
use super::{Reaching, Source as Upstream, UpstreamError, http_source};
use crate::failure::Failure;
use crate::section::{Otherwise, SumdbSettings};
use crate::sumdb::{MAX_ANSWER, Source, SourceError};

/// The most bytes of an answer that is passed through; a tile of records is the largest.
pub(crate) const LARGEST: usize = if MAX_ANSWER > (1 << 20) { MAX_ANSWER } else { 1 << 20 };
/// How long it is remembered who passes requests on.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(300);

/// One checksum database as one mount reaches it.
pub(crate) struct SumdbSource {
    name: Arc<str>,
    chain: Arc<Chain>,
    /// The database itself; what `url` says, or the host that it is named after.
    own: Upstream,
    /// Whether only the database itself is asked.
    only_own: bool,
    clock: Arc<dyn Clock>,
    found: Mutex<Option<(Route, Moment)>>,
}

/// Who answers for the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// The upstream at this place of the chain.
    Through(usize),
    /// The database itself.
    Own,
}

impl SumdbSource {
    pub(crate) fn new(
        settings: &SumdbSettings,
        chain: Arc<Chain>,
        reaching: &Reaching<'_>,
    ) -> Result<Self, UpstreamError> {
        let url = settings.url.clone().unwrap_or_else(|| format!("https://{}", settings.name()));
        let base = tradewind_policy::BaseUrl::parse(&url).map_err(|error| UpstreamError::Sumdb(error.to_string()))?;
        // The credentials are those of the upstreams.
        let without = Reaching { auth: None, ..*reaching };
        let own = Upstream::Http(http_source(base.as_str(), base.path(), &without)?);
        let only_own = settings.url.is_some();
        let clock = Arc::clone(reaching.clock);
        Ok(Self { name: settings.name().into(), chain, own, only_own, clock, found: Mutex::new(None) })
    }

    /// Who answered for it the last time, if that is still believed.
    fn remembered(&self) -> Option<Route> {
        if self.only_own {
            return Some(Route::Own);
        }
        let found = *self.found.lock();
        found.filter(|(_, at)| self.clock.now().since(*at) < REMEMBERED).map(|(route, _)| route)
    }

    /// Asks who answers for it; those that could not be reached a moment ago after the others. That nobody does is remembered
    /// only when everybody said so.
    async fn find(&self) -> Result<Route, Failure> {
        let is_late = |hop: &Hop| hop.otherwise == Otherwise::Anything && hop.is_down(self.clock.now());
        let (late, early): (Vec<_>, Vec<_>) = self.chain.proxies().enumerate().partition(|(_, hop)| is_late(hop));
        let mut is_certain = true;
        for (place, hop) in early.into_iter().chain(late) {
            match self.passes_on(hop).await {
                Ok(()) => {
                    *self.found.lock() = Some((Route::Through(place), self.clock.now()));
                    return Ok(Route::Through(place));
                }
                Err(failure) if failure.is_missing() => {}
                Err(_) if hop.otherwise == Otherwise::Anything => is_certain = false,
                Err(failure) => return Err(failure),
            }
        }
        *self.found.lock() = is_certain.then(|| (Route::Own, self.clock.now()));
        Ok(Route::Own)
    }

    async fn passes_on(&self, hop: &Hop) -> Result<(), Failure> {
        let asked = hop.source.open_path(&format!("sumdb/{}/supported", self.name)).await;
        hop.note(asked.as_ref().err(), self.clock.now());
        asked.map(drop)
    }

    /// What is at `path`, such as `lookup/…`, which may hold `!`. When the one fails that was found earlier, it is asked anew
    /// who answers: at once where others may.
    pub(crate) async fn ask(&self, path: &str) -> Result<Bytes, Failure> {
        let path = path.trim_start_matches('/');
        let Some(route) = self.remembered() else { return self.ask_by(self.find().await?, path).await };
        let failure = match self.ask_by(route, path).await {
            Err(failure) if !failure.is_missing() && !self.only_own => failure,
            answered => return answered,
        };
        *self.found.lock() = None;
        let may_others = match route {
            Route::Own => true,
            Route::Through(place) => {
                let hop = self.chain.proxies().nth(place);
                hop.is_some_and(|hop| {
                    hop.note(Some(&failure), self.clock.now());
                    hop.otherwise == Otherwise::Anything
                })
            }
        };
        match if may_others { self.find().await } else { Err(failure.clone()) } {
            Ok(again) if again != route => self.ask_by(again, path).await,
            _ => Err(failure),
        }
    }

    async fn ask_by(&self, route: Route, path: &str) -> Result<Bytes, Failure> {
        let opened = match route {
            Route::Own => self.own.open_path(path).await?,
            Route::Through(place) => match self.chain.proxies().nth(place) {
                Some(hop) => hop.source.open_path(&format!("sumdb/{}/{path}", self.name)).await?,
                None => return Err(Failure::internal("the upstream of the checksum database is gone")),
            },
        };
        opened.collect(LARGEST).await
    }
}

impl Source for SumdbSource {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        Box::pin(async move {
            self.ask(path).await.map_err(|failure| {
                let reason = failure.reason.to_string();
                if failure.is_missing() { SourceError::NotThere(reason) } else { SourceError::Unreachable(reason) }
            })
        })
    }
}
