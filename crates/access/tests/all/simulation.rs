//! A hundred thousand calls in virtual time: many keys, reservations that overlap, callers that vanish, settlements
//! above and below what was reserved, reloads, and a wall clock that jumps. Every cent is accounted for.

use std::collections::{BTreeMap, HashMap};

use tradewind_access::{Access, Grant, Reach, Reservation};
use tradewind_core::{Moment, UnixMillis, Usd};
use tradewind_policy::{KeyTerms, Period};

use crate::support::{DAY, FRIDAY, bearer, budget, secret, stored};

const CALLS: usize = 100_000;
const KEYS: usize = 24;
const PERIODS: [Period; 4] = [Period::Day, Period::Week, Period::Month, Period::Total];
/// Above what a call settles at most beyond its reservation.
const MOST_EXCESS: u64 = 40_000_000_000;

struct Model {
    /// Settled costs by key and day of the reservation.
    spent: HashMap<(usize, u32), u64>,
    /// What calls settled beyond their reservations, by key: only this may take a period over its budget.
    excess: HashMap<usize, u64>,
}

fn name(key: usize) -> String {
    format!("key-{key}")
}

fn period(key: usize) -> Period {
    PERIODS[key % PERIODS.len()]
}

fn keys(amounts: &[f64]) -> Vec<tradewind_access::StoredKey> {
    let terms = |key: usize| KeyTerms { tpm: Some(2_000_000), ..budget(amounts[key], period(key)) };
    (0..KEYS).map(|key| stored(&name(key), terms(key))).collect()
}

#[test]
fn a_hundred_thousand_calls_are_right_to_the_last_digit() {
    let mut random = fastrand::Rng::with_seed(2026);
    let amounts: Vec<f64> = (0..KEYS).map(|_| (1.0 + random.f64() * 40.0 * 100.0).round() / 100.0).collect();
    let access = Access::new(Reach::Network);
    access.set_created(&keys(&amounts)).unwrap();
    let mut model = Model { spent: HashMap::new(), excess: HashMap::new() };
    let mut running: BTreeMap<(u64, usize), (usize, Reservation, u64, u64)> = BTreeMap::new();
    let (mut micros, mut wall) = (0_u64, FRIDAY.0);
    let (mut granted, mut refused, mut dropped) = (0, 0, 0);
    for number in 0..CALLS {
        micros += random.u64(0..2_000_000);
        wall = match random.u32(0..2000) {
            0 => FRIDAY.0 + random.u64(0..90) * DAY,              // ahead, or back
            1 => wall.saturating_sub(random.u64(0..3) * DAY / 2), // a little back
            _ => wall + random.u64(0..200_000),
        };
        let now = Moment::from_micros(micros);
        while let Some(entry) = running.first_entry().filter(|entry| entry.key().0 <= micros) {
            let (key, held, tokens, cost) = entry.remove();
            end(&mut random, &mut model, &mut dropped, now, (key, held, tokens, cost));
        }
        if random.u32(0..5000) == 0 {
            access.set_created(&keys(&amounts)).unwrap(); // a reload under load
        }
        let key = random.usize(0..KEYS);
        let grant: Grant = access.authenticate(&bearer(&secret(&name(key))), UnixMillis(wall)).unwrap();
        let (tokens, cost) = (random.u64(1..50_000), random.u64(0..200_000_000_000));
        match grant.reserve(tokens, Usd::from_pico(cost), now, UnixMillis(wall)) {
            Ok(held) => {
                granted += 1;
                running.insert((micros + random.u64(0..60_000_000), number), (key, held, tokens, cost));
            }
            Err(_) => refused += 1,
        }
        if number % 997 == 0 {
            check(&access, &model, &amounts, UnixMillis(wall));
        }
    }
    for (_, ending) in std::mem::take(&mut running) {
        end(&mut random, &mut model, &mut dropped, Moment::from_micros(micros), ending);
    }
    assert!(granted > 5000 && refused > 5000 && dropped > 500, "{granted} {refused} {dropped}: each happened");

    // Every day of every key, by looking at each day on its own through its period.
    for day in 0..140 {
        let at = UnixMillis(FRIDAY.0 - 40 * DAY + day * DAY);
        check(&access, &model, &amounts, at);
        assert!(access.shown(at).iter().all(|key| key.reserved == Usd::default()), "all reservations are given back");
    }
}

fn end(
    random: &mut fastrand::Rng,
    model: &mut Model,
    dropped: &mut usize,
    now: Moment,
    (key, held, tokens, cost): (usize, Reservation, u64, u64),
) {
    let day = held.day().expect("a key's reservation has a day");
    let real = match random.u8(0..10) {
        0 => {
            *dropped += 1;
            return drop(held); // the caller vanished before anything was sent
        }
        1 => cost + random.u64(0..MOST_EXCESS), // more than was thought
        _ => random.u64(0..=cost),
    };
    held.settle(random.u64(0..tokens * 2), Usd::from_pico(real), now);
    *model.spent.entry((key, day)).or_default() += real;
    *model.excess.entry(key).or_default() += real.saturating_sub(cost);
}

/// What is shown is the sum of what was settled, and no period is over its budget but by what calls used beyond their
/// reservations.
fn check(access: &Access, model: &Model, amounts: &[f64], wall: UnixMillis) {
    let today = u32::try_from(wall.0 / DAY).unwrap();
    for (key, shown) in access.shown(wall).into_iter().enumerate() {
        let resets = shown.resets.map(|resets| u32::try_from(resets.0.0 / DAY).unwrap());
        let days = match (period(key), resets) {
            (Period::Day, _) => today..today + 1,
            (Period::Week, Some(next)) => next - 7..next,
            (Period::Month, Some(next)) => {
                let month = wall.rfc3339()[..8].to_owned() + "01T00:00:00Z";
                u32::try_from(UnixMillis::parse_rfc3339(&month).unwrap().0 / DAY).unwrap()..next
            }
            _ => 0..u32::MAX,
        };
        let spent: u64 =
            model.spent.iter().filter(|((of, day), _)| *of == key && days.contains(day)).map(|(_, cost)| cost).sum();
        assert_eq!(shown.spent.pico(), spent, "{} at {}", shown.name, wall.rfc3339());
        let budget = (amounts[key] * 1e12).round() as u64;
        let excess = model.excess.get(&key).copied().unwrap_or_default();
        assert!(spent <= budget + excess, "{}: {spent} of {budget} with {excess}", shown.name);
    }
}
