//! How each strategy orders the members of one group. Knows nothing of eligibility: all members here may be tried.
//!
//! `least-latency` is power-of-two-choices over a cost. Refused: taking the cheapest of all, which herds when the
//! measurements are a little old, and least-in-flight, which feeds a target that fails fast.

use std::ops::Range;

use fastrand::Rng;
use smallvec::SmallVec;

use crate::{BreakerView, Facts, Member, Reason, Strategy};

/// The share of calls that try a half-open target first, where others could answer. The breaker lets one such call
/// through at a time, so this bounds how long recovery takes to be noticed, not how much traffic is risked.
const TRIAL_SHARE: f64 = 0.1;

/// Seconds to first token assumed where nothing at all was measured; only ratios matter then.
const UNKNOWN_SECONDS: f64 = 1.0;

/// The least time to first token that is told apart: below it, load decides.
const LEAST_SECONDS: f64 = 1e-6;

/// Calls under way that are no load yet, for `score`: targets work on several at once. Without it a busy target would
/// look ten times worse than an idle one long before anybody has to wait.
const FREE_CALLS: f64 = 4.0;

/// A target, or a member of a group that stands for a range of already ordered targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) leaf: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) weight: u32,
    /// Cost of the (first) target; infinite when nobody asked, or for weight 0.
    pub(crate) cost: f64,
    /// Share of the group's weight, for `weighted`; total, for `score`.
    pub(crate) share: f64,
    pub(crate) saturated: bool,
    pub(crate) half_open: bool,
    pub(crate) slow_start: f64,
    pub(crate) why: Why,
    /// What a random order is sorted by.
    pub(crate) key: f64,
    /// What a score has beside load, for `score`.
    pub(crate) preference: f64,
}

/// The part of [`Reason`] that ordering can give; `Copy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    Selected,
    InOrder,
    Drawn,
    CheaperOfTwo,
    NextByCost,
    Probe,
    Trial,
    BestScore,
    LessLoadedOfTwo,
    NearBest,
    NextByScore,
    DrawnBySoftmax,
    Affinity,
    DefaultNoneFits,
}

impl Entry {
    pub(crate) const fn reason(&self) -> Reason {
        match self.why {
            Why::Selected => Reason::Selected,
            Why::InOrder => Reason::InOrder,
            Why::Drawn => Reason::Drawn,
            Why::CheaperOfTwo => Reason::CheaperOfTwo,
            Why::NextByCost => Reason::NextByCost,
            Why::Probe => Reason::Probe,
            Why::Trial => Reason::Trial,
            Why::BestScore => Reason::BestScore,
            Why::LessLoadedOfTwo => Reason::LessLoadedOfTwo,
            Why::NearBest => Reason::NearBest,
            Why::NextByScore => Reason::NextByScore,
            Why::DrawnBySoftmax => Reason::DrawnBySoftmax,
            Why::Affinity => Reason::Affinity,
            Why::DefaultNoneFits => Reason::DefaultNoneFits,
        }
    }

    /// Takes over why the group around it put it here, unless that group only followed its file and the group that it
    /// is in has more to say.
    pub(crate) fn decided_by(&mut self, member: &Self) {
        if member.why == Why::InOrder || (member.why == Why::Selected && self.why != Why::InOrder) {
            return;
        }
        self.why = member.why;
    }
}

/// What costs are measured against: the typical call and the typical latency among the survivors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costing {
    /// Tokens of a typical call under way; `None` when no tokens are known.
    tokens_a_call: Option<f64>,
    /// Median seconds to first token of those that were measured. A target without measurements is taken as typical:
    /// it gets tried, and its own calls in flight keep it from being stampeded.
    typical_seconds: f64,
}

impl Costing {
    pub(crate) fn over<'a, 'f: 'a>(survivors: impl Iterator<Item = &'a Facts<'f>>) -> Self {
        let (mut tokens, mut calls) = (0.0, 0.0);
        let mut known: SmallVec<[f64; 16]> = SmallVec::new();
        let mut some_unknown = false;
        for facts in survivors {
            if facts.tokens_in_flight > 0 {
                tokens += facts.tokens_in_flight as f64;
                calls += f64::from(facts.in_flight.max(1));
            }
            match facts.health.ttft_ewma {
                Some(ttft) => known.push(ttft.as_secs_f64()),
                None => some_unknown = true,
            }
        }
        let typical_seconds = if some_unknown && !known.is_empty() {
            let middle = (known.len() - 1) / 2;
            *known.select_nth_unstable_by(middle, f64::total_cmp).1
        } else {
            UNKNOWN_SECONDS
        };
        Self { tokens_a_call: (calls > 0.0).then(|| tokens / calls), typical_seconds }
    }

    pub(crate) fn entry(&self, leaf: usize, facts: &Facts<'_>, weight: u32, by_cost: bool) -> Entry {
        let slow_start = if facts.health.slow_start.is_nan() { 1.0 } else { facts.health.slow_start.clamp(0.01, 1.0) };
        Entry {
            leaf,
            start: 0,
            end: 0,
            weight,
            cost: if by_cost { self.cost(facts, weight, slow_start) } else { f64::INFINITY },
            share: 0.0,
            saturated: facts.saturated,
            half_open: facts.health.breaker != BreakerView::Closed,
            slow_start,
            why: Why::InOrder,
            key: 0.0,
            preference: 0.0,
        }
    }

    /// The member that stands for `range`, whose first candidate is `first`.
    pub(crate) const fn member(&self, first: &Entry, range: Range<usize>, member: &Member) -> Entry {
        Entry { start: range.start, end: range.end, weight: member.weight, ..*first }
    }

    /// Load by weight × seconds to first token × error factor / slow start. Load is in typical calls, the one to come
    /// included, counted in tokens where they are known: one long prompt is not one short question.
    fn cost(&self, facts: &Facts<'_>, weight: u32, slow_start: f64) -> f64 {
        if weight == 0 {
            return f64::INFINITY;
        }
        let seconds = facts.health.ttft_ewma.map_or(self.typical_seconds, |ttft| ttft.as_secs_f64());
        (1.0 + self.under_way(facts)) / f64::from(weight) * seconds.max(LEAST_SECONDS) * error_factor(facts)
            / slow_start
    }

    /// The same in the long run, for comparing targets of different kinds: by the mean time to first token, and with
    /// [`FREE_CALLS`]. Slow start is left out.
    pub(crate) fn standing(&self, facts: &Facts<'_>, weight: u32) -> f64 {
        if weight == 0 {
            return f64::INFINITY;
        }
        let measured = facts.health.ttft_mean.or(facts.health.ttft_ewma);
        let seconds = measured.map_or(self.typical_seconds, |ttft| ttft.as_secs_f64());
        (FREE_CALLS + self.under_way(facts)) / f64::from(weight) * seconds.max(LEAST_SECONDS) * error_factor(facts)
    }

    /// Calls under way, in typical ones.
    fn under_way(&self, facts: &Facts<'_>) -> f64 {
        match self.tokens_a_call {
            Some(typical) if facts.tokens_in_flight > 0 => facts.tokens_in_flight as f64 / typical,
            _ => f64::from(facts.in_flight),
        }
    }
}

const fn error_factor(facts: &Facts<'_>) -> f64 {
    if facts.health.error_factor.is_finite() { facts.health.error_factor.max(1.0) } else { 1e3 }
}

/// Puts the members of one group in order and notes why each stands where it stands. `score` has more to look at, and its
/// own way to do it in `pick`.
pub(crate) fn order(strategy: Strategy, probe_share: f64, members: &mut [Entry], random: &mut Rng) {
    match strategy {
        Strategy::Select => members.iter_mut().for_each(|member| member.why = Why::Selected),
        Strategy::Fallback => members.iter_mut().for_each(|member| member.why = Why::InOrder),
        Strategy::Weighted => by_weight(members, random),
        Strategy::LeastLatency => by_cost(probe_share, members, random),
        Strategy::Score => {}
    }
    // `weighted` and `least-latency` have judged half-open members already; here they keep their place.
    if matches!(strategy, Strategy::Select | Strategy::Fallback) {
        members.iter_mut().filter(|member| member.half_open).for_each(|member| member.why = Why::Trial);
    }
}

/// Weighted random order without replacement: ascending -ln(u)/w (Efraimidis and Spirakis 2006).
fn by_weight(members: &mut [Entry], random: &mut Rng) {
    let total: f64 = members.iter().map(|member| f64::from(member.weight) * member.slow_start).sum();
    for member in members.iter_mut() {
        let weight = f64::from(member.weight) * member.slow_start;
        member.share = if total > 0.0 { weight / total } else { 0.0 };
        member.why = Why::Drawn;
        member.key = if weight > 0.0 { -(1.0 - random.f64()).ln() / weight } else { f64::INFINITY };
    }
    members.sort_unstable_by(|a, b| class(a).cmp(&class(b)).then(a.key.total_cmp(&b.key)));
    put_trial_first(members, random);
}

fn by_cost(probe_share: f64, members: &mut [Entry], random: &mut Rng) {
    members.iter_mut().for_each(|member| member.why = Why::NextByCost);
    members.sort_unstable_by(|a, b| class(a).cmp(&class(b)).then(a.cost.total_cmp(&b.cost)));
    if put_trial_first(members, random) {
        return;
    }
    let Some(best) = members.first() else { return };
    // Drained members (weight 0) have an infinite cost, so they are the last of their class.
    let pool = members.iter().take_while(|other| class(other) == class(best) && other.weight > 0).count();
    let first = match pool {
        0 | 1 => 0,
        _ if random.f64() < probe_share => {
            let drawn = random.usize(..pool);
            members[drawn].why = Why::Probe;
            drawn
        }
        _ => {
            let one = draw(&members[..pool], None, random);
            let other = draw(&members[..pool], Some(one), random);
            // Sorted by cost already; of two that cost the same, the one drawn first.
            let drawn = if members[other].cost < members[one].cost { other } else { one };
            members[drawn].why = Why::CheaperOfTwo;
            drawn
        }
    };
    members[..=first].rotate_right(1);
}

/// Free members first, then half-open ones, then those whose permits are taken.
pub(crate) const fn class(member: &Entry) -> u8 {
    match (member.saturated, member.half_open) {
        (false, false) => 0,
        (false, true) => 1,
        (true, false) => 2,
        (true, true) => 3,
    }
}

/// Now and then moves one half-open member to the front, always when there are only such; returns whether it did.
pub(crate) fn put_trial_first(members: &mut [Entry], random: &mut Rng) -> bool {
    let healthy = members.iter().take_while(|member| class(member) == 0).count();
    let half_open = members[healthy..].iter().take_while(|member| class(member) == 1).count();
    for member in &mut members[healthy..] {
        if member.half_open {
            member.why = Why::Trial;
        }
    }
    if half_open == 0 || (healthy > 0 && random.f64() >= TRIAL_SHARE) {
        return false;
    }
    members[..=healthy + random.usize(..half_open)].rotate_right(1);
    true
}

/// A member at random by weight, other than `but`.
fn draw(members: &[Entry], but: Option<usize>, random: &mut Rng) -> usize {
    let others = || members.iter().enumerate().filter(|(index, _)| Some(*index) != but);
    let total: u64 = others().map(|(_, member)| u64::from(member.weight)).sum();
    let mut left = if total > 0 { random.u64(..total) } else { 0 };
    for (index, member) in others() {
        if left < u64::from(member.weight) {
            return index;
        }
        left -= u64::from(member.weight);
    }
    but.unwrap_or(0)
}
