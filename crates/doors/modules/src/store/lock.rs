//! Who may change the folder: many may add to it at once, one may remove from it, in any number of processes. So the
//! commands work beside a running gateway.
//!
//! A version consists of a blob and of the manifest that names it. Whoever removes blobs must not do so between the two
//! steps of another's commit; nothing else has to be excluded, since each file is put in its place whole.

use std::fs::File;
use std::path::Path;

use super::error::StoreError;

const NAME: &str = "store.lock";

/// Held while the folder is changed; let go when dropped, and when the process dies.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "open for as long as the lock is held")] File);

impl FolderLock {
    /// Waits until nobody removes.
    pub(super) fn to_add(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(NAME);
        let file = open(&path)?;
        file.lock_shared().map_err(StoreError::at(&path))?;
        Ok(Self(file))
    }

    /// Waits until nobody adds or removes.
    pub(super) fn to_remove(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(NAME);
        let file = open(&path)?;
        file.lock().map_err(StoreError::at(&path))?;
        Ok(Self(file))
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(StoreError::at(path))
}
