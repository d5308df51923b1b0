//! The engines over servers against the bare thing that they are made of, 64 callers, both sides in one run, as ratios.
//!
//! `cargo bench -p tradewind-store --bench servers`, with ` -- nats` for one of them; needs `make peers`. Values of
//! 1 KiB. The engines keep 32 revisions of each key, which are already there, so that every write prunes one, and tell of each
//! change; the bare sides keep the last value and nothing else. Then the same where either side keeps as much: the last value
//! alone, and with NATS, whose buckets can, 32. Both sides have a server of their own with the same settings and a connection
//! of their own, and take turns; each number is the median of the turns.
//!
//! | engine | against | at least |
//! |---|---|---|
//! | Redis | a script that compares a number and sets a value, called by its digest through redis-rs | 0.9 |
//! | NATS | `update` of async-nats' key-value layer, history 1 | 0.9 |

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

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use tokio::task::JoinSet;
use tradewind_core::Secret;
use tradewind_store::nats::{Nats, NatsSettings};
use tradewind_store::redis::{Redis, RedisSettings};
use tradewind_store::suite::record;
use tradewind_store::{Body, Commit, Committed, Expected, Key, Meta, Record, Store};

use nats_server::Sync;
use servers::Server;

const CALLERS: usize = 64;
const VALUE: usize = 1024;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_millis(2_000);
const REVISIONS: usize = 34;

/// How many revisions of a key either side keeps.
#[derive(Clone, Copy)]
struct Kept {
    ours: u32,
    theirs: i64,
}

impl Kept {
    const WITH_HISTORY: Self = Self { ours: 32, theirs: 1 };
    const THE_LAST: Self = Self { ours: 1, theirs: 1 };
    const BOTH: Self = Self { ours: 32, theirs: 32 };

    fn named(self, what: &str) -> String {
        match self {
            Self { ours: 1, .. } => format!("{what}, both keep the last"),
            Self { theirs: 1, .. } => what.to_owned(),
            _ => format!("{what}, both keep 32"),
        }
    }
}

/// The bare script: what there is to do at least.
const COMPARE_AND_SET: &str = "local now = redis.call('HGET', KEYS[1], 'rev') or '0'
if now ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'rev', ARGV[2], 'value', ARGV[3])
return 1";

/// A caller with keys of its own: one compare-and-set after the other.
trait Caller: Send + 'static {
    fn next(&mut self) -> BoxFuture<'_, ()>;
}

struct Engine {
    store: Arc<dyn Store>,
    keep: u32,
    keys: Vec<(Key, Option<Meta>)>,
    at: usize,
    first: Meta,
    value: Bytes,
}

impl Caller for Engine {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        async {
            self.at = (self.at + 1) % self.keys.len();
            let (key, last) = &mut self.keys[self.at];
            // No hash is computed anew: that is not the engine's work, and the bare side does not do it either.
            let mut meta = last.clone().unwrap_or_else(|| self.first.clone());
            if let Some(last) = last {
                meta.parent = Some(last.rev);
                meta.rev = last.rev.next();
            }
            let commit = Commit {
                key: key.clone(),
                expected: meta.parent.map_or(Expected::Absent, Expected::At),
                record: Record { meta: meta.clone(), body: Body::Whole(self.value.clone()) },
                parent_again: None,
                pieces: Vec::new(),
                keep: self.keep,
            };
            let done = self.store.commit(commit).await;
            assert!(matches!(done, Ok(Committed::Done(_))), "{done:?}");
            *last = Some(meta);
        }
        .boxed()
    }
}

struct BareRedis {
    connection: redis::aio::MultiplexedConnection,
    digest: String,
    keys: Vec<(String, u64)>,
    at: usize,
    value: Bytes,
}

impl Caller for BareRedis {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        async {
            self.at = (self.at + 1) % self.keys.len();
            let (key, rev) = &mut self.keys[self.at];
            let mut call = redis::cmd("EVALSHA");
            call.arg(&self.digest).arg(1).arg(&*key).arg(*rev).arg(*rev + 1).arg(&self.value[..]);
            let done: u64 = call.query_async(&mut self.connection).await.expect("an answer");
            assert_eq!(done, 1);
            *rev += 1;
        }
        .boxed()
    }
}

struct BareNats {
    bucket: kv::Store,
    keys: Vec<(String, u64)>,
    at: usize,
    value: Bytes,
}

impl Caller for BareNats {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        async {
            self.at = (self.at + 1) % self.keys.len();
            let (key, rev) = &mut self.keys[self.at];
            *rev = self.bucket.update(&*key, self.value.clone(), *rev).await.expect("an answer");
        }
        .boxed()
    }
}

fn now() -> Instant {
    Instant::now()
}

/// Callers, each a task of its own.
type Callers = Vec<Box<dyn Caller>>;

/// Lets all callers call for a while; compare-and-sets a second.
async fn turn(callers: &mut Callers, time: Duration) -> f64 {
    let begun = now();
    let mut tasks = JoinSet::new();
    for mut caller in callers.drain(..) {
        tasks.spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < time {
                caller.next().await;
                done += 1;
            }
            (caller, done)
        });
    }
    let ended = tasks.join_all().await;
    let rate = ended.iter().map(|(_, done)| done).sum::<u64>() as f64 / begun.elapsed().as_secs_f64();
    callers.extend(ended.into_iter().map(|(caller, _)| caller));
    rate
}

async fn fill(callers: &mut Callers, keys: usize) {
    join_all(callers.iter_mut().map(async |caller| {
        for _ in 0..keys * REVISIONS {
            caller.next().await;
        }
    }))
    .await;
}

async fn compare(what: &str, mut engine: Callers, mut bare: Callers) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(turn(&mut engine, TURN).await);
        theirs.push(turn(&mut bare, TURN).await);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!("{what:<48} {ours:>9.0}/s {theirs:>9.0}/s  {:.2}", ours / theirs);
}

fn value() -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    Bytes::from((0..VALUE).map(|_| random.u8(..)).collect::<Vec<_>>())
}

fn engine(store: &Arc<dyn Store>, keys: usize, keep: u32) -> Callers {
    let caller = |caller: usize| {
        let key = |number| (Key::parse("bench", &format!("{caller}/{number}")).expect("a key"), None);
        let keys = (0..keys).map(key).collect();
        let first = record(b"").meta;
        Box::new(Engine { store: store.clone(), keep, keys, at: 0, first, value: value() }) as Box<dyn Caller>
    };
    (0..CALLERS).map(caller).collect()
}

/// `keys` for each caller.
async fn redis_at(what: &str, settings: &[&str], keys: usize, kept: Kept) {
    let (ours, theirs) = (redis_server::start(settings), redis_server::start(settings));
    let address = |server: &Server| format!("redis://127.0.0.1:{}", server.port());
    let settings = RedisSettings { address: Secret::new(address(&ours)), roots: None };
    let store: Arc<dyn Store> = Arc::new(Redis::open(&settings).await.expect("a store"));

    let client = redis::Client::open(address(&theirs)).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    connection.set_response_timeout(Duration::from_secs(10));
    let mut load = redis::cmd("SCRIPT");
    let digest: String = load.arg("LOAD").arg(COMPARE_AND_SET).query_async(&mut connection).await.expect("a script");
    let bare = |caller: usize| {
        let keys = (0..keys).map(|number| (format!("{caller}/{number}"), 0)).collect();
        let (connection, digest) = (connection.clone(), digest.clone());
        Box::new(BareRedis { connection, digest, keys, at: 0, value: value() }) as Box<dyn Caller>
    };
    let (mut engine, mut bare) = (engine(&store, keys, kept.ours), (0..CALLERS).map(bare).collect::<Callers>());
    fill(&mut engine, keys).await;
    turn(&mut bare, TURN).await;
    compare(&kept.named(what), engine, bare).await;
}

async fn nats_at(what: &str, sync: Sync, keys: usize, kept: Kept) {
    let (ours, theirs) = (nats_server::start(sync), nats_server::start(sync));
    let address = |server: &Server| format!("nats://127.0.0.1:{}", server.port());
    let settings = NatsSettings { address: Secret::new(address(&ours)), roots: None, replicas: 1 };
    let store: Arc<dyn Store> = Arc::new(Nats::open(&settings).await.expect("a store"));

    let client = async_nats::connect(address(&theirs)).await.expect("a connection");
    let config = kv::Config { bucket: "bare".to_owned(), history: kept.theirs, ..kv::Config::default() };
    let bucket = async_nats::jetstream::new(client).create_key_value(config).await.expect("a bucket");
    let bare = |caller: usize| {
        let keys = (0..keys).map(|number| (format!("{caller}.{number}"), 0)).collect();
        Box::new(BareNats { bucket: bucket.clone(), keys, at: 0, value: value() }) as Box<dyn Caller>
    };
    let (mut engine, mut bare) = (engine(&store, keys, kept.ours), (0..CALLERS).map(bare).collect::<Callers>());
    fill(&mut engine, keys).await;
    fill(&mut bare, keys).await;
    compare(&kept.named(what), engine, bare).await;
}

/// Whether an engine is to be measured: the one that is named, or each.
fn is_wanted(engine: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|name| name == engine)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let measuring = async {
        println!("{:<48} {:>11} {:>11}  ratio", "", "engine", "bare");
        if is_wanted("redis") {
            for kept in [Kept::WITH_HISTORY, Kept::THE_LAST] {
                redis_at("redis, appendfsync always", &[], 1, kept).await;
                redis_at("redis, appendfsync everysec", &["--appendfsync", "everysec"], 16, kept).await;
                redis_at("redis, in memory", &["--appendonly", "no"], 16, kept).await;
            }
        }
        if is_wanted("nats") {
            for kept in [Kept::WITH_HISTORY, Kept::THE_LAST, Kept::BOTH] {
                nats_at("nats, sync_interval 2m", Sync::Seldom, 16, kept).await;
                nats_at("nats, sync_interval always", Sync::Always, 1, kept).await;
            }
        }
    };
    let runtime = runtime.expect("a runtime");
    runtime.block_on(measuring);
}
