//! A gateway with one small door, and a client of bytes.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tradewind_access::{Access, Reach, StoredKey};
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_door::{
    Door, Front, FrontLimits, Refusal, Request, Response, ServerLimits, Tls, json_response, serve, text_response,
};
use tradewind_policy::{KeyHash, KeyTerms};
use tradewind_runtime::{Kind, Supervisor};

/// No step of a test may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Answers with who calls, and whether they may use the model `x`; at `/context` with where the call comes from.
struct Echo;

impl Door for Echo {
    fn serves(&self, path: &str) -> bool {
        path != "/nowhere"
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let name = request.grant.name().map_or("-", |name| name);
        let mut text = format!("{name} {} {}", request.grant.allows("models/x"), request.grant.allows("control/read"));
        if request.head.uri.path() == "/context" {
            text = serde_json::to_string(request.grant.context()).unwrap();
        }
        Box::pin(ready(text_response(200, text)))
    }

    fn refuse(&self, _: &request::Parts, refusal: &Refusal) -> Response {
        json_response(refusal.status, format!("{{\"door\": \"{}: {}\"}}", refusal.code, refusal.message))
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(1_795_132_800_000)
    }
}

/// A running server.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) access: Arc<Access>,
    pub(crate) front: Arc<Front>,
    pub(crate) supervisor: Supervisor,
}

pub(crate) const SECRET: &str = "tw-0123456789abcdef";

pub(crate) fn key(name: &str, secret: &str, terms: KeyTerms) -> StoredKey {
    StoredKey::new(name, KeyHash::of(secret.as_bytes()), UnixMillis(0), terms)
}

impl Gateway {
    pub(crate) async fn start(reach: Reach, tls: Option<Arc<Tls>>, limits: ServerLimits) -> Self {
        Self::start_with(reach, tls, limits, 10).await
    }

    /// With room for so many calls at once.
    pub(crate) async fn start_with(reach: Reach, tls: Option<Arc<Tls>>, limits: ServerLimits, calls: usize) -> Self {
        let access = Arc::new(Access::new(reach));
        let front_limits = FrontLimits { headers: 8192, calls };
        let front = Arc::new(Front::new(vec![Arc::new(Echo)], access.clone(), Arc::new(Still), front_limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let supervisor = Supervisor::new();
        supervisor.spawn(Kind::Upkeep, serve(listener, tls, front.clone(), supervisor.clone(), limits));
        Self { address, access, front, supervisor }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until so many connections are open.
    pub(crate) async fn connections(&self, count: usize) {
        let reached = self.supervisor.reached(Kind::Connection, count);
        let now = || self.supervisor.count(Kind::Connection);
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} connections", now()));
    }
}

/// Sends `request` and reads to the end of the connection.
pub(crate) async fn talk<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}
