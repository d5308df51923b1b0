//! What happens to every request before a door sees it. The order is a decision: headers over the limit (cheapest), then
//! who calls (security before work) or, where nobody needs a key, where the request was meant for, then which door it
//! belongs to, then where the caller comes from (a signature may have to be checked), then whether there is room for another
//! call.
//!
//! Whether the gateway lives and is ready may be asked without a key: what probes it has none. Then it has to be asked
//! from anywhere, too, and says nothing else.
//!
//! No door records what is refused here, so it is counted here. The body of a request that is refused is read away first:
//! a client that is still sending it would see a broken connection and not the refusal.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode, request};
use tradewind_access::{Access, Grant};
use tradewind_core::{Clock, Code, UnixMillis};
use tradewind_runtime::Caller;

use crate::local::is_local;
use crate::read::discard;
use crate::tally::{Tally, Unauthorized};
use crate::{Door, Refusal, Request, Response, Unread, json_response};

/// Bounds that hold for all doors.
#[derive(Clone, Copy, Debug)]
pub struct FrontLimits {
    /// Bytes of request line and headers.
    pub headers: usize,
    /// Calls that are being answered at once.
    pub calls: usize,
}

/// What is answered without a key.
const WITHOUT_KEY: [&str; 2] = ["/livez", "/readyz"];

/// All doors behind one listener.
pub struct Front {
    doors: Vec<Arc<dyn Door>>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    limits: FrontLimits,
    calls: Arc<AtomicUsize>,
    refused: Tally,
}

impl Front {
    /// A front of `doors`; the first that serves a path gets it.
    pub fn new(doors: Vec<Arc<dyn Door>>, access: Arc<Access>, clock: Arc<dyn Clock>, limits: FrontLimits) -> Self {
        Self { doors, access, clock, limits, calls: Arc::default(), refused: Tally::default() }
    }

    /// Calls that are being answered.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Requests that were refused before they came to a door, by public code.
    #[must_use]
    pub fn refused(&self) -> Vec<(Code, u64)> {
        self.refused.codes()
    }

    /// Requests that were refused with 401 since this was last asked.
    pub fn take_unauthorized(&self) -> Unauthorized {
        self.refused.take_unauthorized()
    }

    /// Answers one request.
    pub(crate) fn answer(&self, request: http::Request<Unread>, caller: Caller) -> Answering {
        let arrived = self.clock.now();
        let (head, body) = request.into_parts();
        let door = self.doors.iter().find(|door| door.serves(head.uri.path()));
        let refusal = match self.admit(&head, door) {
            Ok((grant, door, place)) => {
                let call = door.call(Request { head, body, arrived, caller, grant });
                return Answering { call, place: Some(place) };
            }
            Err(refusal) => refusal,
        };
        self.refused.count(refusal.code);
        let mut response = door.map_or_else(|| plain(&refusal), |door| door.refuse(&head, &refusal));
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let refusing = async move {
            if !discard(&head.headers, body).await || refusal.close {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        };
        Answering { call: Box::pin(refusing), place: None }
    }

    /// Lets a request in to its door.
    fn admit<'d>(
        &self,
        head: &request::Parts,
        door: Option<&'d Arc<dyn Door>>,
    ) -> Result<(Grant, &'d Arc<dyn Door>, Place), Refusal> {
        if header_bytes(head) > self.limits.headers {
            let message =
                format!("the request headers are over {} bytes (limits.request-headers)", self.limits.headers);
            return Err(Refusal::new(Code::HeadersTooLarge, message).closing());
        }
        let wall = self.clock.wall();
        let grant = self.identify(head, wall)?;
        let Some(door) = door else {
            let message = format!("{} is not served; see /v1/models, /api/v1/decisions, /livez", head.uri.path());
            return Err(Refusal::new(Code::UnknownPath, message));
        };
        let grant = self.locate(head, grant, wall)?;
        let Some(place) = Place::take(&self.calls, self.limits.calls) else {
            let mut refusal = Refusal::new(Code::Overloaded, "too many calls at once; try again in a moment");
            refusal.retry_after = Some(Duration::from_secs(1));
            return Err(refusal);
        };
        Ok((grant, door, place))
    }

    /// Where the caller comes from. What probes the gateway without a key is nobody, and is not asked.
    fn locate(&self, head: &request::Parts, grant: Grant, wall: UnixMillis) -> Result<Grant, Refusal> {
        if grant.is_nobody() {
            return Ok(grant);
        }
        match self.access.context(&grant, &head.headers, wall) {
            Ok(context) => Ok(grant.with_context(context)),
            Err(bad) => Err(Refusal::new(bad.code(), bad.to_string())),
        }
    }

    /// Who calls. Without any key only requests that were meant for this machine are let in.
    fn identify(&self, head: &request::Parts, wall: UnixMillis) -> Result<Grant, Refusal> {
        let is_probe = WITHOUT_KEY.contains(&head.uri.path());
        let grant = match self.access.authenticate(&head.headers, wall) {
            Ok(grant) => grant,
            Err(_) if is_probe => return Ok(Grant::nobody()),
            Err(denied) => {
                self.refused.note(&denied);
                return Err(Refusal::new(denied.code(), denied.to_string()));
            }
        };
        if grant.is_anyone() && !is_local(head) {
            let message = "without keys only requests for this machine are answered: use http://127.0.0.1 or localhost \
                           as the base URL, and no page of another origin";
            return Err(Refusal::new(Code::NotLocal, message));
        }
        Ok(grant)
    }
}

/// A refusal of a path that no door serves.
fn plain(refusal: &Refusal) -> Response {
    let body = serde_json::json!({"error": {"code": refusal.code.name(), "message": refusal.message}});
    json_response(refusal.status, body.to_string())
}

/// The size of the head as it came over the wire, closely enough.
fn header_bytes(head: &request::Parts) -> usize {
    let line = head.uri.path_and_query().map_or(1, |path| path.as_str().len()) + 16;
    head.headers.iter().fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}

/// A request that is being answered.
pub(crate) struct Answering {
    call: Pin<Box<dyn Future<Output = Response> + Send>>,
    /// Goes with the response.
    place: Option<Place>,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.call.as_mut().poll(context));
        if let Some(place) = self.place.take() {
            response.body_mut().hold(place);
        }
        Poll::Ready(Ok(response))
    }
}

/// A place among the calls that are being answered; given back when the response's body has been sent or dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(calls: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        if calls.fetch_add(1, Ordering::Relaxed) >= limit {
            calls.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(calls.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
