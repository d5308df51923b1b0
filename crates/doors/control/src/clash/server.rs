//! The listener of the controller.
//!
//! Apart from the one of the doors: it has another secret, other bounds, and dashboards keep their connections open for hours.
//! Its connections are served on the runtime that serves this, not on the threads of callers, so that a dashboard that asks
//! for ten thousand connections each second takes nothing from them but the processor.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tradewind_door::StallGuard;
use tradewind_runtime::{Caller, Kind, Stage, Supervisor};

use super::controller::Controller;
use super::frames::Closing;
use super::router;
use super::socket::{self, Pending};

/// Connections that are open at once; one more is answered 503 and closed.
pub const MOST_CONTROLLER_CONNECTIONS: usize = 256;
/// What such a connection is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Bytes of a head that are read.
const BUFFER: usize = 64 * 1024;
/// More headers than this are answered 431.
const HEADERS: usize = 100;
/// How long a head may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(75);
/// How long a peer may not read.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// After a failed accept (no file descriptor left) the next one waits for this long.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// Serves `listener` until the process stops. When this is dropped the listener closes, requests that are being answered
/// are, and streams end.
pub async fn serve_controller(listener: TcpListener, controller: Controller, supervisor: Supervisor) {
    let open = Arc::new(AtomicUsize::new(0));
    let stages = supervisor.stages().clone();
    let (_held, closed) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stages.reached(Stage::Draining) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONTROLLER_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            let _ = stream.try_write(FULL); // whoever cannot even take this is closed all the same
            continue;
        }
        let _ = stream.set_nodelay(true); // slower without, but it works
        let counted = Counted(open.clone());
        let (controller, closed) = (controller.clone(), closed.clone());
        supervisor.spawn(Kind::Connection, async move {
            let _counted = counted;
            connection(stream, controller, closed).await;
        });
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection: requests first, and a websocket when one was agreed to.
async fn connection(stream: TcpStream, controller: Controller, mut closed: watch::Receiver<()>) {
    let guarded = StallGuard::new(stream, WRITE_STALL, Caller::default());
    let left: Arc<Mutex<Option<Pending>>> = Arc::default();
    let closing = Closing { closed: closed.clone(), locked: controller.inner().locked.subscribe() };
    let sockets = left.clone();
    let service = service_fn(move |request| {
        let (controller, mut closing, sockets) = (controller.clone(), closing.clone(), sockets.clone());
        // A stream that is opened now was opened with the present secret.
        closing.locked.mark_unchanged();
        async move {
            let mut socket = None;
            let response = router::answer(&controller, request, &closing, &mut socket).await;
            *sockets.lock() = socket;
            Ok::<_, Infallible>(response)
        }
    });
    {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(guarded), service)
            .with_upgrades();
        tokio::pin!(serving);
        // How a connection ends is the peer's affair.
        tokio::select! {
            _ = serving.as_mut() => {}
            _ = closed.changed() => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    }
    let pending = left.lock().take();
    if let Some(pending) = pending {
        socket::serve(pending).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::tests::rig;
    use super::*;

    const ASK: &[u8] = b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n";

    /// The status that is answered.
    async fn status(stream: &mut TcpStream) -> Option<u16> {
        let mut read = Vec::new();
        while !read.ends_with(b"\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.ok()? == 0 {
                return None;
            }
            read.push(byte[0]);
        }
        std::str::from_utf8(&read).ok()?.split(' ').nth(1)?.parse().ok()
    }

    #[tokio::test]
    async fn connections_and_heads_are_bounded() {
        let rig = rig();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        supervisor.spawn(Kind::Upkeep, serve_controller(listener, rig.controller.clone(), supervisor.clone()));
        let mut open = Vec::new();
        for _ in 0..MOST_CONTROLLER_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(ASK).await.unwrap();
            assert_eq!(status(&mut stream).await, Some(200));
            open.push(stream);
        }
        let mut more = TcpStream::connect(address).await.unwrap();
        assert_eq!(status(&mut more).await, Some(503));
        // A place is free again as soon as the server has seen that one has gone.
        drop(open);
        supervisor.reached(Kind::Connection, 0).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        assert_eq!(status(&mut stream).await, Some(200));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let many = "x: y\r\n".repeat(HEADERS + 1);
        stream.write_all(format!("GET /version HTTP/1.1\r\n{many}\r\n").as_bytes()).await.unwrap();
        assert_eq!(status(&mut stream).await, Some(431));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let large = "a".repeat(4 * BUFFER);
        // The server may be gone before all of it is written.
        let _ = stream.write_all(format!("GET /version HTTP/1.1\r\nx: {large}\r\n\r\n").as_bytes()).await;
        assert!(matches!(status(&mut stream).await, Some(431) | None));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /logs HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(status(&mut stream).await, Some(200));
        // The stream ends when the process stops, so that nothing has to be cut off.
        assert_eq!(supervisor.stop(Duration::from_secs(20), Duration::ZERO).await, 0);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    }
}
