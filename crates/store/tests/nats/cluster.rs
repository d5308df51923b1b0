//! Three NATS servers that keep everything three times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::task::JoinSet;
use tradewind_store::nats::{Nats, NatsSettings};
use tradewind_store::suite::{following, key, record, run};
use tradewind_store::{Body, Key, Record, Store, StoreError};

use crate::server;
use crate::servers::{PATIENCE, faults};

/// A store over the server at this port; a cluster takes a while until it has found itself.
async fn open(port: u16) -> Arc<dyn Store> {
    let settings = NatsSettings { replicas: 3, ..crate::settings(port) };
    let begun = Instant::now();
    loop {
        match Nats::open(&settings).await {
            Ok(store) => return Arc::new(store),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

fn opened(port: u16) -> BoxFuture<'static, Arc<dyn Store>> {
    open(port).boxed()
}

/// The one of three servers that 64 writers are connected to is killed under them, again and again.
#[test]
fn a_cluster_loses_a_server() {
    run(async {
        let [one, _two, _three] = server::cluster();
        faults::nothing_acknowledged_is_lost(one, opened, 4).await;
    });
}

#[test]
fn two_gateways_race() {
    run(async {
        let [one, _two, _three] = server::cluster();
        faults::two_gateways_race(one, opened).await;
    });
}

/// A server that was away for a while does not tell what it knew before.
#[test]
fn a_server_that_lags_tells_nothing_old() {
    run(async {
        let servers = server::cluster();
        let stores = join_all(servers.iter().map(|server| open(server.port()))).await;
        let key = key("n", "k");
        let mut last: Record = record(b"first");
        faults::until_done(&*stores[0], &key, &last).await;
        for lagging in 0..3 {
            servers[lagging].signal("STOP");
            // More than fits into what lies between two servers: when it goes on, it has to catch up.
            for number in 0..60_u8 {
                let mut next = following(&last.meta, b"");
                next.body = Body::Whole(Bytes::from(vec![number; 500_000]));
                faults::until_done(&*stores[(lagging + 1) % 3], &key, &next).await;
                last = next;
            }
            servers[lagging].signal("CONT");
            let store = &stores[lagging];
            let history = patient(async || store.history(&key, None, 10).await).await;
            assert_eq!(history[0].meta, last.meta);
            let listed = patient(async || store.list(&key.namespace, "", None, 10).await).await;
            assert_eq!(listed[0].1.as_ref(), Ok(&last.meta));
        }
    });
}

/// A server that slept while another was elected takes itself for the leader when it wakes up. Whoever asks it then is told
/// nothing that is older than what was acknowledged before.
#[test]
fn a_leader_that_slept_tells_nothing_old() {
    run(async {
        let servers = server::cluster();
        let stores = join_all(servers.iter().map(|server| open(server.port()))).await;
        let key = key("n", "k");
        let mut last: Record = record(b"first");
        faults::until_done(&*stores[0], &key, &last).await;
        let acknowledged = Arc::new(AtomicU64::new(1));
        // There is always somebody who has just asked each server.
        let mut readers = JoinSet::new();
        for reader in 0..12 {
            let (store, key, acknowledged) = (stores[reader % 3].clone(), key.clone(), acknowledged.clone());
            readers.spawn(async move {
                let mut answered = 0;
                loop {
                    let least = acknowledged.load(Ordering::SeqCst);
                    if least == u64::MAX {
                        return answered;
                    }
                    if let Some(rev) = read(&*store, &key, reader / 3).await {
                        assert!(rev >= least, "{rev} was told by {} after {least} was acknowledged", reader % 3);
                        answered += 1;
                    }
                }
            });
        }
        for sleeping in [0, 1, 2, 0, 1, 2] {
            servers[sleeping].signal("STOP");
            for _ in 0..3 {
                let next = following(&last.meta, b"more");
                faults::until_done(&*stores[(sleeping + 1) % 3], &key, &next).await;
                acknowledged.store(next.meta.rev.get(), Ordering::SeqCst);
                last = next;
            }
            servers[sleeping].signal("CONT");
            // It is back when it knows the last one.
            while patient(async || stores[sleeping].head(&key).await).await.is_none_or(|head| head.meta != last.meta) {}
        }
        acknowledged.store(u64::MAX, Ordering::SeqCst);
        for answered in readers.join_all().await {
            assert!(answered > 0);
        }
    });
}

/// The newest revision, as one of several ways to read tells it; nothing where the store cannot be used.
async fn read(store: &dyn Store, key: &Key, way: usize) -> Option<u64> {
    let found = match way {
        0 | 1 => store.head(key).await.map(|head| head.map(|head| head.meta.rev)),
        2 => store.history(key, None, 10).await.map(|kept| kept.first().map(|newest| newest.meta.rev)),
        _ => store.list(&key.namespace, "", None, 10).await.map(|mut keys| Some(keys.pop()?.1.unwrap().rev)),
    };
    match found {
        Ok(found) => Some(found.map_or(0, |rev| rev.get())),
        Err(StoreError::Unavailable(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

/// Reads until somebody answers.
async fn patient<T>(read: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match read().await {
            Ok(found) => return found,
            Err(StoreError::Unavailable(why)) => assert!(begun.elapsed() < PATIENCE, "{why}"),
            Err(other) => panic!("{other}"),
        }
        tokio::task::yield_now().await;
    }
}
