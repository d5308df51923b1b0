//! A small client for the gateway's own API, over the same egress as everything else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use tradewind_core::{Fault, FaultKind};
use tradewind_egress::{Answer, Egress, EgressSettings, Http2, Origin, RequestBody, Roots, Route, Spawner};
use tradewind_runtime::{Kind, Supervisor, SystemClock};

const PATIENCE: Duration = Duration::from_secs(15);
const HINT: &str = "  = hint: start the gateway with `tradewind run`, or say where it listens with --url";
const TLS_HINT: &str = "  = hint: --ca FILE names who vouches for its certificate, when that is nobody whom the system \
                        knows; the name in --url has to be one of those in the certificate";

/// A client of one gateway; clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    route: Arc<Route>,
}

impl Client {
    /// A client of the gateway at `url`, which has neither path nor query, and whose certificate, if it has one, `roots`
    /// vouch for. Connects with the first request.
    pub(super) fn new(url: &str, roots: &Roots) -> anyhow::Result<Self> {
        let supervisor = Supervisor::new();
        let spawner = Spawner::new(move |task| supervisor.spawn(Kind::Upkeep, task));
        let egress = Egress::new(Arc::new(SystemClock::new()), spawner, EgressSettings::default());
        let origin =
            Origin::parse(url).map_err(|error| anyhow!("{error}\n  = hint: write it like http://127.0.0.1:7080"))?;
        Ok(Self { route: egress.route(origin, Http2::Never, roots, "", None) })
    }

    /// Sends a request and waits for the head of its answer; only connecting is bounded.
    pub(super) async fn send(&self, build: &(dyn Fn() -> Request<RequestBody> + Send + Sync)) -> Result<Answer, Fault> {
        self.route.send(build, PATIENCE, true, 0).await
    }
}

/// A gateway to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Where it listens.
    pub(super) url: &'a str,
    /// The key to ask with, where it needs one.
    pub(super) key: Option<&'a str>,
    /// The certificate authorities that vouch for it, in PEM; without it the system's.
    pub(super) ca: Option<&'a Path>,
}

/// What came of asking a gateway.
pub(super) enum Asked {
    /// It answered with this status and body.
    Answer(u16, Bytes),
    /// Nobody listens there, and why.
    Nobody(String),
}

/// Gets `path` from the gateway at `place`.
pub(super) fn get(place: Place<'_>, path: &str) -> anyhow::Result<(u16, Bytes)> {
    match ask(place, path)? {
        Asked::Answer(status, body) => Ok((status, body)),
        Asked::Nobody(why) => bail!("no gateway answers at {}: {why}\n{HINT}", place.url),
    }
}

/// Sends `body` to `path` of the gateway at `place`.
pub(super) fn send(place: Place<'_>, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<(u16, Bytes)> {
    match request(place, method, path, body.into())? {
        Asked::Answer(status, body) => Ok((status, body)),
        Asked::Nobody(why) => bail!("no gateway answers at {}: {why}\n{HINT}", place.url),
    }
}

/// [`get`] for whoever can do without a gateway.
pub(super) fn ask(place: Place<'_>, path: &str) -> anyhow::Result<Asked> {
    request(place, Method::GET, path, Bytes::new())
}

fn request(place: Place<'_>, method: Method, path: &str, body: Bytes) -> anyhow::Result<Asked> {
    let Place { url, key, ca } = place;
    let roots = ca.map_or_else(|| Ok(Roots::system()), Roots::from_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new(url, &roots)?;
        let uri: http::Uri = path.parse().context("the path is not a URI")?;
        let bearer = key.map(|key| http::HeaderValue::try_from(format!("Bearer {}", key.trim())));
        let bearer = bearer.transpose().context("the key cannot stand in a header")?;
        let build = || {
            let mut request = Request::new(RequestBody::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            if let Some(bearer) = &bearer {
                request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
            }
            request
        };
        let asking = async {
            let answer = client.send(&build).await?;
            let body = answer.body.collect().await?.to_bytes();
            Ok::<_, Fault>((answer.head.status.as_u16(), body))
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok((status, body))) => Ok(Asked::Answer(status, body)),
            Ok(Err(fault)) if matches!(fault.kind, FaultKind::ConnectRefused | FaultKind::ConnectTimeout) => {
                Ok(Asked::Nobody(fault.detail.into_owned()))
            }
            Ok(Err(fault)) if fault.kind == FaultKind::Tls => {
                bail!("the certificate of the gateway at {url} is not accepted: {}\n{TLS_HINT}", fault.detail)
            }
            Ok(Err(fault)) => bail!("no gateway answers at {url}: {}\n{HINT}", fault.detail),
            Err(_) => bail!("the gateway at {url} did not answer within {} s\n{HINT}", PATIENCE.as_secs()),
        }
    })
}
