//! A whole store that is copied into another engine: everything is there, however often the copy was broken off or killed.

use std::future::{Future as _, poll_fn};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::state::{Condition, New, Terms, Ttl, copy};
use tradewind_store::suite::{FakeClock, Memory, key, run};
use tradewind_store::{Body, Rev, Settings, State, Store};

/// In the environment of a process that copies until it is killed: the folder of the source, and which target.
const SOURCE: &str = "TRADEWIND_TEST_COPY_SOURCE";
const TARGET: &str = "TRADEWIND_TEST_COPY_TARGET";

/// Opens a target by what a process that copies into it is told.
pub(crate) type OpenTarget = fn(String) -> BoxFuture<'static, Arc<dyn Store>>;

fn source(folder: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(folder, sqlite::Options::default(), FakeClock::new()).unwrap())
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut noise = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut noise);
    noise
}

/// All that a store can have: differences, pins within and before what is kept, long contents of pieces, hand-offs,
/// tombstones, ends that are fixed and one that was moved. How many revisions there are.
async fn fill(store: &Arc<dyn Store>) -> u64 {
    let clock = FakeClock::new();
    let settings = Settings { keep: 16, ..Settings::default() };
    let state = State::new(store.clone(), settings, clock.clone(), None);
    let new = |content: Vec<u8>, ttl| New {
        content: Bytes::from(content),
        content_type: Arc::from("text/plain"),
        schema: None,
        terms: Terms { ttl, ..Terms::default() },
    };
    let same = noise(6_000, 0);
    for name in ["a", "b/1"] {
        let key = key("n", name);
        let mut last = state.put(&key, Condition::Absent, new(same.clone(), None)).await.unwrap();
        for number in 2..=30 {
            let content = [format!("{number} ").as_bytes(), &same].concat();
            last = state.put(&key, Condition::At(last.rev), new(content, None)).await.unwrap();
            if [3, 4, 20, 30].contains(&number) {
                assert!(state.pin(&key, last.rev, true).await.is_ok());
            }
        }
        let difference = store.revision(&key, Rev::new(29).unwrap()).await.unwrap().unwrap();
        assert!(matches!(difference.body, Body::Delta { .. }), "{difference:?}");
    }
    let long = key("m", "long");
    let mut last = state.put(&long, Condition::Absent, new(noise(300_000, 1), None)).await.unwrap();
    for seed in 2..8 {
        let more = Bytes::from(noise(9_000, seed));
        last = state.append(&long, last.rev, more, Terms::default()).await.unwrap();
        if seed == 4 {
            assert!(state.pin(&long, last.rev, true).await.is_ok());
        }
    }
    state.hand_off(&long, last.rev, None, Duration::from_secs(9)).await.unwrap();
    let gone = key("m", "gone");
    let last = state.put(&gone, Condition::Absent, new(noise(100_000, 9), None)).await.unwrap();
    state.delete(&gone, last.rev, Terms::default()).await.unwrap();
    let minute = Duration::from_secs(60);
    state.put(&key("o", "fixed"), Condition::Absent, new(b"x".to_vec(), Some(Ttl::Fixed(minute)))).await.unwrap();
    let sliding = key("o", "sliding");
    state.put(&sliding, Condition::Absent, new(b"y".to_vec(), Some(Ttl::Sliding(minute)))).await.unwrap();
    clock.pass(minute / 2);
    state.get(&sliding, tradewind_store::state::At::Head).await.unwrap();
    2 * (16 + 2) + (7 + 1) + 2 + 2
}

/// One store lists and reads as the other.
async fn same(one: &dyn Store, other: &dyn Store) {
    let namespaces = one.namespaces().await.unwrap();
    assert_eq!(other.namespaces().await.unwrap(), namespaces);
    for namespace in namespaces {
        let keys = one.list(&namespace, "", None, 99).await.unwrap();
        assert_eq!(other.list(&namespace, "", None, 99).await.unwrap(), keys);
        for (key, _) in keys {
            assert_eq!(other.head(&key).await, one.head(&key).await, "{key}");
            let history = one.history(&key, None, 2_000).await.unwrap();
            assert_eq!(other.history(&key, None, 2_000).await.unwrap(), history, "{key}");
            for rev in history.into_iter().map(|revision| revision.meta.rev) {
                let record = one.revision(&key, rev).await.unwrap().unwrap();
                assert_eq!(other.revision(&key, rev).await.unwrap().as_ref(), Some(&record), "{key} {rev}");
                let pieces = one.pieces(&namespace, record.body.pieces()).await.unwrap();
                assert!(pieces.iter().all(Option::is_some), "{key} {rev}");
                assert!(other.pieces(&namespace, record.body.pieces()).await.unwrap() == pieces, "{key} {rev}");
            }
        }
    }
}

/// From SQLite into this engine and on into memory, with what an operator does in between.
pub(crate) async fn there_and_back(store: Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let (from, back) = (source(folder.path()), Memory::new());
    let revisions = fill(&from).await;
    for expected in [revisions, 0] {
        assert_eq!(copy(&*from, &*store, |_| ()).await.unwrap().revisions, expected);
        same(&*from, &*store).await;
        assert_eq!(copy(&*store, &back, |_| ()).await.unwrap().revisions, expected);
        same(&*from, &back).await;
    }
    // What is pinned and let go of since.
    let state = State::new(from.clone(), Settings::default(), FakeClock::new(), None);
    for (name, rev, on) in [("a", 22, true), ("a", 4, false), ("b/1", 20, false), ("b/1", 15, true)] {
        state.pin(&key("n", name), Rev::new(rev).unwrap(), on).await.unwrap();
    }
    copy(&*from, &*store, |_| ()).await.unwrap();
    // A revision that was let go of stays in the source until the next write, and in a copy that was begun before does not.
    assert_eq!(from.prune(&key("n", "a"), 16).await, Ok(1));
    copy(&*store, &back, |_| ()).await.unwrap();
    for copied in [&*store, &back] {
        for name in ["a", "b/1"] {
            let key = key("n", name);
            assert_eq!(copied.history(&key, None, 99).await, from.history(&key, None, 99).await, "{key}");
        }
    }
    let checked = State::new(store, Settings::default(), FakeClock::new(), None).check(|_| ()).await.unwrap();
    assert_eq!(checked.damaged, 0, "{checked:?}");
}

/// A copy that is let go of in the middle of what it does, again and again, goes on.
pub(crate) async fn a_copy_that_is_broken_off_goes_on(store: Arc<dyn Store>) {
    let from: Arc<dyn Store> = Arc::new(Memory::new());
    let revisions = fill(&from).await;
    let (mut broken_off, mut written) = (0, 0);
    loop {
        // At another moment each time, when it has just begun to wait for something.
        let (mut told, mut left) = (0, 1 + 7 * broken_off);
        let copied = {
            let mut copying = pin!(copy(&*from, &*store, |copied| told = copied.revisions));
            poll_fn(|context| {
                left -= 1;
                match copying.as_mut().poll(context) {
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    other => other.map(Some),
                }
            })
            .await
        };
        written += told;
        match copied {
            Some(copied) => break drop(copied.unwrap()),
            None => broken_off += 1,
        }
    }
    assert!(broken_off > 3, "it was broken off {broken_off} times");
    assert!(written <= revisions, "{written} of {revisions} revisions were written, some twice");
    same(&*from, &*store).await;
}

/// Copies, and tells of each revision.
fn copy_and_tell(folder: &Path, target: String, open: OpenTarget) {
    run(async {
        let (from, to) = (source(folder), open(target).await);
        let mut told = 0;
        let copied = copy(&*from, &*to, |copied| {
            if copied.revisions > told {
                told = copied.revisions;
                // One call, so that a line is there whole or not at all.
                std::io::stdout().write_all(b"revision\n").unwrap();
            }
        });
        copied.await.unwrap();
        to.close().await.unwrap();
        from.close().await.unwrap();
    });
}

/// A process that copies is killed again and again; the last one ends, and everything is there. `test` is the name of the test
/// that calls this, `start` makes the target and is not called in the processes that copy.
#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
pub(crate) fn a_copy_that_is_killed_goes_on<H>(test: &str, start: impl FnOnce() -> (String, H), open: OpenTarget) {
    if let (Some(folder), Ok(target)) = (std::env::var_os(SOURCE), std::env::var(TARGET)) {
        return copy_and_tell(Path::new(&folder), target, open);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut revisions = 0;
    run(async {
        let store = source(folder.path());
        revisions = fill(&store).await;
        store.close().await.unwrap();
    });
    let (target, _held) = start();
    let (mut kills, mut told) = (0, 0);
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(SOURCE, folder.path())
            .env(TARGET, &target)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        let mut count = 0;
        for line in lines {
            if !line.unwrap().ends_with(b"revision") {
                continue;
            }
            told += 1;
            count += 1;
            if count == 3 + kills {
                child.kill().unwrap();
            }
        }
        if child.wait().unwrap().success() {
            break;
        }
        assert!(count >= 3 + kills, "the child failed by itself");
        kills += 1;
    }
    assert!(kills > 3 && told <= revisions, "{kills} kills, {told} of {revisions} revisions told of");
    run(async {
        same(&*source(folder.path()), &*open(target).await).await;
    });
}
