//! What these tests share: ways in a folder of their own, a clock, and servers that count who asks.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tradewind_core::{Clock, Fault, Moment, UnixMillis};
use tradewind_egress::{Chosen, Destination, Egress, EgressSettings, Roots, Spawner};
use tradewind_policy::ways::Ways as Spec;
use tradewind_policy::{Problems, Root};
use tradewind_runtime::Supervisor;
use tradewind_store::agent::StatefulAgent as _;
use tradewind_ways::{Kept, Needs, Provider, Ways};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `done` says something.
pub(crate) async fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = SystemTime::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(began.elapsed().unwrap() < PATIENCE, "it does not come about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Goes with tokio's time, and forward when a test says so.
pub(crate) struct TestClock {
    origin: Instant,
    wall: UnixMillis,
    forward: AtomicU64,
}

impl TestClock {
    fn new() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self { origin: Instant::now(), wall: UnixMillis(wall.as_millis() as u64), forward: AtomicU64::new(0) }
    }

    pub(crate) fn forward(&self, by: Duration) {
        self.forward.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed() + Duration::from_micros(self.forward.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.elapsed().as_micros() as u64)
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.wall.0 + self.elapsed().as_millis() as u64)
    }
}

pub(crate) fn spec(text: &str) -> Spec {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| None, &[], &mut problems);
    let spec = Spec::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test", text));
    spec
}

/// Ways out in a folder.
pub(crate) struct Rig {
    pub(crate) ways: Ways,
    pub(crate) clock: Arc<TestClock>,
    folder: TempDir,
}

impl Rig {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), text)
    }

    pub(crate) fn start_in(folder: TempDir, text: &str) -> Self {
        Self::start_with(folder, text, Kept::default())
    }

    fn start_with(folder: TempDir, text: &str, kept: Kept) -> Self {
        let clock = Arc::new(TestClock::new());
        // A test's runtime owns its tasks: they end with it.
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let needs = Needs {
            clock: clock.clone(),
            egress: Egress::new(clock.clone(), spawner, EgressSettings::default()),
            supervisor: Supervisor::new(),
            roots: Roots::none(),
            folder: folder.path().join("data"),
            base: folder.path().to_owned(),
        };
        std::fs::create_dir_all(&needs.folder).unwrap();
        let (ways, _) = Ways::start(spec(text), needs, kept).unwrap();
        Self { ways, clock, folder }
    }

    /// Ends, and begins again with what is kept.
    pub(crate) fn restart(self, text: &str) -> Self {
        let mut kept = Kept::default();
        kept.restore_from(&self.ways.kept().take_snapshot().unwrap()).unwrap();
        Self::start_with(self.folder, text, kept)
    }

    pub(crate) fn reload(&self, text: &str) {
        let prepared = self.ways.prepare(spec(text)).unwrap();
        self.ways.put_in_place(prepared);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that the document may name.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(self.folder(), name, text);
    }

    /// What a connection along `group` would take.
    pub(crate) fn choose(&self, group: &str) -> Result<Chosen, Fault> {
        self.ways.choose(group, &Destination::new("a.test", 443))
    }

    /// The member that a group uses.
    pub(crate) fn uses(&self, group: &str) -> String {
        let now = self.ways.set().group(group).unwrap().now();
        now.map_or_else(String::new, |member| member.name().to_string())
    }

    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        let members = self.ways.set().group(group).unwrap().members();
        members.iter().map(|member| member.name().to_string()).collect()
    }

    pub(crate) fn provider(&self, name: &str) -> Arc<Provider> {
        self.ways.set().provider(name).unwrap().clone()
    }

    /// How many rules a list has.
    pub(crate) fn rule_count(&self, name: &str) -> usize {
        let rules = self.ways.rules();
        rules.lists.all().iter().find(|list| *list.spec.name == *name).unwrap().count()
    }
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A list of proxies with these names, none of which leads anywhere.
pub(crate) fn proxies(names: &[&str]) -> String {
    let listed = names.iter().map(|name| format!("  - {{name: {name}, type: http, server: 127.0.0.1, port: 1}}\n"));
    format!("proxies:\n{}", listed.collect::<String>())
}

/// A server that counts who asks, and who waits for an answer now.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) asked: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

impl Counted {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Where it listens, and what it has counted.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) counted: Arc<Counted>,
}

/// A server that does with each connection what `serve` says.
pub(crate) async fn serve<F>(serve: impl Fn(TcpStream, Arc<Counted>) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, counted) = (listener.local_addr().unwrap(), Arc::<Counted>::default());
    let count = counted.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, count.clone()));
        }
    });
    Server { address, counted }
}

/// Reads the head of a request; nothing when the caller has gone.
pub(crate) async fn head(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(socket.read_u8().await.ok()?);
    }
    String::from_utf8(bytes).ok()
}

pub(crate) async fn answer(socket: &mut TcpStream, status: &str, body: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // Whoever has gone already needs no answer.
    let _ = socket.write_all(answer.as_bytes()).await;
}

/// A server that reads what it is asked, and never answers.
pub(crate) async fn silent() -> Server {
    serve(|mut socket, counted| async move {
        while head(&mut socket).await.is_some() {
            counted.asked.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await
}

/// What [`pages`] answers, which a test may change.
pub(crate) type Page = Arc<Mutex<(&'static str, String)>>;

/// A server that answers each request with the present page.
pub(crate) async fn pages(status: &'static str, body: &str) -> (Server, Page) {
    let page: Page = Arc::new(Mutex::new((status, body.to_owned())));
    let shown = page.clone();
    let server = serve(move |mut socket, counted| {
        let shown = shown.clone();
        async move {
            while head(&mut socket).await.is_some() {
                counted.asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = shown.lock().clone();
                answer(&mut socket, status, &body).await;
            }
        }
    })
    .await;
    (server, page)
}
