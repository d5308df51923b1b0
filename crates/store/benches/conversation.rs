//! What a conversation of 2,000 turns of 5 KB costs when it grows by appends: time of each write, bytes that are stored.
//!
//! `cargo bench -p tradewind-store --bench conversation`. Bounds: stored at most 3 × the last size, the last writes at most
//! 2 × the median one. The bytes are those of all files of the engine, after it was closed and before.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::state::{At, Condition, New, State, Terms};
use tradewind_store::suite::{FakeClock, Memory, key};
use tradewind_store::wal::{self, Wal};
use tradewind_store::{Durability, Settings, Store};

const TURNS: usize = 2000;
const TURN: usize = 5 << 10;

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

/// A turn of 5 KB: words, about half as long when packed, as text is.
fn turn(number: usize, random: &mut fastrand::Rng) -> String {
    let mut text = String::with_capacity(TURN);
    while text.len() < TURN - 40 {
        (0..random.usize(2..9)).for_each(|_| text.push(random.lowercase()));
        text.push(' ');
    }
    format!(r#"{{"turn":{number},"role":"tool","text":"{text}"}}"#)
}

/// Grows the conversation; its size, and how long each write took.
async fn grow(store: Arc<dyn Store>) -> (u64, Vec<Duration>) {
    let state = State::new(store, Settings::default(), FakeClock::new(), None);
    let key = key("threads", "long");
    let mut random = fastrand::Rng::with_seed(9);
    let first = New {
        content: Bytes::from(format!("[{}]", turn(0, &mut random))),
        content_type: Arc::from("application/json"),
        schema: None,
        terms: Terms::default(),
    };
    let mut last = state.put(&key, Condition::Absent, first).await.expect("a first");
    let mut times = Vec::with_capacity(TURNS);
    for number in 1..TURNS {
        let addition = Bytes::from(format!("[{}]", turn(number, &mut random)));
        let begun = now();
        last = state.append(&key, last.rev, addition, Terms::default()).await.expect("a turn");
        times.push(begun.elapsed());
    }
    let begun = now();
    let value = state.get(&key, At::Head).await.expect("the conversation");
    assert_eq!(value.content.len() as u64, last.size);
    report("    read whole", &format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1e3));
    (last.size, times)
}

#[expect(clippy::print_stdout, reason = "a bench prints its findings")]
fn report(what: &str, found: &str) {
    println!("{what:<34} {found}");
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2].as_secs_f64() * 1e6
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |meta| meta.len())).sum()
}

fn measure(name: &str, runtime: &tokio::runtime::Runtime, store: Arc<dyn Store>, stored: impl Fn() -> u64) {
    report(name, "");
    let (size, times) = runtime.block_on(grow(store.clone()));
    let open = stored();
    runtime.block_on(store.close()).expect("it closes");
    drop(store);
    let stored = stored();
    let (all, last) = (median(&times), median(&times[times.len() - 50..]));
    report("    median write", &format!("{all:.0} us"));
    report("    the last 50", &format!("{last:.0} us, {:.2} x the median (at most 2)", last / all));
    report("    while it is open", &format!("{open} bytes, {:.2} x", open as f64 / size as f64));
    report("    stored", &format!("{stored} bytes, {:.2} x {size} (at most 3)", stored as f64 / size as f64));
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let memory = Arc::new(Memory::new());
    measure("memory", &runtime, memory.clone(), || memory.stored_bytes());
    for durability in [Durability::Os, Durability::Fsync] {
        let folder = tempfile::tempdir().expect("a folder");
        let options = sqlite::Options { durability, ..sqlite::Options::default() };
        let store = Sqlite::open(folder.path(), options, FakeClock::new()).expect("it opens");
        measure(&format!("sqlite, {durability:?}"), &runtime, Arc::new(store), || bytes_of(folder.path()));
        let folder = tempfile::tempdir().expect("a folder");
        let options = wal::Options { durability, ..wal::Options::default() };
        let store = Wal::open(folder.path(), options, FakeClock::new()).expect("it opens");
        measure(&format!("wal, {durability:?}"), &runtime, Arc::new(store), || bytes_of(folder.path()));
    }
}
