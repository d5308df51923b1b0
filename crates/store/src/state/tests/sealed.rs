//! Sealed state: keys made, shared, rotated, and missing.

use super::*;
use crate::seal::{MasterKey, Masters, Sealer, key_of, keys_namespace};

fn sealed(store: Arc<dyn Store>, current: u8, previous: &[u8]) -> State {
    let master = |number: u8| MasterKey::new(&format!("m{number}"), &[number; 32]).unwrap();
    let masters = Masters::new(master(current), previous.iter().map(|number| master(*number)).collect()).unwrap();
    State::new(store, Settings::default(), FakeClock::new(), Some(Arc::new(Sealer::new(masters))))
}

#[test]
fn gateways_that_begin_at_once_use_one_data_key() {
    run(async {
        let memory = Arc::new(Memory::new());
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let state = sealed(memory.clone(), 200, &[]);
            tasks.spawn(async move { state.put(&key("n", &task.to_string()), Condition::Absent, new("x")).await });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap().unwrap();
        }
        let state = sealed(memory.clone(), 200, &[]);
        for task in 0..8 {
            assert_eq!(content(&state, &key("n", &task.to_string())).await, "x");
        }
        assert_eq!(memory.head(&key_of(&key("n", "0").namespace)).await.unwrap().unwrap().meta.rev, rev(1));
        // The store's own namespaces are nobody's to list.
        assert_eq!(state.namespaces().await.unwrap(), [key("n", "0").namespace]);
    });
}

#[test]
fn rotation_wraps_keys_and_writes_no_value() {
    run(async {
        let memory = Arc::new(Memory::new());
        let old = sealed(memory.clone(), 201, &[]);
        for namespace in ["a", "b", "c"] {
            old.put(&key(namespace, "k"), Condition::Absent, new(noise(100_000, 5))).await.unwrap();
        }
        let before = memory.head(&key("a", "k")).await.unwrap();
        let both = sealed(memory.clone(), 202, &[201]);
        assert!(both.get(&key("a", "k"), At::Head).await.is_ok());
        assert_eq!(both.masters_in_use().await.unwrap().get("m201"), Some(&3));
        assert_eq!(both.rewrap().await.unwrap(), 3);
        assert_eq!(both.rewrap().await.unwrap(), 0);
        assert_eq!(both.masters_in_use().await.unwrap().into_iter().collect::<Vec<_>>(), [("m202".to_owned(), 3)]);
        assert_eq!(memory.head(&key("a", "k")).await.unwrap(), before);
        assert_eq!(memory.history(&key_of(&key("a", "k").namespace), None, 9).await.unwrap().len(), 1);
        let new_only = sealed(memory.clone(), 202, &[]);
        assert_eq!(content(&new_only, &key("c", "k")).await, noise(100_000, 5));
        assert!(matches!(sealed(memory, 201, &[]).get(&key("a", "k"), At::Head).await, Err(StateError::NoKey(_))));
    });
}

/// A data key whose record is damaged is named by a check, and keeps no other from being wrapped again.
#[test]
fn a_damaged_data_key_keeps_no_other_from_its_new_master() {
    run(async {
        let memory = Arc::new(Memory::new());
        let before = sealed(memory.clone(), 201, &[]);
        for namespace in ["a", "b", "c"] {
            before.put(&key(namespace, "k"), Condition::Absent, new("x")).await.unwrap();
        }
        assert!(memory.damage_all_of(&key_of(&key("b", "k").namespace), rev(1)));
        let both = sealed(memory.clone(), 202, &[201]);
        assert!(matches!(both.rewrap().await, Err(StateError::Damaged { .. })));
        assert_eq!(both.masters_in_use().await.unwrap().into_iter().collect::<Vec<_>>(), [("m202".to_owned(), 2)]);
        let checked = both.check(|_| ()).await;
        assert!(checked.is_ok_and(|checked| checked.damages.iter().any(|damage| damage.key == "_keys/b")));
    });
}

/// What was written before there was a key can be read, and is sealed when it is written again, its parent too.
#[test]
fn sealing_can_begin_at_any_time() {
    run(async {
        let (plain, _, memory) = fresh();
        let text: String = noise(4000, 7).iter().map(|byte| format!("{byte}pla1n")).collect();
        let key = key("n", "k");
        plain.put(&key, Condition::Absent, new(text.clone())).await.unwrap();
        let state = sealed(memory.clone(), 203, &[]);
        assert_eq!(content(&state, &key).await, text);
        state.append(&key, rev(1), Bytes::from_static(b"more"), Terms::default()).await.unwrap();
        assert_eq!(state.get(&key, At::Rev(rev(1))).await.unwrap().content, text);
        for number in [1, 2] {
            let kept = memory.revision(&key, rev(number)).await.unwrap().unwrap().encode();
            assert!(!kept.windows(5).any(|window| window == b"pla1n"));
        }
    });
}

/// A sealed body in the place of another, a piece under another name, a data key's record that was changed.
#[test]
fn what_was_moved_is_damage() {
    run(async {
        let memory = Arc::new(Memory::new());
        let state = sealed(memory.clone(), 204, &[]);
        let (one, two) = (key("n", "one"), key("n", "two"));
        state.put(&one, Condition::Absent, new("the one")).await.unwrap();
        let moved = memory.head(&one).await.unwrap().unwrap();
        memory.commit(crate::suite::commit(&two, &moved)).await.unwrap();
        assert!(matches!(state.get(&two, At::Head).await, Err(StateError::Damaged { .. })));
        let place = key_of(&one.namespace);
        assert!(place.namespace == keys_namespace());
        assert!(memory.damage(&place, rev(1)));
        let later = sealed(memory, 204, &[]);
        assert!(matches!(later.get(&one, At::Head).await, Err(StateError::Damaged { .. })));
        assert!(matches!(later.put(&one, Condition::At(rev(1)), new("x")).await, Err(StateError::Damaged { .. })));
    });
}

/// Differences, pieces, pins and appends, as without a key.
#[test]
fn sealed_state_does_what_plain_state_does() {
    run(async {
        let (plain, _, unsealed) = fresh();
        let memory = Arc::new(Memory::new());
        let mut state = sealed(memory.clone(), 205, &[]);
        let key = key("n", "k");
        let mut whole = noise(20_000, 6);
        let mut last = state.put(&key, Condition::Absent, new(whole.clone())).await.unwrap();
        plain.put(&key, Condition::Absent, new(whole.clone())).await.unwrap();
        let mut contents = vec![whole.clone()];
        for number in 0..30 {
            let more = noise(7000, number);
            plain.append(&key, last.rev, more.clone().into(), Terms::default()).await.unwrap();
            last = state.append(&key, last.rev, more.clone().into(), Terms::default()).await.unwrap();
            whole.extend(more);
            contents.push(whole.clone());
            if number % 9 == 0 {
                state = sealed(memory.clone(), 205, &[]);
                plain.pin(&key, last.rev, true).await.unwrap();
                state.pin(&key, last.rev, true).await.unwrap();
            }
        }
        for (index, content) in contents.iter().enumerate() {
            assert_eq!(state.get(&key, At::Rev(rev(index as u64 + 1))).await.unwrap().content, *content);
        }
        let (sealed, plain) = (memory.stored_bytes(), unsealed.stored_bytes());
        assert!(sealed * 100 < plain * 102, "{sealed} bytes are stored, and {plain} without a key");
        assert_eq!(state.check(|_| ()).await.unwrap().damaged, 0);
    });
}
