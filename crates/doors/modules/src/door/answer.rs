//! Responses: types, how long they may be kept, and errors as the go command shows them.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, VARY};
use http::{HeaderValue, StatusCode};
use tradewind_door::{Body, Response};

use super::record::{DECISION, Recording};
use crate::failure::Failure;
use crate::fetch::Mount;

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const ZIP: HeaderValue = HeaderValue::from_static("application/zip");
pub(super) const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// For how long an answer may be kept by who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// For ever: it is what it is.
    ForEver,
    /// For so many seconds.
    Seconds(u64),
    /// Only to be asked about again.
    Asking,
    /// Not at all.
    Never,
}

impl Keep {
    pub(super) fn header(self) -> HeaderValue {
        match self {
            Self::ForEver => HeaderValue::from_static("max-age=31536000, immutable"),
            Self::Seconds(seconds) => {
                HeaderValue::from_str(&format!("max-age={seconds}")).unwrap_or(HeaderValue::from_static("no-cache"))
            }
            Self::Asking => HeaderValue::from_static("no-cache"),
            Self::Never => HeaderValue::from_static("no-store"),
        }
    }
}

/// A response with these headers, of which the length is `length`.
pub(super) fn response(
    status: StatusCode,
    content_type: HeaderValue,
    keep: Keep,
    etag: Option<&str>,
    length: Option<u64>,
    body: Body,
) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    common(headers, keep, etag);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// What a 304 has as well (RFC 9110 §15.4.5). The tag comes with its quotation marks.
pub(super) fn common(headers: &mut HeaderMap, keep: Keep, etag: Option<&str>) {
    headers.insert(CACHE_CONTROL, keep.header());
    if let Some(etag) = etag
        && let Ok(etag) = HeaderValue::from_str(etag)
    {
        headers.insert(ETAG, etag);
    }
}

/// The response to what failed; closes the record.
pub(super) fn failed(failure: &Failure, mount: &Mount, recording: Recording) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = Bytes::from(format!("{}\n", failure.reason));
    let keep = if failure.is_missing() { Keep::Seconds(mount.missing_seconds()) } else { Keep::Never };
    let length = text.len() as u64;
    let mut response = response(status, TEXT, keep, None, Some(length), Body::whole(text));
    if failure.is_missing() {
        // It may be missing only for those who want nothing fetched: whoever keeps it must not give it to others.
        response.headers_mut().insert(VARY, HeaderValue::from_static("disable-module-fetch"));
    }
    response.headers_mut().extend(recording.header().map(|id| (DECISION, id)));
    recording.failed(failure);
    response
}
