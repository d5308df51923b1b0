//! A door on a port, and somebody who asks it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tradewind_access::{Access, Reach};
use tradewind_core::{Clock, DecisionIds, Moment, UnixMillis};
use tradewind_door::{Door, Front, FrontLimits, ServerLimits, serve};
use tradewind_egress::{Answer, Egress, EgressSettings, Http2, Origin, RequestBody, Roots, Route, Spawner};
use tradewind_policy::{Problems, Root, Shared};
use tradewind_runtime::{Kind, Supervisor, SystemClock};
use tradewind_telemetry::{Journal, Metrics, Query, Settings, Sinks};

use crate::door::{ModulesDoor, Needs};
use crate::section::{MODULES_SECTION, Modules};
use crate::store::Store;

/// Longer than anything here takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Rig {
    pub(super) door: ModulesDoor,
    pub(super) folder: TempDir,
    pub(super) clock: Arc<Ahead>,
    supervisor: Supervisor,
    journal: Arc<Journal>,
    egress: Arc<Egress>,
    route: Arc<Route>,
}

/// The time, and as much later as is wanted.
pub(super) struct Ahead {
    clock: SystemClock,
    by: std::sync::atomic::AtomicU64,
}

impl Ahead {
    pub(super) fn go(&self, by: Duration) {
        self.by.fetch_add(u64::try_from(by.as_millis()).unwrap(), std::sync::atomic::Ordering::Relaxed);
    }

    fn by(&self) -> u64 {
        self.by.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Clock for Ahead {
    fn now(&self) -> Moment {
        self.clock.now() + Duration::from_millis(self.by())
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.clock.wall().0 + self.by())
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the body came whole.
    pub(super) whole: bool,
}

impl Got {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The section of a document with these lines.
pub(super) fn section(text: &str) -> (Modules, Shared) {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| None, &[MODULES_SECTION], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    let modules = Modules::decode(&root, &shared, &mut problems).unwrap();
    assert!(problems.is_empty(), "{}", problems.render("test", text));
    (modules, shared)
}

impl Rig {
    /// A door with this section, which nobody needs a key for.
    pub(super) async fn start(modules: &str) -> Self {
        Self::of_document(&format!("modules: {modules}"), TempDir::new().unwrap()).await
    }

    pub(super) async fn of_document(text: &str, folder: TempDir) -> Self {
        let (modules, shared) = section(text);
        let supervisor = Supervisor::new();
        let clock = Arc::new(Ahead { clock: SystemClock::new(), by: Default::default() });
        let spawning = supervisor.clone();
        let spawner = Spawner::new(move |task| spawning.spawn(Kind::Upkeep, task));
        let egress = Egress::new(clock.clone(), spawner.clone(), EgressSettings::default());
        let (journal, _) = Journal::open(folder.path(), Settings::default(), clock.clone()).unwrap();
        let sinks = Sinks::new(journal.sender(), Arc::new(Metrics::new()), journal.spend(), None, None);
        let needs = Needs {
            egress: egress.clone(),
            roots: Roots::none(),
            clock: clock.clone(),
            spawner,
            sinks: Arc::new(sinks),
            ids: Arc::new(DecisionIds::after(0)),
            folder: folder.path().join("modules"),
            network: Box::new(|| None),
        };
        let door = ModulesDoor::new(Some(&modules), "policy", needs).unwrap();
        let access = Arc::new(Access::new(Reach::Loopback));
        access.set_document(&shared.keys).unwrap();
        let doors: Vec<Arc<dyn Door>> = vec![Arc::new(door.clone())];
        let limits = FrontLimits { headers: 64 * 1024, calls: 1000 };
        let front = Arc::new(Front::new(doors, access, clock.clone(), limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        supervisor.spawn(Kind::Upkeep, serve(listener, None, front, supervisor.clone(), ServerLimits::default()));
        let origin = Origin::parse(&format!("http://{address}")).unwrap();
        let route = egress.route(origin, Http2::Never, &Roots::none(), "caller", None);
        Self { door, folder, clock, supervisor, journal: Arc::new(journal), egress, route }
    }

    /// Ends the door, and gives its folder back.
    pub(super) async fn stop(self) -> TempDir {
        self.supervisor.stop(Duration::ZERO, Duration::ZERO).await;
        self.folder
    }

    /// Puts another section in place.
    pub(super) fn reload(&self, modules: &str) {
        let (modules, _) = section(&format!("modules: {modules}"));
        self.door.put_in_place(self.door.prepare(Some(&modules), "policy").unwrap());
    }

    pub(super) fn store(&self) -> Store {
        self.door.fetcher(&crate::store::Limits::default()).unwrap().store.clone()
    }

    pub(super) async fn send(&self, method: http::Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let target: http::Uri = path.parse().unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let build = || {
            let mut request = http::Request::new(RequestBody::new(Bytes::new()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = target.clone();
            *request.headers_mut() = headers.clone();
            request
        };
        tokio::time::timeout(PATIENCE, self.route.send(&build, PATIENCE, true, 0)).await.expect("no answer").unwrap()
    }

    pub(super) async fn ask(&self, method: http::Method, path: &str, headers: &[(&str, &str)]) -> Got {
        read(self.send(method, path, headers).await).await
    }

    /// GET of a path below `/go/`.
    pub(super) async fn get(&self, path: &str) -> Got {
        self.ask(http::Method::GET, &format!("/go/{path}"), &[]).await
    }

    /// The records of all calls so far, the newest first. The door is done with a call once its connection has ended.
    pub(super) async fn records(&self, count: usize) -> Vec<serde_json::Value> {
        self.egress.close_idle(None);
        let ended = self.supervisor.reached(Kind::Connection, 0);
        tokio::time::timeout(PATIENCE, ended).await.expect("a connection of the caller stays open");
        self.journal.flush(PATIENCE);
        let page = self.journal.list(&Query { limit: 500, ..Query::default() }).unwrap();
        let records: Vec<serde_json::Value> =
            page.records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
        assert_eq!(records.len(), count, "{records:?}");
        records
    }
}

/// Reads an answer to its end.
pub(super) async fn read(answer: Answer) -> Got {
    let (head, mut body) = (answer.head, answer.body);
    let mut bytes = BytesMut::new();
    let whole = loop {
        match tokio::time::timeout(PATIENCE, body.frame()).await.expect("the body stands still") {
            None => break true,
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            Some(Err(_)) => break false,
        }
    };
    Got { status: head.status.as_u16(), headers: head.headers, body: bytes.freeze(), whole }
}
