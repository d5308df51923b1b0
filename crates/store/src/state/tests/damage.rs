//! Damage is found, told, and never returned.

use super::*;
use crate::state::{Part, copy};
use crate::suite::{Memory, a_damaged_earlier_revision_is_told, a_damaged_head_is_told, before_damage};

fn is_damage<T>(outcome: Result<T, StateError>) -> bool {
    matches!(outcome, Err(StateError::Damaged { .. }))
}

/// Three keys with a short content that is kept as it is, one that is packed, and one in pieces; all but the last
/// revision of the second is a difference.
async fn filled() -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let (state, _) = over(memory.clone());
    state.put(&key("n", "plain"), Condition::Absent, new("short")).await.unwrap();
    let text = "many words are kept in few bytes. ".repeat(300);
    let mut last = state.put(&key("n", "packed"), Condition::Absent, new(text.clone())).await.unwrap();
    for number in 0..4 {
        let text = format!("{number}{text}");
        last = state.put(&key("n", "packed"), Condition::At(last.rev), new(text)).await.unwrap();
    }
    state.put(&key("n", "pieces"), Condition::Absent, new(noise(300_000, 1))).await.unwrap();
    memory
}

#[test]
fn a_flipped_bit_is_an_error_and_never_a_value() {
    run(async {
        for (name, at) in [("plain", 1), ("packed", 5), ("packed", 3), ("pieces", 1)] {
            let memory = filled().await;
            let key = key("n", name);
            assert!(memory.damage(&key, rev(at)));
            let (state, _) = over(memory.clone());
            assert!(is_damage(state.get(&key, At::Rev(rev(at))).await), "{name}");
            let checked = state.check(|_| ()).await.unwrap();
            assert!(checked.damaged >= 1, "{name}");
            assert!(checked.damages.iter().any(|damage| damage.key == key.to_string() && damage.rev == Some(rev(at))));
            assert!(checked.damages.iter().all(|damage| damage.key == key.to_string()));
            if name == "packed" && at == 3 {
                // What is built on it is lost with it, and nothing else.
                assert!(is_damage(state.get(&key, At::Rev(rev(2))).await));
                assert!(state.get(&key, At::Rev(rev(4))).await.is_ok());
                assert_eq!(checked.damaged, 3);
                assert!(is_damage(state.pin(&key, rev(2), true).await));
                assert!(is_damage(state.restore(&key, rev(1), Condition::At(rev(5)), Terms::default()).await));
            } else {
                let newest = state.meta(&key, At::Head).await.unwrap().rev;
                assert!(is_damage(state.append(&key, newest, Bytes::from_static(b"x"), Terms::default()).await));
                // Who brings a new content needs nothing of the old one.
                state.put(&key, Condition::At(newest), new("repaired".repeat(1000))).await.unwrap();
                assert_eq!(content(&state, &key).await, "repaired".repeat(1000));
            }
        }
    });
}

/// The oracle does what engines do.
#[test]
fn damage_is_told_of_what_is_damaged() {
    run(async {
        let memory = Arc::new(Memory::new());
        let store: Arc<dyn Store> = memory.clone();
        let keys = before_damage(&store).await;
        assert!(memory.damage_all_of(&keys.harmed, rev(3)));
        a_damaged_head_is_told(store, keys).await;
        let memory = Arc::new(Memory::new());
        let store: Arc<dyn Store> = memory.clone();
        let keys = before_damage(&store).await;
        assert!(memory.damage_all_of(&keys.harmed, rev(2)));
        a_damaged_earlier_revision_is_told(store, keys).await;
    });
}

/// Of a revision in the middle whose content is lost the others come over, and it is named each time.
#[test]
fn a_copy_leaves_out_one_revision() {
    run(async {
        let memory = Arc::new(Memory::new());
        let (state, _) = over(memory.clone());
        let place = key("n", "k");
        let mut last = state.put(&place, Condition::Absent, new(noise(200_000, 1))).await.unwrap();
        for seed in 2..=3 {
            last = state.put(&place, Condition::At(last.rev), new(noise(200_000, seed))).await.unwrap();
        }
        let second = memory.revision(&place, rev(2)).await.unwrap().unwrap();
        memory.drop_piece(&place.namespace, &second.body.pieces()[0]);
        let target = Memory::new();
        for _ in 0..2 {
            let copied = copy(&*memory, &target, |_| ()).await.unwrap();
            assert_eq!(copied.left_out.iter().map(|left| left.part).collect::<Vec<_>>(), [Part::Revision(rev(2))]);
        }
        assert_eq!(target.head(&place).await, memory.head(&place).await);
        assert_eq!(target.revision(&place, rev(1)).await, memory.revision(&place, rev(1)).await);
        // Where it is the newest, no other would do in its place.
        let newest = memory.head(&place).await.unwrap().unwrap();
        memory.drop_piece(&place.namespace, &newest.body.pieces()[0]);
        let target = Memory::new();
        for _ in 0..2 {
            let copied = copy(&*memory, &target, |_| ()).await.unwrap();
            assert_eq!(copied.left_out.iter().map(|left| left.part).collect::<Vec<_>>(), [Part::Key]);
            assert_eq!(target.head(&place).await, Ok(None));
        }
    });
}

/// A difference that can be applied, and makes something else than what was written.
#[test]
fn a_difference_of_something_else_is_damage() {
    run(async {
        let memory = Arc::new(Memory::new());
        let (state, _) = over(memory.clone());
        let place = key("n", "k");
        let base = noise(9000, 1);
        let first = state.put(&place, Condition::Absent, new(base[..8000].to_vec())).await.unwrap();
        state.put(&place, Condition::At(first.rev), new(base.clone())).await.unwrap();
        let kept = memory.revision(&place, first.rev).await.unwrap().unwrap();
        assert!(matches!(kept.body, crate::Body::Delta { .. }));
        let other = crate::pack::difference(&base[1..8001], &base, 9000).unwrap();
        let body = crate::Body::Delta { on: rev(2), bytes: other.into() };
        let forged = crate::Record { meta: kept.meta, body };
        memory.pin(&place, first.rev, crate::Pin::On(Box::new(forged))).await.unwrap();
        assert!(is_damage(state.get(&place, At::Rev(first.rev)).await));
        assert_eq!(state.check(|_| ()).await.unwrap().damaged, 1);
    });
}

#[test]
fn a_piece_that_is_not_there_is_damage() {
    run(async {
        let memory = filled().await;
        let key = key("n", "pieces");
        let head = memory.head(&key).await.unwrap().unwrap();
        // Another key takes the place of the first: its only revision names pieces that nobody brought.
        let other = crate::suite::key("other", "pieces");
        memory.commit(crate::suite::commit(&other, &head)).await.unwrap();
        let (state, _) = over(memory);
        assert!(is_damage(state.get(&other, At::Head).await));
        assert!(is_damage(state.get(&other, At::Rev(rev(1))).await));
        assert!(is_damage(state.append(&other, rev(1), Bytes::from_static(b"x"), Terms::default()).await));
        assert_eq!(state.check(|_| ()).await.unwrap().damaged, 1);
    });
}

#[test]
fn a_record_that_does_not_follow_is_found() {
    run(async {
        let memory = filled().await;
        let place = key("n", "plain");
        let head = memory.head(&place).await.unwrap().unwrap();
        let mut next = crate::suite::following(&head.meta, b"forged");
        next.meta.chain = head.meta.chain;
        memory.commit(crate::suite::commit(&place, &next)).await.unwrap();
        let mut first = crate::suite::record(b"first");
        first.meta.chain = head.meta.hash;
        memory.commit(crate::suite::commit(&key("n", "first"), &first)).await.unwrap();
        let (state, _) = over(memory);
        let mut told = 0;
        let checked = state.check(|_| told += 1).await.unwrap();
        // The bodies are not packed, so that each of the two is damaged twice.
        let chains: Vec<&str> = checked
            .damages
            .iter()
            .filter(|damage| damage.what.contains("follow") || damage.what.contains("chain"))
            .map(|damage| damage.key.as_str())
            .collect();
        assert_eq!(chains, ["n/first", "n/plain"]);
        assert_eq!((told, checked.keys), (4, 4));
    });
}

/// Bytes that are not what State wrote, in every place of a body: damage, and no panic.
#[test]
fn bodies_from_nowhere_do_no_harm() {
    run(async {
        let mut random = fastrand::Rng::with_seed(8);
        for number in 0..400_usize {
            let memory = Arc::new(Memory::new());
            let place = key("n", "k");
            let mut bytes = vec![0; random.usize(..40)];
            random.fill(&mut bytes);
            if let Some(first) = bytes.first_mut() {
                *first %= 5;
            }
            let mut record = crate::suite::record(b"what it should be");
            record.body = match number % 4 {
                0 => crate::Body::Whole(bytes.into()),
                1 => crate::Body::Delta { on: rev(random.u64(1..4)), bytes: bytes.into() },
                2 => crate::Body::Pieces(Vec::new()),
                _ => crate::Body::None,
            };
            record.meta.size = [0, 17, u64::MAX][number % 3];
            memory.commit(crate::suite::commit(&place, &record)).await.unwrap();
            let (state, _) = over(memory);
            let expected = |outcome: Result<_, StateError>| {
                matches!(outcome, Err(StateError::Damaged { .. } | StateError::NoKey(_)))
            };
            assert!(expected(state.get(&place, At::Head).await), "{record:?}");
            assert!(expected(state.get(&place, At::Rev(rev(1))).await), "{record:?}");
        }
    });
}
