//! Ends: moved, due, forgotten.

use std::sync::Arc;

use tradewind_core::UnixMillis;

use super::commits::{done, rev, several};
use super::records::{EPOCH, following, key, record, tombstone};
use crate::meta::{Kind, Meta};
use crate::name::{Key, Rev};
use crate::store::{Pin, Store};

fn at(millis: u64) -> UnixMillis {
    UnixMillis(EPOCH.0 + millis)
}

async fn due(store: &dyn Store, now: UnixMillis, limit: usize) -> Vec<String> {
    let due = store.due(now, limit).await.expect("what is due");
    assert!(due.iter().all(|(_, meta)| meta.expires_at.is_some_and(|end| end <= now)));
    due.iter().map(|(key, meta)| format!("{key}@{}", meta.rev)).collect()
}

async fn head(store: &dyn Store, key: &Key) -> Meta {
    store.head(key).await.expect("a head").expect("it is there").meta.clone()
}

/// An end is moved without a revision, to later times only, for the head only, and everything shows it.
pub async fn ends_are_moved(store: Arc<dyn Store>) {
    let key = key("n", "sliding");
    let mut first = record(b"1");
    first.meta.expires_at = Some(at(1000));
    first.meta.sliding = Some(std::time::Duration::from_secs(1));
    done(&*store, &key, &first).await;
    let before = store.latest(&key.namespace).await.expect("a place");
    assert_eq!(store.extend(&key, rev(1), at(5000)).await, Ok(true));
    assert_eq!(store.extend(&key, rev(1), at(3000)).await, Ok(true));
    assert_eq!(store.extend(&key, rev(2), at(9000)).await, Ok(false));
    first.meta.expires_at = Some(at(5000));
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&first));
    assert_eq!(store.revision(&key, rev(1)).await.expect("a revision"), Some(first.clone()));
    assert_eq!(store.list(&key.namespace, "", None, 9).await, Ok(vec![(key.clone(), Ok(first.meta.clone()))]));
    let history = store.history(&key, None, 9).await.expect("a history");
    assert_eq!(history.iter().map(|revision| &revision.meta).collect::<Vec<_>>(), [&first.meta]);
    assert_eq!(due(&*store, at(4999), 9).await, [""; 0]);
    assert_eq!(due(&*store, at(5000), 9).await, ["n/sliding@1"]);
    assert_eq!(store.latest(&key.namespace).await, Ok(before));
    done(&*store, &key, &following(&first.meta, b"2")).await;
    assert_eq!(store.extend(&key, rev(1), at(9000)).await, Ok(false));
    assert_eq!(due(&*store, at(99_000), 9).await, [""; 0]);
}

/// What is due is heads alone, the longest due first, of all namespaces, values and tombstones.
pub async fn heads_are_due(store: Arc<dyn Store>) {
    for (namespace, name, end) in [("n", "c", 300), ("m", "a", 100), ("n", "b", 200), ("n", "d", 400)] {
        let mut first = record(name.as_bytes());
        first.meta.expires_at = Some(at(end));
        done(&*store, &key(namespace, name), &first).await;
    }
    several(&*store, &key("n", "for ever"), 2).await;
    assert_eq!(due(&*store, at(99), 9).await, [""; 0]);
    assert_eq!(due(&*store, at(300), 9).await, ["m/a@1", "n/b@1", "n/c@1"]);
    assert_eq!(due(&*store, at(1000), 2).await, ["m/a@1", "n/b@1"]);
    // Replaced by what has no end, by what ends later, and by a tombstone.
    let (a, b, c) = (key("m", "a"), key("n", "b"), key("n", "c"));
    done(&*store, &a, &following(&head(&*store, &a).await, b"2")).await;
    let mut longer = following(&head(&*store, &b).await, b"2");
    longer.meta.expires_at = Some(at(500));
    done(&*store, &b, &longer).await;
    done(&*store, &c, &tombstone(&head(&*store, &c).await, Kind::Expired, at(350))).await;
    assert_eq!(due(&*store, at(1000), 9).await, ["n/c@2", "n/d@1", "n/b@2"]);
}

/// Only a key whose head is that very tombstone is forgotten, and then all of it.
pub async fn tombstones_are_forgotten(store: Arc<dyn Store>) {
    let key = key("n", "k");
    let last = several(&*store, &key, 3).await;
    assert_eq!(store.forget(&key, last.rev).await, Ok(false));
    let pinned = store.revision(&key, rev(2)).await.expect("a revision").expect("it is kept");
    assert_eq!(store.pin(&key, rev(2), Pin::On(Box::new(pinned))).await, Ok(true));
    let deleted = tombstone(&last, Kind::Deleted, at(1000));
    done(&*store, &key, &deleted).await;
    let before = store.latest(&key.namespace).await;
    assert_eq!(store.forget(&key, rev(3)).await, Ok(false));
    assert_eq!(store.forget(&key, rev(5)).await, Ok(false));
    assert_eq!(due(&*store, at(1000), 9).await, ["n/k@4"]);
    assert_eq!(store.forget(&key, rev(4)).await, Ok(true));
    assert_eq!(store.forget(&key, rev(4)).await, Ok(false));
    assert_eq!(due(&*store, at(1000), 9).await, [""; 0]);
    assert_eq!(store.head(&key).await, Ok(None));
    for number in 1..=4 {
        assert_eq!(store.revision(&key, rev(number)).await, Ok(None));
    }
    assert_eq!(store.history(&key, None, 9).await, Ok(Vec::new()));
    assert_eq!(store.list(&key.namespace, "", None, 9).await, Ok(Vec::new()));
    assert_eq!(store.namespaces().await, Ok(Vec::new()));
    assert_eq!(store.latest(&key.namespace).await, before);
    done(&*store, &key, &record(b"anew")).await;
    assert_eq!(store.head(&key).await.expect("a head").map(|head| head.meta.rev), Some(Rev::FIRST));
}
