//! kill -9 in a loop under 64 writers: nothing that was acknowledged is lost, and nothing is half there.
//!
//! The child is this very test. It tells of each write when it was acknowledged; the parent kills it in the middle, opens
//! the store and compares. The next child goes on where the last one was killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use tradewind_store::{Body, Commit, Committed, Durability, Expected, Hash, Key, PieceId, Record, Store};

use crate::support::{Engine, block_on, content, is_sound, key, of_pieces, whole};

const CHILD: &str = "TRADEWIND_TEST_STATE";
const WRITERS: usize = 64;
const ROUNDS: usize = 6;
const KEEP: u32 = 16;

/// Every eighth revision is made of two pieces, one of which the key shares with all others.
fn value(name: &str, number: u64) -> (Record, Vec<(PieceId, Bytes)>) {
    let length = 200 + (number as usize * 331) % 6_000;
    let content = content(name, number, length);
    if !number.is_multiple_of(8) {
        return (whole(number, &content), Vec::new());
    }
    let pieces = [vec![7; 5_000], content];
    let brought = pieces.iter().map(|piece| (PieceId(Hash::of(piece).0), Bytes::from(piece.clone()))).collect();
    (of_pieces(number, &pieces), brought)
}

async fn writer(store: Arc<dyn Store>, number: usize) {
    // Keys of one's own, and some that all want.
    let own = format!("own/{number}");
    let shared = format!("shared/{}", number % 4);
    for turn in 0_u64.. {
        let name = if turn % 5 == 4 { &shared } else { &own };
        let key = key(name);
        let head = store.head(&key).await.unwrap();
        if let Some(head) = &head {
            assert!(is_sound(head), "a torn read of {key}");
        }
        let next = head.map_or(1, |head| head.meta.rev.get() + 1);
        let (record, pieces) = value(name, next);
        let expected = record.meta.parent.map_or(Expected::Absent, Expected::At);
        let commit = Commit { key, expected, record, parent_again: None, pieces, keep: KEEP };
        if let Committed::Done(_) = store.commit(commit).await.unwrap() {
            // One call, so that a line is there whole or not at all.
            std::io::stdout().write_all(format!("done {name} {next}\n").as_bytes()).unwrap();
        }
    }
}

fn write_for_ever(engine: Engine, durability: Durability, folder: &Path) {
    let store = engine.open(folder, durability);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..WRITERS {
            writers.spawn(writer(store.clone(), number));
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    });
}

/// All of a store is what these writers write.
async fn verify(store: &dyn Store, acknowledged: &HashMap<String, u64>) -> usize {
    let mut seen = 0;
    for (name, number) in acknowledged {
        let head = store.head(&key(name)).await.unwrap().unwrap_or_else(|| panic!("{name} is lost"));
        assert!(head.meta.rev.get() >= *number, "{name}: {number} was acknowledged, {} is there", head.meta.rev);
    }
    for (key, head) in store.list(&key("x").namespace, "", None, 1_000).await.unwrap() {
        let history = store.history(&key, None, 1_000).await.unwrap();
        let numbers: Vec<u64> = history.iter().map(|kept| kept.meta.rev.get()).collect();
        let head = head.unwrap();
        let oldest = head.rev.get().saturating_sub(u64::from(KEEP)) + 1;
        assert_eq!(numbers, (oldest..=head.rev.get()).rev().collect::<Vec<_>>(), "the history of {key} has no hole");
        for kept in history {
            seen += 1;
            check(store, &key, &store.revision(&key, kept.meta.rev).await.unwrap().unwrap()).await;
        }
    }
    seen
}

async fn check(store: &dyn Store, key: &Key, record: &Record) {
    let (wanted, brought) = value(key.name(), record.meta.rev.get());
    assert_eq!(*record, wanted, "{key}");
    if let Body::Pieces(ids) = &record.body {
        let found = store.pieces(&key.namespace, ids).await.unwrap();
        assert_eq!(found, brought.into_iter().map(|(_, bytes)| Some(bytes)).collect::<Vec<_>>(), "{key}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
fn killed(engine: Engine, durability: Durability, test: &str) {
    if let Some(folder) = std::env::var_os(CHILD) {
        return write_for_ever(engine, durability, Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        // A different moment each time; the child is in the middle of many writes.
        let enough = if durability == Durability::Fsync { 700 + 511 * round } else { 4_000 + 7_919 * round };
        let mut count = 0;
        for line in lines {
            let line = String::from_utf8(line.unwrap()).unwrap();
            let Some((name, number)) = line.strip_prefix("done ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let number: u64 = number.parse().unwrap();
            let last = acknowledged.entry(name.to_owned()).or_insert(0);
            *last = number.max(*last);
            count += 1;
            if count == enough {
                child.kill().unwrap();
            }
        }
        assert!(count >= enough, "the child ended by itself");
        child.wait().unwrap();
        let seen = block_on(async {
            let store = engine.open(folder.path(), durability);
            let seen = verify(&*store, &acknowledged).await;
            store.close().await.unwrap();
            seen
        });
        assert!(seen >= acknowledged.len());
    }
}

#[test]
fn killed_sqlite_on_disk() {
    killed(Engine::Sqlite, Durability::Fsync, "kill::killed_sqlite_on_disk");
}

#[test]
fn killed_sqlite_in_buffers() {
    killed(Engine::Sqlite, Durability::Os, "kill::killed_sqlite_in_buffers");
}

#[test]
fn killed_wal_on_disk() {
    killed(Engine::Wal, Durability::Fsync, "kill::killed_wal_on_disk");
}

#[test]
fn killed_wal_in_buffers() {
    killed(Engine::Wal, Durability::Os, "kill::killed_wal_in_buffers");
}
