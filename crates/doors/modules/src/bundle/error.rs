//! What can go wrong with a bundle as a whole.

use std::io;
use std::path::{Path, PathBuf};

use crate::name::ModuleVersion;
use crate::store::StoreError;

/// Why a bundle cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no bundle, or not what was written.
    #[error("{}: {why}", path.display())]
    Damaged {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What is in the store is not what was stored.
    #[error("{0} is damaged in the store")]
    DamagedVersion(ModuleVersion),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BundleError {
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }
}
