//! The scores of one `score` group: meaning, load and cost of each target, 0 to 1, and their weighted sum. No choosing
//! here.
//!
//! *Meaning* is taken as the chooser gave it. *Load* and *cost* are relative: the best of the group has 1, what is a
//! hundred times worse 0, by logarithm in between (twice as bad is 0.85, ten times is 0.5). A linear scale would let one
//! dear or slow target make all the others look alike.
//!
//! Load begins with our own signals: calls or tokens under way by weight × mean time to first token × error factor. What
//! the provider says about its limits can make that up to 20 times worse, and the slow prior at most twice better or
//! worse: the fresher a signal, the more it may do. Slow start is left to the choosing.
//!
//! Here the mean time counts, and the peaks that `least-latency` looks at only when peers are compared: with peaks, all
//! calls left a kind of target at its first slow answer and came back together when the peak was forgotten. In a
//! simulation of two targets that fit best and four others at 73 % of what they can do, the 99th percentile was 5.1 s with
//! peaks and is 2.2 s with means.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tradewind_core::Usd;

use crate::strategy::{Costing, Entry};
use crate::{CallFacts, Facts, Prior, QuotaView, Scoring, Weights};

/// The part of cost of a target without a price: neither cheap nor dear.
const UNPRICED: f64 = 0.5;

/// The part of meaning where nothing was said about any target.
const UNKNOWN_MEANING: f64 = 0.5;

/// What is this many times worse than the best has the part 0.
const SPAN: f64 = 100.0;

/// Costs of a call below one microdollar are not told apart; a free target is not infinitely cheaper than a cheap one.
const LEAST_PRICE: Usd = Usd::from_pico(1_000_000);

/// From this share of a provider's limit on, a target is not held back…
const ENOUGH_QUOTA: f64 = 0.25;

/// …and with nothing left it is to this share.
const LEAST_QUOTA_FACTOR: f64 = 0.05;

/// What is known about one target that only `score` looks at. The default is a target of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreFacts {
    /// How well it fits the call by meaning, 0 to 1. Without it the target counts as the mean of the others.
    pub meaning: Option<f32>,
    /// What this call is expected to cost there; `None` without a price.
    pub price: Option<Usd>,
    /// The slow prior, kept within [`Prior::BOUNDS`]: above 1 it is better than our own signals say.
    pub prior: f64,
    /// What is left of its provider's limits.
    pub quota: Option<QuotaView>,
}

impl Default for ScoreFacts {
    fn default() -> Self {
        Self { meaning: None, price: None, prior: 1.0, quota: None }
    }
}

/// What a candidate's score was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoreParts {
    /// The weighted sum of the three parts, 0 to 1.
    pub total: f64,
    /// The part of meaning, 0 to 1.
    pub meaning: f64,
    /// The part of load, 0 to 1.
    pub load: f64,
    /// The part of cost, 0 to 1.
    pub cost: f64,
    /// The weights in effect for this call.
    pub weights: Weights,
    /// The weights that the group was set to; absent while they are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weights: Option<Weights>,
    /// How complex the call is, 0 to 1, where that moved the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<f64>,
    /// What the call is expected to cost there, in US dollars. Absent without a price; `cost` is then 0.5.
    #[serde(rename = "price_usd", skip_serializing_if = "Option::is_none")]
    pub price: Option<Usd>,
    /// The slow prior; absent while it is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<f64>,
    /// The share of its provider's limits that is left, 0 to 1; absent while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_left: Option<f64>,
    /// Seconds until that share is 1 again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_resets_s: Option<f64>,
    /// Whether nothing was known about its meaning, so that it counts as the mean of the others.
    #[serde(skip_serializing_if = "is_false")]
    pub meaning_assumed: bool,
    /// Whether it has no price, so that it counts as neither cheap nor dear.
    #[serde(skip_serializing_if = "is_false")]
    pub cost_assumed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ScoreParts {
    /// What does not change with load.
    pub(crate) const fn preference(&self) -> f64 {
        self.weights.meaning() * self.meaning + self.weights.cost() * self.cost
    }
}

/// Scores the targets of one group; `table` takes the parts by leaf.
pub(crate) fn score(
    entries: &[Entry],
    facts: &[Facts<'_>],
    costing: &Costing,
    scoring: &Scoring,
    call: &CallFacts<'_>,
    table: &mut [Option<ScoreParts>],
) {
    let load = |entry: &Entry, facts: &Facts<'_>| costing.standing(facts, entry.weight) / outside_factor(facts);
    let mut least_load = f64::INFINITY;
    let mut cheapest: Option<Usd> = None;
    let (mut sum, mut known) = (0.0, 0.0);
    for entry in entries {
        let facts = &facts[entry.leaf];
        least_load = least_load.min(load(entry, facts));
        if let Some(price) = facts.score.price {
            let price = price.max(LEAST_PRICE);
            cheapest = Some(cheapest.map_or(price, |least| least.min(price)));
        }
        if let Some(meaning) = meaning(facts) {
            sum += meaning;
            known += 1.0;
        }
    }
    let usual_meaning = if known > 0.0 { sum / known } else { UNKNOWN_MEANING };
    let cheapest = cheapest.unwrap_or(LEAST_PRICE).pico() as f64;
    let complexity = call.complexity.filter(|complexity| complexity.is_finite());
    let weights = call.weights(scoring);
    let set_weights = Some(scoring.weights).filter(|set| *set != weights);
    for entry in entries {
        let facts = &facts[entry.leaf];
        let known_meaning = meaning(facts);
        let mut parts = ScoreParts {
            meaning: known_meaning.unwrap_or(usual_meaning),
            load: relative(least_load, load(entry, facts)),
            cost: facts.score.price.map_or(UNPRICED, |price| relative(cheapest, price.max(LEAST_PRICE).pico() as f64)),
            weights,
            set_weights,
            complexity,
            price: facts.score.price,
            prior: Some(prior(facts)).filter(|prior| *prior != 1.0),
            quota_left: facts.score.quota.map(|quota| left(&quota)),
            quota_resets_s: facts.score.quota.map(|quota| seconds(quota.resets_in)),
            meaning_assumed: known_meaning.is_none(),
            cost_assumed: facts.score.price.is_none(),
            total: 0.0,
        };
        parts.total = (parts.preference() + weights.load() * parts.load).clamp(0.0, 1.0);
        table[entry.leaf] = Some(parts);
    }
}

/// What `least-latency` compares, without slow start, and with quota and prior. Infinite for a drained target.
pub(crate) fn load_cost(entry: &Entry, facts: &Facts<'_>) -> f64 {
    entry.cost * entry.slow_start / outside_factor(facts)
}

/// How much better others say that a target is.
fn outside_factor(facts: &Facts<'_>) -> f64 {
    quota_factor(facts) * prior(facts)
}

fn meaning(facts: &Facts<'_>) -> Option<f64> {
    facts.score.meaning.filter(|meaning| meaning.is_finite()).map(|meaning| f64::from(meaning).clamp(0.0, 1.0))
}

const fn prior(facts: &Facts<'_>) -> f64 {
    let [least, most] = Prior::BOUNDS;
    if facts.score.prior.is_nan() { 1.0 } else { facts.score.prior.clamp(least, most) }
}

const fn left(quota: &QuotaView) -> f64 {
    if quota.left.is_nan() { 1.0 } else { quota.left.clamp(0.0, 1.0) }
}

fn quota_factor(facts: &Facts<'_>) -> f64 {
    facts.score.quota.map_or(1.0, |quota| (left(&quota) / ENOUGH_QUOTA).clamp(LEAST_QUOTA_FACTOR, 1.0))
}

/// To the millisecond: it is for people.
fn seconds(left: Duration) -> f64 {
    left.as_millis() as f64 / 1e3
}

/// 1 for the best, 0 for [`SPAN`] times as much and more, by logarithm in between.
fn relative(best: f64, own: f64) -> f64 {
    if own <= best {
        return 1.0;
    }
    if !own.is_finite() || best <= 0.0 {
        return 0.0;
    }
    (1.0 - (own / best).ln() / SPAN.ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_parts_fall_by_the_logarithm() {
        for (own, part) in [(1.0, 1.0), (0.5, 1.0), (10.0, 0.5), (100.0, 0.0), (1e9, 0.0), (f64::INFINITY, 0.0)] {
            assert!((relative(1.0, own) - part).abs() < 1e-12, "{own}");
        }
        assert!((relative(1.0, 2.0) - 0.85).abs() < 0.001);
        assert_eq!(relative(f64::INFINITY, f64::INFINITY), 1.0, "all are drained");
        assert_eq!(relative(1.0, f64::NAN), 0.0);
    }
}
