//! What a record costs: handing it over, rendering it, writing it, and the whole way with pruning at full speed.
//!
//! `cargo bench -p tradewind-telemetry`. The budget is 3 µs of the journal's thread a record, the kernel's part and
//! deleting included.

#[path = "../tests/all/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::hint::black_box;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use support::{START, TestClock, busy_record, record};
use tradewind_core::{DecisionId, UnixMillis};
use tradewind_telemetry::{Journal, JournalSender, Outcome, Query, Record, Settings};

const RECORDS: u64 = 12_000;
/// How many records the measurement of the thread takes.
const SUSTAINED: u64 = 500_000;

#[expect(clippy::print_stdout, reason = "a bench prints its findings")]
fn main() {
    divan::main();
    for (max_bytes, how) in [(1 << 30, "nothing to delete"), (64 << 20, "deleting as much as is written")] {
        if let Some((user, kernel)) = cpu_of_a_record(max_bytes) {
            let all = user + kernel;
            println!("the journal's thread, {how}: {all:.2} µs a record, {user:.2} of it user and {kernel:.2} kernel");
        }
    }
}

/// The processor time of the journal's thread for one record, in microseconds of user and of kernel time, at some 50,000
/// records a second from two threads. When `max_bytes` is small the journal is filled up first. Linux only.
fn cpu_of_a_record(max_bytes: u64) -> Option<(f64, f64)> {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let settings = Settings { max_bytes, ..Settings::default() };
    let (journal, _) = Journal::open(folder.path(), settings, TestClock::new()).expect("a new journal");
    // The thread gives itself its name when it starts.
    assert!(journal.flush(Duration::from_secs(60)));
    let mut next = 0;
    while max_bytes < SUSTAINED * 100 && journal.stats().pruned == 0 {
        send_paced(&journal, next, SUSTAINED / 10);
        next += SUSTAINED / 10;
    }
    let pruned = journal.stats().pruned;
    let before = ticks_of_the_journal()?;
    send_paced(&journal, next, SUSTAINED);
    assert!(journal.flush(Duration::from_secs(60)));
    let after = ticks_of_the_journal()?;
    let stats = journal.stats();
    assert_eq!(stats.dropped, 0);
    assert!(pruned == 0 || stats.pruned - pruned > SUSTAINED * 9 / 10, "what comes in pushes out as much");
    // A tick is a hundredth of a second on every Linux that Rust runs on.
    let micros = |ticks: u64| ticks as f64 * 1e4 / SUSTAINED as f64;
    Some((micros(after.0 - before.0), micros(after.1 - before.1)))
}

/// Two threads send `count` records, 100 every 4 milliseconds each; fewer when the writer cannot follow.
fn send_paced(journal: &Journal, from: u64, count: u64) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            let sender = journal.sender();
            scope.spawn(move || {
                for (index, number) in (from..from + count).filter(|number| number % 2 == half).enumerate() {
                    if index % 100 == 99 {
                        std::thread::sleep(Duration::from_millis(4));
                        while journal.stats().queued > 12_000 {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                    assert!(sender.try_send(busy_record(number)));
                }
            });
        }
    });
}

/// User and system time of the journal's thread, in ticks: fields 14 and 15 of proc_pid_stat(5).
#[expect(clippy::disallowed_methods, reason = "a bench reads the kernel's own counters")]
fn ticks_of_the_journal() -> Option<(u64, u64)> {
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        // Other threads come and go meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.ok()?.path().join("stat")) else { continue };
        if stat.contains("(journal)") {
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
            return Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?));
        }
    }
    None
}

fn records(from: u64) -> Vec<Record> {
    (from..from + RECORDS).map(busy_record).collect()
}

#[divan::bench]
fn make_a_record(bencher: Bencher<'_, '_>) {
    bencher.bench(|| record(black_box(1)));
}

#[divan::bench]
fn render(bencher: Bencher<'_, '_>) {
    let record = busy_record(1);
    bencher.bench(|| black_box(&record).to_json());
}

/// A journal of `count` records whose calls took up to ten seconds, at 50,000 calls a second: blocks overlap.
fn filled(folder: &std::path::Path, count: u64) -> Journal {
    let (journal, _) = Journal::open(folder, Settings::default(), TestClock::new()).expect("a new journal");
    let sender = journal.sender();
    for number in 0..count {
        let mut made = busy_record(0);
        let length = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 500_000;
        let begun = START.0 + (500_000 + number - length) / 50;
        made.id = DecisionId::from_number(DecisionId::first_at(UnixMillis(begun)).number() + number);
        assert!(sender.try_send(made));
        if number % 4096 == 0 {
            assert!(journal.flush(Duration::from_secs(60)));
        }
    }
    assert!(journal.flush(Duration::from_secs(60)));
    journal
}

#[divan::bench(args = [None, Some(Outcome::Ok), Some(Outcome::Failed)])]
fn list_a_page(bencher: Bencher<'_, '_>, outcome: Option<Outcome>) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let journal = filled(folder.path(), 400_000);
    bencher.bench_local(|| journal.list(&Query { outcome, ..Query::default() }).expect("a whole file"));
}

#[divan::bench]
fn get_a_record(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let journal = filled(folder.path(), 400_000);
    let middle = DecisionId::first_at(UnixMillis(START.0 + 9_000));
    let page = journal.list(&Query { before: Some(middle), limit: 1, ..Query::default() }).expect("a whole file");
    let id = page.next.expect("there are older ones");
    bencher.bench_local(|| journal.get(id).expect("a whole file").expect("it is there"));
}

/// The part that a call pays for.
#[divan::bench]
fn hand_over(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| (JournalSender::to_channel(RECORDS as usize), records(0)))
        .bench_local_values(|((sender, receiver), records)| {
            for record in records {
                assert!(sender.try_send(record));
            }
            receiver
        });
}

/// Everything: handing over, rendering, writing, committing, checkpoints, dropping the record.
#[divan::bench(args = [1 << 30, 8 << 20], sample_count = 40, sample_size = 1)]
fn whole_way(bencher: Bencher<'_, '_>, max_bytes: u64) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let settings = Settings { max_bytes, ..Settings::default() };
    let (journal, _) = Journal::open(folder.path(), settings, TestClock::new()).expect("a new journal");
    let sender = journal.sender();
    let mut next = 0;
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(move || {
            next += RECORDS;
            records(next)
        })
        .bench_local_values(|records| {
            for record in records {
                assert!(sender.try_send(record));
            }
            assert!(journal.flush(Duration::from_secs(60)));
        });
    assert_eq!(journal.stats().dropped, 0);
}
