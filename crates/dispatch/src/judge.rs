//! What the status of a response means for the call.

use http::{HeaderMap, HeaderName, header, response};
use smallvec::SmallVec;
use tradewind_core::{Fault, FaultKind, UnixMillis};
use tradewind_decide::retry_after;

/// What to do with a response, by its status.
pub(crate) enum Verdict {
    /// An answer follows.
    Answer,
    /// The provider refuses the request itself: its own words go to the caller, no other target is asked.
    Refusal,
    /// A fault.
    Fault(Fault),
}

/// Judges the head of a response from `origin`.
pub(crate) fn judge(head: &response::Parts, origin: &str, wall: UnixMillis) -> Verdict {
    let status = head.status;
    let fault = |kind: FaultKind, what: &str| {
        Verdict::Fault(Fault::new(kind, format!("{origin} answered {status}: {what}")).with_status(status.as_u16()))
    };
    match status.as_u16() {
        200..300 => Verdict::Answer,
        300..400 => fault(FaultKind::Redirect, "redirects are not followed"),
        401 | 403 => fault(FaultKind::Unauthorized, "it does not accept the key that is configured for it"),
        404 => fault(FaultKind::NotFound, "it does not know this model or path"),
        408 | 409 | 425 => fault(FaultKind::ServerError, "it asks to try again"),
        429 => {
            let mut fault = Fault::new(FaultKind::RateLimited, format!("{origin} answered {status}: rate limit"));
            fault.retry_after = retry_after(|name| text(&head.headers, name), wall);
            Verdict::Fault(fault.with_status(429))
        }
        400..500 => Verdict::Refusal,
        _ => {
            let mut fault = Fault::new(FaultKind::ServerError, format!("{origin} answered {status}"));
            fault.retry_after = retry_after(|name| text(&head.headers, name), wall);
            Verdict::Fault(fault.with_status(status.as_u16()))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Makes the headers of a response fit to be passed on: hop-by-hop ones (RFC 9110 §7.6.1), cookies, and the framing
/// that was the upstream connection's own are removed.
pub(crate) fn clean_response_headers(headers: &mut HeaderMap) {
    if let Some(named) = headers.remove(header::CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
    // Mostly there is one of them among four headers: looking for each of the eleven would take longer.
    let gone: SmallVec<[HeaderName; 4]> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

static HOP_BY_HOP: [HeaderName; 11] = [
    HeaderName::from_static("keep-alive"),
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::SET_COOKIE,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
];
