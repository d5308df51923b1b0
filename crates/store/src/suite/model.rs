//! Any order of operations: the engine answers what the oracle answers.

use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use tradewind_core::UnixMillis;

use super::Memory;
use super::commits::{piece_id, rev};
use super::records::{EPOCH, commit, following, key, record, tombstone};
use crate::meta::Kind;
use crate::name::Key;
use crate::record::{Body, PieceId, Record};
use crate::store::{Commit, Committed, Expected, Pin, Store};

const OPERATIONS: usize = 400;
const NAMES: [&str; 5] = ["a", "a/1", "a/2", "b", "a0"];

/// 400 operations on five keys of two namespaces, by three seeds, each answer compared with the oracle's, and everything
/// that is kept after each.
pub async fn it_does_what_the_oracle_does(store: Arc<dyn Store>) {
    for seed in 1..=3 {
        let oracle = Memory::new();
        let namespaces = [format!("one{seed}"), format!("two{seed}")];
        let mut random = Rng::with_seed(seed);
        for step in 0..OPERATIONS {
            let key = key(&namespaces[random.usize(..2)], NAMES[random.usize(..NAMES.len())]);
            let what = operation(&*store, &oracle, &key, &mut random).await;
            compare(&*store, &oracle, &key, &format!("seed {seed}, step {step}: {what}")).await;
        }
    }
}

async fn operation(store: &dyn Store, oracle: &Memory, key: &Key, random: &mut Rng) -> &'static str {
    let head = oracle.head(key).await.expect("the oracle");
    let newest = head.as_ref().map_or(0, |head| head.meta.rev.get());
    let some = rev(random.u64(newest.saturating_sub(6)..=newest + 1).max(1));
    let time = UnixMillis(EPOCH.0 + random.u64(..2000));
    match random.u32(..20) {
        0 => {
            let keep = random.u32(1..6);
            assert_eq!(store.prune(key, keep).await, oracle.prune(key, keep).await);
            "prune"
        }
        1..=2 => {
            let record = oracle.revision(key, some).await.expect("the oracle");
            let pin = match record {
                Some(record) if random.bool() => Pin::On(Box::new(record)),
                _ => Pin::Off,
            };
            assert_eq!(store.pin(key, some, pin.clone()).await, oracle.pin(key, some, pin).await);
            "pin"
        }
        3 => {
            assert_eq!(store.extend(key, some, time).await, oracle.extend(key, some, time).await);
            "extend"
        }
        4 => {
            assert_eq!(store.forget(key, some).await, oracle.forget(key, some).await);
            "forget"
        }
        _ => {
            let commit = random_commit(store, key, head.as_deref(), time, random);
            let ours = store.commit(commit.clone()).await.expect("a commit");
            match (ours, oracle.commit(commit).await.expect("the oracle")) {
                (Committed::Done(_), Committed::Done(_)) => "a commit that was done",
                (Committed::Lost(ours), Committed::Lost(theirs)) => {
                    assert_eq!(ours, theirs);
                    "a commit that was lost"
                }
                (ours, theirs) => panic!("{key}: {ours:?}, where the oracle has {theirs:?}"),
            }
        }
    }
}

fn random_commit(store: &dyn Store, key: &Key, head: Option<&Record>, time: UnixMillis, random: &mut Rng) -> Commit {
    let body = vec![random.u8(..); random.usize(..300)];
    let mut next = head.map_or_else(|| record(&body), |head| following(&head.meta, &body));
    let mut pieces = Vec::new();
    match random.u32(..6) {
        0 if head.is_some_and(|head| !head.meta.kind.is_tombstone()) => {
            let kind = if random.bool() { Kind::Deleted } else { Kind::Expired };
            next = tombstone(&head.expect("it was looked at").meta, kind, time);
        }
        1..=2 => {
            let ids: Vec<PieceId> = (0..random.usize(1..5)).map(|_| piece_id(&[random.u8(..8)])).collect();
            let there = head.map_or(&[][..], |head| head.body.pieces());
            for id in &ids {
                if !there.contains(id) && !pieces.iter().any(|(other, _)| other == id) {
                    pieces.push((*id, Bytes::copy_from_slice(&id.0)));
                }
            }
            next.body = Body::Pieces(ids);
        }
        3 => next.meta.expires_at = Some(time),
        _ => {}
    }
    let again = head.filter(|head| store.facts().rewrites && matches!(head.body, Body::Whole(_)) && random.bool());
    let parent_again = again.map(|head| {
        let bytes = Bytes::from_static(b"made small");
        Record { meta: head.meta.clone(), body: Body::Delta { on: next.meta.rev, bytes } }
    });
    let right = next.meta.parent.map_or(Expected::Absent, Expected::At);
    let expected = match random.u32(..10) {
        0 => Expected::Absent,
        1 => Expected::At(rev(random.u64(1..=next.meta.rev.get()))),
        _ => right,
    };
    // A commit that goes through by luck has to bring what it names.
    if expected != right {
        let brought = next.body.pieces().to_vec();
        pieces = brought.iter().map(|id| (*id, Bytes::copy_from_slice(&id.0))).collect();
        pieces.sort_unstable_by_key(|(id, _)| *id);
        pieces.dedup_by_key(|(id, _)| *id);
    }
    Commit { expected, parent_again, pieces, keep: random.u32(1..8), ..commit(key, &next) }
}

async fn compare(store: &dyn Store, oracle: &Memory, key: &Key, what: &str) {
    assert_eq!(store.head(key).await, oracle.head(key).await, "{what}");
    let history = oracle.history(key, None, 50).await;
    assert_eq!(store.history(key, None, 50).await, history, "{what}");
    let mut newest_first = history.expect("the oracle");
    newest_first.truncate(4);
    for revision in newest_first {
        let rev = revision.meta.rev;
        assert_eq!(store.revision(key, rev).await, oracle.revision(key, rev).await, "{what}");
    }
    for (prefix, after) in [("", None), ("a/", None), ("a", Some("a/1"))] {
        let ours = store.list(&key.namespace, prefix, after, 3).await;
        assert_eq!(ours, oracle.list(&key.namespace, prefix, after, 3).await, "{what}");
    }
    for after in [None, Some("a/1")] {
        let ours = store.keys(&key.namespace, after, 3).await;
        assert_eq!(ours, oracle.keys(&key.namespace, after, 3).await, "{what}");
    }
    let ids: Vec<PieceId> = (0..8).map(|number| piece_id(&[number])).collect();
    let (ours, theirs) = (store.pieces(&key.namespace, &ids).await, oracle.pieces(&key.namespace, &ids).await);
    for ((id, ours), theirs) in ids.iter().zip(ours.expect("pieces")).zip(theirs.expect("the oracle")) {
        // One that sweeps may have more.
        if theirs.is_some() || store.facts().rewrites {
            assert_eq!(ours, theirs, "{what}: {id}");
        }
    }
    // Of all namespaces at once: what is due in those of this seed.
    let now = UnixMillis(EPOCH.0 + 1000);
    let mut ours = store.due(now, 10_000).await.expect("what is due");
    let mut theirs = oracle.due(now, 10_000).await.expect("the oracle");
    let seed = &key.namespace.as_str()[3..];
    ours.retain(|(key, _)| key.namespace.as_str().ends_with(seed));
    assert!(ours.windows(2).all(|pair| pair[0].1.expires_at <= pair[1].1.expires_at), "{what}");
    ours.sort_by(|one, other| one.0.cmp(&other.0));
    theirs.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(ours, theirs, "{what}");
}
