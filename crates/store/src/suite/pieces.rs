//! Pieces: shared by whatever names them, and gone with the last that does.

use std::sync::Arc;

use bytes::Bytes;

use super::commits::{done, piece_id, several};
use super::records::{EPOCH, commit, following, key, record, tombstone};
use crate::meta::{Kind, Meta};
use crate::name::Key;
use crate::record::{Body, PieceId};
use crate::store::{Commit, Committed, Pin, Store};

/// The bytes of a piece of this name.
fn bytes(name: &str) -> Bytes {
    Bytes::from(format!("the bytes of {name}"))
}

/// Commits a revision made of `names`, of which the `fresh` come with it.
async fn long(store: &dyn Store, key: &Key, parent: Option<&Meta>, names: &[&str], fresh: &[&str], keep: u32) -> Meta {
    let mut next = parent.map_or_else(|| record(b""), |parent| following(parent, b""));
    next.body = Body::Pieces(names.iter().map(|name| piece_id(name.as_bytes())).collect());
    let pieces = fresh.iter().map(|name| (piece_id(name.as_bytes()), bytes(name))).collect();
    let committed = store.commit(Commit { pieces, keep, ..commit(key, &next) }).await.expect("a commit");
    assert!(matches!(committed, Committed::Done(_)));
    next.meta
}

/// Which of `names` are there.
async fn there<'a>(store: &dyn Store, key: &Key, names: &[&'a str]) -> Vec<&'a str> {
    let ids: Vec<PieceId> = names.iter().map(|name| piece_id(name.as_bytes())).collect();
    let found = store.pieces(&key.namespace, &ids).await.expect("pieces");
    assert_eq!(found.len(), names.len());
    for (name, found) in names.iter().zip(&found) {
        assert!(found.as_ref().is_none_or(|found| *found == bytes(name)), "{name}");
    }
    names.iter().zip(found).filter(|(_, found)| found.is_some()).map(|(name, _)| *name).collect()
}

/// Asserts that these are gone, for engines that drop pieces with the commit; those that cannot rewrite sweep them later.
async fn gone(store: &dyn Store, key: &Key, names: &[&str]) {
    if store.facts().rewrites {
        assert_eq!(there(store, key, names).await, [""; 0]);
    }
}

/// Two keys of a namespace share what both name; another namespace has its own.
pub async fn pieces_are_shared(store: Arc<dyn Store>) {
    let store = &*store;
    let (one, two, other) = (key("n", "one"), key("n", "two"), key("other", "one"));
    let first = long(store, &one, None, &["a", "b", "a"], &["a", "b"], 32).await;
    // A piece that is there already may come again.
    let second = long(store, &two, None, &["b", "c"], &["b", "c"], 32).await;
    assert_eq!(there(store, &one, &["a", "b", "c"]).await, ["a", "b", "c"]);
    assert_eq!(there(store, &other, &["a", "b", "c"]).await, [""; 0]);
    long(store, &other, None, &["a"], &["a"], 32).await;
    // The first key lets go of both: one of them is named by the second key still.
    let deleted = tombstone(&first, Kind::Deleted, EPOCH);
    done(store, &one, &deleted).await;
    assert_eq!(there(store, &one, &["a", "b", "c"]).await, ["a", "b", "c"]);
    assert_eq!(store.prune(&one, 1).await, Ok(1));
    gone(store, &one, &["a"]).await;
    assert_eq!(there(store, &one, &["b", "c"]).await, ["b", "c"]);
    assert_eq!(there(store, &other, &["a"]).await, ["a"]);
    // And what was let go of can come again.
    long(store, &one, Some(&deleted.meta), &["a", "c"], &["a", "c"], 1).await;
    assert_eq!(there(store, &one, &["a", "b", "c"]).await, ["a", "b", "c"]);
    long(store, &two, Some(&second), &["a"], &["a"], 1).await;
    gone(store, &one, &["b"]).await;
    assert_eq!(there(store, &one, &["a", "c"]).await, ["a", "c"]);
}

/// A piece stays as long as a revision that is kept names it: by pruning, by pins, by a lost commit, by forgetting.
pub async fn pieces_stay_while_they_are_named(store: Arc<dyn Store>) {
    let store = &*store;
    let long_key = key("n", "grows");
    // A growing content: each revision adds a piece and keeps the others, of which the expected head has all.
    let mut last = long(store, &long_key, None, &["0"], &["0"], 2).await;
    let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for count in 2..=12 {
        last = long(store, &long_key, Some(&last), &names[..count], &names[count - 1..count], 2).await;
    }
    assert_eq!(there(store, &long_key, &names).await, names);
    // A commit that loses leaves nothing behind that anybody needs, and takes nothing away.
    let mut late = following(&last, b"");
    late.meta.rev = late.meta.rev.next();
    late.body = Body::Pieces(vec![piece_id(b"0"), piece_id(b"late")]);
    let attempt = Commit {
        expected: crate::store::Expected::At(late.meta.rev),
        pieces: vec![(piece_id(b"late"), bytes("late"))],
        ..commit(&long_key, &late)
    };
    assert!(matches!(store.commit(attempt).await, Ok(Committed::Lost(Some(_)))));
    assert_eq!(there(store, &long_key, &names).await, names);
    // Pinned, then replaced by something short.
    let whole = store.revision(&long_key, last.rev).await.expect("a revision").expect("it is kept");
    assert_eq!(store.pin(&long_key, last.rev, Pin::On(Box::new(whole))).await, Ok(true));
    let next = following(&last, b"short");
    let committed = store.commit(Commit { keep: 1, ..commit(&long_key, &next) }).await;
    assert!(matches!(committed, Ok(Committed::Done(_))));
    assert_eq!(there(store, &long_key, &names).await, names);
    assert_eq!(store.pin(&long_key, last.rev, Pin::Off).await, Ok(true));
    assert_eq!(store.prune(&long_key, 1).await, Ok(1));
    gone(store, &long_key, &names).await;
    // And with the whole key.
    let other = key("n", "other");
    let parent = several(store, &other, 2).await;
    let parent = long(store, &other, Some(&parent), &["y", "z"], &["y", "z"], 32).await;
    let buried = tombstone(&parent, Kind::Deleted, EPOCH);
    done(store, &other, &buried).await;
    assert_eq!(there(store, &other, &["y", "z"]).await, ["y", "z"]);
    assert_eq!(store.forget(&other, buried.meta.rev).await, Ok(true));
    gone(store, &other, &["y", "z"]).await;
}
