//! How often each rule was met: hits and misses, as the controller API shows them.
//!
//! A rule misses when a later one is what fits. That need not be counted at each of ten thousand rules for each connection:
//! it is the sum of the hits of all later ones. So a connection costs two additions, and the sums are made when somebody
//! looks.

use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_core::UnixMillis;

/// Counters of the rules of one [`RuleSet`](super::RuleSet), by place.
#[derive(Debug)]
pub struct RuleCounters {
    /// For each rule, and at last for connections that no rule fitted.
    rules: Box<[Counter]>,
}

#[derive(Debug, Default)]
struct Counter {
    hits: AtomicU64,
    /// When the last hit was, in milliseconds since 1970; 0 for never.
    hit_at: AtomicU64,
    /// How many walks started here and not at the first rule.
    starts: AtomicU64,
}

/// What one rule has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// How often it was what fitted.
    pub hits: u64,
    /// When it last was.
    pub hit_at: Option<UnixMillis>,
    /// How often it was asked and did not fit.
    pub misses: u64,
    /// When it last did not; for rules before one that was gone past, the time may be that of what came after.
    pub missed_at: Option<UnixMillis>,
}

impl RuleCounters {
    /// Counters for so many rules.
    #[must_use]
    pub fn new(rules: usize) -> Self {
        Self { rules: (0..=rules).map(|_| Counter::default()).collect() }
    }

    /// Counts one answer of `first_match_from(…, start)`: the rule at `index` fitted, or none did. Answers that ask for
    /// something are not counted, since the same connection comes again.
    pub fn count(&self, start: usize, index: Option<usize>, now: UnixMillis) {
        let last = self.rules.len() - 1;
        let counter = &self.rules[index.unwrap_or(last).min(last)];
        counter.hits.fetch_add(1, Ordering::Relaxed);
        counter.hit_at.fetch_max(now.0, Ordering::Relaxed);
        if start > 0 {
            self.rules[start.min(last)].starts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What each rule has met, in order.
    #[must_use]
    pub fn counts(&self) -> Vec<RuleCount> {
        let time = |millis: u64| (millis > 0).then_some(UnixMillis(millis));
        let (mut after, mut last) = (0_u64, 0_u64);
        let mut counts: Vec<RuleCount> = Vec::with_capacity(self.rules.len());
        for counter in self.rules.iter().rev() {
            let hits = counter.hits.load(Ordering::Relaxed);
            let hit_at = counter.hit_at.load(Ordering::Relaxed);
            counts.push(RuleCount { hits, hit_at: time(hit_at), misses: after, missed_at: time(last) });
            // A walk that started here went by none of the rules before.
            after = (after + hits).saturating_sub(counter.starts.load(Ordering::Relaxed));
            last = last.max(hit_at);
        }
        counts.reverse();
        counts.pop();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_misses_what_later_ones_hit() {
        let counters = RuleCounters::new(4);
        let at = |second: u64| UnixMillis(second * 1000);
        counters.count(0, Some(0), at(1));
        counters.count(0, Some(2), at(2));
        // The second rule leads to PASS, and the fourth takes what goes on.
        counters.count(0, Some(1), at(3));
        counters.count(2, Some(3), at(3));
        counters.count(0, None, at(4));
        let counts: Vec<(u64, u64)> = counters.counts().iter().map(|count| (count.hits, count.misses)).collect();
        assert_eq!(counts, [(1, 3), (1, 2), (1, 2), (1, 1)]);
        assert_eq!(counters.counts()[0].hit_at, Some(at(1)));
        assert_eq!(counters.counts()[0].missed_at, Some(at(4)));
        assert_eq!(RuleCounters::new(1).counts(), [RuleCount::default()]);
    }
}
