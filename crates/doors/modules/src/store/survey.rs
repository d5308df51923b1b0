//! Looking at all that is kept: for lists, for counting, and for choosing what goes.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use rustc_hash::FxHashMap;
use tradewind_core::UnixMillis;
use tradewind_runtime::files;

use super::blob::{Blob, Sha256};
use super::error::StoreError;
use super::layout::version_of_file;
use super::lock::FolderLock;
use super::manifest::{self, Manifest, Outline};
use super::tree::Tree;
use super::walk::{self, Found, Loose};
use super::{Store, kept};
use crate::name::ModuleVersion;
use crate::rules::Licence;

/// One version, as a survey sees it.
#[derive(Clone, Debug)]
pub struct Row {
    /// In which tree.
    pub tree: Tree,
    /// Which one.
    pub of: ModuleVersion,
    /// Its zip.
    pub zip: Blob,
    /// When it came here.
    pub fetched: UnixMillis,
    /// When it was last used, to the hour.
    pub used: UnixMillis,
    /// When it was made, by its info; `None` where that says nothing.
    pub time: Option<UnixMillis>,
    /// The licences that were found in it.
    pub licences: Vec<Licence>,
    /// Of its manifest.
    pub(super) bytes: u64,
    pub(super) path: PathBuf,
}

/// All that is kept at one moment; what comes and goes meanwhile may be missing.
#[derive(Debug, Default)]
pub struct Survey {
    /// The versions, by tree, module and version.
    pub rows: Vec<Row>,
    /// Bytes on the disk, of versions, answers, checksum databases and mirrors, a zip that several versions share being
    /// counted once.
    pub bytes: u64,
    /// Bytes of zips that belong to no version: what was killed in the middle left them behind.
    pub orphaned: u64,
    /// Manifests that cannot be read.
    pub(super) damaged: Vec<Found>,
    /// What can be fetched again: answers, and tiles and lookups of checksum databases.
    pub(super) loose: Vec<Loose>,
    /// Mirrors of repositories.
    pub(super) mirrors: Vec<Loose>,
    pub(super) blobs: FxHashMap<Sha256, Seen>,
}

/// A blob's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) size: u64,
    pub(super) stamp: Stamp,
    /// How many versions name it.
    pub(super) names: usize,
}

/// Tells whether a file was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), inode }
    }
}

impl Store {
    /// Looks at everything: about 20 µs a version.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn survey(&self) -> Result<Survey, StoreError> {
        let layout = &self.0.layout;
        let mut survey = Survey::default();
        {
            // While nobody is in the middle of a commit: a blob that is seen here and that no manifest names later on
            // belongs to nobody.
            let _lock = FolderLock::to_remove(&layout.root)?;
            for folder in walk::entries(&layout.blobs())? {
                for blob in walk::entries(&folder.path())? {
                    let sha256 = blob.file_name().to_str().and_then(Sha256::parse);
                    if let (Some(sha256), Ok(metadata)) = (sha256, blob.metadata()) {
                        let seen = Seen { size: metadata.len(), stamp: Stamp::of(&metadata), names: 0 };
                        survey.blobs.insert(sha256, seen);
                    }
                }
            }
        }
        walk::files(&layout.versions(), &mut |found| {
            let Some(of) = version_of_file(&found.module, &found.name) else { return };
            // One that is gone by now is passed over.
            let Ok(json) = files::read_bytes(&found.path, manifest::MOST_BYTES) else { return };
            let Some(outline) = Manifest::outline(&json) else { return survey.damaged.push(found) };
            let Outline { zip, fetched, time, licences } = outline;
            if let Some(seen) = survey.blobs.get_mut(&zip.sha256) {
                seen.names += 1;
            }
            let Found { tree, path, bytes, modified, .. } = found;
            survey.rows.push(Row { tree, of, zip, fetched, used: modified, time, licences, bytes, path });
        })?;
        walk::all(&layout.answers(), &mut |loose| survey.loose.push(loose))?;
        let sumdb = layout.sumdb();
        let mut stays = 0;
        walk::all(&sumdb, &mut |loose| {
            if kept::can_go(&sumdb, &loose.path) { survey.loose.push(loose) } else { stays += loose.bytes }
        })?;
        survey.mirrors = mirrors(&layout.mirrors())?;
        survey.rows.sort_unstable_by(|one, other| (&one.tree, &one.of).cmp(&(&other.tree, &other.of)));
        let blobs: u64 = survey.blobs.values().map(|seen| seen.size).sum();
        let manifests: u64 = survey.rows.iter().map(|row| row.bytes).sum();
        let damaged: u64 = survey.damaged.iter().map(|found| found.bytes).sum();
        let loose: u64 = survey.loose.iter().chain(&survey.mirrors).map(|loose| loose.bytes).sum();
        survey.bytes = blobs + manifests + damaged + loose + stays;
        survey.orphaned = survey.blobs.values().filter(|seen| seen.names == 0).map(|seen| seen.size).sum();
        self.0.used.store(survey.bytes, Ordering::Relaxed);
        self.0.is_counted.store(true, Ordering::Relaxed);
        Ok(survey)
    }
}

/// The mirrors of repositories, each as one thing that was used when anything directly in its folder was last changed.
fn mirrors(folder: &Path) -> Result<Vec<Loose>, StoreError> {
    let mut mirrors = Vec::new();
    for entry in walk::entries(folder)? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "git") {
            continue;
        }
        let mut mirror = Loose { bytes: 0, modified: UnixMillis(0), path: path.clone() };
        for beside in walk::entries(&path)?.iter().filter_map(|entry| entry.metadata().ok()) {
            mirror.modified = mirror.modified.max(walk::modified(&beside));
        }
        // Git removes files of it as it likes.
        let counted = walk::all(&path, &mut |loose| mirror.bytes += loose.bytes);
        if counted.is_ok() {
            mirrors.push(mirror);
        }
    }
    Ok(mirrors)
}
