//! State in a real NATS JetStream: the suite, what the server can do to us, and races. Needs `make peers`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what failed by failing, makes its own tasks and files, and has real time"
)]

mod cluster;
#[path = "../copies/mod.rs"]
mod copies;
mod copy;
#[path = "../disk/mod.rs"]
mod disk;
mod full;
mod harm;
#[path = "../writers/killed.rs"]
mod killed;
mod server;
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../writers/mod.rs"]
mod writers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tradewind_core::Secret;
use tradewind_store::nats::{EVENTS_PER_KEY, Nats, NatsSettings, REVISIONS_PER_KEY};
use tradewind_store::state::{At, Condition, New, Terms, Ttl};
use tradewind_store::suite::{EPOCH, FakeClock, commit, following, key, record, run, tombstone};
use tradewind_store::{
    After, Body, Commit, Committed, Cursor, Key, Kind, PieceId, Pin, Record, Rev, Settings, State, StateError, Store,
    StoreError, TOMBSTONE_KEPT,
};

use server::Sync;
use servers::{Pass, Proxy, Server, faults};

fn settings(port: u16) -> NatsSettings {
    NatsSettings { address: Secret::new(format!("nats://127.0.0.1:{port}")), roots: None, replicas: 1 }
}

async fn open(port: u16) -> Arc<dyn Store> {
    Arc::new(Nats::open(&settings(port)).await.unwrap())
}

/// A store over a server of its own that does not write through: what is tested with it outlives nothing.
async fn fresh() -> (Arc<dyn Store>, Server) {
    let server = server::start(Sync::Seldom);
    (open(server.port()).await, server)
}

tradewind_store::engine_suite!(fresh());

fn opened(port: u16) -> BoxFuture<'static, Arc<dyn Store>> {
    open(port).boxed()
}

#[test]
fn a_stopped_server_is_waited_for() {
    run(faults::a_stopped_server_is_waited_for(server::start(Sync::Always), opened));
}

#[test]
fn an_unknown_outcome_is_said_to_be_unknown() {
    run(faults::an_unknown_outcome_is_said_to_be_unknown(server::start(Sync::Always), opened));
}

#[test]
fn a_watch_survives_its_connection() {
    run(faults::a_watch_survives_its_connection(server::start(Sync::Always), opened));
}

#[test]
fn a_watch_begins_while_no_server_is_reached() {
    run(faults::a_watch_begins_while_no_server_is_reached(server::start(Sync::Always), opened));
}

#[test]
fn a_watch_begins_before_what_comes_after_it() {
    run(faults::a_watch_begins_before_what_comes_after_it(server::start(Sync::Always), opened));
}

#[test]
fn nothing_acknowledged_is_lost() {
    run(faults::nothing_acknowledged_is_lost(server::start(Sync::Always), opened, 8));
}

#[test]
fn state_survives_kills() {
    run(killed::state_survives_kills(server::start(Sync::Always), opened, 2));
}

#[test]
fn five_thousand_races() {
    run(faults::five_thousand_races(server::start(Sync::Always), opened));
}

#[test]
fn two_gateways_race() {
    run(faults::two_gateways_race(server::start(Sync::Always), opened));
}

async fn done(store: &dyn Store, key: &Key, record: &Record) {
    let committed = store.commit(commit(key, record)).await;
    assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
}

/// An update keeps the time to live, which a plain update of NATS's own key-value layer drops, and an end brings no older
/// revision back.
#[test]
fn an_update_keeps_the_time_to_live() {
    run(async {
        let (store, _server) = fresh().await;
        let clock = FakeClock::new();
        let state = State::new(store.clone(), Settings::default(), clock.clone(), None);
        let key = key("n", "k");
        let new = |content: &str, ttl| New {
            content: Bytes::copy_from_slice(content.as_bytes()),
            content_type: Arc::from("text/plain"),
            schema: None,
            terms: Terms { ttl, ..Terms::default() },
        };
        let for_ever = state.put(&key, Condition::Absent, new("for ever", None)).await.unwrap();
        let mortal = new("mortal", Some(Ttl::Fixed(Duration::from_secs(60))));
        let mortal = state.put(&key, Condition::At(for_ever.rev), mortal).await.unwrap();
        let updated = state.put(&key, Condition::At(mortal.rev), new("updated", None)).await.unwrap();
        assert_eq!(updated.expires_at, mortal.expires_at);
        clock.pass(Duration::from_secs(61));
        assert_eq!(state.get(&key, At::Head).await, Err(StateError::Gone));
        let mut watch = store.watch(&key.namespace, "", After::Now);
        assert_eq!(state.sweep(10).await.unwrap().expired, 1);
        let buried = watch.next().await.unwrap().unwrap().meta;
        assert_eq!((buried.kind, buried.rev.get()), (Kind::Expired, 4));
        assert_eq!(state.get(&key, At::Head).await, Err(StateError::Gone));
        // The number goes on, so that whoever holds an old one cannot write with it.
        let again = state.put(&key, Condition::Absent, new("again", None)).await.unwrap();
        assert_eq!(again.rev.get(), 5);
        clock.pass(TOMBSTONE_KEPT * 2);
        assert_eq!(state.get(&key, At::Head).await.unwrap().meta.rev, again.rev);
    });
}

/// A stream keeps the last messages of a key: a watch that comes later than these, or than a key was forgotten, is told so.
#[test]
fn a_watch_that_comes_too_late_is_told_so() {
    run(async {
        let (store, _server) = fresh().await;
        let (busy, quiet) = (key("n", "busy"), key("n", "quiet"));
        done(&*store, &quiet, &record(b"quiet")).await;
        let start = store.latest(&busy.namespace).await.unwrap();
        let mut last = record(b"0");
        let mut middle = start;
        for number in 1..=u64::from(EVENTS_PER_KEY) + 10 {
            done(&*store, &busy, &last).await;
            if number == 10 {
                middle = store.latest(&busy.namespace).await.unwrap();
            }
            last = following(&last.meta, number.to_string().as_bytes());
        }
        let mut late = store.watch(&busy.namespace, "", After::Cursor(start));
        assert_eq!(late.next().await, Some(Err(StoreError::CursorGone)));
        assert_eq!(late.next().await, None);
        // Those that are kept are all that came after the tenth; and of another key nothing is missing.
        let in_time = store.watch(&busy.namespace, "", After::Cursor(middle)).take(EVENTS_PER_KEY as usize);
        let told: Vec<u64> = in_time.map(|event| event.unwrap().meta.rev.get()).collect().await;
        assert_eq!(told, (11..=u64::from(EVENTS_PER_KEY) + 10).collect::<Vec<_>>());
        let mut other = store.watch(&busy.namespace, "qui", After::Cursor(Cursor::START));
        assert_eq!(other.next().await.unwrap().unwrap().key, quiet);
        // What was forgotten leaves nothing behind, so that only those who were there at the end go on.
        let buried = tombstone(&record(b"quiet").meta, Kind::Deleted, EPOCH);
        let before = store.latest(&busy.namespace).await.unwrap();
        done(&*store, &quiet, &buried).await;
        let after = store.latest(&busy.namespace).await.unwrap();
        assert_eq!(store.forget(&quiet, buried.meta.rev).await, Ok(true));
        let mut late = store.watch(&busy.namespace, "qui", After::Cursor(before));
        assert_eq!(late.next().await, Some(Err(StoreError::CursorGone)));
        let mut in_time = store.watch(&busy.namespace, "qui", After::Cursor(after));
        done(&*store, &quiet, &record(b"anew")).await;
        assert_eq!(in_time.next().await.unwrap().unwrap().meta.rev, Rev::FIRST);
    });
}

/// Writes as many more revisions of a key, and says what the last one is.
async fn go_on(store: &dyn Store, key: &Key, last: Option<Record>, more: u32) -> Record {
    let mut last = last;
    for _ in 0..more {
        let next = last.map_or_else(|| record(b"first"), |last| following(&last.meta, b"next"));
        done(store, key, &next).await;
        last = Some(next);
    }
    last.unwrap()
}

/// A change behind a gap is never told: who goes on from there would not hear of what is missing.
#[test]
fn nothing_is_told_behind_a_gap() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        let (busy, other) = (key("n", "busy"), key("n", "other"));
        let first = go_on(&*store, &other, None, 1).await;
        let start = store.latest(&busy.namespace).await.unwrap();
        let last = go_on(&*store, &busy, None, 36).await;
        let second = go_on(&*store, &other, Some(first), 1).await;
        let last = go_on(&*store, &busy, Some(last), EVENTS_PER_KEY).await;
        let mut late = store.watch(&busy.namespace, "", After::Cursor(start));
        assert_eq!(late.next().await, Some(Err(StoreError::CursorGone)));

        // The same in a watch that was in time, and whose connection breaks.
        let proxy = Proxy::to(server.port());
        let behind = open(proxy.port()).await;
        let start = store.latest(&busy.namespace).await.unwrap();
        let last = go_on(&*store, &busy, Some(last), EVENTS_PER_KEY).await;
        let mut watch = behind.watch(&busy.namespace, "", After::Cursor(start));
        assert_eq!(watch.next().await.unwrap().unwrap().meta.rev.get(), 101);
        proxy.pass(Pass::Refuse);
        let last = go_on(&*store, &busy, Some(last), 36).await;
        let third = go_on(&*store, &other, Some(second), 1).await;
        go_on(&*store, &busy, Some(last), EVENTS_PER_KEY).await;
        proxy.pass(Pass::All);
        let mut expected = 102;
        let end = loop {
            match watch.next().await {
                Some(Ok(event)) => {
                    assert_eq!((&event.key, event.meta.rev.get()), (&busy, expected), "{:?}", third.meta.rev);
                    expected += 1;
                }
                end => break end,
            }
        };
        assert_eq!(end, Some(Err(StoreError::CursorGone)));
    });
}

/// However many revisions a commit asks to keep, as a copy from another engine does: a stream would keep them for ever.
#[test]
fn a_stream_is_never_told_to_keep_everything() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        let key = key("n", "k");
        let mut last = record(b"first");
        for number in 1..=REVISIONS_PER_KEY + 20 {
            let commit = Commit { keep: u32::MAX, ..commit(&key, &last) };
            assert!(matches!(store.commit(commit).await, Ok(Committed::Done(_))));
            last = following(&last.meta, &number.to_le_bytes());
        }
        let history = store.history(&key, None, usize::MAX).await.unwrap();
        assert_eq!(history.len(), REVISIONS_PER_KEY as usize);
        let client = async_nats::connect(format!("127.0.0.1:{}", server.port())).await.unwrap();
        let mut streams = async_nats::jetstream::new(client).streams();
        while let Some(stream) = streams.next().await {
            let stream = stream.unwrap();
            let most = u64::from(REVISIONS_PER_KEY);
            assert!(stream.config.max_messages_per_subject <= most.cast_signed() && stream.state.messages <= most);
        }
    });
}

/// Pieces that nothing names are swept when they are old enough, and no others.
#[test]
fn pieces_are_swept() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = Nats::open(&settings(server.port())).await.unwrap();
        let (key, other) = (key("n", "k"), key("n", "other"));
        let id = |number: u8| PieceId([number; 32]);
        let long = |mut record: Record, ids: &[u8]| {
            record.body = Body::Pieces(ids.iter().map(|number| id(*number)).collect());
            record
        };
        let with = |commit: Commit, fresh: &[u8]| Commit {
            pieces: fresh.iter().map(|number| (id(*number), Bytes::from(vec![*number; 100]))).collect(),
            keep: 1,
            ..commit
        };
        let first = long(record(b""), &[1, 2]);
        let second = long(following(&first.meta, b""), &[2, 3]);
        let third = following(&second.meta, b"short");
        let pinned = long(record(b""), &[4]);
        let unpinned = following(&pinned.meta, b"short");
        for (key, record, fresh) in [(&key, &first, &[1, 2][..]), (&key, &second, &[3]), (&other, &pinned, &[4])] {
            let committed = store.commit(with(commit(key, record), fresh)).await;
            assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
        }
        assert_eq!(store.pin(&other, Rev::FIRST, Pin::On(Box::new(pinned.clone()))).await, Ok(true));
        assert!(matches!(store.commit(with(commit(&other, &unpinned), &[])).await, Ok(Committed::Done(_))));
        // One whose record was never written.
        let lost = with(commit(&key, &long(following(&third.meta, b""), &[5])), &[5]);
        assert!(matches!(store.commit(lost).await, Ok(Committed::Lost(_))));
        let there = async || {
            let ids: Vec<PieceId> = (1..=5).map(id).collect();
            let found = store.pieces(&key.namespace, &ids).await.unwrap();
            found.iter().zip(1..=5_u8).filter(|(found, _)| found.is_some()).map(|(_, id)| id).collect::<Vec<_>>()
        };
        assert_eq!(store.sweep_pieces(&key.namespace, Duration::from_secs(3_600)).await, Ok(0));
        assert_eq!(there().await, [1, 2, 3, 4, 5]);
        assert_eq!(store.sweep_pieces(&key.namespace, Duration::ZERO).await, Ok(2));
        assert_eq!(there().await, [2, 3, 4]);
        assert!(matches!(store.commit(with(commit(&key, &third), &[])).await, Ok(Committed::Done(_))));
        assert_eq!(store.sweep_pieces(&key.namespace, Duration::ZERO).await, Ok(2));
        assert_eq!(there().await, [4]);
    });
}

/// A server that has no room refuses writes, and reads go on.
#[test]
fn a_full_server_takes_no_writes() {
    run(async {
        let server = server::start_with(", max_file_store: 1MB", |_| String::new());
        let store = open(server.port()).await;
        let key = key("n", "k");
        let mut last = record(b"first");
        done(&*store, &key, &last).await;
        let refused = loop {
            let mut next = following(&last.meta, b"");
            next.body = Body::Whole(Bytes::from(vec![7; 60_000]));
            match store.commit(commit(&key, &next)).await {
                Ok(Committed::Done(_)) => last = next,
                other => break other,
            }
            assert!(last.meta.rev.get() < 100, "it is never full");
        };
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&last));
        // Room again.
        assert!(store.prune(&key, 1).await.unwrap() > 1);
        done(&*store, &key, &following(&last.meta, b"later")).await;
    });
}

/// A record that the server does not take for its size is refused before it is sent.
#[test]
fn a_record_may_be_too_large_for_the_server() {
    run(async {
        let server = server::start_with("", |_| "max_payload: 8KB".to_owned());
        let store = open(server.port()).await;
        let mut large = record(b"");
        large.body = Body::Whole(Bytes::from(vec![7; 9_000]));
        let refused = store.commit(commit(&key("n", "k"), &large)).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { limit: 8_192, .. })), "{refused:?}");
        done(&*store, &key("n", "k"), &record(b"small")).await;
    });
}

/// A password is told to nobody; a server without JetStream is of no use.
#[test]
fn what_cannot_be_used_is_refused_with_reasons() {
    run(async {
        let server = server::start_with("", |_| "authorization {user: tradewind, password: \"s3cret@1\"}".to_owned());
        let address = |login: &str| NatsSettings {
            address: Secret::new(format!("nats://{login}@127.0.0.1:{}", server.port())),
            ..settings(0)
        };
        let store = Nats::open(&address("tradewind:s3cret%401")).await.unwrap();
        done(&store, &key("n", "k"), &record(b"0")).await;
        let facts = store.facts();
        assert_eq!((facts.place, facts.rewrites), (format!("127.0.0.1:{}", server.port()), false));
        let error = Nats::open(&address("tradewind:wr0ng")).await.err().unwrap();
        assert!(matches!(&error, StoreError::Unavailable(why) if !why.contains("wr0ng")), "{error:?}");
        let error = Nats::open(&settings(1)).await.err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let error =
            Nats::open(&NatsSettings { address: Secret::new("not an address".to_owned()), ..settings(0) }).await;
        assert!(matches!(error.err(), Some(StoreError::Unsupported(_))));
        let plain = server::start_without_jetstream();
        let error = Nats::open(&settings(plain.port())).await.err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    });
}

/// With TLS: the server's certificate has to go back to one that is trusted.
#[test]
fn tls_is_checked() {
    run(async {
        let certificate = servers::certificate();
        let server = server::start_with_tls(&certificate);
        let settings = |roots: Option<&servers::Certificate>| NatsSettings {
            address: Secret::new(format!("tls://localhost:{}", server.port())),
            roots: roots.map(|roots| roots.certificate.clone().into_bytes()),
            replicas: 1,
        };
        let store = Nats::open(&settings(Some(&certificate))).await.unwrap();
        done(&store, &key("n", "k"), &record(b"over TLS")).await;
        for wrong in [None, Some(&servers::certificate())] {
            let error = Nats::open(&settings(wrong)).await.err();
            assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        }
    });
}
