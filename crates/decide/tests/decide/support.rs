//! Short ways to write groups and facts down in tests.

use std::time::Duration;

use tradewind_core::{ModelName, Moment, TargetId};
use tradewind_decide::{Decision, Facts, Group, HealthView, KeysView, Member, ScoreFacts, Strategy};

/// Targets named `p/a`, `p/b`, …
pub(crate) fn targets(count: u8) -> Vec<TargetId> {
    (0..count).map(|number| TargetId::new(&format!("p/{}", char::from(b'a' + number)))).collect()
}

/// A healthy, idle, unmeasured target.
pub(crate) fn fine(target: &TargetId) -> Facts<'_> {
    Facts {
        target,
        unfit: None,
        health: HealthView::default(),
        in_flight: 0,
        tokens_in_flight: 0,
        saturated: false,
        keys: KeysView::Ready,
        score: ScoreFacts::default(),
    }
}

pub(crate) fn group(strategy: Strategy, members: Vec<Member>) -> Group {
    Group::new(ModelName::new("g"), strategy, members)
}

/// A group of the first `count` targets, each of weight 1.
pub(crate) fn flat(strategy: Strategy, count: usize) -> Group {
    group(strategy, (0..count).map(Member::target).collect())
}

pub(crate) fn at(seconds: u64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

pub(crate) fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

/// The eligible leaves in rank order.
pub(crate) fn order(decision: &Decision) -> Vec<usize> {
    decision.eligible().iter().map(|candidate| candidate.leaf).collect()
}

/// Each candidate as `rank target reason`, for comparing with a table.
pub(crate) fn lines(decision: &Decision) -> Vec<String> {
    let line = |candidate: &tradewind_decide::Candidate| {
        let rank = candidate.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        format!("{rank} {} {}", candidate.target, candidate.reason)
    };
    decision.candidates.iter().map(line).collect()
}
