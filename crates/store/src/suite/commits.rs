//! Commits, what they leave behind, and pins.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::UnixMillis;

use super::records::{EPOCH, commit, following, key, record, tombstone};
use crate::meta::{Kind, MAX_BY, MAX_CONTENT_TYPE, Meta, Nonce, Schema};
use crate::name::{Epoch, Key, Rev};
use crate::record::{Body, PieceId, Record};
use crate::store::{Committed, Expected, Pin, Store};

/// Commits a record that has to win.
pub(super) async fn done(store: &dyn Store, key: &Key, record: &Record) {
    let committed = store.commit(commit(key, record)).await.expect("a commit");
    assert!(matches!(committed, Committed::Done(_)), "{key} at {:?}: {committed:?}", record.meta.rev);
}

/// Commits `count` revisions, the first of the key; the last one's meta.
pub(super) async fn several(store: &dyn Store, key: &Key, count: u64) -> Meta {
    let mut last = record(b"1");
    done(store, key, &last).await;
    for number in 2..=count {
        last = following(&last.meta, number.to_string().as_bytes());
        done(store, key, &last).await;
    }
    last.meta
}

pub(super) fn rev(number: u64) -> Rev {
    Rev::new(number).expect("a number from 1 on")
}

async fn numbers(store: &dyn Store, key: &Key) -> Vec<u64> {
    let history = store.history(key, None, 100).await.expect("a history");
    history.iter().map(|revision| revision.meta.rev.get()).collect()
}

/// Every field of a record is kept, and so are odd bodies.
pub async fn a_record_comes_back_as_it_was(store: Arc<dyn Store>) {
    let key = key("n", "all/fields");
    let mut first = record(b"");
    first.meta.content_type = Arc::from("application/vnd.example+json; charset=utf-8; v=\"1\"");
    first.meta.schema = Some(Schema::new("thread/state", 4_000_000_000).expect("a schema"));
    first.meta.expires_at = Some(UnixMillis(EPOCH.0 + 86_400_000));
    first.meta.sliding = Some(Duration::from_millis(86_400_001));
    first.meta.epoch = Epoch::new(7).expect("an epoch");
    first.meta.by = Some(Arc::from("schlüssel 1"));
    first.meta.handoff = Some(Nonce([0xa5; 16]));
    done(&*store, &key, &first).await;
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&first));
    assert_eq!(store.revision(&key, Rev::FIRST).await.expect("a revision"), Some(first.clone()));
    let mut second = following(&first.meta, b"");
    second.body = Body::Whole(Bytes::from((0..=255).cycle().take(70_000).collect::<Vec<u8>>()));
    done(&*store, &key, &second).await;
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&second));
    assert_eq!(store.revision(&key, Rev::FIRST).await.expect("a revision"), Some(first.clone()));
    let history = store.history(&key, None, 10).await.expect("a history");
    let metas: Vec<&Meta> = history.iter().map(|revision| &revision.meta).collect();
    assert_eq!(metas, [&second.meta, &first.meta]);
}

/// A commit happens on the head it names and on no other, and who loses is told what is there.
pub async fn a_commit_needs_its_head(store: Arc<dyn Store>) {
    let key = key("n", "k");
    let first = record(b"first");
    let lost = |committed: Committed| match committed {
        Committed::Lost(head) => head.map(|head| (*head).clone()),
        Committed::Done(_) => panic!("a commit on another head was done"),
    };
    let mut early = following(&first.meta, b"early");
    assert_eq!(lost(store.commit(commit(&key, &early)).await.expect("a commit")), None);
    assert_eq!(store.head(&key).await.expect("a head"), None);
    done(&*store, &key, &first).await;
    assert_eq!(lost(store.commit(commit(&key, &record(b"other"))).await.expect("a commit")), Some(first.clone()));
    let second = following(&first.meta, b"second");
    done(&*store, &key, &second).await;
    let others = [Expected::At(rev(1)), Expected::At(rev(3)), Expected::At(rev(Rev::MAX - 1))];
    // The right number of another life of the key, and the right chain with another number.
    let chains = [Expected::Is(rev(2), first.meta.chain), Expected::Is(rev(1), second.meta.chain)];
    for expected in [Expected::Absent].into_iter().chain(others).chain(chains) {
        early.meta.rev = rev(Rev::MAX);
        let attempt = crate::store::Commit { expected, ..commit(&key, &early) };
        assert_eq!(lost(store.commit(attempt).await.expect("a commit")), Some(second.clone()), "{expected:?}");
    }
    assert_eq!(numbers(&*store, &key).await, [2, 1]);
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&second));
    let third = following(&second.meta, b"third");
    let attempt = crate::store::Commit { expected: Expected::head(Some(&second.meta)), ..commit(&key, &third) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&third));
}

/// Numbers are taken as they come, so that a copy from another engine keeps them.
pub async fn numbers_are_the_caller_s(store: Arc<dyn Store>) {
    let key = key("n", "copied");
    let mut first = record(b"fifth");
    first.meta.rev = rev(5);
    first.meta.parent = Some(rev(4));
    let attempt = crate::store::Commit { expected: Expected::Absent, keep: u32::MAX, ..commit(&key, &first) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    let mut second = following(&first.meta, b"ninth");
    second.meta.rev = rev(9);
    let attempt = crate::store::Commit { keep: u32::MAX, ..commit(&key, &second) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(numbers(&*store, &key).await, [9, 5]);
    // By number: of the last four, 6 to 9, there is one.
    assert_eq!(store.prune(&key, 4).await.expect("a prune"), 1);
    assert_eq!(numbers(&*store, &key).await, [9]);
}

/// Each commit prunes; a history is read in pages.
pub async fn a_history_is_bounded(store: Arc<dyn Store>) {
    let key = key("n", "long");
    let last = several(&*store, &key, 40).await;
    let newest: Vec<u64> = (9..=40).rev().collect();
    assert_eq!(numbers(&*store, &key).await, newest);
    assert_eq!(store.revision(&key, rev(8)).await.expect("a revision"), None);
    assert_eq!(store.revision(&key, rev(9)).await.expect("a revision").map(|record| record.meta.rev), Some(rev(9)));
    let page = store.history(&key, Some(rev(20)), 5).await.expect("a history");
    let page: Vec<u64> = page.iter().map(|revision| revision.meta.rev.get()).collect();
    assert_eq!(page, [19, 18, 17, 16, 15]);
    assert!(store.history(&key, Some(rev(9)), 5).await.expect("a history").is_empty());
    let next = following(&last, b"next");
    let attempt = crate::store::Commit { keep: 3, ..commit(&key, &next) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(numbers(&*store, &key).await, [41, 40, 39]);
    assert_eq!(store.prune(&key, 2).await.expect("a prune"), 1);
    assert_eq!(store.prune(&key, 2).await.expect("a prune"), 0);
    assert_eq!(store.prune(&key, 1).await.expect("a prune"), 1);
    assert_eq!(numbers(&*store, &key).await, [41]);
    let only = crate::store::Commit { keep: 1, ..commit(&key, &following(&next.meta, b"only")) };
    assert!(matches!(store.commit(only).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(numbers(&*store, &key).await, [42]);
}

/// What was read in another life of a key is not pinned in this one: it would take the place of what is there.
pub async fn a_pin_is_of_one_life(store: Arc<dyn Store>) {
    let key = key("n", "pinned");
    for (number, name) in (1..=2).zip(["one", "other"]) {
        let content = format!("first of {name}");
        let first = record(content.as_bytes());
        done(&*store, &key, &first).await;
        let second = following(&first.meta, b"second");
        done(&*store, &key, &second).await;
        for of_other in ["one", "other"].into_iter().filter(|other| *other != name) {
            let first = record(format!("first of {of_other}").as_bytes());
            let second = following(&first.meta, b"second");
            for other in [first, second] {
                let rev = other.meta.rev;
                assert_eq!(store.pin(&key, rev, Pin::On(Box::new(other))).await, Ok(false), "{number}");
            }
        }
        assert_eq!(store.revision(&key, rev(1)).await, Ok(Some(first.clone())));
        assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&second));
        let history = store.history(&key, None, 9).await.expect("a history");
        assert!(history.len() == 2 && history.iter().all(|revision| !revision.pinned), "{history:?}");
        assert_eq!(store.pin(&key, rev(1), Pin::On(Box::new(first))).await, Ok(true));
        let gone = tombstone(&second.meta, Kind::Deleted, EPOCH);
        done(&*store, &key, &gone).await;
        assert_eq!(store.forget(&key, gone.meta.rev).await, Ok(true));
    }
}

/// Pinned revisions stay until they are let go of.
pub async fn pins_hold(store: Arc<dyn Store>) {
    let key = key("n", "pinned");
    let last = several(&*store, &key, 3).await;
    let mut whole = store.revision(&key, rev(1)).await.expect("a revision").expect("it is kept");
    whole.body = Body::Whole(Bytes::from_static(b"made whole"));
    assert!(store.pin(&key, rev(1), Pin::On(Box::new(whole.clone()))).await.expect("a pin"));
    assert!(!store.pin(&key, rev(9), Pin::Off).await.expect("a pin"));
    let fourth = following(&last, b"4");
    let attempt = crate::store::Commit { keep: 1, ..commit(&key, &fourth) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(numbers(&*store, &key).await, [4, 1]);
    assert_eq!(store.revision(&key, rev(1)).await.expect("a revision"), Some(whole));
    let pinned: Vec<bool> =
        store.history(&key, None, 9).await.expect("a history").iter().map(|revision| revision.pinned).collect();
    assert_eq!(pinned, [false, true]);
    assert_eq!(store.prune(&key, 1).await.expect("a prune"), 0);
    assert!(store.pin(&key, rev(1), Pin::Off).await.expect("a pin"));
    assert_eq!(numbers(&*store, &key).await, [4, 1]);
    done(&*store, &key, &following(&fourth.meta, b"5")).await;
    assert_eq!(numbers(&*store, &key).await, [5, 4, 1]);
    assert_eq!(store.prune(&key, 2).await.expect("a prune"), 1);
    // A pinned head stays when it is the head no more.
    let head = store.head(&key).await.expect("a head").expect("it is there");
    assert!(store.pin(&key, rev(5), Pin::On(Box::new((*head).clone()))).await.expect("a pin"));
    let attempt = crate::store::Commit {
        keep: 1,
        parent_again: Some(Record {
            meta: head.meta.clone(),
            body: Body::Delta { on: rev(6), bytes: Bytes::from_static(b"?") },
        }),
        ..commit(&key, &following(&head.meta, b"6"))
    };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(numbers(&*store, &key).await, [6, 5]);
    assert_eq!(store.revision(&key, rev(5)).await.expect("a revision").as_ref(), Some(&*head));
}

/// The parent's body is replaced with the commit that makes it the parent, or stays.
pub async fn a_parent_is_made_small(store: Arc<dyn Store>) {
    let key = key("n", "small");
    let first = record(b"the parent");
    done(&*store, &key, &first).await;
    let later = UnixMillis(EPOCH.0 + 9_000_000);
    let mut second = following(&first.meta, b"the child");
    second.meta.expires_at = Some(UnixMillis(EPOCH.0 + 5_000_000));
    let small = Body::Delta { on: rev(2), bytes: Bytes::from_static(b"-") };
    let again = Record { meta: first.meta.clone(), body: small.clone() };
    let attempt = crate::store::Commit { parent_again: Some(again.clone()), ..commit(&key, &second) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    let kept = store.revision(&key, rev(1)).await.expect("a revision");
    assert_eq!(kept.as_ref(), Some(if store.facts().rewrites { &again } else { &first }));
    // Only the body is taken: an end that was moved meanwhile stays moved.
    assert!(store.extend(&key, rev(2), later).await.expect("an end"));
    let again = Record { meta: second.meta.clone(), body: Body::Delta { on: rev(3), bytes: Bytes::from_static(b"-") } };
    let third = following(&second.meta, b"the grandchild");
    let attempt = crate::store::Commit { parent_again: Some(again), ..commit(&key, &third) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    let kept = store.revision(&key, rev(2)).await.expect("a revision").expect("it is kept");
    assert_eq!(kept.meta.expires_at, Some(later));
    assert_eq!(kept.meta.chain, second.meta.chain);
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&third));
}

/// What [`State`](crate::State) writes at most: 64 KiB of content that cannot be packed, sealed, with the longest names; the
/// names of 2,048 pieces; a piece of 128 KiB.
pub async fn the_largest_records_fit(store: Arc<dyn Store>) {
    let key = key(&"n".repeat(64), &"k".repeat(512));
    let mut first = record(b"");
    first.meta.content_type = Arc::from("a/".to_owned() + &"b".repeat(MAX_CONTENT_TYPE - 2));
    first.meta.by = Some(Arc::from("b".repeat(MAX_BY)));
    let mut noise = vec![0; (64 << 10) + 128];
    fastrand::Rng::with_seed(1).fill(&mut noise);
    first.body = Body::Whole(noise.into());
    done(&*store, &key, &first).await;
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&first));
    let mut second = following(&first.meta, b"");
    let ids: Vec<PieceId> = (0..2048_u32).map(|number| piece_id(&number.to_be_bytes())).collect();
    second.body = Body::Pieces(ids.clone());
    let mut large = vec![0; (128 << 10) + 128];
    fastrand::Rng::with_seed(2).fill(&mut large);
    let large = Bytes::from(large);
    let pieces = ids.iter().map(|id| (*id, if *id == ids[7] { large.clone() } else { Bytes::from_static(b"p") }));
    let attempt = crate::store::Commit { pieces: pieces.collect(), ..commit(&key, &second) };
    assert!(matches!(store.commit(attempt).await.expect("a commit"), Committed::Done(_)));
    assert_eq!(store.head(&key).await.expect("a head").as_deref(), Some(&second));
    let kept = store.pieces(&key.namespace, &ids).await.expect("pieces");
    assert_eq!(kept.len(), ids.len());
    assert!(kept.iter().all(Option::is_some));
    assert_eq!(kept[7].as_ref(), Some(&large));
}

pub(super) fn piece_id(of: &[u8]) -> PieceId {
    PieceId(crate::name::Hash::of(of).0)
}
