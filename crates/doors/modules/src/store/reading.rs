//! Reading what is kept.

use std::borrow::Borrow;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_core::UnixMillis;
use tradewind_runtime::files;

use super::blob::{Blob, Sha256};
use super::disk::if_there;
use super::error::StoreError;
use super::lock::FolderLock;
use super::manifest::{self, Manifest};
use super::tree::Tree;
use super::{Inner, Store, walk};
use crate::name::{ModulePath, ModuleVersion, Version};

/// How exactly it is written down when a version was last used. An hour, so that reading does not write.
const TOUCH_EVERY: u64 = 3_600_000;

/// For how long the file of a zip in memory is believed to be there still, in microseconds.
const LOOK_EVERY: u64 = 1_000_000;

/// A version in memory.
#[derive(Clone, Debug)]
pub(super) struct Known {
    manifest: Arc<Manifest>,
    /// When its use was last written down, in milliseconds since the epoch.
    touched: Arc<AtomicU64>,
}

/// A small zip in memory.
#[derive(Clone, Debug)]
pub(super) struct SmallZip {
    bytes: Bytes,
    /// When its file was last looked at, in microseconds of the process's clock.
    seen: Arc<AtomicU64>,
}

/// A version in its tree, as it is looked up: two references do for that as well as what they point to.
pub(super) trait InTree {
    fn place(&self) -> (&Tree, &ModuleVersion);
}

impl InTree for (Tree, ModuleVersion) {
    fn place(&self) -> (&Tree, &ModuleVersion) {
        (&self.0, &self.1)
    }
}

impl InTree for (&Tree, &ModuleVersion) {
    fn place(&self) -> (&Tree, &ModuleVersion) {
        *self
    }
}

impl<'a> Borrow<dyn InTree + 'a> for (Tree, ModuleVersion) {
    fn borrow(&self) -> &(dyn InTree + 'a) {
        self
    }
}

impl PartialEq for dyn InTree + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn InTree + '_ {}

impl Hash for dyn InTree + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// How many read each blob.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<FxHashMap<Sha256, usize>>);

impl InUse {
    pub(super) fn has(&self, sha256: &Sha256) -> bool {
        self.0.lock().contains_key(sha256)
    }

    fn count(self: &Arc<Self>, sha256: Sha256) -> Reader {
        *self.0.lock().entry(sha256).or_insert(0) += 1;
        Reader { sha256, in_use: Arc::clone(self) }
    }
}

/// One who reads a blob.
#[derive(Debug)]
struct Reader {
    sha256: Sha256,
    in_use: Arc<InUse>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut in_use = self.in_use.0.lock();
        if let Some(readers) = in_use.get_mut(&self.sha256) {
            *readers -= 1;
            if *readers == 0 {
                in_use.remove(&self.sha256);
            }
        }
    }
}

/// A zip that is being read; until it is dropped it is not removed to make room.
#[derive(Debug)]
pub struct ZipFile {
    /// The open file, at its beginning.
    pub file: File,
    /// What it holds.
    pub blob: Blob,
    _reader: Reader,
}

/// A zip to give.
#[derive(Debug)]
pub(crate) enum Zip {
    /// A small one that was asked for lately.
    InMemory(Bytes),
    /// Any other.
    File(ZipFile),
}

impl Store {
    /// The zip of a kept version; `None` when it is gone, or not what was stored, which [`Store::open_zip`] then deals with.
    /// Of those up to [`Store::SMALL`] bytes that were given whole lately, some are in memory: they are what their hash says,
    /// whatever bytes the disk has by now. Each second one that is given looks whether its file is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn zip(&self, manifest: &Manifest) -> Result<Option<Zip>, StoreError> {
        if let Some(bytes) = self.zip_in_memory(manifest) {
            return Ok(Some(Zip::InMemory(bytes)));
        }
        Ok(self.find_zip(manifest)?.map(Zip::File))
    }

    /// [`Self::zip`] where it is in memory.
    pub(crate) fn zip_in_memory(&self, manifest: &Manifest) -> Option<Bytes> {
        if manifest.zip.size > Self::SMALL {
            return None;
        }
        let SmallZip { bytes, seen } = self.0.zips.lock().get(&manifest.zip.sha256)?;
        self.is_there_still(&manifest.zip, &seen).then_some(bytes)
    }

    /// Whether the file of a zip in memory is where it was, as of the last second: what was removed or put aside is not
    /// there, and the next start must not be the first to notice.
    fn is_there_still(&self, blob: &Blob, seen: &AtomicU64) -> bool {
        let now = self.0.clock.now().micros();
        if now.saturating_sub(seen.load(Ordering::Relaxed)) < LOOK_EVERY {
            return true;
        }
        let is_there = std::fs::metadata(self.0.layout.blob(&blob.sha256)).is_ok_and(|file| file.len() == blob.size);
        if is_there {
            seen.store(now, Ordering::Relaxed);
        } else {
            self.0.zips.lock().remove(&blob.sha256);
        }
        is_there
    }

    /// The largest zip that is kept in memory, in bytes.
    pub(crate) const SMALL: u64 = 256 * 1024;

    /// Keeps a zip in memory that was just read whole, when it is small and what it should be.
    pub(crate) fn remember_zip(&self, blob: &Blob, bytes: &Bytes) {
        if blob.size <= Self::SMALL && Sha256::of(bytes) == blob.sha256 {
            let seen = Arc::new(AtomicU64::new(self.0.clock.now().micros()));
            self.0.zips.lock().insert(blob.sha256, SmallZip { bytes: bytes.clone(), seen }, bytes.len());
        }
    }

    /// What is kept of a version, which counts as a use of it; `None` when it is not there. Reads no file when it was asked
    /// for lately. One that is damaged is put into quarantine and is not there.
    #[must_use]
    pub fn version(&self, tree: &Tree, of: &ModuleVersion) -> Option<Arc<Manifest>> {
        if let Some(manifest) = self.remembered(tree, of) {
            return Some(manifest);
        }
        let manifest = Arc::new(self.read(tree, of)?);
        let known = self.0.remember(tree, &manifest, UnixMillis(0));
        Some(self.used(tree, of, known))
    }

    /// [`Self::version`] of one that was asked for lately: reads nothing, and never waits for whoever changes the folder.
    #[must_use]
    pub fn remembered(&self, tree: &Tree, of: &ModuleVersion) -> Option<Arc<Manifest>> {
        let known = self.0.memory.lock().get(&(tree, of) as &dyn InTree)?;
        Some(self.used(tree, of, known))
    }

    /// Writes down that a version is used, where that was not done lately.
    fn used(&self, tree: &Tree, of: &ModuleVersion, known: Known) -> Arc<Manifest> {
        let now = self.0.clock.wall();
        let touched = known.touched.load(Ordering::Relaxed);
        if now.0.saturating_sub(touched) >= TOUCH_EVERY && known.touched.swap(now.0, Ordering::Relaxed) == touched {
            self.0.touch(tree, of, now);
        }
        known.manifest
    }

    /// Reads a file that need not survive a power cut, which counts as a use of it; `None` for whatever keeps it from being
    /// read.
    pub(super) fn read_light(&self, path: &Path, most: u64) -> Option<Vec<u8>> {
        let bytes = files::read_bytes(path, most).ok()?;
        let now = self.0.clock.wall();
        let used = std::fs::metadata(path).map_or(now, |metadata| walk::modified(&metadata));
        if now.0.saturating_sub(used.0) >= TOUCH_EVERY {
            // What cannot be written down makes it go earlier.
            let _ = File::options().write(true).open(path).and_then(|file| set_modified(&file, now));
        }
        Some(bytes)
    }

    /// [`Store::version`] that is no use of it, and does not look into memory: what the disk has now.
    pub(crate) fn read(&self, tree: &Tree, of: &ModuleVersion) -> Option<Manifest> {
        let path = self.0.layout.version(tree, of);
        // A folder that cannot be read is like one that is empty: what is asked for is fetched.
        let json = if_there(files::read_bytes(&path, manifest::MOST_BYTES)).ok()??;
        match Manifest::of_json(of, &json) {
            Ok(manifest) => Some(manifest),
            Err(why) => {
                let reason = format!("what the store knows of it is damaged: {why}");
                self.put_aside(tree, of, &reason, None);
                None
            }
        }
    }

    /// Opens the zip of a kept version for reading. Its size is looked at; its hash is what [`Store::verify`] is for.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when it is no longer there, or has another size than when it was stored: then the version is
    /// forgotten, and has to be fetched anew. Else when it cannot be read.
    pub fn open_zip(&self, tree: &Tree, manifest: &Manifest) -> Result<ZipFile, StoreError> {
        if let Some(zip) = self.find_zip(manifest)? {
            return Ok(zip);
        }
        let blob = manifest.zip;
        let path = self.0.layout.blob(&blob.sha256);
        match if_there(std::fs::metadata(&path)).map_err(StoreError::at(&path))?.map(|metadata| metadata.len()) {
            None => self.forget_dangling(tree, manifest)?,
            Some(size) if size != blob.size => {
                let reason = format!("its zip in the store has {size} bytes in place of {}", blob.size);
                self.put_aside(tree, &manifest.of, &reason, Some(&blob));
            }
            // Stored again in between: whoever looks again finds it.
            Some(_) => {}
        }
        Err(StoreError::Gone)
    }

    /// [`Self::open_zip`] that changes nothing, and so never waits for whoever changes the folder: `None` when it is gone, or
    /// not what was stored.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn find_zip(&self, manifest: &Manifest) -> Result<Option<ZipFile>, StoreError> {
        let blob = manifest.zip;
        let path = self.0.layout.blob(&blob.sha256);
        // Counted before it is opened, so that nobody removes it in between.
        let reader = self.0.in_use.count(blob.sha256);
        let Some(file) = if_there(File::open(&path)).map_err(StoreError::at(&path))? else { return Ok(None) };
        let size = file.metadata().map_err(StoreError::at(&path))?.len();
        Ok((size == blob.size).then_some(ZipFile { file, blob, _reader: reader }))
    }

    /// The versions of one module that are kept, in no order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn versions_of(&self, tree: &Tree, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        let folder = self.0.layout.versions_of(tree, path);
        let Some(entries) = if_there(std::fs::read_dir(&folder)).map_err(StoreError::at(&folder))? else {
            return Ok(Vec::new());
        };
        let mut versions = Vec::new();
        for entry in entries {
            let name = entry.map_err(StoreError::at(&folder))?.file_name();
            let version = name.to_str().and_then(|name| name.strip_suffix(".json"));
            versions.extend(version.and_then(|version| Version::from_escaped(version).ok()));
        }
        Ok(versions)
    }

    /// Forgets a version whose zip is not there: one that was removed by another process, or one of which a power cut left
    /// the manifest only.
    fn forget_dangling(&self, tree: &Tree, manifest: &Manifest) -> Result<(), StoreError> {
        let inner = &self.0;
        inner.forget(tree, &manifest.of);
        let _lock = FolderLock::to_remove(&inner.layout.root)?;
        let kept = self.read(tree, &manifest.of);
        if kept.is_some_and(|kept| kept.zip == manifest.zip) && !inner.layout.blob(&manifest.zip.sha256).exists() {
            let path = inner.layout.version(tree, &manifest.of);
            if_there(std::fs::remove_file(&path)).map_err(StoreError::at(&path))?;
        }
        Ok(())
    }
}

impl Inner {
    pub(super) fn remember(&self, tree: &Tree, manifest: &Arc<Manifest>, touched: UnixMillis) -> Known {
        let known = Known { manifest: Arc::clone(manifest), touched: Arc::new(AtomicU64::new(touched.0)) };
        let weight = manifest.weight();
        self.memory.lock().insert((tree.clone(), manifest.of.clone()), known.clone(), weight);
        known
    }

    pub(super) fn forget(&self, tree: &Tree, of: &ModuleVersion) {
        self.memory.lock().remove(&(tree.clone(), of.clone()));
    }

    /// Writes down that a version was used. What cannot be written down makes it go earlier, and is no reason to fail.
    fn touch(&self, tree: &Tree, of: &ModuleVersion, now: UnixMillis) {
        let file = File::options().write(true).open(self.layout.version(tree, of));
        let _ = file.and_then(|file| set_modified(&file, now));
    }
}

pub(super) fn set_modified(file: &File, at: UnixMillis) -> io::Result<()> {
    file.set_modified(UNIX_EPOCH + Duration::from_millis(at.0))
}
