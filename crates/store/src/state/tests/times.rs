//! Ends of values, and clocks that jump.

use std::time::Duration;

use tradewind_core::UnixMillis;

use super::faulty::Faulty;
use super::*;
use crate::error::TokenRefusal;
use crate::meta::Kind;
use crate::state::Ttl;
use crate::suite::EPOCH;

fn living(ttl: Ttl) -> New {
    New { terms: Terms { ttl: Some(ttl), ..Terms::default() }, ..new("x") }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_read_moves_a_sliding_end_when_a_tenth_has_gone() {
    run(async {
        let store = Faulty::new();
        let (state, clock) = over(store.clone());
        let key = key("n", "k");
        let first = state.put(&key, Condition::Absent, living(Ttl::Sliding(MINUTE))).await.unwrap();
        assert_eq!(first.expires_at, Some(UnixMillis(EPOCH.0 + 60_000)));
        clock.pass(Duration::from_millis(5_999));
        store.asked();
        assert_eq!(state.get(&key, At::Head).await.unwrap().meta, first);
        assert_eq!(store.asked(), ["head"]);
        clock.pass(Duration::from_millis(1));
        let moved = state.get(&key, At::Head).await.unwrap().meta;
        assert_eq!((moved.expires_at, moved.chain), (Some(UnixMillis(EPOCH.0 + 66_000)), first.chain));
        assert_eq!(store.asked(), ["head", "extend"]);
        // Neither a look at its meta nor at the revision by number is a use of it.
        clock.pass(Duration::from_secs(30));
        state.meta(&key, At::Head).await.unwrap();
        state.get(&key, At::Rev(first.rev)).await.unwrap();
        assert!(!store.asked().contains(&"extend"));
        // What cannot be moved can still be read.
        *store.extend_fails.lock() = true;
        assert_eq!(state.get(&key, At::Head).await.unwrap().meta.expires_at, Some(UnixMillis(EPOCH.0 + 66_000)));
        clock.pass(Duration::from_secs(30));
        assert_eq!(state.get(&key, At::Head).await, Err(StateError::Gone));
    });
}

/// What a gateway remembers of an end that another gateway's readers have moved does not refuse a write.
#[test]
fn an_end_that_was_moved_elsewhere_is_looked_up() {
    run(async {
        let (one, clock_one, memory) = fresh();
        let (two, clock_two) = over(memory);
        let key = key("n", "k");
        let first = one.put(&key, Condition::Absent, living(Ttl::Sliding(MINUTE))).await.unwrap();
        for clock in [&clock_one, &clock_two] {
            clock.pass(Duration::from_secs(50));
        }
        two.get(&key, At::Head).await.unwrap();
        clock_one.pass(Duration::from_secs(30));
        let second = one.put(&key, Condition::At(first.rev), new("y")).await.unwrap();
        assert_eq!(second.sliding, Some(MINUTE));
        assert_eq!(second.expires_at, Some(UnixMillis(EPOCH.0 + 140_000)));
    });
}

/// Said by the writer, else as the value was given, else as the namespace says.
#[test]
fn a_time_to_live_has_three_sources() {
    run(async {
        let (_, clock, memory) = fresh();
        let mut settings = Settings::default();
        let hour = NamespaceSettings { ttl: Some(60 * MINUTE), sliding: true, ..NamespaceSettings::default() };
        settings.namespaces.insert(key("hour", "x").namespace, hour);
        let state = State::new(memory, settings, clock.clone(), None);
        let key = key("hour", "k");
        let meta = state.put(&key, Condition::Absent, new("1")).await.unwrap();
        assert_eq!((meta.sliding, meta.expires_at), (Some(60 * MINUTE), Some(UnixMillis(EPOCH.0 + 3_600_000))));
        let meta = state.put(&key, Condition::At(meta.rev), living(Ttl::Fixed(MINUTE))).await.unwrap();
        assert_eq!((meta.sliding, meta.expires_at), (None, Some(UnixMillis(EPOCH.0 + 60_000))));
        clock.pass(MINUTE / 2);
        let meta = state.put(&key, Condition::At(meta.rev), new("3")).await.unwrap();
        assert_eq!((meta.sliding, meta.expires_at), (None, Some(UnixMillis(EPOCH.0 + 90_000))));
        let meta = state.put(&key, Condition::At(meta.rev), living(Ttl::Never)).await.unwrap();
        assert_eq!((meta.sliding, meta.expires_at), (None, None));
        // For ever is something given, too.
        let meta = state.append(&key, meta.rev, Bytes::from_static(b"5"), Terms::default()).await.unwrap();
        assert_eq!((meta.sliding, meta.expires_at), (None, None));
        let deleted = state.delete(&key, meta.rev, Terms::default()).await.unwrap();
        assert_eq!(deleted.expires_at, Some(UnixMillis(EPOCH.0 + 30_000 + 86_400_000)));
        let meta = state.put(&key, Condition::Absent, new("6")).await.unwrap();
        assert_eq!(meta.sliding, Some(60 * MINUTE));
        let longest = state.put(&key, Condition::At(meta.rev), living(Ttl::Sliding(Duration::MAX))).await.unwrap();
        assert_eq!(longest.expires_at, Some(UnixMillis(u64::MAX)));
        assert_eq!(state.get(&key, At::Head).await.unwrap().meta, longest);
    });
}

#[test]
fn a_sweep_does_so_much_at_a_time_and_says_whether_there_is_more() {
    run(async {
        let (state, clock, _) = fresh();
        for number in 0..25_u64 {
            let ttl = Ttl::Fixed(Duration::from_secs(number + 1));
            state.put(&key("n", &number.to_string()), Condition::Absent, living(ttl)).await.unwrap();
        }
        clock.pass(Duration::from_secs(20));
        let (mut expired, mut sweeps) = (0, 0);
        loop {
            let swept = state.sweep(6).await.unwrap();
            (expired, sweeps) = (expired + swept.expired, sweeps + 1);
            if !swept.more {
                break;
            }
        }
        assert_eq!((expired, sweeps), (20, 4));
        clock.pass(Duration::from_secs(86_400));
        let swept = state.sweep(100).await.unwrap();
        assert_eq!((swept.forgotten, swept.expired), (20, 5));
        assert_eq!(state.sweep(0).await.unwrap(), crate::state::Swept::default());
    });
}

/// Found due, and then moved by a reader, or replaced: the sweep looks again before it buries.
#[test]
fn what_is_not_due_any_more_is_not_buried() {
    run(async {
        let (state, clock, _) = fresh();
        let key = key("n", "k");
        let first = state.put(&key, Condition::Absent, living(Ttl::Sliding(MINUTE))).await.unwrap();
        clock.pass(MINUTE / 2);
        state.get(&key, At::Head).await.unwrap();
        assert_eq!(state.bury(&key, first.rev).await, Ok(false));
        let second = state.put(&key, Condition::At(first.rev), new("y")).await.unwrap();
        clock.pass(2 * MINUTE);
        assert_eq!(state.bury(&key, first.rev).await, Ok(false));
        assert_eq!(state.bury(&key, second.rev).await, Ok(true));
        assert_eq!(state.bury(&key, rev(3)).await, Ok(false));
    });
}

/// A clock that jumps moves ends, and nothing else: numbers, chain and epochs go on, and what was buried stays buried.
#[test]
fn a_clock_that_jumps_breaks_nothing() {
    run(async {
        let (state, clock, _) = fresh();
        let key = key("n", "k");
        let mut last = state.put(&key, Condition::Absent, living(Ttl::Fixed(MINUTE))).await.unwrap();
        let year = Duration::from_secs(31_536_000);
        // Back: the value lives longer.
        clock.set(UnixMillis(EPOCH.0 - 1_000_000_000));
        last = state.put(&key, Condition::At(last.rev), new("2")).await.unwrap();
        assert_eq!(last.expires_at, Some(UnixMillis(EPOCH.0 - 1_000_000_000 + 60_000)));
        // Far ahead: it is gone; swept there, and back again, it stays so.
        clock.pass(year);
        assert_eq!(state.get(&key, At::Head).await, Err(StateError::Gone));
        assert_eq!(state.sweep(9).await.unwrap().expired, 1);
        clock.set(EPOCH);
        assert_eq!(state.get(&key, At::Head).await, Err(StateError::Gone));
        let again = state.put(&key, Condition::Absent, new("4")).await.unwrap();
        assert_eq!((again.rev.get(), again.parent), (4, Some(rev(3))));
        let history = state.history(&key, None, 9).await.unwrap();
        assert_eq!(history[1].meta.kind, Kind::Expired);
        assert!(history.windows(2).all(|pair| pair[0].meta.follows(Some(&pair[1].meta.chain))));
        // A token over a jump: refused as late, or as one from the future, and never good twice.
        let given = state.hand_off(&key, again.rev, None, MINUTE).await.unwrap();
        clock.pass(2 * MINUTE);
        assert_eq!(state.redeem(&given.token, Terms::default()).await, Err(TokenRefusal::Late.into()));
        clock.set(UnixMillis(EPOCH.0 - 3_600_000));
        assert_eq!(state.redeem(&given.token, Terms::default()).await, Err(TokenRefusal::Early.into()));
        clock.set(EPOCH);
        assert_eq!(state.redeem(&given.token, Terms::default()).await.unwrap().meta.epoch.get(), 1);
        for millis in [EPOCH.0, EPOCH.0 + 59_000, EPOCH.0 - 1000] {
            clock.set(UnixMillis(millis));
            assert_eq!(state.redeem(&given.token, Terms::default()).await, Err(TokenRefusal::Redeemed.into()));
        }
    });
}

/// Of many who redeem one token at once, one has the key.
#[test]
fn of_many_who_redeem_one_wins() {
    run(async {
        let (one, _, memory) = fresh();
        let gateways = [Arc::new(one), Arc::new(over(memory).0)];
        let key = key("n", "k");
        let mut rev = gateways[0].put(&key, Condition::Absent, new("x")).await.unwrap().rev;
        for round in 0..50 {
            let given = gateways[round % 2].hand_off(&key, rev, None, MINUTE).await.unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..6 {
                let (gateway, token) = (gateways[task % 2].clone(), given.token.clone());
                tasks.spawn(async move { gateway.redeem(&token, Terms::default()).await });
            }
            let mut winners = Vec::new();
            while let Some(outcome) = tasks.join_next().await {
                match outcome.unwrap() {
                    Ok(value) => winners.push(value.meta),
                    Err(error) => assert_eq!(error, TokenRefusal::Redeemed.into()),
                }
            }
            assert_eq!(winners.len(), 1);
            assert_eq!(winners[0].epoch.get(), round as u64 + 1);
            rev = winners[0].rev;
        }
    });
}

/// An epoch that is not the head's is refused, whichever of the two is older, and before the revision is looked at.
#[test]
fn epochs_fence_before_revisions() {
    run(async {
        let (state, _, _) = fresh();
        let key = key("n", "k");
        let with = |epoch| Terms { epoch: crate::Epoch::new(epoch), ..Terms::default() };
        let fenced = |epoch| StateError::Fenced { epoch: crate::Epoch::new(epoch).unwrap() };
        let put = |condition, epoch| state.put(&key, condition, New { terms: with(epoch), ..new("x") });
        assert_eq!(put(Condition::Absent, 1).await, Err(fenced(0)));
        let first = put(Condition::Absent, 0).await.unwrap();
        let given = state.hand_off(&key, first.rev, None, MINUTE).await.unwrap();
        let taken = state.redeem(&given.token, Terms::default()).await.unwrap().meta;
        for (condition, epoch) in [
            (Condition::At(first.rev), 0),
            (Condition::At(taken.rev), 0),
            (Condition::At(taken.rev), 2),
            (Condition::Absent, 0),
        ] {
            assert_eq!(put(condition, epoch).await, Err(fenced(1)), "{condition:?}");
        }
        assert_eq!(state.delete(&key, taken.rev, with(0)).await, Err(fenced(1)));
        assert_eq!(state.append(&key, taken.rev, Bytes::new(), with(0)).await, Err(fenced(1)));
        assert_eq!(state.hand_off(&key, taken.rev, crate::Epoch::new(0), MINUTE).await.unwrap_err(), fenced(1));
        // The epoch outlives the value.
        let deleted = state.delete(&key, taken.rev, with(1)).await.unwrap();
        assert_eq!(deleted.epoch.get(), 1);
        assert_eq!(put(Condition::Absent, 0).await, Err(fenced(1)));
        assert_eq!(put(Condition::Absent, 1).await.unwrap().epoch.get(), 1);
    });
}

/// A key whose head cannot be read is due for ever, and first: those behind it are buried and forgotten all the same.
#[test]
fn a_damaged_head_does_not_keep_others_from_their_end() {
    run(async {
        let store = Faulty::new();
        let (state, clock) = over(store.clone());
        for (name, seconds) in [("a", 1), ("b", 2), ("c", 3)] {
            let ttl = Ttl::Fixed(Duration::from_secs(seconds));
            state.put(&key("n", name), Condition::Absent, living(ttl)).await.unwrap();
        }
        *store.broken.lock() = Some(key("n", "a"));
        clock.pass(MINUTE);
        // It takes all of the first page, and no other.
        let swept = state.sweep(1).await.unwrap();
        assert_eq!((swept.expired, swept.failed, swept.more), (0, 1, true));
        assert_eq!(swept.why.unwrap().0, key("n", "a"));
        let swept = state.sweep(1).await.unwrap();
        assert_eq!((swept.expired, swept.failed, swept.more, &swept.why), (1, 1, true, &None));
        let swept = state.sweep(1).await.unwrap();
        assert_eq!((swept.expired, swept.failed, swept.more), (1, 1, true));
        let swept = state.sweep(1).await.unwrap();
        assert_eq!((swept.expired, swept.failed, swept.more), (0, 1, false));
        clock.pass(crate::settings::TOMBSTONE_KEPT);
        let swept = state.sweep(9).await.unwrap();
        assert_eq!((swept.forgotten, swept.failed), (2, 1));
        assert!(swept.why.is_some(), "it was tried again");
        // What concerns all keys is an error.
        clock.pass(MINUTE * 11);
        *store.broken.lock() = None;
        *store.fault.lock() = super::faulty::Fault::After(0, crate::StoreError::Full("a test".to_owned()));
        assert_eq!(state.sweep(9).await, Err(StateError::Full("a test".to_owned())));
    });
}
