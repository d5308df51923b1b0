//! Another module proxy, over HTTP: one GET, redirects followed, statuses told apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tradewind_core::{Clock, FaultKind, format_duration};
use tradewind_egress::{Answer, AnswerBody, Egress, Http2, Origin, RequestBody, Roots, Route};

use super::broken;
use super::opened::Opened;
use super::redirect::resolve;
use crate::failure::Failure;

/// How long opening a connection may take, over all proxies.
const CONNECT: Duration = Duration::from_secs(15);
/// How long an upstream may take until it begins to answer: one that builds a version first takes its time.
const HEAD: Duration = Duration::from_secs(90);
/// As many redirects as the go command follows.
const MOST_REDIRECTS: usize = 10;
/// What is read of the body of an error.
const ERROR_BODY: usize = 8 * 1024;

pub(in crate::upstream) struct HttpSource {
    inner: Arc<Inner>,
    /// The path of the URL, without a slash at its end.
    path: Arc<str>,
}

struct Inner {
    egress: Arc<Egress>,
    clock: Arc<dyn Clock>,
    route: Arc<Route>,
    roots: Roots,
    roots_name: String,
    /// What is sent to the origin of the URL, and to no other that a redirect leads to.
    auth: HeaderMap,
}

/// How the rest of a body is asked for that broke off.
pub(super) struct Resume {
    inner: Arc<Inner>,
    route: Arc<Route>,
    target: String,
    /// Of which it has to be the rest.
    etag: HeaderValue,
}

impl HttpSource {
    pub(in crate::upstream) fn new(
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
        route: Arc<Route>,
        roots: Roots,
        roots_name: String,
        path: Arc<str>,
        auth: HeaderMap,
    ) -> Self {
        Self { inner: Arc::new(Inner { egress, clock, route, roots, roots_name, auth }), path }
    }

    /// Asks for `path`, which is percent-encoded as far as it has to be.
    pub(in crate::upstream) async fn open(&self, path: &str) -> Result<Opened, Failure> {
        self.follow(path, false).await
    }

    /// The same where a web page is what is wanted.
    pub(in crate::upstream) async fn open_page(&self, path: &str) -> Result<Opened, Failure> {
        self.follow(path, true).await
    }

    async fn follow(&self, path: &str, want_page: bool) -> Result<Opened, Failure> {
        let inner = &self.inner;
        let mut route = Arc::clone(&inner.route);
        let mut target = format!("{}/{path}", self.path);
        for _ in 0..=MOST_REDIRECTS {
            let answer = inner.ask(&route, &target, None).await?;
            let status = answer.head.status;
            let location = answer.head.headers.get(LOCATION).filter(|_| is_redirect(status));
            let Some(location) = location else { return inner.opened(route, target, answer, want_page).await };
            let location = location.to_str().unwrap_or_default().to_owned();
            answer.body.finish_in_background();
            let (origin, next) = resolve(route.origin(), &target, &location)
                .map_err(|error| Failure::upstream(FaultKind::Redirect, 502, format!("{}: {error}", route.name())))?;
            if origin != *route.origin() {
                route = inner.route_to(origin);
            }
            target = next;
        }
        let reason = format!("{}: stopped after {MOST_REDIRECTS} redirects", inner.route.name());
        Err(Failure::upstream(FaultKind::Redirect, 502, reason))
    }
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

impl Inner {
    fn route_to(&self, origin: Origin) -> Arc<Route> {
        if origin == *self.route.origin() {
            return Arc::clone(&self.route);
        }
        self.egress.route(origin, Http2::Auto, &self.roots, &self.roots_name, self.route.via())
    }

    /// Sends one GET, and waits for the head of its answer; with the range behind `from` when there is one.
    async fn ask(
        &self,
        route: &Arc<Route>,
        target: &str,
        from: Option<(u64, &HeaderValue)>,
    ) -> Result<Answer, Failure> {
        let is_own = Arc::ptr_eq(route, &self.route) || route.origin() == self.route.origin();
        let target: http::uri::PathAndQuery =
            target.parse().map_err(|_| broken(route.name(), "the path cannot be asked for"))?;
        let build = || {
            let mut request = Request::new(RequestBody::new(Bytes::new()));
            *request.uri_mut() = http::Uri::from(target.clone());
            let headers = request.headers_mut();
            headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tradewind/", env!("CARGO_PKG_VERSION"))));
            // What is stored and hashed is what was meant, not how it travelled.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if is_own {
                headers.extend(self.auth.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            if let Some((from, etag)) = from {
                headers.extend(HeaderValue::from_str(&format!("bytes={from}-")).ok().map(|range| (RANGE, range)));
                headers.insert(IF_RANGE, etag.clone());
            }
            request
        };
        match tokio::time::timeout(HEAD, route.send(&build, CONNECT, true, 0)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(fault)) => {
                let status = fault.kind.code().status();
                Err(Failure::upstream(fault.kind, if status == 503 { 502 } else { status }, &*fault.detail))
            }
            Err(_) => {
                route.distrust_connection();
                let reason = format!("{}: no answer within {}", route.name(), format_duration(HEAD));
                Err(Failure::upstream(FaultKind::HeadersTimeout, 504, reason))
            }
        }
    }

    /// What an answer that is no redirect means.
    async fn opened(
        self: &Arc<Self>,
        route: Arc<Route>,
        target: String,
        answer: Answer,
        want_page: bool,
    ) -> Result<Opened, Failure> {
        let Answer { head, body } = answer;
        let from: Arc<str> = route.name().into();
        if head.status == StatusCode::OK {
            if head.headers.get(http::header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                return Err(broken(&from, "it answers in an encoding that was not asked for"));
            }
            // The login page of a network, or a proxy's idea of an error: nothing of the protocol is one.
            let is_page = |of: &http::HeaderValue| of.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
            if !want_page && head.headers.get(CONTENT_TYPE).is_some_and(is_page) {
                body.finish_in_background();
                return Err(broken(&from, "it answers with a web page"));
            }
            let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            // A weak tag may stand for other bytes that mean the same (RFC 9110 §8.8.1).
            let etag = head.headers.get(ETAG).filter(|tag| tag.as_bytes().first() == Some(&b'"')).cloned();
            let resume = etag.map(|etag| Resume { inner: Arc::clone(self), route, target, etag });
            return Ok(Opened::answer(from, length, body, &self.clock, resume));
        }
        Err(self.refused(&from, head.status, &head.headers, body).await)
    }

    /// The failure that a status stands for, with what the upstream says about it.
    async fn refused(&self, from: &Arc<str>, status: StatusCode, headers: &HeaderMap, body: AnswerBody) -> Failure {
        let is_text = headers.get(CONTENT_TYPE).is_some_and(|of| of.as_bytes().starts_with(b"text/plain"));
        let said = if is_text {
            // Some send all that a program has printed: its beginning says why.
            let said = Opened::answer(Arc::clone(from), None, body, &self.clock, None).first(ERROR_BODY).await;
            let text = said.unwrap_or_default();
            String::from_utf8_lossy(&text).trim().to_owned()
        } else {
            body.finish_in_background();
            String::new()
        };
        let reason = if said.is_empty() { format!("{from} answered {status}") } else { said };
        let number = status.as_u16();
        match number {
            404 | 410 => Failure { status: number, ..Failure::missing(reason) },
            // Not the caller's credentials are meant, which it would be asked for if it saw these.
            401 | 407 => {
                Failure::upstream(FaultKind::Unauthorized, 502, format!("{from} wants other credentials: {reason}"))
            }
            400..=499 if number != 429 => Failure::upstream(FaultKind::Rejected, number, reason),
            429 => Failure::upstream(FaultKind::RateLimited, 429, reason),
            500..=599 => Failure::upstream(FaultKind::ServerError, number, reason),
            _ => broken(from, format_args!("it answered {status}")),
        }
    }
}

impl Resume {
    /// The rest behind `come` bytes, if the upstream still has the same.
    pub(super) async fn from(&self, come: u64) -> Option<AnswerBody> {
        let answer = self.inner.ask(&self.route, &self.target, Some((come, &self.etag))).await.ok()?;
        let range = answer.head.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let begins_there = range.strip_prefix("bytes ").is_some_and(|range| range.starts_with(&format!("{come}-")));
        (answer.head.status == StatusCode::PARTIAL_CONTENT && begins_there).then_some(answer.body)
    }
}
