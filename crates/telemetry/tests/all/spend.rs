//! The spend book with its file: exact sums whatever happens to records, restarts, and files.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{START, TestClock, record};
use rusqlite::Connection;
use tradewind_core::{UnixMillis, Usd};
use tradewind_telemetry::{Day, FILE_NAME, GroupBy, Journal, JournalError, Notice, Record, Settings, Spend, Totals};

const LONG: Duration = Duration::from_secs(60);
const DAY: u64 = 86_400_000;
/// What one record of `support` uses.
const EACH: Totals = Totals {
    calls: 1,
    input: 12,
    output: 9,
    cached: 0,
    reasoning: 0,
    estimated: 0,
    cost: Usd::from_pico(120_000_000),
    unpriced: 0,
};

fn times(count: u64) -> Totals {
    let Totals { calls, input, output, cost, .. } = EACH;
    let cost = Usd::from_pico(cost.pico() * count);
    Totals { calls: calls * count, input: input * count, output: output * count, cost, ..Totals::default() }
}

fn open(folder: &Path, settings: Settings) -> (Journal, Arc<TestClock>) {
    let clock = TestClock::new();
    (Journal::open(folder, settings, clock.clone()).unwrap().0, clock)
}

fn of(key: &str, number: u64) -> Record {
    let mut made = record(number);
    made.key = Some(Arc::from(key));
    made
}

fn everything(spend: &Spend) -> Totals {
    let rows = spend.query(Day(0), Day(u32::MAX), None, GroupBy::default()).unwrap();
    rows.first().map_or_else(Totals::default, |row| row.totals)
}

#[test]
fn sums_are_exact_from_many_threads_also_when_records_are_dropped_and_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        // Nearly every record is dropped.
        let (journal, _clock) = open(folder.path(), Settings { queue: 2, ..Settings::default() });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (sender, spend) = (journal.sender(), journal.spend());
                scope.spawn(move || {
                    for number in 0..5000 {
                        let made = of(["ci", "dev"][number % 2], (number * 4 + thread) as u64);
                        spend.add(&made);
                        sender.try_send(made);
                    }
                });
            }
        });
        assert_eq!(everything(&journal.spend()), times(round * 20_000));
        assert!(journal.stats().dropped > 0);
        assert_eq!(journal.close(LONG), 0);
    }
    let (journal, _clock) = open(folder.path(), Settings::default());
    let spend = journal.spend();
    let by_key = GroupBy { key: true, ..GroupBy::default() };
    let rows = spend.query(Day(0), Day(u32::MAX), None, by_key).unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.key.as_deref().unwrap(), row.totals)).collect();
    assert_eq!(shown, [("ci", times(30_000)), ("dev", times(30_000))]);
    assert_eq!(spend.days("ci", Day(0)).unwrap(), [(Day::of(START), times(30_000).cost)]);
    assert_eq!(spend.days("nobody", Day(0)).unwrap(), []);
}

#[test]
fn who_reads_while_it_is_written_sees_each_call_once() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _clock) =
        open(folder.path(), Settings { batch_time: Duration::from_millis(1), ..Settings::default() });
    let (added, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (sender, spend) = (journal.sender(), journal.spend());
            for number in 0..30_000 {
                let made = of("ci", number);
                spend.add(&made);
                added.fetch_add(1, Ordering::SeqCst);
                sender.try_send(made);
            }
            done.store(true, Ordering::SeqCst);
        });
        let spend = journal.spend();
        let mut reads = 0;
        while !done.load(Ordering::SeqCst) || reads < 10 {
            let before = added.load(Ordering::SeqCst);
            let seen = everything(&spend);
            // One call may be booked and not counted yet.
            let after = added.load(Ordering::SeqCst) + 1;
            assert!((before..=after).contains(&seen.calls), "{before} {} {after}", seen.calls);
            assert_eq!(seen, times(seen.calls));
            reads += 1;
        }
    });
    assert_eq!(everything(&journal.spend()), times(30_000));
}

#[test]
fn days_are_told_apart_and_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _clock) = open(folder.path(), Settings::default());
    let spend = journal.spend();
    let today = Day::of(START);
    for back in 0..5 {
        let mut made = of("ci", back);
        made.at = UnixMillis(START.0 - back * DAY);
        spend.add(&made);
    }
    assert!(journal.flush(LONG));
    let mut late = of("ci", 9);
    late.at = UnixMillis(today.start().0 + DAY - 1);
    spend.add(&late);
    let day = |back: u32| Day(today.0 - back);
    assert_eq!(spend.days("ci", day(1)).unwrap(), [(day(1), times(1).cost), (today, times(2).cost)]);
    let rows = spend.query(day(3), day(2), None, GroupBy { day: true, ..GroupBy::default() }).unwrap();
    assert_eq!(rows.iter().map(|row| row.day.unwrap()).collect::<Vec<_>>(), [day(3), day(2)]);
}

#[test]
fn more_rows_than_are_wanted_are_not_given_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), Settings::default());
    let spend = journal.spend();
    let at_most = |most| {
        let by_key = GroupBy { key: true, ..GroupBy::default() };
        let rows = spend.query_at_most(Day(0), Day(u32::MAX), None, by_key, most).unwrap();
        rows.map(|rows| rows.len())
    };
    for (number, name) in ["ann", "bob", "eve"].into_iter().enumerate() {
        spend.add(&of(name, number as u64));
    }
    assert_eq!([at_most(2), at_most(3)], [None, Some(3)], "in memory");
    assert!(journal.flush(LONG));
    assert_eq!([at_most(2), at_most(3)], [None, Some(3)], "in the file");
    // What counts is how many rows are told apart, not from how many they are made.
    let one = spend.query_at_most(Day(0), Day(u32::MAX), None, GroupBy::default(), 1).unwrap().unwrap();
    assert_eq!((one.len(), one[0].totals.calls), (1, 3));
}

#[test]
fn deleting_records_does_not_touch_the_book_until_it_is_800_days_old() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, clock) = open(folder.path(), Settings::default());
    let (sender, spend) = (journal.sender(), journal.spend());
    for number in 0..100 {
        let made = of("ci", number);
        spend.add(&made);
        assert!(sender.try_send(made));
    }
    assert!(journal.flush(LONG));
    let tidy = || (0..20).for_each(|_| assert!(journal.flush(LONG)));
    clock.advance(Duration::from_millis(800 * DAY));
    tidy();
    assert_eq!(journal.stats().pruned, 100);
    assert_eq!(everything(&spend), times(100));
    clock.advance(Duration::from_millis(DAY));
    tidy();
    assert_eq!(everything(&spend), Totals::default());
}

#[test]
fn a_journal_of_the_version_before_gets_its_book_and_keeps_its_records() {
    // Some of that version had the table already.
    for then in ["DROP TABLE spend", ""] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _clock) = open(folder.path(), Settings::default());
        assert!(journal.sender().try_send(record(1)));
        assert_eq!(journal.close(LONG), 0);
        let file = Connection::open(folder.path().join(FILE_NAME)).unwrap();
        file.execute_batch(&format!("PRAGMA user_version = 2; {then}")).unwrap();
        let (journal, _clock) = open(folder.path(), Settings::default());
        assert!(journal.get(crate::support::id(1)).unwrap().is_some());
        journal.spend().add(&of("ci", 2));
        assert!(journal.flush(LONG));
        assert_eq!(everything(&journal.spend()), times(1));
        assert_eq!(file.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    }
}

#[test]
fn what_can_be_read_of_the_book_survives_a_file_that_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let (journal, _clock) = open(folder.path(), Settings::default());
    for number in 0..50 {
        journal.spend().add(&of("ci", number));
    }
    assert_eq!(journal.close(LONG), 0);
    // Of a newer version: the file as such is whole.
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let (journal, notice) = Journal::open(folder.path(), Settings::default(), TestClock::new()).unwrap();
    assert!(matches!(notice, Some(Notice::MovedAside { .. })), "{notice:?}");
    assert_eq!(everything(&journal.spend()), times(50));
    assert_eq!(journal.close(LONG), 0);
    // No database at all: nothing can be read, and nothing is worse for it.
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[7; 8192]).unwrap();
    drop(file);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(folder.path().join(format!("{FILE_NAME}{suffix}")));
    }
    let (journal, _notice) = Journal::open(folder.path(), Settings::default(), TestClock::new()).unwrap();
    assert_eq!(everything(&journal.spend()), Totals::default());
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_book_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, clock) = open(folder.path(), Settings::default());
    // Somebody else holds the file longer than the writer waits.
    let other = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sender, spend) = (journal.sender(), journal.spend());
    let made = of("ci", 1);
    spend.add(&made);
    assert!(sender.try_send(made));
    assert!(journal.flush(LONG));
    assert_eq!(journal.stats().dropped, 1, "the record is lost");
    assert_eq!(everything(&spend), times(1), "the money is not");
    other.execute_batch("ROLLBACK").unwrap();
    clock.advance(Duration::from_secs(2));
    assert!(journal.flush(LONG));
    let written: i64 = other.query_row("SELECT sum(calls) FROM spend", [], |row| row.get(0)).unwrap();
    assert_eq!(written, 1);
    assert_eq!(everything(&spend), times(1));
}

#[test]
fn sums_stop_at_the_largest_number() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _clock) = open(folder.path(), Settings::default());
    for number in 0..3 {
        let mut made = of("ci", number);
        made.cost = Some(Usd::from_pico(u64::MAX));
        journal.spend().add(&made);
        assert!(journal.flush(LONG));
    }
    assert_eq!(everything(&journal.spend()).cost, Usd::from_pico(i64::MAX as u64));
}

#[test]
fn the_file_is_read_by_others_with_and_without_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Spend::of_file(folder.path()), Err(JournalError::Missing { .. })));
    let (journal, _clock) = open(folder.path(), Settings::default());
    let (sender, spend) = (journal.sender(), journal.spend());
    let add = |number| {
        let made = of("ci", number);
        spend.add(&made);
        sender.try_send(made);
    };
    (0..50).for_each(add);
    assert!(journal.flush(LONG));
    let beside = Spend::of_file(folder.path()).unwrap();
    assert_eq!(everything(&beside), times(50), "while it is written");
    (50..60).for_each(add);
    assert!(journal.flush(LONG));
    assert_eq!(everything(&beside), times(60));
    drop(journal);
    assert_eq!(everything(&Spend::of_file(folder.path()).unwrap()), times(60), "when nobody writes");
    let (journal, _clock) = open(folder.path(), Settings::default());
    assert_eq!(everything(&journal.spend()), times(60), "reading has changed nothing");
}

#[test]
fn a_file_of_others_is_not_read_as_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"not a database, but long enough to be looked at as one").unwrap();
    assert!(Spend::of_file(folder.path()).is_err());
    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE spend (day INTEGER)").unwrap();
    let said = Spend::of_file(folder.path()).unwrap_err().to_string();
    assert_eq!(said, "the journal's file is a database of another program");
    other.execute_batch("PRAGMA application_id = 0x5457444a; PRAGMA user_version = 4").unwrap();
    let said = Spend::of_file(folder.path()).unwrap_err().to_string();
    assert_eq!(said, "the journal was written by a newer version");
    other.execute_batch("PRAGMA user_version = 2; DROP TABLE spend").unwrap();
    let said = Spend::of_file(folder.path()).unwrap_err().to_string();
    assert!(said.starts_with("the journal was written by a version that kept no book"), "{said}");
}
