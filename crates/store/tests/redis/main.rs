//! State in a real Redis: the suite, what the server can do to us, and races. Needs `make peers`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what failed by failing, makes its own tasks and files, and has real time"
)]

mod calls;
mod connections;
#[path = "../copies/mod.rs"]
mod copies;
mod counts;
mod damage;
#[path = "../disk/mod.rs"]
mod disk;
mod full;
#[path = "../writers/killed.rs"]
mod killed;
mod server;
#[path = "../servers/mod.rs"]
mod servers;
mod together;
mod watches;
#[path = "../writers/mod.rs"]
mod writers;

use std::sync::Arc;
use std::task::{Context, Waker};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tradewind_core::Secret;
use tradewind_store::redis::{Redis, RedisSettings};
use tradewind_store::suite::{commit, following, key, record, run};
use tradewind_store::{After, Committed, Cursor, Durability, Key, Rev, Store, StoreError};

use servers::{Server, faults};

fn settings(port: u16) -> RedisSettings {
    RedisSettings { address: Secret::new(format!("redis://127.0.0.1:{port}")), roots: None }
}

async fn open(port: u16) -> Arc<dyn Store> {
    Arc::new(Redis::open(&settings(port)).await.unwrap())
}

/// A store over a server of its own that keeps nothing: what is tested with it outlives nothing.
async fn fresh() -> (Arc<dyn Store>, Server) {
    let server = server::start(&["--appendonly", "no"]);
    (open(server.port()).await, server)
}

tradewind_store::engine_suite!(fresh());

fn opened(port: u16) -> BoxFuture<'static, Arc<dyn Store>> {
    open(port).boxed()
}

#[test]
fn a_stopped_server_is_waited_for() {
    run(faults::a_stopped_server_is_waited_for(server::start(&[]), opened));
}

#[test]
fn an_unknown_outcome_is_said_to_be_unknown() {
    run(faults::an_unknown_outcome_is_said_to_be_unknown(server::start(&[]), opened));
}

#[test]
fn a_watch_survives_its_connection() {
    run(faults::a_watch_survives_its_connection(server::start(&[]), opened));
}

#[test]
fn a_watch_begins_while_no_server_is_reached() {
    run(faults::a_watch_begins_while_no_server_is_reached(server::start(&[]), opened));
}

#[test]
fn a_watch_begins_before_what_comes_after_it() {
    run(faults::a_watch_begins_before_what_comes_after_it(server::start(&[]), opened));
}

#[test]
fn nothing_acknowledged_is_lost() {
    run(faults::nothing_acknowledged_is_lost(server::start(&[]), opened, 8));
}

#[test]
fn state_survives_kills() {
    run(killed::state_survives_kills(server::start(&[]), opened, 4));
}

#[test]
fn five_thousand_races() {
    run(faults::five_thousand_races(server::start(&[]), opened));
}

#[test]
fn two_gateways_race() {
    run(faults::two_gateways_race(server::start(&[]), opened));
}

#[test]
fn a_copy_goes_there_and_back() {
    run(async {
        let (store, _server) = fresh().await;
        copies::there_and_back(store).await;
    });
}

#[test]
fn a_copy_that_is_broken_off_goes_on() {
    run(async {
        let (store, _server) = fresh().await;
        copies::a_copy_that_is_broken_off_goes_on(store).await;
    });
}

#[test]
fn a_copy_that_is_killed_goes_on() {
    let start = || {
        let server = server::start(&[]);
        (server.port().to_string(), server)
    };
    copies::a_copy_that_is_killed_goes_on("a_copy_that_is_killed_goes_on", start, |port| opened(port.parse().unwrap()));
}

/// A server that has no room refuses writes, reads go on, and when there is room again so do writes.
#[test]
fn a_full_server_takes_no_writes() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let first = record(b"first");
        assert!(matches!(store.commit(commit(&key, &first)).await, Ok(Committed::Done(_))));
        server::tell(server.port(), &["CONFIG", "SET", "maxmemory", "1"]);
        let second = following(&first.meta, b"second");
        for _ in 0..2 {
            let refused = store.commit(commit(&key, &second)).await;
            assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
            assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&first));
        }
        server::tell(server.port(), &["CONFIG", "SET", "maxmemory", "0"]);
        assert!(matches!(store.commit(commit(&key, &second)).await, Ok(Committed::Done(_))));
        let told: Vec<_> = store
            .watch(&key.namespace, "", After::Cursor(Cursor::START))
            .take(2)
            .map(|event| event.unwrap().meta.rev.get())
            .collect()
            .await;
        assert_eq!(told, [1, 2], "what was refused was told");
    });
}

/// A server that cannot write its snapshots takes no writes by itself; when it can again, so do we.
#[test]
fn a_server_that_cannot_save_takes_no_writes() {
    run(async {
        let server = server::start(&["--appendonly", "no", "--save", "3600 1000000"]);
        let store = open(server.port()).await;
        let key = key("n", "k");
        let first = record(b"first");
        assert!(matches!(store.commit(commit(&key, &first)).await, Ok(Committed::Done(_))));
        let save = |wanted: &str, said: &str| {
            assert!(server.says(&[said], || server::tell(server.port(), &["BGSAVE"])), "it says another thing");
            let about: String = server::ask(server.port(), "INFO", &[b"persistence"]);
            assert!(about.contains(&format!("rdb_last_bgsave_status:{wanted}")), "{about}");
        };
        // A folder with something in it lies where the snapshot is to be, which stops even root.
        let [_, folder]: [String; 2] = server::ask(server.port(), "CONFIG", &[b"GET", b"dir"]);
        let in_the_way = std::path::Path::new(&folder).join("dump.rdb");
        std::fs::create_dir_all(in_the_way.join("full")).unwrap();
        save("err", "Background saving error");
        let second = following(&first.meta, b"second");
        for _ in 0..2 {
            let refused = store.commit(commit(&key, &second)).await;
            assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
            assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&first));
        }
        std::fs::remove_dir_all(&in_the_way).unwrap();
        save("ok", "Background saving terminated with success");
        assert!(matches!(store.commit(commit(&key, &second)).await, Ok(Committed::Done(_))));
    });
}

/// Scripts that the server does not know any more are sent again, and nothing happens twice.
#[test]
fn a_server_without_our_scripts_is_taught_them() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let mut last = record(b"0");
        for number in 1..5_u64 {
            assert!(matches!(store.commit(commit(&key, &last)).await, Ok(Committed::Done(_))));
            server::tell(server.port(), &["SCRIPT", "FLUSH"]);
            assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&last));
            server::tell(server.port(), &["SCRIPT", "FLUSH"]);
            last = following(&last.meta, number.to_string().as_bytes());
        }
    });
}

/// Changes that are not kept any more are missed by nobody in silence.
#[test]
fn a_watch_that_comes_too_late_is_told_so() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let mut last = record(b"0");
        for number in 0..20_u64 {
            assert!(matches!(store.commit(commit(&key, &last)).await, Ok(Committed::Done(_))));
            last = following(&last.meta, number.to_string().as_bytes());
        }
        server::tell(server.port(), &["XTRIM", "tw:{n}:changes", "MAXLEN", "=", "10"]);
        let after = |place| After::Cursor(Cursor::at(place));
        for gone in [0, 9] {
            let mut late = store.watch(&key.namespace, "", after(gone));
            assert_eq!(late.next().await, Some(Err(StoreError::CursorGone)));
            assert_eq!(late.next().await, None);
        }
        let mut in_time = store.watch(&key.namespace, "", after(10));
        assert_eq!(in_time.next().await.unwrap().unwrap().meta.rev.get(), 11);
        // A server that has lost everything is another store.
        server::tell(server.port(), &["FLUSHALL"]);
        let mut other = store.watch(&key.namespace, "", after(10));
        assert_eq!(other.next().await, Some(Err(StoreError::CursorGone)));
        assert!(matches!(store.commit(commit(&key, &last)).await, Ok(Committed::Lost(None))));
    });
}

/// What a foreign hand put there is damage, and nothing is half written because of it.
#[test]
fn foreign_data_is_found() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        server::tell(server.port(), &["SET", "tw:{n}:changes", "mine"]);
        let refused = store.commit(commit(&key, &record(b"0"))).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
        assert_eq!(store.head(&key).await, Ok(None));
        for head in [&"1".repeat(62), "1", ""] {
            server::tell(server.port(), &["HSET", "tw:{n}:heads", "k", head]);
            let read = store.head(&key).await;
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
            let read = store.revision(&key, Rev::FIRST).await;
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        }
    });
}

/// How the server is set up is told to whoever asks, and a password to nobody.
#[test]
fn facts_tell_what_can_be_lost_and_no_password() {
    run(async {
        let durable = server::start(&["--requirepass", "s3cret", "--maxmemory-policy", "noeviction"]);
        let address = format!("redis://:s3cret@127.0.0.1:{}/3", durable.port());
        let store = Redis::open(&RedisSettings { address: Secret::new(address), roots: None }).await.unwrap();
        let facts = store.facts();
        assert_eq!(facts.durability, Durability::Fsync);
        assert_eq!(facts.place, format!("127.0.0.1:{}/3", durable.port()));
        assert!(!format!("{facts:?}").contains("s3cret"));
        let loose = server::start(&["--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru"]);
        let facts = open(loose.port()).await.facts();
        assert_eq!(facts.durability, Durability::Server);
        assert!(facts.notes.iter().any(|note| note.contains("appendfsync always")), "{facts:?}");
        assert!(facts.notes.iter().any(|note| note.contains("noeviction")), "{facts:?}");
        for wrong in [format!("redis://:wr0ng@127.0.0.1:{}", durable.port()), "redis://127.0.0.1:1".to_owned()] {
            let error = Redis::open(&RedisSettings { address: Secret::new(wrong), roots: None }).await.err().unwrap();
            assert!(matches!(&error, StoreError::Unavailable(why) if !why.contains("wr0ng")), "{error:?}");
        }
        let error = Redis::open(&RedisSettings { address: Secret::new("http://s3cret".to_owned()), roots: None }).await;
        assert!(matches!(error.err(), Some(StoreError::Unsupported(_))));
    });
}

/// With TLS: the server's certificate has to go back to one that is trusted.
#[test]
fn tls_is_checked() {
    run(async {
        let certificate = servers::certificate();
        let server = server::start_with_tls(&certificate);
        let settings = |roots: Option<&servers::Certificate>| RedisSettings {
            address: Secret::new(format!("rediss://localhost:{}", server.port())),
            roots: roots.map(|roots| roots.certificate.clone().into_bytes()),
        };
        let store = Redis::open(&settings(Some(&certificate))).await.unwrap();
        let first = record(b"over TLS");
        assert!(matches!(store.commit(commit(&key("n", "k"), &first)).await, Ok(Committed::Done(_))));
        assert_eq!(store.head(&key("n", "k")).await.unwrap().as_deref(), Some(&first));
        for wrong in [None, Some(&servers::certificate())] {
            let error = Redis::open(&settings(wrong)).await.err();
            assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        }
    });
}

/// Commits that go together do not need each other: those whose callers have gone are done or not, and the others are done.
#[test]
fn a_caller_that_leaves_takes_nobody_with_it() {
    run(async {
        let (store, _server) = fresh().await;
        for round in 0..50 {
            let keys: Vec<Key> = (0..100).map(|number| key("n", &format!("{round}/{number}"))).collect();
            let mut stay = Vec::new();
            for (at, key) in keys.iter().enumerate() {
                let mut commit = store.commit(commit(key, &record(b"0")));
                // Asked for, and then waited for or left alone.
                let asked = commit.poll_unpin(&mut Context::from_waker(Waker::noop()));
                if asked.is_pending() && (at + round) % 3 == 0 {
                    stay.push((at, commit));
                }
            }
            for (at, commit) in stay {
                assert!(matches!(commit.await, Ok(Committed::Done(_))), "{at}");
                assert!(store.head(&keys[at]).await.unwrap().is_some());
            }
        }
    });
}

/// Those who waited for their turn and have gone, with nobody else who waits for the same call, keep no turn from others.
#[test]
fn callers_that_left_keep_no_turn() {
    run(async {
        let (store, server) = fresh().await;
        let asked = |namespace: &str| {
            let mut commit = store.commit(commit(&key(namespace, "k"), &record(b"0")));
            assert!(commit.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
            commit
        };
        // As many as may be on their way, and as many behind them; none has its answer before the server goes on.
        server.signal("STOP");
        let ahead = ["a", "b", "c"].map(asked);
        drop(["d", "e", "f"].map(asked));
        server.signal("CONT");
        for commit in ahead {
            assert!(matches!(commit.await, Ok(Committed::Done(_))));
        }
        for namespace in ["g", "d"] {
            let next = store.commit(commit(&key(namespace, "k"), &record(b"1")));
            let done = tokio::time::timeout(servers::PATIENCE / 6, next).await.expect("it gets its turn");
            assert!(matches!(done, Ok(Committed::Done(_))), "{namespace}: {done:?}");
        }
    });
}
