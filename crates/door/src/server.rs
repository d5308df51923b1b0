//! Accepts connections and serves them until the process stops.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tradewind_runtime::{Caller, Stage, Stages, Supervisor};

use crate::head_timer::HeadTimer;
use crate::stall::StallGuard;
use crate::{Front, Tls};

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections; one more is answered 503 and closed, in TLS closed without an answer.
    pub connections: usize,
    /// The read buffer of a connection and so the hard bound of its headers, in bytes.
    pub buffer: usize,
    /// How long a connection may take for its TLS handshake, then to send the head of a request, or stay idle between
    /// two.
    pub head: Duration,
    /// How long a peer may not read.
    pub write_stall: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            buffer: 128 * 1024,
            head: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
        }
    }
}

/// What a connection over the limit is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// After a failed accept (no file descriptor left) the next one waits for this long, so that some can be closed.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// Serves `listener` until `supervisor` stops the process; in TLS when there is a certificate.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    front: Arc<Front>,
    supervisor: Supervisor,
    limits: ServerLimits,
) {
    let open = Arc::new(AtomicUsize::new(0));
    let stages = supervisor.stages().clone();
    loop {
        let accepted: io::Result<(TcpStream, SocketAddr)> = tokio::select! {
            biased;
            () = stages.reached(Stage::Draining) => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A connection that was reset before it was accepted is no reason to wait.
                if !matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) {
                    tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                }
                continue;
            }
        };
        if open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            open.fetch_sub(1, Ordering::Relaxed);
            if tls.is_none() {
                let _ = stream.try_write(FULL); // whoever cannot even take this is closed all the same
            }
            continue;
        }
        let counted = Counted(open.clone());
        let (front, stages) = (front.clone(), stages.clone());
        let _ = stream.set_nodelay(true); // slower without, but it works
        // A socket that cannot be handed over is as good as closed.
        let _ = match tls.clone() {
            None => supervisor.serve(stream, async move |stream| {
                let _counted = counted;
                connection(stream, front, stages, limits).await;
            }),
            // A task of its own kind: the state of TLS is not in those without.
            Some(tls) => supervisor.serve(stream, async move |stream| {
                let _counted = counted;
                let accepted = tokio::select! {
                    biased;
                    () = stages.reached(Stage::Draining) => None,
                    accepted = tls.accept(stream, limits.head) => accepted,
                };
                if let Some(stream) = accepted {
                    connection(stream, front, stages, limits).await;
                }
            }),
        };
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection<T>(stream: T, front: Arc<Front>, stages: Stages, limits: ServerLimits)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let caller = Caller::default();
    let guarded = StallGuard::new(stream, limits.write_stall, caller.clone());
    // More than 100 headers are answered 431: hyper's own bound. Asked for another one, it fills buffers of that many places
    // for each request, which takes a tenth of the time of a small answer.
    let service = service_fn(move |request| front.answer(request, caller.clone()));
    let serving = http1::Builder::new()
        .timer(HeadTimer::default())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.buffer)
        .serve_connection(TokioIo::new(guarded), service);
    tokio::pin!(serving);
    // Polled only to be woken when the process stops: each poll takes a lock that all connections share.
    let (draining, over) = (stages.reached(Stage::Draining), stages.reached(Stage::Over));
    tokio::pin!(draining, over);
    let mut watching = false;
    let mut stage = Stage::Running;
    poll_fn(|context| {
        loop {
            // How a connection ends is the peer's affair: a reset, a time-out, a clean close. Calls record themselves,
            // and see for themselves when the drain time is over: being polled is enough.
            if serving.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !watching {
                watching = true;
                let _ = draining.as_mut().poll(context);
                let _ = over.as_mut().poll(context);
            }
            if stage == Stage::Running && stages.now() > Stage::Running {
                stage = Stage::Draining;
                serving.as_mut().graceful_shutdown();
                // The same bell woke both; this one waits for the next.
                let _ = over.as_mut().poll(context);
                continue;
            }
            return Poll::Pending;
        }
    })
    .await;
}
