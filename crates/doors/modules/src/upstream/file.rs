//! A folder in the layout of a module proxy, as `file://` URLs name them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::broken;
use super::opened::Opened;
use crate::failure::Failure;

pub(super) struct FileSource {
    folder: PathBuf,
    name: Arc<str>,
}

impl FileSource {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), name: format!("file://{}", folder.display()).into() }
    }

    /// Opens the file at `path`, which has been read as a path of the protocol and leads nowhere else.
    pub(super) async fn open(&self, path: &str) -> Result<Opened, Failure> {
        let at = self.folder.join(path);
        let opening = tokio::task::spawn_blocking(move || {
            let file = File::open(at)?;
            let metadata = file.metadata()?;
            if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
        });
        let opened = opening.await.map_err(|_| Failure::internal("opening the file broke off"))?;
        match opened {
            Ok((file, length)) => Ok(Opened::file(Arc::clone(&self.name), length, file)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Failure::missing(format!("not found: {path}")))
            }
            Err(error) => Err(broken(&self.name, format!("{path}: {error}"))),
        }
    }
}
