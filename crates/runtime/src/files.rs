//! The one place that reads, writes and watches files of the user's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tradewind_core::UnixMillis;

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

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is longer than `limit`.
pub fn read_bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(limit)).unwrap_or(0));
    // One byte more, so that a file that is longer than it says is found out.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("{} bytes are more than the {limit} that are allowed", length.max(bytes.len() as u64));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Writes a new file, readable by its owner only, to the disk.
///
/// # Errors
/// When it cannot be written; a part of it may be there then.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a text file in place of the one at `path`, readable by its owner only. Whoever reads sees the old file or the
/// new one, whole, also after a crash. Two writers at once need a [`FileLock`].
///
/// # Errors
/// When it cannot be written; then the old file is as it was.
pub fn replace_private(path: &Path, text: &str) -> io::Result<()> {
    replace_private_bytes(path, text.as_bytes())
}

/// [`replace_private`] for what is no text.
///
/// # Errors
/// As [`replace_private`].
pub fn replace_private_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = private_file(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

/// An empty file that only its owner may read, in place of what was there.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // One that was left behind keeps its permissions when it is opened.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Keeps other processes that ask for the same lock waiting until it is dropped; a process that dies drops it.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "open for as long as the lock is held")] File);

impl FileLock {
    /// Waits for the lock at `path`, an empty file that stays.
    ///
    /// # Errors
    /// When the file cannot be made, or the file system knows no locks.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = private_file(path)?;
        file.lock()?;
        Ok(Self(file))
    }
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

/// When a file was last changed; `None` when it is not there, or nobody can say.
#[must_use]
pub fn modified(path: &Path) -> Option<UnixMillis> {
    let since = std::fs::metadata(path).ok()?.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(UnixMillis)
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

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_and_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let left_behind = folder.path().join("keys.json.part");
        File::create(&left_behind).unwrap();
        std::fs::set_permissions(&left_behind, PermissionsExt::from_mode(0o644)).unwrap();
        for text in ["one and more", "two"] {
            replace_private(&path, text).unwrap();
            assert_eq!(read_text(&path, 100).unwrap(), text);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(!left_behind.exists());
        assert!(replace_private(&folder.path().join("nowhere/keys.json"), "x").is_err());
    }

    #[test]
    fn bytes_are_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        write_private(&path, &[0, 255, 7]).unwrap();
        assert_eq!(read_bytes(&path, 3).unwrap(), [0, 255, 7]);
        assert_eq!(read_bytes(&path, 2).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_bytes(&folder.path().join("none"), 2).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let count = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock = FileLock::take(&path).unwrap();
                        assert_eq!(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        count.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_tilde_is_the_home_directory() {
        let home = home_dir().unwrap();
        assert_eq!(expand_home("~/x"), home.join("x"));
        assert_eq!(expand_home("~"), home);
        assert_eq!(expand_home("~other/x"), PathBuf::from("~other/x"));
        assert_eq!(expand_home("/x"), PathBuf::from("/x"));
    }
}
