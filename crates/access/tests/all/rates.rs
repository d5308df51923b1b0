//! Requests and tokens a minute, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tradewind_access::{OverLimit, Reservation};
use tradewind_core::{Code, Moment, Usd};
use tradewind_policy::KeyTerms;

use crate::support::{FRIDAY, at, one};

fn tpm(limit: u64) -> KeyTerms {
    KeyTerms { tpm: Some(limit), ..KeyTerms::default() }
}

#[test]
fn requests_a_minute() {
    let (_access, grant) = one(KeyTerms { rpm: Some(3), ..KeyTerms::default() });
    for _ in 0..3 {
        grant.count_request(at(500)).unwrap();
    }
    let over = grant.count_request(at(10_600)).unwrap_err();
    assert_eq!(over, OverLimit::Requests { limit: 3, retry_after: Duration::from_millis(50_150) });
    assert_eq!((over.code(), over.retry_after()), (Code::RequestRate, Some(Duration::from_millis(50_150))));
    assert_eq!(over.to_string(), "the key's 3 requests a minute are used up; there is room again in 51s");
    grant.count_request(at(60_750)).unwrap();
}

#[test]
fn tokens_a_minute() {
    let (_access, grant) = one(tpm(1000));
    let over = grant.reserve(1001, Usd::default(), at(0), FRIDAY).unwrap_err();
    assert_eq!((over.code(), over.retry_after()), (Code::TokenRate, None));
    assert_eq!(over.to_string(), "this call may need 1001 tokens, and the key has 1000 a minute: ask for fewer");
    let held = grant.reserve(1000, Usd::default(), at(0), FRIDAY).unwrap();
    assert!(grant.reserve(1, Usd::default(), at(0), FRIDAY).is_err());
    held.settle(400, Usd::default(), at(1000));
    let dropped = grant.reserve(600, Usd::default(), at(2000), FRIDAY).unwrap();
    let over = grant.reserve(1, Usd::default(), at(2000), FRIDAY).unwrap_err();
    assert_eq!(over.to_string(), "the key's 1000 tokens a minute are used up; there is room again in 59s");
    drop(dropped);
    let more = grant.reserve(600, Usd::default(), at(2000), FRIDAY).unwrap();
    more.settle(900, Usd::default(), at(30_000)); // 300 more than thought: they count from here on
    assert!(grant.reserve(1, Usd::default(), at(60_250), FRIDAY).is_ok(), "the first 400 are over");
    assert!(grant.reserve(101, Usd::default(), at(60_250), FRIDAY).is_err());
    assert!(grant.reserve(700, Usd::default(), at(62_250), FRIDAY).is_ok());
    assert!(grant.reserve(1000, Usd::default(), at(90_250), FRIDAY).is_ok());
}

/// Calls that come as fast as they are let in, last for a while, and use another number of tokens than was reserved.
/// Tokens count when they are reserved; those above a reservation when it is settled.
fn saturate(seed: u64, share_used: std::ops::Range<f64>) -> (f64, u64, u64) {
    const LIMIT: u64 = 200_000;
    const MINUTES: u64 = 40;
    let (_access, grant) = one(tpm(LIMIT));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut running: BTreeMap<(u64, u64), (Reservation, u64, Moment)> = BTreeMap::new();
    let mut counted: Vec<(Moment, u64)> = Vec::new();
    let (mut used, mut excess, mut number) = (0, 0, 0);
    for millis in (0..MINUTES * 60_000).step_by(5) {
        while let Some(entry) = running.first_entry().filter(|entry| entry.key().0 <= millis) {
            let (held, reserved, began) = entry.remove();
            let share = share_used.start + random.f64() * (share_used.end - share_used.start);
            let tokens = (reserved as f64 * share) as u64;
            held.settle(tokens, Usd::default(), at(millis));
            counted.push((began, tokens.min(reserved)));
            counted.push((at(millis), tokens.saturating_sub(reserved)));
            used += tokens;
            excess += tokens.saturating_sub(reserved);
        }
        for _ in 0..random.usize(0..4) {
            let tokens = random.u64(10..600);
            if let Ok(held) = grant.reserve(tokens, Usd::default(), at(millis), FRIDAY) {
                number += 1;
                running.insert((millis + random.u64(0..3000), number), (held, tokens, at(millis)));
            }
        }
    }
    drop(running);
    counted.sort_unstable();
    let (mut last, mut sum, mut most) = (VecDeque::new(), 0, 0);
    for (now, tokens) in counted {
        last.push_back((now, tokens));
        sum += tokens;
        while let Some((then, tokens)) = last.front().copied()
            && now.since(then) >= Duration::from_secs(60)
        {
            last.pop_front();
            sum -= tokens;
        }
        most = most.max(sum);
    }
    // The first minute begins with a full window.
    (used as f64 / (LIMIT * MINUTES) as f64, most.saturating_sub(LIMIT), excess)
}

#[test]
fn tokens_come_through_within_one_percent_of_the_limit_whatever_was_reserved() {
    let (share, over, excess) = saturate(1, 1.0..1.0);
    assert!((0.99..=1.0 + 1.0 / 40.0).contains(&share), "as reserved: {share}");
    assert_eq!((over, excess), (0, 0));
    let (share, over, _) = saturate(2, 0.2..1.0);
    assert!((0.98..=1.0 + 1.0 / 40.0).contains(&share), "less than reserved: {share}");
    assert_eq!(over, 0);
    let (share, over, excess) = saturate(3, 0.8..1.3);
    assert!((0.98..=1.0 + 1.0 / 40.0).contains(&share), "more and less: {share}");
    // What calls used beyond their reservation cannot be unused: here at most 30 % of what was running.
    assert!(excess > 0 && over <= 60_000, "{over} over");
}
