//! Two stores on one server, each with heads of its own in memory: what one of them remembers, the other one changes.

use std::sync::Arc;

use fastrand::Rng;
use futures_util::future::join_all;
use tradewind_core::UnixMillis;
use tradewind_store::suite::{commit, following, key, record, run, tombstone};
use tradewind_store::{Commit, Committed, Key, Kind, Pin, Record, Rev, Store};

use crate::{fresh, open, server};

const LATE: UnixMillis = UnixMillis(1 << 50);
/// How many revisions each key keeps.
const KEEP: [u32; 6] = [1, 3, 8, 16, 32, 70];

/// What is kept of a key.
struct Model {
    key: Key,
    keep: u32,
    /// By number, and whether it is pinned.
    kept: Vec<(Record, bool)>,
    /// The lowest number that is kept unpinned.
    low: u64,
}

impl Model {
    fn head(&self) -> Option<&Record> {
        self.kept.last().map(|(record, _)| record)
    }

    fn next(&self, body: &[u8]) -> Record {
        self.head().map_or_else(|| record(body), |head| following(&head.meta, body))
    }

    fn put(&mut self, record: Record) {
        let rev = record.meta.rev.get();
        self.kept.push((record, false));
        self.keep_from(rev.saturating_sub(u64::from(self.keep)) + 1);
    }

    fn keep_from(&mut self, low: u64) {
        self.low = self.low.max(low);
        self.kept.retain(|(record, pinned)| *pinned || record.meta.rev.get() >= self.low);
    }
}

async fn looks_like(store: &dyn Store, model: &Model) {
    let key = &model.key;
    assert_eq!(store.head(key).await.unwrap().as_deref(), model.head(), "{key}");
    let history = store.history(key, None, 999).await.unwrap();
    let found: Vec<_> = history.iter().rev().map(|kept| (&kept.meta, kept.pinned)).collect();
    let wanted: Vec<_> = model.kept.iter().map(|(record, pinned)| (&record.meta, *pinned)).collect();
    assert_eq!(found, wanted, "{key}");
    let last = model.head().map_or(0, |head| head.meta.rev.get());
    for number in last.saturating_sub(100)..=last + 1 {
        let Some(rev) = Rev::new(number) else { continue };
        let wanted = model.kept.iter().find(|(record, _)| record.meta.rev == rev).map(|(record, _)| record.clone());
        assert_eq!(store.revision(key, rev).await, Ok(wanted), "{key} {number}");
    }
}

async fn pin_or_prune(store: &dyn Store, model: &mut Model, random: &mut Rng) {
    if model.kept.is_empty() {
        return;
    }
    let at = random.usize(..model.kept.len());
    let rev = model.kept[at].0.meta.rev;
    match random.u8(..3) {
        0 => {
            let record = model.kept[at].0.clone();
            assert_eq!(store.pin(&model.key, rev, Pin::On(Box::new(record))).await, Ok(true));
            model.kept[at].1 = true;
        }
        1 => {
            assert_eq!(store.pin(&model.key, rev, Pin::Off).await, Ok(true));
            model.kept[at].1 = false;
            // It is there until the next write.
            model.low = model.low.min(rev.get());
        }
        _ => {
            let keep = random.u32(1..9);
            let before = model.kept.len();
            model.keep_from((model.head().unwrap().meta.rev.get() + 1).saturating_sub(u64::from(keep)));
            let removed = (before - model.kept.len()) as u64;
            assert_eq!(store.prune(&model.key, keep).await, Ok(removed), "{}", model.key);
        }
    }
}

/// Some keys are written together by one of the stores: with what is the head, or was.
async fn write(store: &dyn Store, models: &mut [Model], random: &mut Rng, round: u32) {
    let mut writes = Vec::new();
    for (at, model) in models.iter().enumerate() {
        if random.bool() {
            continue;
        }
        let body = format!("{round} {at}");
        let next = match (random.u8(..16), model.kept.first(), model.head()) {
            (0, Some((older, _)), _) if model.kept.len() > 1 => following(&older.meta, body.as_bytes()),
            (1, Some(_), _) => record(body.as_bytes()),
            (2, _, Some(head)) => tombstone(&head.meta, Kind::Deleted, LATE),
            _ => model.next(body.as_bytes()),
        };
        let is_next = next.meta.parent == model.head().map(|head| head.meta.rev);
        writes.push((at, Commit { keep: model.keep, ..commit(&model.key, &next) }, is_next));
    }
    let done = join_all(writes.iter().map(|(_, commit, _)| store.commit(commit.clone()))).await;
    for ((at, commit, is_next), done) in writes.into_iter().zip(done) {
        match done.unwrap() {
            Committed::Done(_) if is_next => models[at].put(commit.record),
            Committed::Lost(head) if !is_next => assert_eq!(head.as_deref(), models[at].head()),
            other => panic!("{}: {other:?}", commit.key),
        }
    }
}

/// Scripts count in floating point: up to the greatest revision both sides make the same sums.
#[test]
fn the_greatest_revisions_are_like_others() {
    run(async {
        let (store, server) = fresh().await;
        let other = open(server.port()).await;
        for first in [1 << 40, 1 << 48, 1 << 50, (1 << 53) - 60] {
            let mut model = Model { key: key("n", &format!("k{first}")), keep: 8, kept: Vec::new(), low: 0 };
            let mut next = record(b"first");
            next.meta.rev = Rev::new(first).unwrap();
            for number in 0..50_u8 {
                let put = Commit { keep: model.keep, ..commit(&model.key, &next) };
                let done = store.commit(put).await;
                assert!(matches!(done, Ok(Committed::Done(_))), "{first} {number}: {done:?}");
                model.put(next);
                next = model.next(&[number]);
                looks_like(&*other, &model).await;
            }
        }
    });
}

#[test]
fn what_one_store_remembers_another_changes() {
    run(async {
        let (first, server) = fresh().await;
        let stores: [Arc<dyn Store>; 2] = [first, open(server.port()).await];
        let mut random = Rng::with_seed(11);
        let model = |(at, keep)| Model { key: key("n", &format!("k{at}")), keep, kept: Vec::new(), low: 0 };
        let mut models: Vec<Model> = KEEP.into_iter().enumerate().map(model).collect();
        let mut store = 0;
        for round in 0..2_000 {
            // One of them goes on for a while, so that it remembers runs of its own.
            if random.u8(..30) == 0 {
                store = 1 - store;
            }
            write(&*stores[store], &mut models, &mut random, round).await;
            if random.u8(..60) == 0 {
                let at = random.usize(..models.len());
                pin_or_prune(&*stores[random.usize(..2)], &mut models[at], &mut random).await;
            }
            if round % 40 == 0 {
                for model in &models {
                    looks_like(&*stores[1 - store], model).await;
                }
            }
        }
        // Nothing stays behind.
        for model in &mut models {
            for (record, _) in model.kept.iter().filter(|(_, pinned)| *pinned) {
                assert_eq!(stores[0].pin(&model.key, record.meta.rev, Pin::Off).await, Ok(true));
            }
            let gone = tombstone(&model.head().unwrap().meta, Kind::Deleted, LATE);
            let done = stores[0].commit(Commit { keep: 1, ..commit(&model.key, &gone) }).await;
            assert!(matches!(done, Ok(Committed::Done(_))), "{done:?}");
            assert_eq!(stores[1].forget(&model.key, gone.meta.rev).await, Ok(true));
        }
        let records: u64 = server::ask(server.port(), "HLEN", &[b"tw:{n}:records"]);
        let keys: Vec<String> = server::ask(server.port(), "KEYS", &[b"tw:{n}:k:*"]);
        assert_eq!((records, keys), (0, Vec::new()));
    });
}

/// Numbers are the caller's: where some are left out, the head that follows is one that can be read.
#[test]
fn numbers_that_are_left_out_harm_no_head() {
    run(async {
        let (store, _server) = crate::fresh().await;
        let key = key("n", "k");
        let mut next = record(b"first");
        for round in 0..40 {
            let commit = Commit { keep: 8, ..commit(&key, &next) };
            assert!(matches!(store.commit(commit).await, Ok(Committed::Done(_))), "{round}");
            assert_eq!(store.head(&key).await.unwrap().as_deref(), Some(&next), "{round}");
            let before = next.meta;
            next = following(&before, b"next");
            if round == 0 {
                next.meta.rev = Rev::new(10).unwrap();
            }
        }
    });
}
