//! A way to one origin, with its pool.
//!
//! Where the route has a `via`, the chooser is asked for each request, and connections are taken from those that were opened
//! by the same way alone; where a login belongs to a connection (NTLM, Negotiate), also for the same caller alone.
//!
//! Bounds: at most [`EgressSettings::idle_per_route`] idle connections a route over all workers, in equal shares, and
//! [`IDLE_ELSEWHERE`] for threads that are none, each for at most [`EgressSettings::idle_for`]; a connection beyond that is
//! closed instead of kept. The number of connections in use is bounded by the permits of `dispatch`.
//!
//! Idle connections are kept by worker ([`Shards`]): a worker takes its own first, then another's, which it makes its own.
//! Threads that are no workers have a place together, and make every connection that they take their own.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tradewind_core::{Clock, Fault, FaultKind, Moment};

use crate::classify::{Stage, http1_fault, hyper_fault};
use crate::connect::{Progress, bounded, tcp, tls};
use crate::dialing::Way;
use crate::http1::{Connection, Received, Tag};
use crate::resolve::Resolver;
use crate::{
    AnswerBody, Chooser, Destination, Dialing, DirectOnly, Host, Http2, HttpHop, Origin, Outbound, Roots, Spawner,
    Stream,
};

/// The body of every request: it has been read whole, so that it can be sent again to another target.
pub type RequestBody = Full<Bytes>;

/// Idle connections that threads which are no workers keep for each route: they look up models, embed texts at a start,
/// and export, one request after the other.
const IDLE_ELSEWHERE: usize = 8;

/// Bounds of the pools.
#[derive(Clone, Copy, Debug)]
pub struct EgressSettings {
    /// Idle connections kept for each route by the workers.
    pub idle_per_route: usize,
    /// How long an idle connection is kept.
    pub idle_for: Duration,
    /// The head of a response, in bytes.
    pub head: usize,
    /// The threads that send, each with a runtime of its own.
    pub shards: Shards,
}

/// How many threads with a runtime of their own send, and which of them this one is. A pool that they shared would give
/// each the connections of the others, whose sockets are watched by another thread.
#[derive(Clone, Copy, Debug)]
pub struct Shards {
    /// How many there are.
    pub count: usize,
    /// The number of the thread that asks, below `count`. Whoever is none of them (`None`, or another number) sends on a
    /// runtime that is none of theirs.
    pub current: fn() -> Option<usize>,
}

impl Default for Shards {
    /// One runtime that everything is sent on.
    fn default() -> Self {
        Self { count: 1, current: || Some(0) }
    }
}

impl Shards {
    /// How many places for idle connections there are: one for each thread, the last one for all others.
    const fn places(&self) -> usize {
        self.count + 1
    }

    /// The place of the thread that asks.
    fn here(&self) -> usize {
        (self.current)().filter(|here| *here < self.count).unwrap_or(self.count)
    }

    /// Whether everything in this place is watched by the runtime of the thread that asks, who asked for its own place.
    /// The others may be of several runtimes.
    const fn is_one_runtimes(&self, place: usize) -> bool {
        place < self.count
    }
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self { idle_per_route: 256, idle_for: Duration::from_secs(55), head: 64 * 1024, shards: Shards::default() }
    }
}

/// What all routes share: name cache, spawner, bounds, and the routes themselves, so that a reload keeps the pools.
pub struct Egress {
    clock: Arc<dyn Clock>,
    spawner: Spawner,
    settings: EgressSettings,
    resolver: Arc<Resolver>,
    chooser: ArcSwap<Arc<dyn Chooser>>,
    routes: Mutex<HashMap<RouteKey, Arc<Route>>>,
}

#[derive(PartialEq, Eq, Hash)]
struct RouteKey {
    origin: Origin,
    http2: Http2,
    /// Tells apart routes whose trusted roots differ.
    roots: String,
    via: Option<Arc<str>>,
}

impl Egress {
    /// An egress without routes and without ways out but the direct one.
    pub fn new(clock: Arc<dyn Clock>, spawner: Spawner, settings: EgressSettings) -> Arc<Self> {
        let resolver = Arc::new(Resolver::new(clock.clone()));
        let chooser: Arc<dyn Chooser> = Arc::new(DirectOnly::default());
        let chooser = ArcSwap::from_pointee(chooser);
        Arc::new(Self { clock, spawner, settings, resolver, chooser, routes: Mutex::new(HashMap::new()) })
    }

    /// Has `chooser` say what the names of ways out stand for, from now on.
    pub fn set_chooser(&self, chooser: Arc<dyn Chooser>) {
        self.chooser.store(Arc::new(chooser));
    }

    /// Who resolves names.
    #[must_use]
    pub const fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// What a connection along a way out is opened with, within `limit`.
    #[must_use]
    pub fn dialing(&self, limit: Duration) -> Dialing {
        let chooser = Arc::clone(&*self.chooser.load_full());
        Dialing { resolver: self.resolver.clone(), chooser, limit, forbid: None }
    }

    /// The route to `origin`, by the proxy or group `via`, or directly. `roots_name` names the set of trusted roots; routes
    /// with another set have another pool.
    pub fn route(
        self: &Arc<Self>,
        origin: Origin,
        http2: Http2,
        roots: &Roots,
        roots_name: &str,
        via: Option<&Arc<str>>,
    ) -> Arc<Route> {
        let key = RouteKey { origin, http2, roots: roots_name.to_owned(), via: via.cloned() };
        let mut routes = self.routes.lock();
        if let Some(route) = routes.get(&key) {
            return route.clone();
        }
        let origin = key.origin.clone();
        let route = Arc::new(Route {
            http2,
            host: origin.host_header(),
            name: origin.to_string(),
            tls: origin.tls.then(|| roots.client(http2)),
            to: Destination { host: Host::parse(&origin.host), port: origin.port },
            via: key.via.clone(),
            origin,
            egress: self.clone(),
            idle: (0..self.settings.shards.places()).map(|_| Mutex::default()).collect(),
            shared: Mutex::default(),
        });
        routes.insert(key, route.clone());
        route
    }

    /// Closes what has been idle for too long and forgets routes that nobody holds. Call it every few seconds.
    pub fn sweep(&self) {
        let now = self.clock.now();
        let mut routes = self.routes.lock();
        routes.retain(|_, route| {
            let mut kept = 0;
            for idle in &route.idle {
                let mut idle = idle.lock();
                idle.retain(|idle| now.since(idle.since) < self.settings.idle_for);
                kept += idle.len();
            }
            Arc::strong_count(route) > 1 || kept > 0
        });
    }

    /// Closes what is idle, so that the next request of each route opens a connection: the network is another one. With
    /// `way`, only what was opened by the way with this id.
    pub fn close_idle(&self, way: Option<u64>) {
        let is_meant = |tag: &Tag| way.is_none_or(|way| tag.way == way);
        for route in self.routes.lock().values() {
            for idle in &route.idle {
                idle.lock().retain(|idle| !is_meant(idle.connection.tag()));
            }
            route.shared.lock().retain(|shared| !is_meant(&shared.tag));
        }
    }

    /// Idle connections over all routes.
    pub fn idle_connections(&self) -> usize {
        self.routes.lock().values().flat_map(|route| &route.idle).map(|idle| idle.lock().len()).sum()
    }
}

/// A way to one origin: connections are taken from here and come back here.
pub struct Route {
    origin: Origin,
    to: Destination,
    via: Option<Arc<str>>,
    http2: Http2,
    name: String,
    host: HeaderValue,
    tls: Option<Arc<ClientConfig>>,
    egress: Arc<Egress>,
    /// By worker, and the last one for threads that are none.
    idle: Box<[Mutex<Vec<Idle>>]>,
    /// The HTTP/2 connections that calls share, once the server has chosen HTTP/2: one for each way and owner.
    shared: Mutex<Vec<Shared>>,
}

/// More shared connections than this are not kept for one route: the one that was opened first makes room.
const SHARED: usize = 64;

struct Shared {
    tag: Tag,
    sender: http2::SendRequest<RequestBody>,
}

struct Idle {
    since: Moment,
    connection: Connection,
}

/// The way that a request takes, chosen for it alone.
pub struct Taken {
    tag: Tag,
    way: Option<Arc<Outbound>>,
}

impl Taken {
    /// The name of the proxy; `None` where the route has no way out to choose.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.way.as_ref().map(|way| way.name())
    }
}

/// A response whose head has come.
pub struct Answer {
    /// Status and headers.
    pub head: response::Parts,
    /// The rest.
    pub body: AnswerBody,
}

impl Route {
    /// The origin that this route leads to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The origin as text, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the HTTP/2 connection that calls share no further call: on it a request was not answered in time. What is
    /// under way on it goes on. A stalled server may still answer pings, so keep-alive does not find this out. An
    /// HTTP/1.1 connection ends with the request that timed out anyway.
    pub fn distrust_connection(&self) {
        self.shared.lock().clear();
    }

    /// The proxy or group by which it leads.
    #[must_use]
    pub const fn via(&self) -> Option<&Arc<str>> {
        self.via.as_ref()
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.egress.spawner
    }

    /// Chooses the way of a request, at present. `owner` stands for the caller: a connection that a login belongs to is used
    /// for the same owner alone; 0 is the gateway itself.
    ///
    /// # Errors
    /// What the [`Chooser`] says against it; nothing was sent.
    pub fn choose(&self, owner: u64) -> Result<Taken, Fault> {
        let Some(via) = &self.via else { return Ok(Taken { tag: Tag::DIRECT, way: None }) };
        let way = self.egress.chooser.load().choose(via, &self.to).map_err(Fault::before_sending)?.outbound;
        let owner = if way.is_login_bound() { owner } else { 0 };
        Ok(Taken { tag: Tag { way: way.id(), owner }, way: Some(way) })
    }

    /// [`Self::send_along`] the way that is [chosen](Self::choose) at present.
    ///
    /// # Errors
    /// As both.
    pub async fn send(
        self: &Arc<Self>,
        build: &(dyn Fn() -> Request<RequestBody> + Send + Sync),
        limit: Duration,
        repeatable: bool,
        owner: u64,
    ) -> Result<Answer, Fault> {
        self.send_along(self.choose(owner)?, build, limit, repeatable).await
    }

    /// Sends a request along a way and waits for the head of its response.
    ///
    /// `build` gives a request with an origin-form URI and without `Host`. It is called again when a kept connection
    /// turns out to have been closed by the server meanwhile: one silent retry on a new connection. A request that has
    /// effects (`repeatable` is false) is sent again only when it certainly was not sent before. `limit` bounds connecting
    /// alone, over all proxies; the caller bounds the rest. Dropping the future cancels the request.
    ///
    /// # Errors
    /// A [`Fault`] that says at which stage it broke; `never_sent` is set when the server cannot have seen the request.
    pub async fn send_along(
        self: &Arc<Self>,
        taken: Taken,
        build: &(dyn Fn() -> Request<RequestBody> + Send + Sync),
        limit: Duration,
        repeatable: bool,
    ) -> Result<Answer, Fault> {
        let Taken { tag, way } = taken;
        let request = build();
        let reused = if let Some(sender) = self.shared_h2(tag) {
            Box::pin(self.send_h2(sender, request, tag)).await
        } else if let Some(connection) = self.take_idle(tag) {
            self.send_h1(connection, request).await
        } else {
            return Box::pin(self.send_fresh(request, limit, tag, way)).await;
        };
        match reused {
            Err(fault)
                if matches!(fault.kind, FaultKind::Reset | FaultKind::H2Refused)
                    && (repeatable || fault.never_sent) =>
            {
                Box::pin(self.send_fresh(build(), limit, tag, way)).await
            }
            other => other,
        }
    }

    /// The HTTP/2 connection that calls share, if there is one.
    fn shared_h2(&self, tag: Tag) -> Option<http2::SendRequest<RequestBody>> {
        let shared = self.shared.lock();
        let known = shared.iter().find(|shared| shared.tag == tag && !shared.sender.is_closed())?;
        Some(known.sender.clone())
    }

    /// Sends on a new connection. Boxed where it is used: it is rare, and larger than all the rest of a call.
    async fn send_fresh(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        limit: Duration,
        tag: Tag,
        way: Option<Arc<Outbound>>,
    ) -> Result<Answer, Fault> {
        let progress = Progress::new();
        let hop = bounded(limit, &self.name, &progress, self.open(limit, &progress, way.as_deref())).await?;
        let connection = match hop {
            HttpHop::Origin(stream) if stream.is_h2() || self.http2 == Http2::PriorKnowledge => {
                let sender = self.open_h2(stream, tag).await?;
                return self.send_h2(sender, request, tag).await;
            }
            HttpHop::Origin(stream) => Connection::new(stream, self.egress.settings.head, tag),
            HttpHop::Proxy { stream, headers } => {
                Connection::new(stream, self.egress.settings.head, tag).through_proxy(headers)
            }
        };
        self.send_h1(connection, request).await
    }

    /// Opens a connection along `way`, TLS with the origin included.
    async fn open(&self, limit: Duration, progress: &Progress, way: Option<&Outbound>) -> Result<HttpHop, Fault> {
        let stream = match way {
            None => Stream::Plain(tcp(&self.to, &self.egress.resolver, progress, None).await?),
            Some(outbound) => {
                let dialing = self.egress.dialing(limit);
                let way = Way { dialing: &dialing, progress, proxy: None, links: None };
                // The absolute form is of HTTP/1.1 alone.
                if self.tls.is_none() && self.http2 != Http2::PriorKnowledge {
                    return outbound.dial_http(&self.to, way).await;
                }
                outbound.dial(&self.to, way).await?
            }
        };
        let Some(config) = &self.tls else { return Ok(HttpHop::Origin(stream)) };
        progress.at(FaultKind::TlsTimeout, None, "the TLS handshake did not end");
        tls(stream, &self.origin.host, config, &self.origin).await.map(HttpHop::Origin)
    }

    fn send_h1(
        self: &Arc<Self>,
        connection: Connection,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Answer, Fault>> {
        // Written at once, so that what waits for the response does not hold the request.
        let exchange = connection.exchange(&request, &self.host);
        async move {
            let Received { connection, head, framing, reusable } =
                exchange.await.map_err(|broken| http1_fault(broken, Stage::Head, &self.name))?;
            if connection.is_through_proxy() && head.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                return Err(self.login_refused(&head));
            }
            let body = AnswerBody::http1(connection, framing, reusable, self.clone());
            Ok(Answer { head, body })
        }
    }

    async fn open_h2(&self, stream: Stream, tag: Tag) -> Result<http2::SendRequest<RequestBody>, Fault> {
        let (sender, connection) = http2::Builder::new(self.egress.spawner.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(u32::try_from(self.egress.settings.head).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| hyper_fault(&error, Stage::Head, &self.name))?;
        // How the connection ends is told to each request on it.
        self.egress.spawner.spawn(async move { drop(connection.await) });
        let mut shared = self.shared.lock();
        shared.retain(|shared| shared.tag != tag && !shared.sender.is_closed());
        if shared.len() >= SHARED {
            shared.remove(0);
        }
        shared.push(Shared { tag, sender: sender.clone() });
        Ok(sender)
    }

    /// The fault of a 407 to a request in the absolute form: the origin has not seen it.
    fn login_refused(&self, head: &response::Parts) -> Fault {
        let offered =
            head.headers.get_all(http::header::PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let schemes: Vec<&str> = offered.filter_map(|value| value.split([' ', ',']).next()).take(16).collect();
        let via = self.via.as_deref().unwrap_or_default();
        let detail = format!(
            "{}: the proxy of `{via}` wants a login, or another one than it was given: status 407; it takes {}",
            self.name,
            schemes.join(", ")
        );
        Fault::new(FaultKind::ProxyLogin, detail).with_status(407).before_sending()
    }

    async fn send_h2(
        self: &Arc<Self>,
        mut sender: http2::SendRequest<RequestBody>,
        mut request: Request<RequestBody>,
        tag: Tag,
    ) -> Result<Answer, Fault> {
        let path = request.uri().path_and_query().cloned();
        let uri = http::Uri::builder()
            .scheme(if self.origin.tls { "https" } else { "http" })
            .authority(self.origin.authority());
        let uri = uri.path_and_query(path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"))).build();
        *request.uri_mut() =
            uri.map_err(|_| Fault::new(FaultKind::Internal, format!("{} cannot be put into a URI", self.name)))?;
        *request.version_mut() = http::Version::HTTP_2;
        let sent = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response: Response<Incoming> = match sent.await {
            Ok(response) => response,
            Err(error) => {
                self.shared.lock().retain(|shared| shared.tag != tag);
                return Err(hyper_fault(&error, Stage::Head, &self.name));
            }
        };
        let (head, body) = response.into_parts();
        Ok(Answer { head, body: AnswerBody::http2(body, self.clone()) })
    }

    /// The most recently used connection: it is the least likely to have been closed meanwhile. One that the server has
    /// closed, or on which it has said something unasked, is dropped.
    fn take_idle(&self, tag: Tag) -> Option<Connection> {
        let now = self.egress.clock.now();
        let shards = &self.egress.settings.shards;
        let here = shards.here();
        let own = self.take_from(here, now, tag);
        if own.is_some() && shards.is_one_runtimes(here) {
            return own;
        }
        let others = (0..self.idle.len()).filter(|place| *place != here);
        own.into_iter().chain(others.filter_map(|place| self.take_from(place, now, tag))).find_map(|mut connection| {
            // One that cannot be watched here is dropped.
            connection.adopt().is_ok().then_some(connection)
        })
    }

    fn take_from(&self, place: usize, now: Moment, tag: Tag) -> Option<Connection> {
        loop {
            let mut kept = {
                let mut idle = self.idle[place].lock();
                let found = idle.iter().rposition(|idle| *idle.connection.tag() == tag)?;
                idle.remove(found)
            };
            if now.since(kept.since) < self.egress.settings.idle_for && kept.connection.is_quiet() {
                return Some(kept.connection);
            }
        }
    }

    pub(crate) fn put_back(&self, connection: Connection) {
        let since = self.egress.clock.now();
        let settings = &self.egress.settings;
        let here = settings.shards.here();
        let most = if settings.shards.is_one_runtimes(here) {
            settings.idle_per_route.div_ceil(settings.shards.count)
        } else {
            IDLE_ELSEWHERE
        };
        let mut idle = self.idle[here].lock();
        if idle.len() < most {
            idle.push(Idle { since, connection });
        }
    }
}
