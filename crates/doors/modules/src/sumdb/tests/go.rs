//! What Go's own test server (`sumdb.NewTestServer` of x/mod, go 1.27.3) answers, with the key of Go's tests: each line of
//! `go-server.txt` is the size of the tree at that moment, a path, and the answer in base64.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::world::{Server, client, kept, must_have};

fn answers() -> Vec<(u64, &'static str, Vec<u8>)> {
    let lines = include_str!("go-server.txt").lines();
    lines
        .map(|line| {
            let mut parts = line.split(' ');
            let mut part = || parts.next().unwrap();
            (part().parse().unwrap(), part(), STANDARD.decode(part()).unwrap())
        })
        .collect()
}

/// The same records, in our own log.
fn server(size: u64) -> Arc<Server> {
    let server = Server::new();
    for number in 0..size {
        server.add(&format!("example.com/m{number}@v1.0.{number}"));
    }
    server
}

#[test]
fn the_log_of_these_tests_is_that_of_go() {
    let mut compared = 0;
    for (size, path, answer) in answers() {
        assert_eq!(server(size).honest(path).unwrap(), answer, "{path} of {size} records");
        compared += 1;
    }
    assert!(compared >= 30, "only {compared} answers");
}

#[tokio::test]
async fn what_go_answers_is_believed_through_all_its_sizes() {
    let kept = kept();
    let mut by_size: BTreeMap<u64, BTreeMap<&str, Vec<u8>>> = BTreeMap::new();
    for (size, path, answer) in answers() {
        by_size.entry(size).or_default().insert(path, answer);
    }
    // Full tiles of larger trees are those of smaller ones.
    let full = by_size[&300]["/tile/8/0/000"].clone();
    for (size, answers) in by_size {
        let server = Server::new();
        let (asked, full) = (answers.clone(), full.clone());
        server.change(move |path, _| {
            asked.get(path).cloned().or_else(|| (path == "/tile/8/0/000").then(|| full.clone()))
        });
        // A restart at each size: only what is kept connects them.
        let client = client(&server, &kept);
        kept.lookups.lock().clear();
        for of in answers.keys().filter_map(|path| path.strip_prefix("/lookup/")) {
            must_have(&client, of).await;
        }
        assert_eq!(kept.size(), Some(size));
    }
    assert!(kept.evidence().is_empty());
}
