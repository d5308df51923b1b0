//! The write-ahead log and the files beside it.
//!
//! The log is that of the crate `wal-db`: a checksum over each entry, a format that is frozen for its major version, and
//! above all [`OpenPolicy::Strict`]: an unfinished entry at the end is cut off, and damage in front of whole entries is an
//! error, never a shorter log. Looked at and refused: `okaywal` (says itself that it is not for production, no release since
//! 2023), `raft-engine` (protobuf, Prometheus, C code for LZ4, no release since 2024, and damage looks like the end),
//! `open-wal` (cannot write without a sync, not for Windows), `commitlog` and `walcraft` (no check when opened), `logdb`
//! (shards, pushing to a network), and `fjall`, whose log is not open to others.
//!
//! A group of changes is one entry, so that it is there whole or not at all. One thread appends, and an entry is written
//! after the one before it; only then is it exact what the strict check says. Where entries are acknowledged before they are
//! on disk, a loss of power can leave whole entries behind one that is not: there the newest log is cut at the first that is
//! not what was written, and that is told. Older logs were brought to disk before the next one was begun.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wal_db::{Lsn, OpenPolicy, Wal, WalConfig, WalError};

use crate::embedded::sync_folder;
use crate::error::StoreError;

/// The most bytes of one entry: a group, and the one task that it may always have.
pub(super) const MAX_ENTRY: u32 = 64 << 20;

/// The files of one generation: a log, and the snapshot of everything before it, which the first one has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(pub(super) u64);

impl Generation {
    pub(super) fn log(self, folder: &Path) -> PathBuf {
        folder.join(format!("log-{:08}", self.0))
    }

    pub(super) fn snapshot(self, folder: &Path) -> PathBuf {
        folder.join(format!("snapshot-{:08}", self.0))
    }

    /// Where a snapshot is written until it is whole.
    pub(super) fn unfinished(self, folder: &Path) -> PathBuf {
        folder.join(format!("unfinished-{:08}", self.0))
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) logs: Vec<Generation>,
    pub(super) snapshots: Vec<Generation>,
}

impl Files {
    /// Looks, and removes snapshots that were never finished.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn find(folder: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((kind, number)) = name.to_str().and_then(|name| name.split_once('-')) else { continue };
            let Ok(number) = number.parse().map(Generation) else { continue };
            match kind {
                "log" => files.logs.push(number),
                "snapshot" => files.snapshots.push(number),
                "unfinished" => std::fs::remove_file(entry.path())?,
                _ => {}
            }
        }
        files.logs.sort_unstable();
        files.snapshots.sort_unstable();
        Ok(files)
    }
}

/// Removes the files of generations before `kept`.
pub(super) fn remove_before(folder: &Path, kept: Generation) {
    let Ok(files) = Files::find(folder) else { return };
    // What cannot be removed now is removed next time; it is never read.
    for old in files.logs.into_iter().filter(|old| *old < kept) {
        std::fs::remove_file(old.log(folder)).ok();
    }
    for old in files.snapshots.into_iter().filter(|old| *old < kept) {
        std::fs::remove_file(old.snapshot(folder)).ok();
    }
}

/// What opening a log has cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes from the first entry on that is not whole.
    pub(super) bytes: u64,
    /// Whether there were whole entries among them.
    pub(super) lost: bool,
}

/// The log that is written to.
pub(super) struct Log {
    wal: Wal,
    path: PathBuf,
    /// The last entry that is whole; `None` while there is none.
    last: Option<Lsn>,
    /// After a write that failed: what it left has to be cut off first.
    untidy: bool,
}

impl Log {
    /// Opens a log, or begins one, and gives each entry to `replay`. `may_lose` says whether whole entries behind a damaged
    /// one may be cut off with it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Unavailable`], and those of `replay`.
    pub(super) fn open(
        path: PathBuf,
        may_lose: bool,
        mut replay: impl FnMut(Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<(Self, Cut), StoreError> {
        let (wal, lost) = match Wal::open_with(&path, config()) {
            Err(WalError::Corruption { .. }) if may_lose => {
                let wal = Wal::open_with(&path, config().with_open_policy(OpenPolicy::TruncateTail));
                (wal.map_err(|error| of(&path, &error))?, true)
            }
            opened => (opened.map_err(|error| of(&path, &error))?, false),
        };
        let cut = Cut { bytes: wal.truncated_on_open(), lost };
        let mut last = None;
        for entry in wal.iter().map_err(|error| of(&path, &error))? {
            let entry = entry.map_err(|error| of(&path, &error))?;
            last = Some(entry.lsn());
            replay(entry.into_data())?;
        }
        if let Some(folder) = path.parent() {
            sync_folder(folder).map_err(|error| unavailable(&path, &error))?;
        }
        Ok((Self { wal, path, last, untidy: false }, cut))
    }

    /// Bytes that it has.
    pub(super) fn bytes(&self) -> u64 {
        self.wal.len()
    }

    /// Adds an entry, on disk when `sync` says so.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Unavailable`] when the log is as it was before; [`StoreError::Unknown`] when it
    /// could not be brought back to that.
    pub(super) fn append(&mut self, entry: &[u8], sync: bool) -> Result<(), StoreError> {
        if self.untidy {
            self.mend().map_err(|error| of(&self.path, &error))?;
        }
        let appended = self.wal.append(entry).and_then(|lsn| {
            if sync {
                // A sync that failed may leave pages behind that count as written; nothing is built on them.
                self.wal.sync()?;
            }
            Ok(lsn)
        });
        match appended {
            Ok(lsn) => {
                self.last = Some(lsn);
                Ok(())
            }
            Err(error) => {
                self.untidy = true;
                match self.mend() {
                    Ok(()) => Err(of(&self.path, &error)),
                    Err(_) => Err(StoreError::Unknown(error.to_string())),
                }
            }
        }
    }

    /// Cuts off what a failed write has left.
    fn mend(&mut self) -> Result<(), WalError> {
        match self.last {
            Some(last) => self.wal.truncate_after(last)?,
            None => {
                let emptied = File::options().write(true).open(&self.path).and_then(|file| {
                    file.set_len(0)?;
                    file.sync_all()
                });
                emptied.map_err(|source| WalError::Io { context: "emptying the log", source })?;
                self.wal = Wal::open_with(&self.path, config())?;
            }
        }
        self.untidy = false;
        Ok(())
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// See [`Log::append`].
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.wal.sync().map_err(|error| of(&self.path, &error))
    }
}

/// Opens a file of entries.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Unavailable`].
pub(super) fn open_file(path: &Path) -> Result<Wal, StoreError> {
    Wal::open_with(path, config()).map_err(|error| of(path, &error))
}

fn config() -> WalConfig {
    WalConfig::new().with_max_record_size(MAX_ENTRY).with_open_policy(OpenPolicy::Strict)
}

/// An error of a file in the words of the store.
pub(super) fn of(path: &Path, error: &WalError) -> StoreError {
    match error {
        WalError::Io { source, .. } => unavailable(path, source),
        WalError::RecordTooLarge { len, max } => StoreError::TooLarge { size: *len as u64, limit: u64::from(*max) },
        other => StoreError::damaged(format!("{}: {other}", path.display())),
    }
}

/// An error of the file system in the words of the store.
pub(super) fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full(text),
        _ => StoreError::Unavailable(text),
    }
}
