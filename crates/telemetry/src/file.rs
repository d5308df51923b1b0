//! The file: its schema, its settings, and how a bad one is put out of the way. Only the writer thread writes to it. The
//! spend book has a table of its own in it, which is `spend`'s matter.
//!
//! One row a block of records, as `block` packs them: LZ4 leaves a seventh of the bytes, and what a row costs is shared by
//! some sixty records. Measured with 1000-byte records on two shared cores at 50,000 a second, everything that the
//! journal's thread does, the kernel's part included: 1.4 µs a record, also when as much is deleted as is written. One
//! record a row took 4.3 µs, and 5.5 µs with deleting. Pages of 4, 8, 16 and 32 KiB differ by less than 0.2 µs, and
//! keep 133, 138, 152 and 156 bytes a record: 8 KiB, because a quiet gateway writes two or three pages for each call.
//! There a block is a single record, and takes no more than its text; merging such blocks would save space that nobody
//! misses, and write everything twice. The index holds all that tells whether a block has to be unpacked.
//!
//! Other programs may read the file. The API gives records as they are; without the gateway, `packed` is what the
//! package `lz4` of Python takes:
//!
//! ```python
//! for (packed,) in sqlite3.connect("journal.db").execute("SELECT packed FROM blocks ORDER BY last"):
//!     print(lz4.block.decompress(packed).decode(), end="")
//! ```
//!
//! WAL with `synchronous = NORMAL`: a killed process loses what was not committed yet, a power cut also what came
//! after the last checkpoint (the writer makes one every ten seconds when there was something to write); neither harms
//! the file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use rustc_hash::FxHashMap;
use tradewind_core::UnixMillis;
use tradewind_host::sqlite::Schema;

use crate::block::Block;
use crate::error::JournalError;
use crate::queue::BATCH;
use crate::spend::{self, About, Day, Totals};

/// The name of the journal's file inside its folder.
pub const FILE_NAME: &str = "journal.db";
const LOCK_NAME: &str = "journal.lock";

/// The owner is `TWDJ`. No copies: a release that does not know the version begins a new file, and takes the book over.
pub(crate) const SCHEMA: Schema = Schema { owner: 0x5457_444a, steps: &["", BLOCKS, spend::TABLE], copied: false };
/// Held one record a row; such files are not taken further.
const VERSION_OF_ROWS: i32 = 1;
/// Pages in the write-ahead log after which SQLite moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = (16 << 20) / PAGE_BYTES;
const PAGE_BYTES: u32 = 8192;
/// Blocks deleted in one step: more than a batch can add, so that pruning keeps up at any load.
const PRUNE_STEP: usize = BATCH + BATCH / 4;
/// How often one call goes on deleting while too much is left.
const BOUND_ROUNDS: usize = 8;
/// Pages given back to the file system in one step: 4 MiB.
const SHRINK_STEP: u32 = 256;
/// Unused pages below this are kept for new records.
const FREE_KEPT: u64 = 8 << 20;
/// How many files that were moved aside are kept.
const ASIDE_KEPT: usize = 3;

const BLOCKS: &str = "
CREATE TABLE blocks (
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    outcomes INTEGER NOT NULL,
    models TEXT,
    packed BLOB NOT NULL
) STRICT;
CREATE INDEX blocks_by_id ON blocks (last, first, count, outcomes, models);
";

/// Something that a person should be told about the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// The file could not be used, and was put aside; a new one was begun.
    #[error("the decision journal could not be used ({reason}); it was moved to {path} and a new one begun")]
    MovedAside {
        /// Where it is now.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing can be written at the moment; records are dropped and counted until that changes.
    #[error("the decision journal cannot be written ({reason}); records are dropped until it can")]
    NotWriting {
        /// Why.
        reason: String,
    },
}

/// An open file, ready for writing.
#[derive(Debug)]
pub(crate) struct JournalFile {
    connection: Connection,
}

/// How the file is used, the write-ahead log not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Pages that hold something.
    pub(crate) live_bytes: u64,
    /// Pages that wait to be used again.
    pub(crate) free_bytes: u64,
}

/// What one step of tidying up did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// How the file is used now.
    pub(crate) space: Space,
    /// Records deleted.
    pub(crate) pruned: usize,
    /// Whether there is more to do.
    pub(crate) more: bool,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default)]
struct Pruned {
    blocks: usize,
    records: usize,
}

/// Takes the folder for this process; let go when the file is dropped.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, JournalError> {
    let refused = |source| JournalError::Folder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(refused)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_NAME)).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

impl JournalFile {
    /// Opens the journal in `folder`, and makes it when there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = folder.join(FILE_NAME);
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        match SCHEMA.version(&connection)? {
            // Page size and auto-vacuum can only be chosen while the file is empty, and before WAL.
            0 => connection
                .execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL"))?,
            VERSION_OF_ROWS => return Err(JournalError::Foreign("the journal was written by an older version")),
            _ => {}
        }
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {}",
            CHECKPOINT_PAGES * PAGE_BYTES
        ))?;
        SCHEMA.migrate(&mut connection, &path)?;
        Ok(Self { connection })
    }

    /// The number of the newest record, 0 when there is none.
    pub(crate) fn newest(&self) -> Result<u64, JournalError> {
        let newest: Option<i64> = self.connection.query_row("SELECT max(last) FROM blocks", [], |row| row.get(0))?;
        Ok(newest.unwrap_or(0).unsigned_abs())
    }

    /// Writes `blocks` and adds `spent` to the spend book in one transaction: all of it, or nothing.
    pub(crate) fn append(&mut self, blocks: &[Block], spent: &FxHashMap<About, Totals>) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO blocks (first, last, count, outcomes, models, packed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for block in blocks {
                insert.execute(params![
                    block.first.cast_signed(),
                    block.last.cast_signed(),
                    block.count as i64,
                    block.outcomes,
                    block.models,
                    block.packed
                ])?;
            }
        }
        spend::write(&transaction, spent)?;
        transaction.commit()?;
        Ok(())
    }

    /// Deletes what is in the spend book for days before `oldest`.
    pub(crate) fn forget_spend(&mut self, oldest: Day) -> Result<(), JournalError> {
        spend::forget(&self.connection, oldest)
    }

    /// How the file is used.
    pub(crate) fn space(&self) -> Result<Space, JournalError> {
        let pages: i64 = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let free: i64 = self.connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        let size: i64 = self.connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let bytes = |pages: i64| pages.unsigned_abs() * size.unsigned_abs();
        Ok(Space { live_bytes: bytes(pages.saturating_sub(free)), free_bytes: bytes(free) })
    }

    /// Deletes some of the oldest blocks when live pages take more than `max_bytes`, and not many more than have to go.
    pub(crate) fn bound(&mut self, max_bytes: u64) -> Result<Step, JournalError> {
        let mut step = Step { space: self.space()?, pruned: 0, more: false };
        for _ in 0..BOUND_ROUNDS {
            let excess = step.space.live_bytes.saturating_sub(max_bytes);
            if excess == 0 {
                return Ok(step);
            }
            // A page is at least half full of blocks; the next round takes what is still too much.
            let records = self.prune(u64::MAX, excess / 2)?.records;
            step.pruned += records;
            step.space = self.space()?;
            step.more = records > 0 && step.space.live_bytes > max_bytes;
        }
        Ok(step)
    }

    /// One step of deleting what is older than the number `oldest` or too much, and of giving back unused pages.
    pub(crate) fn tidy(&mut self, oldest: u64, max_bytes: u64, may_shrink: bool) -> Result<Step, JournalError> {
        let aged = self.prune(oldest, u64::MAX)?;
        let mut step = self.bound(max_bytes)?;
        step.pruned += aged.records;
        step.more |= aged.blocks == PRUNE_STEP;
        if may_shrink && step.space.free_bytes > FREE_KEPT.max(step.space.live_bytes / 4) {
            self.shrink()?;
            step.space = self.space()?;
            step.more = true;
        }
        Ok(step)
    }

    /// Deletes the oldest blocks whose ids are all below `below`: as many as hold `bytes`, at least one, at
    /// most [`PRUNE_STEP`].
    fn prune(&mut self, below: u64, bytes: u64) -> Result<Pruned, JournalError> {
        let mut pruned = Pruned::default();
        let mut boundary = None;
        let mut found: u64 = 0;
        {
            let mut oldest = self
                .connection
                .prepare("SELECT last, count, length(packed) FROM blocks WHERE last < ?1 ORDER BY last LIMIT ?2")?;
            let mut rows = oldest.query(params![below.min(i64::MAX as u64).cast_signed(), PRUNE_STEP as i64])?;
            while (found < bytes || pruned.blocks == 0)
                && let Some(row) = rows.next()?
            {
                boundary = Some(row.get::<_, i64>(0)?);
                pruned.blocks += 1;
                pruned.records += row.get::<_, u32>(1)? as usize;
                found = found.saturating_add(row.get::<_, i64>(2)?.unsigned_abs());
            }
        }
        if let Some(boundary) = boundary {
            self.connection.prepare("DELETE FROM blocks WHERE last <= ?1")?.execute([boundary])?;
        }
        Ok(pruned)
    }

    /// Gives some unused pages back to the file system.
    fn shrink(&mut self) -> Result<(), JournalError> {
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_STEP})"))?;
        let mut pages = statement.query([])?;
        // Each step gives back one page.
        while pages.next()?.is_some() {}
        Ok(())
    }

    /// Lets go of cached pages: after a burst the page cache would keep its 8 MiB.
    pub(crate) fn release_memory(&self) -> Result<(), JournalError> {
        Ok(self.connection.release_memory()?)
    }

    /// Moves the write-ahead log into the file and asks the operating system to put both on disk.
    pub(crate) fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }
}

/// Renames the journal in `folder`, with its write-ahead log, to `journal.db.aside-TIME`. The newest three are kept.
pub(crate) fn move_aside(folder: &Path, at: UnixMillis) -> Result<PathBuf, JournalError> {
    let from = folder.join(FILE_NAME);
    let refused = |source| JournalError::MoveAside { path: from.clone(), source };
    let to = folder.join(format!("{FILE_NAME}.aside-{:014}", at.0));
    std::fs::rename(&from, &to).map_err(refused)?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::rename(with_suffix(&from, suffix), with_suffix(&to, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
    }
    forget_oldest_aside(folder);
    Ok(to)
}

/// Only tidying up: whatever cannot be removed stays.
fn forget_oldest_aside(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut aside: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix(FILE_NAME)
                .and_then(|rest| rest.strip_prefix(".aside-"))
                .is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .collect();
    aside.sort();
    let surplus = aside.len().saturating_sub(ASIDE_KEPT);
    for path in &aside[..surplus] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(path, suffix));
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
