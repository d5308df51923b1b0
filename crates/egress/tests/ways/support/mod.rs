//! What the tests of ways out share: a clock, ways by name, origins that answer, proxies that do what a test says.

#![expect(clippy::disallowed_methods, reason = "tests make their own tasks and have real time")]

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tradewind_core::{Clock, Fault, FaultKind, Moment, Secret, UnixMillis};
use tradewind_egress::{
    Chooser, Chosen, Destination, Dialing, Egress, EgressSettings, Outbound, Resolver, Roots, Spawner, Stream,
};
use tradewind_policy::ways::{HttpProxy, Proxy, ProxyAuth, ProxyKind, ShadowsocksProxy, SocksProxy};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A monotonic clock that a test moves, and the machine's wall clock, which 2022 puts on the wire.
#[derive(Default)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64)
    }
}

/// Ways by name, and groups of one.
#[derive(Default)]
pub(crate) struct Table {
    ways: Mutex<HashMap<String, Arc<Outbound>>>,
}

impl Table {
    pub(crate) fn of(ways: impl IntoIterator<Item = Arc<Outbound>>) -> Arc<Self> {
        let table = Self::default();
        for way in ways {
            table.set(&way.name().clone(), way);
        }
        Arc::new(table)
    }

    /// What `name` stands for from now on.
    pub(crate) fn set(&self, name: &str, way: Arc<Outbound>) {
        self.ways.lock().insert(name.to_owned(), way);
    }
}

impl Chooser for Table {
    fn choose(&self, name: &str, _: &Destination) -> Result<Chosen, Fault> {
        let ways = self.ways.lock();
        let way =
            ways.get(name).ok_or_else(|| Fault::new(FaultKind::WayBroken, format!("nothing is called `{name}`")))?;
        Ok(Chosen { outbound: way.clone(), chain: SmallVec::from_elem(way.name().clone(), 1) })
    }
}

pub(crate) fn dialing(ways: &[&Arc<Outbound>], limit: Duration) -> Dialing {
    let chooser = Table::of(ways.iter().map(|way| Arc::clone(way)));
    Dialing { resolver: Arc::new(Resolver::new(Arc::new(TestClock::default()))), chooser, limit, forbid: None }
}

pub(crate) fn egress() -> Arc<Egress> {
    // A test's runtime owns its tasks: they end with it.
    let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
    Egress::new(Arc::new(TestClock::default()), spawner, EgressSettings::default())
}

pub(crate) fn way(name: &str, kind: ProxyKind) -> Arc<Outbound> {
    through(name, kind, None)
}

/// With a dialer.
pub(crate) fn through(name: &str, kind: ProxyKind, dialer: Option<&str>) -> Arc<Outbound> {
    let spec = Proxy { name: name.into(), kind, dialer: dialer.map(Into::into), udp: true };
    Arc::new(Outbound::new(&spec, &Roots::none()).unwrap())
}

pub(crate) fn direct() -> Arc<Outbound> {
    way("DIRECT", ProxyKind::Direct)
}

pub(crate) fn http_proxy(server: SocketAddr) -> HttpProxy {
    HttpProxy {
        server: server.ip().to_string().into(),
        port: server.port(),
        username: None,
        password: None,
        auth: Vec::new(),
        spn: None,
        tls: false,
        sni: None,
        skip_cert_verify: false,
        headers: Vec::new(),
    }
}

pub(crate) fn with_basic(proxy: HttpProxy, user: &str, password: &str) -> ProxyKind {
    ProxyKind::Http(HttpProxy {
        username: Some(user.into()),
        password: Some(Secret::new(password.to_owned())),
        auth: vec![ProxyAuth::Basic],
        ..proxy
    })
}

pub(crate) fn socks(server: SocketAddr, login: Option<(&str, &str)>) -> ProxyKind {
    ProxyKind::Socks5(SocksProxy {
        server: server.ip().to_string().into(),
        port: server.port(),
        username: login.map(|(user, _)| user.into()),
        password: login.map(|(_, password)| Secret::new(password.to_owned())),
        tls: false,
        sni: None,
        skip_cert_verify: false,
    })
}

pub(crate) fn shadowsocks(server: SocketAddr, cipher: &str, password: &str) -> ProxyKind {
    ProxyKind::Shadowsocks(ShadowsocksProxy {
        server: server.ip().to_string().into(),
        port: server.port(),
        cipher: cipher.into(),
        password: Secret::new(password.to_owned()),
    })
}

/// Something that listens.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// How often it was connected to.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn destination(&self) -> Destination {
        self.address.into()
    }
}

/// A server that does with each connection what `serve` says.
pub(crate) async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(socket));
        }
    });
    Server { address, connections }
}

/// Sends back what comes, in capital letters.
pub(crate) async fn echo() -> Server {
    serve(|mut socket| async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = socket.read(&mut bytes).await {
            bytes[..read].make_ascii_uppercase();
            if socket.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Sends back datagrams in capital letters.
pub(crate) async fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = vec![0; 65_536];
        while let Ok((read, from)) = socket.recv_from(&mut bytes).await {
            bytes[..read].make_ascii_uppercase();
            let _ = socket.send_to(&bytes[..read], from).await;
        }
    });
    address
}

/// Reads the head of an HTTP message.
pub(crate) async fn head(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An origin that answers each request with its head, in a body, and keeps the connection.
pub(crate) async fn mirror() -> Server {
    serve(|mut socket| async move {
        loop {
            let asked = head(&mut socket).await;
            if asked.is_empty() {
                return;
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{asked}", asked.len());
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Copies both ways until both have ended.
pub(crate) async fn splice(mut one: TcpStream, to: SocketAddr) {
    if let Ok(mut other) = TcpStream::connect(to).await {
        let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
    }
}

/// Says something through `stream` to an [`echo`], and hears it back.
pub(crate) async fn talk(stream: &mut Stream) {
    for length in [1, 10, 100_000] {
        let said: Vec<u8> = (0..length).map(|index| b'a' + (index % 26) as u8).collect();
        let (mut reader, mut writer) = tokio::io::split(&mut *stream);
        let write = async {
            writer.write_all(&said).await.unwrap();
            writer.flush().await.unwrap();
        };
        let mut heard = vec![0; length];
        let read = async { reader.read_exact(&mut heard).await.unwrap() };
        tokio::time::timeout(PATIENCE, async { tokio::join!(write, read) }).await.unwrap();
        assert_eq!(heard, said.to_ascii_uppercase());
    }
}
