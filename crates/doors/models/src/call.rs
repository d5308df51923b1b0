//! One call of the door in the words of `dispatch`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, response};
use tradewind_core::{Dialect, Fault, FaultKind};
use tradewind_dispatch::{Finding, Lane, Protocol, Reading};
use tradewind_egress::RequestBody;

use crate::ask::{Ask, Operation};
use crate::link::Link;
use crate::stream::ModelStream;
use crate::{anthropic, openai};

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// What is said for a caller that does not say it; the only version there is.
const USUAL_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// What the caller sent.
pub(crate) enum What {
    /// A request that was read.
    Ask(Ask),
    /// A path that the gateway does not know.
    Unknown { method: Method, path: String, body: Bytes },
}

/// A call that is being driven.
pub(crate) struct ModelCall {
    pub(crate) what: What,
    /// The caller's headers that go on.
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    pub(crate) lanes: Arc<[Lane]>,
    pub(crate) links: Arc<[Arc<Link>]>,
    pub(crate) event_limit: usize,
}

impl ModelCall {
    fn wrong_type(&self, head: &response::Parts, wanted: &str) -> Fault {
        let given = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        let given: String = given.chars().take(60).collect();
        Fault::new(FaultKind::WrongContentType, format!("the answer is {given}, where {wanted} was due"))
    }
}

impl Protocol for ModelCall {
    type Stream = ModelStream;

    fn request(&self, leaf: usize, key: Option<usize>) -> Request<RequestBody> {
        let (lane, link) = (&self.lanes[leaf], &self.links[leaf]);
        let model = lane.target.id().model();
        let query = self.query.as_deref();
        let (method, target, body) = match &self.what {
            What::Ask(ask) => {
                let target = match ask.operation.in_policy() {
                    Some(operation) => link.target(operation, model, query),
                    None => http::Uri::from_static("/"),
                };
                (Method::POST, target, ask.body_for(model))
            }
            What::Unknown { method, path, body } => (method.clone(), link.unknown_target(path, query), body.clone()),
        };
        let mut request = Request::new(RequestBody::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        // A compressed answer could not be read in passing.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let What::Ask(_) = self.what {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        if link.dialect == Dialect::Anthropic {
            headers.entry(ANTHROPIC_VERSION).or_insert(USUAL_VERSION);
        }
        link.dress(headers, key);
        request
    }

    fn reading(&self, _leaf: usize, head: &response::Parts) -> Result<Reading<ModelStream>, Fault> {
        let What::Ask(ask) = &self.what else { return Ok(Reading::Stream(ModelStream::unread())) };
        let given = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let is_stream = begins_with(given, b"text/event-stream");
        if ask.stream {
            if !is_stream {
                return Err(self.wrong_type(head, "a stream of events"));
            }
            return Ok(Reading::Stream(match ask.operation.dialect() {
                Dialect::OpenAi => ModelStream::openai(self.event_limit),
                Dialect::Anthropic => ModelStream::anthropic(self.event_limit),
            }));
        }
        // Some servers leave the type out or say text/plain: then the body itself has to show that it is JSON.
        if is_stream || begins_with(given, b"text/html") || begins_with(given, b"image/") {
            return Err(self.wrong_type(head, "JSON"));
        }
        Ok(Reading::Whole)
    }

    fn check_whole(&self, body: &Bytes) -> Result<Finding, Fault> {
        match &self.what {
            What::Unknown { .. } => Ok(Finding::default()),
            What::Ask(ask) => match ask.operation.dialect() {
                Dialect::OpenAi => openai::check_whole(ask.operation, body),
                Dialect::Anthropic => anthropic::check_whole(ask.operation, body),
            },
        }
    }

    fn is_stream(&self) -> bool {
        matches!(&self.what, What::Ask(ask) if ask.stream)
    }

    fn is_repeatable(&self) -> bool {
        match &self.what {
            What::Ask(ask) => ask.repeatable,
            What::Unknown { method, .. } => method.is_safe(),
        }
    }

    fn estimated_input(&self) -> u64 {
        match &self.what {
            What::Ask(ask) if ask.operation != Operation::CountTokens => ask.estimated_input,
            _ => 0,
        }
    }
}

fn begins_with(value: &[u8], prefix: &[u8]) -> bool {
    value.len() >= prefix.len() && value[..prefix.len()].eq_ignore_ascii_case(prefix)
}
