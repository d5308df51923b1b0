//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use tradewind_policy::ByteSize;

/// Why something cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing more can be written: the disk, a quota, or the largest file that the process may write.
    #[error("the disk is full: {} cannot be written", path.display())]
    Full {
        /// What was written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More bytes than a file may have.
    #[error("it is larger than {}", ByteSize(*limit))]
    TooLarge {
        /// The most, in bytes.
        limit: u64,
    },
    /// A file that was there is there no more, or is damaged: the version has to be fetched anew.
    #[error("its zip is no longer in the store")]
    Gone,
    /// Anything else.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    Self::Full { path, source }
                }
                _ => Self::Io { path, source },
            }
        }
    }
}
