//! The file of created keys, `keys.json` in the data directory: where it is, how it is changed, and how a running
//! gateway keeps up with it.
//!
//! A file that is not right never replaces good keys: a gateway does not start with it, and one that runs keeps the keys
//! that it has. It keeps them as well when the file goes away, since a key that vanishes must not let everybody in. Where
//! the file is right and its keys collide with the document's, those that it revokes or has no more end nevertheless.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tradewind_access::{Access, Conflict, StoredKeys, StoredKeysError};
use tradewind_core::Code;
use tradewind_runtime::files::{self, FileLock, FileWatch};

use crate::say;

/// The largest file: ten thousand keys with all that may be said of them.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// How often keys that did not go together with the document are tried again.
const TRY_AGAIN_EVERY: Duration = Duration::from_millis(500);
/// What becomes of the keys when those of the file do not go together with the document.
const STAY: &str = "the keys of before stay in force, but for those that are revoked or no longer in the file";

/// Why the created keys cannot be used. The text is what a person sees.
#[derive(Debug, thiserror::Error)]
pub enum CallerKeysError {
    /// The file cannot be read or written.
    #[error(
        "error[{code}]: {}: {error}\n  = hint: whoever runs `tradewind key` and the gateway has to be able to read and \
         write it",
        path.display(),
        code = Code::DataDir
    )]
    File {
        /// The file, or the one beside it that keeps writers apart.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What is in it is not right.
    #[error(
        "error[{code}]: {}: {error}\n  = hint: put back an earlier copy, or delete the file and make the keys again with \
         `tradewind key create`",
        path.display(),
        code = Code::ConfigUnreadable
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: StoredKeysError,
    },
    /// The keys do not go together with those of the document.
    #[error(
        "error[{code}]: {}: {error}\n  = hint: revoke the created one with `tradewind key revoke`, or take the other out \
         of the configuration",
        path.display(),
        code = Code::ConfigBadValue
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// Which keys.
        error: Conflict,
    },
}

/// The file of created keys of one data directory.
#[derive(Clone, Debug)]
pub(crate) struct KeysFile(PathBuf);

impl KeysFile {
    /// That of the data directory `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.join("keys.json"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What is in it; no keys when there is no file.
    pub(crate) fn read(&self) -> Result<StoredKeys, CallerKeysError> {
        match files::read_text(&self.0, LARGEST_FILE) {
            Ok(text) => {
                StoredKeys::parse(&text).map_err(|error| CallerKeysError::Broken { path: self.0.clone(), error })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(StoredKeys::default()),
            Err(error) => Err(CallerKeysError::File { path: self.0.clone(), error }),
        }
    }

    /// Reads the file, lets `change` change the keys, and writes it, while nobody else does so. Makes the data
    /// directory if it is not there.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut StoredKeys) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let of_file = |error| CallerKeysError::File { path: self.0.clone(), error };
        files::make_private_dir(self.0.parent().unwrap_or_else(|| Path::new("."))).map_err(of_file)?;
        let _lock = FileLock::take(&self.0.with_extension("lock")).map_err(of_file)?;
        let mut keys = self.read()?;
        let done = change(&mut keys)?;
        files::replace_private(&self.0, &keys.print()).map_err(of_file)?;
        Ok(done)
    }
}

/// Keeps a running gateway's keys what the file says.
#[derive(Debug)]
pub(crate) struct CallerKeys {
    file: KeysFile,
    watch: FileWatch,
    access: Arc<Access>,
}

impl CallerKeys {
    /// Puts the keys of the data directory `folder` in place. The document's keys have to be there already.
    ///
    /// # Errors
    /// When the file cannot be used; then the gateway must not start, or it might be open to everybody.
    pub(crate) fn load(folder: &Path, access: Arc<Access>) -> Result<Self, CallerKeysError> {
        let file = KeysFile::of(folder);
        let watch = FileWatch::new(file.path()); // first: a change during the start must not be missed
        let keys = file.read()?;
        access.set_created(keys.keys()).map_err(|error| CallerKeysError::Conflict { path: file.0.clone(), error })?;
        Ok(Self { file, watch, access })
    }

    /// Follows the file for ever; a change is in force within a second. What is wrong with it is said once. Cancel safe.
    pub(crate) async fn keep_current(mut self) {
        // Keys that wait for the document to let them in.
        let mut waiting: Option<StoredKeys> = None;
        loop {
            if let Some(keys) = waiting.take() {
                if !self.changes_before_its_turn(&keys).await {
                    tell(&keys);
                    continue;
                }
            } else {
                self.watch.changed().await;
            }
            let Some(keys) = self.read() else { continue };
            let was_open = self.access.is_open();
            match self.access.set_created(keys.keys()) {
                Ok(()) => {
                    tell(&keys);
                    if was_open && !self.access.is_open() {
                        say::note("from now on every call needs a key");
                    }
                }
                Err(error) => {
                    let error = CallerKeysError::Conflict { path: self.file.0.clone(), error };
                    say::note(format_args!("{error}\n{STAY}"));
                    waiting = Some(keys);
                }
            }
        }
    }

    /// Waits until the file is another one, or until the document lets `keys` in: then false. The file is watched by one
    /// future all the time: it has to look twice to be sure, and must not begin anew with each try.
    async fn changes_before_its_turn(&mut self, keys: &StoredKeys) -> bool {
        let changed = self.watch.changed();
        tokio::pin!(changed);
        loop {
            tokio::select! {
                () = &mut changed => return true,
                () = tokio::time::sleep(TRY_AGAIN_EVERY) => {
                    if self.access.set_created(keys.keys()).is_ok() {
                        return false;
                    }
                }
            }
        }
    }

    fn read(&self) -> Option<StoredKeys> {
        let said = |error: &CallerKeysError| say::note(format_args!("{error}\nthe keys of before stay in force"));
        self.file.read().inspect_err(said).ok()
    }
}

fn tell(keys: &StoredKeys) {
    let revoked = keys.keys().iter().filter(|key| key.revoked.is_some()).count();
    let valid = keys.keys().len() - revoked;
    say::note(format_args!("read the created keys again: {valid} in force, {revoked} revoked"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};
    use tradewind_access::{Reach, StoredKey};
    use tradewind_core::UnixMillis;
    use tradewind_policy::{KeyHash, KeyTerms};

    fn key(name: &str) -> StoredKey {
        StoredKey::new(name, KeyHash::of(name.as_bytes()), UnixMillis(0), KeyTerms::default())
    }

    fn may_call(access: &Access, name: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(name).unwrap());
        access.authenticate(&headers, UnixMillis(1)).is_ok_and(|grant| grant.name().is_some())
    }

    /// Within a second, which passes at once: the clock of these tests stands still while anything runs.
    async fn within_a_second(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..100 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}");
    }

    #[expect(clippy::disallowed_methods, reason = "a test breaks the file")]
    fn write(file: &KeysFile, text: &str) {
        std::fs::write(file.path(), text).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_gateway_keeps_up_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeysFile::of(folder.path());
        let access = Arc::new(Access::new(Reach::Loopback));
        let keys = CallerKeys::load(folder.path(), access.clone()).unwrap();
        assert!(access.is_open());
        let following = keys.keep_current();
        let doing = async {
            file.change(|keys| Ok(keys.add(key("one"))?)).unwrap();
            within_a_second("the first key", || may_call(&access, "one")).await;

            // Neither a broken file nor none at all lets anybody in or puts anybody out.
            write(&file, "{");
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(may_call(&access, "one") && !access.is_open());
            std::fs::remove_file(file.path()).unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(may_call(&access, "one") && !access.is_open());

            file.change(|keys| Ok(keys.add(key("two"))?)).unwrap();
            within_a_second("another file", || may_call(&access, "two") && !may_call(&access, "one")).await;
            file.change(|keys| Ok(keys.revoke("two", UnixMillis(5))?)).unwrap();
            within_a_second("the revoked key", || !may_call(&access, "two")).await;
            assert!(!access.is_open());
        };
        tokio::select! {
            () = following => panic!("it follows for ever"),
            () = doing => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_collide_with_the_document_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeysFile::of(folder.path());
        let access = Arc::new(Access::new(Reach::Loopback));
        let document = |text: &str| crate::Document::parse(text).unwrap().shared.keys;
        access.set_document(&document("keys: [{name: one, secret: tw-0123456789abcdef}]")).unwrap();
        file.change(|keys| Ok(keys.add(key("leaked"))?)).unwrap();
        file.change(|keys| Ok(keys.add(key("kept"))?)).unwrap();
        let keys = CallerKeys::load(folder.path(), access.clone()).unwrap();
        file.change(|keys| Ok(keys.add(key("one"))?)).unwrap();
        assert!(matches!(CallerKeys::load(folder.path(), access.clone()), Err(CallerKeysError::Conflict { .. })));
        let doing = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(may_call(&access, "tw-0123456789abcdef") && !may_call(&access, "one"));
            // What collides keeps no other key alive.
            assert!(may_call(&access, "leaked"));
            file.change(|keys| Ok(keys.revoke("leaked", UnixMillis(5))?)).unwrap();
            within_a_second("the revoked key", || !may_call(&access, "leaked")).await;
            assert!(may_call(&access, "kept") && !may_call(&access, "one"));
            access.set_document(&document("keys: [{name: other, secret: tw-0123456789abcdef}]")).unwrap();
            within_a_second("its turn", || may_call(&access, "one")).await;
            assert!(may_call(&access, "kept") && !may_call(&access, "leaked"));
        };
        tokio::select! {
            () = keys.keep_current() => panic!("it follows for ever"),
            () = doing => {}
        }
    }

    #[test]
    fn a_gateway_does_not_start_with_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        write(&KeysFile::of(folder.path()), "[]");
        let access = Arc::new(Access::new(Reach::Loopback));
        let error = CallerKeys::load(folder.path(), access).unwrap_err().to_string();
        assert!(error.starts_with("error[TW4001]: ") && error.contains("keys.json: not a file of keys: "), "{error}");
    }
}
