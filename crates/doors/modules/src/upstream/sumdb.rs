//! A checksum database, reached through an upstream or at its own address, as the go command looks for it: each proxy is
//! asked whether it passes requests on, and where none does, the database itself is asked.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tradewind_core::{Clock, Moment};

use super::{Chain, Reaching, Source as Upstream, UpstreamError, http_source};
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
        clock: Arc<dyn Clock>,
    ) -> Result<Self, UpstreamError> {
        let url = settings.url.clone().unwrap_or_else(|| format!("https://{}", settings.name()));
        let base = tradewind_policy::BaseUrl::parse(&url).map_err(|error| UpstreamError::Sumdb(error.to_string()))?;
        // The credentials are those of the upstreams.
        let without = Reaching { auth: None, ..*reaching };
        let own = Upstream::Http(http_source(base.as_str(), base.path(), &without)?);
        let only_own = settings.url.is_some();
        Ok(Self { name: settings.name().into(), chain, own, only_own, clock, found: Mutex::new(None) })
    }

    /// Who answers for it: asked again now and then.
    async fn route(&self) -> Result<Route, Failure> {
        if self.only_own {
            return Ok(Route::Own);
        }
        if let Some((route, at)) = *self.found.lock()
            && self.clock.now().since(at) < REMEMBERED
        {
            return Ok(route);
        }
        let supported = format!("sumdb/{}/supported", self.name);
        let mut found = Route::Own;
        for (place, (source, otherwise)) in self.chain.proxies().enumerate() {
            match source.open_path(&supported).await {
                Ok(_) => {
                    found = Route::Through(place);
                    break;
                }
                Err(failure) if failure.is_missing() || otherwise == Otherwise::Anything => {}
                Err(failure) => return Err(failure),
            }
        }
        *self.found.lock() = Some((found, self.clock.now()));
        Ok(found)
    }

    /// What is at `path`, such as `lookup/…`, which may hold `!`.
    pub(crate) async fn ask(&self, path: &str) -> Result<Bytes, Failure> {
        let path = path.trim_start_matches('/');
        let opened = match self.route().await? {
            Route::Own => self.own.open_path(path).await?,
            Route::Through(place) => match self.chain.proxies().nth(place) {
                Some((source, _)) => source.open_path(&format!("sumdb/{}/{path}", self.name)).await?,
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
