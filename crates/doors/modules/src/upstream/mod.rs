//! Where modules come from: a chain of upstreams, asked one after the other as GOPROXY says.
//!
//! What a `,` and a `|` mean is the chain's matter alone; each upstream says either that there is no such thing, or what
//! went wrong. Nothing here is checked beyond its size: that is `fetch`'s.

mod auth;
mod file;
mod git;
mod http;
mod netrc;
mod opened;
mod redirect;
mod sumdb;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::FaultKind;
use tradewind_egress::{Egress, Http2, Origin, Roots};
use tradewind_runtime::files;

use self::git::Git;
pub(crate) use self::git::Mirrors;
#[cfg(test)]
pub(crate) use self::git::Packer;
use self::http::HttpSource;
pub(crate) use self::netrc::Netrc;
pub(crate) use self::opened::Opened;
pub(crate) use self::sumdb::{LARGEST as SUMDB_LARGEST, SumdbSource};
use crate::failure::Failure;
use crate::name::Asked;
use crate::section::{Auth, HopSource, Otherwise, Upstreams};

/// Why an upstream cannot be used although the section is well formed.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The file of certificate authorities.
    #[error("modules.tls-roots: {0}")]
    Roots(tradewind_egress::RootsError),
    /// The URL.
    #[error("modules.upstream: {0}")]
    Origin(tradewind_egress::ParseOriginError),
    /// Credentials that cannot stand in a header.
    #[error("modules.auth: it cannot be sent as an HTTP header")]
    Header,
    /// The netrc file.
    #[error("modules.auth: the netrc file {0} cannot be read: {1}")]
    Netrc(String, std::io::Error),
    /// A checksum database.
    #[error("modules.sumdb: {0}")]
    Sumdb(String),
    /// Patterns and the like.
    #[error("modules: {0}")]
    Section(String),
    /// The store.
    #[error("modules: the store cannot be used: {0}")]
    Store(String),
}

/// With what upstreams are reached.
pub(crate) struct Reaching<'a> {
    pub(crate) egress: &'a Arc<Egress>,
    pub(crate) roots: &'a Roots,
    pub(crate) tls_roots: Option<&'a str>,
    pub(crate) via: Option<&'a Arc<str>>,
    pub(crate) auth: Option<&'a Auth>,
    pub(crate) netrc: &'a Netrc,
    pub(crate) mirrors: &'a Arc<Mirrors>,
}

/// Upstreams in the order in which they are asked.
pub(crate) struct Chain {
    hops: Vec<Hop>,
}

struct Hop {
    source: Source,
    otherwise: Otherwise,
}

enum Source {
    Http(HttpSource),
    File(file::FileSource),
    Direct(Git),
    Off,
}

impl Chain {
    /// A chain as the section says.
    ///
    /// # Errors
    /// When a file or URL of it cannot be used.
    pub(crate) fn new(upstreams: &Upstreams, reaching: &Reaching<'_>) -> Result<Self, UpstreamError> {
        let mut hops = Vec::with_capacity(upstreams.0.len());
        for hop in &upstreams.0 {
            let source = match &hop.source {
                HopSource::Http(url) => Source::Http(http_source(url.as_str(), url.path(), reaching)?),
                HopSource::File(folder) => Source::File(file::FileSource::new(folder)),
                HopSource::Direct => Source::Direct(Git {
                    mirrors: Arc::clone(reaching.mirrors),
                    egress: Arc::clone(reaching.egress),
                    roots: reaching.roots.clone(),
                    via: reaching.via.cloned(),
                }),
                HopSource::Off => Source::Off,
            };
            hops.push(Hop { source, otherwise: hop.otherwise });
        }
        Ok(Self { hops })
    }

    /// A chain that has nothing, which says `reason` when it is asked.
    pub(crate) const fn nothing() -> Self {
        Self { hops: Vec::new() }
    }

    /// Asks for something small, of at most `limit` bytes; with the name of who gave it.
    ///
    /// # Errors
    /// When nobody has it, or somebody failed behind whom nobody is asked.
    pub(crate) async fn get(&self, asked: &Asked, limit: usize) -> Result<(Bytes, Arc<str>), Failure> {
        let mut last = Last::default();
        for hop in &self.hops {
            let got = match hop.source.open(asked).await {
                Ok(opened) => {
                    let from = opened.from.clone();
                    opened.collect(limit).await.map(|bytes| (bytes, from))
                }
                Err(failure) => Err(failure),
            };
            match got {
                Ok(got) => return Ok(got),
                Err(failure) => last.note(failure, hop.otherwise)?,
            }
        }
        Err(last.failure())
    }

    /// Asks for something large.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn open(&self, asked: &Asked) -> Result<Opened, Failure> {
        let mut last = Last::default();
        for hop in &self.hops {
            match hop.source.open(asked).await {
                Ok(opened) => return Ok(opened),
                Err(failure) => last.note(failure, hop.otherwise)?,
            }
        }
        Err(last.failure())
    }

    /// The upstreams that may pass requests on to a checksum database: proxies and folders.
    fn proxies(&self) -> impl Iterator<Item = (&Source, Otherwise)> {
        let is_proxy = |hop: &&Hop| matches!(hop.source, Source::Http(_) | Source::File(_));
        self.hops.iter().take_while(is_proxy).map(|hop| (&hop.source, hop.otherwise))
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Last(Option<Failure>);

impl Last {
    /// Notes a failure; an error when nobody is asked behind it. What went wrong tells more than that somebody else does
    /// not have it, so that it is what is told in the end.
    fn note(&mut self, failure: Failure, otherwise: Otherwise) -> Result<(), Failure> {
        let goes_on = failure.is_missing() || otherwise == Otherwise::Anything;
        let tells_more = self.0.as_ref().is_none_or(Failure::is_missing) || !failure.is_missing();
        if tells_more {
            self.0 = Some(failure);
        }
        if goes_on { Ok(()) } else { Err(self.0.take().expect("it was just put there")) }
    }

    fn failure(self) -> Failure {
        self.0.unwrap_or_else(|| Failure::missing("no upstream is asked about this module"))
    }
}

impl Source {
    async fn open(&self, asked: &Asked) -> Result<Opened, Failure> {
        match self {
            Self::Http(source) => source.open(&asked.percent_encoded()).await,
            Self::File(source) => source.open(&asked.escaped()).await,
            Self::Direct(git) => git.open(asked).await,
            Self::Off => Err(Failure::missing("not stored here, and upstreams are off")),
        }
    }

    /// Asks for a path of the protocol.
    async fn open_path(&self, path: &str) -> Result<Opened, Failure> {
        match self {
            Self::Http(source) => source.open(path).await,
            Self::File(source) => source.open(path).await,
            Self::Direct(_) | Self::Off => Err(Failure::missing("no proxy")),
        }
    }
}

/// An upstream at this URL.
fn http_source(url: &str, path: &str, reaching: &Reaching<'_>) -> Result<HttpSource, UpstreamError> {
    let origin = Origin::parse(url).map_err(UpstreamError::Origin)?;
    let (roots, roots_name) = match reaching.tls_roots {
        None => (reaching.roots.clone(), String::new()),
        Some(file) => {
            let path = files::expand_home(file);
            (Roots::from_file(Path::new(&path)).map_err(UpstreamError::Roots)?, file.to_owned())
        }
    };
    let auth = auth::headers(reaching.auth, &origin, reaching.netrc)?;
    let route = reaching.egress.route(origin, Http2::Auto, &roots, &roots_name, reaching.via);
    Ok(HttpSource::new(Arc::clone(reaching.egress), route, roots, roots_name, path.trim_end_matches('/').into(), auth))
}

/// The failure of an upstream that did not answer as it should.
fn broken(from: &str, what: impl std::fmt::Display) -> Failure {
    Failure::upstream(FaultKind::Protocol, 502, format!("{from}: {what}"))
}
