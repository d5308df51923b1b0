//! Several gateways over one store: what each remembers never decides.

use futures_util::FutureExt as _;

use super::faulty::{Fault, Faulty};
use super::*;
use crate::change::{ChangeError, MergeError, Merger, Sides};
use crate::suite::race;

/// A key that was forgotten and began again at number 1 elsewhere: what is remembered of the first life, which is never
/// as old as a tombstone, has no part in the second.
#[test]
fn a_second_life_has_nothing_of_the_first() {
    run(async {
        let (one, clock, memory) = fresh();
        let (two, clock_two) = over(memory);
        let key = key("n", "k");
        let words: String = (0..3000).map(|number| format!("{number:x} ")).collect();
        let first = one.put(&key, Condition::Absent, new(words.clone())).await.unwrap();
        let deleted = two.delete(&key, first.rev, Terms::default()).await.unwrap();
        for clock in [&clock, &clock_two] {
            clock.pass(crate::settings::TOMBSTONE_KEPT);
        }
        assert_eq!((deleted.rev, two.sweep(9).await.unwrap().forgotten), (rev(2), 1));
        let again = two.put(&key, Condition::Absent, new(words.replace('1', "2"))).await.unwrap();
        let next = one.put(&key, Condition::At(again.rev), new(words.replace('1', "3"))).await.unwrap();
        assert!(next.follows(Some(&again.chain)));
        assert_eq!(one.get(&key, At::Rev(again.rev)).await.unwrap().content, words.replace('1', "2"));
    });
}

/// Readers of a long content that is replaced all the time, with one revision kept: a whole one, or that it is busy.
#[test]
fn a_long_content_that_is_replaced_while_it_is_read_is_no_damage() {
    run(async {
        let (state, _, memory) = fresh();
        let state = Arc::new(state);
        let key = key("brief", "k");
        let value = |number: u64| new(noise(150_000, number));
        let mut last = state.put(&key, Condition::Absent, value(0)).await.unwrap();
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (reader, key) = (over(memory.clone()).0, key.clone());
            readers.spawn(async move {
                let mut read = 0_u64;
                loop {
                    match reader.get(&key, At::Head).await {
                        Ok(value) if value.meta.rev.get() == 40 => return read,
                        Ok(_) => read += 1,
                        Err(StateError::Busy) => {}
                        Err(error) => panic!("{error}"),
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        for number in 1..40 {
            last = state.put(&key, Condition::At(last.rev), value(number)).await.unwrap();
        }
        while let Some(reader) = readers.join_next().await {
            reader.unwrap();
        }
    });
}

/// Two gateways in turns, each with what it remembers of the other's last head.
#[test]
fn a_gateway_that_remembers_an_old_head_loses_and_learns() {
    run(async {
        let (one, _, memory) = fresh();
        let (two, _) = over(memory);
        let key = key("n", "k");
        let first = one.put(&key, Condition::Absent, new("1")).await.unwrap();
        assert_eq!(content(&two, &key).await, "1");
        let second = two.put(&key, Condition::At(first.rev), new("2")).await.unwrap();
        assert_eq!(lost(&one.put(&key, Condition::At(first.rev), new("x")).await.unwrap_err()), Some(2));
        assert_eq!(content(&one, &key).await, "2");
        one.delete(&key, second.rev, Terms::default()).await.unwrap();
        assert_eq!(lost(&two.put(&key, Condition::At(second.rev), new("x")).await.unwrap_err()), Some(0));
        let fourth = two.put(&key, Condition::Absent, new("4")).await.unwrap();
        assert_eq!(fourth.rev.get(), 4);
        assert_eq!(lost(&one.put(&key, Condition::Absent, new("x")).await.unwrap_err()), Some(4));
        assert_eq!(lost(&one.append(&key, second.rev, Bytes::new(), Terms::default()).await.unwrap_err()), Some(4));
        assert!(one.append(&key, fourth.rev, Bytes::from_static(b"5"), Terms::default()).await.is_ok());
        assert_eq!(content(&two, &key).await, "45");
    });
}

/// Many tasks on two gateways that read, add one, and write on what they read: no addition is lost.
#[test]
fn no_update_is_lost_between_gateways() {
    run(async {
        let (one, _, memory) = fresh();
        let gateways = [Arc::new(one), Arc::new(over(memory).0)];
        let key = key("n", "counter");
        gateways[0].put(&key, Condition::Absent, json("0")).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let (gateway, key) = (gateways[task % 2].clone(), key.clone());
            tasks.spawn(async move {
                let mut done = 0;
                while done < 100 {
                    let value = gateway.get(&key, At::Head).await.unwrap();
                    let number: u64 = serde_json::from_slice(&value.content).unwrap();
                    let next = json(&(number + 1).to_string());
                    match gateway.put(&key, Condition::At(value.meta.rev), next).await {
                        Ok(_) => done += 1,
                        Err(error) => assert!(lost(&error).is_some(), "{error}"),
                    }
                }
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
        assert_eq!(content(&gateways[0], &key).await, "800");
        assert_eq!(gateways[1].meta(&key, At::Head).await.unwrap().rev.get(), 801);
    });
}

/// Where the namespace merges, nobody who changes another member is refused, however many there are.
#[test]
fn writers_of_different_members_all_win_where_the_namespace_merges() {
    run(async {
        let (state, _, _) = fresh();
        let state = Arc::new(state);
        let key = key("merging", "k");
        let base = state.put(&key, Condition::Absent, json("{}")).await.unwrap().rev;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..12 {
            let (state, key) = (state.clone(), key.clone());
            tasks.spawn(async move {
                let own = json(&format!(r#"{{"{task}":{task}}}"#));
                state.put(&key, Condition::At(base), own).await.unwrap()
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
        let value: std::collections::BTreeMap<String, u32> =
            serde_json::from_slice(&content(&state, &key).await).unwrap();
        assert_eq!(value.len(), 12);
        // A patch to what its writer saw is merged like the value that it makes.
        let patched = state.patch(&key, base, br#"[{"op":"add","path":"/patched","value":1}]"#, Terms::default());
        assert_eq!(patched.await.unwrap().rev.get(), 14);
        // And whoever adds to the end of a list is put behind the others.
        let list = crate::suite::key("merging", "list");
        let base = state.put(&list, Condition::Absent, json("[]")).await.unwrap().rev;
        for number in 0..5 {
            state.append(&list, base, format!("[{number}]").into(), Terms::default()).await.unwrap();
        }
        assert_eq!(content(&state, &list).await, "[0,1,2,3,4]");
    });
}

/// The longer of two texts, or none when they are as long.
struct Longer;

impl Merger for Longer {
    fn merge(&self, sides: Sides<'_>) -> Result<Vec<u8>, MergeError> {
        match sides.head.len().cmp(&sides.new.len()) {
            std::cmp::Ordering::Equal => Err(ChangeError::TooMuchWork.into()),
            std::cmp::Ordering::Less => Ok(sides.new.to_vec()),
            std::cmp::Ordering::Greater => Ok(sides.head.to_vec()),
        }
    }
}

#[test]
fn a_registered_function_merges_what_is_not_json() {
    run(async {
        let (state, _, _) = fresh();
        let plain = key("merging", "plain");
        let base = state.put(&plain, Condition::Absent, new("base")).await.unwrap().rev;
        state.put(&plain, Condition::At(base), new("theirs")).await.unwrap();
        assert_eq!(lost(&state.put(&plain, Condition::At(base), new("longer ours")).await.unwrap_err()), Some(2));
        let state = state.with_merger(plain.namespace.clone(), Arc::new(Longer));
        assert_eq!(state.put(&plain, Condition::At(base), new("longer ours")).await.unwrap().rev.get(), 3);
        assert_eq!(state.put(&plain, Condition::At(base), new("short")).await.unwrap().rev.get(), 4);
        assert_eq!(content(&state, &plain).await, "longer ours");
        assert_eq!(lost(&state.put(&plain, Condition::At(base), new("length ours")).await.unwrap_err()), Some(4));
        // Another type, or a base that is not kept any more, is not merged.
        assert_eq!(lost(&state.put(&plain, Condition::At(base), json("\"a string\"")).await.unwrap_err()), Some(4));
        state.prune(&plain, 1).await.unwrap();
        assert_eq!(
            lost(&state.put(&plain, Condition::At(base), new("the longest of all")).await.unwrap_err()),
            Some(4)
        );
    });
}

/// Who lost the value, by a hand-off, by a deletion, to another content, does not write it, where the namespace merges too.
#[test]
fn nothing_is_merged_past_a_hand_off_or_a_deletion() {
    run(async {
        let (state, _, _) = fresh();
        let key = key("merging", "k");
        let first = state.put(&key, Condition::Absent, json("[1]")).await.unwrap();
        let life = std::time::Duration::from_secs(9);
        let token = state.hand_off(&key, first.rev, None, life).await.unwrap().token;
        let taken = state.redeem(&token, Terms::default()).await.unwrap().meta;
        assert_eq!((taken.rev, taken.epoch.get()), (rev(2), 1));
        let add = || Bytes::from_static(b"[2]");
        let patch = br#"[{"op":"add","path":"/-","value":2}]"#;
        let refused = async |at: Rev, there: u64| {
            assert_eq!(lost(&state.put(&key, Condition::At(at), json("[1,2]")).await.unwrap_err()), Some(there));
            assert_eq!(lost(&state.append(&key, at, add(), Terms::default()).await.unwrap_err()), Some(there));
            assert_eq!(lost(&state.patch(&key, at, patch, Terms::default()).await.unwrap_err()), Some(there));
        };
        refused(first.rev, 2).await;
        // Two of the new holder's are merged as ever.
        state.append(&key, taken.rev, add(), Terms::default()).await.unwrap();
        let third = state.append(&key, taken.rev, add(), Terms::default()).await.unwrap();
        assert_eq!(content(&state, &key).await, "[1,2,2]");
        state.delete(&key, third.rev, Terms::default()).await.unwrap();
        let again = state.put(&key, Condition::Absent, json("[9]")).await.unwrap();
        refused(third.rev, again.rev.get()).await;
        refused(again.rev.next(), again.rev.get()).await;
        let text = state.put(&key, Condition::At(again.rev), new("text")).await.unwrap();
        refused(again.rev, text.rev.get()).await;
        assert_eq!(content(&state, &key).await, "text");
    });
}

/// A patch with a test is for the content that passes, whether the other write came before it or between its read and write.
#[test]
fn a_patch_with_a_test_is_not_merged() {
    run(async {
        let store = Faulty::new();
        let (state, other) = (over(store.clone()).0, over(store.clone()).0);
        let place = key("merging", "k");
        let base = state.put(&place, Condition::Absent, json(r#"{"lock":"mine","x":0}"#)).await.unwrap();
        let patch = br#"[{"op":"test","path":"/lock","value":"mine"},{"op":"replace","path":"/x","value":1}]"#;
        let (at, place_there) = (base.rev, place.clone());
        let theirs = move || {
            let write = other.put(&place_there, Condition::At(at), json(r#"{"lock":"theirs","x":0}"#));
            assert!(write.now_or_never().expect("memory does not wait").is_ok());
        };
        *store.meanwhile.lock() = Some(("commit", Box::new(theirs)));
        for _ in 0..2 {
            assert_eq!(lost(&state.patch(&place, base.rev, patch, Terms::default()).await.unwrap_err()), Some(2));
        }
        assert_eq!(content(&state, &place).await, r#"{"lock":"theirs","x":0}"#);
    });
}

/// What is remembered of an earlier life of a key, with a greater number, does not keep the new one from being remembered.
#[test]
fn the_first_revision_of_a_life_is_remembered_whatever_was() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("n", "k");
        let mut last = state.put(&key, Condition::Absent, new("1")).await.unwrap();
        for _ in 0..5 {
            last = state.put(&key, Condition::At(last.rev), new("more")).await.unwrap();
        }
        let (other, _) = over(store.clone());
        let deleted = other.delete(&key, last.rev, Terms::default()).await.unwrap();
        assert!(store.memory.forget(&key, deleted.rev).await.unwrap());
        let again = state.put(&key, Condition::Absent, new("again")).await.unwrap();
        store.asked();
        state.put(&key, Condition::At(again.rev), new("and on")).await.unwrap();
        assert_eq!(store.asked(), ["commit"]);
    });
}

/// A token that was redeemed gives the content that was written, whatever becomes of the store after the write.
#[test]
fn nothing_is_read_after_a_redeem() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("n", "k");
        let first = state.put(&key, Condition::Absent, new(noise(100_000, 1))).await.unwrap();
        let life = std::time::Duration::from_secs(9);
        let token = state.hand_off(&key, first.rev, None, life).await.unwrap().token;
        store.asked();
        assert_eq!(state.redeem(&token, Terms::default()).await.unwrap().content, noise(100_000, 1));
        assert_eq!(store.asked().last(), Some(&"commit"));
    });
}

/// What one gateway remembers of a key that another has deleted, forgotten and made anew is no ground to write on, though its
/// number is the same.
#[test]
fn another_life_of_a_key_is_not_written_over() {
    run(async {
        let (one, _, memory) = fresh();
        let (two, clock) = over(memory.clone());
        let key = key("n", "k");
        let first = one.put(&key, Condition::Absent, json("[\"old\"]")).await.unwrap();
        two.delete(&key, first.rev, Terms::default()).await.unwrap();
        clock.pass(crate::settings::TOMBSTONE_KEPT);
        two.sweep(9).await.unwrap();
        let again = two.put(&key, Condition::Absent, json("[\"new\"]")).await.unwrap();
        assert_eq!(again.rev, first.rev, "the key was forgotten");
        one.append(&key, first.rev, Bytes::from_static(b"[1]"), Terms::default()).await.unwrap();
        for state in [&one, &two] {
            assert_eq!(content(state, &key).await, "[\"new\",1]");
        }
    });
}

/// Deletes a key, forgets it, and writes it anew with these contents.
fn another_life(store: &Arc<Faulty>, key: &Key, contents: &[&str]) {
    let (state, _) = over(store.clone());
    let live = async {
        let head = state.meta(key, At::Head).await.unwrap();
        let deleted = state.delete(key, head.rev, Terms::default()).await.unwrap();
        assert!(store.memory.forget(key, deleted.rev).await.unwrap());
        let mut last = None;
        for content in contents {
            let condition = last.map_or(Condition::Absent, Condition::At);
            last = Some(state.put(key, condition, json(content)).await.unwrap().rev);
        }
    };
    live.now_or_never().expect("everything is in memory");
}

/// The content of an earlier revision is not written on the head of another life, whenever that began.
#[test]
fn a_revision_of_one_life_is_not_restored_on_another() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("n", "k");
        let first = state.put(&key, Condition::Absent, json("1")).await.unwrap();
        let second = state.put(&key, Condition::At(first.rev), json("2")).await.unwrap();
        let (other, _) = over(store.clone());
        let (lived, place, later) = (store.clone(), key.clone(), store.clone());
        // After the content was read, and before it is looked where it goes.
        let lives = move || another_life(&lived, &place, &["10", "20"]);
        let happens = move || *later.meanwhile.lock() = Some(("head", Box::new(lives)));
        *store.meanwhile.lock() = Some(("revision", Box::new(happens)));
        other.restore(&key, first.rev, Condition::At(second.rev), Terms::default()).await.unwrap();
        assert_eq!(content(&state, &key).await, "10");
    });
}

/// What one life's contents were merged to is not written on another's head.
#[test]
fn contents_of_two_lives_are_not_merged() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("merging", "k");
        let first = state.put(&key, Condition::Absent, json(r#"{"a":0}"#)).await.unwrap();
        state.put(&key, Condition::At(first.rev), json(r#"{"a":0,"b":1}"#)).await.unwrap();
        let (lived, place, later) = (store.clone(), key.clone(), store.clone());
        // After it was seen that the two are one value, and before the newer one is read.
        let lives = move || another_life(&lived, &place, &[r#"{"a":0}"#, r#"{"a":0,"x":1}"#]);
        let happens = move || *later.meanwhile.lock() = Some(("revision", Box::new(lives)));
        *store.meanwhile.lock() = Some(("history", Box::new(happens)));
        // By a gateway that remembers nothing of the first life.
        let (other, _) = over(store.clone());
        let written = other.put(&key, Condition::At(first.rev), json(r#"{"a":0,"c":1}"#)).await;
        assert_eq!(lost(&written.unwrap_err()), Some(2));
        assert_eq!(content(&state, &key).await, r#"{"a":0,"x":1}"#);
    });
}

/// What judges the races of all engines would find an update that is lost.
#[test]
fn a_lost_update_is_found() {
    run(async {
        for (fault, found) in [(Fault::None, false), (Fault::LostDone, true)] {
            let faulty = Faulty::new();
            *faulty.fault.lock() = fault;
            let store: Arc<dyn Store> = faulty;
            let mut racing = tokio::task::JoinSet::new();
            racing.spawn(async move { race(&store, &key("race", "k"), 8, 2_000).await });
            match racing.join_next().await.unwrap() {
                Ok(raced) => assert!(!found && raced.lost > 0, "{raced:?}"),
                Err(failed) => {
                    let said = failed.into_panic();
                    let said = said.downcast_ref::<&str>().copied().unwrap_or_default();
                    assert!(found && said == "a revision was made twice", "{said}");
                }
            }
        }
    });
}

/// Between reading a revision and pinning it the key begins another life: the content of the one is not pinned in the other.
#[test]
fn a_pin_is_of_what_is_there() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let place = key("n", "k");
        let first = state.put(&place, Condition::Absent, new("of the first life")).await.unwrap();
        let (again, clock) = over(store.clone());
        let other = place.clone();
        *store.meanwhile.lock() = Some((
            "pin",
            Box::new(move || {
                let life = async {
                    again.delete(&other, first.rev, Terms::default()).await.unwrap();
                    clock.pass(std::time::Duration::from_secs(25 * 3600));
                    assert_eq!(again.sweep(9).await.unwrap().forgotten, 1);
                    again.put(&other, Condition::Absent, new("of the second")).await.unwrap();
                };
                life.now_or_never().expect("nothing waits in memory");
            }),
        ));
        state.pin(&place, rev(1), true).await.unwrap();
        let (reader, _) = over(store.clone());
        assert_eq!(content(&reader, &place).await, "of the second");
        assert!(store.history(&place, None, 9).await.unwrap()[0].pinned);
    });
}
