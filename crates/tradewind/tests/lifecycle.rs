//! The life of the process under load: reloads that lose nothing, a kill that leaves the journal whole.
//!
//! These run the real binary, because signals, files and the journal's lock are the process's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails loudly, shows what the process said, and makes its own files and tasks"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;
use tradewind_core::{Dialect, UnixMillis};
use tradewind_sim::{Arrivals, LoadOptions, Sim, SimOptions, put_load};
use tradewind_telemetry::{Journal, Query, Settings};

/// No step of these tests may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, running.
struct Process {
    child: Child,
    lines: Receiver<String>,
    address: SocketAddr,
    folder: TempDir,
}

impl Process {
    fn start(folder: TempDir, document: &str) -> Self {
        std::fs::write(folder.path().join("tradewind.yaml"), document).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tradewind"))
            .args(["run", "-f"])
            .arg(folder.path().join("tradewind.yaml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Shown by the test runner when the test fails.
            stderr.lines().map_while(Result::ok).for_each(|line| {
                eprintln!("tradewind: {line}");
                drop(sender.send(line));
            });
        });
        let mut process = Self { child, lines, address: SocketAddr::from(([0; 4], 0)), folder };
        let line = process.line("listening on http://");
        process.address = line.rsplit('/').next().unwrap().parse().unwrap();
        process
    }

    /// The next line that begins with `prefix`.
    fn line(&self, prefix: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line `{prefix}…` in time"));
            if line.starts_with(prefix) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tradewind.yaml")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn document(sim: &Sim, folder: &Path, round: u32) -> String {
    let mut text = format!(
        "listen: 127.0.0.1:0\ndata-dir: {}\nproviders:\n  - {{name: sim, dialect: openai, base-url: \"{}/v1\"}}\n",
        folder.join("data").display(),
        sim.base_url().trim_end_matches("/v1"),
    );
    let _ = write!(text, "models:\n  - {{name: bench, targets: [{{use: sim/fast, weight: {}}}]}}\n", round + 1);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_under_load_lose_no_call() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    let folder = TempDir::new().unwrap();
    let first = document(&sim, folder.path(), 0);
    let process = Process::start(folder, &first);
    let load = |stream| LoadOptions {
        lasting: Duration::from_secs(8),
        ..LoadOptions::chat(process.address, Dialect::OpenAi, "bench", stream, Arrivals::Closed { callers: 4 })
    };
    let (plain, streaming) = (tokio::spawn(put_load(load(false))), tokio::spawn(put_load(load(true))));

    let folder = process.folder.path().to_owned();
    let reloads = tokio::task::spawn_blocking(move || {
        for round in 1..=100 {
            let text = std::fs::read_to_string(process.file()).unwrap();
            let next = text.replace(&format!("weight: {round}}}"), &format!("weight: {}}}", round + 1));
            assert_ne!(text, next);
            std::fs::write(process.file(), next).unwrap();
            process.signal("-HUP");
            let reloaded = process.line("reloaded ");
            assert!(reloaded.ends_with(": 1 change"), "{reloaded}");
        }
        process
    });
    let process = reloads.await.unwrap();
    for report in [plain.await.unwrap().unwrap(), streaming.await.unwrap().unwrap()] {
        assert_eq!((report.failed, report.failures.len()), (0, 0), "{:?}", report.failures);
        assert!(report.ok > 100, "only {} calls", report.ok);
    }
    drop(process);
    let _ = folder;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_leaves_the_journal_whole_and_ids_go_on() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    let folder = TempDir::new().unwrap();
    let text = document(&sim, folder.path(), 0);
    let data = folder.path().join("data");
    let mut process = Process::start(folder, &text);
    let load = LoadOptions {
        lasting: Duration::from_secs(6),
        warm_up: Duration::ZERO,
        ..LoadOptions::chat(process.address, Dialect::OpenAi, "bench", false, Arrivals::Closed { callers: 8 })
    };
    let report = {
        let running = tokio::spawn(put_load(load));
        tokio::time::timeout(PATIENCE, sim.wait_until(PATIENCE, |stats| stats.requests > 2000)).await.unwrap();
        process.child.kill().unwrap(); // SIGKILL
        process.child.wait().unwrap();
        running.await.unwrap().unwrap()
    };
    assert!(report.ok > 0);

    // The file opens, nothing in it is torn, and what was written before the kill is there.
    let clock = std::sync::Arc::new(tradewind_runtime::SystemClock::new());
    let (journal, notice) = Journal::open(&data, Settings::default(), clock).unwrap();
    assert_eq!(notice, None, "the file was not moved aside");
    let newest = journal.newest_id();
    let page = journal.list(&Query { limit: 1000, ..Query::default() }).unwrap();
    assert!(!page.records.is_empty());
    for record in &page.records {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        assert_eq!((&record["model"], &record["outcome"]), (&"bench".into(), &"ok".into()));
        assert!(UnixMillis::parse_rfc3339(record["at"].as_str().unwrap()).is_some());
    }
    drop(journal);

    // The next process goes on after the newest id.
    let folder = std::mem::replace(&mut process.folder, TempDir::new().unwrap());
    drop(process);
    let process = Process::start(folder, &text);
    let once = LoadOptions {
        lasting: Duration::from_millis(200),
        warm_up: Duration::ZERO,
        ..LoadOptions::chat(process.address, Dialect::OpenAi, "bench", false, Arrivals::Closed { callers: 1 })
    };
    assert_eq!(put_load(once).await.unwrap().failed, 0);
    process.signal("-TERM");
    process.line("stopped");
    let clock = std::sync::Arc::new(tradewind_runtime::SystemClock::new());
    let (journal, _) = Journal::open(&data, Settings::default(), clock).unwrap();
    assert!(journal.newest_id() > newest);
    sim.stop().await;
}
