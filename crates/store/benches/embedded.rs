//! The engines inside this process against what they are made of, both sides in one run, as ratios.
//!
//! `cargo bench -p tradewind-store --bench embedded`. Values of 1 KiB, 10,000 keys, 32 revisions of each kept and already
//! there, so that every write prunes one; on disk then once more with nothing kept but the last, as the bare side. Sides take turns; each number is the median of the turns. Callers are tasks of a
//! runtime with one thread, so that the writing thread has the other of two cores. `-- buffers`, `disk` and `wal` choose.
//!
//! How many commits are written together is printed: where a sync of the disk is quick, about half of the callers at a time,
//! because the others are on their way meanwhile. A bare loop that commits as many at a time is therefore measured as well.
//!
//! | engine | against | at least |
//! |---|---|---|
//! | SQLite on disk, 64 writers | a loop in SQLite that commits 64 compare-and-sets at a time on disk, without history | 0.8 |
//! | SQLite in buffers, 64 writers | a loop in SQLite that commits compare-and-sets one by one in buffers, without history | 0.6 |
//! | wal in buffers, 64 writers | a loop in redb that commits compare-and-sets one by one, not durable, without history | 1.0 |

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, ReadableTable, TableDefinition};
use rusqlite::{Connection, params};
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::wal::{self, Wal};
use tradewind_store::{
    Body, Commit, Committed, Durability, Epoch, Expected, Hash, Key, Kind, Meta, Record, Rev, Store,
};

const KEYS: usize = 10_000;
const KEEP: u32 = 32;
const VALUE: usize = 1024;
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(2_500);

/// Real time, for the engine's own pace.
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Moment {
        Moment::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(1_795_000_000_000)
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(RealClock(now()))
}

/// One side of a comparison: does compare-and-sets for about a while, and says how many a second.
trait Side {
    fn turn(&mut self, time: Duration) -> f64;
}

type Written = Box<dyn Fn() -> (u64, u64)>;

/// Callers of an engine, each with keys of its own.
struct Callers {
    store: Arc<dyn Store>,
    /// How many tasks it has written, and in how many groups.
    written: Written,
    /// How many were written together in the last turn, on average.
    together: f64,
    runtime: tokio::runtime::Runtime,
    callers: Vec<Vec<(Key, u64)>>,
    value: Bytes,
    /// How many revisions of each key it keeps.
    keep: u32,
}

impl Callers {
    fn new((store, written): (Arc<dyn Store>, Written), keep: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let keys = (0..KEYS).map(|number| (Key::parse("bench", &format!("key/{number}")).expect("a key"), 0)).collect();
        let mut new = Self {
            store,
            written,
            together: 0.0,
            runtime: runtime.expect("a runtime"),
            callers: vec![keys],
            value: Bytes::from((0..VALUE).map(|_| fastrand::u8(..)).collect::<Vec<_>>()),
            keep,
        };
        new.share(64);
        new.fill();
        new
    }

    /// Divides the keys among so many callers.
    fn share(&mut self, callers: usize) {
        let all: Vec<_> = self.callers.drain(..).flatten().collect();
        self.callers = vec![Vec::new(); callers];
        for (number, key) in all.into_iter().enumerate() {
            self.callers[number % callers].push(key);
        }
    }

    /// As many revisions of each key as are kept.
    fn fill(&mut self) {
        let rounds = u64::from(self.keep) + 1;
        self.run(|caller| (0..rounds).flat_map(|_| 0..caller.len()).collect::<Vec<_>>().into_iter());
    }

    /// Each caller writes to its keys in this order, to its end; how many writes that were.
    fn run<I: Iterator<Item = usize> + Send + 'static>(&mut self, order: impl Fn(&[(Key, u64)]) -> I) -> u64 {
        let mut tasks = tokio::task::JoinSet::new();
        let keep = self.keep;
        for mut caller in self.callers.drain(..) {
            let (store, value, order) = (self.store.clone(), self.value.clone(), order(&caller));
            tasks.spawn_on(
                async move {
                    let mut done = 0;
                    for index in order {
                        let (key, rev) = &mut caller[index];
                        match store.commit(next(key, *rev, &value, keep)).await {
                            Ok(Committed::Done(_)) => *rev += 1,
                            other => panic!("{other:?}"),
                        }
                        done += 1;
                    }
                    (caller, done)
                },
                self.runtime.handle(),
            );
        }
        let ended = self.runtime.block_on(tasks.join_all());
        let (callers, done): (Vec<_>, Vec<u64>) = ended.into_iter().unzip();
        self.callers = callers;
        done.into_iter().sum()
    }
}

/// Shared, as the content types of values are.
static JSON: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("application/json"));

fn next(key: &Key, rev: u64, value: &Bytes, keep: u32) -> Commit {
    let meta = Meta {
        rev: Rev::new(rev + 1).expect("a revision"),
        parent: Rev::new(rev),
        kind: Kind::Value,
        content_type: JSON.clone(),
        schema: None,
        hash: Hash([7; 32]),
        chain: Hash([7; 32]),
        size: VALUE as u64,
        created_at: UnixMillis(1_795_000_000_000),
        expires_at: None,
        sliding: None,
        epoch: Epoch::FIRST,
        by: None,
        handoff: None,
    };
    Commit {
        key: key.clone(),
        expected: Rev::new(rev).map_or(Expected::Absent, Expected::At),
        record: Record { meta, body: Body::Whole(value.clone()) },
        parent_again: None,
        pieces: Vec::new(),
        keep,
    }
}

impl Side for Callers {
    fn turn(&mut self, time: Duration) -> f64 {
        let begun = now();
        let before = (self.written)();
        let done = self.run(|caller| {
            let keys = caller.len();
            std::iter::repeat_with(move || fastrand::usize(..keys)).take_while(move |_| begun.elapsed() < time)
        });
        let after = (self.written)();
        self.together = (after.0 - before.0) as f64 / (after.1 - before.1) as f64;
        done as f64 / begun.elapsed().as_secs_f64()
    }
}

/// A loop in SQLite: the same compare-and-set, no history, so many to a transaction.
struct BareSqlite {
    connection: Connection,
    revs: Vec<i64>,
    batch: usize,
    /// Whether it keeps what was before, though without ever pruning it.
    history: bool,
    value: Vec<u8>,
}

impl BareSqlite {
    fn new(folder: &Path, synchronous: &str, batch: usize, history: bool) -> Self {
        let connection = Connection::open(folder.join("bare.db")).expect("a file");
        connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        connection.pragma_update(None, "synchronous", synchronous).expect("synchronous");
        connection.pragma_update(None, "cache_size", -16384).expect("a cache");
        connection
            .execute_batch(
                "CREATE TABLE state (key TEXT PRIMARY KEY, rev INTEGER NOT NULL, value BLOB NOT NULL);
                 CREATE TABLE history (key TEXT NOT NULL, rev INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, rev));
                 BEGIN",
            )
            .expect("a table");
        let value = vec![7_u8; VALUE];
        for number in 0..KEYS {
            connection
                .prepare_cached("INSERT INTO state VALUES (?1, 1, ?2)")
                .and_then(|mut insert| insert.execute(params![format!("bench/key/{number}"), value]))
                .expect("a row");
        }
        connection.execute_batch("COMMIT").expect("a commit");
        Self { connection, revs: vec![1; KEYS], batch, history, value }
    }
}

impl Side for BareSqlite {
    fn turn(&mut self, time: Duration) -> f64 {
        let begun = now();
        let mut done = 0;
        while begun.elapsed() < time {
            self.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).expect("begin");
            for _ in 0..self.batch {
                let key = fastrand::usize(..KEYS);
                let changed = self
                    .connection
                    .prepare_cached("UPDATE state SET rev = rev + 1, value = ?3 WHERE key = ?1 AND rev = ?2")
                    .and_then(|mut update| {
                        update.execute(params![format!("bench/key/{key}"), self.revs[key], self.value])
                    })
                    .expect("an update");
                assert_eq!(changed, 1);
                if self.history {
                    self.connection
                        .prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3)")
                        .and_then(|mut insert| {
                            insert.execute(params![format!("bench/key/{key}"), self.revs[key], self.value])
                        })
                        .expect("a row");
                }
                self.revs[key] += 1;
            }
            self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).expect("commit");
            done += self.batch;
        }
        done as f64 / begun.elapsed().as_secs_f64()
    }
}

/// A loop in redb: a compare-and-set in a transaction of its own, not durable.
struct BareRedb {
    database: Database,
    revs: Vec<u64>,
    value: Vec<u8>,
}

const TABLE: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("state");

impl BareRedb {
    fn new(folder: &Path) -> Self {
        let database = Database::create(folder.join("bare.redb")).expect("a file");
        let mut new = Self { database, revs: vec![0; KEYS], value: vec![7; VALUE] };
        (0..KEYS).for_each(|key| new.set(key));
        new
    }

    fn set(&mut self, key: usize) {
        let mut write = self.database.begin_write().expect("a transaction");
        write.set_durability(redb::Durability::None).expect("not durable");
        {
            let mut table = write.open_table(TABLE).expect("a table");
            let name = format!("bench/key/{key}");
            let before = table.get(&*name).expect("a look").map_or(0, |found| found.value().0);
            assert_eq!(before, self.revs[key]);
            table.insert(&*name, (before + 1, &*self.value)).expect("a row");
        }
        write.commit().expect("a commit");
        self.revs[key] += 1;
    }
}

impl Side for BareRedb {
    fn turn(&mut self, time: Duration) -> f64 {
        let begun = now();
        let mut done = 0_u64;
        while begun.elapsed() < time {
            for _ in 0..16 {
                self.set(fastrand::usize(..KEYS));
            }
            done += 16;
        }
        done as f64 / begun.elapsed().as_secs_f64()
    }
}

/// Turns of all sides, one after the other; the median of each.
fn compare(sides: &mut [&mut dyn Side]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); sides.len()];
    for _ in 0..TURNS {
        for (side, rates) in sides.iter_mut().zip(&mut rates) {
            rates.push(side.turn(TURN));
        }
    }
    rates
        .into_iter()
        .map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[TURNS / 2]
        })
        .collect()
}

static FAILED: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::print_stdout, reason = "a bench prints its findings")]
fn say(what: &str, ours: f64, theirs: f64, least: Option<f64>) {
    let ratio = ours / theirs;
    let verdict = match least {
        Some(least) if ratio < least => {
            FAILED.fetch_add(1, Ordering::Relaxed);
            format!("below {least}")
        }
        Some(least) => format!("at least {least}"),
        None => "for comparison".to_owned(),
    };
    println!("{what:<66} {ours:>9.0}/s {theirs:>9.0}/s {ratio:>7.2}  {verdict}");
}

#[expect(clippy::print_stdout, reason = "a bench prints its findings")]
fn say_groups(callers: &Callers) {
    println!("    written together, on average: {:.1}", callers.together);
}

/// With fewer callers; the keys are theirs then.
fn alone(callers: &mut Callers, count: usize) -> f64 {
    callers.share(count);
    let rate = callers.turn(TURN);
    callers.share(64);
    rate
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).expect("a folder");
        place
    };
    let open_sqlite = |place: &Path, durability| -> (Arc<dyn Store>, Written) {
        let options = sqlite::Options { durability, ..sqlite::Options::default() };
        let store = Arc::new(Sqlite::open(place, options, clock()).expect("a store"));
        (store.clone(), Box::new(move || store.written()))
    };

    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| only.is_empty() || only.iter().any(|word| word == name);
    if chosen("buffers") {
        let mut ours = Callers::new(open_sqlite(&place("filled"), Durability::Os), KEEP);
        let mut one = BareSqlite::new(&place("one"), "NORMAL", 1, false);
        let rates = compare(&mut [&mut ours, &mut one]);
        say("sqlite, in buffers, 64 callers : one by one without history", rates[0], rates[1], Some(0.6));
        say_groups(&ours);
        let single = alone(&mut ours, 1);
        say("sqlite, in buffers, 1 caller : one by one without history", single, rates[1], None);
        ours.runtime.block_on(ours.store.close()).expect("closed");
    }
    if chosen("disk") {
        // The file is filled in buffers, which would take minutes on disk.
        let filled = folder.path().join("filled");
        if !filled.exists() {
            let ours = Callers::new(open_sqlite(&place("filled"), Durability::Os), KEEP);
            ours.runtime.block_on(ours.store.close()).expect("closed");
        }
        let mut ours = reopened(open_sqlite(&filled, Durability::Fsync));
        let mut batches = BareSqlite::new(&place("batches"), "FULL", 64, false);
        let mut singles = BareSqlite::new(&place("singles"), "FULL", 1, false);
        let mut same = BareSqlite::new(&place("same"), "FULL", 64, true);
        let rates = compare(&mut [&mut ours, &mut batches, &mut singles, &mut same]);
        say("sqlite, on disk, 64 callers : batches of 64 without history", rates[0], rates[1], Some(0.8));
        say_groups(&ours);
        let size = ours.together.round() as usize;
        let sized = BareSqlite::new(&place("sized"), "FULL", size, false).turn(TURN);
        say(&format!("sqlite, on disk, 64 callers : batches of {size} without history"), rates[0], sized, None);
        say("sqlite, on disk, 64 callers : batches of 64 with history", rates[0], rates[3], None);
        say("sqlite, on disk, 64 callers : one by one without history", rates[0], rates[2], None);
        let single = alone(&mut ours, 1);
        say("sqlite, on disk, 1 caller : one by one without history", single, rates[2], None);
        let mut last = Callers::new(open_sqlite(&place("last"), Durability::Fsync), 1);
        let rates = compare(&mut [&mut last, &mut batches]);
        say("sqlite, on disk, 64 callers, both keep the last : batches of 64", rates[0], rates[1], None);
    }
    if chosen("wal") {
        let options = wal::Options { durability: Durability::Os, ..wal::Options::default() };
        let store = Arc::new(Wal::open(&place("wal"), options, clock()).expect("a store"));
        let mut ours = Callers::new((store.clone(), Box::new(move || store.written())), KEEP);
        let mut redb = BareRedb::new(&place("redb"));
        let rates = compare(&mut [&mut ours, &mut redb]);
        say("wal, in buffers, 64 callers : redb, not durable", rates[0], rates[1], Some(1.0));
        say_groups(&ours);
        for callers in [16, 1] {
            let rate = alone(&mut ours, callers);
            say(&format!("wal, in buffers, {callers} caller(s) : redb, not durable"), rate, rates[1], None);
        }
    }
    assert_eq!(FAILED.load(Ordering::Relaxed), 0, "ratios below what is asked for");
}

/// Callers of a store that is filled already.
fn reopened((store, written): (Arc<dyn Store>, Written)) -> Callers {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let keys = (0..KEYS)
        .map(|number| {
            let key = Key::parse("bench", &format!("key/{number}")).expect("a key");
            let head = runtime.block_on(store.head(&key)).expect("a look").expect("a head");
            (key, head.meta.rev.get())
        })
        .collect();
    let value = Bytes::from(vec![7; VALUE]);
    let mut callers = Callers { store, written, together: 0.0, runtime, callers: vec![keys], value, keep: KEEP };
    callers.share(64);
    callers
}
