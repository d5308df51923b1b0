//! The door itself: what a request asks for, who may have it, and the answer in the words of HTTP.
//!
//! It is served twice: below `/go/` on the gateway's own address, and at the root of `modules.listen`. How things are fetched
//! and checked is `fetch`'s; here they are only given.

mod answer;
mod body;
mod conditions;
mod give;
mod parsed;
mod record;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use http::{Method, header, request};
use tradewind_access::Grant;
use tradewind_core::{Clock, DecisionIds};
use tradewind_door::{Door, Refusal, Request, Response, discard, text_response};
use tradewind_egress::{Egress, Roots, Spawner};
use tradewind_runtime::Live;
use tradewind_telemetry::Sinks;

use self::answer::failed;
use self::parsed::Parsed;
use self::record::{Beginning, Recording};
use crate::catalog::Catalog;
use crate::failure::{Failure, FailureKind};
use crate::fetch::{Building, Fetcher, Mount, Taken};
use crate::name::Asked;
use crate::section::{Auth, Modules, MountSettings};
use crate::store::{Limits, Pins, Store};
use crate::upstream::{Mirrors, Netrc, UpstreamError};

/// Where the door is on the gateway's own address.
const BASE: &str = "/go";
/// The request header of those who want nothing fetched.
const DISABLE_FETCH: &str = "disable-module-fetch";

/// What the door needs from the rest of the process.
pub struct Needs {
    /// The way out.
    pub egress: Arc<Egress>,
    /// The authorities that upstreams are trusted by, where nothing else is said.
    pub roots: Roots,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Starts what goes on when its caller hangs up.
    pub spawner: Spawner,
    /// Where records go.
    pub sinks: Arc<Sinks>,
    /// The source of decision ids.
    pub ids: Arc<DecisionIds>,
    /// The folder of the store; made when the first document with the section is put in place.
    pub folder: PathBuf,
    /// The name of the network that the machine is in.
    pub network: Box<dyn Fn() -> Option<Arc<str>> + Send + Sync>,
}

/// The modules door. Without the section `modules` it serves nothing.
#[derive(Clone)]
pub struct ModulesDoor(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: Needs,
    fetcher: OnceLock<Arc<Fetcher>>,
    /// Kept over reloads, as what they know of repositories is.
    mirrors: Arc<Mirrors>,
    snapshot: Live<Option<Arc<Snapshot>>>,
    catalog: Catalog,
}

/// One document.
struct Snapshot {
    /// The longest prefix first.
    mounts: Vec<Arc<Mount>>,
    policy: Arc<str>,
}

/// Another document, ready to be put in place.
pub struct Prepared {
    snapshot: Option<Arc<Snapshot>>,
    limits: Option<Limits>,
}

impl Prepared {
    /// Whether the document has the section.
    #[must_use]
    pub const fn has_section(&self) -> bool {
        self.snapshot.is_some()
    }
}

impl ModulesDoor {
    /// A door for one document; without the section it waits for one that has it.
    ///
    /// # Errors
    /// When an upstream, a file or the store cannot be used.
    pub fn new(modules: Option<&Modules>, policy: &str, needs: Needs) -> Result<Self, UpstreamError> {
        let mirrors = Arc::new(Mirrors::new(needs.folder.join("git"), needs.clock.clone()));
        let (fetcher, snapshot, catalog) = (OnceLock::new(), Live::new(None), Catalog::default());
        let inner = Inner { needs, fetcher, mirrors, snapshot, catalog };
        let door = Self(Arc::new(inner));
        let prepared = door.prepare(modules, policy)?;
        door.put_in_place(prepared);
        Ok(door)
    }

    /// Makes everything of another document that could fail.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing has changed.
    pub fn prepare(&self, modules: Option<&Modules>, policy: &str) -> Result<Prepared, UpstreamError> {
        let Some(modules) = modules else { return Ok(Prepared { snapshot: None, limits: None }) };
        let limits = limits_of(modules)?;
        let fetcher = self.fetcher(&limits)?;
        let needs = &self.0.needs;
        let needs_netrc = |mount: &MountSettings| {
            let auths = [mount.auth.as_ref(), mount.private.as_ref().and_then(|private| private.auth.as_ref())];
            auths.contains(&Some(&Auth::Netrc))
        };
        let netrc = if modules.mounts.iter().any(needs_netrc) { Netrc::read()? } else { Netrc::default() };
        let building = Building {
            egress: &needs.egress,
            roots: &needs.roots,
            netrc: &netrc,
            mirrors: &self.0.mirrors,
            store: &fetcher.store,
            clock: &needs.clock,
            cache: &modules.cache,
        };
        let mounts = modules.mounts.iter().map(|mount| Mount::new(mount, &building).map(Arc::new));
        let snapshot = Snapshot { mounts: mounts.collect::<Result<_, _>>()?, policy: policy.into() };
        Ok(Prepared { snapshot: Some(Arc::new(snapshot)), limits: Some(limits) })
    }

    /// Puts another document in place. Calls in flight finish on the one that they started with.
    pub fn put_in_place(&self, prepared: Prepared) {
        if let (Some(fetcher), Some(limits)) = (self.0.fetcher.get(), prepared.limits) {
            fetcher.store.set_limits(limits);
            fetcher.forget_failures();
        }
        self.0.snapshot.swap(prepared.snapshot);
    }

    /// Counts what is stored, and removes what is too much: once, beside everything else. Blocks on the disk.
    pub fn settle(&self) -> Option<String> {
        let settled = self.0.fetcher.get()?.store.settle();
        settled.err().map(|error| format!("the store of modules: {error}"))
    }

    /// The door at the root of an address of its own.
    #[must_use]
    pub fn at_root(&self) -> RootDoor {
        RootDoor(self.clone())
    }

    /// What is counted beside calls, for metrics: fetches under way, then zips, their bytes, and versions refused because of
    /// what came.
    #[must_use]
    pub fn counted(&self) -> Counted {
        use std::sync::atomic::Ordering::Relaxed;
        self.0.fetcher.get().map_or_else(Counted::default, |fetcher| Counted {
            under_way: fetcher.under_way() as u64,
            zips: fetcher.counters.zips.load(Relaxed),
            bytes: fetcher.counters.bytes.load(Relaxed),
            unverified: fetcher.counters.unverified.load(Relaxed),
        })
    }

    /// A way back to the door for those that it holds itself, such as metrics: nothing once the door is gone.
    pub fn weak(&self) -> impl Fn() -> Option<Self> + Send + Sync + use<> + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map(Self)
    }

    /// The store, which is opened for the first document that has the section.
    fn fetcher(&self, limits: &Limits) -> Result<Arc<Fetcher>, UpstreamError> {
        if let Some(fetcher) = self.0.fetcher.get() {
            return Ok(Arc::clone(fetcher));
        }
        let needs = &self.0.needs;
        let store = Store::open(&needs.folder, limits.clone(), needs.clock.clone())
            .map_err(|error| UpstreamError::Store(error.to_string()))?;
        let fetcher = Fetcher::new(store, needs.clock.clone(), needs.spawner.clone());
        Ok(Arc::clone(self.0.fetcher.get_or_init(|| fetcher)))
    }

    fn is_open(&self) -> bool {
        self.0.snapshot.look().is_some()
    }

    fn answer(&self, request: Request, base: &'static str) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        if let Some(response) = self.at_once(&request, base) {
            return Box::pin(std::future::ready(response));
        }
        let this = self.clone();
        Box::pin(async move { this.respond(request, base).await })
    }

    /// The answer to who asks for a small zip that is in memory, and may have it: nothing has to be waited for. `None` for
    /// whatever else it is; then nothing has been done that [`Self::respond`] does again.
    fn at_once(&self, request: &Request, base: &str) -> Option<Response> {
        let Request { head, arrived, grant, .. } = request;
        let path = path_of(head, base);
        if !path.ends_with(".zip") || !matches!(head.method, Method::GET | Method::HEAD) {
            return None;
        }
        let inner = &self.0;
        let snapshot = inner.snapshot.look();
        let (snapshot, fetcher) = (Option::as_ref(&snapshot)?, inner.fetcher.get()?);
        let (mount, rest) = snapshot.mount_of(path);
        let parsed = Parsed::of(rest).ok()?;
        let Asked::Zip(of) = &parsed.asked else { return None };
        if refused(&parsed.asked, grant).is_some() {
            return None;
        }
        let (manifest, zip) = fetcher.at_hand(mount, of)?;
        let beginning =
            Beginning { inner: Arc::clone(inner), arrived: *arrived, grant, policy: &snapshot.policy, mount };
        let recording = Recording::begin(beginning, parsed.operation, &parsed.about);
        Some(give::stored_zip(&fetcher.store, head, &manifest, zip, Taken::Stored, recording))
    }

    async fn respond(&self, request: Request, base: &str) -> Response {
        let Request { head, body, arrived, grant, .. } = request;
        let inner = &self.0;
        let (Some(snapshot), Some(fetcher)) = (inner.snapshot.look().as_ref().clone(), inner.fetcher.get()) else {
            return text_response(404, "the module proxy is not configured\n");
        };
        let path = path_of(&head, base);
        let (mount, rest) = snapshot.mount_of(path);
        let beginning = Beginning { inner: Arc::clone(inner), arrived, grant: &grant, policy: &snapshot.policy, mount };
        if head.method != Method::GET && head.method != Method::HEAD {
            let recording = Recording::begin(beginning, "other", &rest.into());
            let failure = Failure::new(FailureKind::Path, 405, "the module proxy takes GET and HEAD");
            let mut response = failed(&failure, mount, recording);
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            if !discard(&head.headers, body).await {
                response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            return response;
        }
        if matches!(rest, "catalog" | "index") {
            let recording = Recording::begin(beginning, "catalog", &rest.into());
            let query = head.uri.query().unwrap_or_default();
            let listed = inner.catalog.answer(&fetcher.store, mount, rest, query, &grant, &inner.needs.clock).await;
            return match listed {
                Ok(listed) => give::listed(listed, rest == "index", &head, recording),
                Err(failure) => failed(&failure, mount, recording),
            };
        }
        let parsed = match Parsed::of(rest) {
            Ok(parsed) => parsed,
            Err(bad) => {
                let recording = Recording::begin(beginning, "other", &rest.into());
                let failure = Failure::new(FailureKind::Path, 404, format!("bad request: {bad}"));
                return failed(&failure, mount, recording);
            }
        };
        let recording = Recording::begin(beginning, parsed.operation, &parsed.about);
        if let Some(failure) = refused(&parsed.asked, &grant) {
            return failed(&failure, mount, recording);
        }
        let offline =
            head.headers.get(DISABLE_FETCH).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        give::Giving { fetcher, mount, head: &head, offline }.give(&parsed.asked, recording).await
    }
}

/// What is asked for behind `base`.
fn path_of<'h>(head: &'h request::Parts, base: &str) -> &'h str {
    head.uri.path().strip_prefix(base).unwrap_or_default().trim_start_matches('/')
}

/// What the door counts beside calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Fetches that are under way.
    pub under_way: u64,
    /// Zips that came in, were checked and stored.
    pub zips: u64,
    /// Bytes of zips that came in.
    pub bytes: u64,
    /// Versions that were refused because of what came.
    pub unverified: u64,
}

impl Snapshot {
    /// The mount with the longest prefix of `path`, and what is behind it.
    fn mount_of<'s, 'p>(&'s self, path: &'p str) -> (&'s Arc<Mount>, &'p str) {
        for mount in &self.mounts {
            if mount.prefix.is_empty() {
                return (mount, path);
            }
            if let Some(rest) = path.strip_prefix(mount.prefix.as_str()).and_then(|rest| rest.strip_prefix('/')) {
                return (mount, rest);
            }
        }
        (self.mounts.last().expect("the section itself is the last mount"), path)
    }
}

/// Why the caller's key may not have this, if so. What a checksum database says is public, and for every key: the go command
/// asks it also about modules that come from elsewhere.
fn refused(asked: &Asked, grant: &Grant) -> Option<Failure> {
    if grant.is_nobody() {
        return Some(Failure::new(FailureKind::NotAllowed, 403, "this needs a key"));
    }
    let path = asked.module().filter(|_| !matches!(asked, Asked::Sumdb(_)))?;
    if grant.is_anyone() {
        return None;
    }
    let resource = format!("modules/{path}");
    (!grant.allows(&resource)).then(|| {
        let key = grant.name().map_or_else(String::new, |name| format!(" `{name}`"));
        Failure::new(FailureKind::NotAllowed, 403, format!("the key{key} may not use {resource}"))
    })
}

fn limits_of(modules: &Modules) -> Result<Limits, UpstreamError> {
    let texts: Vec<&str> = modules.cache.pins.iter().map(|pin| pin.as_str()).collect();
    let pins = Pins::parse(&texts).map_err(|error| UpstreamError::Section(format!("cache.pins: {error}")))?;
    Ok(Limits { max_bytes: modules.cache.max_size.0, pins, ..Limits::default() })
}

impl Door for ModulesDoor {
    fn serves(&self, path: &str) -> bool {
        path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && self.is_open()
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        self.answer(request, BASE)
    }

    fn refuse(&self, _: &request::Parts, refusal: &Refusal) -> Response {
        plain(refusal)
    }
}

/// The modules door at the root of an address of its own.
pub struct RootDoor(ModulesDoor);

impl Door for RootDoor {
    fn serves(&self, _: &str) -> bool {
        self.0.is_open()
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        self.0.answer(request, "")
    }

    fn refuse(&self, _: &request::Parts, refusal: &Refusal) -> Response {
        plain(refusal)
    }
}

/// A refusal as the go command shows it to its user.
fn plain(refusal: &Refusal) -> Response {
    let mut response = text_response(refusal.status, format!("{} ({})\n", refusal.message, refusal.code));
    if let Some(after) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
    }
    response
}
