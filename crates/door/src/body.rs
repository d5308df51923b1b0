//! The bodies that doors answer with.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

use crate::front::Place;

/// A response of a door.
pub type Response = http::Response<Body>;

type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = io::Error> + Send>>;

/// A whole body, or one that is still being written. A door ends a broken stream in its own dialect;
/// only where that has no words for it the body fails, and the connection is closed without the end of the body.
pub struct Body {
    inner: Inner,
    /// Given back when the body has been sent, or given up.
    place: Option<Place>,
}

enum Inner {
    Whole(Option<Bytes>),
    Stream(Stream),
}

impl Body {
    /// A body that is there whole.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { inner: Inner::Whole((!bytes.is_empty()).then_some(bytes)), place: None }
    }

    /// A body that comes in pieces.
    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = io::Error> + Send + 'static) -> Self {
        Self { inner: Inner::Stream(Box::pin(body)), place: None }
    }

    /// Holds a place among the calls until it has been sent.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().inner {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Stream(stream) => stream.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

/// A response with a JSON body.
#[must_use]
pub fn json_response(status: u16, body: impl Into<Bytes>) -> Response {
    with_type(status, HeaderValue::from_static("application/json"), body)
}

/// A response with a plain text body.
#[must_use]
pub fn text_response(status: u16, body: impl Into<Bytes>) -> Response {
    with_type(status, HeaderValue::from_static("text/plain; charset=utf-8"), body)
}

fn with_type(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Body::whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
