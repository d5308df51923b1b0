//! Upstreams in the order in which they are asked, as GOPROXY says: behind a `,` the next one when something is not there,
//! behind a `|` whatever went wrong, what was begun and broke off or turned out to be no answer among it.
//!
//! One that could not be reached is remembered for some seconds. For as long, nobody waits for it who has something else: an
//! answer that is old, or another upstream behind a `|`, which is asked first. Whoever has nothing else asks it all the same,
//! since a single mishap would otherwise fail everybody's builds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tradewind_core::{Clock, FaultKind, Moment};

use super::opened::Opened;
use super::{Reaching, Source, UpstreamError};
use crate::failure::{Failure, FailureKind};
use crate::name::Asked;
use crate::section::{Otherwise, Upstreams};

/// How long it is remembered that an upstream could not be reached.
const DOWN: Duration = Duration::from_secs(10);

/// Upstreams in the order in which they are asked.
pub(crate) struct Chain {
    hops: Vec<Hop>,
    clock: Arc<dyn Clock>,
}

/// One of them.
pub(super) struct Hop {
    pub(super) source: Source,
    pub(super) otherwise: Otherwise,
    /// When it could not be reached, if that was the last that was heard of it.
    down: Mutex<Option<Moment>>,
}

impl Chain {
    /// A chain as the section says.
    ///
    /// # Errors
    /// When a file or URL of it cannot be used.
    pub(crate) fn new(upstreams: &Upstreams, reaching: &Reaching<'_>) -> Result<Self, UpstreamError> {
        let hop = |hop: &crate::section::Hop| {
            let source = Source::new(&hop.source, reaching)?;
            Ok(Hop { source, otherwise: hop.otherwise, down: Mutex::default() })
        };
        let hops = upstreams.0.iter().map(hop).collect::<Result<_, UpstreamError>>()?;
        Ok(Self { hops, clock: Arc::clone(reaching.clock) })
    }

    /// A chain that has nothing.
    pub(crate) fn nothing(clock: &Arc<dyn Clock>) -> Self {
        Self { hops: Vec::new(), clock: Arc::clone(clock) }
    }

    /// Asks for something small, of at most `limit` bytes; with the name of who gave it.
    ///
    /// # Errors
    /// When nobody has it, or somebody failed behind whom nobody is asked.
    pub(crate) async fn get(&self, asked: &Asked, limit: usize) -> Result<(Bytes, Arc<str>), Failure> {
        self.get_as(asked, limit, |bytes, _| Ok(bytes)).await
    }

    /// [`Self::get`] of what `read` makes of the bytes and the name of who gave them: what it cannot read is a failure of that
    /// upstream.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn get_as<T>(
        &self,
        asked: &Asked,
        limit: usize,
        read: impl Fn(Bytes, &str) -> Result<T, Failure>,
    ) -> Result<(T, Arc<str>), Failure> {
        let mut walk = self.walk();
        loop {
            let opened = walk.open(asked).await?;
            let from = opened.from.clone();
            match opened.collect(limit).await.and_then(|bytes| read(bytes, &from)) {
                Ok(got) => return Ok((got, from)),
                Err(failure) => walk.failed(failure)?,
            }
        }
    }

    /// Begins at the first upstream.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { hops: &self.hops, clock: &self.clock, at: 0, later: VecDeque::new(), asked: None, last: None }
    }

    /// Whether there is nobody to ask at all.
    pub(crate) fn asks_nobody(&self) -> bool {
        self.hops.iter().all(|hop| matches!(hop.source, Source::Off))
    }

    /// Whether nobody can be reached, as far as it was tried in the last seconds.
    pub(crate) fn is_down(&self) -> bool {
        let mut is_down = false;
        for hop in &self.hops {
            match (hop.is_down(self.clock.now()), hop.otherwise) {
                (true, Otherwise::Missing) => return true,
                (true, Otherwise::Anything) => is_down = true,
                (false, _) => return false,
            }
        }
        is_down
    }

    /// The upstreams that may pass requests on to a checksum database: proxies and folders.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Hop> {
        self.hops.iter().take_while(|hop| matches!(hop.source, Source::Http(_) | Source::File(_)))
    }
}

impl Hop {
    /// Whether it could not be reached a moment ago.
    pub(super) fn is_down(&self, now: Moment) -> bool {
        self.down.lock().is_some_and(|at| now.since(at) < DOWN)
    }

    /// Remembers whether it could be reached.
    pub(super) fn note(&self, failure: Option<&Failure>, now: Moment) {
        *self.down.lock() = failure.filter(|failure| is_unreachable(failure)).map(|_| now);
    }
}

/// One question on its way along a chain.
pub(crate) struct Walk<'a> {
    hops: &'a [Hop],
    clock: &'a Arc<dyn Clock>,
    /// Who is next.
    at: usize,
    /// Who was passed over, and is asked when nobody else has it.
    later: VecDeque<&'a Hop>,
    /// Who is being asked, or was opened.
    asked: Option<&'a Hop>,
    /// What went wrong so far.
    last: Option<Failure>,
}

impl<'a> Walk<'a> {
    /// The next upstream that begins to answer. What comes of it is not checked yet: see [`Self::failed`].
    ///
    /// # Errors
    /// As [`Chain::get`].
    pub(crate) async fn open(&mut self, asked: &Asked) -> Result<Opened, Failure> {
        while let Some(hop) = self.next() {
            self.asked = Some(hop);
            match hop.source.open(asked).await {
                Ok(opened) => {
                    hop.note(None, self.clock.now());
                    return Ok(opened);
                }
                Err(failure) => self.failed(failure)?,
            }
        }
        Err(self.last.take().unwrap_or_else(|| Failure::missing("no upstream is asked about this module")))
    }

    fn next(&mut self) -> Option<&'a Hop> {
        while let Some(hop) = self.hops.get(self.at) {
            self.at += 1;
            let has_others = hop.otherwise == Otherwise::Anything && self.at < self.hops.len();
            if !has_others || !hop.is_down(self.clock.now()) {
                return Some(hop);
            }
            self.later.push_back(hop);
        }
        self.later.pop_front()
    }

    /// Says that the upstream failed that is being asked, or was opened last. What went wrong tells more than that somebody
    /// else does not have it, so that it is what is told in the end.
    ///
    /// # Errors
    /// What is to be told, when nobody is asked behind it.
    pub(crate) fn failed(&mut self, failure: Failure) -> Result<(), Failure> {
        let hop = self.asked.take();
        let goes_on = failure.is_missing() || hop.is_some_and(|hop| hop.otherwise == Otherwise::Anything);
        if let Some(hop) = hop {
            hop.note(Some(&failure), self.clock.now());
        }
        let tells_more = self.last.as_ref().is_none_or(Failure::is_missing) || !failure.is_missing();
        let told = if tells_more { failure } else { self.last.take().unwrap_or(failure) };
        if !goes_on {
            // Those that were passed over stand before it.
            self.at = self.hops.len();
            if self.later.is_empty() {
                return Err(told);
            }
        }
        self.last = Some(told);
        Ok(())
    }
}

/// Whether it says that nobody answers, rather than what somebody answered.
const fn is_unreachable(failure: &Failure) -> bool {
    use FaultKind::{
        ConnectRefused, ConnectTimeout, Dns, H2Refused, HeadersTimeout, IdleTimeout, ProxyFailed, ProxyLogin,
        ProxyUnreachable, Reset, Tls, TlsTimeout, WayBroken, WayNotBuilt, WayRejected, WayScript,
    };
    matches!(
        failure.kind,
        FailureKind::Upstream(
            Dns | ConnectRefused
                | ConnectTimeout
                | Tls
                | TlsTimeout
                | Reset
                | H2Refused
                | ProxyUnreachable
                | ProxyFailed
                | ProxyLogin
                | WayNotBuilt
                | WayRejected
                | WayBroken
                | WayScript
                | HeadersTimeout
                | IdleTimeout
        )
    )
}
