//! Putting a version into the store: all three files, or nothing.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tradewind_core::UnixMillis;
use tradewind_runtime::files;

use super::Store;
use super::disk::{make_folders, sync_folder};
use super::error::StoreError;
use super::incoming::{Held, Incoming};
use super::lock::FolderLock;
use super::manifest::{self, Checked, Manifest};
use super::reading::set_modified;
use super::tree::Tree;

impl Store {
    /// A new file for a zip that comes in, of at most [`max_zip`](super::Limits::max_zip) bytes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn incoming(&self) -> Result<Incoming, StoreError> {
        self.incoming_of(self.0.limits.load().max_zip)
    }

    pub(super) fn incoming_of(&self, limit: u64) -> Result<Incoming, StoreError> {
        let lock = FolderLock::to_add(&self.0.layout.root)?;
        Incoming::new(&self.0.layout.incoming(), limit, &lock)
    }

    /// Keeps a version, in place of what was kept of it, and returns when it is on the disk. `manifest.zip` is taken from
    /// `zip`. Then makes room, when there is too much.
    ///
    /// # Errors
    /// When something cannot be written; then the store is as it was.
    pub fn commit(&self, tree: &Tree, mut manifest: Manifest, zip: Held) -> Result<Arc<Manifest>, StoreError> {
        manifest.zip = zip.blob();
        zip.sync()?;
        let json = manifest.to_json();
        let now = self.0.clock.wall();
        let path = self.0.layout.version(tree, &manifest.of);
        let before = bytes_of(&path) + bytes_of(&self.0.layout.blob(&manifest.zip.sha256));
        {
            let _lock = FolderLock::to_add(&self.0.layout.root)?;
            self.place_blob(zip)?;
            // Only now that the zip is on the disk, also after a power cut.
            self.place(&path, &json, Some(now))?;
        }
        let manifest = Arc::new(manifest);
        self.0.remember(tree, &manifest, now);
        self.0.count(before, manifest.zip.size + json.len() as u64);
        self.make_room();
        Ok(manifest)
    }

    /// Notes what a kept version was compared with by now; `None` when another one is kept meanwhile, or none.
    ///
    /// # Errors
    /// When it cannot be written; then all is as it was.
    pub fn vouch(&self, tree: &Tree, known: &Manifest, checked: Checked) -> Result<Option<Arc<Manifest>>, StoreError> {
        let path = self.0.layout.version(tree, &known.of);
        let now = self.0.clock.wall();
        let _lock = FolderLock::to_add(&self.0.layout.root)?;
        let json = files::read_bytes(&path, manifest::MOST_BYTES).unwrap_or_default();
        let Ok(mut kept) = Manifest::of_json(&known.of, &json) else { return Ok(None) };
        if kept != *known {
            return Ok(None);
        }
        kept.checked = checked;
        self.place(&path, &kept.to_json(), Some(now))?;
        let kept = Arc::new(kept);
        self.0.remember(tree, &kept, now);
        Ok(Some(kept))
    }

    /// Moves a zip that is on the disk to its place. One that is there already is replaced: it may be damaged.
    fn place_blob(&self, zip: Held) -> Result<(), StoreError> {
        let path = self.0.layout.blob(&zip.blob().sha256);
        let folder = path.parent().unwrap_or(&path);
        make_folders(folder)?;
        zip.move_to(&path)?;
        sync_folder(folder)
    }

    /// Puts a file with these bytes at `path`, in place of what is there, and on the disk. The folder has to be locked.
    pub(super) fn place(&self, path: &Path, bytes: &[u8], modified: Option<UnixMillis>) -> Result<(), StoreError> {
        self.put(path, bytes, |file| {
            modified.map_or(Ok(()), |at| set_modified(file, at))?;
            file.sync_all()
        })?;
        sync_folder(path.parent().unwrap_or(path))
    }

    /// Puts a file in place that a power cut may undo, or leave empty: what can be fetched again. Counts it, and makes room
    /// when there is too much.
    pub(super) fn place_light(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let before = bytes_of(path);
        {
            let _lock = FolderLock::to_add(&self.0.layout.root)?;
            let now = self.0.clock.wall();
            self.put(path, bytes, |file| set_modified(file, now))?;
        }
        self.0.count(before, bytes.len() as u64);
        self.make_room();
        Ok(())
    }

    fn put(&self, path: &Path, bytes: &[u8], finish: impl FnOnce(&File) -> io::Result<()>) -> Result<(), StoreError> {
        make_folders(path.parent().unwrap_or(path))?;
        let mut file = tempfile::NamedTempFile::new_in(self.0.layout.incoming()).map_err(StoreError::at(path))?;
        let written = file.write_all(bytes).and_then(|()| finish(file.as_file()));
        written.map_err(StoreError::at(path))?;
        file.persist(path).map_err(|error| StoreError::at(path)(error.error))?;
        Ok(())
    }
}

/// How large a file is; 0 where there is none.
fn bytes_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// For tests that look at a file behind the store's back.
#[cfg(test)]
pub(crate) fn flip_a_bit(path: &Path) {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let place = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.seek(SeekFrom::Start(place)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}
