//! One connection: writes a request, reads the head of its response, and then as much of the body as is asked for.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::buf::Chain;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Method, Request, response};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http1::framing::Framing;
use crate::http1::head::{Head, encode, take};
use crate::{ProxyHeaders, RequestBody, Stream};

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

/// By what way a connection was opened, and for whom: what it may be used for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The id of the way out; 0 without one.
    pub(crate) way: u64,
    /// The caller that a login of the connection was made for; 0 where there is none.
    pub(crate) owner: u64,
}

impl Tag {
    /// Of a connection without a way out.
    pub(crate) const DIRECT: Self = Self { way: 0, owner: 0 };
}

/// A connection to a server. Dropping it closes it.
pub(crate) struct Connection {
    stream: Stream,
    tag: Tag,
    /// What is added to requests, where the connection ends at a proxy that is asked with the absolute form.
    proxy: Option<Box<ProxyHeaders>>,
    /// What has been read and not yet been taken.
    buffer: BytesMut,
    head_limit: usize,
}

/// A response whose head has been read, and the connection that the rest comes on.
pub(crate) struct Received {
    pub(crate) connection: Connection,
    pub(crate) head: response::Parts,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again once the body is over.
    pub(crate) reusable: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream, head_limit: usize, tag: Tag) -> Self {
        Self { stream, tag, proxy: None, buffer: BytesMut::new(), head_limit }
    }

    /// The same connection, which ends at a proxy: requests go out in the absolute form, with `headers`.
    pub(crate) fn through_proxy(mut self, headers: ProxyHeaders) -> Self {
        self.proxy = Some(Box::new(headers));
        self
    }

    /// Whether it ends at a proxy that sees the requests.
    pub(crate) const fn is_through_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// What it may be used for again.
    pub(crate) const fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Sends `request` and waits for the head of its response. Dropping the future closes the connection.
    pub(crate) fn exchange(mut self, request: &Request<RequestBody>, host: &HeaderValue) -> Exchange {
        let body = whole(request);
        let wire = Bytes::from(encode(request, host, body.len(), self.proxy.as_deref())).chain(body);
        if let Some(proxy) = &mut self.proxy {
            proxy.once = None;
        }
        let to_head = request.method() == Method::HEAD;
        Exchange { connection: Some(self), length: wire.remaining(), wire, to_head, writing: true, cause: None }
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

    fn poll_head(&mut self, context: &mut Context<'_>, to_head: bool) -> Poll<Result<Head, Broken>> {
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

    /// Has the present thread's runtime watch the socket from now on. Only for a quiet connection.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        self.stream.adopt()
    }

    /// Whether no byte is left over from the last response; looks at what has been read only.
    pub(crate) fn is_clean(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// A request on its way and the wait for the head of its response. A future of its own, since it is the largest part of
/// what each call in flight holds.
pub(crate) struct Exchange {
    /// Taken at the end.
    connection: Option<Connection>,
    /// What is left of the request.
    wire: Chain<Bytes, Bytes>,
    /// The length of the request.
    length: usize,
    to_head: bool,
    writing: bool,
    /// Why writing broke off.
    cause: Option<io::Error>,
}

impl Future for Exchange {
    type Output = Result<Received, Broken>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let connection = this.connection.as_mut().expect("a future is not polled behind its end");
        if this.writing {
            this.cause = ready!(connection.poll_write(context, &mut this.wire)).err();
            this.writing = false;
        }
        let head = ready!(connection.poll_head(context, this.to_head));
        let left = this.wire.remaining();
        let (connection, cause) = (this.connection.take(), this.cause.take());
        Poll::Ready(match (head, connection) {
            // A server may answer before it has read everything; such a connection is in an unknown state.
            (Ok(Head { parts, framing, reusable }), Some(connection)) => {
                Ok(Received { connection, head: parts, framing, reusable: reusable && left == 0 })
            }
            (Err(Broken::Closed { cause: read, .. }), _) => {
                Err(Broken::Closed { cause: cause.or(read), written: left < this.length })
            }
            (Err(broken), _) => Err(broken),
            (Ok(_), None) => Err(Broken::Closed { cause: None, written: true }),
        })
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
