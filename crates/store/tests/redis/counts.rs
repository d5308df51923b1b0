//! Damage in what is kept beside the records: numbers of references and of changes, names, and what hangs on a key.

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tradewind_core::UnixMillis;
use tradewind_store::suite::{commit, following, key, record, run, tombstone};
use tradewind_store::{
    After, Body, Commit, Committed, Cursor, Key, Kind, Meta, PieceId, Pin, Record, Rev, Store, StoreError,
};

use crate::{fresh, server};

const LATE: UnixMillis = UnixMillis(u64::MAX);

/// A first revision that is made of one piece.
fn of_piece(key: &Key, id: PieceId) -> Commit {
    let made = Record { body: Body::Pieces(vec![id]), ..record(b"") };
    Commit { pieces: vec![(id, "some bytes".into())], ..commit(key, &made) }
}

async fn done(store: &dyn Store, commit: Commit) {
    let committed = store.commit(commit).await;
    assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
}

/// Two commits of one namespace in the same call, as a rule: others keep them from being sent at once.
async fn together(store: &dyn Store, commits: [Commit; 2]) -> Vec<Result<Committed, StoreError>> {
    let others = ["x", "y", "z"].map(|namespace| commit(&key(namespace, &fastrand::u64(..).to_string()), &record(b"")));
    join_all(others.into_iter().chain(commits).map(|commit| store.commit(commit))).await.split_off(3)
}

fn is_damage<T>(found: &Result<T, StoreError>) -> bool {
    matches!(found, Err(StoreError::Damaged { .. }))
}

async fn names(store: &dyn Store, key: &Key) -> Vec<String> {
    store.keys(&key.namespace, None, 9).await.unwrap().iter().map(|key| key.name().to_owned()).collect()
}

/// How often a piece is named decides when it goes: where that is damaged it stays, and nobody notices.
#[test]
fn a_flipped_bit_in_a_number_of_references_keeps_the_piece() {
    run(async {
        let (store, server) = fresh().await;
        let (stays, id) = (key("n", "stays"), PieceId([7; 32]));
        done(&*store, of_piece(&stays, id)).await;
        let stored: Vec<u8> = server::ask(server.port(), "HGET", &[b"tw:{n}:refs", &id.0]);
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:refs", &id.0, &flipped]);
            let (goes, beside) = (key("n", &format!("goes/{bit}")), key("n", &format!("beside/{bit}")));
            let first = of_piece(&goes, id);
            let both = together(&*store, [first.clone(), commit(&beside, &record(b"sound"))]).await;
            assert!(both.iter().all(|one| matches!(one, Ok(Committed::Done(_)))), "bit {bit}: {both:?}");
            assert_eq!(store.head(&goes).await.unwrap().as_deref(), Some(&first.record), "bit {bit}");
            let gone = tombstone(&first.record.meta, Kind::Deleted, LATE);
            done(&*store, Commit { keep: 1, ..commit(&goes, &gone) }).await;
            assert_eq!(store.forget(&goes, gone.meta.rev).await, Ok(true), "bit {bit}");
            let there = store.pieces(&stays.namespace, &[id]).await;
            assert_eq!(there, Ok(vec![Some("some bytes".into())]), "bit {bit}");
        }
    });
}

/// What is of no use where pieces lie is the matter of those who bring some, and nothing is half written.
#[test]
fn foreign_data_among_the_pieces_harms_nobody_else() {
    run(async {
        let (store, server) = fresh().await;
        server::tell(server.port(), &["SET", "tw:{n}:pieces", "mine"]);
        let (of_pieces, beside) = (key("n", "of pieces"), key("n", "beside"));
        let mut mortal = of_piece(&of_pieces, PieceId([7; 32]));
        mortal.record.meta.expires_at = Some(UnixMillis(1));
        let both = together(&*store, [mortal, commit(&beside, &record(b"sound"))]).await;
        assert!(is_damage(&both[0]) && matches!(both[1], Ok(Committed::Done(_))), "{both:?}");
        assert_eq!(store.head(&of_pieces).await, Ok(None));
        assert_eq!(names(&*store, &beside).await, ["beside"]);
        assert_eq!(store.due(LATE, 9).await, Ok(Vec::new()));
        assert_eq!(server::ask::<u64>(server.port(), "HLEN", &[b"tw:{n}:records"]), 1);
    });
}

/// A name whose head is lost is damaged, and no end of a list.
#[test]
fn a_name_without_a_head_ends_no_list() {
    run(async {
        let (store, server) = fresh().await;
        let mut due = record(b"due");
        due.meta.expires_at = Some(UnixMillis(2));
        let keys = ["a", "b", "c"].map(|name| key("n", name));
        for key in &keys {
            done(&*store, commit(key, &due)).await;
        }
        server::tell(server.port(), &["HDEL", "tw:{n}:heads", "a"]);
        let namespace = &keys[0].namespace;
        let first = store.list(namespace, "", None, 2).await.unwrap();
        assert_eq!(first.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&keys[0], &keys[1]]);
        assert!(is_damage(&first[0].1) && first[1].1.is_ok(), "{first:?}");
        let next = store.list(namespace, "", Some("b"), 2).await.unwrap();
        assert_eq!(next.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&keys[2]]);
        let told = store.due(LATE, 1).await.unwrap();
        assert_eq!(told.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&keys[1]]);
        // It can be written anew.
        done(&*store, commit(&keys[0], &due)).await;
        assert!(store.list(namespace, "", None, 9).await.unwrap().iter().all(|(_, head)| head.is_ok()));
    });
}

/// The stream knows the number of changes too: a flipped bit in it leaves no gap that would end all watches.
#[test]
fn a_flipped_bit_in_the_number_of_changes_is_found() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let mut last = record(b"first");
        done(&*store, commit(&key, &last)).await;
        let read = || server::ask::<Vec<u8>>(server.port(), "HGET", &[b"tw:{n}:heads", b""]);
        let bits = read().len() * 8;
        for bit in 0..bits {
            let mut count = read();
            count[bit / 8] ^= 1 << (bit % 8);
            server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:heads", b"", &count]);
            // Alone and as a whole head, and in a call that the script looks through.
            last = following(&last.meta, b"next");
            done(&*store, commit(&key, &last)).await;
            if bit % 8 == 0 {
                let beside = crate::key("n", &format!("beside/{bit}"));
                done(&*store, commit(&beside, &record(b"beside"))).await;
            }
        }
        let watch = store.watch(&key.namespace, "", After::Cursor(Cursor::START));
        let told: Vec<u64> = watch.take(1 + bits + bits / 8).map(|event| event.unwrap().cursor.major).collect().await;
        assert_eq!(told, (1..).take(told.len()).collect::<Vec<_>>());
    });
}

/// A stream in which somebody else has written the greatest place there is takes no more, and nothing is half written.
#[test]
fn a_stream_at_its_end_takes_no_writes() {
    run(async {
        let (store, server) = fresh().await;
        let (old, fresh) = (key("n", "old"), key("n", "fresh"));
        let mut first = record(b"first");
        first.meta.expires_at = Some(UnixMillis(1));
        done(&*store, commit(&old, &first)).await;
        let greatest = "1-18446744073709551615";
        server::tell(server.port(), &["XADD", "tw:{n}:changes", greatest, "e", "none", "w", "y"]);
        for refused in [commit(&old, &following(&first.meta, b"next")), commit(&fresh, &first)] {
            let refused = store.commit(refused).await;
            assert!(is_damage(&refused), "{refused:?}");
        }
        assert_eq!(store.head(&old).await.unwrap().as_deref(), Some(&first));
        assert_eq!(names(&*store, &old).await, ["old"]);
        let due: Vec<(Key, Meta)> = store.due(LATE, 9).await.unwrap();
        assert_eq!(due, [(old.clone(), first.meta)]);
        assert_eq!(server::ask::<u64>(server.port(), "HLEN", &[b"tw:{n}:records"]), 1);
    });
}

/// Four revisions, each of a piece of its own, with a damaged note of where the third lies; what the last one is.
async fn of_four_pieces(store: &dyn Store, port: u16, key: &Key) -> Meta {
    let mut last: Option<Meta> = None;
    for number in 1..=4 {
        let mut next = of_piece(key, PieceId([number; 32]));
        if let Some(last) = &last {
            let pieces = next.record.body.clone();
            next = Commit { record: following(last, b""), ..next };
            next.record.body = pieces;
            next.expected = commit(key, &next.record).expected;
        }
        last = Some(next.record.meta.clone());
        done(store, next).await;
    }
    server::ask::<()>(port, "HSET", &[b"tw:{n}:k:k", &3_u64.to_be_bytes(), b"no run"]);
    last.expect("there are four")
}

async fn all_pieces_are_there(store: &dyn Store, key: &Key) {
    let ids = [1, 2, 3, 4].map(|number| PieceId([number; 32]));
    let there = store.pieces(&key.namespace, &ids).await.unwrap();
    assert!(there.iter().all(Option::is_some), "{there:?}");
}

/// What cannot be read to its end lets go of nothing: not the pieces of the revisions that stay.
#[test]
fn what_fails_over_damage_takes_nothing() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let last = of_four_pieces(&*store, server.port(), &key).await;
        let pruned = store.prune(&key, 1).await;
        assert!(is_damage(&pruned), "{pruned:?}");
        assert!(store.revision(&key, Rev::FIRST).await.unwrap().is_some());
        all_pieces_are_there(&*store, &key).await;
        let gone = tombstone(&last, Kind::Deleted, LATE);
        done(&*store, Commit { keep: 9, ..commit(&key, &gone) }).await;
        let forgotten = store.forget(&key, gone.meta.rev).await;
        assert!(is_damage(&forgotten), "{forgotten:?}");
        all_pieces_are_there(&*store, &key).await;
    });
}

/// The names of namespaces are written in their keys too: one that is damaged hides no other, and none is lost.
#[test]
fn a_damaged_name_of_a_namespace_hides_no_other() {
    run(async {
        let (store, server) = fresh().await;
        let mut due = record(b"due");
        due.meta.expires_at = Some(UnixMillis(1));
        let [n, m, o] = ["n", "m", "o"].map(|namespace| key(namespace, "k"));
        for key in [&n, &m, &o] {
            done(&*store, commit(key, &due)).await;
        }
        server::tell(server.port(), &["SREM", "tw:namespaces", "m"]);
        server::tell(server.port(), &["SADD", "tw:namespaces", "-"]);
        let told = async || store.due(LATE, 9).await.unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(told().await, [n.clone(), o.clone()]);
        let namespaces = [m.namespace, n.namespace.clone(), o.namespace];
        assert_eq!(store.namespaces().await, Ok(namespaces.to_vec()));
        // Nor does one whose times are damaged.
        server::tell(server.port(), &["SET", "tw:{o}:due", "mine"]);
        assert_eq!(told().await, [n]);
    });
}

/// What lies among the records beyond the head is no revision.
#[test]
fn what_was_never_committed_is_not_pinned() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let first = record(b"first");
        let second = following(&first.meta, b"second");
        done(&*store, commit(&key, &first)).await;
        let head: Vec<u8> = server::ask(server.port(), "HGET", &[b"tw:{n}:heads", b"k"]);
        done(&*store, commit(&key, &second)).await;
        // Like a record whose script never ran.
        server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:heads", b"k", &head]);
        let pinned = store.pin(&key, second.meta.rev, Pin::On(Box::new(second.clone()))).await;
        assert_eq!(pinned, Ok(false));
        assert_eq!(store.pin(&key, Rev::FIRST, Pin::On(Box::new(first))).await, Ok(true));
    });
}

#[test]
fn a_limit_may_be_as_great_as_it_likes() {
    run(async {
        let (store, _server) = fresh().await;
        let key = key("n", "k");
        let mut due = record(b"due");
        due.meta.expires_at = Some(UnixMillis(1));
        done(&*store, commit(&key, &due)).await;
        assert_eq!(store.list(&key.namespace, "", None, usize::MAX).await.unwrap().len(), 1);
        assert_eq!(store.keys(&key.namespace, None, usize::MAX).await.unwrap().len(), 1);
        assert_eq!(store.due(LATE, usize::MAX).await.unwrap().len(), 1);
        assert_eq!(store.history(&key, None, usize::MAX).await.unwrap().len(), 1);
    });
}
