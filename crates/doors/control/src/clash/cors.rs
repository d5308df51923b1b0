//! The headers by which a browser lets a page of another origin use the controller.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use tradewind_door::Response;
use tradewind_policy::ways::Cors;

use super::answer::empty;
use super::origin::{is_named, is_open};

/// Methods that a page may use.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that a page may send, as they are written in the answer.
const HEADERS: [(&str, &str); 3] =
    [("authorization", "Authorization"), ("content-type", "Content-Type"), ("origin", "Origin")];
/// For how long a browser need not ask again, in seconds.
const MAX_AGE: &str = "300";
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What is put into `Access-Control-Allow-Origin`, when the request comes from a page that may read the answer.
fn allowed(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if is_open(cors) {
        return Some(HeaderValue::from_static("*"));
    }
    origin.to_str().is_ok_and(|origin| is_named(cors, origin)).then(|| origin.clone())
}

/// Lets the page read the answer, if it may.
pub(crate) fn mark(cors: &Cors, asked: &HeaderMap, response: &mut Response) {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed(cors, asked) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The answer to a browser that asks what a page may do; `None` when the request is another one.
pub(crate) fn preflight(cors: &Cors, head: &request::Parts) -> Option<Response> {
    let asked = &head.headers;
    let method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    if head.method != Method::OPTIONS || !asked.contains_key(header::ORIGIN) {
        return None;
    }
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    for vary in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
        headers.append(header::VARY, HeaderValue::from_static(vary));
    }
    let method = method.to_str().unwrap_or_default().to_ascii_uppercase();
    let method = METHODS.into_iter().find(|known| *known == method);
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).map_or("", |wanted| wanted.to_str().unwrap_or("?"));
    let wanted: Option<Vec<&str>> =
        wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).map(known).collect();
    let (Some(origin), Some(method), Some(wanted)) = (allowed(cors, asked), method, wanted) else {
        return Some(response);
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(method));
    if !wanted.is_empty()
        && let Ok(wanted) = HeaderValue::from_str(&wanted.join(", "))
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    if cors.private_network && asked.get(REQUEST_PRIVATE_NETWORK).is_some_and(|wanted| wanted == "true") {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    Some(response)
}

fn known(name: &str) -> Option<&'static str> {
    HEADERS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, written)| written)
}
