//! What a fault must lead to, and the machinery that checks it in eight cells: both dialects, streaming and not, with a
//! healthy target behind the faulty one and without.
//!
//! Checked in every cell, whatever the row: the caller sees exactly one terminal outcome; no byte of two providers is in
//! one answer; there is exactly one record, and it has the attempts with their faults; the call is over in time; and when
//! all cells are done, nothing is held any more.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tradewind_core::{Dialect, FaultKind};
use tradewind_sim::{Injection, Needs, Sim, SimFault, SimOptions};

use crate::support::{Answer, Bench, BenchOptions, HASTY, LIMITS, TIMES, Terminal, question, terminal};

/// What a call may take beyond its `total`.
const SLACK: Duration = Duration::from_secs(1);

/// What a fault must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The faulty provider answers, and nobody sees anything.
    Passes,
    /// The next target answers and the caller sees nothing of it; without one, the caller gets the error of this fault.
    FallsBack(FaultKind),
    /// The caller sees a beginning and then an error event.
    Partial(FaultKind),
    /// Nobody else is asked.
    Fails(FaultKind),
    /// The provider's own refusal is passed on.
    Refused(u16),
}

impl Expect {
    /// Whether a time limit has to pass for it.
    fn is_late(self) -> bool {
        use FaultKind as K;
        let (Self::FallsBack(kind) | Self::Partial(kind) | Self::Fails(kind)) = self else { return false };
        matches!(
            kind,
            K::ConnectTimeout
                | K::TlsTimeout
                | K::HeadersTimeout
                | K::FirstTokenTimeout
                | K::IdleTimeout
                | K::TotalTimeout
        )
    }
}

/// A fault with what it leads to, in whole answers and in streams.
pub(crate) type Case = (&'static str, Expect, Expect);

/// The time limits for a case, and the `total` of them.
fn limits((_, whole, stream): Case) -> (&'static str, Duration) {
    let is_late = whole.is_late() || stream.is_late();
    if is_late { (HASTY, Duration::from_secs(10)) } else { (TIMES, Duration::from_secs(18)) }
}

/// One cell of the matrix.
#[derive(Clone, Debug)]
struct Cell {
    dialect: Dialect,
    stream: bool,
    /// Whether a healthy target stands behind the faulty one.
    pair: bool,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            for stream in [false, true] {
                cells.extend([true, false].map(|pair| Self { dialect, stream, pair }));
            }
        }
        cells
    }

    fn model(&self) -> String {
        let kind = if self.stream { "stream" } else { "whole" };
        format!("{}-{}-{kind}", if self.pair { "pair" } else { "alone" }, self.dialect)
    }

    fn target(&self, place: &str) -> String {
        format!("{place}-{}/{}", self.dialect, self.model())
    }
}

/// The providers `first` and `second` in both dialects, on `sims`.
pub(crate) fn providers(sims: [&Sim; 2], folder: &std::path::Path) -> String {
    let mut yaml = "providers:\n".to_owned();
    for (place, sim) in ["first", "second"].into_iter().zip(sims) {
        let mut rest = "discover: false".to_owned();
        if let Some(pem) = sim.ca_pem() {
            let file = folder.join(format!("{}.pem", sim.name()));
            write_file(&file, pem);
            rest = format!("{rest}, tls-roots: {}", file.display());
        }
        let url = sim.base_url();
        yaml += &format!("  - {{name: {place}-openai, dialect: openai, base-url: \"{url}/v1\", {rest}}}\n");
        yaml += &format!("  - {{name: {place}-anthropic, dialect: anthropic, base-url: \"{url}\", {rest}}}\n");
    }
    yaml
}

#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
pub(crate) fn write_file(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Two models for each dialect, `pair-DIALECT` and `alone-DIALECT`, on the targets `first-DIALECT/m` and
/// `second-DIALECT/m`, each with `settings`.
pub(crate) fn small_document(sims: [&Sim; 2], folder: &std::path::Path, settings: &str) -> String {
    let mut yaml = providers(sims, folder) + "models:\n";
    for dialect in ["openai", "anthropic"] {
        let (first, second) = (format!("{{use: first-{dialect}/m}}"), format!("{{use: second-{dialect}/m}}"));
        yaml += &format!("  - {{name: pair-{dialect}, targets: [{first}, {second}], {settings}}}\n");
        yaml += &format!("  - {{name: alone-{dialect}, targets: [{first}], {settings}}}\n");
    }
    yaml
}

/// Both dialects, whole and streamed.
pub(crate) const KINDS: [(Dialect, bool); 4] =
    [(Dialect::OpenAi, false), (Dialect::OpenAi, true), (Dialect::Anthropic, false), (Dialect::Anthropic, true)];

fn document(sims: [&Sim; 2], folder: &std::path::Path, times: &str) -> String {
    let mut yaml = format!("limits: {LIMITS}\n{}models:\n", providers(sims, folder));
    for cell in Cell::all() {
        let mut targets = format!("{{use: {}}}", cell.target("first"));
        if cell.pair {
            targets += &format!(", {{use: {}}}", cell.target("second"));
        }
        yaml += &format!(
            "  - {{name: {}, targets: [{targets}], timeouts: {times}, retry: {{attempts: 3}}}}\n",
            cell.model()
        );
    }
    yaml
}

/// Checks each case with a gateway of its own.
pub(crate) async fn check(cases: &[Case]) {
    side_by_side(cases.iter().map(|case| check_case(*case))).await;
}

/// Runs `all` at once, since they mostly wait.
pub(crate) async fn side_by_side<F: Future<Output = ()>>(all: impl IntoIterator<Item = F>) {
    let mut running: Vec<_> = all.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        running.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A sim that takes its time between events. What comes in one piece with the first event can still be hidden by falling
/// back, so events have to be apart for a fault to be in the middle: by more than a busy machine takes to read them.
pub(crate) fn paced(name: &str, fault: Injection) -> SimOptions {
    SimOptions { tokens_per_second: Some(4.0), ..quick(name, fault) }
}

/// One whose answers are as short, and sooner at their end: where a fault is does not matter.
fn quick(name: &str, fault: Injection) -> SimOptions {
    let pace = Some(20.0);
    SimOptions { fault: Some(fault), tokens_per_second: pace, answer_tokens: 8, ..SimOptions::named(name) }
}

/// Two sims, one with the fault and one without.
pub(crate) async fn sims(fault: &str) -> (Sim, Sim) {
    with_backup(quick("faulty", fault.parse().unwrap())).await
}

/// The same, with one that takes its time between events.
pub(crate) async fn paced_sims(fault: &str) -> (Sim, Sim) {
    with_backup(paced("faulty", fault.parse().unwrap())).await
}

async fn with_backup(faulty: SimOptions) -> (Sim, Sim) {
    let needs = faulty.fault.as_ref().map(|fault| fault.fault().needs());
    let faulty = Sim::start(faulty).await.unwrap();
    // What TLS or HTTP/2 do wrong must not be compared with a plain connection only.
    let tls = matches!(needs, Some(Needs::Tls | Needs::Http2)).then(Default::default);
    let backup = Sim::start(SimOptions { tls, ..SimOptions::named("backup") }).await.unwrap();
    (faulty, backup)
}

async fn check_case(case: Case) {
    let (fault, whole, stream) = case;
    let (times, total) = limits(case);
    let (faulty, backup) = paced_sims(fault).await;
    let http2 = usize::from(fault.starts_with("h2-"));
    let certificates = tempfile::TempDir::new().unwrap();
    let yaml = document([&faulty, &backup], certificates.path(), times);
    let bench = Arc::new(Bench::start_with(&yaml, BenchOptions { http2 }).await);
    let lag = Arc::new(Lag::default());
    let mut metronome = JoinSet::new();
    metronome.spawn(lag.clone().measure());
    let mut calls = JoinSet::new();
    for cell in Cell::all() {
        let bench = bench.clone();
        calls.spawn(async move { (cell.clone(), bench.ask(cell.dialect, &cell.model(), cell.stream).await) });
    }
    let mut answers = Vec::new();
    while let Some(answer) = calls.join_next().await {
        answers.push(answer.unwrap());
    }
    metronome.abort_all();
    for (cell, answer) in answers {
        let expect = if cell.stream { stream } else { whole };
        let records = bench.records(&format!("model={}", cell.model())).await;
        let judged =
            Judged { fault, cell: &cell, answer: &answer, records: &records, limit: total + SLACK + lag.worst() };
        judged.check(expect, [&faulty, &backup]);
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// How late this process's own timers are: time that the machine did not have cannot be the gateway's fault.
#[derive(Default)]
struct Lag(AtomicU64);

impl Lag {
    async fn measure(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = ticks.tick().await;
            let late = due.elapsed();
            self.0.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
        }
    }

    fn worst(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Judged<'a> {
    fault: &'a str,
    cell: &'a Cell,
    answer: &'a Answer,
    records: &'a [Value],
    limit: Duration,
}

impl Judged<'_> {
    fn said(&self) -> String {
        let records: Vec<String> = self.records.iter().map(Value::to_string).collect();
        let text: String = self.answer.text().chars().take(3000).collect();
        format!("{} in {:?}\n{}\n\n{text}\n{}", self.fault, self.cell, self.answer.head, records.join("\n"))
    }

    fn check(&self, expect: Expect, [faulty, backup]: [&Sim; 2]) {
        let (cell, answer) = (self.cell, self.answer);
        let outcome = terminal(answer, cell.dialect, cell.stream);
        let text = answer.text();
        assert!(!(text.contains("faulty") && text.contains("backup")), "two providers in one answer: {}", self.said());
        assert!(answer.took <= self.limit, "{:?} is over {:?}: {}", answer.took, self.limit, self.said());
        let [record] = self.records else { panic!("{} records: {}", self.records.len(), self.said()) };
        assert_eq!(Some(record["id"].as_str().unwrap()), answer.decision(), "{}", self.said());
        assert_eq!(record["stream"], cell.stream, "{}", self.said());
        assert_eq!(record["status"], answer.status, "{}", self.said());

        let (first, second) = (cell.target("first"), cell.target("second"));
        let done = match expect {
            Expect::Passes => {
                assert_eq!(outcome, Terminal::Success, "{}", self.said());
                self.is_told_by(faulty);
                let unclear = self.fault.starts_with("usage-");
                assert_eq!(record["usage"]["estimated"], unclear, "{}", self.said());
                assert!(record["usage"]["output"].as_u64() > Some(5), "{}", self.said());
                self.attempts(&[(&first, "ok", None)]);
                ("ok", Some(first.as_str()), None)
            }
            Expect::FallsBack(kind) if cell.pair => {
                assert_eq!(outcome, Terminal::Success, "{}", self.said());
                self.is_told_by(backup);
                self.attempts(&[(&first, "failed", Some(kind)), (&second, "ok", None)]);
                ("ok", Some(second.as_str()), None)
            }
            Expect::FallsBack(kind) => {
                self.is_error(&outcome, kind);
                let tries = record["attempts"].as_array().unwrap().len();
                assert!((1..=3).contains(&tries), "{}", self.said());
                self.attempts(&vec![(first.as_str(), "failed", Some(kind)); tries]);
                ("failed", None, Some(kind))
            }
            Expect::Fails(kind) => {
                self.is_error(&outcome, kind);
                self.attempts(&[(&first, "failed", Some(kind))]);
                ("failed", None, Some(kind))
            }
            Expect::Partial(kind) => {
                assert_eq!(outcome, Terminal::ErrorEvent(kind.code().name().to_owned()), "{}", self.said());
                assert!(text.contains("faulty"), "nothing of the beginning: {}", self.said());
                self.invents_no_finish();
                self.attempts(&[(&first, "partial", Some(kind))]);
                // With these the provider got as far as saying it.
                let may_be_known = self.fault.starts_with("no-terminal") || self.fault.starts_with("tool-");
                let (output, estimated) = (&record["usage"]["output"], &record["usage"]["estimated"]);
                assert!(output.as_u64() > Some(0), "what was used is billed: {}", self.said());
                assert!(may_be_known || *estimated == true, "nobody has said what was used: {}", self.said());
                ("partial", Some(first.as_str()), Some(kind))
            }
            Expect::Refused(status) => {
                assert_eq!(outcome, Terminal::ErrorStatus(status, None), "{}", self.said());
                assert!(text.contains("simulated") || text.contains("tokens"), "not its own words: {}", self.said());
                self.attempts(&[(&first, "rejected", Some(FaultKind::Rejected))]);
                ("rejected", Some(first.as_str()), Some(FaultKind::Rejected))
            }
        };
        let (outcome, chosen, fault) = done;
        assert_eq!(record["outcome"], outcome, "{}", self.said());
        assert_eq!(record["chosen"].as_str(), chosen, "{}", self.said());
        assert_eq!(record["fault"].as_str(), fault.map(FaultKind::name), "{}", self.said());
    }

    /// The text of the answer is all that `sim` had to say.
    fn is_told_by(&self, sim: &Sim) {
        if self.fault.starts_with("tool-") && sim.name() == "faulty" {
            return;
        }
        let body = question(self.cell.dialect, &self.cell.model(), self.cell.stream);
        let expected = sim.expected_text(self.cell.dialect, body.to_string().as_bytes()).unwrap();
        let mut said = self.answer.said(self.cell.dialect);
        let mut expected = expected;
        if self.fault == SimFault::OutOfOrderEvents.name() && sim.name() == "faulty" {
            // The order is the provider's own; what is said is the same.
            said = sorted(&said);
            expected = sorted(&expected);
        }
        assert_eq!(said, expected, "{}", self.said());
    }

    fn is_error(&self, outcome: &Terminal, kind: FaultKind) {
        let code = kind.code();
        let expected = Terminal::ErrorStatus(code.status(), Some(code.name().to_owned()));
        assert_eq!(*outcome, expected, "{}", self.said());
        if matches!(code.status(), 429 | 503) {
            let wait: Option<u64> = self.answer.header("retry-after").and_then(|wait| wait.parse().ok());
            assert!(wait.is_some_and(|wait| (1..=600).contains(&wait)), "{}", self.said());
        }
    }

    /// A stream that was cut says neither that it has ended nor why.
    fn invents_no_finish(&self) {
        if self.fault.starts_with("no-terminal") {
            return; // the provider itself said why it finished
        }
        for event in self.answer.events().iter().filter_map(|event| serde_json::from_str::<Value>(event).ok()) {
            let finish = &event["choices"][0]["finish_reason"];
            let stop = &event["delta"]["stop_reason"];
            assert!(finish.is_null() && stop.is_null(), "a finish was invented: {}", self.said());
        }
    }

    fn attempts(&self, expected: &[(&str, &str, Option<FaultKind>)]) {
        let attempts = self.records[0]["attempts"].as_array().unwrap();
        let seen: Vec<_> = attempts
            .iter()
            .map(|attempt| {
                let text = |name: &str| attempt[name].as_str();
                (text("target").unwrap(), text("outcome").unwrap(), text("fault"))
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(target, outcome, kind)| (*target, *outcome, kind.map(FaultKind::name))).collect();
        assert_eq!(seen, expected, "{}", self.said());
    }
}

fn sorted(text: &str) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}
