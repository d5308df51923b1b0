//! Where modules come from: a chain of upstreams, asked one after the other as GOPROXY says.
//!
//! What a `,` and a `|` mean is the chain's matter alone (`chain`); each upstream says either that there is no such thing, or what
//! went wrong. Nothing here is checked beyond its size: that is `fetch`'s.

mod auth;
mod chain;
mod file;
mod git;
mod http;
mod netrc;
mod opened;
mod redirect;
mod sumdb;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tradewind_core::{Clock, FaultKind, percent_decoded};
use tradewind_egress::{Egress, Http2, Origin, Roots};
use tradewind_runtime::files;

pub(crate) use self::chain::Chain;
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
use crate::section::{Auth, HopSource};

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
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) roots: &'a Roots,
    pub(crate) tls_roots: Option<&'a str>,
    pub(crate) via: Option<&'a Arc<str>>,
    pub(crate) auth: Option<&'a Auth>,
    pub(crate) netrc: &'a Netrc,
    pub(crate) mirrors: &'a Arc<Mirrors>,
}

/// One upstream.
enum Source {
    Http(HttpSource),
    File(file::FileSource),
    Direct(Git),
    Off,
}

impl Source {
    fn new(source: &HopSource, reaching: &Reaching<'_>) -> Result<Self, UpstreamError> {
        Ok(match source {
            HopSource::Http(url) => Self::Http(http_source(url.as_str(), url.path(), reaching)?),
            HopSource::File(folder) => Self::File(file::FileSource::new(folder)),
            HopSource::Direct => Self::Direct(Git {
                mirrors: Arc::clone(reaching.mirrors),
                egress: Arc::clone(reaching.egress),
                roots: reaching.roots.clone(),
                via: reaching.via.cloned(),
            }),
            HopSource::Off => Self::Off,
        })
    }

    async fn open(&self, asked: &Asked) -> Result<Opened, Failure> {
        match self {
            Self::Http(source) => source.open(&asked.percent_encoded()).await,
            Self::File(source) => source.open(&asked.escaped()).await,
            Self::Direct(git) => git.open(asked).await,
            Self::Off => Err(Failure::missing("not stored here, and upstreams are off")),
        }
    }

    /// Asks for a path of the protocol, percent-encoded as far as it has to be for HTTP.
    async fn open_path(&self, path: &str) -> Result<Opened, Failure> {
        match self {
            Self::Http(source) => source.open(path).await,
            Self::File(source) => source.open(&percent_decoded(path)).await,
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
    let (egress, clock) = (Arc::clone(reaching.egress), Arc::clone(reaching.clock));
    Ok(HttpSource::new(egress, clock, route, roots, roots_name, path.trim_end_matches('/').into(), auth))
}

/// The failure of an upstream that did not answer as it should.
fn broken(from: &str, what: impl std::fmt::Display) -> Failure {
    Failure::upstream(FaultKind::Protocol, 502, format!("{from}: {what}"))
}
