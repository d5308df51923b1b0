//! Real threads at once: no limit is overshot by what was granted.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tradewind_access::{Access, ModelBudgets, Reach};
use tradewind_core::{Moment, Usd};
use tradewind_policy::{Amount, Budget, KeyTerms, Period};

use crate::support::{FRIDAY, at, bearer, budget, grant_of, one, secret, stored, usd};

const THREADS: usize = 8;

/// Runs `work` on several threads that begin together.
fn at_once(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(number);
            });
        }
    });
}

#[test]
fn a_burst_never_overshoots_a_budget() {
    let (access, grant) = one(budget(10.0, Period::Day));
    let (granted, spent) = (AtomicU64::new(0), AtomicU64::new(0));
    at_once(|number| {
        let mut random = fastrand::Rng::with_seed(number as u64);
        for _ in 0..20_000 {
            let wanted = Usd::from_pico(random.u64(1..20_000_000_000));
            let Ok(held) = grant.reserve(0, wanted, at(0), FRIDAY) else { continue };
            granted.fetch_add(1, Ordering::Relaxed);
            match random.u8(0..3) {
                0 => drop(held),
                _ => {
                    let cost = Usd::from_pico(random.u64(0..=wanted.pico()));
                    held.settle(0, cost, at(0));
                    let all = spent.fetch_add(cost.pico(), Ordering::Relaxed) + cost.pico();
                    assert!(all <= usd(1000).pico());
                }
            }
        }
    });
    let shown = &access.shown(FRIDAY)[0];
    assert_eq!((shown.spent.pico(), shown.reserved), (spent.load(Ordering::Relaxed), Usd::default()));
    assert!(shown.spent > usd(980), "the budget was used up: {}", shown.spent);
    assert!(granted.load(Ordering::Relaxed) > 1000);
}

#[test]
fn a_burst_that_holds_everything_gets_exactly_the_budget() {
    let (_access, grant) = one(budget(1.0, Period::Day));
    let held = parking_lot::Mutex::new(Vec::new());
    at_once(|_| {
        while let Ok(reservation) = grant.reserve(0, usd(1), at(0), FRIDAY) {
            held.lock().push(reservation);
        }
    });
    assert_eq!(held.lock().len(), 100);
}

#[test]
fn a_burst_of_requests_and_tokens_gets_exactly_the_limit() {
    let (_access, grant) = one(KeyTerms { rpm: Some(1000), tpm: Some(5000), ..KeyTerms::default() });
    let (requests, tokens, ticks) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    at_once(|number| {
        for _ in 0..1000 {
            // Time goes on, and threads see it out of order; all within one minute.
            let now = Moment::from_micros(ticks.fetch_add(7000, Ordering::Relaxed) % 59_000_000);
            requests.fetch_add(u64::from(grant.count_request(now).is_ok()), Ordering::Relaxed);
            if let Ok(held) = grant.reserve(number as u64 + 1, Usd::default(), now, FRIDAY) {
                tokens.fetch_add(number as u64 + 1, Ordering::Relaxed);
                held.settle(number as u64 + 1, Usd::default(), now);
            }
        }
    });
    assert_eq!(requests.into_inner(), 1000);
    let tokens = tokens.into_inner();
    assert!(tokens <= 5000 && tokens > 5000 - THREADS as u64, "{tokens}");
}

#[test]
fn keys_can_change_while_they_are_used() {
    let access = Access::new(Reach::Loopback);
    access.set_created(&[stored("a", KeyTerms::default())]).unwrap();
    at_once(|number| {
        for round in 0..300 {
            if number == 0 {
                let names: &[&str] = if round % 2 == 0 { &["a", "b"] } else { &["a"] };
                let keys: Vec<_> = names.iter().map(|name| stored(name, budget(1.0, Period::Day))).collect();
                access.set_created(&keys).unwrap();
            } else {
                let grant = access.authenticate(&bearer(&secret("a")), FRIDAY).unwrap();
                assert!(!grant.is_revoked());
                grant.reserve(1, Usd::from_pico(1), at(0), FRIDAY).unwrap().settle(1, Usd::from_pico(1), at(0));
            }
        }
    });
    assert_eq!(access.shown(FRIDAY)[0].spent.pico(), 300 * (THREADS as u64 - 1));
}

/// Many keys at one model: neither budget is overshot, and no call is refused for what another one was refused.
#[test]
fn a_burst_at_one_model_overshoots_neither_budget() {
    let access = Access::new(Reach::Loopback);
    let keys: Vec<_> = (0..THREADS).map(|number| stored(&format!("k{number}"), budget(2.0, Period::Day))).collect();
    access.set_created(&keys).unwrap();
    let models = ModelBudgets::default();
    let model = models.of("assistant", Budget { usd: Amount(10.0), per: Period::Day });
    let spent = AtomicU64::new(0);
    at_once(|number| {
        let mut random = fastrand::Rng::with_seed(number as u64);
        for _ in 0..10_000 {
            // Two keys for each thread, so that their locks are contended as well.
            let grant = grant_of(&access, &format!("k{}", (number + random.usize(0..2)) % THREADS));
            let wanted = Usd::from_pico(random.u64(1..20_000_000_000));
            let Ok(held) = grant.reserve_at(Some(&model), 0, wanted, at(0), FRIDAY) else { continue };
            if random.u8(0..3) == 0 {
                drop(held);
                continue;
            }
            let cost = Usd::from_pico(random.u64(0..=wanted.pico()));
            held.settle(0, cost, at(0));
            spent.fetch_add(cost.pico(), Ordering::Relaxed);
        }
    });
    let (status, spent) = (model.status(FRIDAY), spent.load(Ordering::Relaxed));
    assert_eq!((status.spent.pico(), status.reserved), (spent, Usd::default()));
    assert!(status.spent <= usd(1000) && status.spent > usd(980), "the budget was used up: {}", status.spent);
    let of_keys: u64 = access.shown(FRIDAY).iter().map(|key| key.spent.pico()).sum();
    assert_eq!(of_keys, spent, "what one account has, the other one has");
    assert!(access.shown(FRIDAY).iter().all(|key| key.reserved == Usd::default() && key.spent <= usd(200)));
}

/// Held to the end by everybody at once: exactly what the smaller budget gives, never one more or less.
#[test]
fn a_burst_that_holds_everything_gets_exactly_the_smaller_budget() {
    for (of_key, of_model, fits) in [(1.0, 0.6, 60), (0.4, 0.6, 40)] {
        let (access, grant) = one(budget(of_key, Period::Day));
        let model = ModelBudgets::default().of("assistant", Budget { usd: Amount(of_model), per: Period::Month });
        let held = parking_lot::Mutex::new(Vec::new());
        at_once(|_| {
            while let Ok(reservation) = grant.reserve_at(Some(&model), 0, usd(1), at(0), FRIDAY) {
                held.lock().push(reservation);
            }
        });
        assert_eq!(held.lock().len(), fits);
        held.into_inner().clear();
        assert_eq!((model.status(FRIDAY).reserved, access.shown(FRIDAY)[0].reserved), (usd(0), usd(0)));
    }
}
