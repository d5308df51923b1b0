//! An HTTP proxy: tunnels by CONNECT (RFC 9110 §9.3.6), and plain HTTP by the absolute form, so that a proxy which opens
//! tunnels to port 443 alone can be used for it as well.

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::HttpProxy;

use super::answer::{Asked, LONGEST_HEAD, ProxyAnswer, take};
use super::{Outbound, OutboundError, ProxyTls, sendable};
use crate::auth::{Credentials, Leg, Login};
use crate::dialing::Way;
use crate::{Destination, Roots, Stream};

/// The legs of one login, over all schemes.
const LEGS: usize = 8;
/// The most that is read of the body of a refusal, to use the connection again.
const REFUSAL: usize = 64 * 1024;
/// One read.
const READ: usize = 4 * 1024;
/// How we call ourselves, unless `headers` of the document say otherwise.
const OUR_NAME: &str = concat!("tradewind/", env!("CARGO_PKG_VERSION"));

/// A proxy of the type `http`.
pub(super) struct Http {
    server: Destination,
    tls: Option<ProxyTls>,
    credentials: Credentials,
    /// Those of the document, for CONNECT alone.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A way for a plain HTTP request.
pub enum HttpHop {
    /// To the origin: the request is sent as it is.
    Origin(Stream),
    /// To a proxy: the request is sent in the absolute form (RFC 9112 §3.2.2).
    Proxy {
        /// The connection to it.
        stream: Stream,
        /// What to add.
        headers: ProxyHeaders,
    },
}

/// What is added to requests that go to an HTTP proxy. These are for the proxy alone, and what a caller has sent under the
/// same name does not go to it.
#[derive(Clone, Debug, Default)]
pub struct ProxyHeaders {
    /// `Proxy-Authorization` of every request on the connection.
    pub each: Option<HeaderValue>,
    /// `Proxy-Authorization` of the first request, which logs in the connection.
    pub once: Option<HeaderValue>,
}

impl Http {
    pub(super) fn new(name: &Arc<str>, spec: &HttpProxy, roots: &Roots) -> Result<Self, OutboundError> {
        let tls = match spec.tls {
            false => None,
            true => Some(ProxyTls::new(
                name,
                &spec.server,
                spec.sni.as_ref(),
                spec.skip_cert_verify,
                roots,
                Some(b"http/1.1"),
            )?),
        };
        let mut headers = Vec::with_capacity(spec.headers.len());
        for (field, value) in &spec.headers {
            let wrong = || OutboundError::Header(name.clone(), field.clone());
            let field = HeaderName::from_bytes(field.as_bytes()).map_err(|_| wrong())?;
            headers.push((field, HeaderValue::from_str(value).map_err(|_| wrong())?));
        }
        let credentials = Credentials::new(name, spec)?;
        Ok(Self { server: Destination::new(&spec.server, spec.port), tls, credentials, headers })
    }

    pub(super) const fn server(&self) -> &Destination {
        &self.server
    }

    /// Whether TLS is spoken with the proxy itself.
    pub(super) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn is_login_bound(&self) -> bool {
        self.credentials.is_bound()
    }

    /// Opens a tunnel to `to`.
    pub(super) async fn tunnel(&self, own: &Outbound, to: &Destination, way: Way<'_>) -> Result<Stream, Fault> {
        sendable(to)?;
        let mut login = self.credentials.login(self.server.host.to_string(), way.dialing.resolver.wall());
        let mut leg = login.first();
        let mut buffer = BytesMut::new();
        let mut stream = own.reach(&self.server, self.tls.as_ref(), way).await?;
        for _ in 0..LEGS {
            way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not answer the CONNECT");
            let request = self.connect_request(to, leg.value.as_ref());
            let answer = ask(&mut stream, &request, &mut buffer, Asked::Connect, own, to).await?;
            if answer.is_open() {
                return Ok(stream.after(buffer.freeze()));
            }
            // tinyproxy has 401 for a login that it does not accept.
            if !matches!(answer.status, 401 | 407) {
                return Err(refused(own, to, &answer));
            }
            way.progress.at(FaultKind::ProxyLogin, Some(own.label()), "there was no token for the login");
            let Some(next) = login.next(&answer.offered).await else {
                return Err(wants_login(own, &answer, &login));
            };
            leg = next;
            if !pass_over(&mut stream, &mut buffer, answer).await {
                stream = self.again(own, &leg, way).await?;
                buffer.clear();
            }
        }
        Err(endless_login(own))
    }

    /// Opens a way for requests in the absolute form, logged in as far as that can be done before the first of them.
    pub(super) async fn absolute(&self, own: &Outbound, to: &Destination, way: Way<'_>) -> Result<HttpHop, Fault> {
        sendable(to)?;
        let mut stream = own.reach(&self.server, self.tls.as_ref(), way).await?;
        let each = self.credentials.for_each_request().cloned();
        if !self.credentials.is_bound() {
            return Ok(HttpHop::Proxy { stream, headers: ProxyHeaders { each, once: None } });
        }
        let mut login = self.credentials.login(self.server.host.to_string(), way.dialing.resolver.wall());
        let mut leg = login.first();
        let mut buffer = BytesMut::new();
        for _ in 0..LEGS {
            if leg.last {
                let headers = if leg.each {
                    ProxyHeaders { each: leg.value, once: None }
                } else {
                    ProxyHeaders { each: None, once: leg.value }
                };
                return Ok(HttpHop::Proxy { stream, headers });
            }
            way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not answer the login");
            // A request without a body and without effect carries the legs before the last.
            let request = login_request(to, leg.value.as_ref());
            let answer = ask(&mut stream, &request, &mut buffer, Asked::Head, own, to).await?;
            // The login belongs to this connection, and goes with it.
            let is_logged_in = answer.status != 407 && leg.value.is_some() && !leg.each;
            if answer.status != 407 {
                // It wants no login, has the connection's, or takes what goes with each request.
                leg = if leg.each { Leg { last: true, ..leg } } else { Leg::nothing(true) };
            } else {
                way.progress.at(FaultKind::ProxyLogin, Some(own.label()), "there was no token for the login");
                let Some(next) = login.next(&answer.offered).await else {
                    return Err(wants_login(own, &answer, &login));
                };
                leg = next;
            }
            if !pass_over(&mut stream, &mut buffer, answer).await {
                stream = self.again(own, &leg, way).await?;
                buffer.clear();
                if is_logged_in {
                    login = login.again();
                    leg = login.first();
                }
            }
        }
        Err(endless_login(own))
    }

    /// Another connection for the next leg, where that leg can do with one.
    async fn again(&self, own: &Outbound, leg: &Leg, way: Way<'_>) -> Result<Stream, Fault> {
        if leg.same_connection {
            let detail = format!("{}: it closed the connection in the middle of the login", own.label());
            return Err(Fault::new(FaultKind::ProxyLogin, detail).before_sending());
        }
        own.reach(&self.server, self.tls.as_ref(), way).await
    }

    fn connect_request(&self, to: &Destination, authorization: Option<&HeaderValue>) -> Vec<u8> {
        let mut out = format!("CONNECT {to} HTTP/1.1\r\n{HOST}: {to}\r\n").into_bytes();
        let own = |name: &HeaderName| *name == HOST || (authorization.is_some() && *name == PROXY_AUTHORIZATION);
        let given = self.headers.iter().filter(|(name, _)| !own(name));
        for (name, value) in given {
            field(&mut out, name, value);
        }
        if !self.headers.iter().any(|(name, _)| name == USER_AGENT) {
            field(&mut out, &USER_AGENT, &HeaderValue::from_static(OUR_NAME));
        }
        finish(out, authorization)
    }
}

/// A request that is sent for its `Proxy-Authorization` alone.
fn login_request(to: &Destination, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let mut out = format!("HEAD http://{to}/ HTTP/1.1\r\n{HOST}: {to}\r\n").into_bytes();
    field(&mut out, &USER_AGENT, &HeaderValue::from_static(OUR_NAME));
    finish(out, authorization)
}

fn finish(mut out: Vec<u8>, authorization: Option<&HeaderValue>) -> Vec<u8> {
    field(&mut out, &HeaderName::from_static("proxy-connection"), &HeaderValue::from_static("keep-alive"));
    if let Some(value) = authorization {
        field(&mut out, &PROXY_AUTHORIZATION, value);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Sends `request` and reads the head of its answer; what has come behind it stays in `buffer`.
async fn ask(
    stream: &mut Stream,
    request: &[u8],
    buffer: &mut BytesMut,
    asked: Asked,
    own: &Outbound,
    to: &Destination,
) -> Result<ProxyAnswer, Fault> {
    let failed = |what: &str| {
        let detail = format!("{}: asked for {to}, {what}", own.label());
        Fault::new(FaultKind::ProxyFailed, detail).before_sending()
    };
    let broke_off = |error: std::io::Error| failed(&format!("it broke off ({error})"));
    stream.write_all(request).await.map_err(broke_off)?;
    stream.flush().await.map_err(broke_off)?;
    loop {
        if !buffer.is_empty()
            && let Some(answer) = take(buffer, asked).map_err(failed)?
        {
            return Ok(answer);
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(failed("its answer has a head without end"));
        }
        buffer.reserve(READ);
        if stream.read_buf(buffer).await.map_err(broke_off)? == 0 {
            return Err(failed("it closed the connection without an answer"));
        }
    }
}

/// Reads the body of a refusal to its end; whether the connection can be used again.
async fn pass_over(stream: &mut Stream, buffer: &mut BytesMut, answer: ProxyAnswer) -> bool {
    let ProxyAnswer { mut body, kept, .. } = answer;
    if !kept {
        return false;
    }
    let mut left = REFUSAL;
    loop {
        match body.take(buffer) {
            Ok(Some(data)) => match left.checked_sub(data.len()) {
                Some(rest) => left = rest,
                None => return false,
            },
            Ok(None) if body.is_end() => return buffer.is_empty(),
            Ok(None) => {
                buffer.reserve(READ);
                if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

/// The fault of a proxy that does not open the tunnel.
fn refused(own: &Outbound, to: &Destination, answer: &ProxyAnswer) -> Fault {
    let said = if answer.said.is_empty() { String::new() } else { format!(" ({})", answer.said) };
    let why = match answer.status {
        403 => "it does not allow this destination",
        500..=599 => "it could not reach it",
        300..=399 => "it answered with a redirect",
        _ => "it did not open a tunnel",
    };
    let detail = format!("{}: asked for {to}, {why}: status {}{said}", own.label(), answer.status);
    Fault::new(FaultKind::ProxyFailed, detail).with_status(answer.status).before_sending()
}

/// The fault of a proxy that wants another login than there is.
fn wants_login(own: &Outbound, answer: &ProxyAnswer, login: &Login<'_>) -> Fault {
    let mut schemes: Vec<&str> = answer.offered.iter().filter_map(|value| value.split([' ', ',']).next()).collect();
    schemes.dedup();
    let schemes = if schemes.is_empty() { String::new() } else { format!("; it takes {}", schemes.join(", ")) };
    let what = if login.has_any() {
        "it does not accept the login of the document"
    } else {
        "it wants a login and none is set"
    };
    let detail = format!("{}: {what}: status {}{schemes}{}", own.label(), answer.status, login.failures());
    Fault::new(FaultKind::ProxyLogin, detail).with_status(answer.status).before_sending()
}

fn endless_login(own: &Outbound) -> Fault {
    let detail = format!("{}: it asks for yet another login after {LEGS} requests", own.label());
    Fault::new(FaultKind::ProxyLogin, detail).with_status(407).before_sending()
}
