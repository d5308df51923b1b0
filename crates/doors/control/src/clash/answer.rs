//! What the controller answers with, and how it refuses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tradewind_door::{Response, json_response, text_response};

/// The largest body of a request, but for the context of the network.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
/// How long a body may take.
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(30);

/// Why there is no other answer. The words are mihomo's where it has some.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The secret is missing or wrong.
    Unauthorized,
    /// A body or a query that cannot be read.
    Body,
    /// Over the limit in bytes.
    TooLarge(usize),
    /// No such proxy, group or list.
    Unknown,
    /// No such path.
    Path,
    /// The path takes these methods.
    Method(&'static str),
    /// A handshake of a websocket in which this header is wrong.
    Handshake(&'static str),
    /// In words, with a status.
    Said(u16, Cow<'static, str>),
}

impl Wrong {
    pub(crate) fn said(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Said(status, message.into())
    }

    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => message(401, "Unauthorized"),
            Self::Body => message(400, "Body invalid"),
            Self::TooLarge(limit) => {
                let mut response = message(413, &format!("the body is over {limit} bytes"));
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                response
            }
            Self::Unknown => message(404, "Resource not found"),
            Self::Path => {
                let mut response = text_response(404, "404 page not found\n");
                response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                response
            }
            Self::Method(allowed) => {
                let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
                response
            }
            Self::Handshake(name) => handshake(name),
            Self::Said(status, text) => message(status, &text),
        }
    }
}

/// What is wrong with a handshake. Who speaks another version is told ours, RFC 6455 §4.4.
fn handshake(name: &str) -> Response {
    let is_version = name == "Sec-WebSocket-Version";
    let status = if is_version { 426 } else { 400 };
    let mut response = text_response(status, format!("handshake error: bad {name} header"));
    if is_version {
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// A JSON value, with the line end that mihomo's have.
pub(crate) fn json(status: u16, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_response(status, text + "\n"),
        Err(error) => message(500, &error.to_string()),
    }
}

/// `{key: value}`, with the fields of `value` in their order.
pub(crate) fn under(key: &'static str, value: &impl Serialize) -> Response {
    json(200, &BTreeMap::from([(key, value)]))
}

/// `{"message": …}`.
pub(crate) fn message(status: u16, text: &str) -> Response {
    json_response(status, json!({ "message": text }).to_string() + "\n")
}

/// Done, and there is nothing to say.
pub(crate) fn done() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// A status alone.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(tradewind_door::Body::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read<B>(body: B, limit: usize) -> Result<Bytes, Wrong>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let reading = tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect());
    match reading.await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Wrong::TooLarge(limit)),
        Ok(Err(_)) => Err(Wrong::Body),
        Err(_) => Err(Wrong::said(408, "the body took too long")),
    }
}

/// The first JSON value of a body; what stands behind it does not count, as in Go.
pub(crate) fn value(body: &[u8]) -> Result<Value, Wrong> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    values.next().and_then(Result::ok).ok_or(Wrong::Body)
}

/// [`value`] that is an object; `null` is an empty one.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Wrong> {
    match value(body)? {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(Wrong::Body),
    }
}

/// The text under `key`; empty when it is absent or null.
pub(crate) fn text<'o>(object: &'o Map<String, Value>, key: &str) -> Result<&'o str, Wrong> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Wrong::Body),
    }
}
