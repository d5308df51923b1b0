//! Keys whose ring is full: not each of their heads is said, and each is found nevertheless, or what is wrong told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tradewind_core::UnixMillis;
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::{Body, Durability, Expected, Key, Pin, Store, StoreError};

use crate::support::{StillClock, block_on, commit, content, done, key, record, rev, whole};

/// A store that remembers no head: each is read from the file.
fn open(folder: &Path) -> Arc<dyn Store> {
    let options = sqlite::Options { durability: Durability::Os, heads_bytes: 0, ..sqlite::Options::default() };
    Arc::new(Sqlite::open(folder, options, Arc::new(StillClock)).unwrap())
}

fn file(folder: &Path) -> rusqlite::Connection {
    tradewind_host::sqlite::open(&folder.join("state.db"), rusqlite::OpenFlags::default()).unwrap()
}

/// What the file says of the key `k`: its head and its layout.
fn said(folder: &Path) -> (u64, u8) {
    let read = "SELECT rev, layout FROM keys WHERE name = 'k'";
    file(folder).query_row(read, [], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))).unwrap()
}

async fn write(store: &dyn Store, number: u64, keep: u32) {
    let mut value = whole(number, &content("k", number, 200));
    // Over for long, so that it is due.
    value.meta.expires_at = Some(UnixMillis(5));
    done(store, commit(&key("k"), value, keep)).await;
}

/// The head is `number` wherever it is asked for.
async fn is_head(store: &dyn Store, number: u64) {
    let key = key("k");
    assert_eq!(store.head(&key).await.unwrap().unwrap().meta.rev, rev(number));
    let list = store.list(&key.namespace, "", None, 10).await.unwrap();
    assert_eq!(list[0].1.as_ref().unwrap().rev, rev(number), "in the list");
    assert_eq!(store.due(UnixMillis(10), 10).await.unwrap()[0].1.rev, rev(number), "what is due");
    assert_eq!(store.history(&key, None, 1).await.unwrap()[0].meta.rev, rev(number), "in the history");
}

#[test]
fn a_head_that_is_not_said_is_found() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut store = open(folder.path());
        let mut late = 0;
        for number in 1..=80 {
            write(&*store, number, 16).await;
            is_head(&*store, number).await;
            if number % 7 == 0 {
                store.close().await.unwrap();
                store = open(folder.path());
                is_head(&*store, number).await;
            }
            let (rev, layout) = said(folder.path());
            assert_eq!(layout, if number < 16 { 0 } else { 2 }, "at {number}");
            assert!(rev <= number && rev + 8 > number);
            late += u64::from(rev < number);
        }
        assert_eq!(late, 56, "seven of eight once the ring is full");
        // The loser is shown the head as well, and a stale one loses.
        let lost = store.commit(commit(&key("k"), whole(73, b"x"), 16)).await.unwrap();
        assert!(matches!(lost, tradewind_store::Committed::Lost(Some(head)) if head.meta.rev == rev(80)));
    });
}

/// What is done to a key, and the layout that it has then.
#[test]
fn a_ring_with_a_hole_says_each_head() {
    type Change = (&'static str, u8);
    let changes: [Change; 4] = [("prune", 0), ("pin", 1), ("keep", 0), ("jump", 0)];
    for (change, layout) in changes {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = open(folder.path());
            for number in 1..=37 {
                write(&*store, number, 16).await;
            }
            assert_eq!(said(folder.path()), (32, 2));
            let (mut head, mut keep) = (37, 16);
            match change {
                "prune" => assert_eq!(store.prune(&key("k"), 3).await.unwrap(), 13),
                "pin" => {
                    let pinned = Pin::On(Box::new(whole(30, &content("k", 30, 200))));
                    assert!(store.pin(&key("k"), rev(30), pinned).await.unwrap());
                }
                "keep" => (head, keep) = (38, 24),
                _ => head = 41,
            }
            if head > 37 {
                let mut next = commit(&key("k"), whole(head, &content("k", head, 200)), keep);
                next.record.meta.expires_at = Some(UnixMillis(5));
                next.expected = Expected::At(rev(37));
                done(&*store, next).await;
            }
            assert_eq!(said(folder.path()), (head, layout), "after {change}");
            is_head(&*store, head).await;
            for number in head + 1..=130 {
                write(&*store, number, keep).await;
                is_head(&*store, number).await;
                let history = store.history(&key("k"), None, 200).await.unwrap();
                let kept: Vec<u64> = history.iter().map(|kept| kept.meta.rev.get()).collect();
                assert!(kept.windows(2).all(|pair| pair[0] > pair[1]) && kept[0] == number, "{change}: {kept:?}");
            }
            assert_eq!(said(folder.path()).1, if change == "pin" { 1 } else { 2 }, "{change}: full again");
        });
    }
}

#[test]
fn a_key_that_was_forgotten_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let store = open(folder.path());
        for number in 1..=20 {
            write(&*store, number, 8).await;
        }
        done(&*store, commit(&key("k"), record(21, Body::None, b""), 8)).await;
        assert_eq!(said(folder.path()), (16, 2));
        assert!(store.forget(&key("k"), rev(21)).await.unwrap());
        assert!(store.head(&key("k")).await.unwrap().is_none());
        for number in 1..=12 {
            write(&*store, number, 8).await;
            is_head(&*store, number).await;
        }
    });
}

/// A head that nobody has said is lost, moved, or made to look like the one that it replaced: that is told, and the revision
/// before it is not given out in its place.
#[test]
fn a_lost_head_that_was_not_said_is_told() {
    // The ring begins at place 2^36 of the first key; 45 lies in its place 13, and 40 was said.
    let at = (1_i64 << 36) + 13;
    let changes = [
        format!("DELETE FROM revisions WHERE place = {at}"),
        format!("UPDATE revisions SET place = place + 16 WHERE place = {at}"),
        format!("UPDATE revisions SET rev = rev - 16 WHERE place = {at}"),
        format!("UPDATE revisions SET rev = rev + 16 WHERE place = {at}"),
        format!("UPDATE revisions SET rev = rev + 16 WHERE place = {at} + 1"),
        format!("DELETE FROM revisions WHERE place = {at} - 1"),
        format!("UPDATE revisions SET rev = rev - 16 WHERE place = {at} - 2"),
        "UPDATE keys SET rev = rev - 8".to_owned(),
        "UPDATE keys SET layout = 0".to_owned(),
    ];
    for change in changes {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = open(folder.path());
            for number in 1..=45 {
                write(&*store, number, 16).await;
            }
            store.close().await.unwrap();
            drop(store);
            assert_eq!(said(folder.path()), (40, 2));
            assert_eq!(file(folder.path()).execute(&change, []).unwrap(), 1, "{change}");
            let store = open(folder.path());
            let head = store.head(&key("k")).await;
            assert!(matches!(head, Err(StoreError::Damaged { .. })), "{change}: {head:?}");
            let list = store.list(&key("k").namespace, "", None, 10).await.unwrap();
            assert!(matches!(list[0].1, Err(StoreError::Damaged { .. })), "{change}: {list:?}");
            let refused = store.commit(commit(&key("k"), whole(46, b"x"), 16)).await;
            assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{change}: {refused:?}");
        });
    }
}

/// Everything at once, in an order that nobody has thought of, against what it should come to.
#[test]
fn rings_are_right_whatever_is_done() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let mut store = open(folder.path());
            let mut heads: BTreeMap<Key, u64> = BTreeMap::new();
            for step in 0..400 {
                let key = key(&format!("k{}", random.u8(..3)));
                let before = heads.get(&key).copied().unwrap_or(0);
                match random.u8(..60) {
                    0 => drop(store.prune(&key, random.u32(1..20)).await.unwrap()),
                    1 if before > 1 && round % 3 == 0 => {
                        let number = before - random.u64(..before.min(8));
                        let pin = Pin::On(Box::new(whole(number, &content(key.name(), number, 50))));
                        store.pin(&key, rev(number), pin).await.unwrap();
                    }
                    2 => {
                        store.close().await.unwrap();
                        store = open(folder.path());
                    }
                    what => {
                        let number = before + 1 + u64::from(what == 3);
                        let keep = if what == 4 { 16 } else { 8 };
                        let mut next = commit(&key, whole(number, &content(key.name(), number, 50)), keep);
                        next.expected = if before == 0 { Expected::Absent } else { Expected::At(rev(before)) };
                        done(&*store, next).await;
                        heads.insert(key, number);
                    }
                }
                for (key, number) in &heads {
                    let head = store.head(key).await.unwrap().unwrap();
                    assert_eq!(head.meta.rev, rev(*number), "round {round}, step {step}: {key}");
                    assert_eq!(head.body, Body::Whole(content(key.name(), *number, 50).into()));
                }
            }
        });
    }
}
