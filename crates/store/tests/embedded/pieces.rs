//! A piece is there for as long as a revision names it, and no longer: random histories against a model that counts nothing.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use proptest::prelude::*;
use tradewind_store::{Body, Commit, Durability, Hash, Key, PieceId, Pin, Store};

use crate::support::{BOTH, block_on, commit, done, key, of_pieces, record, rev, whole};

const POOL: u8 = 8;
const KEYS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A revision of these pieces; of none it is a plain value.
    Put {
        key: u8,
        pieces: Vec<u8>,
        keep: u32,
    },
    Delete {
        key: u8,
        keep: u32,
    },
    Pin {
        key: u8,
        which: usize,
        on: bool,
    },
    Prune {
        key: u8,
        keep: u32,
    },
    Forget {
        key: u8,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    prop_oneof![
        8 => (key.clone(), proptest::collection::vec(0..POOL, 0..6), 1..6_u32)
            .prop_map(|(key, pieces, keep)| Step::Put { key, pieces, keep }),
        1 => (key.clone(), 1..6_u32).prop_map(|(key, keep)| Step::Delete { key, keep }),
        3 => (key.clone(), 0..8_usize, any::<bool>()).prop_map(|(key, which, on)| Step::Pin { key, which, on }),
        1 => (key.clone(), 1..4_u32).prop_map(|(key, keep)| Step::Prune { key, keep }),
        1 => key.prop_map(|key| Step::Forget { key }),
        1 => Just(Step::Reopen),
    ]
}

/// Revisions of one key: the pieces that each names, whether it is a tombstone, and whether it is pinned.
#[derive(Default)]
struct History(BTreeMap<u64, (Vec<u8>, bool, bool)>);

impl History {
    fn head(&self) -> u64 {
        self.0.keys().next_back().copied().unwrap_or(0)
    }

    fn prune(&mut self, keep: u32) -> u64 {
        let before = self.0.len();
        let limit = self.head().saturating_sub(u64::from(keep));
        self.0.retain(|number, (_, _, pinned)| *number > limit || *pinned);
        (before - self.0.len()) as u64
    }
}

fn piece(number: u8) -> Vec<u8> {
    vec![number; 700 + usize::from(number)]
}

fn id(number: u8) -> PieceId {
    PieceId(Hash::of(&piece(number)).0)
}

fn key_of(number: u8) -> Key {
    key(&format!("conversation/{number}"))
}

async fn check(store: &dyn Store, model: &BTreeMap<u8, History>, step: &Step) {
    let named: HashSet<u8> =
        model.values().flat_map(|history| history.0.values()).flat_map(|(pieces, ..)| pieces.iter().copied()).collect();
    let ids: Vec<PieceId> = (0..POOL).map(id).collect();
    let found = store.pieces(&key_of(0).namespace, &ids).await.unwrap();
    for (number, bytes) in (0..POOL).zip(found) {
        let wanted = named.contains(&number).then(|| Bytes::from(piece(number)));
        assert_eq!(bytes, wanted, "piece {number} after {step:?}");
    }
    for (number, history) in model {
        let kept = store.history(&key_of(*number), None, 100).await.unwrap();
        let kept: Vec<_> = kept.into_iter().map(|kept| (kept.meta.rev.get(), kept.pinned)).collect();
        let wanted: Vec<_> = history.0.iter().rev().map(|(rev, (_, _, pinned))| (*rev, *pinned)).collect();
        assert_eq!(kept, wanted, "history of {number} after {step:?}");
    }
}

async fn run(steps: &[Step]) {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut store = engine.open(folder.path(), Durability::Os);
        let mut model: BTreeMap<u8, History> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put { key, pieces, keep } => {
                    let history = model.entry(*key).or_default();
                    let (before, number) = (history.head(), history.head() + 1);
                    let old = history.0.get(&before).map(|(pieces, ..)| pieces.clone()).unwrap_or_default();
                    let record = if pieces.is_empty() {
                        whole(number, b"plain")
                    } else {
                        of_pieces(number, &pieces.iter().map(|number| piece(*number)).collect::<Vec<_>>())
                    };
                    let new: HashSet<u8> = pieces.iter().copied().filter(|number| !old.contains(number)).collect();
                    let brought = new.into_iter().map(|number| (id(number), Bytes::from(piece(number)))).collect();
                    done(&*store, Commit { pieces: brought, ..commit(&key_of(*key), record, *keep) }).await;
                    history.0.insert(number, (pieces.clone(), false, false));
                    history.prune(*keep);
                }
                Step::Delete { key, keep } => {
                    let history = model.entry(*key).or_default();
                    let number = history.head() + 1;
                    if number > 1 {
                        done(&*store, commit(&key_of(*key), record(number, Body::None, b""), *keep)).await;
                        history.0.insert(number, (Vec::new(), true, false));
                        history.prune(*keep);
                    }
                }
                Step::Pin { key, which, on } => {
                    let history = model.entry(*key).or_default();
                    let Some((number, (_, _, pinned))) = history.0.iter_mut().nth(*which) else { continue };
                    let stored = store.revision(&key_of(*key), rev(*number)).await.unwrap().unwrap();
                    let pin = if *on { Pin::On(Box::new(stored)) } else { Pin::Off };
                    assert!(store.pin(&key_of(*key), rev(*number), pin).await.unwrap());
                    *pinned = *on;
                }
                Step::Prune { key, keep } => {
                    let removed = store.prune(&key_of(*key), *keep).await.unwrap();
                    assert_eq!(removed, model.entry(*key).or_default().prune(*keep), "after {step:?}");
                }
                Step::Forget { key } => {
                    let history = model.entry(*key).or_default();
                    let head = history.head();
                    let buried = history.0.get(&head).is_some_and(|(_, tombstone, _)| *tombstone);
                    if head > 0 {
                        assert_eq!(store.forget(&key_of(*key), rev(head)).await.unwrap(), buried);
                    }
                    if buried {
                        history.0.clear();
                    }
                }
                Step::Reopen => {
                    store.close().await.unwrap();
                    store = engine.open(folder.path(), Durability::Os);
                }
            }
            check(&*store, &model, step).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_piece_is_there_as_long_as_it_is_named(steps in proptest::collection::vec(step(), 1..60)) {
        block_on(run(&steps));
    }
}
