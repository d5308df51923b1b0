//! Many lookups at once, while the database grows.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{join_all, poll_immediate};
use tokio::task::JoinSet;

use super::world::{Server, client, kept, must_have, sums, version};

#[tokio::test]
async fn lookups_at_once_fetch_each_tile_once() {
    let (server, kept) = (Server::new(), kept());
    for number in 0..300 {
        server.add(&format!("example.com/m{number}@v1.0.0"));
    }
    let client = client(&server, &kept);
    let names: Vec<String> = (0..300).map(|number| format!("example.com/m{number}@v1.0.0")).collect();
    join_all(names.iter().map(|of| must_have(&client, of))).await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for path in server.asked() {
        *times.entry(path).or_default() += 1;
    }
    assert_eq!(times.len(), 303, "300 lookups and three tiles");
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(kept.size(), Some(300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn growing_heads_are_merged_into_one_timeline() {
    let (server, kept) = (Server::new(), kept());
    for number in 0..400 {
        server.grow(number % 5);
        let of = format!("example.com/m{number}@v1.0.0");
        server.add(&of);
        // Each answer has another head.
        server.freeze(&of, server.size());
    }
    let last = server.size();
    // Two processes that keep in one place, and eight tasks of each.
    let clients = [Arc::new(client(&server, &kept)), Arc::new(client(&server, &kept))];
    let mut tasks = JoinSet::new();
    for task in 0..16_usize {
        let client = clients[task % 2].clone();
        tasks.spawn(async move {
            for step in 0..50 {
                // Forwards and backwards through the history.
                let number = if task % 3 == 0 { (step * 7 + task * 31) % 400 } else { (400 - step * 8 + task) % 400 };
                let of = format!("example.com/m{number}@v1.0.0");
                assert_eq!(client.lookup(&version(&of)).await.unwrap(), sums(&of));
            }
            // And the last one, so that every task ends up there.
            must_have(&client, "example.com/m399@v1.0.0").await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(kept.size(), Some(last));
    assert!(kept.evidence().is_empty());
}

#[tokio::test]
async fn whoever_waits_is_not_let_down_by_whoever_goes() {
    let (server, kept) = (Server::new(), kept());
    for number in 0..20 {
        server.add(&format!("example.com/m{number}@v1.0.0"));
    }
    let client = client(&server, &kept);
    for stops_after in 0..30 {
        kept.tiles.lock().clear();
        kept.lookups.lock().clear();
        let versions = [version("example.com/m1@v1.0.0"), version("example.com/m2@v1.0.0")];
        let mut first = Box::pin(client.lookup(&versions[0]).fuse());
        let mut second = Box::pin(client.lookup(&versions[1]));
        for _ in 0..stops_after {
            let _ = poll_immediate(&mut first).await;
            if poll_immediate(&mut second).await.is_some() {
                second = Box::pin(client.lookup(&versions[1]));
            }
        }
        drop(first);
        assert_eq!(second.await.unwrap(), sums("example.com/m2@v1.0.0"), "after {stops_after} steps");
    }
}

#[tokio::test]
async fn one_failure_is_told_to_all_who_wait_and_not_to_those_after_them() {
    let (server, kept) = (Server::new(), kept());
    for number in 0..20 {
        server.add(&format!("example.com/m{number}@v1.0.0"));
    }
    let client = client(&server, &kept);
    server.change(|path, honest| honest.filter(|_| !path.starts_with("/tile/")));
    // Names of one length: all of them come to the tile at the same time.
    let names: Vec<String> = (10..20).map(|number| format!("example.com/m{number}@v1.0.0")).collect();
    let versions: Vec<_> = names.iter().map(|of| version(of)).collect();
    let failures = join_all(versions.iter().map(|of| client.lookup(of).map(|found| found.unwrap_err()))).await;
    assert_eq!(failures.len(), 10);
    let partial = server.asked().iter().filter(|path| *path == "/tile/8/0/000.p/20").count();
    assert_eq!(partial, 1, "they have waited for one answer");
    server.be_honest();
    join_all(names.iter().map(|of| must_have(&client, of))).await;
}
