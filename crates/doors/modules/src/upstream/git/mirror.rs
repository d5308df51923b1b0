//! Mirrors of repositories below the data directory: fetched whole, asked for news at most once a minute.
//!
//! Many may wait for one that is slow, or that cannot be had: a failure is remembered for a while, so that each does not try
//! it again after the other. A mirror that somebody reads is not removed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tradewind_core::{Clock, FaultKind, Moment, to_hex};
use tradewind_runtime::files;

use super::HEAD;
use super::program::run;
use crate::failure::Failure;

/// How long a mirror counts as new.
const FRESH: Duration = Duration::from_secs(60);
/// How long it is remembered that a repository could not be fetched.
const FAILED: Duration = Duration::from_secs(30);
/// Repositories that are kept; the ones that were not used for longest go first.
const MOST: usize = 64;
/// Repositories of which it is remembered when they were fetched.
const MOST_KNOWN: usize = 1024;
/// Fetches at once.
const AT_ONCE: usize = 4;
/// The file in a mirror that says when it was used; git writes nothing when there is no news.
const USED: &str = "tradewind-used";

/// All mirrors of a gateway.
pub(crate) struct Mirrors {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// What is known of each, by the name of its folder. The lock of one is held while it is fetched or removed; whoever reads
    /// it holds the rest.
    known: Mutex<HashMap<String, Known>>,
    fetching: Semaphore,
}

type Known = Arc<tokio::sync::Mutex<Last>>;

/// The last time that a repository was fetched.
#[derive(Debug, Default)]
struct Last {
    fetched: Option<Moment>,
    failed: Option<(Moment, Failure)>,
}

/// One repository, as it was at some time in the last minute, or earlier where that is enough.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) folder: PathBuf,
    /// Where temporary files go.
    pub(super) beside: PathBuf,
    /// Says that it is being read.
    _known: Known,
}

#[cfg(test)]
impl Mirror {
    pub(super) fn nowhere() -> Self {
        Self { folder: "x".into(), beside: "y".into(), _known: Known::default() }
    }
}

impl Mirrors {
    /// Mirrors in `folder`, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock, known: Mutex::default(), fetching: Semaphore::new(AT_ONCE) }
    }

    /// The time by which mirrors grow old.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The repository at `url` as it was fetched last, however long ago that was; `None` when it was not, or is being fetched.
    pub(super) fn kept(&self, url: &str) -> Option<Mirror> {
        let name = name_of(url);
        let known = self.known(&name);
        let _free = Arc::clone(&known).try_lock_owned().ok()?;
        let mirror = self.mirror(&name, known);
        mirror.folder.is_dir().then(|| self.used(mirror))
    }

    /// The repository at `url`, fetched when it is not fresh.
    pub(super) async fn open(&self, url: &str) -> Result<Mirror, Failure> {
        let name = name_of(url);
        let known = self.known(&name);
        let mut last = Arc::clone(&known).lock_owned().await;
        let mirror = self.mirror(&name, known);
        let is_since = |at: Moment, time| self.clock.now().since(at) < time;
        if last.fetched.is_some_and(|at| is_since(at, FRESH)) && mirror.folder.is_dir() {
            return Ok(self.used(mirror));
        }
        if let Some((_, failure)) = last.failed.as_ref().filter(|(at, _)| is_since(*at, FAILED)) {
            return Err(failure.clone());
        }
        match self.fetch(&name, url, &mirror.folder).await {
            Ok(()) => {
                *last = Last { fetched: Some(self.clock.now()), failed: None };
                Ok(self.used(mirror))
            }
            Err(failure) => {
                last.failed = Some((self.clock.now(), failure.clone()));
                Err(failure)
            }
        }
    }

    fn mirror(&self, name: &str, known: Known) -> Mirror {
        Mirror { folder: self.folder.join(format!("{name}.git")), beside: self.folder.clone(), _known: known }
    }

    /// Notes that it is being used.
    fn used(&self, mirror: Mirror) -> Mirror {
        let mut options = std::fs::File::options();
        let file = options.create(true).truncate(false).write(true).open(mirror.folder.join(USED));
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock.wall().0);
        // Without the time of it, it only goes earlier.
        let _ = file.and_then(|file| file.set_modified(now));
        mirror
    }

    async fn fetch(&self, name: &str, url: &str, folder: &Path) -> Result<(), Failure> {
        let _turn = self.fetching.acquire().await.map_err(|_| Failure::internal("fetching has ended"))?;
        let is_new = !folder.is_dir();
        if is_new {
            self.make_room().await;
            self.make(name, folder).await?;
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
        let mut fetched = run(folder, &fetch).await;
        // The branch that HEAD names may have been renamed since: the others are there all the same.
        if fetched.as_ref().is_err_and(|failure| failure.reason.contains("couldn't find remote ref HEAD")) {
            fetched = run(folder, &fetch[..fetch.len() - 1]).await;
            if fetched.is_ok() {
                fetched = run(folder, &["update-ref", "-d", HEAD]).await;
            }
        }
        if is_new && fetched.is_err() {
            // Nothing is in it, and it would take the place of another.
            discard(folder.to_owned()).await;
        }
        match fetched {
            Ok(_) => Ok(()),
            // What git says of a repository that is not there, or not for us: the go command goes on to its next proxy.
            Err(failure) if is_not_there(&failure.reason) => Err(Failure::missing(&*failure.reason)),
            Err(failure) => Err(failure),
        }
    }

    /// Makes an empty repository, whole or not at all: git may be missing, or be killed on the way.
    async fn make(&self, name: &str, folder: &Path) -> Result<(), Failure> {
        let fresh = self.folder.join(format!("{name}.new"));
        discard(fresh.clone()).await;
        files::make_private_dir(&fresh).map_err(storage)?;
        run(&fresh, &["init", "--quiet", "--bare"]).await?;
        std::fs::rename(&fresh, folder).map_err(storage)
    }

    /// What is known of a repository. What nobody holds is forgotten when there is too much of it: pages that anybody may
    /// name say where repositories are.
    fn known(&self, name: &str) -> Known {
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, last| Arc::strong_count(last) > 1);
        }
        Arc::clone(known.entry(name.to_owned()).or_default())
    }

    /// Removes the mirrors that were not used for longest, when there are too many, and nobody reads them.
    async fn make_room(&self) {
        let folder = self.folder.clone();
        let Ok(mirrors) = tokio::task::spawn_blocking(move || mirrors_of(&folder)).await else { return };
        let mut too_many = (mirrors.len() + 1).saturating_sub(MOST);
        for (_, path) in mirrors {
            if too_many == 0 {
                return;
            }
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
            let known = self.known(name);
            let Ok(_alone) = Arc::clone(&known).try_lock_owned() else { continue };
            // The map, this one and the lock. Whoever comes from here on waits for the lock, and finds it gone.
            if Arc::strong_count(&known) > 3 {
                continue;
            }
            discard(path).await; // one that stays is tried again
            too_many -= 1;
        }
    }
}

/// The name of the folder of a repository.
fn name_of(url: &str) -> String {
    to_hex(&digest(&SHA256, url.as_bytes()).as_ref()[..16])
}

/// The mirrors in a folder, those first that were not used for longest.
fn mirrors_of(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_mirror = |path: &Path| path.extension().is_some_and(|extension| extension == "git");
    let mut mirrors: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let used = path.join(USED).metadata().or_else(|_| path.metadata()).ok()?;
            is_mirror(&path).then_some((used.modified().ok()?, path))
        })
        .collect();
    mirrors.sort_unstable();
    mirrors
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
    use std::process::Command;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tradewind_core::UnixMillis;
    use tradewind_runtime::SystemClock;

    use super::*;

    /// The time, and as many seconds later as is wanted.
    struct Ahead(SystemClock, AtomicU64);

    impl Clock for Ahead {
        fn now(&self) -> Moment {
            self.0.now() + Duration::from_secs(self.1.load(Ordering::Relaxed))
        }

        fn wall(&self) -> UnixMillis {
            self.0.wall()
        }
    }

    struct World {
        place: tempfile::TempDir,
        clock: Arc<Ahead>,
        mirrors: Mirrors,
    }

    impl World {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let clock = Arc::new(Ahead(SystemClock::new(), AtomicU64::new(0)));
            Self { mirrors: Mirrors::new(place.path().join("git"), clock.clone()), place, clock }
        }

        fn url(&self) -> String {
            format!("file://{}/some", self.place.path().display())
        }

        fn git(&self, arguments: &[&str]) {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@a.test", "-c", "init.defaultBranch=main"]);
            let status = command.args(arguments).current_dir(self.place.path()).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        }

        /// A repository with one commit.
        fn make(&self) {
            self.git(&["init", "--quiet", "some"]);
            self.git(&["-C", "some", "commit", "--quiet", "--allow-empty", "-m", "a"]);
        }

        fn there(&self) -> usize {
            std::fs::read_dir(self.place.path().join("git")).unwrap().count()
        }
    }

    #[tokio::test]
    async fn a_repository_that_cannot_be_had_leaves_nothing_and_a_broken_beginning_heals() {
        let world = World::new();
        let nowhere = format!("{}/nowhere", world.url());
        world.mirrors.open(&nowhere).await.unwrap_err();
        assert_eq!(world.there(), 0);

        world.make();
        let first = world.mirrors.open(&world.url()).await.unwrap();
        // As a process that was killed between the first step and the last one leaves it.
        std::fs::remove_dir_all(&first.folder).unwrap();
        std::fs::create_dir(first.folder.with_extension("new")).unwrap();
        assert_eq!(world.mirrors.open(&world.url()).await.unwrap().folder, first.folder);
        assert_eq!(world.there(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_those_who_waited_and_not_for_long() {
        let world = World::new();
        let failure = world.mirrors.open(&world.url()).await.unwrap_err();
        world.make();
        assert_eq!(world.mirrors.open(&world.url()).await.unwrap_err(), failure, "it was tried a moment ago");
        world.clock.1.fetch_add(31, Ordering::Relaxed);
        world.mirrors.open(&world.url()).await.unwrap();
    }

    #[tokio::test]
    async fn a_repository_whose_head_names_no_branch_has_the_others() {
        let world = World::new();
        world.make();
        let heads = async || {
            let mirror = world.mirrors.open(&world.url()).await.unwrap();
            String::from_utf8(run(&mirror.folder, &["for-each-ref", "--format=%(refname)"]).await.unwrap()).unwrap()
        };
        assert_eq!(heads().await, "refs/heads/main\nrefs/tradewind/head\n");
        world.git(&["-C", "some", "symbolic-ref", "HEAD", "refs/heads/none"]);
        world.git(&["-C", "some", "tag", "v1.0.0", "main"]);
        world.clock.1.fetch_add(61, Ordering::Relaxed);
        assert_eq!(heads().await, "refs/heads/main\nrefs/tags/v1.0.0\n");
    }

    #[tokio::test]
    async fn the_mirrors_go_that_were_not_used_for_longest_and_nobody_reads() {
        let world = World::new();
        world.make();
        let folder = world.place.path().join("git");
        let first = world.mirrors.open(&world.url()).await.unwrap();
        for number in 0..MOST {
            let path = folder.join(format!("{number:02}.git"));
            std::fs::create_dir(&path).unwrap();
            let file = std::fs::File::create(path.join(USED)).unwrap();
            // All of them were used long ago, the one that was made last before all others.
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs((MOST - number) as u64)).unwrap();
        }
        let is_read = world.mirrors.mirror("62", world.mirrors.known("62"));
        world.mirrors.make_room().await;
        let there = |number: usize| folder.join(format!("{number:02}.git")).exists();
        assert_eq!([63, 62, 61, 60].map(there), [false, true, false, true]);
        assert!(first.folder.exists());
        drop(is_read);
        world.mirrors.make_room().await;
        assert!(there(62), "there is room");
    }
}
