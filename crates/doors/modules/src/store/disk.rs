//! Writing to the disk so that a killed process, a full disk or a power cut leaves the old state or the new one.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

use super::error::StoreError;

/// Waits until what was made, renamed or removed in `folder` is on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    // Elsewhere a folder cannot be opened as a file; renames are in the file system's journal.
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::at(folder))?;
    }
    Ok(())
}

/// Makes `folder` with its parents, readable by its owner only, each on the disk before the next.
pub(super) fn make_folders(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    // The parent of a name alone is empty, and stands for the present folder.
    let parent = folder.parent().map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    if let Some(parent) = parent {
        make_folders(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => {}
        // Another call was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        Err(error) => return Err(StoreError::at(folder)(error)),
    }
    parent.map_or(Ok(()), sync_folder)
}

/// Removes `folder` and its parents below `root` as far as they are empty.
pub(super) fn remove_empty_folders(root: &Path, folder: &Path) {
    let mut folder = folder;
    while folder != root && folder.starts_with(root) && std::fs::remove_dir(folder).is_ok() {
        let Some(parent) = folder.parent() else { return };
        folder = parent;
    }
}

/// `None` where there is no such file, also because its name is too long for the file system, or a parent is a file.
pub(super) fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(error),
        },
    }
}
