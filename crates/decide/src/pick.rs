//! How `score` puts the scored members of one group in order. The scores themselves are in `score`.
//!
//! Taking the highest total alone would herd: the totals of equal targets differ only by load, which is always a little
//! old, and every gateway would find the same one to be the best. So the best total decides only *what kind* of target
//! answers. Among its peers, those that are as good in all but load, the less loaded of two drawn at random is taken, by
//! the cost that `least-latency` compares. Where only load counts, all are peers, and `score` is power-of-two-choices.
//!
//! The kind is not quite that of the best total either, or all calls would change from one kind to another at once: totals
//! that differ by a hundredth or so are decided by chance. A band as wide as load swings was refused: it would leave to
//! chance what meaning and price are to decide.

use fastrand::Rng;
use smallvec::SmallVec;

use crate::affinity::{Contender, chosen};
use crate::score::{ScoreParts, load_cost};
use crate::strategy::{Entry, Why, class, put_trial_first};
use crate::{CallFacts, Facts, Fits, Mode, Scoring, Weights};

/// Members whose weighted parts of meaning and cost differ by at most this are as good as each other in all but load.
const PEERS: f64 = 0.02;

/// Totals are compared with noise of this temperature: of two that differ by 0.01 the better is taken 73 times of 100, by
/// 0.05 99.3 times.
const NOISE: f64 = 0.01;

/// A total that is this much behind the best is not compared at all: its chance would be one in twenty thousand.
const OUT_OF_REACH: f64 = 10.0 * NOISE;

/// Affinity chooses among members that are, meaning and cost weighted, at most this worse than the best: the questions of
/// one session differ, and so do their scores.
const AFFINITY_BAND: f64 = 0.1;

/// What is known of a member before it is put in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// Its place in the group.
    pub(crate) index: usize,
    /// The hash of its name; looked at only when the call has an affinity.
    pub(crate) identity: u64,
}

/// A group that scores a call.
pub(crate) struct Contest<'a, 'f> {
    pub(crate) scoring: Scoring,
    pub(crate) probe_share: f64,
    pub(crate) facts: &'a [Facts<'f>],
    pub(crate) call: &'a CallFacts<'a>,
    /// The parts by leaf.
    pub(crate) scores: &'a [Option<ScoreParts>],
}

impl Contest<'_, '_> {
    /// Puts the members in order and notes why each stands where it stands. A member that is a group stands for its first
    /// candidate. `who` is parallel to `members`.
    pub(crate) fn order(&self, members: &mut [Entry], who: &[Who], random: &mut Rng) {
        let mut weights = Weights::default();
        for member in members.iter_mut() {
            let Some(parts) = self.scores.get(member.leaf).copied().flatten() else { continue };
            weights = parts.weights;
            member.why = Why::NextByScore;
            member.share = parts.total;
            member.preference = parts.preference();
            member.cost = load_cost(member, &self.facts[member.leaf]);
            // A target that comes back gets its share of the calls, whatever the weight of load is.
            let held_back = !self.call.settled && member.slow_start < 1.0 && random.f64() >= member.slow_start;
            if held_back || member.weight == 0 {
                member.cost = f64::INFINITY;
            }
        }
        let leader = self.leader(members, who).map(|(place, why)| (members[place].start, why));
        members.sort_unstable_by(|a, b| {
            class(a)
                .cmp(&class(b))
                .then(a.cost.is_infinite().cmp(&b.cost.is_infinite()))
                .then(b.share.total_cmp(&a.share))
                .then(a.cost.total_cmp(&b.cost))
        });
        if !self.call.settled && put_trial_first(members, random) {
            return;
        }
        if let Some((start, why)) = leader
            && let Some(place) = members.iter().position(|member| member.start == start)
        {
            members[place].why = why;
            members[..=place].rotate_right(1);
            return;
        }
        let Some(best) = members.first().copied() else { return };
        // Drained members and those that slow start holds back have an infinite cost and are the last of their class.
        let pool = members.iter().take_while(|other| class(other) == class(&best) && other.cost.is_finite()).count();
        if self.call.settled {
            return take_the_very_best(&mut members[..pool.max(1)]);
        }
        match self.scoring.mode {
            Mode::Best => self.take_best(members, pool, weights.load(), random),
            Mode::Softmax { temperature } => draw_by_softmax(&mut members[..pool], temperature, random),
        }
    }

    /// The member that has not to win the contest: the default when none fits, else the one that affinity leads to. The
    /// default comes first: a call that fits nowhere is what it is there for, whatever session it belongs to.
    fn leader(&self, members: &[Entry], who: &[Who]) -> Option<(usize, Why)> {
        let may_lead = |member: &Entry| class(member) == 0;
        if self.call.fits == Fits::None {
            let default = self.scoring.default.and_then(|default| who.iter().position(|who| who.index == default));
            if let Some(place) = default.filter(|place| may_lead(&members[*place])) {
                return Some((place, Why::DefaultNoneFits));
            }
        }
        let affinity = self.call.affinity?;
        let may_lead = |member: &Entry| may_lead(member) && member.cost.is_finite();
        let able = || members.iter().zip(who).enumerate().filter(|(_, (member, _))| may_lead(member));
        let most = able().map(|(_, (member, _))| member.preference).fold(0.0, f64::max);
        let mut places: SmallVec<[usize; 16]> = SmallVec::new();
        let mut contenders: SmallVec<[Contender; 16]> = SmallVec::new();
        for (place, (member, who)) in able().filter(|(_, (member, _))| member.preference >= most - AFFINITY_BAND) {
            let in_flight = self.facts[member.leaf].in_flight;
            places.push(place);
            contenders.push(Contender { identity: who.identity, weight: member.weight, in_flight });
        }
        chosen(affinity, &contenders).map(|place| (places[place], Why::Affinity))
    }

    /// Moves the less loaded of two peers of the best to the front, or now and then one that only its load keeps from
    /// being the best, so that what is known about its load does not grow stale.
    fn take_best(&self, members: &mut [Entry], pool: usize, load_weight: f64, random: &mut Rng) {
        let Some(best) = members.first().copied() else { return };
        let mut places: SmallVec<[usize; 32]> = SmallVec::new();
        let first = if pool > 1 && random.f64() < self.probe_share {
            places.extend((0..pool).filter(|place| members[*place].preference + load_weight >= best.share));
            let drawn = places.get(random.usize(..places.len().max(1))).copied().unwrap_or(0);
            members[drawn].why = Why::Probe;
            drawn
        } else {
            let kind = about_the_best(&members[..pool], random);
            let is_peer = |of: f64, place: usize| (members[place].preference - of).abs() <= PEERS;
            places.extend((0..pool).filter(|place| is_peer(kind, *place)));
            let drawn = less_loaded_of_two(members, &places, random);
            members[drawn].why = match drawn {
                0 => Why::BestScore,
                _ if is_peer(best.preference, drawn) => Why::LessLoadedOfTwo,
                _ => Why::NearBest,
            };
            drawn
        };
        members[..=first].rotate_right(1);
    }
}

/// Moves the highest total to the front, the first of the file among equals.
fn take_the_very_best(pool: &mut [Entry]) {
    let highest = pool[0].share;
    let equal = pool.iter().enumerate().take_while(|(_, member)| member.share >= highest);
    let place = equal.min_by_key(|(_, member)| member.start).map_or(0, |(place, _)| place);
    pool[place].why = Why::BestScore;
    pool[..=place].rotate_right(1);
}

/// What the best total of a pool has beside load, or one that is nearly the best; 0 of an empty pool.
fn about_the_best(pool: &[Entry], random: &mut Rng) -> f64 {
    let Some(best) = pool.first() else { return 0.0 };
    let mut kind = (f64::NEG_INFINITY, best.preference);
    // In the order of their totals.
    for member in pool.iter().take_while(|member| member.share >= best.share - OUT_OF_REACH) {
        let key = member.share / NOISE + gumbel(random);
        if key > kind.0 {
            kind = (key, member.preference);
        }
    }
    kind.1
}

/// The noise with which the highest of keys is a draw by their exponentials.
fn gumbel(random: &mut Rng) -> f64 {
    -(-(1.0 - random.f64()).ln()).max(f64::MIN_POSITIVE).ln()
}

/// The less loaded of two of `places`, drawn at random by weight; the first member where there are none.
fn less_loaded_of_two(members: &[Entry], places: &[usize], random: &mut Rng) -> usize {
    if places.len() < 2 {
        return places.first().copied().unwrap_or(0);
    }
    let one = draw(members, places, None, random);
    let other = draw(members, places, Some(one), random);
    if members[other].cost < members[one].cost { other } else { one }
}

/// One of `places`, not `but`, by weight.
fn draw(members: &[Entry], places: &[usize], but: Option<usize>, random: &mut Rng) -> usize {
    let others = || places.iter().copied().filter(|place| Some(*place) != but);
    let total: u64 = others().map(|place| u64::from(members[place].weight)).sum();
    let mut left = if total > 0 { random.u64(..total) } else { 0 };
    for place in others() {
        let weight = u64::from(members[place].weight);
        if left < weight {
            return place;
        }
        left -= weight;
    }
    but.unwrap_or(0)
}

/// Order by total / temperature plus noise of Gumbel's distribution: the first is drawn by exp(total / temperature), the
/// second likewise among the others, and so on (Kool, van Hoof and Welling 2019). No exponential is ever taken, so that no
/// temperature can make it overflow.
fn draw_by_softmax(pool: &mut [Entry], temperature: f64, random: &mut Rng) {
    let [lowest, highest] = Scoring::TEMPERATURES;
    let temperature = if temperature.is_nan() { highest } else { temperature.clamp(lowest, highest) };
    for member in pool.iter_mut() {
        member.key = member.share / temperature + gumbel(random);
        member.why = Why::DrawnBySoftmax;
    }
    pool.sort_unstable_by(|a, b| b.key.total_cmp(&a.key));
}
