//! The file: its tables, its settings, and how it gets from one version of the schema to the next.
//!
//! Versions and their steps are as [`Schema`] has them; the copies are named `state.before-N.db`.
//!
//! WAL with `synchronous = NORMAL`: a commit is in the operating system's buffers, and a loss of power takes the latest commits,
//! but leaves a whole file. Where more is promised the log is synced before a commit is answered; see
//! [`durable`](crate::sqlite::durable).

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tradewind_host::sqlite::{ANEW, Refused, Schema, open};

use crate::error::StoreError;
use crate::sqlite::error;
use crate::store::Durability;

/// The name of the file inside its folder.
pub const FILE_NAME: &str = "state.db";

/// What a page of the file has, in bytes.
pub(super) const PAGE_BYTES: u64 = 4096;
/// The most pages that SQLite can have in a file.
const MOST_PAGES: i64 = 0xffff_fffe;
/// How long another program that reads the file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the writer keeps of the file in memory, in KiB.
const WRITER_CACHE: i64 = 16 << 10;
/// What each reader keeps of the file in memory, in KiB.
const READER_CACHE: i64 = 4 << 10;

/// From an empty file to the newest version. The owner is `TWST`.
const SCHEMA: Schema = Schema { owner: 0x5457_5354, steps: STEPS, copied: true };

const STEPS: &[&str] = &["
CREATE TABLE namespaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- when the head is over, in milliseconds since the epoch
    due INTEGER,
    -- the head
    rev INTEGER NOT NULL,
    -- how many revisions are kept, and so how many places there are for them
    ring INTEGER NOT NULL,
    -- 1: revisions may be pinned, or have pieces
    mixed INTEGER NOT NULL,
    -- over the names, the id and the three above
    sum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX keys_by_name ON keys (namespace, name);
CREATE INDEX keys_by_due ON keys (due) WHERE due IS NOT NULL;
CREATE TABLE revisions (
    -- the key's id in the upper 27 bits; below it the number of the revision modulo the size of the key's ring
    place INTEGER PRIMARY KEY,
    rev INTEGER NOT NULL,
    -- 1: pinned; 4: has pieces
    state INTEGER NOT NULL,
    meta BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE apart (
    -- what would have been pruned, but is or was pinned
    key INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    state INTEGER NOT NULL,
    meta BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (key, rev)
) STRICT, WITHOUT ROWID;
CREATE TABLE pieces (
    number INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    id BLOB NOT NULL,
    -- by how many it is held: runs of revisions of one key that have it, and pinned revisions
    holds INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX pieces_by_id ON pieces (namespace, id);
CREATE TABLE piece_bytes (
    number INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE events (
    cursor INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    meta BLOB NOT NULL
) STRICT;
", "
-- 0: places may be empty; 1: revisions may be pinned, or have pieces; 2: the ring is full and in order, and the head is the
-- revision that `rev` says or one of the seven after it
ALTER TABLE keys RENAME COLUMN mixed TO layout;
",
// Each page has a sum.
ANEW];

/// Opens the file in `folder` for the writer, and brings it to the newest version.
///
/// # Errors
/// [`StoreError::Damaged`] when it is no file of ours, [`StoreError::Unavailable`] when it cannot be opened or a newer release
/// wrote it.
pub(super) fn open_writer(
    folder: &Path,
    durability: Durability,
    max_bytes: Option<u64>,
) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(&folder.join(FILE_NAME), flags).map_err(|e| error::of(&e))?;
    let settings = || {
        writing(&connection, durability, WRITER_CACHE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let pages = max_bytes.map_or(MOST_PAGES, |bytes| (bytes / PAGE_BYTES).cast_signed());
        connection.pragma_update(None, "max_page_count", pages)
    };
    settings().map_err(|e| error::of(&e))?;
    SCHEMA.migrate(&mut connection, &folder.join(FILE_NAME)).map_err(refused)?;
    Ok(connection)
}

/// Opens the file in `folder`, which the writer has opened, for moving the log into it.
///
/// # Errors
/// See [`open_writer`].
pub(super) fn open_helper(folder: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(&folder.join(FILE_NAME), flags).map_err(|e| error::of(&e))?;
    writing(&connection, durability, READER_CACHE).map_err(|e| error::of(&e))?;
    Ok(connection)
}

/// Opens the file in `folder` for reading.
///
/// # Errors
/// See [`open_writer`].
pub(super) fn open_reader(folder: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(&folder.join(FILE_NAME), flags).map_err(|e| error::of(&e))?;
    common(&connection, READER_CACHE).map_err(|e| error::of(&e))?;
    Ok(connection)
}

fn writing(connection: &Connection, durability: Durability, cache: i64) -> rusqlite::Result<()> {
    common(connection, cache)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // macOS alone: a plain fsync leaves it in the disk's own cache.
    connection.pragma_update(None, "fullfsync", durability == Durability::Fsync)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Checkpoints are made when nobody waits for an answer; see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

fn common(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Finds damaged pages when they are read, before they are believed.
    connection.pragma_update(None, "cell_size_check", true)
}

fn refused(refused: Refused) -> StoreError {
    match refused {
        Refused::Foreign => StoreError::damaged(format!("{FILE_NAME} was not made by this program")),
        Refused::Newer { version, known } => StoreError::Unavailable(format!(
            "{FILE_NAME} has version {version} of its schema, this release knows {known}"
        )),
        Refused::Sqlite(sqlite) => error::of(&sqlite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_file_of_version_1_keeps_what_was_said_of_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join(FILE_NAME)).unwrap();
        let path = folder.path().join(FILE_NAME);
        Schema { steps: &STEPS[..1], ..SCHEMA }.migrate(&mut connection, &path).unwrap();
        connection
            .execute_batch(
                "INSERT INTO keys (namespace, name, rev, ring, mixed, sum) VALUES (1, 'a', 7, 32, 1, 5), (1, 'b', 7, 32, 0, 5)",
            )
            .unwrap();
        SCHEMA.migrate(&mut connection, &path).unwrap();
        assert!(folder.path().join("state.before-2.db").is_file());
        let read = "SELECT group_concat(layout) FROM (SELECT layout FROM keys ORDER BY name)";
        assert_eq!(connection.query_row(read, [], |row| row.get::<_, String>(0)).unwrap(), "1,0");
    }

    #[test]
    fn the_newest_version_is_that_of_the_steps() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(folder.path(), Durability::Os, None).unwrap();
        assert_eq!(version(&connection), SCHEMA.newest());
        drop(connection);
        let reader = open_reader(folder.path()).unwrap();
        assert!(reader.execute("DELETE FROM keys", []).is_err(), "readers cannot write");
    }

    #[test]
    fn a_file_of_another_program_or_a_newer_release_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join(FILE_NAME)).unwrap();
        other.pragma_update(None, "application_id", 5).unwrap();
        let error = open_writer(folder.path(), Durability::Os, None).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { what } if what.contains("not made by this program")));
        other.pragma_update(None, "application_id", SCHEMA.owner).unwrap();
        other.pragma_update(None, "user_version", 99).unwrap();
        let error = open_writer(folder.path(), Durability::Os, None).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(why) if why.contains("version 99")));
    }
}
