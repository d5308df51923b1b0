//! From a group and the facts about its targets to a [`Decision`]: filter, waive ejections that would go too far, let the
//! strategies order what is left, write down why. How a strategy orders is in `strategy`.

use std::ptr;

use fastrand::Rng;
use smallvec::SmallVec;
use tradewind_core::Moment;

use crate::affinity::identity;
use crate::pick::{Contest, Who};
use crate::score::score;
use crate::strategy::{Costing, Entry, order};
use crate::{
    BreakerView, CallFacts, Candidate, Decision, Facts, Group, KeysView, MemberKind, Parts, Reason, ScoreParts,
    Strategy,
};

/// Orders the targets of `group` for one call.
///
/// `facts` is the caller's table of targets, in which the members of groups are numbers; each target appears at most
/// once in the answer, however often it is named, and a member that points outside the table is left out
/// ([`Group::check`] finds it beforehand). `selected` is the chosen member of a `select` group; absent or out of bounds
/// means its first. A `select` group inside `group` uses its first member: see [`decide_with`].
///
/// Never panics, whatever the facts. When open breakers, keys and fitness leave nobody, nobody is eligible; ejection
/// alone never takes away more than half of those that would be eligible without it.
pub fn decide(group: &Group, facts: &[Facts<'_>], selected: Option<usize>, now: Moment, random: &mut Rng) -> Decision {
    decide_with(group, facts, &|asked| if ptr::eq(asked, group) { selected } else { None }, now, random)
}

/// [`decide`] with a selection for each `select` group, nested ones included.
pub fn decide_with(
    group: &Group,
    facts: &[Facts<'_>],
    selected: &dyn Fn(&Group) -> Option<usize>,
    now: Moment,
    random: &mut Rng,
) -> Decision {
    decide_call(group, facts, &CallFacts { selected, ..CallFacts::default() }, now, random)
}

/// [`decide_with`] and what else the call brings along, for groups that score.
pub fn decide_call(
    group: &Group,
    facts: &[Facts<'_>],
    call: &CallFacts<'_>,
    now: Moment,
    random: &mut Rng,
) -> Decision {
    let mut table: Table = SmallVec::from_elem(Row::default(), facts.len());
    visit(group, true, 0, call.selected, &mut table);
    filter(facts, now, &mut table);
    let survivors = table.iter().zip(facts).filter(|(row, _)| row.may_be_ranked()).map(|(_, facts)| facts);
    let costing = Costing::over(survivors);
    let mut ranking =
        Ranking { facts, table: &table, call, costing, entries: SmallVec::new(), scores: Vec::new(), random };
    ranking.rank(group, group.strategy.compares_costs(), 0);
    let Ranking { entries, scores, .. } = ranking;
    write_down(group.strategy, facts, table, &entries, &scores)
}

/// What has been found out about each target of the table.
type Table = SmallVec<[Row; 8]>;

#[derive(Clone, Debug, Default)]
struct Row {
    /// Whether some group names it.
    named: bool,
    /// Whether it is named other than through an unselected member.
    selected: bool,
    weight: u32,
    /// Why it is not eligible.
    refusal: Option<Reason>,
    kept_though_ejected: bool,
    written: bool,
}

impl Row {
    const fn may_be_ranked(&self) -> bool {
        self.selected && self.refusal.is_none()
    }
}

/// Marks the targets that the group names.
fn visit(group: &Group, reachable: bool, depth: usize, selected: &dyn Fn(&Group) -> Option<usize>, table: &mut Table) {
    if depth >= Group::MAX_DEPTH {
        return;
    }
    let chosen = chosen_member(group, selected);
    for (index, member) in group.members.iter().enumerate() {
        let reachable = reachable && chosen.is_none_or(|chosen| chosen == index);
        match &member.kind {
            MemberKind::Group(inner) => visit(inner, reachable, depth + 1, selected, table),
            MemberKind::Target(leaf) => {
                let Some(row) = table.get_mut(*leaf) else { continue };
                if !row.named || (reachable && !row.selected) {
                    row.weight = member.weight;
                }
                row.named = true;
                row.selected |= reachable;
            }
        }
    }
}

/// The one member that a `select` group lets through; `None` for other groups, which let all through.
fn chosen_member(group: &Group, selected: &dyn Fn(&Group) -> Option<usize>) -> Option<usize> {
    if group.strategy != Strategy::Select {
        return None;
    }
    Some(selected(group).filter(|index| *index < group.members.len()).unwrap_or(0))
}

/// Finds out who is not eligible, and why.
fn filter(facts: &[Facts<'_>], now: Moment, table: &mut Table) {
    let mut remaining: usize = 0;
    let mut ejected: SmallVec<[(Moment, usize); 4]> = SmallVec::new();
    for (leaf, (row, facts)) in table.iter_mut().zip(facts).enumerate().filter(|(_, (row, _))| row.named) {
        row.refusal = if row.selected { refusal(facts, now) } else { Some(Reason::NotSelected) };
        if row.refusal.is_some() {
            continue;
        }
        remaining += 1;
        if let Some(until) = facts.health.ejected_until.filter(|until| now < *until) {
            ejected.push((until, leaf));
        }
    }
    // Those that come back last are the worst; the ejection of the others is waived once half are gone.
    ejected.sort_unstable_by(|a, b| b.cmp(a));
    for (count, (until, leaf)) in ejected.iter().enumerate() {
        if count < remaining / 2 {
            table[*leaf].refusal = Some(Reason::Ejected(until.since(now)));
        } else {
            table[*leaf].kept_though_ejected = true;
        }
    }
}

/// Why a target is not eligible, ejection aside.
fn refusal(facts: &Facts<'_>, now: Moment) -> Option<Reason> {
    if let Some(why) = &facts.unfit {
        return Some(Reason::Unfit(why.clone()));
    }
    match facts.keys {
        KeysView::Refused => return Some(Reason::KeysRefused),
        KeysView::CoolingUntil(until) if now < until => return Some(Reason::KeysCooling(until.since(now))),
        KeysView::CoolingUntil(_) | KeysView::Ready => {}
    }
    match facts.health.breaker {
        BreakerView::Open { until } if now < until => Some(Reason::BreakerOpen(until.since(now))),
        BreakerView::HalfOpen { free: false } => Some(Reason::TrialUnderWay),
        BreakerView::Open { .. } | BreakerView::HalfOpen { free: true } | BreakerView::Closed => None,
    }
}

struct Ranking<'a, 'f> {
    facts: &'a [Facts<'f>],
    table: &'a Table,
    call: &'a CallFacts<'a>,
    costing: Costing,
    entries: SmallVec<[Entry; 8]>,
    /// By leaf; empty as long as no group scores.
    scores: Vec<Option<ScoreParts>>,
    random: &'a mut Rng,
}

impl Ranking<'_, '_> {
    /// Appends the survivors of `group` in its order. `by_cost`: whether costs will be compared here or further out.
    fn rank(&mut self, group: &Group, by_cost: bool, depth: usize) {
        if depth >= Group::MAX_DEPTH {
            return;
        }
        let begin = self.entries.len();
        let mut members: SmallVec<[Entry; 8]> = SmallVec::new();
        let mut who: SmallVec<[Who; 8]> = SmallVec::new();
        let chosen = chosen_member(group, self.call.selected);
        for (index, member) in group.members.iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != index) {
                continue;
            }
            let start = self.entries.len();
            match &member.kind {
                MemberKind::Target(leaf) => {
                    let (Some(row), Some(facts)) = (self.table.get(*leaf), self.facts.get(*leaf)) else { continue };
                    if row.may_be_ranked() {
                        self.entries.push(self.costing.entry(*leaf, facts, member.weight, by_cost));
                    }
                }
                MemberKind::Group(inner) => {
                    let inner_by_cost = by_cost || inner.strategy.compares_costs();
                    self.rank(inner, inner_by_cost, depth + 1);
                }
            }
            // A group stands for its first candidate: that is the one that will get the call.
            if let Some(first) = self.entries.get(start) {
                members.push(self.costing.member(first, start..self.entries.len(), member));
                if group.strategy == Strategy::Score {
                    who.push(Who { index, identity: self.identity(&member.kind) });
                }
            }
        }
        if group.strategy == Strategy::Score {
            self.contest(group, begin, &mut members, &who);
        } else {
            order(group.strategy, group.probe_share, &mut members, self.random);
        }
        self.splice(begin, &members);
    }

    /// Scores the entries from `begin` on, and orders the members by that. Of a target that several groups score, the
    /// outermost has the last word.
    fn contest(&mut self, group: &Group, begin: usize, members: &mut [Entry], who: &[Who]) {
        self.scores.resize(self.facts.len(), None);
        score(&self.entries[begin..], self.facts, &self.costing, &group.scoring, self.call, &mut self.scores);
        let contest = Contest {
            scoring: group.scoring,
            probe_share: group.probe_share,
            facts: self.facts,
            call: self.call,
            scores: &self.scores,
        };
        contest.order(members, who, self.random);
    }

    /// The hash of a member's name, where affinity will ask for it.
    fn identity(&self, kind: &MemberKind) -> u64 {
        if self.call.affinity.is_none() {
            return 0;
        }
        match kind {
            MemberKind::Target(leaf) => {
                self.facts.get(*leaf).map_or(0, |facts| identity(facts.target.as_str().as_bytes()))
            }
            MemberKind::Group(group) => identity(group.name.as_str().as_bytes()),
        }
    }

    /// Puts the entries from `begin` on into the order of `members`, which tile them.
    fn splice(&mut self, begin: usize, members: &[Entry]) {
        let unordered: SmallVec<[Entry; 8]> = SmallVec::from_slice(&self.entries[begin..]);
        self.entries.truncate(begin);
        for member in members {
            let (start, end) = (member.start - begin, member.end - begin);
            let first = self.entries.len();
            self.entries.extend_from_slice(&unordered[start..end]);
            self.entries[first].decided_by(member);
            self.entries[first..].iter_mut().for_each(|entry| entry.share = member.share);
        }
    }
}

/// The decision in full: saturated candidates behind the others, each target once, then those not eligible.
fn write_down(
    strategy: Strategy,
    facts: &[Facts<'_>],
    mut table: Table,
    entries: &[Entry],
    scores: &[Option<ScoreParts>],
) -> Decision {
    let lowest = entries.iter().map(|entry| entry.cost).fold(f64::INFINITY, f64::min);
    let some_free = entries.iter().any(|entry| !entry.saturated);
    let mut candidates: SmallVec<[Candidate; 4]> =
        SmallVec::with_capacity(table.iter().filter(|row| row.named).count());
    for saturated in [false, true] {
        for entry in entries.iter().filter(|entry| entry.saturated == saturated) {
            let row = &mut table[entry.leaf];
            if row.written {
                continue;
            }
            row.written = true;
            let reason = if row.kept_though_ejected {
                Reason::KeptThoughEjected
            } else if saturated && some_free {
                Reason::Saturated
            } else {
                entry.reason()
            };
            let scored = scores.get(entry.leaf).copied().flatten();
            let score = match strategy {
                Strategy::Select | Strategy::Fallback => 1.0,
                Strategy::Weighted => entry.share,
                Strategy::LeastLatency if entry.cost > 0.0 && entry.cost.is_finite() => lowest / entry.cost,
                Strategy::LeastLatency => 0.0,
                Strategy::Score => scored.map_or(0.0, |parts| parts.total),
            };
            let facts = &facts[entry.leaf];
            let parts = Parts { score: scored.map(Box::new), ..parts(facts, entry.weight, entry.cost) };
            candidates.push(Candidate {
                leaf: entry.leaf,
                target: facts.target.clone(),
                rank: Some(u16::try_from(candidates.len() + 1).unwrap_or(u16::MAX)),
                score,
                parts,
                reason,
                eligible: true,
            });
        }
    }
    if let [only] = &mut candidates[..]
        && only.reason.compares()
    {
        only.reason = Reason::OnlyOne;
    }
    for (leaf, (row, facts)) in table.into_iter().zip(facts).enumerate() {
        if let Some(reason) = row.refusal {
            candidates.push(Candidate {
                leaf,
                target: facts.target.clone(),
                rank: None,
                score: 0.0,
                parts: parts(facts, row.weight, f64::INFINITY),
                reason,
                eligible: false,
            });
        }
    }
    Decision { candidates }
}

fn parts(facts: &Facts<'_>, weight: u32, cost: f64) -> Parts {
    let health = &facts.health;
    Parts {
        weight: Some(f64::from(weight)),
        in_flight: Some(f64::from(facts.in_flight)),
        first_token_ms: health.ttft_ewma.map(|ttft| ttft.as_micros() as f64 / 1e3),
        error_rate: (health.error_rate > 0.0).then_some(health.error_rate),
        slow_start: (health.slow_start < 1.0).then_some(health.slow_start),
        cost: cost.is_finite().then_some(cost),
        score: None,
    }
}
