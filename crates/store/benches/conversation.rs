//! What a conversation of 2,000 turns of 5 KB costs when it grows turn by turn, by appends and by JSON patches that add at the
//! end: time of each write, bytes that are stored.
//!
//! `cargo bench -p tradewind-store --bench conversation`; needs `make peers`. Bounds, checked: at no moment are more than 3 ×
//! the last size stored, and the last writes take at most 2 × the median one. The bytes are those of all files of the engine,
//! or of the server; of Redis, whose files depend on when it is told to rewrite them, those in its memory. They are the most
//! that were ever found by a thread that looks every fifth of a millisecond, or with Redis, which has to be asked, every fifty;
//! and those after the store was closed.

#![expect(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures and prints, and shares its servers with tests that need more of them"
)]

#[path = "../tests/nats/server.rs"]
mod nats_server;
#[path = "../tests/redis/server.rs"]
mod redis_server;
#[path = "../tests/servers/mod.rs"]
mod servers;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tradewind_core::Secret;
use tradewind_store::nats::{Nats, NatsSettings};
use tradewind_store::redis::{Redis, RedisSettings};
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::state::{At, Condition, New, State, Terms};
use tradewind_store::suite::{FakeClock, Memory, key};
use tradewind_store::wal::{self, Wal};
use tradewind_store::{Durability, Settings, Store};

const TURNS: usize = 2000;
const TURN: usize = 5 << 10;
/// How long who looks at what is stored pauses.
const OFTEN: Duration = Duration::from_micros(200);

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

/// How it grows.
#[derive(Clone, Copy, Debug)]
enum Way {
    Append,
    Patch,
}

/// Grows the conversation; its size, and how long each write took.
async fn grow(store: Arc<dyn Store>, way: Way) -> (u64, Vec<Duration>) {
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
        let turn = turn(number, &mut random);
        let (addition, patch) = (format!("[{turn}]"), format!(r#"[{{"op":"add","path":"/-","value":{turn}}}]"#));
        let begun = now();
        let written = match way {
            Way::Append => state.append(&key, last.rev, Bytes::from(addition), Terms::default()).await,
            Way::Patch => state.patch(&key, last.rev, patch.as_bytes(), Terms::default()).await,
        };
        last = written.expect("a turn");
        times.push(begun.elapsed());
    }
    let begun = now();
    let value = state.get(&key, At::Head).await.expect("the conversation");
    assert_eq!(value.content.len() as u64, last.size);
    report("    read whole", &format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1e3));
    (last.size, times)
}

fn report(what: &str, found: &str) {
    println!("{what:<34} {found}");
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2].as_secs_f64() * 1e6
}

/// Of all files, those in folders of it too; some may go while they are counted.
fn bytes_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes_of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_of(&entry.path()),
        found => found.map_or(0, |meta| meta.len()),
    };
    entries.flatten().map(bytes_of).sum()
}

/// What a Redis has in its memory for what it keeps.
fn bytes_in(connection: &mut redis::Connection) -> u64 {
    let said: String = redis::cmd("INFO").arg("memory").query(connection).expect("it says");
    let bytes = said.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).expect("a number");
    bytes.parse().expect("a number")
}

static FAILED: AtomicU64 = AtomicU64::new(0);

fn bound(what: &str, found: &str, ratio: f64, most: f64) {
    let verdict = if ratio <= most { "at most" } else { "ABOVE" };
    FAILED.fetch_add(u64::from(ratio > most), Ordering::Relaxed);
    report(what, &format!("{found}, {ratio:.2} x ({verdict} {most})"));
}

fn measure(
    name: &str,
    runtime: &tokio::runtime::Runtime,
    way: Way,
    store: Arc<dyn Store>,
    pause: Duration,
    stored: impl Fn() -> u64 + Sync,
) {
    report(name, "");
    let done = AtomicBool::new(false);
    let ((size, times), most) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(stored());
                std::thread::sleep(pause);
            }
            most
        });
        let grown = runtime.block_on(grow(store.clone(), way));
        done.store(true, Ordering::Relaxed);
        (grown, watching.join().expect("it counts"))
    });
    runtime.block_on(store.close()).expect("it closes");
    drop(store);
    let stored = stored();
    let (all, last) = (median(&times), median(&times[times.len() - 50..]));
    let slowest = times.iter().max().expect("there were some").as_secs_f64() * 1e3;
    report("    median write", &format!("{all:.0} us, the slowest {slowest:.1} ms"));
    bound("    the last 50", &format!("{last:.0} us"), last / all, 2.0);
    bound("    the most stored while it grew", &format!("{most} bytes"), most as f64 / size as f64, 3.0);
    bound("    stored when closed", &format!("{stored} bytes of {size}"), stored as f64 / size as f64, 3.0);
}

fn on_redis(runtime: &tokio::runtime::Runtime, way: Way) {
    let server = redis_server::start(&[]);
    let address = format!("redis://127.0.0.1:{}", server.port());
    let client = redis::Client::open(&*address).expect("an address");
    let settings = RedisSettings { address: Secret::new(address), roots: None };
    let store = runtime.block_on(Redis::open(&settings)).expect("a store");
    let connection = Mutex::new(client.get_connection().expect("a connection"));
    let stored = || bytes_in(&mut connection.lock().expect("no panic"));
    let before = stored();
    measure(&format!("redis, {way:?}"), runtime, way, Arc::new(store), 250 * OFTEN, || stored().saturating_sub(before));
}

fn on_nats(runtime: &tokio::runtime::Runtime, way: Way) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = nats_server::start_in(folder.path());
    let address = format!("nats://127.0.0.1:{}", server.port());
    let settings = NatsSettings { address: Secret::new(address), roots: None, replicas: 1 };
    let store = runtime.block_on(Nats::open(&settings)).expect("a store");
    measure(&format!("nats, {way:?}"), runtime, way, Arc::new(store), OFTEN, || bytes_of(folder.path()));
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for way in [Way::Append, Way::Patch] {
        let memory = Arc::new(Memory::new());
        measure(&format!("memory, {way:?}"), &runtime, way, memory.clone(), OFTEN, || memory.stored_bytes());
        on_redis(&runtime, way);
        on_nats(&runtime, way);
        for durability in [Durability::Os, Durability::Fsync] {
            let folder = tempfile::tempdir().expect("a folder");
            let options = sqlite::Options { durability, ..sqlite::Options::default() };
            let store = Sqlite::open(folder.path(), options, FakeClock::new()).expect("it opens");
            let stored = || bytes_of(folder.path());
            measure(&format!("sqlite, {durability:?}, {way:?}"), &runtime, way, Arc::new(store), OFTEN, stored);
            let folder = tempfile::tempdir().expect("a folder");
            let options = wal::Options { durability, ..wal::Options::default() };
            let store = Wal::open(folder.path(), options, FakeClock::new()).expect("it opens");
            let stored = || bytes_of(folder.path());
            measure(&format!("wal, {durability:?}, {way:?}"), &runtime, way, Arc::new(store), OFTEN, stored);
        }
    }
    assert_eq!(FAILED.load(Ordering::Relaxed), 0, "more than is allowed");
}
