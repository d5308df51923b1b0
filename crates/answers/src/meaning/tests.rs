//! Nearness, details, bounds and time.

use proptest::prelude::*;
use tradewind_core::TargetId;

use super::*;
use crate::entry::tests::answered;
use crate::{Answered, Asked, Keyer, Scope, ScopeKind, Shape};

const LIMITS: MeaningLimits =
    MeaningLimits { threshold: 0.95, ttl: Duration::from_secs(60), entries: 100, bytes: 1 << 20 };

fn question(tenant: &str, text: &str) -> Question {
    let scope = Scope::of(ScopeKind::Tenant, Some(tenant), None);
    let body = serde_json::json!({"prompt": text}).to_string();
    let asked = Asked {
        scope: &scope,
        shape: Shape::Completions,
        model: "m",
        variant: &[],
        has_effects: false,
        body: body.as_bytes(),
    };
    Keyer::new([9; 16]).read(&asked, true).unwrap().question.unwrap()
}

fn entry(body: &str) -> Arc<Entry> {
    Arc::new(Entry::new(&answered(body.as_bytes(), &TargetId::new("up/model"))).unwrap())
}

/// A vector of unit length at this angle.
fn vector(degrees: f32) -> [f32; 2] {
    [degrees.to_radians().cos(), degrees.to_radians().sin()]
}

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

#[test]
fn the_nearest_question_answers_if_it_is_near_enough() {
    let cache = MeaningCache::new(LIMITS);
    for (degrees, body) in [(0.0, "a"), (10.0, "b"), (90.0, "c")] {
        cache.keep(&question("t", "why is the sky blue"), &vector(degrees), entry(body), at(0));
    }
    let find = |degrees: f32| cache.find(&question("t", "why is the sky so blue"), &vector(degrees), at(1));
    let found = find(8.0).unwrap();
    assert_eq!((found.entry.body.as_ref(), found.age), (&b"b"[..], Duration::from_secs(1)));
    assert!((found.similarity - 2.0_f32.to_radians().cos()).abs() < 1e-6);
    assert_eq!(find(-5.0).unwrap().entry.body, "a");
    assert!(find(45.0).is_none());
    assert!(cache.find(&question("t", "x"), &[1.0], at(1)).is_none(), "a vector of another embedder");
    assert!(cache.find(&question("t", "x"), &[f32::NAN, 0.0], at(1)).is_none());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.refused, stats.entries), (2, 3, 0, 3));
}

#[test]
fn details_go_before_nearness() {
    let cache = MeaningCache::new(LIMITS);
    cache.keep(&question("t", "who won in 2023"), &vector(0.0), entry("2023"), at(0));
    cache.keep(&question("t", "who won in 2024"), &vector(5.0), entry("2024"), at(0));
    let find = |text: &str| cache.find(&question("t", text), &vector(0.0), at(0));
    assert_eq!(find("tell me who won in 2024").unwrap().entry.body, "2024", "although the other is nearer");
    assert!(find("who won in 2025").is_none());
    assert_eq!(cache.stats().refused, 1);
}

#[test]
fn tenants_do_not_share_what_is_alike() {
    let cache = MeaningCache::new(LIMITS);
    cache.keep(&question("a", "hello"), &vector(0.0), entry("x"), at(0));
    assert!(cache.find(&question("b", "hello"), &vector(0.0), at(0)).is_none());
    assert!(cache.find(&question("a", "hello"), &vector(0.0), at(0)).is_some());
}

#[test]
fn some_things_are_not_kept() {
    let cache = MeaningCache::new(LIMITS);
    let target = TargetId::new("up/model");
    let calls = Answered { finish: Finish::ToolCalls, ..answered(b"{}", &target) };
    let ask = question("t", "hello");
    cache.keep(&ask, &vector(0.0), Arc::new(Entry::new(&calls).unwrap()), at(0));
    cache.keep(&ask, &[0.5, 0.5], entry("x"), at(0));
    cache.keep(&ask, &[], entry("x"), at(0));
    cache.keep(&ask, &[f32::NAN, 1.0], entry("x"), at(0));
    cache.keep(&ask, &vec![1.0 / (LONGEST_VECTOR as f32 + 1.0).sqrt(); LONGEST_VECTOR + 1], entry("x"), at(0));
    cache.keep(&ask, &vector(0.0), entry(&"x".repeat(LIMITS.bytes / 8)), at(0));
    assert_eq!(cache.stats().entries, 0);
    cache.keep(&ask, &vector(0.0), entry("x"), at(0));
    cache.keep(&ask, &vector(0.0), entry("y"), at(1));
    assert_eq!(cache.stats().entries, 1, "the same question is replaced");
    assert_eq!(cache.find(&ask, &vector(0.0), at(1)).unwrap().entry.body, "y");
}

#[test]
fn answers_end_with_their_time() {
    let cache = MeaningCache::new(LIMITS);
    let ask = question("t", "hello");
    cache.keep(&ask, &vector(0.0), entry("x"), at(0));
    assert!(cache.find(&ask, &vector(0.0), at(59)).is_some());
    assert!(cache.find(&ask, &vector(0.0), at(60)).is_none());
    cache.sweep(at(60));
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    cache.keep(&ask, &vector(0.0), entry("x"), at(60));
    cache.clear();
    assert!(cache.find(&ask, &vector(0.0), at(60)).is_none());
}

#[test]
fn what_was_not_used_for_longest_goes() {
    let cache = MeaningCache::new(LIMITS);
    for number in 0..=100_u8 {
        let ask = question("t", &format!("number {number}"));
        cache.keep(&ask, &vector(f32::from(number)), entry("x"), at(0));
        let first = question("t", "number 0");
        assert!(cache.find(&first, &vector(0.0), at(0)).is_some(), "it went after {number}");
    }
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.evicted), (94, 7), "a sixteenth of a hundred to spare");
}

proptest! {
    #[test]
    fn bounds_hold_whatever_comes(
        entries in 1_usize..20,
        steps in proptest::collection::vec((0_u8..5, 0_u16..360, 1_usize..20_000, 0_u64..3), 1..150),
    ) {
        let limits = MeaningLimits { entries, bytes: 128 << 10, ..LIMITS };
        let cache = MeaningCache::new(limits);
        let mut now = at(0);
        for (tenant, degrees, length, step) in steps {
            now = now + Duration::from_secs(step * 10);
            let ask = question(&tenant.to_string(), "hello");
            cache.keep(&ask, &vector(degrees.into()), entry(&"x".repeat(length)), now);
            let (stats, contexts) = (cache.stats(), cache.contexts.lock());
            prop_assert!(stats.entries <= entries && stats.bytes <= limits.bytes);
            let lists = || contexts.lists.values().flat_map(|list| list.iter());
            prop_assert_eq!(stats.entries, lists().count());
            prop_assert_eq!(stats.bytes, lists().map(|kept| kept.weight()).sum::<usize>());
            prop_assert!(contexts.lists.values().all(|list| !list.is_empty()));
        }
    }

    #[test]
    fn products_are_right_for_every_length(pairs in proptest::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..70)) {
        let (left, right): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        let plain: f32 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
        prop_assert!((dot(&left, &right) - plain).abs() < 1e-4);
    }
}
