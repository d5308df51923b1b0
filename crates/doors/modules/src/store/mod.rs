//! What is kept on the disk: versions with all three of their files, the last good answers, what checksum databases said,
//! and what was refused and why.
//!
//! The files are the truth, and memory holds no more than a bounded part of it: a gateway starts with a hundred thousand
//! versions as fast as with none, and commands may work on the folder beside it. A version is there when its one small
//! file is there, which is put in its place last; whatever kills the process before leaves the folder as it was, plus a
//! file that the next start removes.
//!
//! All of this blocks on the disk, and is called where that is allowed, but for what [`Store::remembered`] knows and an open
//! of a zip that is there ([`Store::find_zip`]). No database and no index: there is nothing here that a look at a file's name
//! does not answer, and nothing that has to be repaired.

mod answers;
mod blob;
mod commit;
mod disk;
mod error;
mod incoming;
mod kept;
mod layout;
mod limits;
mod lock;
mod manifest;
mod pins;
mod prune;
mod quarantine;
mod reading;
mod survey;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod verify;
mod walk;
mod why;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use tradewind_core::{Clock, Recent};

use self::layout::Layout;
use self::lock::FolderLock;
use self::reading::{InUse, Known, SmallZip};
use crate::name::ModuleVersion;

#[cfg(test)]
pub(crate) use self::commit::flip_a_bit;

pub use self::answers::{Answer, AnswerKey};
pub use self::blob::{Blob, Sha256};
pub use self::error::StoreError;
pub use self::incoming::{Held, Incoming};
pub use self::limits::Limits;
pub use self::manifest::{Checked, Manifest};
pub use self::pins::{BadPin, Pins};
pub use self::prune::{Prune, Pruned};
pub use self::quarantine::{Evidence, Refusal, Refused};
pub(crate) use self::reading::Zip;
pub use self::reading::ZipFile;
pub use self::survey::{Row, Survey};
pub use self::tree::Tree;
pub use self::verify::{Damage, Verified};
pub use self::why::Trace;

/// Bytes of manifests in memory.
const MEMORY: usize = 16 << 20;
/// Bytes of small zips in memory.
const ZIPS: usize = 16 << 20;

/// The store of one data directory. Clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    layout: Layout,
    clock: Arc<dyn Clock>,
    limits: ArcSwap<Limits>,
    /// What is known of versions that were asked for lately, so that a warm hit reads no file.
    memory: Mutex<Recent<(Tree, ModuleVersion), Known, FxBuildHasher>>,
    /// Small zips that were asked for lately, whole.
    zips: Mutex<Recent<Sha256, SmallZip, FxBuildHasher>>,
    in_use: Arc<InUse>,
    /// Bytes on the disk, as far as they are known; 0 until the first survey.
    used: AtomicU64,
    /// Whether `used` has been counted.
    is_counted: AtomicBool,
    /// What pins and readers hold may be more than there may be: from so many bytes on it is tried again to make room.
    again_at: AtomicU64,
    /// Held by whoever evicts: one at a time, and nobody waits for it.
    evicting: Mutex<()>,
    /// Bytes that were put into quarantine since its bound was looked at.
    quarantined: AtomicU64,
}

impl Store {
    /// Opens the store in `folder`, and makes it when there is none: reads no version, and removes what processes that
    /// were killed had not finished.
    ///
    /// # Errors
    /// When the folder cannot be made or used.
    pub fn open(folder: &Path, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let layout = Layout { root: folder.to_owned() };
        for folder in [
            layout.incoming(),
            layout.blobs(),
            layout.versions(),
            layout.answers(),
            layout.quarantine(),
            layout.sumdb(),
        ] {
            disk::make_folders(&folder)?;
        }
        {
            let lock = FolderLock::to_remove(&layout.root)?;
            incoming::sweep(&layout.incoming(), &lock)?;
        }
        Ok(Self(Arc::new(Inner {
            layout,
            clock,
            limits: ArcSwap::from_pointee(limits),
            memory: Mutex::new(Recent::new(MEMORY)),
            zips: Mutex::new(Recent::new(ZIPS)),
            in_use: Arc::default(),
            used: AtomicU64::new(0),
            is_counted: AtomicBool::new(false),
            again_at: AtomicU64::new(0),
            evicting: Mutex::new(()),
            quarantined: AtomicU64::new(u64::MAX),
        })))
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.layout.root
    }

    /// Puts other limits in place; what is there already is held to them with the next version that comes, or by
    /// [`Store::settle`].
    pub fn set_limits(&self, limits: Limits) {
        self.0.limits.store(Arc::new(limits));
        self.0.again_at.store(0, Ordering::Relaxed);
    }
}

impl Inner {
    /// A file that had so many bytes has so many now.
    fn count(&self, before: u64, after: u64) {
        let counted = |used: u64| Some(used.saturating_add(after).saturating_sub(before));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder()).finish_non_exhaustive()
    }
}
