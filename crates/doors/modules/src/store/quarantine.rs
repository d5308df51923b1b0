//! Quarantine: what was refused or turned out to be damaged, and why, so that it can be told and looked at. Nothing is
//! ever served from here.

use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use tradewind_core::UnixMillis;
use tradewind_runtime::files;

use super::blob::Blob;
use super::disk::{if_there, make_folders, remove_empty_folders};
use super::error::StoreError;
use super::incoming::Held;
use super::lock::FolderLock;
use super::reading::set_modified;
use super::tree::Tree;
use super::walk::{self, Found};
use super::{Store, text};
use crate::name::ModuleVersion;

/// The most that is kept of one piece of evidence; what is longer is cut.
const MOST_EVIDENCE: usize = 256 << 10;
/// The most bytes of a file.
const MOST_BYTES: u64 = 16 << 20;
/// The most versions that are remembered; the oldest go first.
const MOST_REFUSED: usize = 10_000;
/// Beyond so many new bytes the bound is looked at.
const LOOK_AFTER: u64 = 16 << 20;
/// What a version counts at least, so that many small ones are noticed as well.
const LEAST_COUNTED: u64 = 64 << 10;

/// Why a version is not served.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// In words that a user understands.
    pub reason: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// Where it came from, without secrets; empty where it was in the store.
    pub upstream: String,
}

/// One thing that shows why a version was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is, such as `record of sum.golang.org` or `go.mod`.
    pub name: String,
    /// At most 256 KiB.
    pub text: String,
}

/// What is known of a version that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which one.
    pub of: ModuleVersion,
    /// In words that a user understands.
    pub reason: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// Where it came from; empty where it was in the store.
    pub upstream: String,
    /// When.
    pub at: UnixMillis,
    /// Its zip, when there was one; the file may have gone since.
    pub zip: Option<Blob>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    path: String,
    version: String,
    reason: String,
    upstream: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<Blob>,
    evidence: Vec<Evidence>,
}

impl Store {
    /// Keeps why a version was refused, in place of an earlier reason, with its zip where there is one. Within bounds: the
    /// oldest zips go first, then the oldest reasons.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn quarantine(
        &self,
        tree: &Tree,
        of: &ModuleVersion,
        refusal: Refusal,
        zip: Option<Held>,
    ) -> Result<(), StoreError> {
        let path = self.0.layout.quarantined(tree, of);
        let blob = zip.as_ref().map(Held::blob);
        {
            let _lock = FolderLock::to_add(&self.0.layout.root)?;
            self.write_refused(&path, of, refusal, blob)?;
            let zip_path = path.with_extension("zip");
            match zip {
                Some(zip) => {
                    // By the same clock as everything else, so that the oldest is the oldest.
                    set_modified(zip.file(), self.0.clock.wall()).map_err(StoreError::at(&zip_path))?;
                    zip.move_to(&zip_path)?;
                }
                // One of an earlier refusal would be taken for this one's.
                None => _ = if_there(std::fs::remove_file(&zip_path)).map_err(StoreError::at(&zip_path))?,
            }
        }
        self.count_quarantined(blob)
    }

    /// Takes a kept version out of the store, and keeps why. Its zip stays for other versions that name it.
    pub(crate) fn withdraw(&self, tree: &Tree, of: &ModuleVersion, reason: &str) {
        self.put_aside(tree, of, reason, None);
    }

    /// Why a version was refused the last time, if it was.
    #[must_use]
    pub fn refused(&self, tree: &Tree, of: &ModuleVersion) -> Option<Refused> {
        let json = files::read_bytes(&self.0.layout.quarantined(tree, of), MOST_BYTES).ok()?;
        let kept: Kept = serde_json::from_slice(&json).ok()?;
        let at = text::time(&kept.at).ok()?;
        let Kept { reason, evidence, upstream, zip, .. } = kept;
        Some(Refused { of: of.clone(), reason, evidence, upstream, at, zip })
    }

    /// Moves a kept version, and its zip if that is `bad`, into quarantine. What cannot be moved stays where it is.
    pub(super) fn put_aside(&self, tree: &Tree, of: &ModuleVersion, reason: &str, bad: Option<&Blob>) {
        let layout = &self.0.layout;
        self.0.forget(tree, of);
        let Ok(_lock) = FolderLock::to_remove(&layout.root) else { return };
        let (kept, aside) = (layout.version(tree, of), layout.quarantined(tree, of));
        // What stood there is part of the evidence.
        let manifest = files::read_bytes(&kept, MOST_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&manifest).into_owned();
        let evidence = vec![Evidence { name: "manifest".to_owned(), text }];
        let refusal = Refusal { reason: reason.to_owned(), evidence, upstream: String::new() };
        if self.write_refused(&aside, of, refusal, bad.copied()).is_err() {
            return;
        }
        if let Some(blob) = bad {
            let _ = std::fs::rename(layout.blob(&blob.sha256), aside.with_extension("zip"));
        }
        if std::fs::remove_file(&kept).is_ok()
            && let Some(folder) = kept.parent()
        {
            remove_empty_folders(&layout.versions(), folder);
        }
    }

    fn write_refused(
        &self,
        path: &Path,
        of: &ModuleVersion,
        refusal: Refusal,
        zip: Option<Blob>,
    ) -> Result<(), StoreError> {
        let Refusal { reason, mut evidence, upstream } = refusal;
        for piece in &mut evidence {
            piece.text.truncate(piece.text.floor_char_boundary(MOST_EVIDENCE));
        }
        let kept = Kept {
            path: of.path.as_str().to_owned(),
            version: of.version.as_str().to_owned(),
            reason,
            upstream,
            at: self.0.clock.wall().rfc3339(),
            zip,
            evidence,
        };
        let json = serde_json::to_vec_pretty(&kept).expect("strings and numbers can be written as JSON");
        make_folders(path.parent().unwrap_or(path))?;
        self.place(path, &json, Some(self.0.clock.wall()))
    }

    fn count_quarantined(&self, zip: Option<Blob>) -> Result<(), StoreError> {
        let bytes = zip.map_or(0, |zip| zip.size).max(LEAST_COUNTED);
        let counted = &self.0.quarantined;
        if counted.load(Ordering::Relaxed).saturating_add(bytes) < LOOK_AFTER {
            counted.fetch_add(bytes, Ordering::Relaxed);
            return Ok(());
        }
        self.bound_quarantine()
    }

    /// Removes the oldest of what is too much.
    pub(super) fn bound_quarantine(&self) -> Result<(), StoreError> {
        let root = self.0.layout.quarantine();
        let most = self.0.limits.load().max_quarantine;
        let (mut zips, mut reasons) = (Vec::new(), Vec::new());
        walk::files(&root, &mut |found| {
            let is_zip = found.path.extension().is_some_and(|extension| extension == "zip");
            if is_zip { zips.push(found) } else { reasons.push(found) }
        })?;
        let mut bytes: u64 = zips.iter().map(|found| found.bytes).sum();
        zips.sort_unstable_by_key(|found| found.modified);
        for zip in zips {
            if bytes <= most {
                break;
            }
            bytes -= zip.bytes;
            remove(&root, &zip)?;
        }
        reasons.sort_unstable_by_key(|found| found.modified);
        for reason in reasons.iter().rev().skip(MOST_REFUSED) {
            remove(&root, reason)?;
            let zip = reason.path.with_extension("zip");
            if_there(std::fs::remove_file(&zip)).map_err(StoreError::at(&zip))?;
        }
        self.0.quarantined.store(0, Ordering::Relaxed);
        Ok(())
    }
}

fn remove(root: &Path, found: &Found) -> Result<(), StoreError> {
    if_there(std::fs::remove_file(&found.path)).map_err(StoreError::at(&found.path))?;
    if let Some(folder) = found.path.parent() {
        remove_empty_folders(root, folder);
    }
    Ok(())
}
