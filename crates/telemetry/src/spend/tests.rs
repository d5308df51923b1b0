//! The book in memory. With its file it is tested from outside.

use std::time::Duration;

use tradewind_core::TargetId;

use super::*;
use crate::choice::{Choice, Kept};
use crate::record::Attempt;
use crate::support::{START, record};

const EVERYTHING: GroupBy = GroupBy { day: true, key: true, model: true, target: true };
const ALWAYS: (Day, Day) = (Day(0), Day(u32::MAX));

fn booked(spend: &Spend, group: GroupBy) -> Vec<SpendRow> {
    spend.query(ALWAYS.0, ALWAYS.1, None, group).unwrap()
}

#[test]
fn days_are_read_and_shown() {
    let day = Day::of(START);
    assert_eq!(day.to_string(), "2026-11-21");
    assert_eq!(Day::parse("2026-11-21"), Some(day));
    assert_eq!(Day::of(day.start()), day);
    assert_eq!(Day::of(UnixMillis(day.start().0 - 1)).to_string(), "2026-11-20");
    for bad in ["", "2026-11-31", "2026-11-21T", "2026-1-211", "21-11-2026", "2026-02-30", "2026-11-2é"] {
        assert_eq!(Day::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_kept_answer_is_a_call_at_no_cost_that_no_target_had() {
    let spend = Spend::in_memory();
    let mut made = record(1);
    let decision = made.id;
    (made.usage, made.cost) = (Some(Usage::default()), Some(Usd::default()));
    made.attempts.clear();
    spend.add(&made);
    assert_eq!(booked(&spend, EVERYTHING), [], "what no target was asked for is not booked");
    let kept = Kept { kind: "exact", decision, age_ms: 7, similarity: None };
    made.choice = Some(Box::new(Choice { cache: Some(kept), ..Choice::default() }));
    spend.add(&made);
    let rows = booked(&spend, EVERYTHING);
    assert_eq!(rows[0].target, Some(TargetId::new("cache")));
    assert_eq!((rows.len(), rows[0].totals), (1, Totals { calls: 1, ..Totals::default() }));
}

#[test]
fn a_call_counts_once_and_its_tokens_where_they_were_used() {
    let spend = Spend::in_memory();
    let mut made = record(1);
    made.key = Some(Arc::from("ci"));
    made.resolved = Some(Arc::from("assistant"));
    let mut lost = Attempt::new(TargetId::new("b/c"), true, Duration::ZERO);
    lost.usage = Some(Usage { input: 5, output: 2, estimated: true, ..Usage::default() });
    made.attempts.push(lost);
    made.usage = Some(Usage { input: 17, output: 11, cached: 3, cache_written: 0, reasoning: 1, estimated: true });
    made.cost = None;
    spend.add(&made);
    let rows = booked(&spend, EVERYTHING);
    let shown: Vec<_> = rows.iter().map(|row| row.target.as_ref().unwrap().as_str()).collect();
    assert_eq!(shown, ["b/c", "openai/gpt-5-mini"]);
    assert_eq!(rows[0].totals.calls, 0);
    assert_eq!(rows[1].totals.calls, 1);
    let all = booked(&spend, GroupBy::default());
    let expected = Totals {
        calls: 1,
        input: 17,
        output: 11,
        cached: 3,
        reasoning: 1,
        estimated: 28,
        cost: Usd::default(),
        unpriced: 2,
    };
    assert_eq!(all, [SpendRow { day: None, key: None, model: None, target: None, totals: expected }]);
}

#[test]
fn a_call_that_reached_no_target_is_not_booked() {
    let spend = Spend::in_memory();
    let mut refused = record(1);
    refused.attempts.clear();
    refused.chosen = None;
    refused.usage = None;
    refused.cost = None;
    spend.add(&refused);
    assert_eq!(booked(&spend, EVERYTHING), []);
}

#[test]
fn what_was_taken_and_not_written_is_still_there() {
    let spend = Spend::in_memory();
    for number in 0..100 {
        spend.add(&record(number << 20));
    }
    drop(spend.take());
    assert_eq!(booked(&spend, GroupBy::default())[0].totals.calls, 100);
    spend.take().written();
    assert_eq!(booked(&spend, GroupBy::default()), []);
    assert!(!spend.is_waiting());
}

#[test]
fn rows_in_memory_are_bounded_and_the_sums_stay_right() {
    let spend = Spend::in_memory();
    let count = 3 * (ROWS * SHARDS) as u64;
    for number in 0..count {
        let mut made = record(0);
        made.id = tradewind_core::DecisionId::from_number(number);
        made.key = Some(Arc::from("ci"));
        made.resolved = Some(format!("model {number}").into());
        spend.add(&made);
    }
    let rows = booked(&spend, EVERYTHING);
    assert!(rows.len() <= (ROWS + 1) * SHARDS, "{}", rows.len());
    let of_key = spend.query(ALWAYS.0, ALWAYS.1, Some("ci"), GroupBy::default()).unwrap();
    assert_eq!(of_key[0].totals.calls, count);
    assert_eq!(of_key[0].totals.cost.pico(), count * 120_000_000);
    drop(spend.take());
    assert_eq!(booked(&spend, GroupBy::default())[0].totals.calls, count, "also when they go back to memory");
}
