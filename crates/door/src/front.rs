//! What happens to every request before a door sees it. The order is a decision:
//! headers over the limit (cheapest), then where the request was meant for (security before work), then whether there is
//! room for another call, then which door it belongs to.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::request;
use tradewind_core::{Clock, Code};
use tradewind_runtime::Caller;

use crate::local::is_local;
use crate::{Door, Incoming, Refusal, Request, Response, json_response};

/// Bounds that hold for all doors.
#[derive(Clone, Copy, Debug)]
pub struct FrontLimits {
    /// Bytes of request line and headers.
    pub headers: usize,
    /// Calls that are being answered at once.
    pub calls: usize,
}

/// All doors behind one listener.
pub struct Front {
    doors: Vec<Arc<dyn Door>>,
    clock: Arc<dyn Clock>,
    limits: FrontLimits,
    calls: Arc<AtomicUsize>,
}

impl Front {
    /// A front of `doors`; the first that serves a path gets it.
    pub fn new(doors: Vec<Arc<dyn Door>>, clock: Arc<dyn Clock>, limits: FrontLimits) -> Self {
        Self { doors, clock, limits, calls: Arc::default() }
    }

    /// Calls that are being answered.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Answers one request.
    pub(crate) fn answer(
        &self,
        request: http::Request<Incoming>,
        caller: Caller,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let arrived = self.clock.now();
        let (head, body) = request.into_parts();
        let door = self.doors.iter().find(|door| door.serves(head.uri.path()));
        let refuse = |refusal: Refusal| -> Pin<Box<dyn Future<Output = Response> + Send>> {
            let mut response = door.map_or_else(|| plain(&refusal), |door| door.refuse(&head, &refusal));
            if refusal.close {
                response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            Box::pin(ready(response))
        };
        if header_bytes(&head) > self.limits.headers {
            let message =
                format!("the request headers are over {} bytes (limits.request-headers)", self.limits.headers);
            return refuse(Refusal::new(Code::HeadersTooLarge, message).closing());
        }
        if !is_local(&head) {
            let message = "without keys only requests for this machine are answered: use http://127.0.0.1 or localhost \
                           as the base URL, and no page of another origin";
            return refuse(Refusal::new(Code::NotLocal, message).closing());
        }
        let Some(door) = door else {
            let message = format!("{} is not served; see /v1/models, /api/v1/decisions, /livez", head.uri.path());
            return refuse(Refusal::new(Code::UnknownPath, message));
        };
        let Some(place) = Place::take(&self.calls, self.limits.calls) else {
            let mut refusal = Refusal::new(Code::Overloaded, "too many calls at once; try again in a moment");
            refusal.retry_after = Some(Duration::from_secs(1));
            return refuse(refusal);
        };
        let call = door.call(Request { head, body, arrived, caller });
        Box::pin(async move { call.await.map(|body| body.holding(place)) })
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
