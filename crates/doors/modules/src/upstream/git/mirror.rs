//! Mirrors of repositories below the data directory: fetched whole, asked for news at most once a minute.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tradewind_core::{Clock, FaultKind, Moment};
use tradewind_runtime::files;

use super::program::run;
use crate::failure::Failure;

/// How long a mirror counts as new.
const FRESH: Duration = Duration::from_secs(60);
/// Repositories that are kept; the ones that were not fetched for longest go first.
const MOST: usize = 64;
/// Repositories of which it is remembered when they were fetched.
const MOST_KNOWN: usize = 1024;
/// Fetches at once.
const AT_ONCE: usize = 4;

/// All mirrors of a gateway.
pub(crate) struct Mirrors {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// When each was fetched last. The lock of one is held while it is fetched.
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Moment>>>>>,
    fetching: Semaphore,
}

/// One repository, as it was at some time in the last minute.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) folder: PathBuf,
    /// Where temporary files go.
    pub(super) beside: PathBuf,
}

impl Mirrors {
    /// Mirrors in `folder`, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock, known: Mutex::default(), fetching: Semaphore::new(AT_ONCE) }
    }

    /// The repository at `url`, fetched when it is not fresh.
    pub(super) async fn open(&self, url: &str) -> Result<Mirror, Failure> {
        let hash: String = digest(&SHA256, url.as_bytes()).as_ref()[..16].iter().map(|b| format!("{b:02x}")).collect();
        let folder = self.folder.join(format!("{hash}.git"));
        let mirror = Mirror { folder: folder.clone(), beside: self.folder.clone() };
        let known = self.known(url);
        let mut fetched = known.lock().await;
        if fetched.is_some_and(|at| self.clock.now().since(at) < FRESH) && folder.is_dir() {
            return Ok(mirror);
        }
        let _turn = self.fetching.acquire().await.map_err(|_| Failure::internal("fetching has ended"))?;
        let is_new = !folder.is_dir();
        if is_new {
            self.make_room().await;
            self.make(&hash, &folder).await?;
        }
        let fetch = [
            "fetch",
            "--quiet",
            "--force",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--end-of-options",
            url,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
            "+HEAD:refs/tradewind/head",
        ];
        let fetched_now = run(&folder, &fetch).await;
        if is_new && fetched_now.is_err() {
            // Nothing is in it, and it would take the place of another.
            discard(folder).await;
        }
        match fetched_now {
            Ok(_) => {}
            // What git says of a repository that is not there, or not for us: the go command goes on to its next proxy.
            Err(failure) if is_not_there(&failure.reason) => return Err(Failure::missing(&*failure.reason)),
            Err(failure) => return Err(failure),
        }
        *fetched = Some(self.clock.now());
        Ok(mirror)
    }

    /// Makes an empty repository, whole or not at all: git may be missing, or be killed on the way.
    async fn make(&self, hash: &str, folder: &Path) -> Result<(), Failure> {
        let fresh = self.folder.join(format!("{hash}.new"));
        discard(fresh.clone()).await;
        files::make_private_dir(&fresh).map_err(storage)?;
        run(&fresh, &["init", "--quiet", "--bare"]).await?;
        std::fs::rename(&fresh, folder).map_err(storage)
    }

    /// When a repository was fetched last. What nobody holds is forgotten when there is too much of it: pages that anybody
    /// may name say where repositories are.
    fn known(&self, url: &str) -> Arc<tokio::sync::Mutex<Option<Moment>>> {
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, fetched| Arc::strong_count(fetched) > 1);
        }
        Arc::clone(known.entry(url.to_owned()).or_default())
    }

    /// Removes the mirrors that were not fetched for longest, when there are too many.
    async fn make_room(&self) {
        let folder = self.folder.clone();
        let removing = tokio::task::spawn_blocking(move || {
            let Ok(entries) = std::fs::read_dir(&folder) else { return };
            let is_mirror = |path: &Path| path.extension().is_some_and(|extension| extension == "git");
            let mut mirrors: Vec<(SystemTime, PathBuf)> = entries
                .filter_map(|entry| {
                    let path = entry.ok()?.path();
                    // Git writes this file with each fetch.
                    let refs = path.join("packed-refs").metadata().or_else(|_| path.metadata()).ok()?;
                    is_mirror(&path).then_some((refs.modified().ok()?, path))
                })
                .collect();
            mirrors.sort_unstable();
            let too_many = (mirrors.len() + 1).saturating_sub(MOST);
            for (_, path) in mirrors.into_iter().take(too_many) {
                let _ = std::fs::remove_dir_all(path); // one that stays is tried again
            }
        });
        let _ = removing.await;
    }
}

/// Removes a folder, as far as it can be removed.
async fn discard(folder: PathBuf) {
    let removing = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder));
    let _ = removing.await;
}

fn is_not_there(said: &str) -> bool {
    let marks = [
        "not found",
        "does not exist",
        "could not read Username",
        "couldn't find remote ref",
        "does not appear to be a git repository",
    ];
    marks.iter().any(|mark| said.contains(mark))
}

pub(super) fn storage(error: std::io::Error) -> Failure {
    Failure::new(
        crate::failure::FailureKind::Storage,
        500,
        format!("the store of the module proxy cannot be used: {error}"),
    )
}

/// A failure of a repository that is not what it should be.
pub(super) fn odd(what: impl std::fmt::Display) -> Failure {
    Failure::upstream(FaultKind::BadShape, 502, format!("direct: {what}"))
}

#[cfg(test)]
mod tests {
    use tradewind_runtime::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_repository_that_cannot_be_had_leaves_nothing_and_a_broken_beginning_heals() {
        let place = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(place.path().join("git"), Arc::new(SystemClock::new()));
        let there = || std::fs::read_dir(place.path().join("git")).unwrap().count();
        let nowhere = format!("file://{}/nowhere", place.path().display());
        mirrors.open(&nowhere).await.unwrap_err();
        assert_eq!(there(), 0);

        let made = |arguments: &[&str]| {
            let status = std::process::Command::new("git").args(arguments).current_dir(place.path()).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        };
        made(&["init", "--quiet", "some"]);
        made(&[
            "-C",
            "some",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@a.test",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "a",
        ]);
        let url = format!("file://{}/some", place.path().display());
        let first = mirrors.open(&url).await.unwrap();
        // As a process that was killed between the first step and the last one leaves it.
        std::fs::remove_dir_all(&first.folder).unwrap();
        std::fs::create_dir(first.folder.with_extension("new")).unwrap();
        assert_eq!(mirrors.open(&url).await.unwrap().folder, first.folder);
        assert_eq!(there(), 1);
    }
}
