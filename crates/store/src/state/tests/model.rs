//! Any order of operations, compared with a model that keeps every content whole.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::meta::Kind;
use crate::state::Ttl;
use crate::suite::Memory;

/// How long the content of a step is: around the lengths where it is kept in another way.
const LENGTHS: [usize; 8] = [0, 10, 3000, 4096, 20_000, 65_536, 65_537, 200_000];

#[derive(Clone, Debug)]
enum Step {
    Put { length: usize, seed: u64, stale: bool, ttl: Option<u64> },
    Append { length: usize, seed: u64 },
    Delete,
    Restore { back: u64 },
    Pin { back: u64, on: bool },
    Prune { keep: u32 },
    Pass { seconds: u64 },
    Sweep,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop::sample::select(&LENGTHS[..]);
    // Few seeds, so that contents come again in part.
    let seed = || 0..4_u64;
    prop_oneof![
        6 => (length(), seed(), prop::bool::weighted(0.1), prop::option::weighted(0.2, 1..100_u64))
            .prop_map(|(length, seed, stale, ttl)| Step::Put { length, seed, stale, ttl }),
        4 => (length(), seed()).prop_map(|(length, seed)| Step::Append { length, seed }),
        1 => Just(Step::Delete),
        1 => (0..20_u64).prop_map(|back| Step::Restore { back }),
        2 => (0..20_u64, any::<bool>()).prop_map(|(back, on)| Step::Pin { back, on }),
        1 => (1..6_u32).prop_map(|keep| Step::Prune { keep }),
        1 => (1..80_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Sweep),
        2 => Just(Step::Restart),
    ]
}

#[derive(Clone)]
struct Kept {
    kind: Kind,
    content: Vec<u8>,
    /// In milliseconds, with the time to live that it was given.
    expires: Option<(u64, u64)>,
    pinned: bool,
}

/// All revisions of one key, and what has to be kept of them.
#[derive(Default)]
struct Model {
    revisions: BTreeMap<u64, Kept>,
    now: u64,
}

impl Model {
    fn head(&self) -> Option<(u64, &Kept)> {
        self.revisions.last_key_value().map(|(rev, kept)| (*rev, kept))
    }

    /// The head, if it can be read.
    fn value(&self) -> Option<(u64, &Kept)> {
        self.head().filter(|(_, kept)| kept.kind == Kind::Value && !self.has_expired(kept))
    }

    fn has_expired(&self, kept: &Kept) -> bool {
        kept.expires.is_some_and(|(at, _)| at <= self.now)
    }

    fn write(&mut self, kind: Kind, content: Vec<u8>, ttl: Option<u64>) -> u64 {
        let parent = self.head().filter(|(_, kept)| kept.kind == Kind::Value);
        let ttl = ttl.or_else(|| parent.and_then(|(_, kept)| kept.expires.map(|(_, ttl)| ttl)));
        let rev = self.head().map_or(1, |(rev, _)| rev + 1);
        let expires = ttl.filter(|_| kind == Kind::Value).map(|ttl| (self.now + ttl, ttl));
        self.revisions.insert(rev, Kept { kind, content, expires, pinned: false });
        self.prune(32);
        rev
    }

    fn bury(&mut self) -> bool {
        let due = self.head().is_some_and(|(_, kept)| kept.kind == Kind::Value && self.has_expired(kept));
        if due {
            self.write(Kind::Expired, Vec::new(), None);
        }
        due
    }

    fn prune(&mut self, keep: u64) -> u64 {
        let newest = self.head().map_or(0, |(rev, _)| rev);
        let before = self.revisions.len();
        self.revisions.retain(|rev, kept| *rev + keep > newest || kept.pinned);
        (before - self.revisions.len()) as u64
    }
}

async fn play(steps: Vec<Step>) {
    let memory = Arc::new(Memory::new());
    let (mut state, clock) = over(memory.clone());
    let key = key("n", "k");
    let mut model = Model::default();
    for step in steps {
        let newest = model.head().map_or(0, |(rev, _)| rev);
        match step.clone() {
            Step::Put { length, seed, stale, ttl } => {
                let content = noise(length, seed);
                let value = model.value().map(|(rev, _)| rev);
                let condition = match value {
                    Some(value) if !stale => Condition::At(rev(value)),
                    Some(_) | None if stale => Condition::At(rev(newest + 1)),
                    _ => Condition::Absent,
                };
                let mut value = new(content.clone());
                value.terms.ttl = ttl.map(|ttl| Ttl::Fixed(Duration::from_secs(ttl)));
                let outcome = state.put(&key, condition, value).await;
                if stale {
                    assert!(lost(&outcome.unwrap_err()).is_some());
                    continue;
                }
                model.bury();
                assert_eq!(outcome.unwrap().rev.get(), model.write(Kind::Value, content, ttl.map(|ttl| ttl * 1000)));
            }
            Step::Append { length, seed } => {
                let more = noise(length, seed);
                let at = rev(newest.max(1));
                let outcome = state.append(&key, at, more.clone().into(), Terms::default()).await;
                match model.value().map(|(_, kept)| kept.content.clone()) {
                    None => assert_eq!(lost(&outcome.unwrap_err()), Some(0)),
                    Some(content) => {
                        let content = [content, more].concat();
                        assert_eq!(outcome.unwrap().rev.get(), model.write(Kind::Value, content, None));
                    }
                }
            }
            Step::Delete => {
                let outcome = state.delete(&key, rev(newest.max(1)), Terms::default()).await;
                match model.value() {
                    None => assert_eq!(lost(&outcome.unwrap_err()), Some(0)),
                    Some(_) => {
                        model.write(Kind::Deleted, Vec::new(), None);
                        assert_eq!(outcome.unwrap().kind, Kind::Deleted);
                    }
                }
            }
            Step::Restore { back } => {
                let from = newest.saturating_sub(back).max(1);
                let outcome = state.restore(&key, rev(from), Condition::At(rev(newest.max(1))), Terms::default()).await;
                let kept =
                    model.revisions.get(&from).filter(|kept| kept.kind == Kind::Value && !model.has_expired(kept));
                match (kept.cloned(), model.value()) {
                    (Some(kept), Some(_)) => {
                        assert_eq!(outcome.unwrap().rev.get(), model.write(Kind::Value, kept.content, None));
                    }
                    _ => assert!(outcome.is_err()),
                }
            }
            Step::Pin { back, on } => {
                let at = newest.saturating_sub(back).max(1);
                let outcome = state.pin(&key, rev(at), on).await;
                let now = model.now;
                match model.revisions.get_mut(&at) {
                    Some(kept) if !on => {
                        kept.pinned = false;
                        outcome.unwrap();
                    }
                    Some(kept) if kept.kind == Kind::Value && kept.expires.is_none_or(|(end, _)| end > now) => {
                        kept.pinned = true;
                        outcome.unwrap();
                    }
                    _ => assert!(outcome.is_err()),
                }
            }
            Step::Prune { keep } => {
                assert_eq!(state.prune(&key, keep).await.unwrap(), model.prune(u64::from(keep)));
            }
            Step::Pass { seconds } => {
                clock.pass(Duration::from_secs(seconds));
                model.now += seconds * 1000;
            }
            Step::Sweep => {
                let expired = u64::from(model.bury());
                assert_eq!(state.sweep(10).await.unwrap().expired, expired);
            }
            Step::Restart => {
                state = State::new(memory.clone(), Settings::default(), clock.clone(), None);
            }
        }
        compare(&state, &key, &model, &step).await;
    }
    state = State::new(memory.clone(), Settings::default(), clock.clone(), None);
    compare(&state, &key, &model, &Step::Restart).await;
    let checked = state.check(|_| ()).await.unwrap();
    assert_eq!((checked.damages, checked.revisions), (Vec::new(), model.revisions.len() as u64));
}

async fn compare(state: &State, key: &Key, model: &Model, step: &Step) {
    for (number, kept) in &model.revisions {
        let outcome = state.get(key, At::Rev(rev(*number))).await;
        match kept.kind {
            Kind::Value if !model.has_expired(kept) => {
                assert!(outcome.unwrap().content == kept.content, "{step:?}: revision {number}");
            }
            Kind::Deleted => assert_eq!(outcome, Err(StateError::NotFound), "{step:?}"),
            _ => assert_eq!(outcome, Err(StateError::Gone), "{step:?}"),
        }
    }
    let numbers: Vec<(u64, bool)> = model.revisions.iter().rev().map(|(rev, kept)| (*rev, kept.pinned)).collect();
    let history = state.history(key, None, 1000).await.unwrap_or_default();
    let kept: Vec<(u64, bool)> = history.iter().map(|revision| (revision.meta.rev.get(), revision.pinned)).collect();
    assert_eq!(kept, numbers, "{step:?}");
    match (state.get(key, At::Head).await, model.value()) {
        (Ok(value), Some((rev, kept))) => {
            assert_eq!(value.meta.rev.get(), rev, "{step:?}");
            assert!(value.content == kept.content, "{step:?}");
        }
        (outcome, None) => assert!(matches!(outcome, Err(StateError::NotFound | StateError::Gone)), "{step:?}"),
        (outcome, _) => panic!("{step:?}: {outcome:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn state_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        run(play(steps));
    }
}
