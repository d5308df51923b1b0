//! The one place that reads and watches files of the user's.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::home_dir;

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is not UTF-8, or is longer than `limit`.
#[expect(clippy::disallowed_methods, reason = "this is the home of file access")]
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if length > limit {
        let message = format!("{length} bytes are more than the {limit} that are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    std::fs::read_to_string(path)
}

/// Makes a directory with its parents, readable by its owner only.
///
/// # Errors
/// When it cannot be made.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// `~` and `~/…` with the user's home directory put in; anything else unchanged.
#[must_use]
pub fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), home_dir()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

/// What is compared to see that a file has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// Notices that a file has changed by looking at it: works on every file system, and when editors replace the file.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    last: Option<Stamp>,
}

/// How often a watched file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl FileWatch {
    /// Watches `path` from its present state on.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: stamp(path) }
    }

    /// Waits until the file is another one than before and has been still for one look. A file that is missing for a
    /// while (an editor replaces it) is waited for. Cancel safe.
    pub async fn changed(&mut self) {
        let mut moving: Option<Stamp> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let seen = stamp(&self.path);
            if seen.is_none() || seen == self.last {
                moving = None;
                continue;
            }
            if seen == moving {
                self.last = seen;
                return;
            }
            moving = seen;
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_directory() {
        let home = home_dir().unwrap();
        assert_eq!(expand_home("~/x"), home.join("x"));
        assert_eq!(expand_home("~"), home);
        assert_eq!(expand_home("~other/x"), PathBuf::from("~other/x"));
        assert_eq!(expand_home("/x"), PathBuf::from("/x"));
    }
}
