//! What can happen to a server while others write to it, the same for each engine that has one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tradewind_store::suite::{commit, following, key, race_between, record};
use tradewind_store::{After, Body, Changes, Committed, Event, Hash, Key, Meta, Record, Rev, Store, StoreError};

use super::{PATIENCE, Pass, Proxy, Server};

/// Opens the store of the server at this port.
pub(crate) type Open = fn(u16) -> BoxFuture<'static, Arc<dyn Store>>;

/// Refused at once, not after a long wait.
const SOON: Duration = Duration::from_secs(8);

/// Commits what follows, as [`until_done`].
async fn insist(store: &dyn Store, key: &Key, parent: Option<&Meta>, body: &[u8]) -> Meta {
    let next = parent.map_or_else(|| record(body), |parent| following(parent, body));
    until_done(store, key, &next).await;
    next.meta
}

/// Commits until it is done; what it takes is not known to have happened before, so the head decides.
pub(crate) async fn until_done(store: &dyn Store, key: &Key, next: &Record) {
    let begun = Instant::now();
    loop {
        match store.commit(commit(key, next)).await {
            Ok(Committed::Done(_)) => return,
            // By an attempt whose answer was lost.
            Ok(Committed::Lost(Some(head))) if head.meta == next.meta => return,
            Ok(other) => panic!("{key}: {other:?}"),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{key}: {error}"),
        }
        // Each attempt waits for a connection itself.
        tokio::task::yield_now().await;
    }
}

async fn head(store: &dyn Store, key: &Key) -> Option<Meta> {
    let begun = Instant::now();
    loop {
        match store.head(key).await {
            Ok(head) => return head.map(|head| head.meta.clone()),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{key}: {error}"),
        }
        // Each attempt waits for a connection itself.
        tokio::task::yield_now().await;
    }
}

/// A server that is stopped takes no writes and says so at once; when it is back, the same store goes on.
pub(crate) async fn a_stopped_server_is_waited_for(mut server: Server, open: Open) {
    let store = open(server.port()).await;
    let key = key("n", "k");
    let first = insist(&*store, &key, None, b"first").await;
    server.stop();
    let second = following(&first, b"second");
    // The first may have been on its way when the connection broke; not the next.
    let mut refusals = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        refusals.push(store.commit(commit(&key, &second)).await.expect_err("there is nobody"));
        assert!(begun.elapsed() < SOON, "{:?} after {:?}", refusals.last(), begun.elapsed());
    }
    assert!(matches!(refusals[0], StoreError::Unavailable(_) | StoreError::Unknown(_)), "{refusals:?}");
    assert!(refusals[1..].iter().all(|refusal| matches!(refusal, StoreError::Unavailable(_))), "{refusals:?}");
    assert!(matches!(store.head(&key).await, Err(StoreError::Unavailable(_))));
    server.start_again();
    assert_eq!(head(&*store, &key).await, Some(first.clone()));
    let second = insist(&*store, &key, Some(&first), b"second").await;
    assert_eq!(head(&*store, &key).await, Some(second));
}

/// What was asked when the network broke is not known to have happened, whether it has or not; what is asked while it is
/// broken has not happened, and never does.
pub(crate) async fn an_unknown_outcome_is_said_to_be_unknown(server: Server, open: Open) {
    let proxy = Proxy::to(server.port());
    let (store, beside) = (open(proxy.port()).await, open(server.port()).await);
    for (number, pass) in [Pass::Questions, Pass::Nothing].into_iter().enumerate() {
        let key = key("n", &number.to_string());
        let first = insist(&*store, &key, None, b"first").await;
        proxy.pass(pass);
        let error = store.commit(commit(&key, &following(&first, b"second"))).await.expect_err("no answer");
        assert!(matches!(error, StoreError::Unknown(_)), "{pass:?}: {error:?}");
        let now = head(&*beside, &key).await.expect("there is one").rev.get();
        assert_eq!(now, if pass == Pass::Questions { 2 } else { 1 }, "{pass:?}");
        // And connections that cannot be made.
        proxy.pass(Pass::Refuse);
        let begun = Instant::now();
        let refused = loop {
            let third = following(&first, b"third");
            match store.commit(commit(&key, &third)).await {
                Err(StoreError::Unavailable(why)) => break why,
                Err(StoreError::Unknown(_)) => assert!(begun.elapsed() < PATIENCE, "it is never sure"),
                other => panic!("{other:?}"),
            }
        };
        assert!(!refused.is_empty());
        proxy.pass(Pass::All);
        let then = head(&*store, &key).await.expect("there is one");
        assert!(then.rev.get() <= 2, "what was refused happened");
        insist(&*store, &key, Some(&then), b"later").await;
    }
}

/// A watch that runs while the network breaks in every way and the server is killed tells everything once and in order.
pub(crate) async fn a_watch_survives_its_connection(mut server: Server, open: Open) {
    const CHANGES: u64 = 60;
    let proxy = Proxy::to(server.port());
    let watching = open(proxy.port()).await;
    let writing = open(server.port()).await;
    let keys: Vec<Key> = (0..4).map(|number| key("n", &format!("watched/{number}"))).collect();
    let mut heads: Vec<Meta> = Vec::new();
    for key in &keys {
        heads.push(insist(&*writing, key, None, b"before").await);
    }
    let start = writing.latest(&keys[0].namespace).await.unwrap();
    let mut watch = watching.watch(&keys[0].namespace, "watched/", After::Cursor(start));
    let told = tokio::spawn(async move {
        let mut told: Vec<Event> = Vec::new();
        while (told.len() as u64) < CHANGES {
            told.push(watch.next().await.expect("it goes on").expect("an event"));
        }
        told
    });
    for change in 0..CHANGES {
        match change % 12 {
            2 => proxy.pass(Pass::Refuse),
            5 => proxy.pass(Pass::All),
            8 => {
                server.kill();
                server.start_again();
            }
            _ => {}
        }
        let at = usize::try_from(change).unwrap() % keys.len();
        heads[at] = insist(&*writing, &keys[at], Some(&heads[at]), change.to_string().as_bytes()).await;
    }
    proxy.pass(Pass::All);
    let told = tokio::time::timeout(PATIENCE, told).await.expect("everything is told").unwrap();
    assert!(told.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    for (at, key) in keys.iter().enumerate() {
        let revs: Vec<u64> = told.iter().filter(|event| event.key == *key).map(|event| event.meta.rev.get()).collect();
        let expected: Vec<u64> = (2..=heads[at].rev.get()).collect();
        assert_eq!(revs, expected, "{key}");
    }
}

/// A store whose way to the server is broken, which it knows.
async fn cut_off(server: &Server, open: Open) -> (Proxy, Arc<dyn Store>, Key, Meta) {
    let proxy = Proxy::to(server.port());
    let store = open(proxy.port()).await;
    let key = key("n", "k");
    let first = insist(&*store, &key, None, b"first").await;
    proxy.pass(Pass::Refuse);
    let begun = Instant::now();
    while store.head(&key).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
    }
    (proxy, store, key, first)
}

async fn tells_next(watch: &mut Changes, rev: u64) {
    let told = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it is told").expect("it goes on");
    assert_eq!(told.expect("an event").meta.rev.get(), rev);
}

/// A watch that begins now, while nobody can be reached, waits for the server like any other.
pub(crate) async fn a_watch_begins_while_no_server_is_reached(server: Server, open: Open) {
    let (proxy, store, key, first) = cut_off(&server, open).await;
    let mut watch = store.watch(&key.namespace, "", After::Now);
    let later = async {
        // Whoever else asks meanwhile learns of the same attempts.
        for _ in 0..2 {
            assert!(matches!(store.head(&key).await, Err(StoreError::Unavailable(_))));
        }
        proxy.pass(Pass::All);
        insist(&*store, &key, Some(&first), b"second").await;
    };
    tokio::join!(tells_next(&mut watch, 2), later);
}

/// What a process commits after it began a watch is told by it, though there was no connection then and nobody read the watch.
pub(crate) async fn a_watch_begins_before_what_comes_after_it(server: Server, open: Open) {
    let (proxy, store, key, first) = cut_off(&server, open).await;
    // A connection could be made now, and is not made yet.
    proxy.pass(Pass::All);
    let mut watch = store.watch(&key.namespace, "", After::Now);
    insist(&*store, &key, Some(&first), b"second").await;
    tells_next(&mut watch, 2).await;
}

/// What is certain of a key that one writer has for itself.
#[derive(Clone, Default)]
struct Own {
    /// Revisions that were acknowledged, or were seen.
    certain: BTreeMap<Rev, Meta>,
    /// Revisions that may have been made. Of earlier rounds too: what was on its way when the server was killed may still
    /// happen when it is back.
    unknown: Vec<Meta>,
}

impl Own {
    fn last(&self) -> Option<&Meta> {
        self.certain.last_key_value().map(|(_, last)| last)
    }

    fn is_certain(&mut self, meta: &Meta) {
        self.certain.insert(meta.rev, meta.clone());
    }
}

/// Writes until it is told to stop: never the same twice, whatever became of the first. How often it was acknowledged.
async fn write_own(
    store: &dyn Store,
    key: &Key,
    own: &mut Own,
    length: usize,
    round: usize,
    stop: &AtomicBool,
    made: &Semaphore,
) -> u64 {
    let (mut done, mut attempt) = (0, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        attempt += 1;
        let name = format!("{key} in {round}, {attempt}; ");
        let body: Vec<u8> = name.bytes().cycle().take(length).collect();
        let next = own.last().map_or_else(|| record(&body), |last| following(last, &body));
        match store.commit(commit(key, &next)).await {
            Ok(Committed::Done(_)) => {
                done += 1;
                made.add_permits(1);
                own.is_certain(&next.meta);
            }
            // Its own, which it did not know of.
            Ok(Committed::Lost(Some(head))) if own.unknown.contains(&head.meta) => own.is_certain(&head.meta),
            Ok(Committed::Lost(head)) => panic!("{key}: {:?} was lost to {head:?}", next.meta),
            Err(StoreError::Unknown(_)) => own.unknown.push(next.meta),
            Err(StoreError::Unavailable(_) | StoreError::Busy) => tokio::task::yield_now().await,
            Err(other) => panic!("{key}: {other}"),
        }
    }
    done
}

/// Kills the server again and again under 64 writers. Whatever was acknowledged is there afterwards, as it was written, and
/// what is there that nobody knows of was said to be unknown.
pub(crate) async fn nothing_acknowledged_is_lost(mut server: Server, open: Open, rounds: usize) {
    const WRITERS: usize = 64;
    let store = open(server.port()).await;
    let keys: Vec<Key> = (0..WRITERS).map(|writer| key("n", &format!("writer/{writer}"))).collect();
    let mut owns: Vec<Own> = vec![Own::default(); WRITERS];
    let mut total = 0;
    for round in 0..rounds {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
        let mut writers = JoinSet::new();
        for (writer, key) in keys.iter().cloned().enumerate() {
            let (store, stop, made, mut own) =
                (store.clone(), stop.clone(), made.clone(), std::mem::take(&mut owns[writer]));
            writers.spawn(async move {
                let done = write_own(&*store, &key, &mut own, 700 + writer, round, &stop, &made).await;
                (writer, own, done)
            });
        }
        // In the midst of it: at another write in each round.
        let enough = u32::try_from(20 * WRITERS + 37 * round).unwrap();
        let acquired = tokio::time::timeout(PATIENCE, made.acquire_many(enough)).await.expect("they write");
        acquired.unwrap().forget();
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let ended = writers.join_all().await;
        server.start_again();
        for (writer, mut own, done) in ended {
            total += done;
            let (key, last) = (&keys[writer], own.last());
            let found = head(&*store, key).await;
            let made_unknown = found.as_ref().is_some_and(|found| own.unknown.contains(found));
            assert!(found.as_ref() == last || made_unknown, "{key}: {last:?} is certain, and there is {found:?}");
            found.iter().for_each(|found| own.is_certain(found));
            owns[writer] = own;
        }
    }
    assert!(total > (rounds * WRITERS) as u64, "only {total} writes in {rounds} rounds");
    join_all(keys.iter().zip(&owns).map(|(key, own)| whole(&*store, key, own))).await;
}

/// Reads from servers that keep something together, and may still be looking for who leads them.
async fn patiently<'a, T>(key: &Key, read: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>) -> T {
    let begun = Instant::now();
    loop {
        match read().await {
            Ok(found) => return found,
            Err(StoreError::Unavailable(why)) => assert!(begun.elapsed() < PATIENCE, "{key}: {why}"),
            Err(other) => panic!("{key}: {other}"),
        }
        tokio::task::yield_now().await;
    }
}

/// The history of a key has no hole, hangs together and ends with what is certain; each revision of it is one that was written,
/// and where another of its number was acknowledged, that one. The newest have the contents that they were written with.
async fn whole(store: &dyn Store, key: &Key, own: &Own) {
    let history = patiently(key, || store.history(key, None, 100)).await;
    assert_eq!(history.first().map(|newest| &newest.meta), own.last(), "{key}");
    let newest = own.last().map_or(0, |last| last.rev.get());
    let numbers: Vec<u64> = history.iter().map(|one| one.meta.rev.get()).collect();
    assert_eq!(numbers, (newest.saturating_sub(32) + 1..=newest).rev().collect::<Vec<_>>(), "{key}");
    for pair in history.windows(2) {
        assert!(pair[0].meta.follows(Some(&pair[1].meta.chain)), "{key}");
    }
    for meta in history.iter().map(|one| &one.meta) {
        let is_own = own.certain.get(&meta.rev).map_or_else(|| own.unknown.contains(meta), |certain| certain == meta);
        assert!(is_own, "{key}: nobody wrote {meta:?}");
    }
    for meta in history.iter().map(|one| &one.meta).take(8) {
        let record = patiently(key, || store.revision(key, meta.rev)).await.expect("it is kept");
        assert_eq!(record.meta, *meta, "{key}");
        let Body::Whole(content) = record.body else { panic!("{key}: {record:?}") };
        assert_eq!((Hash::of(&content), content.len() as u64), (meta.hash, meta.size), "{key}");
    }
}

/// Five thousand races of two writers, and as many of eight, over two connections as from two machines: each revision has one
/// author.
pub(crate) async fn five_thousand_races(server: Server, open: Open) {
    const ROUNDS: u64 = 5_000;
    let stores = [open(server.port()).await, open(server.port()).await];
    for writers in [2, 8] {
        let raced = race_between(&stores, &key("race", &writers.to_string()), writers, ROUNDS).await;
        assert_eq!((raced.won, raced.unknown, raced.refused), (ROUNDS, 0, 0), "{raced:?}");
        assert!(raced.lost > ROUNDS / 10, "they did not race: {raced:?}");
    }
}

/// Two gateways on one server race for one key: each revision has one author, whichever it is.
pub(crate) async fn two_gateways_race(server: Server, open: Open) {
    const ROUNDS: u64 = 500;
    let key = key("race", "k");
    let stores = join_all((0..4).map(|_| open(server.port()))).await;
    let mut writers = JoinSet::new();
    for (writer, store) in stores.into_iter().enumerate() {
        let key = key.clone();
        writers.spawn(async move {
            let (mut won, mut last): (Vec<u64>, Option<Meta>) = (Vec::new(), None);
            while last.as_ref().is_none_or(|last| last.rev.get() < ROUNDS) {
                let body = format!("{writer}");
                let next =
                    last.as_ref().map_or_else(|| record(body.as_bytes()), |last| following(last, body.as_bytes()));
                match store.commit(commit(&key, &next)).await.unwrap() {
                    Committed::Done(_) => {
                        won.push(next.meta.rev.get());
                        last = Some(next.meta);
                    }
                    Committed::Lost(head) => last = head.map(|head| head.meta.clone()),
                }
            }
            won
        });
    }
    let won = writers.join_all().await;
    assert!(won.iter().filter(|won| !won.is_empty()).count() > 1, "only one of them ever won");
    let mut revs: Vec<u64> = won.concat();
    revs.sort_unstable();
    assert_eq!(revs, (1..=ROUNDS).collect::<Vec<_>>());
}
