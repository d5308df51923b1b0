//! What can happen to what a server keeps: its latest messages are lost, bits flip, somebody else publishes, it has no room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tradewind_core::UnixMillis;
use tradewind_store::suite::{
    EPOCH, ToHarm, a_damaged_earlier_revision_is_told, a_damaged_head_is_told, before_damage, commit, following, key,
    record, run,
};
use tradewind_store::{After, Body, Commit, Committed, Cursor, Expected, Key, Record, Rev, Store, StoreError};

use crate::server::{self, Sync};
use crate::servers::Server;
use crate::{done, go_on, open};

/// The header that says what a message is.
const ABOUT: &str = "Tradewind";

async fn context(server: &Server) -> Context {
    jetstream::new(async_nats::connect(format!("127.0.0.1:{}", server.port())).await.unwrap())
}

/// Replaces exactly the parent, not whatever has its number.
fn exactly(key: &Key, parent: &Record, record: &Record) -> Commit {
    Commit { expected: Expected::head(Some(&parent.meta)), ..commit(key, record) }
}

/// How it goes once the server is there again.
async fn when_it_is_back(store: &dyn Store, commit: &Commit) -> Result<Committed, StoreError> {
    loop {
        match store.commit(commit.clone()).await {
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A server that lost its latest messages gives their places to others: what was remembered from before is no ground to
/// write on.
#[test]
fn a_server_that_lost_its_latest_messages_is_asked_anew() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (kept, older) = (folder.path().join("kept"), folder.path().join("older"));
        let mut server = server::start_in(&kept);
        let store = open(server.port()).await;
        let key = key("n", "k");
        let first = go_on(&*store, &key, None, 1).await;
        server.stop();
        copy(&kept, &older);
        server.start_again();
        let second = following(&first.meta, b"second");
        assert!(matches!(when_it_is_back(&*store, &exactly(&key, &first, &second)).await, Ok(Committed::Done(_))));

        server.stop();
        std::fs::remove_dir_all(&kept).unwrap();
        std::fs::rename(&older, &kept).unwrap();
        server.start_again();
        let other = following(&first.meta, b"of somebody else");
        done(&*open(server.port()).await, &key, &other).await;

        let third = following(&second.meta, b"third");
        let committed = when_it_is_back(&*store, &exactly(&key, &second, &third)).await;
        assert!(matches!(&committed, Ok(Committed::Lost(Some(head))) if **head == other), "{committed:?}");
        assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&other));
    });
}

/// The same for what is due: ends that the server lost are forgotten, and those that came in their places are found.
#[test]
fn a_server_that_lost_its_latest_messages_is_looked_through_anew() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (kept, older) = (folder.path().join("kept"), folder.path().join("older"));
        let mut server = server::start_in(&kept);
        let store = open(server.port()).await;
        let first = go_on(&*store, &key("n", "first"), None, 1).await;
        let mortal = |body: &[u8]| {
            let mut mortal = record(body);
            mortal.meta.expires_at = Some(EPOCH);
            mortal
        };
        server.stop();
        copy(&kept, &older);
        server.start_again();
        let (lost, found) = (key("n", "lost"), key("n", "found"));
        assert!(matches!(when_it_is_back(&*store, &commit(&lost, &mortal(b"lost"))).await, Ok(Committed::Done(_))));
        assert_eq!(store.due(EPOCH, 9).await, Ok(vec![(lost, mortal(b"lost").meta)]), "{first:?}");

        server.stop();
        std::fs::remove_dir_all(&kept).unwrap();
        std::fs::rename(&older, &kept).unwrap();
        server.start_again();
        done(&*open(server.port()).await, &found, &mortal(b"found")).await;
        let due = loop {
            match store.due(EPOCH, 9).await {
                Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                due => break due,
            }
        };
        assert_eq!(due, Ok(vec![(found, mortal(b"found").meta)]));
    });
}

/// Publishes the last message of a subject again, changed.
async fn publish(context: &Context, subject: &str, change: impl FnOnce(&mut HeaderMap, &mut Vec<u8>)) {
    let stream = context.get_stream("TRADEWIND-n").await.unwrap();
    let last = stream.get_last_raw_message_by_subject(subject).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(ABOUT, last.headers.get(ABOUT).unwrap().clone());
    let mut payload = last.payload.to_vec();
    change(&mut headers, &mut payload);
    context.publish_with_headers(subject.to_owned(), headers, payload.into()).await.unwrap().await.unwrap();
}

/// Messages that are not what was written are never returned, and concern their own keys alone.
#[test]
fn damaged_messages_concern_their_keys_alone() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        let mut heads = Vec::new();
        for name in ["whole", "content", "header", "covered"] {
            let key = key("n", name);
            let first = go_on(&*store, &key, None, 1).await;
            let mut second = following(&first.meta, b"second");
            second.meta.expires_at = Some(EPOCH);
            done(&*store, &key, &second).await;
            heads.push((key, second));
        }
        let [(whole, head), (content, damaged), (header, _), (covered, _)] = heads.try_into().unwrap();
        let context = context(&server).await;

        // What was never ours is no key.
        for subject in ["tradewind.n.r.foreign", "tradewind.n.r.=ZZ"] {
            context.publish(subject, Bytes::from_static(b"hello")).await.unwrap().await.unwrap();
        }
        let listed = store.list(&whole.namespace, "", None, 4).await.unwrap();
        assert_eq!(
            listed.iter().map(|(key, _)| key.name()).collect::<Vec<_>>(),
            ["content", "covered", "header", "whole"]
        );

        publish(&context, "tradewind.n.r.content", |_, payload| payload[0] ^= 1).await;
        publish(&context, "tradewind.n.r.header", |headers, _| {
            let mut about = headers.get(ABOUT).unwrap().as_str().to_owned();
            let last = about.pop().unwrap();
            about.push(if last == 'A' { 'B' } else { 'A' });
            headers.insert(ABOUT, about);
        })
        .await;
        context.publish("tradewind.n.r.covered", Bytes::from_static(b"hello")).await.unwrap().await.unwrap();
        let fresh = open(server.port()).await;
        for store in [&store, &fresh] {
            for key in [&content, &header, &covered] {
                assert!(matches!(store.head(key).await, Err(StoreError::Damaged { .. })), "{key}");
                assert_eq!(store.revision(key, Rev::FIRST).await.unwrap().unwrap().meta.rev, Rev::FIRST, "{key}");
            }
            assert_eq!(store.head(&whole).await.unwrap().as_deref(), Some(&head));
            // The header of one of them can be read.
            let due = store.due(EPOCH, 9).await.unwrap();
            assert_eq!(due, [(content.clone(), damaged.meta.clone()), (whole.clone(), head.meta.clone())]);
            // A list does not leave out a key that is there.
            let listed = store.list(&whole.namespace, "", None, 9).await.unwrap();
            assert_eq!(listed.iter().map(|(_, head)| head.is_ok()).collect::<Vec<_>>(), [true, false, false, true]);
            assert_eq!(store.list(&whole.namespace, "w", None, 9).await.unwrap().len(), 1);
            let mut watch = store.watch(&whole.namespace, "he", After::Cursor(Cursor::START)).take(3);
            assert!(watch.next().await.unwrap().is_ok() && watch.next().await.unwrap().is_ok());
            assert!(matches!(watch.next().await, Some(Err(StoreError::Damaged { .. }))));
        }
        // Who brings a new content needs nothing of the damaged one; who cannot know what is there writes nothing.
        let third = following(&damaged.meta, b"third");
        assert!(matches!(fresh.commit(exactly(&content, &damaged, &third)).await, Ok(Committed::Done(_))));
        assert_eq!(fresh.head(&content).await.unwrap().as_deref(), Some(&third));
        let refused = fresh.commit(exactly(&header, &damaged, &third)).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
        done(&*fresh, &whole, &following(&head.meta, b"third")).await;
    });
}

/// The block of a stream that holds some bytes, and where.
fn block_with(folder: &Path, stream: &str, bytes: &[u8]) -> (PathBuf, usize) {
    let folder = folder.join("jetstream/$G/streams").join(stream).join("msgs");
    let blocks = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut blocks = blocks.filter(|path| path.extension().is_some_and(|extension| extension == "blk"));
    let found = blocks.find_map(|path| {
        let block = std::fs::read(&path).unwrap();
        let at = block.windows(bytes.len()).position(|window| window == bytes)?;
        Some((path, at))
    });
    found.expect("it was written")
}

/// A bit that flips on the server's disk, in the content or in what is said of it, is never returned.
#[test]
fn a_flipped_bit_on_disk_is_detected() {
    for what in [&b"the newest content of all"[..], b"Tradewind: 1 1 1 w "] {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let mut server = server::start_in(folder.path());
            let store = open(server.port()).await;
            let (hit, other) = (key("n", "k"), key("n", "other"));
            let first = go_on(&*store, &hit, None, 1).await;
            let second = following(&first.meta, b"the newest content of all");
            done(&*store, &hit, &second).await;
            let last = go_on(&*store, &other, None, 1).await;
            server.stop();
            let (path, at) = block_with(folder.path(), "TRADEWIND-n", what);
            let mut block = std::fs::read(&path).unwrap();
            block[at + 20] ^= 4;
            std::fs::write(&path, block).unwrap();
            server.start_again();
            let store = open(server.port()).await;
            let damaged = |what: StoreError| assert!(matches!(what, StoreError::Damaged { .. }), "{what:?}");
            damaged(store.head(&hit).await.unwrap_err());
            assert_eq!(store.revision(&hit, Rev::FIRST).await.unwrap().as_ref(), Some(&first));
            // Nothing is written over it, neither by who knows it nor by who thinks that there is nothing.
            let third = following(&second.meta, b"third");
            damaged(store.commit(exactly(&hit, &second, &third)).await.unwrap_err());
            damaged(store.commit(commit(&hit, &first)).await.unwrap_err());
            let listed = store.list(&hit.namespace, "", None, 9).await.unwrap();
            assert_eq!(
                listed.iter().map(|(key, head)| (key, head.is_ok())).collect::<Vec<_>>(),
                [(&hit, false), (&other, true)]
            );
            // Others are not concerned.
            assert_eq!(store.head(&other).await.unwrap().as_deref(), Some(&last));
            assert_eq!(store.list(&hit.namespace, "o", None, 9).await.unwrap().len(), 1);
            done(&*store, &other, &following(&last.meta, b"second")).await;
            let mut mortal = record(b"mortal");
            mortal.meta.expires_at = Some(EPOCH);
            done(&*store, &key("another", "mortal"), &mortal).await;
            assert_eq!(store.due(EPOCH, 9).await.unwrap().len(), 1);
        });
    }
}

/// Flips a bit of what lies on the server's disk of the harmed key: what of it is told, and that nothing else is concerned.
fn harmed<F: Future<Output = ()>>(revision: u64, holds: impl FnOnce(Arc<dyn Store>, ToHarm) -> F) {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut server = server::start_in(folder.path());
        let keys = before_damage(&open(server.port()).await).await;
        server.stop();
        let (path, at) =
            block_with(folder.path(), "TRADEWIND-harm", format!("{revision} of {}", keys.harmed).as_bytes());
        let mut block = std::fs::read(&path).unwrap();
        block[at] ^= 4;
        std::fs::write(&path, block).unwrap();
        server.start_again();
        holds(open(server.port()).await, keys).await;
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

/// Where revisions were pruned by hand, a watch that comes from before does not tell what lies behind the gap.
#[test]
fn nothing_is_told_behind_what_was_pruned() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        let (pruned, other) = (key("n", "pruned"), key("n", "other"));
        let first = go_on(&*store, &other, None, 1).await;
        let start = store.latest(&pruned.namespace).await.unwrap();
        let last = go_on(&*store, &pruned, None, 5).await;
        done(&*store, &other, &following(&first.meta, b"second")).await;
        let middle = store.latest(&pruned.namespace).await.unwrap();
        let last = go_on(&*store, &pruned, Some(last), 1).await;
        assert_eq!(store.prune(&pruned, 1).await, Ok(5));
        for place in [start, middle] {
            let mut late = store.watch(&pruned.namespace, "", After::Cursor(place));
            assert_eq!(late.next().await, Some(Err(StoreError::CursorGone)), "{place}");
        }
        let now = store.latest(&pruned.namespace).await.unwrap();
        let mut watch = store.watch(&pruned.namespace, "", After::Cursor(now));
        go_on(&*store, &pruned, Some(last), 1).await;
        assert_eq!(watch.next().await.unwrap().unwrap().meta.rev.get(), 7);
    });
}

/// What is due every second is asked for once, however many namespaces and keys there are.
#[test]
fn nothing_new_is_due_for_one_request() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        for namespace in ["a", "b", "c"] {
            let mut mortal = record(b"mortal");
            mortal.meta.expires_at = Some(UnixMillis(EPOCH.0 + 1));
            done(&*store, &key(namespace, "k"), &mortal).await;
        }
        assert_eq!(store.due(EPOCH, 9).await, Ok(Vec::new()));
        let client = async_nats::connect(format!("127.0.0.1:{}", server.port())).await.unwrap();
        let mut asked = client.subscribe("$JS.API.>").await.unwrap();
        // The server has subscribed us when it answers what was asked behind it; a flush would only send it.
        jetstream::new(client).query_account().await.unwrap();
        assert_eq!(asked.next().await.unwrap().subject.as_str(), "$JS.API.INFO");
        // Twice: what the first one asks for else comes before what the second one asks for.
        const LIST: &str = "$JS.API.STREAM.LIST";
        assert_eq!(store.due(EPOCH, 9).await, Ok(Vec::new()));
        assert_eq!(store.due(EPOCH, 9).await, Ok(Vec::new()));
        let mut subjects = Vec::new();
        while subjects.iter().filter(|subject| *subject == LIST).count() < 2 {
            subjects.push(asked.next().await.unwrap().subject.to_string());
        }
        assert_eq!(subjects, [LIST; 2]);
    });
}

/// A limit that is set for a stream refuses writes, and reads go on; when it is lifted, writes go on by themselves.
#[test]
fn a_full_stream_takes_writes_when_there_is_room() {
    run(async {
        let server = server::start(Sync::Seldom);
        let store = open(server.port()).await;
        let key = key("n", "k");
        let mut last = go_on(&*store, &key, None, 1).await;
        let context = context(&server).await;
        let limit = async |bytes: i64| {
            let mut config = context.get_stream("TRADEWIND-n").await.unwrap().cached_info().config.clone();
            config.max_bytes = bytes;
            context.update_stream(config).await.unwrap();
        };
        limit(200_000).await;
        let next = |last: &Record| {
            let mut next = following(&last.meta, b"");
            next.body = Body::Whole(Bytes::from(vec![7; 30_000]));
            next
        };
        let refused = loop {
            let next = next(&last);
            match store.commit(commit(&key, &next)).await {
                Ok(Committed::Done(_)) => last = next,
                other => break other,
            }
            assert!(last.meta.rev.get() < 100, "it is never full");
        };
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&last));
        limit(-1).await;
        done(&*store, &key, &next(&last)).await;
    });
}
