//! Files whose pages are harmed, and files that other programs have had in hand.

#![expect(clippy::disallowed_methods, reason = "a test harms its own files")]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::sqlite::{ANEW, open};

const PAGE: usize = 4096;

fn opened(path: &Path) -> Connection {
    let connection = open(path, OpenFlags::default()).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    connection
}

/// Tables of all kinds: with an index, without row numbers, with values in other pages, and with free pages.
const TABLES: &str = "
    CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL);
    CREATE UNIQUE INDEX a_by_name ON a (name);
    CREATE TABLE b (name TEXT, id INTEGER, body BLOB, PRIMARY KEY (name, id)) WITHOUT ROWID;
    WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < 400)
        INSERT INTO a SELECT id, 'name ' || id, randomblob(CASE WHEN id % 50 = 0 THEN 9000 ELSE 900 END) FROM n;
    INSERT INTO b SELECT name, id, body FROM a;
    DELETE FROM a WHERE id > 300;
    DELETE FROM b WHERE id > 300;";

/// All that lies in the tables, but for the large values: found in three ways, each with its index.
fn all(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let ways = [
        "SELECT id || name || length(body) FROM a NOT INDEXED ORDER BY id",
        "SELECT name || id FROM a INDEXED BY a_by_name ORDER BY name",
        "SELECT name || id || length(body) FROM b ORDER BY name, id",
    ];
    let mut all = Vec::new();
    for way in ways {
        let mut rows = connection.prepare(way)?;
        for row in rows.query_map([], |row| row.get(0))? {
            all.push(row?);
        }
    }
    Ok(all)
}

/// A file that is closed, and what is in it.
fn filled() -> (TempDir, PathBuf, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = opened(&path);
    connection.execute_batch(TABLES).unwrap();
    let rows = all(&connection).unwrap();
    drop(connection);
    (folder, path, rows)
}

fn sums(path: &Path) -> Vec<bool> {
    fs::read(path).unwrap().chunks(PAGE).map(|page| page[PAGE - 4..] != [0; 4]).collect()
}

fn is_sound(connection: &Connection) -> bool {
    connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).is_ok_and(|said| said == "ok")
}

#[test]
fn a_flipped_bit_is_damage_or_lies_in_a_large_value() {
    let (folder, path, rows) = filled();
    let bytes = fs::read(&path).unwrap();
    assert!(sums(&path).into_iter().all(|has_sum| has_sum));
    let flipped = folder.path().join("flipped.db");
    let mut random = fastrand::Rng::with_seed(11);
    let mut told = 0;
    // All of the file's header, and anywhere.
    for bit in (0..800).chain((0..2_000).map(|_| random.usize(0..bytes.len() * 8))) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&flipped, &bytes).unwrap();
        let found = open(&flipped, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|connection| all(&connection));
        match found {
            Ok(found) => assert!(found == rows, "bit {bit} of byte {}", bit / 8),
            Err(_) => told += 1,
        }
        assert!(bit >= 800 || told == bit + 1, "bit {bit} of the header");
    }
    assert!((1_000..1_500).contains(&told), "{told}: all of the header, and some of the rest");
}

#[test]
fn a_page_in_the_place_of_another_is_damage() {
    let (_folder, path, rows) = filled();
    let mut bytes = fs::read(&path).unwrap();
    let leaves: Vec<_> = (1..bytes.len() / PAGE).filter(|page| bytes[page * PAGE] == 13).collect();
    bytes.copy_within(leaves[3] * PAGE..(leaves[3] + 1) * PAGE, leaves[7] * PAGE);
    fs::write(&path, &bytes).unwrap();
    assert!(all(&open(&path, OpenFlags::default()).unwrap()).is_err());
    let plain = Connection::open(&path).unwrap();
    assert!(all(&plain).is_ok_and(|found| found != rows), "to SQLite itself it is a table with other rows");
}

/// Somebody looks into what a process that was killed has left: the log goes to the file without us.
#[test]
fn another_program_may_bring_the_log_into_the_file() {
    let (_folder, path, _) = filled();
    let ours = opened(&path);
    ours.execute_batch("UPDATE a SET body = zeroblob(700) WHERE id % 3 = 0; UPDATE b SET id = id + 7").unwrap();
    let rows = all(&ours).unwrap();
    let plain = Connection::open(&path).unwrap();
    plain.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop((plain, ours));
    assert!(sums(&path).contains(&false), "it knows of no sums");
    let ours = opened(&path);
    assert!(all(&ours).unwrap() == rows && is_sound(&ours));
    ours.execute_batch("VACUUM").unwrap();
    drop(ours);
    assert!(!sums(&path).contains(&false), "written by us they have them");
}

#[test]
fn what_another_program_changes_is_damage() {
    let (_folder, path, _) = filled();
    Connection::open(&path).unwrap().execute_batch("UPDATE a SET name = 'another' WHERE id = 70").unwrap();
    assert!(all(&opened(&path)).is_err());
    Connection::open(&path).unwrap().execute_batch("VACUUM").unwrap();
    assert!(all(&opened(&path)).is_ok(), "all that it wrote is its own");
}

#[test]
fn a_file_without_sums_is_read_and_gets_them_when_it_is_made_anew() {
    let (folder, path, rows) = filled();
    let older = folder.path().join("older.db");
    let plain = Connection::open(&older).unwrap();
    plain.pragma_update(None, "journal_mode", "WAL").unwrap();
    plain.execute("ATTACH ?1 AS from_ours", [path.to_str().unwrap()]).unwrap();
    plain
        .execute_batch(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL);
             CREATE UNIQUE INDEX a_by_name ON a (name);
             CREATE TABLE b (name TEXT, id INTEGER, body BLOB, PRIMARY KEY (name, id)) WITHOUT ROWID;
             INSERT INTO a SELECT * FROM from_ours.a; INSERT INTO b SELECT * FROM from_ours.b;",
        )
        .unwrap();
    drop(plain);
    let reserved = |path: &Path| fs::read(path).unwrap()[20];
    assert_eq!((reserved(&older), reserved(&path)), (0, 4));
    let ours = opened(&older);
    assert!(all(&ours).unwrap() == rows);
    ours.execute_batch("UPDATE a SET name = name || '!' WHERE id > 250; PRAGMA wal_checkpoint").unwrap();
    assert_eq!(reserved(&older), 0);
    let rows = all(&ours).unwrap();
    ours.execute_batch(ANEW).unwrap();
    assert_eq!(reserved(&older), 4);
    assert!(all(&ours).unwrap() == rows && is_sound(&ours));
    assert!(sums(&older).into_iter().all(|has_sum| has_sum));
}

/// A first page whose own word for the room of sums is harmed.
#[test]
fn a_file_that_denies_its_sums_is_damaged() {
    let (_folder, path, _) = filled();
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] = 0;
    fs::write(&path, &bytes).unwrap();
    assert!(all(&open(&path, OpenFlags::default()).unwrap()).is_err());
}
