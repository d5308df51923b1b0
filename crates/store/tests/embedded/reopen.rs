//! What was there before a stop is there after it.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tradewind_store::{After, Body, Commit, Cursor, Durability, Key, Pin, StoreError};

use crate::support::{BOTH, Engine, block_on, commit, content, done, is_sound, key, record, rev, whole};

#[test]
fn everything_is_there_again() {
    for engine in BOTH {
        for durability in [Durability::Fsync, Durability::Os] {
            let folder = tempfile::tempdir().unwrap();
            block_on(async {
                let store = engine.open(folder.path(), durability);
                for number in 1..=40 {
                    done(&*store, commit(&key("a/b"), whole(number, &content("a/b", number, 900)), 32)).await;
                }
                done(&*store, commit(&key("gone"), whole(1, b"x"), 32)).await;
                done(&*store, commit(&key("gone"), record(2, Body::None, b""), 32)).await;
                assert!(
                    store.pin(&key("a/b"), rev(9), Pin::On(Box::new(whole(9, &content("a/b", 9, 900))))).await.unwrap()
                );
                store.close().await.unwrap();
                assert!(matches!(store.head(&key("a/b")).await, Err(StoreError::Unavailable(_))));
                let refused = store.commit(commit(&key("new"), whole(1, b"x"), 32)).await;
                assert!(matches!(refused, Err(StoreError::Unavailable(_))));
                drop(store);

                let store = engine.open(folder.path(), durability);
                assert_eq!(store.facts().notes, Vec::<String>::new(), "{engine:?}: a clean stop");
                let history = store.history(&key("a/b"), None, 100).await.unwrap();
                let numbers: Vec<u64> = history.iter().map(|kept| kept.meta.rev.get()).collect();
                assert_eq!(numbers, (9..=40).rev().collect::<Vec<_>>());
                assert!(history.iter().all(|kept| kept.pinned == (kept.meta.rev == rev(9))));
                for number in 9..=40 {
                    let kept = store.revision(&key("a/b"), rev(number)).await.unwrap().unwrap();
                    assert!(is_sound(&kept) && kept.body == Body::Whole(content("a/b", number, 900).into()));
                }
                let heads = store.list(&key("x").namespace, "", None, 10).await.unwrap();
                assert_eq!(heads.iter().map(|(key, _)| key.name()).collect::<Vec<_>>(), ["a/b", "gone"]);
                // The pinned one stays where others are pruned.
                done(&*store, commit(&key("a/b"), whole(41, b"x"), 2)).await;
                let numbers = store.history(&key("a/b"), None, 100).await.unwrap();
                assert_eq!(numbers.iter().map(|kept| kept.meta.rev.get()).collect::<Vec<_>>(), [41, 40, 9]);
                let after = After::Cursor(Cursor::at(10));
                let events: Vec<_> = store.watch(&key("x").namespace, "", after).take(33).collect().await;
                let places: Vec<u64> = events.iter().map(|event| event.as_ref().unwrap().cursor.major).collect();
                assert_eq!(places, (11..=43).collect::<Vec<_>>());
            });
        }
    }
}

#[test]
fn a_second_process_is_kept_out() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let store = engine.open(folder.path(), Durability::Os);
        assert!(matches!(engine.try_open(folder.path(), Durability::Os), Err(StoreError::Unavailable(_))));
        drop(store);
        engine.open(folder.path(), Durability::Os);
    }
}

/// More than one snapshot's worth, so that logs and snapshots follow each other, with writes going on meanwhile.
#[test]
fn snapshots_and_logs_together_are_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, rounds, length) = (40, 60, 40_000);
    block_on(async {
        for stop in 0..3 {
            let store = Engine::Wal.open(folder.path(), Durability::Os);
            for number in stop * rounds + 1..=(stop + 1) * rounds {
                let commits = (0..keys).map(|name| {
                    let name = format!("key/{name}");
                    let content = content(&name, number, length);
                    store.commit(commit(&key(&name), whole(number, &content), 4))
                });
                for answer in futures_util::future::join_all(commits).await {
                    answer.unwrap();
                }
            }
        }
        let files: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(files.iter().any(|name| name.starts_with("snapshot-")), "{files:?}");
        let bytes: u64 =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        let written = 3 * rounds * keys * length as u64;
        assert!(bytes < written / 2, "{bytes} of {written} are kept");
        let store = Engine::Wal.open(folder.path(), Durability::Os);
        for name in (0..keys).map(|name| format!("key/{name}")) {
            let history = store.history(&key(&name), None, 100).await.unwrap();
            assert_eq!(history.iter().map(|kept| kept.meta.rev.get()).collect::<Vec<_>>(), [180, 179, 178, 177]);
            for number in 177..=180 {
                let kept = store.revision(&key(&name), rev(number)).await.unwrap().unwrap();
                assert_eq!(kept.body, Body::Whole(Bytes::from(content(&name, number, length))));
            }
        }
    });
}

#[test]
fn a_watch_goes_on_where_it_was_cut_or_says_that_it_cannot() {
    for (engine, kept) in
        [(Engine::Sqlite, tradewind_store::sqlite::EVENTS_KEPT), (Engine::Wal, tradewind_store::wal::EVENTS_KEPT)]
    {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = engine.open(folder.path(), Durability::Os);
            let all = kept + 3_000;
            let (key, idle) = (key("busy"), Key::parse("quiet", "key").unwrap());
            let mut quiet = store.watch(&idle.namespace, "", After::Cursor(Cursor::at(0)));
            for first in (1..=all).step_by(500) {
                // One after the other, without waiting for each.
                let commits: Vec<Commit> =
                    (first..first + 500).map(|number| commit(&key, whole(number, &number.to_le_bytes()), 1)).collect();
                for answer in
                    futures_util::future::join_all(commits.into_iter().map(|commit| store.commit(commit))).await
                {
                    answer.unwrap();
                }
                assert_eq!(quiet.next().now_or_never(), None);
            }
            let newest = store.latest(&key.namespace).await.unwrap();
            // One that had nothing to tell goes on although nothing is kept of where it began.
            while quiet.passed() != Some(newest) {
                assert_eq!(quiet.next().now_or_never(), None);
                tokio::task::yield_now().await;
            }
            drop(quiet);
            let mut quiet = store.watch(&idle.namespace, "", After::Cursor(newest));
            for cursor in [Cursor::at(5), Cursor::at(newest.major + 1), Cursor { major: newest.major, minor: 1 }] {
                let mut watch = store.watch(&key.namespace, "", After::Cursor(cursor));
                assert_eq!(watch.next().await, Some(Err(StoreError::CursorGone)), "{engine:?} {cursor}");
                assert_eq!(watch.next().await, None);
            }
            let from = newest.major - kept;
            let watch = store.watch(&key.namespace, "bu", After::Cursor(Cursor::at(from)));
            let places: Vec<u64> = watch.take(kept as usize).map(|event| event.unwrap().cursor.major).collect().await;
            assert_eq!(places, (from + 1..=newest.major).collect::<Vec<_>>());
            let mut now = store.watch(&key.namespace, "", After::Now);
            let mut other = store.watch(&key.namespace, "c", After::Now);
            let next = whole(newest.major + 1, b"x");
            done(&*store, commit(&key, next.clone(), 1)).await;
            assert_eq!(now.next().await.unwrap().unwrap().meta, next.meta);
            done(&*store, commit(&idle, whole(1, b"first"), 1)).await;
            assert_eq!(quiet.next().await.unwrap().unwrap().key, idle);
            store.close().await.unwrap();
            assert_eq!((now.next().await, other.next().await), (None, None), "a closed store ends its watches");
        });
    }
}
