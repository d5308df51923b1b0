//! One question, many callers; bounds; time; scopes.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tokio::sync::Semaphore;
use tradewind_core::TargetId;
use tradewind_policy::{ByteSize, TimeSpan};

use super::*;
use crate::entry::tests::answered;
use crate::{Asked, Followed, Keyer, Scope, ScopeKind, Shape};

const TTL: u64 = 60;

fn cache(max: ByteSize) -> Arc<ExactCache> {
    ExactCache::new(&ExactSettings { ttl: TimeSpan::from_secs(TTL), max })
}

fn entry(body: &str) -> Entry {
    Entry::new(&answered(body.as_bytes(), &TargetId::new("up/model"))).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn lead(cache: &Arc<ExactCache>, key: Key) -> Leader {
    match cache.lookup(key, at(0)) {
        Lookup::Lead(leader) => leader,
        other => panic!("{other:?}"),
    }
}

fn follow(cache: &Arc<ExactCache>, key: Key) -> Follower {
    match cache.lookup(key, at(0)) {
        Lookup::Follow(follower) => follower,
        other => panic!("{other:?}"),
    }
}

/// Polls once, by hand.
fn poll(follower: &mut Follower) -> Poll<Followed> {
    Pin::new(follower).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_of_a_hundred_makes_one_call() {
    let cache = cache(ByteSize::mib(1));
    let (calls, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (cache, calls, go) = (cache.clone(), calls.clone(), go.clone());
        callers.spawn(async move {
            let entry = match cache.lookup(Key(7), at(0)) {
                Lookup::Hit(entry, _) => entry,
                Lookup::Lead(leader) => {
                    calls.fetch_add(1, Ordering::Relaxed);
                    // Answers only when all others wait.
                    let _all_wait = go.acquire().await.unwrap();
                    leader.complete(entry("the answer"), at(1))
                }
                Lookup::Follow(follower) => match follower.await {
                    Followed::Hit(entry) => entry,
                    other => panic!("{other:?}"),
                },
            };
            entry.body.clone()
        });
    }
    while cache.stats().waiting < 99 {
        tokio::task::yield_now().await;
    }
    go.add_permits(1);
    while let Some(body) = callers.join_next().await {
        assert_eq!(body.unwrap(), "the answer");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.followed, stats.waiting, stats.entries), (1, 99, 0, 1));
    assert!(matches!(cache.lookup(Key(7), at(2)), Lookup::Hit(_, age) if age == Duration::from_secs(1)));
}

/// Leaders that fail, leave or panic, followers that leave, from many threads: everybody comes to an end, and never do two
/// ask at the same time as leaders.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_becomes_of_leaders_no_follower_hangs() {
    let cache = cache(ByteSize::mib(1));
    let leading = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..2000_u64 {
        let (cache, leading) = (cache.clone(), leading.clone());
        callers.spawn(async move {
            let key = Key(u128::from(number % 3));
            let ask = |leader: Leader| async move {
                assert_eq!(
                    leading.fetch_add(1 << (20 * (number % 3)), Ordering::SeqCst) >> (20 * (number % 3)) & 0xF,
                    0
                );
                tokio::task::yield_now().await;
                leading.fetch_sub(1 << (20 * (number % 3)), Ordering::SeqCst);
                match number % 7 {
                    0 => panic!("on purpose"),
                    1 => leader.release(),
                    // An hour apart from each other, so that the next one has to ask again.
                    2 => drop(leader.complete(entry("x"), at(number * 3600))),
                    _ => drop(leader),
                }
            };
            match cache.lookup(key, at(number * 3600)) {
                Lookup::Hit(..) => {}
                Lookup::Lead(leader) => ask(leader).await,
                Lookup::Follow(mut follower) if number % 5 == 0 => drop(poll(&mut follower)),
                Lookup::Follow(follower) => {
                    if let Followed::Lead(leader) = follower.await {
                        ask(leader).await;
                    }
                }
            }
        });
    }
    while callers.join_next().await.is_some() {}
    assert_eq!(cache.stats().waiting, 0);
    for key in 0..3 {
        assert!(cache.shard(Key(key)).lock().flights.is_empty());
    }
}

#[test]
fn the_one_who_waited_longest_follows_a_leader_that_fails() {
    let cache = cache(ByteSize::mib(1));
    let leader = lead(&cache, Key(1));
    let (mut first, mut second, mut third) = (follow(&cache, Key(1)), follow(&cache, Key(1)), follow(&cache, Key(1)));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    drop(leader);
    let Poll::Ready(Followed::Lead(next)) = poll(&mut first) else { panic!("the first did not follow") };
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    let mut late = follow(&cache, Key(1));
    next.complete(entry("x"), at(0));
    for follower in [&mut second, &mut third, &mut late] {
        assert!(matches!(poll(follower), Poll::Ready(Followed::Hit(_))));
    }
}

#[test]
fn after_two_failures_all_go_on_alone() {
    let cache = cache(ByteSize::mib(1));
    let leader = lead(&cache, Key(1));
    let (mut first, mut second, mut third) = (follow(&cache, Key(1)), follow(&cache, Key(1)), follow(&cache, Key(1)));
    drop(leader);
    let Poll::Ready(Followed::Lead(next)) = poll(&mut first) else { panic!("the first did not follow") };
    drop(next);
    for follower in [&mut second, &mut third] {
        assert!(matches!(poll(follower), Poll::Ready(Followed::Alone)));
    }
    lead(&cache, Key(1)).release();
}

#[test]
fn a_follower_that_left_is_passed_over() {
    let cache = cache(ByteSize::mib(1));
    let leader = lead(&cache, Key(1));
    let (first, mut second) = (follow(&cache, Key(1)), follow(&cache, Key(1)));
    drop(first);
    assert_eq!(cache.stats().waiting, 1);
    drop(leader);
    assert!(matches!(poll(&mut second), Poll::Ready(Followed::Lead(_))));

    // One that leaves with the duty in its hands hands it on.
    let leader = lead(&cache, Key(2));
    let (first, mut second) = (follow(&cache, Key(2)), follow(&cache, Key(2)));
    drop(leader);
    drop(first);
    assert!(matches!(poll(&mut second), Poll::Ready(Followed::Alone)), "two in a row have failed");
}

#[test]
fn an_answer_for_nobody_else_sends_all_on() {
    let cache = cache(ByteSize::mib(1));
    let leader = lead(&cache, Key(1));
    let mut follower = follow(&cache, Key(1));
    leader.release();
    assert!(matches!(poll(&mut follower), Poll::Ready(Followed::Alone)));
    assert!(matches!(poll(&mut follower), Poll::Ready(Followed::Alone)), "polled after its end");

    let leader = lead(&cache, Key(1));
    let mut follower = follow(&cache, Key(1));
    leader.share(&Arc::new(entry("alike")));
    assert!(matches!(poll(&mut follower), Poll::Ready(Followed::Hit(entry)) if entry.body == "alike"));
    assert_eq!(cache.stats().entries, 0, "what is shared is not kept");
}

#[test]
fn an_answer_that_is_too_large_is_given_and_not_kept() {
    let cache = cache(ByteSize::kib(64));
    let leader = lead(&cache, Key(1));
    let mut follower = follow(&cache, Key(1));
    leader.complete(entry(&"x".repeat(8 << 10)), at(0));
    assert!(matches!(poll(&mut follower), Poll::Ready(Followed::Hit(_))));
    assert_eq!(cache.stats().entries, 0);
    lead(&cache, Key(1)).complete(entry(&"x".repeat(7 << 10)), at(0));
    assert_eq!(cache.stats().entries, 1);
    let large = super::tests::cache(ByteSize::mib(1024));
    assert_eq!((large.largest, large.shards.len()), (LARGEST_ENTRY, MOST_SHARDS));
}

#[test]
fn answers_end_with_their_time() {
    let cache = cache(ByteSize::mib(1));
    lead(&cache, Key(1)).complete(entry("x"), at(10));
    assert!(matches!(cache.lookup(Key(1), at(10 + TTL - 1)), Lookup::Hit(..)), "being used makes it no younger");
    cache.sweep(at(10 + TTL - 1));
    assert_eq!(cache.stats().entries, 1);
    assert!(matches!(cache.lookup(Key(1), at(10 + TTL)), Lookup::Lead(_)));
    cache.sweep(at(10 + TTL));
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    cache.keep(Key(1), entry("y"), at(100));
    cache.keep(Key(1), entry("z"), at(101));
    assert!(matches!(cache.lookup(Key(1), at(100 + TTL)), Lookup::Hit(entry, _) if entry.body == "z"));
    cache.clear();
    assert!(matches!(cache.lookup(Key(1), at(101)), Lookup::Lead(_)));
}

#[test]
fn what_is_used_stays_longest() {
    let cache = cache(ByteSize::kib(64));
    let body = "x".repeat(4 << 10);
    for key in 0..200 {
        cache.keep(Key(key), entry(&body), at(0));
        assert!(matches!(cache.lookup(Key(0), at(0)), Lookup::Hit(..)), "it went after {key}");
    }
    let stats = cache.stats();
    assert!(stats.entries >= 14 && stats.evicted == 200 - stats.entries as u64, "{stats:?}");
}

proptest! {
    #[test]
    fn no_more_is_held_than_was_allowed(
        max in 64_u64..5000,
        steps in proptest::collection::vec((0_u128..40, 1_usize..12_000, 0_u64..4), 1..200),
    ) {
        let cache = cache(ByteSize::kib(max));
        let mut now = at(0);
        for (key, length, step) in steps {
            now = now + Duration::from_secs(step * 15);
            match cache.lookup(Key(key), now) {
                Lookup::Lead(leader) => drop(leader.complete(entry(&"x".repeat(length)), now)),
                Lookup::Hit(..) if step == 3 => cache.sweep(now),
                Lookup::Hit(..) => cache.keep(Key(key), entry(&"y".repeat(length)), now),
                Lookup::Follow(_) => panic!("nobody is asking"),
            }
            prop_assert!(cache.stats().bytes as u64 <= max << 10);
            prop_assert!(cache.shards.iter().all(|shard| shard.lock().is_consistent()));
        }
    }

    /// Any two callers: they share an answer only when they are of one key, or of one tenant where that is configured.
    #[test]
    fn tenants_never_mix(
        callers in proptest::collection::vec((proptest::option::of("[ab]{0,2}"), proptest::option::of("[ab]{0,2}")), 2..12),
        shares in any::<bool>(),
    ) {
        let kind = if shares { ScopeKind::Tenant } else { ScopeKind::Key };
        let (cache, keyer) = (cache(ByteSize::mib(1)), Keyer::new([5; 16]));
        let mut seen = HashSet::new();
        for (number, (tenant, key)) in callers.iter().enumerate() {
            let scope = Scope::of(kind, tenant.as_deref(), key.as_deref());
            let body = br#"{"messages":[{"role":"user","content":"hello"}]}"#;
            let asked = Asked { scope: &scope, shape: Shape::Chat, model: "m", variant: &[], has_effects: false, body };
            let keyed = keyer.read(&asked, true).unwrap();
            match cache.lookup(keyed.exact, at(0)) {
                Lookup::Lead(leader) => drop(leader.complete(entry(&number.to_string()), at(0))),
                Lookup::Hit(entry, _) => {
                    let maker = std::str::from_utf8(&entry.body).unwrap().parse::<usize>().unwrap();
                    let (made_tenant, made_key) = &callers[maker];
                    prop_assert_eq!(made_tenant, tenant);
                    prop_assert!(made_key == key || (shares && tenant.is_some()));
                }
                Lookup::Follow(_) => panic!("nobody is asking"),
            }
            seen.insert((keyed.exact, keyed.question.unwrap().context));
        }
        let scopes: HashSet<Scope> =
            callers.iter().map(|(tenant, key)| Scope::of(kind, tenant.as_deref(), key.as_deref())).collect();
        prop_assert_eq!(seen.len(), scopes.len(), "the caches by form and by meaning tell scopes apart alike");
    }
}
