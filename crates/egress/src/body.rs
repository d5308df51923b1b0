//! The body of an answer, read by whoever asked. At its end the connection goes back to its route.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tradewind_core::Fault;

use crate::Route;
use crate::classify::{Stage, http1_fault, hyper_fault};
use crate::http1::{Broken, Connection, Framing};

/// The most that is read of a body that nobody needs, in bytes, and for how long, before its connection is closed instead.
const REST_LIMIT: usize = 64 * 1024;
const REST_TIME: Duration = Duration::from_secs(1);

/// The body of an answer. Dropping it before its end closes the HTTP/1.1 connection, or resets the HTTP/2 stream: the
/// server stops working at once.
pub struct AnswerBody {
    source: Source,
    route: Arc<Route>,
}

enum Source {
    /// Read by whoever holds the body.
    Http1 { connection: Connection, framing: Framing, reusable: bool },
    /// Fed by the connection's task; `announced` is whether its length was.
    Http2 { body: Incoming, announced: bool },
    /// It has been read whole, or broke off.
    Ended,
}

impl AnswerBody {
    pub(crate) fn http1(connection: Connection, framing: Framing, reusable: bool, route: Arc<Route>) -> Self {
        let mut this = Self { source: Source::Http1 { connection, framing, reusable }, route };
        this.settle();
        this
    }

    pub(crate) fn http2(body: Incoming, route: Arc<Route>) -> Self {
        let announced = body.size_hint().exact().is_some();
        Self { source: Source::Http2 { body, announced }, route }
    }

    /// The rest did not come in time: see [`Route::distrust_connection`].
    pub fn distrust_connection(&self) {
        self.route.distrust_connection();
    }

    /// Nobody needs the rest: reads on for a moment without the caller, so that the connection can be kept.
    pub fn finish_in_background(mut self) {
        if !matches!(self.source, Source::Http1 { .. }) {
            return;
        }
        let spawner = self.route.spawner().clone();
        spawner.spawn(async move {
            let rest = async {
                let mut left = REST_LIMIT;
                while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    if length > left {
                        return;
                    }
                    left -= length;
                }
            };
            // Past the limit the body is dropped, and the connection with it.
            let _ = tokio::time::timeout(REST_TIME, rest).await;
        });
    }

    /// Keeps the connection once the body has been read whole.
    fn settle(&mut self) {
        let Source::Http1 { framing, .. } = &self.source else { return };
        if !framing.is_end() {
            return;
        }
        if let Source::Http1 { connection, reusable: true, .. } = std::mem::replace(&mut self.source, Source::Ended)
            && connection.is_clean()
        {
            self.route.put_back(connection);
        }
    }

    fn poll_http1(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let Source::Http1 { connection, framing, .. } = &mut self.source else { return Poll::Ready(None) };
        loop {
            match framing.take(connection.buffer()) {
                Ok(Some(data)) => {
                    self.settle();
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(None) if framing.is_end() => {
                    self.settle();
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Some(Err(self.broken(broken)))),
            }
            let cause = match connection.poll_fill(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) if matches!(framing, Framing::UntilClose) => {
                    self.source = Source::Ended;
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(0)) => None,
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => Some(error),
            };
            return Poll::Ready(Some(Err(self.broken(Broken::Closed { cause, written: true }))));
        }
    }

    /// The fault of a body that broke off; the connection is closed.
    fn broken(&mut self, broken: Broken) -> Fault {
        let announced = match &self.source {
            Source::Http1 { framing, .. } => matches!(framing, Framing::Length(_)),
            Source::Http2 { announced, .. } => *announced,
            Source::Ended => false,
        };
        self.source = Source::Ended;
        http1_fault(broken, Stage::Body { announced }, self.route.name())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let (body, announced) = match &mut this.source {
            Source::Ended => return Poll::Ready(None),
            Source::Http1 { .. } => return this.poll_http1(context).map(|data| data.map(|data| data.map(Frame::data))),
            Source::Http2 { body, announced } => (body, *announced),
        };
        match Pin::new(body).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => {
                this.source = Source::Ended;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.source = Source::Ended;
                Poll::Ready(Some(Err(hyper_fault(&error, Stage::Body { announced }, this.route.name()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1 { framing: Framing::Length(left), .. } => SizeHint::with_exact(*left),
            Source::Http1 { .. } => SizeHint::default(),
            Source::Http2 { body, .. } => body.size_hint(),
            Source::Ended => SizeHint::with_exact(0),
        }
    }
}
