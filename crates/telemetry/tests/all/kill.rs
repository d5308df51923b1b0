//! kill -9 while the journal writes: a child process that is this very test, and a parent that kills it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{START, TestClock, lines, record};
use rusqlite::{Connection, OpenFlags};
use tradewind_telemetry::{FILE_NAME, Journal, Settings};

const FOLDER: &str = "TRADEWIND_TEST_JOURNAL";
const ROUNDS: usize = 6;

/// The child: writes as fast as it can and says which record is certainly in the file, until it is killed.
fn write_for_ever(folder: &Path) {
    let (journal, notice) = Journal::open(folder, Settings::default(), TestClock::new()).unwrap();
    assert_eq!(notice, None, "a killed writer leaves a file that opens");
    let (sender, spend) = (journal.sender(), journal.spend());
    // Goes on where the last child was killed.
    let mut next = (journal.newest_id() >> 20).saturating_sub(START.0 - 1);
    let mut out = std::io::stdout();
    loop {
        for _ in 0..500 {
            let made = record(next);
            spend.add(&made);
            assert!(sender.try_send(made));
            next += 1;
        }
        assert!(journal.flush(Duration::from_secs(60)));
        writeln!(out, "safe {}", next - 1).unwrap();
        out.flush().unwrap();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
fn a_killed_writer_loses_at_most_the_batch_it_was_writing() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::a_killed_writer_loses_at_most_the_batch_it_was_writing", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut safe = None;
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(number) = line.unwrap().strip_prefix("safe ") {
                safe = Some(number.parse::<u64>().unwrap());
                seen += 1;
            }
            // A different moment each time; the child is in the middle of its next batch.
            if seen == 3 + round * 2 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let safe = safe.expect("the child wrote something before it was killed");
        let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let (count, newest): (i64, i64) = file
            .query_row("SELECT sum(count), max(last) FROM blocks", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let newest = (newest.unsigned_abs() >> 20) - START.0;
        assert!(newest >= safe, "record {safe} was flushed, {newest} is the newest");
        assert_eq!(count.unsigned_abs(), newest + 1, "no hole: what is there is everything up to the newest");
        let (calls, cost, input): (u64, u64, u64) = file
            .query_row("SELECT sum(calls), sum(cost_pico), sum(input) FROM spend", [], |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok((number(0)?, number(1)?, number(2)?))
            })
            .unwrap();
        // A call may be booked in the batch before that of its record; the next child makes its record again.
        let most = newest + 1 + 500 * (round as u64 + 1);
        assert!((newest + 1..=most).contains(&calls), "{calls} calls are booked, {} records are there", newest + 1);
        assert_eq!((cost, input), (calls * 120_000_000, calls * 12), "whole calls");
        let mut blocks = file.prepare("SELECT packed FROM blocks ORDER BY last").unwrap();
        let lines =
            blocks.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().flat_map(|packed| lines(&packed.unwrap()));
        assert!(lines.eq((0..=newest).map(|number| record(number).to_json())), "no half-written record");
    }
}
