//! The embedders that are installed in the data directory: where their files are, how they get there, and reading them.
//!
//! One folder for each, `embedders/universal-sentence-encoder`, that is there whole or not at all: it is filled under
//! another name and renamed. Where one is there already it is moved aside first; a crash between the two renames leaves
//! none, and installing again mends it.

use std::io;
use std::path::{Path, PathBuf};

use tradewind_meaning::{Encoder, EncoderError, EncoderParts};
use tradewind_runtime::files::{self, FileLock};

const MODEL: &str = "sp.model";
const WEIGHTS: &str = "weights.npz";
const LICENSE: &str = "LICENSE";
/// The largest file that is read; the weights have 30 MB.
const LARGEST_FILE: u64 = 128 * 1024 * 1024;

/// Why an installed embedder cannot be used, or none be installed. The text is what a person sees.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// A file cannot be read or written.
    #[error("{}: {error}\n  = hint: whoever runs `tradewind embedder` and the gateway has to be able to read and write it", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The files are not what they should be.
    #[error("{}: {error}\n  = hint: install it again with `tradewind embedder install`", path.display())]
    Broken {
        /// The folder of the embedder.
        path: PathBuf,
        /// What is wrong.
        error: EncoderError,
    },
}

/// Loads the Universal Sentence Encoder of the gateway with this data directory: 0.3 s and 60 MiB. `None` when it is not
/// installed.
///
/// # Errors
/// [`EmbedderError`] when it is installed and cannot be used.
pub fn installed(data_dir: &Path) -> Result<Option<Encoder>, EmbedderError> {
    let folder = encoder_folder(data_dir);
    if !folder.exists() {
        return Ok(None);
    }
    let read = |name: &str| {
        let path = folder.join(name);
        files::read_bytes(&path, LARGEST_FILE).map_err(|error| EmbedderError::File { path, error })
    };
    let encoder = Encoder::load(&read(MODEL)?, &read(WEIGHTS)?);
    encoder.map(Some).map_err(|error| EmbedderError::Broken { path: folder, error })
}

/// Where the files of the encoder are.
pub(crate) fn encoder_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("embedders").join(Encoder::NAME)
}

/// Bytes of the files of the encoder; 0 when it is not installed.
pub(crate) fn encoder_size(data_dir: &Path) -> u64 {
    let folder = encoder_folder(data_dir);
    let size = |name: &str| folder.join(name).metadata().map_or(0, |metadata| metadata.len());
    [MODEL, WEIGHTS, LICENSE].into_iter().map(size).sum()
}

/// Writes the files of the encoder, in place of those that are there. `parts` have been loaded once: see
/// [`Encoder::load`].
pub(crate) fn install(data_dir: &Path, parts: &EncoderParts) -> Result<(), EmbedderError> {
    let folder = encoder_folder(data_dir);
    let parent = data_dir.join("embedders");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| EmbedderError::File { path, error }
    };
    files::make_private_dir(&parent).map_err(failed(&parent))?;
    let lock = parent.join("lock");
    let _lock = FileLock::take(&lock).map_err(failed(&lock))?;
    let place = || tempfile::Builder::new().prefix(".part-").tempdir_in(&parent).map_err(failed(&parent));
    let fresh = place()?;
    for (name, bytes) in [(MODEL, &parts.model), (WEIGHTS, &parts.weights), (LICENSE, &parts.license)] {
        let path = fresh.path().join(name);
        files::write_private(&path, bytes).map_err(failed(&path))?;
    }
    // Removed, with what was there before, when it is dropped.
    let aside = place()?;
    if folder.exists() {
        std::fs::rename(&folder, aside.path().join("before")).map_err(failed(&folder))?;
    }
    std::fs::rename(fresh.path(), &folder).map_err(failed(&folder))?;
    // It has another name now, and nothing is to be removed under the first.
    let _ = fresh.keep();
    std::fs::File::open(&parent).and_then(|parent| parent.sync_all()).map_err(failed(&parent))
}
