//! What goes when there is too much, and what never does.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::{Clock as _, UnixMillis};
use tradewind_ledger::{Level, Tile};

use super::support::{Bench, commit, held, noise, of};
use crate::name::{ModulePath, Patterns};
use crate::store::lock::FolderLock;
use crate::store::manifest::sample;
use crate::store::{Answer, AnswerKey, Limits, Pins, Prune, Tree};
use crate::sumdb::Kept as _;

const HOUR: Duration = Duration::from_secs(3600);

fn limits(max_bytes: u64, pins: &[&str]) -> Limits {
    Limits { max_bytes, pins: Pins::parse(pins).unwrap(), ..Limits::default() }
}

#[test]
fn the_least_recently_used_go_first() {
    let bench = Bench::new(limits(100_000, &[]));
    bench.store.settle().unwrap();
    for number in 0..8u64 {
        bench.commit("example.com/a", &format!("v1.0.{number}"), &noise(number, 10_000));
        bench.clock.advance(HOUR);
    }
    // The first one is used again, and the second one by a process of its own.
    assert!(bench.store.version(&bench.tree, &of("example.com/a", "v1.0.0")).is_some());
    assert!(bench.reopened(limits(100_000, &[])).version(&bench.tree, &of("example.com/a", "v1.0.1")).is_some());
    bench.clock.advance(HOUR);
    for number in 8..10u64 {
        bench.commit("example.com/a", &format!("v1.0.{number}"), &noise(number, 10_000));
    }
    let left: Vec<u64> = (0..10).filter(|number| bench.has("example.com/a", &format!("v1.0.{number}"))).collect();
    assert_eq!(left, [0, 1, 4, 5, 6, 7, 8, 9], "down to nine tenths");
    assert!(bench.store.version(&bench.tree, &of("example.com/a", "v1.0.2")).is_none(), "nor in memory");
    let survey = bench.store.survey().unwrap();
    assert!(survey.bytes <= 90_000 && survey.orphaned == 0, "{survey:?}");
    assert_eq!(bench.store.verify(&mut |_, _| {}).unwrap().damaged.len(), 0);
}

#[test]
fn pins_and_what_is_being_read_stay() {
    let bench = Bench::new(limits(30_000, &["example.com/pinned", "example.com/one@v1.0.0"]));
    bench.store.settle().unwrap();
    bench.commit("example.com/pinned", "v1.0.0", &noise(1, 8000));
    bench.commit("example.com/one", "v1.0.0", &noise(2, 8000));
    bench.commit("example.com/one", "v1.0.1", &noise(3, 2000));
    let read = bench.commit("example.com/read", "v1.0.0", &noise(4, 5000));
    let mut zip = bench.store.open_zip(&bench.tree, &read).unwrap();
    bench.clock.advance(HOUR);
    bench.commit("example.com/new", "v1.0.0", &noise(5, 5000));
    bench.clock.advance(HOUR);
    bench.commit("example.com/new", "v1.0.1", &noise(6, 5000));
    let has = |module: &str, version: &str| bench.has(module, version);
    assert!(has("example.com/pinned", "v1.0.0") && has("example.com/one", "v1.0.0"));
    assert!(has("example.com/read", "v1.0.0"));
    assert!(!has("example.com/one", "v1.0.1") && !has("example.com/new", "v1.0.0"));
    let mut bytes = Vec::new();
    zip.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, noise(4, 5000));
    drop(zip);
    let pruned = bench.store.prune(&Prune { to_bytes: Some(0), ..Prune::default() }, &mut |_| {}).unwrap();
    assert_eq!(pruned.rows.len(), 2, "the one that is no longer read, and the newest: {:?}", pruned.rows);
    assert!(has("example.com/pinned", "v1.0.0") && has("example.com/one", "v1.0.0"));
    assert!(!bench.folder.path().join("versions/go/example.com/new").exists(), "empty folders go too");
}

#[test]
fn a_zip_goes_with_the_last_version_that_names_it() {
    let bench = Bench::new(Limits::default());
    let one = bench.commit("example.com/a", "v1.0.0", b"shared");
    bench.clock.advance(HOUR);
    commit(&bench.store, &Tree::new("other"), "example.com/a", "v1.0.0", b"shared").unwrap();
    let prune = Prune { unused_for: Some(HOUR), ..Prune::default() };
    let pruned = bench.store.prune(&prune, &mut |_| {}).unwrap();
    assert_eq!(pruned.rows.iter().map(|row| row.tree.name()).collect::<Vec<_>>(), ["go"]);
    assert!(bench.blob(&one.zip).exists());
    bench.clock.advance(HOUR);
    assert_eq!(bench.store.prune(&prune, &mut |_| {}).unwrap().rows.len(), 1);
    assert!(!bench.blob(&one.zip).exists());
}

#[test]
fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let bench = Bench::new(Limits::default());
    bench.commit("example.com/a", "v1.0.0", &noise(1, 1000));
    bench.commit("example.com/b", "v1.0.0", &noise(2, 1000));
    let only = Patterns::parse(["example.com/b"]).unwrap();
    let mut prune = Prune { only: Some(only), dry_run: true, ..Prune::default() };
    let would = bench.store.prune(&prune, &mut |_| {}).unwrap();
    assert_eq!(would.rows.len(), 1);
    assert!(bench.has("example.com/b", "v1.0.0"));
    prune.dry_run = false;
    let mut told = 0;
    let did = bench.store.prune(&prune, &mut |freed| told = freed).unwrap();
    assert_eq!((did.rows.len(), did.freed, did.left, told), (1, would.freed, would.left, would.freed));
    assert!(bench.has("example.com/a", "v1.0.0") && !bench.has("example.com/b", "v1.0.0"));
}

#[test]
fn nothing_is_removed_under_a_commit() {
    let bench = Bench::new(limits(40_000, &[]));
    bench.store.settle().unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let bench = &bench;
        let pruning = scope.spawn(move || {
            let others = bench.reopened(limits(40_000, &[]));
            let prune = Prune { to_bytes: Some(20_000), ..Prune::default() };
            let mut rounds = 0;
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) || rounds < 3 {
                others.prune(&prune, &mut |_| {}).unwrap();
                rounds += 1;
            }
        });
        let writers: Vec<_> = (0..4u64)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..40u64 {
                        // Twenty zips in turn, so that each is removed and stored again and again.
                        let zip = noise(round % 5 + thread * 5, 3000);
                        bench.commit(&format!("example.com/{thread}"), &format!("v1.0.{round}"), &zip);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        end.send(()).unwrap();
        pruning.join().unwrap();
    });
    let verified = bench.store.verify(&mut |_, _| {}).unwrap();
    assert!(verified.damaged.is_empty(), "{:?}", verified.damaged);
    assert_eq!(verified.orphaned, 0);
}

#[test]
fn what_is_stored_again_or_used_after_the_look_stays() {
    let bench = Bench::new(Limits::default());
    bench.commit("example.com/used", "v1.0.0", b"used");
    let one = bench.commit("example.com/a", "v1.0.0", b"shared");
    let orphan = bench.commit("example.com/b", "v1.0.0", b"orphan");
    std::fs::remove_file(bench.file("example.com/b", "v1.0.0")).unwrap();
    let survey = bench.store.survey().unwrap();
    assert_eq!(survey.orphaned, 6);
    bench.commit("example.com/a", "v1.0.1", b"shared");
    bench.commit("example.com/b", "v1.0.1", b"orphan");
    bench.clock.advance(HOUR);
    assert!(bench.store.version(&bench.tree, &of("example.com/used", "v1.0.0")).is_some());
    let prune = Prune { to_bytes: Some(0), ..Prune::default() };
    let pruned = bench.store.prune_surveyed(survey, &prune, &mut |_| {}).unwrap();
    assert_eq!(pruned.rows.len(), 1, "the one that was there");
    assert!(bench.blob(&one.zip).exists() && bench.blob(&orphan.zip).exists());
    let verified = bench.store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((verified.good, verified.damaged.len()), (3, 0));
    assert!(bench.has("example.com/used", "v1.0.0"));
}

/// Whether `work` waits while somebody holds `lock`, and goes on afterwards.
fn waits_for(lock: FolderLock, work: impl FnOnce() + Send) -> bool {
    let (end, ended) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            work();
            end.send(()).unwrap();
        });
        let waited = ended.recv_timeout(Duration::from_millis(300)).is_err();
        drop(lock);
        waited && ended.recv().is_ok()
    })
}

#[test]
fn nobody_removes_while_somebody_adds() {
    let bench = Bench::new(Limits::default());
    let held = held(&bench.store, b"zip").unwrap();
    let manifest = sample("example.com/a", "v1.0.0", held.blob());
    let adding = || drop(bench.store.commit(&bench.tree, manifest, held).unwrap());
    assert!(waits_for(FolderLock::to_remove(bench.folder.path()).unwrap(), adding));
    assert!(bench.has("example.com/a", "v1.0.0"));
    let looking = || drop(bench.store.survey().unwrap());
    assert!(waits_for(FolderLock::to_add(bench.folder.path()).unwrap(), looking));
    let removing = || drop(bench.store.prune(&Prune { to_bytes: Some(0), ..Prune::default() }, &mut |_| {}).unwrap());
    assert!(waits_for(FolderLock::to_add(bench.folder.path()).unwrap(), removing));
    assert!(!bench.has("example.com/a", "v1.0.0"));
}

/// Keeps an answer of 10,000 bytes.
fn keep_list(bench: &Bench, module: &str) {
    let body = vec![b'v'; 10_000].into();
    let answer = Answer { body, fetched: UnixMillis(1), upstream: String::new(), checked: None };
    bench.store.keep_answer(&bench.tree, &list(module), &answer).unwrap();
}

fn list(module: &str) -> AnswerKey {
    AnswerKey::List(ModulePath::parse(module).unwrap())
}

fn full_tile(index: u64) -> Tile {
    Tile { height: 8, level: Level::Hashes(0), index, width: 256 }
}

#[test]
fn answers_alone_stay_within_the_bound() {
    let bench = Bench::new(limits(100_000, &[]));
    bench.store.settle().unwrap();
    keep_list(&bench, "example.com/used");
    for number in 0..40 {
        bench.clock.advance(HOUR);
        keep_list(&bench, &format!("example.com/m{number}"));
        // The same one again is no more than one.
        keep_list(&bench, &format!("example.com/m{number}"));
        assert!(
            bench.store.answer(&bench.tree, &list("example.com/used")).is_some(),
            "{number}: it is used all the time"
        );
    }
    let survey = bench.store.survey().unwrap();
    assert!((50_000..=100_000).contains(&survey.bytes), "{}", survey.bytes);
    assert!(bench.store.answer(&bench.tree, &list("example.com/m39")).is_some());
    assert!(bench.store.answer(&bench.tree, &list("example.com/m0")).is_none());
}

#[tokio::test]
async fn tiles_and_lookups_go_and_heads_and_evidence_never() {
    let bench = Bench::new(limits(100_000, &[]));
    bench.store.settle().unwrap();
    assert!(bench.store.keep_head("db", None, Bytes::from_static(b"head")).await.unwrap());
    bench.store.evidence("db", "evidence".to_owned()).await;
    bench.store.add_exported_size("db", 77).unwrap();
    for index in 0..40 {
        bench.clock.advance(HOUR);
        bench.store.keep_tile("db", full_tile(index), vec![0; 8192].into()).await;
        bench.store.keep_lookup("db", &of("example.com/a", &format!("v1.0.{index}")), vec![0; 5000].into()).await;
    }
    let survey = bench.store.survey().unwrap();
    assert!((50_000..=100_000).contains(&survey.bytes), "{}", survey.bytes);
    assert!(
        bench.store.tile("db", full_tile(39)).await.is_some() && bench.store.tile("db", full_tile(0)).await.is_none()
    );
    bench.store.prune(&Prune { to_bytes: Some(0), ..Prune::default() }, &mut |_| {}).unwrap();
    assert!(bench.store.tile("db", full_tile(39)).await.is_none());
    assert!(bench.store.lookup("db", &of("example.com/a", "v1.0.39")).await.is_none());
    assert_eq!(bench.store.head("db").await.unwrap(), Some(Bytes::from_static(b"head")));
    assert_eq!(bench.store.evidence_against("db").unwrap(), ["evidence"]);
    assert_eq!(bench.store.exported_sizes("db"), [77]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
fn mirrors_of_repositories_are_counted_and_go_when_they_are_idle() {
    let bench = Bench::new(limits(100_000, &[]));
    let mirror = |name: &str, age: Duration| {
        let folder = bench.folder.path().join("git").join(name);
        std::fs::create_dir_all(folder.join("objects/pack")).unwrap();
        std::fs::write(folder.join("objects/pack/1.pack"), noise(1, 40_000)).unwrap();
        let at = std::time::UNIX_EPOCH + Duration::from_millis(bench.clock.wall().0) - age;
        for entry in [folder.join("HEAD"), folder.join("objects")] {
            if !entry.exists() {
                std::fs::write(&entry, b"ref").unwrap();
            }
            std::fs::File::open(&entry).unwrap().set_modified(at).unwrap();
        }
        folder
    };
    let (idle, newer) = (mirror("a.git", 30 * HOUR), mirror("b.git", 20 * HOUR));
    let busy = mirror("c.git", Duration::from_secs(60));
    let before = bench.store.survey().unwrap().bytes;
    assert!(before >= 120_000, "{before}");
    let pruned = bench.store.settle().unwrap();
    assert!(!idle.exists() && newer.exists() && busy.exists(), "{pruned:?}");
    assert!(pruned.freed >= 40_000 && pruned.left <= 90_000, "{pruned:?}");
    bench.store.prune(&Prune { to_bytes: Some(0), ..Prune::default() }, &mut |_| {}).unwrap();
    assert!(!newer.exists() && busy.exists(), "somebody may be fetching into it");
    assert_eq!(std::fs::read_dir(bench.folder.path().join("git")).unwrap().count(), 1, "nothing is left of them");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
fn what_pins_hold_is_not_looked_at_for_each_small_file() {
    let bench = Bench::new(limits(10_000, &["example.com/pinned"]));
    bench.store.settle().unwrap();
    bench.commit("example.com/pinned", "v1.0.0", &noise(1, 30_000));
    // A survey would count this file, which no store has put there.
    std::fs::write(bench.folder.path().join("answers/stranger"), vec![0; 5000]).unwrap();
    let used = || bench.store.0.used.load(std::sync::atomic::Ordering::Relaxed);
    let before = used();
    let body = Bytes::from_static(b"v1.0.0\n");
    let answer = Answer { body, fetched: UnixMillis(1), upstream: String::new(), checked: None };
    bench.store.keep_answer(&bench.tree, &list("example.com/small"), &answer).unwrap();
    assert!((before + 1..before + 1000).contains(&used()), "{before} {}", used());
    bench.clock.advance(HOUR);
    keep_list(&bench, "example.com/large");
    assert!(used() < 31_500, "it is looked at again once enough has come: {}", used());
}
