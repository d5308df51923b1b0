//! What is kept of checksum databases.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_ledger::{Level, Tile};

use super::support::{Bench, of};
use crate::store::Limits;
use crate::sumdb::Kept;

#[tokio::test]
async fn heads_are_replaced_by_whoever_knows_the_last() {
    let bench = Bench::new(Limits::default());
    let (store, name) = (&bench.store, "localhost.localdev/sumdb");
    let [one, two] = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    assert_eq!(store.head(name).await.unwrap(), None);
    assert!(!store.keep_head(name, Some(two.clone()), one.clone()).await.unwrap());
    assert!(store.keep_head(name, None, one.clone()).await.unwrap());
    assert!(!store.keep_head(name, None, two.clone()).await.unwrap(), "it is there by now");
    let other = bench.reopened(Limits::default());
    assert_eq!(other.head(name).await.unwrap(), Some(one.clone()));
    assert!(other.keep_head(name, Some(one.clone()), two.clone()).await.unwrap());
    assert!(!store.keep_head(name, Some(one), Bytes::from_static(b"three")).await.unwrap(), "another was faster");
    assert_eq!(store.head(name).await.unwrap(), Some(two));
    assert_eq!(store.head("other").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_replace_a_head_each_time_one_wins() {
    let bench = Bench::new(Limits::default());
    let tasks = (0..8).map(|task: u32| {
        let store = if task.is_multiple_of(2) { bench.store.clone() } else { bench.reopened(Limits::default()) };
        async move {
            let mut won = 0;
            while won < 5 {
                let last = store.head("db").await.unwrap();
                let count: u32 = last.as_ref().map_or(0, |last| String::from_utf8_lossy(last).parse().unwrap());
                won += u32::from(store.keep_head("db", last, (count + 1).to_string().into()).await.unwrap());
            }
        }
    });
    futures_util::future::join_all(tasks).await;
    assert_eq!(bench.store.head("db").await.unwrap(), Some(Bytes::from_static(b"40")));
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_not_one_that_was_never_there() {
    let bench = Bench::new(Limits::default());
    std::fs::create_dir_all(bench.folder.path().join("sumdb/db/latest")).unwrap();
    assert!(bench.store.head("db").await.is_err());
    assert!(bench.store.keep_head("db", None, Bytes::from_static(b"x")).await.is_err());
}

#[tokio::test]
async fn tiles_lookups_and_evidence_are_kept() {
    let bench = Bench::new(Limits::default());
    let store: Arc<dyn Kept> = Arc::new(bench.store.clone());
    let full = Tile { height: 8, level: Level::Hashes(0), index: 1_234_067, width: 256 };
    let partial = Tile { width: 5, ..full };
    for (tile, byte) in [(full, 1), (partial, 2)] {
        assert_eq!(store.tile("db", tile).await, None);
        store.keep_tile("db", tile, vec![byte; 100].into()).await;
        assert_eq!(store.tile("db", tile).await, Some(vec![byte; 100].into()));
    }
    assert!(bench.folder.path().join("sumdb/db/tile/8/0/x001/x234/067.p/5").exists());
    let version = of("github.com/Azure/x", "v1.0.0");
    assert_eq!(store.lookup("db", &version).await, None);
    store.keep_lookup("db", &version, Bytes::from_static(b"1\n")).await;
    assert_eq!(store.lookup("db", &version).await, Some(Bytes::from_static(b"1\n")));
    assert_eq!(store.lookup("other", &version).await, None);
    for text in ["first", "second", "first"] {
        store.evidence("db", text.to_owned()).await;
        bench.clock.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(bench.store.evidence_against("db").unwrap(), ["first", "second"]);
}

fn hashes(width: u32) -> Bytes {
    (0..width).flat_map(|place| [place as u8; 32]).collect::<Vec<u8>>().into()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test damages its own files")]
async fn a_wider_tile_takes_the_place_of_narrower_ones() {
    let bench = Bench::new(Limits::default());
    let store = &bench.store;
    let tile = |width| Tile { height: 8, level: Level::Hashes(0), index: 3, width };
    let folder = bench.folder.path().join("sumdb/db/tile/8/0/003.p");
    let there = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    for width in [5, 9, 200] {
        store.keep_tile("db", tile(width), hashes(width)).await;
        assert_eq!(there(), 1, "{width}");
    }
    store.keep_tile("db", tile(7), hashes(7)).await;
    assert_eq!(there(), 1, "it is the beginning of the one that is there");
    for width in [5, 7, 200] {
        assert_eq!(store.tile("db", tile(width)).await, Some(hashes(width)), "a client with an older head has it too");
    }
    assert_eq!(store.tile("db", tile(201)).await, None);
    // One that does not begin with what was checked is damaged.
    std::fs::write(folder.join("200"), vec![9; 200 * 32]).unwrap();
    store.keep_tile("db", tile(7), hashes(7)).await;
    assert_eq!((store.tile("db", tile(7)).await, store.tile("db", tile(8)).await), (Some(hashes(7)), None));
    store.keep_tile("db", tile(256), hashes(256)).await;
    assert!(!folder.exists(), "what is full never changes");
    assert_eq!(store.tile("db", tile(7)).await, Some(hashes(7)));
}
