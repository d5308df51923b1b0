//! A bit that flips in what the server keeps: it is found, and what others have is not touched by it.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tradewind_core::UnixMillis;
use tradewind_store::suite::{
    ToHarm, a_damaged_earlier_revision_is_told, a_damaged_head_is_told, before_damage, commit, following, key, record,
    run, tombstone,
};
use tradewind_store::{
    After, Body, Commit, Committed, Cursor, Expected, Key, Kind, Meta, PieceId, Pin, Record, Rev, Store, StoreError,
};

use crate::servers::Server;
use crate::{fresh, server};

const LATE: UnixMillis = UnixMillis(u64::MAX);

/// Flips each bit of a field of a hash in turn, and has it looked at; puts back what was there.
async fn flip(server: &Server, hash: &str, field: &[u8], mut look: impl AsyncFnMut(usize)) {
    let stored: Vec<u8> = server::ask(server.port(), "HGET", &[hash.as_bytes(), field]);
    assert!(!stored.is_empty());
    let put = |bytes: &[u8]| server::ask::<()>(server.port(), "HSET", &[hash.as_bytes(), field, bytes]);
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(&flipped);
        look(bit).await;
    }
    put(&stored);
}

/// Where a revision's record lies among the records: under the stamp of its run, and its number. Runs are noted in the key,
/// the last one stands in the head.
fn place_of(server: &Server, key: &Key, revision: u64) -> (String, Vec<u8>) {
    let of = |what: &str| format!("tw:{{{}}}:{what}", key.namespace);
    let noted = of(&format!("k:{}", key.name()));
    let note = (1..=revision).rev().find_map(|first| {
        let note: Option<Vec<u8>> = server::ask(server.port(), "HGET", &[noted.as_bytes(), &first.to_be_bytes()]);
        note.filter(|note| first + u64::from(note[12]) > revision)
    });
    let stamp = note.map(|note| note[..12].to_vec()).unwrap_or_else(|| {
        let head: Vec<u8> = server::ask(server.port(), "HGET", &[of("heads").as_bytes(), key.name().as_bytes()]);
        head[41..53].to_vec()
    });
    (of("records"), [&stamp[..], &revision.to_be_bytes()].concat())
}

fn is_damage<T>(found: &Result<T, StoreError>) -> bool {
    matches!(found, Err(StoreError::Damaged { .. }))
}

async fn done(store: &dyn Store, commit: Commit) {
    let committed = store.commit(commit).await;
    assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
}

/// A value that is due.
fn due(body: &[u8]) -> Record {
    let mut due = record(body);
    due.meta.expires_at = Some(UnixMillis(1));
    due
}

/// Two revisions of a key and one of another, which is due as well.
async fn two_keys(store: &Arc<dyn Store>) -> (Key, Record, Record, Key) {
    let (damaged, sound) = (key("n", "damaged"), key("n", "sound"));
    let first = due(b"first");
    let mut second = following(&first.meta, b"second");
    second.meta.expires_at = first.meta.expires_at;
    done(&**store, commit(&damaged, &first)).await;
    done(&**store, commit(&damaged, &second)).await;
    done(&**store, commit(&sound, &due(b"sound"))).await;
    (damaged, first, second, sound)
}

/// What is due beside the damaged key is told, however little is asked for.
async fn others_are_due(store: &dyn Store, sound: &Key, bit: usize) {
    let due = store.due(LATE, 1).await.unwrap();
    assert_eq!(due.iter().map(|(key, _)| key).collect::<Vec<_>>(), [sound], "bit {bit}");
}

/// A list names both keys, and one of them as damaged.
async fn only_this_is_damaged(store: &dyn Store, damaged: &Key, sound: &Key, bit: usize) {
    let listed = store.list(&damaged.namespace, "", None, 9).await.unwrap();
    assert_eq!(listed.iter().map(|(key, _)| key).collect::<Vec<_>>(), [damaged, sound], "bit {bit}");
    assert!(is_damage(&listed[0].1) && listed[1].1.is_ok(), "bit {bit}: {listed:?}");
}

/// Flips a bit in the meta of a revision of the harmed key: what of it is told, and that nothing else is concerned.
fn harmed<F: Future<Output = ()>>(revision: u64, holds: impl FnOnce(Arc<dyn Store>, ToHarm) -> F) {
    run(async {
        let (store, server) = fresh().await;
        let keys = before_damage(&store).await;
        let (place, field) = place_of(&server, &keys.harmed, revision);
        let mut stored: Vec<u8> = server::ask(server.port(), "HGET", &[place.as_bytes(), &field]);
        stored[20] ^= 1;
        server::ask::<()>(server.port(), "HSET", &[place.as_bytes(), &field, &stored]);
        holds(store, keys).await;
    });
}

#[test]
fn a_damaged_head_concerns_its_key_alone() {
    harmed(3, a_damaged_head_is_told);
}

#[test]
fn a_damaged_earlier_revision_concerns_its_key_alone() {
    harmed(2, a_damaged_earlier_revision_is_told);
}

#[test]
fn a_flipped_bit_in_a_record_is_never_returned() {
    run(async {
        let (store, server) = fresh().await;
        let (damaged, _, second, sound) = two_keys(&store).await;
        let (records, field) = place_of(&server, &damaged, second.meta.rev.get());
        let body = body_of(&server, &records, &field, &second);
        flip(&server, &records, &field, async |bit| {
            assert!(is_damage(&store.head(&damaged).await), "bit {bit}");
            assert!(is_damage(&store.revision(&damaged, second.meta.rev).await), "bit {bit}");
            // The bodies are not read.
            if bit / 8 < body {
                assert!(is_damage(&store.history(&damaged, None, 9).await), "bit {bit}");
                only_this_is_damaged(&*store, &damaged, &sound, bit).await;
                others_are_due(&*store, &sound, bit).await;
            }
        })
        .await;
        assert_eq!(store.head(&damaged).await.unwrap().as_deref(), Some(&second));
    });
}

/// Where the body begins in what lies there.
fn body_of(server: &Server, records: &str, field: &[u8], record: &Record) -> usize {
    let stored: Vec<u8> = server::ask(server.port(), "HGET", &[records.as_bytes(), field]);
    let Body::Whole(body) = &record.body else { panic!("a value") };
    // Its kind, its length, itself, and the checksum.
    stored.len() - 4 - body.len() - 2
}

#[test]
fn a_flipped_bit_in_a_head_is_found() {
    run(async {
        let (store, server) = fresh().await;
        let (damaged, first, second, sound) = two_keys(&store).await;
        let third = following(&second.meta, b"third");
        let on_second = Commit { expected: Expected::head(Some(&second.meta)), ..commit(&damaged, &third) };
        flip(&server, "tw:{n}:heads", b"damaged", async |bit| {
            assert!(is_damage(&store.head(&damaged).await), "bit {bit}");
            only_this_is_damaged(&*store, &damaged, &sound, bit).await;
            assert_eq!(
                store.keys(&damaged.namespace, None, 9).await.as_deref(),
                Ok(&[damaged.clone(), sound.clone()][..])
            );
            others_are_due(&*store, &sound, bit).await;
            let written = store.commit(on_second.clone()).await;
            assert!(is_damage(&written), "bit {bit}: {written:?}");
            let read = store.revision(&damaged, first.meta.rev).await;
            assert!(is_damage(&read) || read.as_ref() == Ok(&Some(first.clone())), "bit {bit}: {read:?}");
        })
        .await;
        done(&*store, on_second).await;
    });
}

/// Where older revisions lie is noted for runs of them.
#[test]
fn a_flipped_bit_in_a_run_is_found() {
    run(async {
        let (store, server) = fresh().await;
        let (damaged, other) = (key("n", "damaged"), key("n", "other"));
        let first = record(b"first");
        done(&*store, commit(&damaged, &first)).await;
        let mut last = first.clone();
        for _ in 0..20 {
            last = following(&last.meta, b"next");
            done(&*store, commit(&damaged, &last)).await;
        }
        let keep = |next: &Record| Commit { keep: 1, ..commit(&damaged, next) };
        flip(&server, "tw:{n}:k:damaged", &Rev::FIRST.get().to_be_bytes(), async |bit| {
            for read in [store.revision(&damaged, Rev::FIRST).await, store.revision(&damaged, Rev::FIRST.next()).await]
            {
                assert!(is_damage(&read), "bit {bit}: {read:?}");
            }
            assert!(is_damage(&store.history(&damaged, None, 99).await), "bit {bit}");
            assert!(is_damage(&store.prune(&damaged, 1).await), "bit {bit}");
            assert_eq!(store.head(&damaged).await.unwrap().as_deref(), Some(&last), "bit {bit}");
        })
        .await;
        assert_eq!(store.revision(&damaged, Rev::FIRST).await, Ok(Some(first)));
        // A key whose run is damaged goes on, also where it is time to remove it, and holds up no other.
        server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:k:damaged", &Rev::FIRST.get().to_be_bytes(), b"no run"]);
        for number in 0..60_u8 {
            let (next, beside) = (following(&last.meta, b"on"), key("n", &format!("{}{number}", other.name())));
            let (one, two) = tokio::join!(store.commit(keep(&next)), store.commit(commit(&beside, &record(b"beside"))));
            assert!(matches!((&one, &two), (Ok(Committed::Done(_)), Ok(Committed::Done(_)))), "{one:?} {two:?}");
            last = next;
        }
        assert_eq!(store.head(&damaged).await.unwrap().as_deref(), Some(&last));
    });
}

/// A record is put there before it is known whether it wins: what loses, and what is not kept any more, goes again.
#[test]
fn only_what_is_kept_lies_there() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let count = |of: &str| server::ask::<usize>(server.port(), "HLEN", &[of.as_bytes()]);
        let mut last: Option<Record> = None;
        for round in 0..200_u8 {
            let next = |body: &[u8]| last.as_ref().map_or_else(|| record(body), |last| following(&last.meta, body));
            let racers: Vec<Record> = (0..4_u8).map(|racer| next(&[round, racer])).collect();
            let commits = racers.iter().map(|racer| Commit { keep: 3, ..commit(&key, racer) });
            let raced = futures_util::future::join_all(commits.map(|commit| store.commit(commit))).await;
            let won: Vec<usize> = (0..racers.len()).filter(|at| matches!(raced[*at], Ok(Committed::Done(_)))).collect();
            assert_eq!(won.len(), 1, "{raced:?}");
            last = Some(racers[won[0]].clone());
            assert_eq!(store.head(&key).await.unwrap().as_deref(), last.as_ref());
            // Two runs more than are kept, and the note of each.
            assert!(count("tw:{n}:records") <= 3 + 2 * 16 && count("tw:{n}:k:k") <= 3 + 2 * 16, "round {round}");
        }
        assert_eq!(store.prune(&key, 1).await, Ok(2));
        assert_eq!(count("tw:{n}:records"), 1);
        assert_eq!(store.history(&key, None, 9).await.unwrap().len(), 1);
        let gone = tombstone(&last.unwrap().meta, Kind::Deleted, LATE);
        done(&*store, Commit { keep: 1, ..commit(&key, &gone) }).await;
        assert_eq!(store.forget(&key, gone.meta.rev).await, Ok(true));
        assert_eq!((count("tw:{n}:records"), count("tw:{n}:k:k")), (0, 0));
    });
}

#[test]
fn a_flipped_bit_in_a_moved_end_is_found() {
    run(async {
        let (store, server) = fresh().await;
        let (damaged, first, second, _) = two_keys(&store).await;
        assert_eq!(store.extend(&damaged, second.meta.rev, UnixMillis(77)).await, Ok(true));
        let field = [b"e", &second.meta.rev.get().to_be_bytes()[..]].concat();
        flip(&server, "tw:{n}:k:damaged", &field, async |bit| {
            assert!(is_damage(&store.revision(&damaged, second.meta.rev).await), "bit {bit}");
            assert_eq!(store.head(&damaged).await.unwrap().unwrap().meta.expires_at, Some(UnixMillis(77)));
            assert_eq!(store.revision(&damaged, first.meta.rev).await, Ok(Some(first.clone())));
        })
        .await;
    });
}

#[test]
fn a_flipped_bit_in_a_piece_is_never_returned() {
    run(async {
        let (store, server) = fresh().await;
        let (of_pieces, id) = (key("n", "k"), PieceId([7; 32]));
        let made = Record { body: Body::Pieces(vec![id]), ..record(b"") };
        let pieces = vec![(id, "some bytes".into())];
        done(&*store, Commit { pieces, ..commit(&of_pieces, &made) }).await;
        flip(&server, "tw:{n}:pieces", &id.0, async |bit| {
            assert!(is_damage(&store.pieces(&of_pieces.namespace, &[id]).await), "bit {bit}");
        })
        .await;
        assert_eq!(store.pieces(&of_pieces.namespace, &[id]).await, Ok(vec![Some("some bytes".into())]));
    });
}

#[test]
fn a_flipped_bit_in_a_change_is_never_told() {
    run(async {
        let (store, server) = fresh().await;
        let (_, first, ..) = two_keys(&store).await;
        let changes = b"tw:{n}:changes";
        type Entries = Vec<(String, Vec<Vec<u8>>)>;
        let entries: Entries = server::ask(server.port(), "XRANGE", &[&changes[..], b"-", b"+"]);
        let told = &entries[0].1;
        assert_eq!((&told[0][..], &told[2][..], &told[3][..]), (&b"e"[..], &b"w"[..], &b"y"[..]));
        let begins = async |bit: usize, told: &[u8], won: &[u8]| -> Result<Meta, StoreError> {
            server::ask::<()>(server.port(), "DEL", &[&changes[..]]);
            server::ask::<String>(server.port(), "XADD", &[&changes[..], b"1-1", b"e", told, b"w", won]);
            let event = store.watch(&key("n", "k").namespace, "", After::Cursor(Cursor::START)).next().await;
            event.unwrap_or_else(|| panic!("bit {bit}: nothing")).map(|event| event.meta)
        };
        assert_eq!(begins(0, &told[1], b"y").await, Ok(first.meta));
        for bit in 0..told[1].len() * 8 {
            let mut flipped = told[1].clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(is_damage(&begins(bit, &flipped, b"y").await), "bit {bit}");
        }
        for bit in 0..8 {
            assert!(is_damage(&begins(bit, &told[1], &[b'y' ^ (1 << bit)]).await), "bit {bit} of what was done");
        }
    });
}

/// The number of changes is known to the stream too: a namespace whose own is lost can be written to.
#[test]
fn a_lost_number_of_changes_is_found_again() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let mut last = record(b"0");
        for number in [None, Some("0"), Some("1"), Some("no number")] {
            done(&*store, commit(&key, &last)).await;
            match number {
                None => server::tell(server.port(), &["HDEL", "tw:{n}:heads", ""]),
                Some(number) => server::tell(server.port(), &["HSET", "tw:{n}:heads", "", number]),
            }
            last = following(&last.meta, b"next");
        }
        done(&*store, commit(&key, &last)).await;
        let watch = store.watch(&key.namespace, "", After::Cursor(Cursor::START));
        let told: Vec<Rev> = watch.take(5).map(|event| event.unwrap().meta.rev).collect().await;
        assert_eq!(told.into_iter().map(Rev::get).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    });
}

/// Which revisions are pinned decides what is removed: where that is damaged nothing is, and what depends on it is an error.
#[test]
fn a_flipped_bit_in_the_pins_removes_nothing() {
    run(async {
        let (store, server) = fresh().await;
        let (damaged, first, second, _) = two_keys(&store).await;
        assert_eq!(store.pin(&damaged, Rev::FIRST, Pin::On(Box::new(first.clone()))).await, Ok(true));
        let mut last = following(&second.meta, b"third");
        done(&*store, Commit { keep: 1, ..commit(&damaged, &last) }).await;
        flip(&server, "tw:{n}:k:damaged", b"p", async |bit| {
            assert!(is_damage(&store.revision(&damaged, Rev::FIRST).await), "bit {bit}");
            assert!(is_damage(&store.history(&damaged, None, 9).await), "bit {bit}");
            assert!(is_damage(&store.prune(&damaged, 1).await), "bit {bit}");
            assert!(is_damage(&store.pin(&damaged, Rev::FIRST, Pin::Off).await), "bit {bit}");
            assert_eq!(store.head(&damaged).await.unwrap().as_deref(), Some(&last), "bit {bit}");
            // The conversation goes on.
            let next = following(&last.meta, b"next");
            done(&*store, Commit { keep: 1, ..commit(&damaged, &next) }).await;
            last = next;
        })
        .await;
        let pins: Vec<u8> = server::ask(server.port(), "HGET", &[b"tw:{n}:k:damaged", b"p"]);
        server::tell(server.port(), &["HDEL", "tw:{n}:k:damaged", "p"]);
        assert!(is_damage(&store.history(&damaged, None, 9).await), "they are lost");
        server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:k:damaged", b"p", &pins]);
        assert_eq!(store.revision(&damaged, Rev::FIRST).await, Ok(Some(first)));
        let history = store.history(&damaged, None, 9).await.unwrap();
        assert_eq!(history.iter().map(|kept| kept.pinned).collect::<Vec<_>>(), [false, true]);
        // What stayed meanwhile goes with the next write.
        done(&*store, Commit { keep: 1, ..commit(&damaged, &following(&last.meta, b"last")) }).await;
        let fields: u64 = server::ask(server.port(), "HLEN", &[b"tw:{n}:k:damaged"]);
        assert_eq!(fields, 2, "the pinned one, and which these are");
        let records: u64 = server::ask(server.port(), "HLEN", &[b"tw:{n}:records"]);
        assert_eq!(records, 3, "the newest, the pinned one, and the other key's");
    });
}

/// The names of pieces that lie beside a record only say what to let go of: a flipped bit keeps a piece too long, and no more.
#[test]
fn a_flipped_bit_in_the_names_of_pieces_loses_none() {
    run(async {
        let (store, server) = fresh().await;
        let (one, other, ids) = (key("n", "one"), key("n", "other"), [PieceId([7; 32]), PieceId([8; 32])]);
        let made = Record { body: Body::Pieces(ids.to_vec()), ..record(b"") };
        let pieces = ids.map(|id| (id, id.0.to_vec().into())).to_vec();
        done(&*store, Commit { pieces: pieces.clone(), ..commit(&other, &made) }).await;
        let field = [b"c", &Rev::FIRST.get().to_be_bytes()[..]].concat();
        for bit in 0..ids.len() * 256 {
            done(&*store, Commit { pieces: pieces.clone(), ..commit(&one, &made) }).await;
            let mut names: Vec<u8> = server::ask(server.port(), "HGET", &[b"tw:{n}:k:one", &field]);
            names[bit / 8] ^= 1 << (bit % 8);
            server::ask::<()>(server.port(), "HSET", &[b"tw:{n}:k:one", &field, &names]);
            assert_eq!(store.revision(&one, Rev::FIRST).await, Ok(Some(made.clone())), "bit {bit}");
            let gone = tombstone(&made.meta, Kind::Deleted, LATE);
            done(&*store, Commit { keep: 1, ..commit(&one, &gone) }).await;
            assert_eq!(store.forget(&one, gone.meta.rev).await, Ok(true), "bit {bit}");
            let there = store.pieces(&one.namespace, &ids).await.unwrap();
            assert!(there.iter().all(Option::is_some), "bit {bit}: the other key names them");
        }
    });
}
