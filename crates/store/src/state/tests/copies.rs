//! Copies of a whole store.

use futures_util::FutureExt as _;

use super::faulty::{Fault, Faulty, Lie};
use super::*;
use crate::error::StoreError;
use crate::state::{CopyError, copy};

async fn source() -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let (state, _) = over(memory.clone());
    let text = "words that come again ".repeat(400);
    for name in ["a", "b/1"] {
        let mut last = state.put(&key("n", name), Condition::Absent, new(text.clone())).await.unwrap();
        for number in 0..40 {
            last = state.put(&key("n", name), Condition::At(last.rev), new(format!("{number}{text}"))).await.unwrap();
            if number == 3 {
                state.pin(&key("n", name), last.rev, true).await.unwrap();
            }
        }
    }
    let mut last = state.put(&key("m", "long"), Condition::Absent, new(noise(200_000, 3))).await.unwrap();
    for _ in 0..5 {
        last = state.append(&key("m", "long"), last.rev, noise(9000, 4).into(), Terms::default()).await.unwrap();
    }
    state.hand_off(&key("m", "long"), last.rev, None, std::time::Duration::from_secs(9)).await.unwrap();
    let gone = state.put(&key("m", "gone"), Condition::Absent, new("x")).await.unwrap();
    state.delete(&key("m", "gone"), gone.rev, Terms::default()).await.unwrap();
    memory
}

async fn same(from: &Memory, to: &Memory) {
    assert_eq!(from.namespaces().await, to.namespaces().await);
    for namespace in from.namespaces().await.unwrap() {
        let keys = from.list(&namespace, "", None, 99).await.unwrap();
        assert_eq!(Ok(&keys), to.list(&namespace, "", None, 99).await.as_ref());
        for (key, _) in keys {
            let history = from.history(&key, None, 99).await.unwrap();
            assert_eq!(Ok(&history), to.history(&key, None, 99).await.as_ref());
            for revision in history {
                let record = from.revision(&key, revision.meta.rev).await.unwrap();
                assert_eq!(Ok(&record), to.revision(&key, revision.meta.rev).await.as_ref());
                let ids = record.unwrap().body.pieces().to_vec();
                assert_eq!(from.pieces(&namespace, &ids).await, to.pieces(&namespace, &ids).await);
            }
        }
    }
}

#[test]
fn a_copy_has_everything_and_goes_on_where_it_stopped() {
    run(async {
        let from = source().await;
        let target = Faulty::new();
        let (mut tries, mut done) = (0, 0);
        loop {
            // Each try gets 20 revisions further.
            *target.fault.lock() = Fault::After(20, StoreError::Full("a test".to_owned()));
            tries += 1;
            let mut told = 0;
            match copy(&*from, &*target, |copied| told = copied.revisions).await {
                Ok(copied) => {
                    assert_eq!((copied.keys, copied.keys_in_all), (5, 5));
                    done += copied.revisions;
                    break;
                }
                Err(error) => assert_eq!(error, CopyError::Target(StoreError::Full("a test".to_owned()))),
            }
            done += told;
            assert_eq!(told, 20);
        }
        assert_eq!(done, 33 + 33 + 6 + 2 + 1);
        assert_eq!(tries, 4);
        same(&from, &target.memory).await;
        // Once more changes nothing; what was written since comes over.
        *target.fault.lock() = Fault::None;
        assert_eq!(copy(&*from, &*target, |_| ()).await.unwrap().revisions, 0);
        let (state, _) = over(from.clone());
        state.put(&key("n", "a"), Condition::At(rev(41)), new("new")).await.unwrap();
        assert_eq!(copy(&*from, &*target, |_| ()).await.unwrap().revisions, 1);
        let (copied, _) = over(target.clone());
        assert_eq!(copied.check(|_| ()).await.unwrap().damaged, 0);
        assert_eq!(content(&copied, &key("n", "a")).await, "new");
        let pinned = copied.get(&key("n", "a"), At::Rev(rev(5))).await.unwrap();
        assert!(pinned.content.starts_with(b"3words"));
    });
}

#[test]
fn a_copy_never_writes_over_another_history() {
    run(async {
        let from = source().await;
        let (other, _, target) = fresh();
        other.put(&key("n", "a"), Condition::Absent, new("something else")).await.unwrap();
        // The number is not kept in the source any more, so that it may be an older part of the same history.
        let mut last = rev(1);
        for _ in 0..50 {
            last = other.put(&key("n", "a"), Condition::At(last), new("else")).await.unwrap().rev;
        }
        let outcome = copy(&*from, &*target, |_| ()).await;
        assert_eq!(outcome, Err(CopyError::Other(key("n", "a"))));
        assert_eq!(content(&other, &key("n", "a")).await, "else");
    });
}

#[test]
fn a_copy_of_what_is_damaged_says_so() {
    run(async {
        let memory = Arc::new(Memory::new());
        let mut broken = crate::suite::record(b"");
        broken.body = crate::Body::Pieces(vec![crate::PieceId([1; 32])]);
        memory.commit(crate::suite::commit(&key("n", "k"), &broken)).await.unwrap();
        let copied = copy(&*memory, &Memory::new(), |_| ()).await.unwrap();
        let left: Vec<String> = copied.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["n/k: revision 1 of n/k: a piece of it is not there"]);
        assert_eq!((copied.keys, copied.keys_in_all), (0, 1));
    });
}

/// What is listed becomes a difference to what is not, while the copy is under way: it looks again.
#[test]
fn the_head_of_a_copy_can_be_read_though_the_source_was_written_to() {
    run(async {
        let from = Faulty::new();
        let (state, _) = over(from.clone());
        let (place, text) = (key("n", "k"), "words that come again ".repeat(400));
        let first = state.put(&place, Condition::Absent, new(noise(8000, 1))).await.unwrap();
        let (rev, there) = (first.rev, place.clone());
        let longer = [noise(8000, 1), text.into_bytes()].concat();
        let (expected, written) = (longer.clone(), new(longer));
        let write = move || {
            let write = state.put(&there, Condition::At(rev), written);
            assert!(write.now_or_never().expect("memory does not wait").is_ok());
        };
        *from.meanwhile.lock() = Some(("revision", Box::new(write)));
        let to = Arc::new(Memory::new());
        assert_eq!(copy(&*from, &*to, |_| ()).await.unwrap().revisions, 2);
        let (copied, _) = over(to);
        assert_eq!(content(&copied, &place).await, expected);
        assert_eq!(copied.check(|_| ()).await.unwrap().damaged, 0);
        // A source whose newest revision is a difference is damaged.
        let broken = Memory::new();
        let mut record = crate::suite::record(b"x");
        record.body = crate::Body::Delta { on: super::rev(9), bytes: Bytes::from_static(b"x") };
        broken.commit(crate::suite::commit(&place, &record)).await.unwrap();
        assert_eq!(copy(&broken, &Memory::new(), |_| ()).await, Err(CopyError::Unreadable(place)));
    });
}

/// The memory of one gateway stays with it, and its data key too.
#[test]
fn a_copy_leaves_what_a_gateway_remembers() {
    run(async {
        let from = Memory::new();
        let (own, keys) = (crate::Namespace::reserved("gateway"), crate::seal::keys_namespace());
        let record = crate::suite::record(b"x");
        for key in [
            Key::new(own.clone(), "ways").unwrap(),
            crate::seal::key_of(&own),
            crate::seal::key_of(&key("n", "k").namespace),
            key("n", "k"),
        ] {
            from.commit(crate::suite::commit(&key, &record)).await.unwrap();
        }
        let to = Memory::new();
        let copied = copy(&from, &to, |_| ()).await.unwrap();
        assert_eq!((copied.keys, copied.keys_in_all), (2, 2));
        assert_eq!(to.namespaces().await.unwrap(), [keys, key("n", "k").namespace]);
    });
}

/// An engine is told to keep as many revisions as there are, and never more than it is fit for.
#[test]
fn a_copy_is_told_how_many_revisions_to_keep() {
    run(async {
        let (from, to) = (source().await, Faulty::new());
        copy(&*from, &*to, |_| ()).await.unwrap();
        assert_eq!(*to.keeps.lock(), 32);
        // What an interrupted copy brought and the source has let go of since, goes.
        from.prune(&key("n", "a"), 3).await.unwrap();
        copy(&*from, &*to, |_| ()).await.unwrap();
        same(&from, &to.memory).await;
        let (long, place) = (Arc::new(Memory::new()), key("n", "k"));
        let settings = Settings { keep: u32::MAX, ..Settings::default() };
        let state = State::new(long.clone(), settings, crate::suite::FakeClock::new(), None);
        let mut last = state.put(&place, Condition::Absent, new("x")).await.unwrap();
        for _ in 1..crate::MAX_KEEP + 2 {
            last = state.put(&place, Condition::At(last.rev), new("x")).await.unwrap();
        }
        let too_many = |most| Err(CopyError::TooMany { key: place.clone(), most });
        assert_eq!(copy(&*long, &Memory::new(), |_| ()).await, too_many(crate::MAX_KEEP));
        state.prune(&place, crate::MAX_KEEP).await.unwrap();
        let to = Memory::new();
        assert_eq!(copy(&*long, &to, |_| ()).await.unwrap().revisions, u64::from(crate::MAX_KEEP));
        assert_eq!(long.history(&place, None, usize::MAX).await, to.history(&place, None, usize::MAX).await);
        // Nor more than the target keeps, of which nothing is written then.
        let to = Faulty::new();
        *to.most.lock() = Some(100);
        state.prune(&place, 101).await.unwrap();
        assert_eq!(copy(&*long, &*to, |_| ()).await, too_many(100));
        assert_eq!(to.memory.namespaces().await.unwrap(), []);
        state.prune(&place, 100).await.unwrap();
        assert_eq!(copy(&*long, &*to, |_| ()).await.unwrap().revisions, 100);
        assert_eq!(long.history(&place, None, 200).await, to.memory.history(&place, None, 200).await);
    });
}

/// A session that was read after the first copy ends in the target when it ends in the source.
#[test]
fn a_copy_gone_on_with_brings_the_later_end() {
    run(async {
        let (state, clock, from) = fresh();
        let minute = std::time::Duration::from_secs(60);
        let mut session = new("x");
        session.terms.ttl = Some(crate::state::Ttl::Sliding(minute));
        state.put(&key("n", "k"), Condition::Absent, session).await.unwrap();
        let to = Memory::new();
        copy(&*from, &to, |_| ()).await.unwrap();
        clock.pass(minute / 2);
        state.get(&key("n", "k"), At::Head).await.unwrap();
        copy(&*from, &to, |_| ()).await.unwrap();
        same(&from, &to).await;
    });
}

/// What the source has let go of since an interrupted copy: a pin goes in the target too, and a value that is left there though
/// the source has forgotten its key is said, not kept.
#[test]
fn a_copy_gone_on_with_has_nothing_more_than_its_source() {
    run(async {
        let (from, to) = (source().await, Memory::new());
        copy(&*from, &to, |_| ()).await.unwrap();
        let (state, _) = over(from.clone());
        state.pin(&key("n", "a"), rev(5), false).await.unwrap();
        state.prune(&key("n", "a"), 7).await.unwrap();
        copy(&*from, &to, |_| ()).await.unwrap();
        same(&from, &to).await;
        let forgotten = key("n", "b/1");
        let deleted = state.delete(&forgotten, rev(41), Terms::default()).await.unwrap();
        assert!(from.forget(&forgotten, deleted.rev).await.unwrap());
        assert_eq!(copy(&*from, &to, |_| ()).await, Err(CopyError::Other(forgotten)));
    });
}

/// What is pinned in the source after it came over as a difference stays readable in the target when that one goes.
#[test]
fn a_copy_gone_on_with_pins_what_is_whole() {
    run(async {
        let (state, _, from) = fresh();
        let (to, place, pinned) = (Arc::new(Memory::new()), key("n", "a"), rev(1));
        state.put(&place, Condition::Absent, new(noise(8000, 1))).await.unwrap();
        state.put(&place, Condition::At(pinned), new(noise(8100, 1))).await.unwrap();
        copy(&*from, &*to, |_| ()).await.unwrap();
        let first = to.revision(&place, pinned).await.unwrap().unwrap();
        assert!(matches!(first.body, crate::Body::Delta { .. }));
        let expected = state.get(&place, At::Rev(pinned)).await.unwrap().content;
        state.pin(&place, pinned, true).await.unwrap();
        copy(&*from, &*to, |_| ()).await.unwrap();
        same(&from, &to).await;
        let (copied, _) = over(to);
        for last in 2..60 {
            copied.put(&place, Condition::At(rev(last)), new(format!("{last}"))).await.unwrap();
        }
        assert_eq!(copied.get(&place, At::Rev(pinned)).await.unwrap().content, expected);
    });
}

/// A target that keeps something else than what it is given, or not all of it, or no pins.
#[test]
fn a_copy_is_compared_with_what_the_target_has() {
    run(async {
        let (from, place) = (source().await, key("n", "a"));
        let cases =
            [(Lie::Other, 12), (Lie::Other, 41), (Lie::Hides, 12), (Lie::Hides, 5), (Lie::Hides, 41), (Lie::NoPin, 5)];
        for (lie, number) in cases {
            let to = Faulty::new();
            *to.lie.lock() = Some((place.clone(), rev(number), lie));
            let outcome = copy(&*from, &*to, |_| ()).await;
            assert_eq!(outcome, Err(CopyError::Differs { key: place.clone(), rev: rev(number) }), "{lie:?}");
            // A target that has it after all; without its pin, the revision went with a later one.
            *to.lie.lock() = None;
            if lie == Lie::NoPin {
                let too_late = CopyError::TooLate { key: place.clone(), rev: rev(number) };
                assert_eq!(copy(&*from, &*to, |_| ()).await, Err(too_late));
                continue;
            }
            copy(&*from, &*to, |_| ()).await.unwrap();
            same(&from, &to.memory).await;
        }
    });
}

/// A revision that could not be read in time cannot be put before later ones: that is said, and not left out.
#[test]
fn a_copy_gone_on_with_says_what_it_cannot_bring() {
    run(async {
        let (from, to, place) = (source().await, Memory::new(), key("n", "a"));
        let newest = from.head(&place).await.unwrap().unwrap();
        let commit = crate::suite::commit(&place, &newest);
        to.commit(crate::Commit { expected: crate::Expected::Absent, ..commit }).await.unwrap();
        let outcome = copy(&*from, &to, |_| ()).await;
        assert_eq!(outcome, Err(CopyError::TooLate { key: place, rev: rev(5) }));
    });
}
