//! A way to one origin, with its pool.
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
use crate::connect::{Stream, connect};
use crate::http1::{Connection, Received};
use crate::resolve::Resolver;
use crate::{AnswerBody, Http2, Origin, Roots, Spawner};

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
    resolver: Resolver,
    routes: Mutex<HashMap<RouteKey, Arc<Route>>>,
}

#[derive(PartialEq, Eq, Hash)]
struct RouteKey {
    origin: Origin,
    http2: Http2,
    /// Tells apart routes whose trusted roots differ.
    roots: String,
}

impl Egress {
    /// An egress without routes.
    pub fn new(clock: Arc<dyn Clock>, spawner: Spawner, settings: EgressSettings) -> Arc<Self> {
        let resolver = Resolver::new(clock.clone());
        Arc::new(Self { clock, spawner, settings, resolver, routes: Mutex::new(HashMap::new()) })
    }

    /// The route to `origin`. `roots_name` names the set of trusted roots; routes with another set have another pool.
    pub fn route(self: &Arc<Self>, origin: Origin, http2: Http2, roots: &Roots, roots_name: &str) -> Arc<Route> {
        let key = RouteKey { origin, http2, roots: roots_name.to_owned() };
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
            origin,
            egress: self.clone(),
            idle: (0..self.settings.shards.places()).map(|_| Mutex::default()).collect(),
            shared: Mutex::new(None),
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

    /// Idle connections over all routes.
    pub fn idle_connections(&self) -> usize {
        self.routes.lock().values().flat_map(|route| &route.idle).map(|idle| idle.lock().len()).sum()
    }
}

/// A way to one origin: connections are taken from here and come back here.
pub struct Route {
    origin: Origin,
    http2: Http2,
    name: String,
    host: HeaderValue,
    tls: Option<Arc<ClientConfig>>,
    egress: Arc<Egress>,
    /// By worker, and the last one for threads that are none.
    idle: Box<[Mutex<Vec<Idle>>]>,
    /// The HTTP/2 connection that calls share, once the server has chosen HTTP/2.
    shared: Mutex<Option<http2::SendRequest<RequestBody>>>,
}

struct Idle {
    since: Moment,
    connection: Connection,
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
        *self.shared.lock() = None;
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.egress.spawner
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// `build` gives a request with an origin-form URI and without `Host`. It is called again when a kept connection
    /// turns out to have been closed by the server meanwhile: one silent retry on a new connection. A request that has
    /// effects (`repeatable` is false) is sent again only when it certainly was not sent before. `limit` bounds connecting alone; the caller bounds the rest. Dropping the future cancels the request.
    ///
    /// # Errors
    /// A [`Fault`] that says at which stage it broke; `never_sent` is set when the server cannot have seen the request.
    pub async fn send(
        self: &Arc<Self>,
        build: &(dyn Fn() -> Request<RequestBody> + Send + Sync),
        limit: Duration,
        repeatable: bool,
    ) -> Result<Answer, Fault> {
        let request = build();
        let reused = if let Some(sender) = self.shared_h2() {
            Box::pin(self.send_h2(sender, request)).await
        } else if let Some(connection) = self.take_idle() {
            self.send_h1(connection, request).await
        } else {
            return Box::pin(self.send_fresh(request, limit)).await;
        };
        match reused {
            Err(fault)
                if matches!(fault.kind, FaultKind::Reset | FaultKind::H2Refused)
                    && (repeatable || fault.never_sent) =>
            {
                Box::pin(self.send_fresh(build(), limit)).await
            }
            other => other,
        }
    }

    /// The HTTP/2 connection that calls share, if there is one.
    fn shared_h2(&self) -> Option<http2::SendRequest<RequestBody>> {
        self.shared.lock().as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// Sends on a new connection. Boxed where it is used: it is rare, and larger than all the rest of a call.
    async fn send_fresh(self: &Arc<Self>, request: Request<RequestBody>, limit: Duration) -> Result<Answer, Fault> {
        let stream = connect(&self.origin, &self.egress.resolver, self.tls.as_ref(), limit).await?;
        if stream.is_h2() || self.http2 == Http2::PriorKnowledge {
            let sender = self.open_h2(stream).await?;
            return self.send_h2(sender, request).await;
        }
        let connection = Connection::new(stream, self.egress.settings.head);
        self.send_h1(connection, request).await
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
            let body = AnswerBody::http1(connection, framing, reusable, self.clone());
            Ok(Answer { head, body })
        }
    }

    async fn open_h2(&self, stream: Stream) -> Result<http2::SendRequest<RequestBody>, Fault> {
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
        *self.shared.lock() = Some(sender.clone());
        Ok(sender)
    }

    async fn send_h2(
        self: &Arc<Self>,
        mut sender: http2::SendRequest<RequestBody>,
        mut request: Request<RequestBody>,
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
                *self.shared.lock() = None;
                return Err(hyper_fault(&error, Stage::Head, &self.name));
            }
        };
        let (head, body) = response.into_parts();
        Ok(Answer { head, body: AnswerBody::http2(body, self.clone()) })
    }

    /// The most recently used connection: it is the least likely to have been closed meanwhile. One that the server has
    /// closed, or on which it has said something unasked, is dropped.
    fn take_idle(&self) -> Option<Connection> {
        let now = self.egress.clock.now();
        let shards = &self.egress.settings.shards;
        let here = shards.here();
        let own = self.take_from(here, now);
        if own.is_some() && shards.is_one_runtimes(here) {
            return own;
        }
        let others = (0..self.idle.len()).filter(|place| *place != here);
        own.into_iter().chain(others.filter_map(|place| self.take_from(place, now))).find_map(|mut connection| {
            // One that cannot be watched here is dropped.
            connection.adopt().is_ok().then_some(connection)
        })
    }

    fn take_from(&self, place: usize, now: Moment) -> Option<Connection> {
        loop {
            let mut kept = self.idle[place].lock().pop()?;
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
