//! What a watch makes of a server that lost what it had told.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tradewind_core::UnixMillis;
use tradewind_store::suite::{commit, following, key, record, run, tombstone};
use tradewind_store::{After, Changes, Committed, Cursor, Key, Kind, Record, Store, StoreError};

use crate::servers::PATIENCE;
use crate::{fresh, server};

/// Revisions that go on after one; the last of them and its place.
async fn go_on(store: &dyn Store, key: &Key, after: Option<&Record>, body: &[u8], many: u8) -> (Record, Cursor) {
    let (mut last, mut place) = (after.cloned(), Cursor::START);
    for _ in 0..many {
        let next = last.as_ref().map_or_else(|| record(body), |last| following(&last.meta, body));
        match store.commit(commit(key, &next)).await {
            Ok(Committed::Done(at)) => place = at,
            other => panic!("{other:?}"),
        }
        last = Some(next);
    }
    (last.expect("there is one"), place)
}

/// The revisions that are told next.
async fn tells(watch: &mut Changes, many: usize) -> Vec<u64> {
    watch.take(many).map(|event| event.unwrap().meta.rev.get()).collect().await
}

/// Places are counted: a server that lost everything gives the same ones again, for other changes.
#[test]
fn a_server_that_began_anew_is_noticed_though_it_is_further() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let (_, fifth) = go_on(&*store, &key, None, b"lost", 5).await;
        let watch = |after| store.watch(&key.namespace, "", after);
        let (mut told, mut quiet) = (watch(After::Cursor(Cursor::START)), watch(After::Now));
        assert_eq!(tells(&mut told, 5).await, [1, 2, 3, 4, 5]);
        server::tell(server.port(), &["FLUSHALL"]);
        go_on(&*store, &key, None, b"other", 8).await;
        assert_eq!(told.next().await, Some(Err(StoreError::CursorGone)));
        assert_eq!(quiet.next().await, Some(Err(StoreError::CursorGone)), "it knows where it began");
        assert_eq!(watch(After::Cursor(fifth)).next().await, Some(Err(StoreError::CursorGone)));
        assert_eq!(tells(&mut watch(After::Cursor(Cursor::START)), 8).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    });
}

/// Like a replica that took over without the last writes.
#[test]
fn a_server_that_lost_its_last_writes_is_noticed_though_it_is_further() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let (third, place_of_third) = go_on(&*store, &key, None, b"kept", 3).await;
        let names: Vec<String> = server::ask(server.port(), "KEYS", &[b"tw:*"]);
        let dump = |name: &String| server::ask::<Vec<u8>>(server.port(), "DUMP", &[name.as_bytes()]);
        let dumped: Vec<Vec<u8>> = names.iter().map(dump).collect();
        let (_, place_of_fifth) = go_on(&*store, &key, Some(&third), b"lost", 2).await;
        for (name, bytes) in names.iter().zip(&dumped) {
            server::ask::<()>(server.port(), "RESTORE", &[name.as_bytes(), b"0", bytes, b"REPLACE"]);
        }
        let (_, place_of_seventh) = go_on(&*store, &key, Some(&third), b"other", 4).await;
        let watch = |after| store.watch(&key.namespace, "", After::Cursor(after));
        assert_eq!(watch(place_of_fifth).next().await, Some(Err(StoreError::CursorGone)));
        assert_eq!(tells(&mut watch(place_of_third), 4).await, [4, 5, 6, 7], "that one was not lost");
        assert_eq!(store.latest(&key.namespace).await, Ok(place_of_seventh));
    });
}

/// The changes of a namespace go with its last key, but for the last of them: whoever has come that far goes on.
#[test]
fn the_changes_of_a_dead_namespace_go_with_it() {
    run(async {
        let (store, server) = fresh().await;
        let (first, second) = (key("n", "first"), key("n", "second"));
        let changes = || server::ask::<u64>(server.port(), "XLEN", &[b"tw:{n}:changes"]);
        let mut tombstones = Vec::new();
        for key in [&first, &second] {
            let (last, _) = go_on(&*store, key, None, b"value", 4).await;
            let gone = tombstone(&last.meta, Kind::Deleted, UnixMillis(1));
            assert!(matches!(store.commit(commit(key, &gone)).await, Ok(Committed::Done(_))));
            tombstones.push(gone.meta.rev);
        }
        let watch = |after| store.watch(&first.namespace, "", after);
        let mut told = watch(After::Cursor(Cursor::START));
        tells(&mut told, 10).await;
        assert_eq!(store.forget(&first, tombstones[0]).await, Ok(true));
        assert_eq!(changes(), 10, "there is another key");
        assert_eq!(store.forget(&second, tombstones[1]).await, Ok(true));
        assert_eq!(changes(), 1);
        let (_, place) = go_on(&*store, &first, None, b"anew", 1).await;
        assert_eq!(told.next().await.unwrap().map(|event| event.cursor), Ok(place));
        assert_eq!(place.major, 11);
        assert_eq!(watch(After::Cursor(Cursor::START)).next().await, Some(Err(StoreError::CursorGone)));
    });
}

/// Whoever waits for what comes after a place that is lost keeps nobody else from waiting.
#[test]
fn a_watch_of_another_life_keeps_nobody_busy() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let (_, fifth) = go_on(&*store, &key, None, b"lost", 5).await;
        let waiting = |many: u8| {
            let about: String = server::ask(server.port(), "INFO", &[b"clients"]);
            about.contains(&format!("blocked_clients:{many}"))
        };
        let next = |after| {
            let mut watch = store.watch(&key.namespace, "", after);
            tokio::spawn(async move { watch.next().await })
        };
        let older = next(After::Cursor(fifth));
        let begun = Instant::now();
        while !waiting(1) {
            assert!(begun.elapsed() < PATIENCE && !older.is_finished());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server::tell(server.port(), &["FLUSHALL"]);
        let newer = next(After::Now);
        while !waiting(2) {
            assert!(begun.elapsed() < PATIENCE && !older.is_finished(), "the newer one does not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(older.await.unwrap(), Some(Err(StoreError::CursorGone)));
        go_on(&*store, &key, None, b"other", 1).await;
        assert_eq!(newer.await.unwrap().unwrap().map(|event| event.meta.rev.get()), Ok(1));
    });
}
