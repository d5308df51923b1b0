//! The folder of an engine belongs to one process at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::StoreError;

const LOCK_NAME: &str = "lock";

/// Makes the folder where it is missing, readable by its owner only, and takes it for this process; let go when the file is
/// dropped or the process ends.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be made, or another process has it.
pub(crate) fn claim(folder: &Path) -> Result<File, StoreError> {
    let refused = |error| StoreError::Unavailable(format!("the folder {} cannot be used: {error}", folder.display()));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(refused)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_NAME)).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Unavailable(format!("another process uses the folder {}", folder.display())))
        }
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

/// Makes names that were added to or removed from a folder last over a loss of power. Windows has no such call, and does it
/// by itself.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        let first = claim(&inner).unwrap();
        assert!(matches!(claim(&inner), Err(StoreError::Unavailable(why)) if why.contains("another process")));
        drop(first);
        claim(&inner).unwrap();
        sync_folder(&inner).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("file");
        File::create(&inner).unwrap();
        assert!(matches!(claim(&inner), Err(StoreError::Unavailable(_))));
    }
}
