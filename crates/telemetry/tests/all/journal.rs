//! The journal from outside: reading, bounds, and every way in which its file can be bad.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{START, TestClock, busy_record, id, lines, record};
use rusqlite::Connection;
use tempfile::TempDir;
use tradewind_core::{DecisionIds, UnixMillis};
use tradewind_telemetry::{FILE_NAME, Journal, JournalError, JournalSender, Notice, Outcome, Page, Query, Settings};

/// Longer than any disk here takes; a wait that ends earlier ends because it is done.
const LONG: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(folder: &Path, settings: Settings) -> (Journal, Arc<TestClock>) {
    let clock = TestClock::new();
    let (journal, notice) = Journal::open(folder, settings, clock.clone()).unwrap();
    assert_eq!(notice, None);
    (journal, clock)
}

/// Sends the calls of `numbers`, waiting whenever the queue is full.
fn send(journal: &Journal, numbers: impl IntoIterator<Item = u64>) {
    let sender = journal.sender();
    for (index, number) in numbers.into_iter().enumerate() {
        if index % 8192 == 8191 {
            assert!(journal.flush(LONG));
        }
        assert!(sender.try_send(busy_record(number)), "the queue has room");
    }
    assert!(journal.flush(LONG));
}

/// Lets the writer tidy up until there is nothing left to do.
fn tidy(journal: &Journal, clock: &TestClock) {
    clock.advance(Duration::from_secs(11));
    // Each flush ends one round of the writer; a round tidies one step.
    for _ in 0..100 {
        assert!(journal.flush(LONG));
    }
}

fn number_of(line: &str) -> u64 {
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    let id: tradewind_core::DecisionId = json["id"].as_str().unwrap().parse().unwrap();
    (id.number() >> 20) - START.0
}

fn numbers(page: &Page) -> Vec<u64> {
    page.records.iter().map(|line| number_of(line)).collect()
}

#[test]
fn a_record_can_be_read_right_after_it_was_sent() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings { batch_time: LONG, ..Settings::default() });
    assert!(journal.sender().try_send(record(5)));
    assert_eq!(journal.get(id(5)).unwrap(), Some(record(5).to_json()));
    assert_eq!(journal.get(id(6)).unwrap(), None);
    assert_eq!(journal.newest_id(), id(5).number());
    let stats = journal.stats();
    assert_eq!((stats.written, stats.dropped, stats.queued, stats.running), (1, 0, 0, true));
    assert!(stats.bytes > 0);
}

#[test]
fn lists_are_filtered_newest_first_and_paged() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    let sender = journal.sender();
    for number in 0..300 {
        let mut made = record(number);
        if number % 3 == 0 {
            made.model = Arc::from("private");
        }
        if number % 100 == 0 {
            made.outcome = Outcome::Failed;
        }
        assert!(sender.try_send(made));
    }
    let everything = journal.list(&Query::default()).unwrap();
    assert_eq!(numbers(&everything), (200..300).rev().collect::<Vec<_>>());

    let failed = Query { outcome: Some(Outcome::Failed), ..Query::default() };
    let page = journal.list(&failed).unwrap();
    assert_eq!(numbers(&page), [200, 100, 0]);
    assert_eq!(page.next, None);
    let failed_and_private = Query { model: Some("private".to_owned()), ..failed };
    assert_eq!(numbers(&journal.list(&failed_and_private).unwrap()), [0]);
    assert_eq!(journal.list(&Query { outcome: Some(Outcome::Partial), ..Query::default() }).unwrap(), Page::default());

    let since = Query { since: Some(UnixMillis(START.0 + 290)), ..Query::default() };
    assert_eq!(numbers(&journal.list(&since).unwrap()), (290..300).rev().collect::<Vec<_>>());

    let mut query =
        Query { model: Some("private".to_owned()), outcome: Some(Outcome::Ok), limit: 7, ..Query::default() };
    let mut seen = Vec::new();
    loop {
        let page = journal.list(&query).unwrap();
        assert!(page.records.len() <= 7);
        seen.extend(numbers(&page));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let expected: Vec<u64> = (0..300).rev().filter(|number| number % 3 == 0 && number % 100 != 0).collect();
    assert_eq!(seen, expected);
}

#[test]
fn lists_are_filtered_by_key_and_records_without_one_have_none() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    let sender = journal.sender();
    for number in 0..90 {
        let mut made = record(number);
        made.key = [None, Some(Arc::from("ci")), Some(Arc::from("c\"i"))][number as usize % 3].clone();
        assert!(sender.try_send(made));
    }
    for (key, rest) in [("ci", 1), ("c\"i", 2)] {
        let page = journal.list(&Query { key: Some(key.to_owned()), ..Query::default() }).unwrap();
        assert_eq!(numbers(&page), (0..90).rev().filter(|number| number % 3 == rest).collect::<Vec<_>>());
    }
    let nobodys = journal.list(&Query { key: Some(String::new()), ..Query::default() }).unwrap();
    assert_eq!(nobodys, Page::default());
}

#[test]
fn a_list_never_holds_more_than_a_thousand() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    send(&journal, 0..1100);
    let page = journal.list(&Query { limit: usize::MAX, ..Query::default() }).unwrap();
    assert_eq!(page.records.len(), Query::MOST);
    assert_eq!(page.next, Some(id(100)));
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let folder = folder();
    // The writer rests for a minute after the first record, so nothing leaves the queue.
    let (journal, _clock) = open(folder.path(), Settings { queue: 8, batch_time: LONG, ..Settings::default() });
    let sender = journal.sender();
    let taken = (0..20).filter(|number| sender.try_send(record(*number))).count();
    assert_eq!(taken, 8);
    assert_eq!(journal.stats().dropped, 12);
    assert!(journal.flush(LONG));
    assert_eq!(journal.stats().written, 8);
    assert!(sender.try_send(record(20)), "there is room again");
}

#[test]
fn a_sender_to_a_channel_hands_over_the_record_itself() {
    let (sender, records) = JournalSender::to_channel(1);
    assert!(sender.try_send(record(3)));
    assert!(!sender.try_send(record(4)));
    assert_eq!(records.recv().unwrap().id, id(3));
}

#[test]
fn records_that_end_out_of_order_are_all_there_in_order() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    send(&journal, (0..500).rev());
    send(&journal, (500..1000).map(|number| number ^ 1));
    let page = journal.list(&Query { limit: 1000, ..Query::default() }).unwrap();
    assert_eq!(numbers(&page), (0..1000).rev().collect::<Vec<_>>());
}

#[test]
fn closing_writes_what_is_queued() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings { batch_time: LONG, ..Settings::default() });
    let sender = journal.sender();
    for number in 0..5000 {
        assert!(sender.try_send(record(number)));
    }
    assert_eq!(journal.close(LONG), 0);
    assert!(!sender.try_send(record(5000)), "nobody is there to write it");

    let (journal, _clock) = open(folder.path(), Settings::default());
    assert_eq!(journal.newest_id(), id(4999).number());
    assert!(journal.get(id(0)).unwrap().is_some());
    assert!(DecisionIds::after(journal.newest_id()).next(START) > id(4999));
}

#[test]
fn dropping_the_journal_writes_what_is_queued() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings { batch_time: LONG, ..Settings::default() });
    assert!(journal.sender().try_send(record(1)));
    drop(journal);
    let (journal, _clock) = open(folder.path(), Settings::default());
    assert_eq!(journal.get(id(1)).unwrap(), Some(record(1).to_json()));
}

#[test]
fn records_older_than_the_bound_are_deleted() {
    let folder = folder();
    let day = Duration::from_secs(86_400);
    let (journal, clock) = open(folder.path(), Settings { max_age: 7 * day, ..Settings::default() });
    send(&journal, 0..10_000);
    clock.advance(7 * day - Duration::from_secs(60));
    send(&journal, [7 * 86_400_000 - 60_000]);
    tidy(&journal, &clock);
    assert_eq!(journal.stats().pruned, 0);
    clock.advance(Duration::from_secs(60));
    tidy(&journal, &clock);
    assert_eq!(journal.stats().pruned, 10_000);
    assert_eq!(numbers(&journal.list(&Query::default()).unwrap()), [7 * 86_400_000 - 60_000]);
}

#[test]
fn the_oldest_go_when_the_journal_is_too_large() {
    let folder = folder();
    let most = 2 << 20;
    let (journal, clock) = open(folder.path(), Settings { max_bytes: most, ..Settings::default() });
    send(&journal, 0..60_000);
    tidy(&journal, &clock);
    let stats = journal.stats();
    assert!(stats.pruned > 40_000, "{stats:?}");
    // Live pages are bounded; pages of the batches in between wait to be used again.
    assert!(stats.bytes < 4 * most, "{stats:?}");
    assert!(fs::metadata(folder.path().join(FILE_NAME)).unwrap().len() < 4 * most);
    assert!(journal.get(id(0)).unwrap().is_none());
    assert!(journal.get(id(59_999)).unwrap().is_some());
    let kept = 60_000 - stats.pruned;
    let page = journal.list(&Query { limit: 1000, ..Query::default() }).unwrap();
    assert!(kept > 1000 && page.records.len() == 1000, "the newest {kept} are there");
}

#[test]
fn a_journal_that_became_empty_gives_its_space_back() {
    let folder = folder();
    let (journal, clock) = open(folder.path(), Settings::default());
    send(&journal, 0..120_000);
    tidy(&journal, &clock);
    let path = folder.path().join(FILE_NAME);
    let full = fs::metadata(&path).unwrap().len();
    assert!(full > 15 << 20, "{full}");
    clock.advance(Duration::from_secs(8 * 86_400));
    tidy(&journal, &clock);
    tidy(&journal, &clock);
    assert_eq!(journal.stats().pruned, 120_000);
    let left = fs::metadata(&path).unwrap().len();
    assert!(left < 10 << 20, "{left} of {full} bytes are left");
}

#[test]
fn a_smaller_bound_shrinks_the_file() {
    let folder = folder();
    let (journal, clock) = open(folder.path(), Settings::default());
    send(&journal, 0..120_000);
    tidy(&journal, &clock);
    assert_eq!(journal.close(LONG), 0);
    let path = folder.path().join(FILE_NAME);
    let full = fs::metadata(&path).unwrap().len();
    let (journal, clock) = open(folder.path(), Settings { max_bytes: 1 << 20, ..Settings::default() });
    tidy(&journal, &clock);
    tidy(&journal, &clock);
    let left = fs::metadata(&path).unwrap().len();
    assert!(full > 15 << 20 && left < 10 << 20, "{left} of {full} bytes are left");
    assert!(journal.get(id(119_999)).unwrap().is_some());
    assert!(journal.get(id(0)).unwrap().is_none());
}

#[test]
fn the_record_of_a_long_call_is_found_and_listed_in_its_place() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    send(&journal, 100..200);
    send(&journal, 600_000..600_100);
    send(&journal, [150_000, 99, 600_100]);
    for number in [99, 100, 150_000, 600_000, 600_100] {
        assert_eq!(journal.get(id(number)).unwrap(), Some(busy_record(number).to_json()));
    }
    let page = journal.list(&Query { before: Some(id(600_002)), limit: 5, ..Query::default() }).unwrap();
    assert_eq!(numbers(&page), [600_001, 600_000, 150_000, 199, 198]);
    let page = journal.list(&Query { before: Some(id(101)), ..Query::default() }).unwrap();
    assert_eq!(numbers(&page), [100, 99]);
}

#[test]
fn a_quiet_gateway_keeps_no_more_on_disk_than_the_text_of_its_records() {
    let folder = folder();
    let (journal, clock) = open(folder.path(), Settings::default());
    let count = 1000;
    for number in 0..count {
        // One a minute: each is a batch of its own.
        send(&journal, [number * 60_000]);
    }
    tidy(&journal, &clock);
    let text: u64 = (0..count).map(|number| busy_record(number * 60_000).to_json().len() as u64).sum();
    assert!(journal.stats().bytes < text, "{} bytes for {text} of text", journal.stats().bytes);
}

#[test]
fn only_one_process_writes_to_a_journal() {
    let folder = folder();
    let (_journal, _clock) = open(folder.path(), Settings::default());
    let second = Journal::open(folder.path(), Settings::default(), TestClock::new());
    assert!(matches!(second, Err(JournalError::InUse { .. })), "{second:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::File::create_new(&file).unwrap();
    let opened = Journal::open(&file.join("below"), Settings::default(), TestClock::new());
    assert!(matches!(opened, Err(JournalError::Folder { .. })), "{opened:?}");
}

#[test]
fn what_is_no_database_is_moved_aside() {
    let folder = folder();
    let path = folder.path().join(FILE_NAME);
    fs::File::create_new(&path).unwrap().write_all(&[7; 100_000]).unwrap();
    let (journal, notice) = Journal::open(folder.path(), Settings::default(), TestClock::new()).unwrap();
    let Some(Notice::MovedAside { path: aside, .. }) = notice else { panic!("{notice:?}") };
    assert_eq!(fs::metadata(&aside).unwrap().len(), 100_000);
    send(&journal, [1]);
    assert!(journal.get(id(1)).unwrap().is_some());
}

#[test]
fn a_journal_of_another_version_or_another_program_is_moved_aside() {
    for (make, why) in [
        ("PRAGMA application_id = 0x5457444a; PRAGMA user_version = 4; CREATE TABLE future (x)", "newer version"),
        ("PRAGMA application_id = 0x5457444a; PRAGMA user_version = 1; CREATE TABLE decisions (x)", "older version"),
        ("PRAGMA user_version = 3; CREATE TABLE blocks (x)", "another program"),
        ("CREATE TABLE other (x)", "another program"),
    ] {
        let folder = folder();
        Connection::open(folder.path().join(FILE_NAME)).unwrap().execute_batch(make).unwrap();
        let (journal, notice) = Journal::open(folder.path(), Settings::default(), TestClock::new()).unwrap();
        let Some(Notice::MovedAside { reason, .. }) = notice else { panic!("{make}: {notice:?}") };
        assert!(reason.contains(why), "{reason}");
        send(&journal, [1]);
        assert_eq!(journal.stats().written, 1);
    }
}

#[test]
fn at_most_three_files_are_kept_aside() {
    let folder = folder();
    let clock = TestClock::new();
    for _ in 0..5 {
        fs::File::create(folder.path().join(FILE_NAME)).unwrap().write_all(&[7; 1000]).unwrap();
        clock.advance(Duration::from_secs(1));
        drop(Journal::open(folder.path(), Settings::default(), clock.clone()).unwrap());
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.path().join(format!("{FILE_NAME}{suffix}")));
        }
    }
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains(".aside-")).count(), 3);
}

/// The page of the first leaf of the table of records, read from the file itself.
fn oldest_leaf(path: &Path) -> u64 {
    let root: u32 = Connection::open(path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'blocks'", [], |row| row.get(0))
        .unwrap();
    let bytes = fs::read(path).unwrap();
    let page = 8192;
    let mut number = u64::from(root);
    loop {
        let start = (number as usize - 1) * page;
        // Section 1.6 of SQLite's file format: 0x0d is a leaf, 0x05 an interior page whose cells begin with a child.
        if bytes[start] == 0x0d {
            return number;
        }
        assert_eq!(bytes[start], 0x05);
        let cell = usize::from(u16::from_be_bytes([bytes[start + 12], bytes[start + 13]]));
        let child = &bytes[start + cell..start + cell + 4];
        number = u64::from(u32::from_be_bytes(child.try_into().unwrap()));
    }
}

#[test]
fn a_file_found_corrupt_while_running_is_moved_aside_and_calls_go_on() {
    let folder = folder();
    let path = folder.path().join(FILE_NAME);
    let (journal, _clock) = open(folder.path(), Settings::default());
    send(&journal, 0..20_000);
    assert_eq!(journal.close(LONG), 0);
    let leaf = oldest_leaf(&path);
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start((leaf - 1) * 8192)).unwrap();
    file.write_all(&[0xff; 8192]).unwrap();
    drop(file);

    // The newest records are whole, so the file opens; the oldest ones are looked at when they have to go.
    let (journal, clock) = open(folder.path(), Settings { max_bytes: 1 << 20, ..Settings::default() });
    assert_eq!(journal.newest_id(), id(19_999).number());
    send(&journal, 20_000..20_010);
    tidy(&journal, &clock);
    let notice = journal.stats().notice;
    let Some(Notice::MovedAside { path: aside, reason }) = notice else { panic!("{notice:?}") };
    assert!(reason.contains("malformed"), "{reason}");
    assert!(aside.exists());
    send(&journal, 20_010..20_020);
    assert_eq!(journal.stats().dropped, 0);
    assert!(journal.get(id(20_019)).unwrap().is_some());
    assert!(journal.get(id(19_999)).unwrap().is_none(), "it is in the file that was moved aside");
}

#[test]
fn a_file_that_cannot_be_written_costs_records_and_never_calls() {
    let folder = folder();
    let (journal, clock) = open(folder.path(), Settings::default());
    let path = folder.path().join(FILE_NAME);
    let blocker = Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sender = journal.sender();
    for number in 0..10 {
        assert!(sender.try_send(record(number)), "calls go on");
    }
    assert!(journal.flush(LONG));
    let stats = journal.stats();
    assert_eq!((stats.written, stats.dropped), (0, 10));
    assert!(matches!(stats.notice, Some(Notice::NotWriting { .. })), "{stats:?}");

    blocker.execute_batch("ROLLBACK").unwrap();
    clock.advance(Duration::from_secs(2));
    send(&journal, 10..20);
    assert_eq!(journal.stats().written, 10);
}

#[test]
fn a_file_that_somebody_removed_is_begun_again() {
    let folder = folder();
    let (journal, clock) = open(folder.path(), Settings::default());
    send(&journal, 0..10);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.path().join(format!("{FILE_NAME}{suffix}")));
    }
    tidy(&journal, &clock);
    send(&journal, 10..20);
    assert_eq!(numbers(&journal.list(&Query::default()).unwrap()), (10..20).rev().collect::<Vec<_>>());
}

#[test]
fn other_programs_can_read_the_file() {
    let folder = folder();
    let (journal, _clock) = open(folder.path(), Settings::default());
    send(&journal, 0..3);
    let outside = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    let (count, models, packed): (i64, String, Vec<u8>) = outside
        .query_row("SELECT count, models, packed FROM blocks", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!((count, models.as_str()), (3, "\"assistant\""));
    assert_eq!(lines(&packed), [0, 1, 2].map(|number| busy_record(number).to_json()));
}
