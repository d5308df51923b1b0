//! One connection: writes a request, reads the head of its response, and then as much of the body as is asked for.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Method, Request, response};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::RequestBody;
use crate::connect::Stream;
use crate::http1::framing::Framing;
use crate::http1::head::{encode, take};

/// The most that one read takes from a socket.
const READ: usize = 32 * 1024;

thread_local! {
    /// Reads land here and are copied out in their true size, so that an answer that waits holds no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// What went wrong on a connection.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server closed it, or it was reset; whether any byte of the request had been written.
    Closed { cause: Option<io::Error>, written: bool },
    /// What came is not a response.
    NotHttp(&'static str),
    /// The head is over the limit.
    HeadTooLarge,
    /// The framing of a chunked body is broken.
    BadChunk,
}

/// A connection to a server. Dropping it closes it.
pub(crate) struct Connection {
    stream: Stream,
    /// What has been read and not yet been taken.
    buffer: BytesMut,
    head_limit: usize,
}

/// A response whose head has been read.
pub(crate) struct Received {
    pub(crate) head: response::Parts,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again once the body is over.
    pub(crate) reusable: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream, head_limit: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), head_limit }
    }

    /// Sends `request` and waits for the head of its response. Dropping the future leaves the connection unusable.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        host: &HeaderValue,
    ) -> Result<Received, Broken> {
        let to_head = request.method() == Method::HEAD;
        let body = whole(&request);
        let head = encode(&request, host, body.len());
        drop(request);
        let mut wire = Bytes::from(head).chain(body);
        let total = wire.remaining();
        let wrote = poll_fn(|context| self.poll_write(context, &mut wire)).await;
        let complete = wire.remaining() == 0;
        let written = wire.remaining() < total;
        let head = poll_fn(|context| self.poll_head(context, to_head)).await;
        match (head, wrote) {
            // A server may answer before it has read everything; such a connection is in an unknown state.
            (Ok(head), _) => {
                Ok(Received { head: head.parts, framing: head.framing, reusable: head.reusable && complete })
            }
            (Err(Broken::Closed { .. }), Err(cause)) => Err(Broken::Closed { cause: Some(cause), written }),
            (Err(Broken::Closed { cause, .. }), Ok(())) => Err(Broken::Closed { cause, written }),
            (Err(broken), _) => Err(broken),
        }
    }

    /// Writes what is left of the request. Ends early when the server answers while it is not reading.
    fn poll_write(&mut self, context: &mut Context<'_>, wire: &mut impl Buf) -> Poll<io::Result<()>> {
        while wire.has_remaining() {
            let mut slices = [io::IoSlice::new(&[]); 2];
            let count = wire.chunks_vectored(&mut slices);
            let wrote = match Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count]) {
                Poll::Ready(wrote) => wrote?,
                Poll::Pending => {
                    return match self.poll_fill(context) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(_) => Poll::Ready(Ok(())),
                    };
                }
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            wire.advance(wrote);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_head(&mut self, context: &mut Context<'_>, to_head: bool) -> Poll<Result<super::head::Head, Broken>> {
        let mut looked_at = 0;
        loop {
            if self.buffer.len() > looked_at
                && let Some(head) = take(&mut self.buffer, to_head)?
            {
                return Poll::Ready(Ok(head));
            }
            if self.buffer.len() > self.head_limit {
                return Poll::Ready(Err(Broken::HeadTooLarge));
            }
            looked_at = self.buffer.len();
            match self.poll_fill(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Broken::Closed { cause: None, written: true })),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Broken::Closed { cause: Some(error), written: true }));
                }
            }
        }
    }

    /// Reads once from the socket into the buffer; 0 means that the server has closed.
    pub(crate) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut read) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    self.buffer.extend_from_slice(read.filled());
                    Poll::Ready(Ok(read.filled().len()))
                }
            }
        })
    }

    /// What has been read and not been taken.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether nothing has come since the last response: neither the end of the connection nor bytes that nobody asked
    /// for. Otherwise it must not be used again.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty() && self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Whether no byte is left over from the last response; looks at what has been read only.
    pub(crate) fn is_clean(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The bytes of a request's body, which is always there whole.
fn whole(request: &Request<RequestBody>) -> Bytes {
    let mut body = request.body().clone();
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}
