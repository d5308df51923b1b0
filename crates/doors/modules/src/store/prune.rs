//! Removing what is too much, the least recently used first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tradewind_core::UnixMillis;

use super::Store;
use super::disk::remove_empty_folders;
use super::error::StoreError;
use super::lock::FolderLock;
use super::survey::{Row, Stamp, Survey};
use super::walk::{self, Loose};
use crate::name::Patterns;

/// A mirror in which something changed so lately may be fetched into or read at the moment, also by another process: a fetch
/// takes ten minutes at most, and reading what it brought not much longer.
const MIRROR_IN_USE: Duration = Duration::from_secs(3600);

/// What is to go. Pins and what is being read stay in any case.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    /// So much that no more than these bytes are left.
    pub to_bytes: Option<u64>,
    /// All that was not used for so long.
    pub unused_for: Option<Duration>,
    /// Only versions of these modules; without it all.
    pub only: Option<Patterns>,
    /// Say what would go, and remove nothing.
    pub dry_run: bool,
}

/// What went.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The versions.
    pub rows: Vec<Row>,
    /// Bytes that are free now: the versions', those of what can be fetched again, and of zips that belonged to no version.
    pub freed: u64,
    /// Bytes that are left.
    pub left: u64,
}

impl Store {
    /// Counts what there is and makes room where it is too much: to be called once after [`Store::open`], beside
    /// everything else, since it takes a second for 50,000 versions. Until then nothing is removed.
    ///
    /// # Errors
    /// As [`Store::survey`].
    pub fn settle(&self) -> Result<Pruned, StoreError> {
        let _one = self.0.evicting.lock();
        self.bound_quarantine()?;
        let most = self.0.limits.load().max_bytes;
        let survey = self.survey()?;
        let to_bytes = (survey.bytes > most).then(|| target(most));
        self.prune_surveyed(survey, &Prune { to_bytes, ..Prune::default() }, &mut |_| {})
    }

    /// Removes what is to go, and what belongs to no version. `progress` is told the bytes that were freed, as they are.
    ///
    /// # Errors
    /// When a folder cannot be read. What cannot be removed stays.
    pub fn prune(&self, prune: &Prune, progress: &mut dyn FnMut(u64)) -> Result<Pruned, StoreError> {
        let _one = self.0.evicting.lock();
        self.prune_surveyed(self.survey()?, prune, progress)
    }

    /// Makes room when there is too much and nobody else is at it. A fault is no reason to refuse what was just stored: the
    /// next one finds it again. Where pins and readers hold too much, it is tried again once a twentieth more has come: a look
    /// at everything for each small file would be too much.
    pub(super) fn make_room(&self) {
        let inner = &self.0;
        let most = inner.limits.load().max_bytes;
        let is_enough = || {
            let again = inner.again_at.load(Ordering::Relaxed);
            !inner.is_counted.load(Ordering::Relaxed) || inner.used.load(Ordering::Relaxed) <= most.max(again)
        };
        if is_enough() {
            return;
        }
        let Some(_one) = inner.evicting.try_lock() else { return };
        // Another may have made room while this one waited for nothing.
        if is_enough() {
            return;
        }
        let prune = Prune { to_bytes: Some(target(most)), ..Prune::default() };
        if let Ok(pruned) = self.survey().and_then(|survey| self.prune_surveyed(survey, &prune, &mut |_| {})) {
            let again = if pruned.left > most { pruned.left.saturating_add(most / 20) } else { 0 };
            inner.again_at.store(again, Ordering::Relaxed);
        }
    }

    /// What [`Self::prune`] does once it has looked: what was stored or used since stays.
    pub(super) fn prune_surveyed(
        &self,
        survey: Survey,
        prune: &Prune,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Pruned, StoreError> {
        let layout = &self.0.layout;
        let pins = self.0.limits.load().pins.clone();
        let now = self.0.clock.wall();
        let Survey { rows, bytes, mut blobs, loose, mirrors, .. } = survey;
        let mut pruned = Pruned { left: bytes, ..Pruned::default() };
        let _lock = FolderLock::to_remove(&layout.root)?;
        for (sha256, seen) in blobs.extract_if(|_, seen| seen.names == 0) {
            let freed = if prune.dry_run { seen.size } else { remove_blob(&layout.blob(&sha256), seen.stamp) };
            pruned.count(freed, progress);
        }
        // A heap and not a sorted list: mostly only the first few are wanted.
        let candidates = rows.iter().enumerate().map(|(place, row)| (row.used, Kind::Version(place)));
        let beside = loose.iter().enumerate().map(|(place, found)| (found.modified, Kind::Loose(place)));
        let idle = |found: &Loose| u128::from(now.0.saturating_sub(found.modified.0)) >= MIRROR_IN_USE.as_millis();
        let idle = mirrors.iter().enumerate().filter(|(_, found)| idle(found));
        let beside = beside.chain(idle.map(|(place, found)| (found.modified, Kind::Mirror(place))));
        let beside = beside.filter(|_| prune.only.is_none());
        let mut oldest: BinaryHeap<_> = candidates.chain(beside).map(Reverse).collect();
        while let Some(Reverse((used, kind))) = oldest.pop() {
            if !prune.wants(used, now, pruned.left) {
                break;
            }
            match kind {
                Kind::Loose(place) => {
                    let path = &loose[place].path;
                    let root = if path.starts_with(layout.sumdb()) { layout.sumdb() } else { layout.answers() };
                    let freed = remove_unchanged(&root, path, used, prune.dry_run);
                    pruned.count(freed.unwrap_or(0), progress);
                }
                Kind::Mirror(place) => {
                    let mirror = &mirrors[place];
                    if prune.dry_run || remove_mirror(&mirror.path) {
                        pruned.count(mirror.bytes, progress);
                    }
                }
                Kind::Version(place) => {
                    let row = &rows[place];
                    let wanted = prune.only.as_ref().is_none_or(|only| row.of.path.is_covered_by(only));
                    if !wanted || pins.hold(&row.of) || self.0.in_use.has(&row.zip.sha256) {
                        continue;
                    }
                    let Some(mut freed) = remove_unchanged(&layout.versions(), &row.path, used, prune.dry_run) else {
                        continue;
                    };
                    self.0.forget(&row.tree, &row.of);
                    if let Some(seen) = blobs.get_mut(&row.zip.sha256) {
                        seen.names -= 1;
                        if seen.names == 0 {
                            let path = layout.blob(&row.zip.sha256);
                            freed += if prune.dry_run { seen.size } else { remove_blob(&path, seen.stamp) };
                        }
                    }
                    pruned.count(freed, progress);
                    pruned.rows.push(row.clone());
                }
            }
        }
        if !prune.dry_run {
            self.0.used.store(pruned.left, Ordering::Relaxed);
        }
        Ok(pruned)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Loose(usize),
    Mirror(usize),
    Version(usize),
}

impl Prune {
    /// Whether what was last used then is to go while `left` bytes are left.
    fn wants(&self, used: UnixMillis, now: UnixMillis, left: u64) -> bool {
        let is_old = self.unused_for.is_some_and(|age| u128::from(now.0.saturating_sub(used.0)) >= age.as_millis());
        is_old || self.to_bytes.is_some_and(|most| left > most) || (self.only.is_some() && self.has_no_bound())
    }

    fn has_no_bound(&self) -> bool {
        self.to_bytes.is_none() && self.unused_for.is_none()
    }
}

impl Pruned {
    fn count(&mut self, freed: u64, progress: &mut dyn FnMut(u64)) {
        self.freed += freed;
        self.left = self.left.saturating_sub(freed);
        progress(self.freed);
    }
}

/// Down to where it goes once there is too much, so that the next version does not make work again.
fn target(most: u64) -> u64 {
    most / 10 * 9
}

/// Removes a file that nobody has used since, and the folders that are empty then: the bytes it had; `None` when it was
/// used or is gone.
fn remove_unchanged(root: &Path, path: &Path, used: UnixMillis, dry_run: bool) -> Option<u64> {
    let metadata = std::fs::metadata(path).ok()?;
    if walk::modified(&metadata) != used {
        return None;
    }
    if !dry_run {
        std::fs::remove_file(path).ok()?;
        if let Some(folder) = path.parent() {
            remove_empty_folders(root, folder);
        }
    }
    Some(metadata.len())
}

/// Removes the mirror of a repository: out of the way first, so that nobody finds half of one.
fn remove_mirror(path: &Path) -> bool {
    let aside = path.with_extension("old");
    let _ = std::fs::remove_dir_all(&aside); // of a process that was killed here
    std::fs::rename(path, &aside).is_ok() && std::fs::remove_dir_all(&aside).is_ok()
}

/// Removes the blob at `path`, unless it was stored again since it had this stamp: the bytes it had.
fn remove_blob(path: &Path, stamp: Stamp) -> u64 {
    let Ok(metadata) = std::fs::metadata(path) else { return 0 };
    if stamp != Stamp::of(&metadata) || std::fs::remove_file(path).is_err() {
        return 0;
    }
    metadata.len()
}
