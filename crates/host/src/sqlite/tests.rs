//! The log through this VFS against the log as SQLite writes it itself.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::gather::{Code, Gathered, MOST};
use super::open;

const FILE: &str = "a.db";

fn settle(connection: &Connection) {
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
}

fn gathering(folder: &Path) -> Connection {
    let connection = open(&folder.join(FILE), OpenFlags::default()).unwrap();
    settle(&connection);
    connection
}

/// Rows of a blob each.
fn table(connection: &Connection, rows: usize) {
    connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)").unwrap();
    let add = format!(
        "WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < {rows})
         INSERT INTO t SELECT id, zeroblob(900) FROM n"
    );
    connection.execute_batch(&add).unwrap();
}

/// All rows.
fn rows(connection: &Connection) -> Vec<(i64, Vec<u8>)> {
    let mut all = connection.prepare("SELECT id, CAST(a AS BLOB) FROM t ORDER BY id").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What a crash would leave: copies of the files as they are now.
fn left_by_a_crash(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        fs::copy(folder.join(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

/// How often this thread has asked the system to write.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "it is the kernel's, and no file of ours")]
fn writes() -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
    counts.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_transaction_is_few_writes() {
    let change = "UPDATE t SET a = randomblob(900)";
    let [ours, own] = [true, false].map(|gathers| {
        let folder = tempfile::tempdir().unwrap();
        let connection =
            if gathers { gathering(folder.path()) } else { Connection::open(folder.path().join(FILE)).unwrap() };
        settle(&connection);
        table(&connection, 100);
        // The one that follows on a log that begins writes the log's own header as well.
        let before = writes();
        connection.execute_batch(change).unwrap();
        writes() - before
    });
    assert_eq!((ours, own), (1, 50), "for 25 frames; SQLite itself has two for each");
}

/// SQLite's own method writes the length modulo 128 KiB, and a length of which nothing is left is a full disk to it.
#[test]
fn transactions_of_every_size_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let connection = gathering(folder.path());
    connection.pragma_update(None, "page_size", 4096).unwrap();
    table(&connection, 1);
    for pages in 1..300 {
        connection.execute("UPDATE t SET a = zeroblob(?1)", [pages * 4096]).unwrap();
    }
    let copy = left_by_a_crash(folder.path());
    assert!(rows(&Connection::open(copy.path().join(FILE)).unwrap()) == rows(&connection));
}

#[test]
fn others_see_a_transaction_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let writer = gathering(folder.path());
    table(&writer, 10);
    let reader = Connection::open(folder.path().join(FILE)).unwrap();
    let before = rows(&reader);
    writer.execute_batch("BEGIN; UPDATE t SET a = x'01'").unwrap();
    assert!(rows(&reader) == before);
    writer.execute_batch("COMMIT").unwrap();
    assert!(rows(&reader) == rows(&writer));
    assert!(rows(&reader) != before);
}

#[test]
fn two_that_write_in_turn_find_what_the_other_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let ours = gathering(folder.path());
    table(&ours, 100);
    let plain = Connection::open(folder.path().join(FILE)).unwrap();
    settle(&plain);
    for turn in 0..20 {
        let change = format!("UPDATE t SET a = x'{turn:02}' WHERE id % 7 = {}", turn % 7);
        if turn % 2 == 0 { &ours } else { &plain }.execute_batch(&change).unwrap();
        assert!(rows(&ours) == rows(&plain), "turn {turn}");
    }
    drop(ours);
    assert_eq!(plain.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
}

/// Transactions that are larger than the page cache, so that frames are read again, and written again in their place, before
/// they end; some of them, or parts of them, are taken back.
#[test]
fn it_is_what_sqlite_writes_itself() {
    let mut random = fastrand::Rng::with_seed(7);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let ours = gathering(folders[0].path());
    let plain = Connection::open(folders[1].path().join(FILE)).unwrap();
    settle(&plain);
    for connection in [&ours, &plain] {
        connection.pragma_update(None, "cache_size", 10).unwrap();
        table(connection, 300);
    }
    for turn in 0..400 {
        let mut all = "BEGIN;".to_owned();
        for _ in 0..random.usize(1..6) {
            let (from, length, byte) = (random.u32(0..300), random.u32(1..120), random.u8(..));
            let size = random.u32(1..3000);
            let change = format!(
                "UPDATE t SET a = replace(hex(zeroblob({size})), '0', '{byte:x}') WHERE id BETWEEN {from} AND {from} + {length};"
            );
            match random.u8(0..4) {
                0 => all += &format!("SAVEPOINT s; {change} ROLLBACK TO s; RELEASE s;"),
                1 => all += &format!("SELECT sum(length(a)) FROM t; {change}"),
                _ => all += &change,
            }
        }
        all += if random.u8(0..5) == 0 { "ROLLBACK;" } else { "COMMIT;" };
        if random.u8(0..20) == 0 {
            all += "PRAGMA wal_checkpoint(TRUNCATE);";
        } else if random.u8(0..20) == 0 {
            all += "PRAGMA wal_checkpoint(RESTART);";
        }
        ours.execute_batch(&all).unwrap();
        plain.execute_batch(&all).unwrap();
        if turn % 10 == 0 {
            let copy = left_by_a_crash(folders[0].path());
            let found = Connection::open(copy.path().join(FILE)).unwrap();
            assert!(rows(&found) == rows(&plain), "turn {turn}");
            assert_eq!(found.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
        }
    }
    assert!(rows(&ours) == rows(&plain));
}

/// A file in memory that can be full.
#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    room: Option<usize>,
    writes: usize,
}

const FULL: Code = rusqlite::ffi::SQLITE_FULL;

impl File {
    fn put(&mut self, bytes: &[u8], at: i64) -> Result<(), Code> {
        let at = usize::try_from(at).unwrap();
        let end = at + bytes.len();
        if self.room.is_some_and(|room| end > room) {
            return Err(FULL);
        }
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[at..end].copy_from_slice(bytes);
        self.writes += 1;
        Ok(())
    }
}

fn header(ends: bool) -> [u8; 24] {
    let mut header = [1; 24];
    header[4..8].copy_from_slice(&u32::from(ends).to_be_bytes());
    header
}

#[test]
fn a_transaction_that_is_larger_than_what_is_gathered_goes_in_parts() {
    let (mut file, mut gathered) = (File::default(), Gathered::default());
    let page = vec![5; 4096];
    let frames = MOST / 4120 * 3;
    let mut at = 0;
    for frame in 1..=frames {
        gathered.write(&header(frame == frames), at, |bytes, at| file.put(bytes, at)).unwrap();
        gathered.write(&page, at + 24, |bytes, at| file.put(bytes, at)).unwrap();
        at += 4120;
    }
    assert_eq!((file.bytes.len(), file.writes), (frames * 4120, 3));
}

#[test]
fn a_transaction_that_did_not_fit_takes_no_room_from_the_next() {
    let mut file = File { room: Some(3 * 4120), ..File::default() };
    let mut gathered = Gathered::default();
    let page = vec![5; 4096];
    let write = |gathered: &mut Gathered, file: &mut File, frames: std::ops::Range<i64>| {
        let last = frames.end - 1;
        frames.map(|frame| 4120 * frame).try_for_each(|at| {
            gathered.write(&header(at == 4120 * last), at, |bytes, at| file.put(bytes, at))?;
            gathered.write(&page, at + 24, |bytes, at| file.put(bytes, at))
        })
    };
    write(&mut gathered, &mut file, 0..1).unwrap();
    assert_eq!(write(&mut gathered, &mut file, 1..5), Err(FULL));
    write(&mut gathered, &mut file, 1..3).unwrap();
    assert_eq!(file.bytes.len(), 3 * 4120);
}

#[test]
fn what_sqlite_was_told_is_written_is_kept_when_it_cannot_be_handed_on_yet() {
    let (mut file, mut gathered) = (File { room: Some(0), ..File::default() }, Gathered::default());
    gathered.write(&header(false), 0, |bytes, at| file.put(bytes, at)).unwrap();
    assert_eq!(gathered.hand_on(|bytes, at| file.put(bytes, at)), Err(FULL), "as before a read");
    file.room = None;
    gathered.hand_on(|bytes, at| file.put(bytes, at)).unwrap();
    assert_eq!(file.bytes, header(false));
}

#[test]
fn headers_that_are_written_again_are_not_held_back() {
    let (mut file, mut gathered) = (File::default(), Gathered::default());
    let page = vec![5; 4096];
    for at in [0, 4120] {
        gathered.write(&header(at == 4120), at, |bytes, at| file.put(bytes, at)).unwrap();
        gathered.write(&page, at + 24, |bytes, at| file.put(bytes, at)).unwrap();
    }
    for at in [0, 4120] {
        let mut again = header(at == 4120);
        again[0] = 9;
        gathered.write(&again, at, |bytes, at| file.put(bytes, at)).unwrap();
        assert_eq!(file.bytes[usize::try_from(at).unwrap()], 9, "no page follows that would send it on its way");
    }
}
