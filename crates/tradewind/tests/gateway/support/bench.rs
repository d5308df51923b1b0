//! A gateway that runs in this process, with a data directory of its own, and the view into it that the tests need.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tradewind::{Document, Gateway};
use tradewind_core::{Dialect, TargetId};
use tradewind_decide::HealthSettings;
use tradewind_runtime::{Kind, Target};
use tradewind_sim::Sim;

use super::client::{Answer, get, now, path, post, question, send};

/// What is to happen soon happens within this, however busy the machine is.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The time limits of most models here: longer than a busy machine stands still, so that no call meets them by chance, and
/// shorter than a client of these tests waits.
pub(crate) const TIMES: &str = "{connect: 10s, headers: 15s, first-token: 15s, idle: 15s, total: 18s}";
/// The time limits where a call is to meet one: short, so that the tests are.
pub(crate) const HASTY: &str = "{connect: 2s, headers: 4s, first-token: 2500ms, idle: 2s, total: 10s}";
/// The bounds of most gateways here: small, so that what is over them is soon there.
pub(crate) const LIMITS: &str = "{request-body: 4MiB, answer-body: 1MiB, event: 256KiB, answer-headers: 64KiB}";

/// What a gateway may still hold when all calls are over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BenchOptions {
    /// HTTP/2 connections: each is shared by calls and kept by tasks of its own.
    pub(crate) http2: usize,
}

/// A gateway under test.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    targets: Vec<TargetId>,
    upkeep: usize,
    options: BenchOptions,
}

impl Bench {
    /// Starts a gateway on the sections `yaml`; `listen` and `data-dir` are added.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::start_with(yaml, BenchOptions::default()).await
    }

    pub(crate) async fn start_with(yaml: &str, options: BenchOptions) -> Self {
        Self::start_in(TempDir::new().unwrap(), yaml, options, HealthSettings::default()).await
    }

    /// Starts a gateway in a folder that has something already, `data` being its data directory.
    pub(crate) async fn start_on(folder: TempDir, yaml: &str) -> Self {
        Self::start_in(folder, yaml, BenchOptions::default(), HealthSettings::default()).await
    }

    /// Starts a gateway that judges the health of targets in another way.
    pub(crate) async fn start_judging(yaml: &str, health: HealthSettings) -> Self {
        Self::start_in(TempDir::new().unwrap(), yaml, BenchOptions::default(), health).await
    }

    async fn start_in(folder: TempDir, yaml: &str, options: BenchOptions, health: HealthSettings) -> Self {
        let document = Self::document(&folder, yaml);
        let targets = document.models.target_settings().into_keys().collect();
        let gateway = Gateway::start_with(document, health).await.unwrap();
        let upkeep = gateway.tasks(Kind::Upkeep);
        Self { address: gateway.address, gateway, folder, targets, upkeep, options }
    }

    fn document(folder: &TempDir, yaml: &str) -> Document {
        let text = format!("listen: 127.0.0.1:0\ndata-dir: {}\n{yaml}", folder.path().join("data").display());
        Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("test", &text)))
    }

    /// Puts another document in place.
    pub(crate) fn reload(&self, yaml: &str) {
        self.gateway.reload(Self::document(&self.folder, yaml)).unwrap();
    }

    /// The same, for one that cannot be used; gives what is said.
    pub(crate) fn try_reload(&self, yaml: &str) -> Result<(), String> {
        let reloaded = self.gateway.reload(Self::document(&self.folder, yaml));
        reloaded.map(drop).map_err(|error| error.to_string())
    }

    /// Stops the gateway, and starts another one on the same data directory.
    pub(crate) async fn restart(self, yaml: &str) -> Self {
        let Self { gateway, folder, options, .. } = self;
        let (_, unwritten) = gateway.stop(Duration::from_secs(5)).await;
        assert_eq!(unwritten, 0);
        Self::start_in(folder, yaml, options, HealthSettings::default()).await
    }

    /// `tradewind key …` on this gateway's data directory; gives what it printed on stdout.
    pub(crate) fn key(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.arg("key").args(arguments).arg("--data-dir").arg(self.folder.path().join("data"));
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        send(self.address, request).await
    }

    /// Waits until the records of all calls that are over can be read. Readers wait too, though not for as long as a busy
    /// machine may take.
    async fn is_written(&self) {
        let journal = self.gateway.journal().clone();
        let flushed = tokio::task::spawn_blocking(move || journal.flush(SOON));
        assert!(flushed.await.unwrap(), "the journal is not written");
    }

    /// `GET path` with these headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.is_written().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n");
        self.send(request.as_bytes()).await
    }

    /// Asks the usual question.
    pub(crate) async fn ask(&self, dialect: Dialect, model: &str, stream: bool) -> Answer {
        self.ask_with(dialect, &question(dialect, model, stream), "").await
    }

    pub(crate) async fn ask_with(&self, dialect: Dialect, body: &Value, headers: &str) -> Answer {
        self.send(&post(path(dialect), headers, &body.to_string())).await
    }

    /// The record of the call that `answer` belongs to.
    pub(crate) async fn record(&self, answer: &Answer) -> Value {
        let id = answer.decision().unwrap_or_else(|| panic!("no decision id: {} {}", answer.head, answer.text()));
        self.is_written().await;
        let read = self.send(&get(&format!("/api/v1/decisions/{id}"))).await;
        assert_eq!(read.status, 200, "{}", read.text());
        read.json()
    }

    /// The records of the calls that `filter` asks for, newest first.
    pub(crate) async fn records(&self, filter: &str) -> Vec<Value> {
        self.is_written().await;
        let read = self.send(&get(&format!("/api/v1/decisions?limit=1000&{filter}"))).await;
        assert_eq!(read.status, 200, "{}", read.text());
        read.json()["decisions"].as_array().unwrap().clone()
    }

    /// Waits for the one record of `model`, for calls that are recorded after the caller has gone.
    pub(crate) async fn only_record(&self, model: &str) -> Value {
        let filter = format!("model={model}");
        let what = format!("a record of {model}");
        eventually(&what, SOON, async || !self.records(&filter).await.is_empty()).await;
        let mut records = self.records(&filter).await;
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    pub(crate) fn target(&self, id: &str) -> std::sync::Arc<Target> {
        let needs = self.gateway.models().needs();
        needs.targets.get(&TargetId::new(id), needs.services.clock.now())
    }

    /// What is still held: nothing, when all calls are over, but idle connections in the pools.
    fn held(&self, sims: &[&Sim]) -> String {
        let mut held = String::new();
        for id in &self.targets {
            let target = self.target(id.as_str());
            if (target.in_flight(), target.tokens_in_flight(), target.queued()) != (0, 0, 0) {
                let _ = write!(held, "{id}: {} in flight, {} queued; ", target.in_flight(), target.queued());
            }
        }
        let clients = self.gateway.tasks(Kind::Connection);
        if clients > 0 {
            let _ = write!(held, "{clients} client connections; ");
        }
        let upkeep = self.gateway.tasks(Kind::Upkeep);
        // hyper and its keep-alive timer use up to three tasks for an HTTP/2 connection.
        if upkeep < self.upkeep || upkeep > self.upkeep + 3 * self.options.http2 {
            let _ = write!(held, "{upkeep} tasks instead of {}; ", self.upkeep);
        }
        let idle = self.gateway.models().needs().egress.idle_connections() as u64;
        let open: u64 = sims.iter().map(|sim| sim.stats().open_connections).sum();
        if open > idle + self.options.http2 as u64 {
            let _ = write!(held, "{open} connections to providers, {idle} of them idle; ");
        }
        for sim in sims.iter().filter(|sim| sim.stats().in_flight > 0) {
            let _ = write!(held, "{} requests at {}; ", sim.stats().in_flight, sim.name());
        }
        held
    }

    /// Waits until everything that calls hold has been given back: permits, connections, tasks, work at providers.
    pub(crate) async fn is_back_at_baseline(&self, sims: &[&Sim]) {
        let let_go = async || match self.held(sims) {
            held if held.is_empty() => Ok(()),
            held => Err(format!("still held: {held}")),
        };
        settled(SOON, let_go).await;
    }
}

/// Waits until `holds`; fails when it does not within `limit`.
pub(crate) async fn eventually(what: &str, limit: Duration, holds: impl AsyncFn() -> bool) {
    settled(limit, async || if holds().await { Ok(()) } else { Err(what.to_owned()) }).await;
}

/// Looks again and again until there is nothing to complain of. What is looked at is real sockets and other threads, of which
/// nobody is told.
async fn settled(limit: Duration, look: impl AsyncFn() -> Result<(), String>) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let began = now();
    while let Err(complaint) = look().await {
        assert!(began.elapsed() < limit, "not within {limit:?}: {complaint}");
        looks.tick().await;
    }
}
