//! Files on their way into the store: written under a name of their own, hashed on the way, and gone when they are
//! dropped.
//!
//! Each is locked by whoever writes it. A process that dies lets go of its locks, so that what it left behind can be told
//! from what another process is writing, without process ids, which are used again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use ring::digest;

use super::blob::{Blob, Sha256};
use super::error::StoreError;
use super::lock::FolderLock;

/// A file that is being written. Dropped, it is removed.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    temporary: Temporary,
    context: DigestContext,
    size: u64,
    limit: u64,
}

/// A file that was written whole. Dropped, it is removed; [`super::Store::commit`] keeps it.
#[derive(Debug)]
pub struct Held {
    file: File,
    temporary: Temporary,
    blob: Blob,
}

/// Removes its file when it is dropped, unless that was moved away.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    moved: bool,
}

struct DigestContext(digest::Context);

impl std::fmt::Debug for DigestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestContext")
    }
}

impl Incoming {
    /// A new, empty file in `folder` for at most `limit` bytes. `lock` keeps a sweep from taking it for one that was left
    /// behind before it is locked.
    pub(super) fn new(folder: &Path, limit: u64, _lock: &FolderLock) -> Result<Self, StoreError> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            let path = folder.join(format!("{:016x}.part", fastrand::u64(..)));
            match options.open(&path) {
                Ok(file) => {
                    let temporary = Temporary { path, moved: false };
                    file.lock().map_err(StoreError::at(&temporary.path))?;
                    let context = DigestContext(digest::Context::new(&digest::SHA256));
                    return Ok(Self { file, temporary, context, size: 0, limit });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::at(&path)(error)),
            }
        }
    }

    /// Writes `bytes` behind what is there. Blocks on the disk.
    ///
    /// # Errors
    /// When they are too many or cannot be written; the file is of no use then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.file.write_all(bytes).map_err(StoreError::at(&self.temporary.path))?;
        self.context.0.update(bytes);
        self.size = size;
        Ok(())
    }

    /// How many bytes were written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens what was written so far, and what will be, for reading from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn reader(&self) -> Result<File, StoreError> {
        File::open(&self.temporary.path).map_err(StoreError::at(&self.temporary.path))
    }

    /// Ends the writing.
    #[must_use]
    pub fn finish(self) -> Held {
        let sha256 = Sha256::of_digest(&self.context.0.finish());
        Held { file: self.file, temporary: self.temporary, blob: Blob { sha256, size: self.size } }
    }
}

impl Held {
    /// The file; where it stands is not said.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Hash and size of what it holds.
    #[must_use]
    pub fn blob(&self) -> Blob {
        self.blob
    }

    /// Waits until it is on the disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(StoreError::at(&self.temporary.path))
    }

    /// Moves it to `place`, on the same file system, over what is there.
    pub(super) fn move_to(mut self, place: &Path) -> Result<(), StoreError> {
        std::fs::rename(&self.temporary.path, place).map_err(StoreError::at(place))?;
        self.temporary.moved = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // What cannot be removed is found by the next sweep.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what processes that are gone left behind in `folder`; how many files those were.
pub(super) fn sweep(folder: &Path, _lock: &FolderLock) -> Result<usize, StoreError> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder).map_err(StoreError::at(folder))? {
        let path = entry.map_err(StoreError::at(folder))?.path();
        // Whoever writes it may finish at any moment.
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && std::fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}
