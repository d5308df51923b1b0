//! Watches: everything later, once, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::commits::{done, several};
use super::records::{EPOCH, commit, following, key, record, tombstone};
use crate::error::StoreError;
use crate::meta::Kind;
use crate::store::{After, Committed, Cursor, Event, Store};
use crate::told::Changes;

/// How long a watch that is never still may take to look up.
const LOOK: Duration = Duration::from_millis(50);

/// The next event; an end or an error fails.
async fn next(events: &mut Changes) -> Event {
    events.next().await.expect("the watch goes on").expect("an event")
}

async fn told(events: &mut Changes, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..count {
        let event = next(events).await;
        told.push(format!("{}@{}", event.key.name(), event.meta.rev));
    }
    told
}

/// A watch tells of commits to keys that begin with its prefix, in its namespace, since it was asked for.
pub async fn watches_keep_to_their_prefix(store: Arc<dyn Store>) {
    let namespace = key("n", "a").namespace;
    several(&*store, &key("n", "a/early"), 2).await;
    let mut all = store.watch(&namespace, "", After::Now);
    let mut some = store.watch(&namespace, "a/", After::Now);
    let mut exact = store.watch(&namespace, "a/2", After::Now);
    several(&*store, &key("n", "a/1"), 2).await;
    several(&*store, &key("m", "a/1"), 1).await;
    several(&*store, &key("n", "a"), 1).await;
    several(&*store, &key("n", "ab"), 1).await;
    let first = record(b"first");
    done(&*store, &key("n", "a/2"), &first).await;
    let deleted = tombstone(&first.meta, Kind::Deleted, EPOCH);
    done(&*store, &key("n", "a/2"), &deleted).await;
    assert_eq!(told(&mut all, 6).await, ["a/1@1", "a/1@2", "a@1", "ab@1", "a/2@1", "a/2@2"]);
    assert_eq!(told(&mut some, 4).await, ["a/1@1", "a/1@2", "a/2@1", "a/2@2"]);
    // The very meta that was committed.
    assert_eq!(next(&mut exact).await.meta, first.meta);
    assert_eq!(next(&mut exact).await.meta, deleted.meta);
    // A lost commit is none.
    let lost = store.commit(commit(&key("n", "a/2"), &record(b"other"))).await;
    assert!(matches!(lost, Ok(Committed::Lost(Some(_)))));
    several(&*store, &key("n", "a/3"), 1).await;
    assert_eq!(told(&mut some, 1).await, ["a/3@1"]);
}

/// The cursor of an event, of a commit and of `latest` is where a later watch goes on.
pub async fn a_watch_goes_on_where_it_stopped(store: Arc<dyn Store>) {
    let key = key("n", "k");
    let start = store.latest(&key.namespace).await.expect("a place");
    let mut events = store.watch(&key.namespace, "", After::Cursor(start));
    let mut last = record(b"1");
    let mut cursors = Vec::new();
    for number in 2..=12_u64 {
        let Ok(Committed::Done(cursor)) = store.commit(commit(&key, &last)).await else { panic!("a commit was lost") };
        cursors.push(cursor);
        last = following(&last.meta, number.to_string().as_bytes());
    }
    assert!(cursors.windows(2).all(|pair| pair[0] < pair[1]), "{cursors:?}");
    let mut seen = Vec::new();
    for _ in 0..11 {
        seen.push(next(&mut events).await.cursor);
    }
    assert_eq!(seen, cursors);
    drop(events);
    for (place, cursor) in cursors.iter().enumerate().step_by(3) {
        let mut events = store.watch(&key.namespace, "", After::Cursor(*cursor));
        let rest: Vec<String> = (place + 2..=11).map(|number| format!("k@{number}")).collect();
        assert_eq!(told(&mut events, rest.len()).await, rest);
    }
    let latest = store.latest(&key.namespace).await.expect("a place");
    assert_eq!(Some(&latest), cursors.last());
    let mut events = store.watch(&key.namespace, "", After::Cursor(latest));
    done(&*store, &key, &last).await;
    assert_eq!(told(&mut events, 1).await, ["k@12"]);
    // A place that was never reached is of another store, and says so instead of waiting for ever.
    let ahead = Cursor { major: latest.major + 1_000_000, minor: 0 };
    let mut events = store.watch(&key.namespace, "", After::Cursor(ahead));
    assert_eq!(events.next().await, Some(Err(StoreError::CursorGone)));
    assert_eq!(events.next().await, None);
}

/// A watch that has nothing to tell comes along with the changes of others, so that it can be gone on with later; and never
/// past a change of its own that it has not told.
pub async fn a_quiet_watch_comes_along(store: Arc<dyn Store>) {
    let namespace = key("n", "x").namespace;
    let first = record(b"first");
    done(&*store, &key("n", "quiet/a"), &first).await;
    let start = store.latest(&namespace).await.expect("a place");
    let mut quiet = store.watch(&namespace, "quiet/", After::Cursor(start));
    several(&*store, &key("n", "busy/1"), 70).await;
    several(&*store, &key("n", "qui"), 3).await;
    several(&*store, &key("m", "quiet/a"), 3).await;
    let latest = store.latest(&namespace).await.expect("a place");
    let passed = come_along(&mut quiet, latest).await;
    drop(quiet);
    let mut quiet = store.watch(&namespace, "quiet/", After::Cursor(passed));
    several(&*store, &key("n", "busy/2"), 10).await;
    let Ok(Committed::Done(own)) = store.commit(commit(&key("n", "quiet/a"), &following(&first.meta, b"2"))).await
    else {
        panic!("a commit was lost");
    };
    several(&*store, &key("n", "busy/3"), 10).await;
    assert!(quiet.passed() < Some(own));
    assert_eq!(next(&mut quiet).await.cursor, own);
    assert_eq!(quiet.passed(), Some(own));
    let latest = store.latest(&namespace).await.expect("a place");
    come_along(&mut quiet, latest).await;
}

/// Waits until a watch with nothing to tell has come to `place`. Where it is then.
async fn come_along(quiet: &mut Changes, place: Cursor) -> Cursor {
    loop {
        if let Some(passed) = quiet.passed().filter(|passed| *passed >= place) {
            return passed;
        }
        let event = tokio::time::timeout(LOOK, quiet.next()).await;
        assert!(event.is_err(), "nothing of its own has happened: {event:?}");
    }
}

/// Under many writers every watcher is told of every commit once, in the order of each key, also one that begins anew
/// after every seventh event, and one of a single key that begins anew wherever it is.
pub async fn a_watch_tells_everything_once(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    const COMMITS: u64 = 40;
    let namespace = key("busy", "x").namespace;
    let start = store.latest(&namespace).await.expect("a place");
    let steady = collect(store.clone(), start, usize::MAX, WRITERS * COMMITS);
    let hasty = collect(store.clone(), start, 7, WRITERS * COMMITS);
    let narrow = wander(store.clone(), start, "3", COMMITS);
    let writers = join_all((0..WRITERS).map(|writer| {
        let store = store.clone();
        async move { several(&*store, &key("busy", &writer.to_string()), COMMITS).await }
    }));
    let (steady, hasty, narrow, _) = tokio::join!(steady, hasty, narrow, writers);
    assert_eq!(steady, hasty);
    assert!(narrow.iter().eq(steady.iter().filter(|event| event.key.name() == "3")));
    assert!(steady.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    let mut last: HashMap<String, u64> = HashMap::new();
    for event in &steady {
        let last = last.entry(event.key.name().to_owned()).or_default();
        assert_eq!(event.meta.rev.get(), *last + 1, "{}", event.key);
        *last += 1;
    }
    assert!(last.values().all(|last| *last == COMMITS));
    assert_eq!(last.len() as u64, WRITERS);
}

/// `count` events from `after` on, over as many watches as it takes when each is dropped after `at_once`.
async fn collect(store: Arc<dyn Store>, mut after: Cursor, at_once: usize, count: u64) -> Vec<Event> {
    let namespace = key("busy", "x").namespace;
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        let mut events = store.watch(&namespace, "", After::Cursor(after));
        for _ in 0..at_once.min(count as usize - all.len()) {
            let event = next(&mut events).await;
            after = event.cursor;
            all.push(event);
        }
    }
    all
}

/// `count` events of one key from `after` on, over watches that are each dropped after a moment, and gone on with from where
/// they were.
async fn wander(store: Arc<dyn Store>, mut after: Cursor, name: &str, count: u64) -> Vec<Event> {
    let namespace = key("busy", "x").namespace;
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        let mut events = store.watch(&namespace, name, After::Cursor(after));
        for _ in 0..3 {
            if let Ok(event) = tokio::time::timeout(LOOK, events.next()).await {
                all.push(event.expect("the watch goes on").expect("an event"));
            }
            after = events.passed().unwrap_or(after);
        }
    }
    all
}

/// After `close` nothing works any more, and watches end.
pub async fn a_closed_store_ends(store: Arc<dyn Store>) {
    let key = key("n", "k");
    let last = several(&*store, &key, 2).await;
    let mut events = store.watch(&key.namespace, "", After::Now);
    store.close().await.expect("it closes");
    while let Some(event) = events.next().await {
        assert!(event.is_err(), "an event after the end: {event:?}");
    }
    let unavailable = |error: StoreError| matches!(error, StoreError::Unavailable(_));
    assert!(store.head(&key).await.is_err_and(unavailable));
    assert!(store.commit(commit(&key, &following(&last, b"late"))).await.is_err_and(unavailable));
    assert!(store.history(&key, None, 1).await.is_err_and(unavailable));
    assert!(store.close().await.is_ok());
}
