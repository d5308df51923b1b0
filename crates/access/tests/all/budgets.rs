//! Budgets: what fits, when they begin anew, and clocks that jump.

use std::time::Duration;

use tradewind_access::OverLimit;
use tradewind_core::{Code, UnixMillis, Usd};
use tradewind_policy::{KeyTerms, Period};

use crate::support::{DAY, FRIDAY, at, budget, one, usd};

#[test]
fn a_budget_is_exact_to_the_last_digit() {
    let (access, grant) = one(budget(1.0, Period::Month));
    let nearly = Usd::from_pico(999_999_999_999);
    grant.reserve(0, nearly, at(0), FRIDAY).unwrap().settle(0, nearly, at(0));
    assert!(grant.reserve(0, Usd::from_pico(2), at(0), FRIDAY).is_err());
    grant.reserve(0, Usd::from_pico(1), at(0), FRIDAY).unwrap().settle(0, Usd::from_pico(1), at(0));
    assert_eq!(access.shown(FRIDAY)[0].spent.pico(), 1_000_000_000_000);
    assert!(grant.reserve(0, Usd::from_pico(1), at(0), FRIDAY).is_err());
    assert!(grant.reserve(0, Usd::from_pico(0), at(0), FRIDAY).is_ok(), "what costs nothing fits");
}

#[test]
fn what_is_reserved_counts_until_it_is_settled_or_dropped() {
    let (access, grant) = one(budget(1.0, Period::Day));
    let first = grant.reserve(0, usd(60), at(0), FRIDAY).unwrap();
    let over = grant.reserve(0, usd(50), at(0), FRIDAY).unwrap_err();
    assert_eq!(over.code(), Code::BudgetSpent);
    assert_eq!(over.retry_after(), Some(Duration::from_secs(1)), "the other call may cost less");
    assert_eq!(
        over.to_string(),
        "the key's budget is $1.0000 a day; $0.0000 is spent, $0.6000 is held for calls under way, and this call may \
         cost $0.5000; it begins anew in 1d"
    );
    drop(first);
    let second = grant.reserve(0, usd(50), at(0), FRIDAY).unwrap();
    second.settle(0, usd(20), at(0));
    let third = grant.reserve(0, usd(80), at(0), FRIDAY).unwrap();
    third.settle(0, usd(95), at(0)); // more than was thought
    let shown = &access.shown(FRIDAY)[0];
    assert_eq!((shown.spent, shown.reserved), (usd(115), usd(0)));
    let over = grant.reserve(0, usd(1), at(0), FRIDAY).unwrap_err();
    assert_eq!(over.retry_after(), Some(Duration::from_millis(DAY)));
    assert_eq!(grant.reserve(0, usd(101), at(0), FRIDAY).unwrap_err().retry_after(), None, "it never fits");
}

#[test]
fn budgets_begin_anew_with_their_period() {
    let midnight = UnixMillis(FRIDAY.0 / DAY * DAY);
    for (per, days) in [(Period::Day, 1), (Period::Week, 3), (Period::Month, 11)] {
        let (_access, grant) = one(budget(1.0, per));
        grant.reserve(0, usd(100), at(0), midnight).unwrap().settle(0, usd(100), at(0));
        let OverLimit::Budget { resets_in, per: said, .. } = grant.reserve(0, usd(1), at(0), midnight).unwrap_err()
        else {
            panic!("a budget")
        };
        assert_eq!((said, resets_in), (per, Some(Duration::from_millis(days * DAY))));
        let last = UnixMillis(midnight.0 + days * DAY - 1);
        assert!(grant.reserve(0, usd(1), at(0), last).is_err(), "{per:?}");
        let next = UnixMillis(midnight.0 + days * DAY);
        assert!(grant.reserve(0, usd(100), at(0), next).is_ok(), "{per:?}");
    }
    let (_access, grant) = one(budget(1.0, Period::Total));
    grant.reserve(0, usd(100), at(0), midnight).unwrap().settle(0, usd(100), at(0));
    let over = grant.reserve(0, usd(1), at(0), UnixMillis(midnight.0 + 4000 * DAY)).unwrap_err();
    assert_eq!(over.retry_after(), None);
    assert_eq!(
        over.to_string(),
        "the key's budget is $1.0000 in all; $1.0000 is spent, and this call may cost $0.0100"
    );
}

#[test]
fn a_call_over_midnight_counts_to_the_day_on_which_it_began() {
    let (access, grant) = one(budget(1.0, Period::Day));
    let next = UnixMillis(FRIDAY.0 + DAY);
    let long = grant.reserve(0, usd(90), at(0), FRIDAY).unwrap();
    assert_eq!(long.day(), Some(20_777));
    let today = grant.reserve(0, usd(100), at(0), next).unwrap();
    long.settle(0, usd(90), at(0));
    today.settle(0, usd(100), at(0));
    assert_eq!((access.shown(FRIDAY)[0].spent, access.shown(next)[0].spent), (usd(90), usd(100)));
}

#[test]
fn a_clock_that_jumps_gives_no_period_a_second_budget() {
    let (access, grant) = one(budget(1.0, Period::Month));
    for days in [0, 40, 0, 400, 4000, 0, 40] {
        let wall = UnixMillis(FRIDAY.0 + days * DAY);
        while let Ok(held) = grant.reserve(0, usd(7), at(0), wall) {
            held.settle(0, usd(7), at(0));
        }
        assert_eq!(access.shown(wall)[0].spent, usd(98), "{days}");
    }
}

#[test]
fn what_was_spent_before_the_start_counts() {
    let (access, grant) = one(budget(1.0, Period::Month));
    access.restore("ci", 20_760, usd(30)); // early in the month
    access.restore("ci", 20_757, usd(50)); // the month before
    access.restore("somebody-else", 20_760, usd(99));
    assert!(grant.reserve(0, usd(71), at(0), FRIDAY).is_err());
    assert!(grant.reserve(0, usd(70), at(0), FRIDAY).is_ok());
}

#[test]
fn a_key_without_a_budget_is_counted_and_never_refused() {
    let (access, grant) = one(KeyTerms::default());
    grant.reserve(5, usd(123_456_789), at(0), FRIDAY).unwrap().settle(5, usd(7), at(0));
    let shown = &access.shown(FRIDAY)[0];
    assert_eq!((shown.spent, shown.per), (usd(7), Period::Month));
}
