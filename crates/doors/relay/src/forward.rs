//! Requests in the absolute form: each is decided about on its own, and goes on along its way.
//!
//! The connection to the origin belongs to this caller's connection and is used again only for the same user and destination
//! along the same way: whatever an origin or a proxy binds to a connection (NTLM does) is never another caller's. Messages are
//! read and written anew by hyper, headers of one hop are left out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tradewind_core::{Fault, FaultKind};
use tradewind_decide::rules::Meta;
use tradewind_egress::{Destination, Host, HttpHop, ProxyHeaders, Stream};
use tradewind_policy::ways::{InboundKind, Transport};
use tradewind_ways::Open;

use crate::answer::{REALM, body, status_of};
use crate::http::HEADERS;
use crate::relay::{Call, Came, Refused, Relay, WayKey};
use crate::tunnel::tunnel;
use crate::user::Who;

/// How long a caller may stay silent between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// Headers of one hop, RFC 9110 §7.6.1, and those that callers of proxies send in their place.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Serves requests until the caller has no more.
pub(crate) async fn forward(stream: TcpStream, first: Bytes, relay: &Arc<Relay>, came: &Came) {
    let caller = Arc::new(Caller {
        relay: relay.clone(),
        came: came.clone(),
        origin: Mutex::new(None),
        changed: parking_lot::Mutex::new(None),
    });
    let answering = caller.clone();
    let service = service_fn(move |request| {
        let caller = answering.clone();
        async move { Ok::<_, std::convert::Infallible>(caller.answer(request).await) }
    });
    let serving = server::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(HEADERS)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(Stream::Plain(stream).after(first)), service)
        .with_upgrades();
    // How a connection ends is the caller's affair.
    let _ = serving.await;
    // Here and not in a task of its own: what a port serves at once counts it, and a stop waits for it and ends it.
    let changed = caller.changed.lock().take();
    drop(caller);
    if let Some(changed) = changed {
        changed.await;
    }
}

/// One caller's connection.
struct Caller {
    relay: Arc<Relay>,
    came: Came,
    /// The connection that was used last.
    origin: Mutex<Option<Origin>>,
    /// What goes on once the caller's connection has changed to another protocol.
    changed: parking_lot::Mutex<Option<Changed>>,
}

/// A tunnel that begins when the answer to the request for it has been written.
type Changed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection to an origin, or to a proxy that is asked for it.
struct Origin {
    who: Who,
    to: Destination,
    way: WayKey,
    sender: client::SendRequest<Counted>,
    headers: Option<ProxyHeaders>,
    open: Arc<Open>,
}

impl Origin {
    /// Sends a request, in the form that this connection takes.
    async fn send(&mut self, head: &request::Parts, body: Option<Incoming>) -> hyper::Result<Response<Incoming>> {
        let counted = Counted { body, open: self.open.clone(), upwards: true, call: None, status: 0 };
        let mut request = Request::new(counted);
        *request.method_mut() = head.method.clone();
        *request.headers_mut() = head.headers.clone();
        *request.uri_mut() = if self.headers.is_some() { head.uri.clone() } else { origin_form(&head.uri) };
        if let Some(headers) = &mut self.headers
            && let Some(value) = headers.once.take().or_else(|| headers.each.clone())
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        self.open.upload(size_of_head(head.uri.path().len() + head.method.as_str().len(), request.headers()));
        self.sender.send_request(request).await
    }
}

impl Caller {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (to, who) = match self.admit(&request) {
            Ok(admitted) => admitted,
            Err(answer) => return *answer,
        };
        if request.method() == Method::CONNECT {
            return self.tunnel(request, to, who).await;
        }
        match self.ask(request, &to, &who).await {
            Ok(answer) => answer,
            Err(refused) => refusal(&refused),
        }
    }

    /// Where a request is to go, and who sends it.
    fn admit(&self, request: &Request<Incoming>) -> Result<(Destination, Who), Box<Answer>> {
        let refuse = |status, text: &str| Box::new(said(status, text));
        let users = self.relay.users.look();
        let who = if users.needed(self.came.from.ip()) {
            let value = request.headers().get(PROXY_AUTHORIZATION);
            let Some(who) = value.and_then(|value| users.check_header(value.as_bytes())) else {
                let mut answer =
                    said(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "this proxy wants a user name and a password");
                let challenge = HeaderValue::from_str(&format!("Basic realm=\"{REALM}\""));
                answer.headers_mut().extend(challenge.ok().map(|challenge| (PROXY_AUTHENTICATE, challenge)));
                return Err(Box::new(answer));
            };
            who
        } else {
            Who::default()
        };
        let uri = request.uri();
        let is_connect = request.method() == Method::CONNECT;
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
            return Err(refuse(
                StatusCode::BAD_REQUEST,
                "this is a proxy: the request has to name the host, like GET http://example.com/",
            ));
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse(StatusCode::BAD_REQUEST, "a user name in the address of a request is not passed on"));
        }
        let port = match (uri.port_u16(), uri.scheme_str(), is_connect) {
            (Some(port @ 1..), _, true) | (Some(port @ 1..), Some("http" | "ws"), false) => port,
            (None, Some("http" | "ws"), false) => 80,
            (_, Some("https" | "wss"), false) => {
                return Err(refuse(
                    StatusCode::BAD_REQUEST,
                    "https goes through a proxy by CONNECT; this client sent the request itself",
                ));
            }
            _ => return Err(refuse(StatusCode::BAD_REQUEST, "only http can be asked for, and CONNECT wants a port")),
        };
        Ok((Destination { host: Host::parse(host), port }, who))
    }

    /// Sends a request on, and gives back what comes.
    async fn ask(&self, request: Request<Incoming>, to: &Destination, who: &Who) -> Result<Answer, Refused> {
        let relay = &self.relay;
        let mut meta = Relay::meta(InboundKind::Http, Transport::Tcp, to, &self.came, who);
        let mut call = relay.decide("http", &mut meta, to).await?;
        let upgrade = wants_upgrade(request.headers());
        let (mut head, body) = request.into_parts();
        let from_caller: Option<OnUpgrade> = head.extensions.remove();
        let mut place = self.origin.lock().await;
        let mut kept = place.take().filter(|origin| {
            let is_same = origin.who == *who && origin.to == *to && origin.way == call.way();
            is_same && !origin.sender.is_closed()
        });
        if let Some(origin) = &mut kept
            && origin.sender.ready().await.is_err()
        {
            kept = None;
        }
        strip(&mut head.headers, upgrade.as_ref());
        if let Some(authority) =
            head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
        {
            // RFC 9112 §3.2.2: what stands in the request line counts, not what the caller put beside it.
            head.headers.insert(HOST, authority);
        }
        // A server may close a connection at the moment at which it is used again: what can be asked twice is, on a new one.
        let again = (kept.is_some() && head.method.is_safe() && body.is_end_stream()).then(|| meta.clone());
        let mut origin = match kept {
            Some(origin) => origin,
            None => self.open(&mut call, to, who, meta).await?,
        };
        let body = (!body.is_end_stream()).then_some(body);
        let mut sent = origin.send(&head, body).await;
        if let (Err(_), Some(meta)) = (&sent, again) {
            origin = self.open(&mut call, to, who, meta).await?;
            sent = origin.send(&head, None).await;
        }
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                let detail = format!("{to}: the request was sent, but no answer came: {error}");
                return Err(call.refuse(Fault::new(FaultKind::Reset, detail)));
            }
        };
        let absolute = origin.headers.is_some();
        let open = origin.open.clone();
        if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED && absolute {
            // A caller that is asked for the credentials of the way out would go on asking a person for them.
            let detail = format!(
                "{to}: {} wants other credentials than the configuration has for it, if it has any",
                call.way_label()
            );
            return Err(call.refuse(Fault::new(FaultKind::ProxyLogin, detail).before_sending()));
        }
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            drop(place);
            return Ok(self.switch(answer, from_caller, call, open));
        }
        *place = Some(origin);
        drop(place);
        strip(answer.headers_mut(), None);
        let status = answer.status().as_u16();
        open.download(size_of_head(0, answer.headers()));
        let (head, body) = answer.into_parts();
        let counted = Counted { body: Some(body), open, upwards: false, call: Some(call), status };
        Ok(Response::from_parts(head, BoxBody::new(counted)))
    }

    /// Opens a connection for requests to `to`, and drives it in a task of its own.
    async fn open(&self, call: &mut Call, to: &Destination, who: &Who, meta: Meta) -> Result<Origin, Refused> {
        let hop = call.connect_http(to).await?;
        let (stream, headers) = match hop {
            HttpHop::Origin(stream) => (stream, None),
            HttpHop::Proxy { stream, headers } => (stream, Some(headers)),
        };
        let remote = stream.socket().and_then(|socket| socket.peer_addr().ok()).map(|address| address.ip());
        let handshake = client::Builder::new()
            .preserve_header_case(true)
            .max_headers(HEADERS)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake
            .map_err(|error| call.refuse(Fault::new(FaultKind::Reset, format!("{to}: {error}")).before_sending()))?;
        let open = Arc::new(call.enter(meta, remote));
        let watched = open.connection().clone();
        self.relay.needs.spawner.spawn(async move {
            tokio::select! {
                // How the connection ends is told to each request on it.
                _ = connection.with_upgrades() => {}
                () = watched.closed() => {}
            }
        });
        Ok(Origin { who: who.clone(), to: to.clone(), way: call.way(), sender, headers, open })
    }

    /// Passes bytes both ways once both sides have changed to another protocol, such as WebSocket.
    fn switch(
        &self,
        mut answer: Response<Incoming>,
        from_caller: Option<OnUpgrade>,
        mut call: Call,
        open: Arc<Open>,
    ) -> Answer {
        let to_origin = hyper::upgrade::on(&mut answer);
        let Some(from_caller) = from_caller else {
            let fault =
                Fault::new(FaultKind::Protocol, "the server changed to another protocol without having been asked to");
            return refusal(&call.refuse(fault));
        };
        *self.changed.lock() = Some(Box::pin(async move {
            let (Ok(caller), Ok(origin)) = tokio::join!(from_caller, to_origin) else { return };
            let ended = tunnel(TokioIo::new(caller), Vec::new(), TokioIo::new(origin), &open).await;
            call.ended(ended, &open);
        }));
        let (head, _) = answer.into_parts();
        Response::from_parts(head, empty())
    }

    /// A CONNECT that comes after other requests on the same connection.
    async fn tunnel(&self, mut request: Request<Incoming>, to: Destination, who: Who) -> Answer {
        let mut meta = Relay::meta(InboundKind::Https, Transport::Tcp, &to, &self.came, &who);
        let connected = async {
            let mut call = self.relay.decide("connect", &mut meta, &to).await?;
            let way = call.connect(&to).await?;
            Ok::<_, Refused>((call, way))
        };
        let (call, way) = match connected.await {
            Ok(connected) => connected,
            Err(refused) => return refusal(&refused),
        };
        let upgrade = hyper::upgrade::on(&mut request);
        *self.changed.lock() = Some(Box::pin(async move {
            if let Ok(caller) = upgrade.await {
                call.pass(TokioIo::new(caller), Vec::new(), way, meta).await;
            }
        }));
        Response::new(empty())
    }
}

/// The protocol that a request wants to change to, if it does.
fn wants_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut options =
        headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let wants = options.any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| wants).cloned()
}

/// Takes out what concerns one hop alone, also what `Connection` names; puts the wish for another protocol back in.
fn strip(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// About how many bytes a head takes: `line` is what its first line has beside the version or the status.
fn size_of_head(line: usize, headers: &HeaderMap) -> u64 {
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    (line + 14 + lines.sum::<usize>()) as u64
}

/// The request target for the origin itself.
fn origin_form(uri: &Uri) -> Uri {
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    target.parse().unwrap_or_else(|_| Uri::from_static("/"))
}

/// A body whose bytes are counted; with the record of its call, which ends with the body.
struct Counted {
    /// Nothing for a message without a body.
    body: Option<Incoming>,
    open: Arc<Open>,
    upwards: bool,
    call: Option<Call>,
    status: u16,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        let status = self.status;
        match &frame {
            Some(Ok(frame)) => {
                let count = frame.data_ref().map_or(0, Bytes::len) as u64;
                if self.upwards {
                    self.open.upload(count)
                } else {
                    self.open.download(count)
                }
                if self.body.as_ref().is_none_or(Body::is_end_stream)
                    && let Some(mut call) = self.call.take()
                {
                    call.answered(status, true);
                }
            }
            ended => {
                if let Some(mut call) = self.call.take() {
                    call.answered(status, ended.is_none());
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // An answer without a body is not polled.
        let status = self.status;
        if self.is_end_stream()
            && let Some(mut call) = self.call.take()
        {
            call.answered(status, true);
        }
    }
}

fn empty() -> BoxBody<Bytes, hyper::Error> {
    text(Bytes::new())
}

fn text(text: Bytes) -> BoxBody<Bytes, hyper::Error> {
    BoxBody::new(http_body_util::BodyExt::map_err(Full::new(text), |never| match never {}))
}

fn said(status: StatusCode, words: &str) -> Answer {
    let mut answer = Response::new(text(format!("{words}\n").into()));
    *answer.status_mut() = status;
    if status == StatusCode::BAD_REQUEST {
        // Whoever does not speak as a proxy's client does will not do so in the next request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn refusal(refused: &Refused) -> Answer {
    let status = StatusCode::from_u16(status_of(refused)).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = said(status, &body(refused));
    let id = HeaderValue::from_str(&refused.id.to_string());
    answer.headers_mut().extend(id.ok().map(|id| (HeaderName::from_static("x-tradewind-decision"), id)));
    answer
}
