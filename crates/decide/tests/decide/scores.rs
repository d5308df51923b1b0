//! What `score` does, case by case.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{at, fine, flat, group, lines, millis, order, targets};
use fastrand::Rng;
use tradewind_core::{TargetId, Usd};
use tradewind_decide::{
    Affinity, BreakerView, CallFacts, Decision, Facts, Fits, Group, Member, QuotaView, Reason, ScoreFacts, ScoreParts,
    Scoring, Strategy, Weights, decide, decide_call,
};

/// A group of `count` that scores by these weights, without probes.
fn scored(count: usize, meaning: f64, load: f64, cost: f64) -> Group {
    let scoring = Scoring::new(meaning, load, cost).expect("weights that make sense");
    let mut group = flat(Strategy::Score, count).scoring(scoring);
    group.probe_share = 0.0;
    group
}

fn run(group: &Group, facts: &[Facts<'_>]) -> Decision {
    decide(group, facts, None, at(100), &mut Rng::with_seed(1))
}

fn call(group: &Group, facts: &[Facts<'_>], call: CallFacts<'_>) -> Decision {
    decide_call(group, facts, &call, at(100), &mut Rng::with_seed(1))
}

fn firsts(group: &Group, facts: &[Facts<'_>], rounds: usize) -> Vec<usize> {
    let mut random = Rng::with_seed(42);
    let mut counts = vec![0; facts.len()];
    for _ in 0..rounds {
        counts[decide(group, facts, None, at(100), &mut random).eligible()[0].leaf] += 1;
    }
    counts
}

/// Healthy targets with these fits by meaning and prices in microdollars.
fn known<'a>(targets: &'a [TargetId], known: &[(f32, u64)]) -> Vec<Facts<'a>> {
    let one = |(target, (meaning, price)): (&'a TargetId, &(f32, u64))| {
        let score = ScoreFacts {
            meaning: Some(*meaning),
            price: Some(Usd::from_pico(*price * 1_000_000)),
            ..ScoreFacts::default()
        };
        Facts { score, health: ttft(fine(target), 100).health, ..fine(target) }
    };
    targets.iter().zip(known).map(one).collect()
}

fn ttft(mut facts: Facts<'_>, of: u64) -> Facts<'_> {
    facts.health.ttft_ewma = millis(of);
    facts
}

fn parts(decision: &Decision, leaf: usize) -> ScoreParts {
    let candidate = decision.candidates.iter().find(|candidate| candidate.leaf == leaf).expect("it is a candidate");
    **candidate.parts.score.as_ref().expect("it was scored")
}

#[test]
fn each_part_decides_where_it_alone_counts() {
    let targets = targets(3);
    let mut facts = known(&targets, &[(0.9, 3000), (0.5, 100), (0.4, 1000)]);
    facts[0].in_flight = 9;
    facts[1].in_flight = 4;
    assert_eq!(order(&run(&scored(3, 1.0, 0.0, 0.0), &facts)), [0, 1, 2]);
    assert_eq!(order(&run(&scored(3, 0.0, 0.0, 1.0), &facts)), [1, 2, 0]);
    // Only load: two are drawn, so the best of all three wins two times in three and the worst never.
    let counts = firsts(&scored(3, 0.0, 1.0, 0.0), &facts, 6000);
    assert!(counts[0] == 0 && (3800..4200).contains(&counts[2]), "{counts:?}");

    let decision = run(&scored(3, 0.6, 0.25, 0.15), &facts);
    let all = [parts(&decision, 0), parts(&decision, 1), parts(&decision, 2)];
    assert!(all.iter().zip([0.9, 0.5, 0.4]).all(|(parts, meaning)| (parts.meaning - meaning).abs() < 1e-6));
    let logarithm = |times: f64| 1.0 - times.ln() / 100.0_f64.ln();
    for (parts, (load, cost)) in all.iter().zip([(13.0 / 4.0, 30.0), (8.0 / 4.0, 1.0), (1.0, 10.0)]) {
        assert!((parts.load - logarithm(load)).abs() < 1e-9 && (parts.cost - logarithm(cost)).abs() < 1e-9);
        let total = 0.6 * parts.meaning + 0.25 * parts.load + 0.15 * parts.cost;
        assert!((parts.total - total).abs() < 1e-9);
    }
    assert_eq!(lines(&decision)[0], "1 p/a the best score");
    assert_eq!(decision.eligible()[0].score, all[0].total);
}

#[test]
fn load_has_own_signals_then_quota_then_the_prior() {
    let targets = targets(2);
    let group = scored(2, 0.0, 1.0, 0.0);
    let base = || known(&targets, &[(0.5, 100), (0.5, 100)]);
    let mut slow = base();
    slow[0] = ttft(slow[0].clone(), 150);
    let mut failing = base();
    failing[0].health.error_factor = 2.0;
    let mut exhausted = base();
    exhausted[0].score.quota = Some(QuotaView { left: 0.1, resets_in: Duration::from_millis(4200) });
    let mut disliked = base();
    disliked[0].score.prior = 0.8;
    let mut others_liked = base();
    others_liked[1].score.prior = 1.2;
    for (name, facts) in [
        ("slow", slow),
        ("failing", failing),
        ("exhausted", exhausted.clone()),
        ("disliked", disliked),
        ("others liked", others_liked),
    ] {
        assert_eq!(firsts(&group, &facts, 50), [0, 50], "{name}");
        assert!(parts(&run(&group, &facts), 0).load < 1.0, "{name}");
    }
    let shown = parts(&run(&group, &exhausted), 0);
    assert_eq!((shown.quota_left, shown.quota_resets_s), (Some(0.1), Some(4.2)));
    // A quarter of the limit is enough, and a lying prior can do no more than its bounds.
    exhausted[0].score.quota = Some(QuotaView { left: 0.25, resets_in: Duration::from_secs(30) });
    assert_eq!(parts(&run(&group, &exhausted), 0).load, 1.0);
    let mut lying = base();
    lying[0].score.prior = 1e9;
    lying[1].health.ttft_ewma = millis(49);
    assert_eq!(firsts(&group, &lying, 50), [0, 50]);
}

#[test]
fn what_is_not_known_counts_for_nothing_and_is_said() {
    let targets = targets(3);
    let mut facts = known(&targets, &[(0.9, 1), (0.5, 1000), (0.0, 0)]);
    facts[2].score = ScoreFacts { meaning: Some(f32::NAN), price: None, ..ScoreFacts::default() };
    let decision = run(&scored(3, 0.5, 0.0, 0.5), &facts);
    let unknown = parts(&decision, 2);
    assert!((unknown.meaning - 0.7).abs() < 1e-6 && unknown.cost == 0.5, "{unknown:?}");
    assert!(unknown.meaning_assumed && unknown.cost_assumed && unknown.price.is_none());
    assert!(!parts(&decision, 0).meaning_assumed && !parts(&decision, 0).cost_assumed);
    // Nothing is known of anybody.
    let facts: Vec<_> = targets.iter().map(fine).collect();
    assert_eq!(parts(&run(&scored(3, 1.0, 0.0, 0.0), &facts), 1).meaning, 0.5);
}

#[test]
fn a_free_target_is_not_infinitely_cheap() {
    let targets = targets(3);
    let facts = known(&targets, &[(0.5, 0), (0.5, 1), (0.5, 10)]);
    let decision = run(&scored(3, 0.0, 0.0, 1.0), &facts);
    assert_eq!([0, 1, 2].map(|leaf| parts(&decision, leaf).cost), [1.0, 1.0, 0.5]);
}

#[test]
fn peers_of_the_best_share_by_load_and_others_do_not() {
    let targets = targets(4);
    // Three that fit alike, one that does not.
    let mut facts = known(&targets, &[(0.80, 100), (0.81, 100), (0.79, 100), (0.2, 100)]);
    let group = scored(4, 0.8, 0.2, 0.0);
    let counts = firsts(&group, &facts, 3000);
    assert!(counts[..3].iter().all(|count| *count > 800) && counts[3] == 0, "{counts:?}");
    for busy in 0..3 {
        facts[busy].in_flight = 5;
        let counts = firsts(&group, &facts, 300);
        assert_eq!((counts[busy], counts[3]), (0, 0), "{counts:?}");
        facts[busy].in_flight = 0;
    }
    // When all three are busy enough, the one that fits worse has the best total.
    facts[..3].iter_mut().for_each(|facts| facts.health.error_factor = 11.0);
    facts[..3].iter_mut().for_each(|facts| facts.in_flight = 50);
    assert_eq!(firsts(&scored(4, 0.2, 0.8, 0.0), &facts, 50), [0, 0, 0, 50]);
    let reasons: Vec<&str> = run(&group, &facts).eligible().iter().map(|candidate| candidate.reason.name()).collect();
    assert!(["best-score", "less-loaded-of-two"].contains(&reasons[0]), "{reasons:?}");
    assert!(reasons[1..].iter().all(|reason| *reason == "next-by-score"), "{reasons:?}");
}

#[test]
fn totals_that_hardly_differ_are_decided_by_chance() {
    let targets = targets(4);
    // By 0.03, which is more than peers differ by; by 0.05; by more than is looked at.
    let facts = known(&targets, &[(0.80, 100), (0.77, 100), (0.75, 100), (0.69, 100)]);
    let group = scored(4, 1.0, 0.0, 0.0);
    let counts = firsts(&group, &facts, 20_000);
    // exp(-3) and exp(-5) of the best's; the second and the third are peers, and share what both draw.
    let both = 1.0_f64 / (1.0 + (-3.0_f64).exp() + (-5.0_f64).exp());
    assert!((counts[0] as f64 / 20_000.0 - both).abs() < 0.01 && counts[3] == 0, "{counts:?}");
    let mut random = Rng::with_seed(1);
    let mut reasons =
        (0..1000).map(|_| decide(&group, &facts, None, at(100), &mut random).eligible()[0].reason.clone());
    assert!(reasons.any(|reason| reason == Reason::NearBest));
}

#[test]
fn only_those_that_load_keeps_from_the_first_place_are_probed() {
    let targets = targets(3);
    let mut facts = known(&targets, &[(0.9, 100), (0.8, 100), (0.1, 100)]);
    facts[0].in_flight = 30;
    let mut group = scored(3, 0.6, 0.4, 0.0);
    group.probe_share = 0.1;
    let counts = firsts(&group, &facts, 10_000);
    assert!((350..650).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
}

#[test]
fn the_weight_of_meaning_is_the_calls() {
    let targets = targets(2);
    let facts = known(&targets, &[(0.9, 10_000), (0.6, 100)]);
    let group = scored(2, 0.4, 0.2, 0.4);
    assert_eq!(order(&run(&group, &facts)), [1, 0]);
    let raised = CallFacts {
        weights: Some(&|scoring| scoring.weights.with_meaning(0.9)),
        complexity: Some(0.75),
        ..CallFacts::default()
    };
    let decision = call(&group, &facts, raised);
    assert_eq!(order(&decision), [0, 1]);
    let shown = parts(&decision, 0);
    assert_eq!((shown.weights, shown.complexity), (group.scoring.weights.with_meaning(0.9), Some(0.75)));
    assert_eq!(parts(&run(&group, &facts), 0).complexity, None);
}

#[test]
fn when_none_fits_the_default_leads_if_it_may() {
    let targets = targets(3);
    let mut facts = known(&targets, &[(0.9, 10_000), (0.2, 1000), (0.1, 100)]);
    let none = CallFacts { fits: Fits::None, ..CallFacts::default() };
    let group = scored(3, 0.9, 0.0, 0.1);
    assert_eq!(order(&call(&group, &facts, none)), [2, 1, 0], "by cost");
    let group = group.scoring(Scoring::new(0.9, 0.0, 0.1).unwrap().with_default(1));
    let decision = call(&group, &facts, none);
    assert_eq!(
        lines(&decision),
        ["1 p/b the default, since none fits by meaning", "2 p/c next by score", "3 p/a next by score"]
    );
    assert_eq!(parts(&decision, 0).weights.meaning(), 0.0);
    assert_eq!(order(&run(&group, &facts)), [0, 1, 2], "some fits");
    facts[1].saturated = true;
    let decision = call(&group, &facts, none);
    assert_eq!(lines(&decision)[2], "3 p/b all its permits are taken, so after the others");
    (facts[1].saturated, facts[1].unfit) = (false, Some("has no room for so long a prompt".into()));
    let decision = call(&group, &facts, none);
    assert_eq!(order(&decision), [2, 0]);
    assert_eq!(lines(&decision)[2], "- p/b has no room for so long a prompt");
}

#[test]
fn when_none_fits_calls_stay_together_unless_a_default_leads() {
    let targets = targets(4);
    let mut facts = known(&targets, &[(0.7, 100), (0.1, 100), (0.1, 100), (0.1, 100)]);
    let plain = scored(4, 0.6, 0.4, 0.0);
    let with_default = plain.clone().scoring(Scoring::new(0.6, 0.4, 0.0).unwrap().with_default(2));
    let first = |group: &Group, facts: &[Facts<'_>], key: u64| {
        let none = CallFacts { fits: Fits::None, affinity: Some(Affinity { key }), ..CallFacts::default() };
        let decision = decide_call(group, facts, &none, at(100), &mut Rng::new());
        (decision.eligible()[0].leaf, decision.eligible()[0].reason.clone())
    };
    let homes: Vec<usize> = (0..40).map(|key| first(&plain, &facts, key).0).collect();
    assert!((0..4).all(|leaf| homes.contains(&leaf)), "meaning counts nothing: {homes:?}");
    for (key, home) in homes.iter().enumerate() {
        for _ in 0..5 {
            assert_eq!(first(&plain, &facts, key as u64), (*home, Reason::Affinity), "session {key}");
        }
        assert_eq!(first(&with_default, &facts, key as u64), (2, Reason::DefaultNoneFits));
    }
    facts[2].unfit = Some("has no room for so long a prompt".into());
    for (key, home) in homes.iter().enumerate().filter(|(_, home)| **home != 2) {
        assert_eq!(first(&with_default, &facts, key as u64), (*home, Reason::Affinity), "the default may not answer");
    }
}

#[test]
fn a_settled_decision_leaves_nothing_to_chance() {
    let targets = targets(4);
    let mut facts = known(&targets, &[(0.80, 100), (0.81, 100), (0.81, 100), (0.1, 100)]);
    facts[1].health.slow_start = 0.1;
    facts[3].health.breaker = BreakerView::HalfOpen { free: true };
    let softmax = Scoring::new(1.0, 0.0, 0.0).unwrap().softmax(10.0).unwrap();
    let groups = [Scoring::new(1.0, 0.0, 0.0).unwrap(), softmax]
        .map(|scoring| Group { probe_share: 0.5, ..flat(Strategy::Score, 4).scoring(scoring) });
    let mut random = Rng::with_seed(9);
    for group in &groups {
        let mut chance = [0; 4];
        for _ in 0..200 {
            let settled = CallFacts { settled: true, ..CallFacts::default() };
            let decision = decide_call(group, &facts, &settled, at(100), &mut random);
            assert_eq!(lines(&decision)[0], "1 p/b the best score", "the first of equals");
            chance[decide_call(group, &facts, &CallFacts::default(), at(100), &mut random).eligible()[0].leaf] += 1;
        }
        assert!(chance.iter().all(|count| *count > 0), "{chance:?}");
    }
}

#[test]
fn affinity_keeps_calls_together_until_it_would_overload() {
    let targets = targets(5);
    let mut facts = known(&targets, &[(0.8, 100), (0.8, 100), (0.75, 100), (0.8, 100), (0.1, 100)]);
    let group = scored(5, 0.8, 0.2, 0.0);
    let of = |facts: &[Facts<'_>], key: u64| {
        let with = CallFacts { affinity: Some(Affinity { key }), ..CallFacts::default() };
        let mut random = Rng::with_seed(key);
        let decision = decide_call(&group, facts, &with, at(100), &mut random);
        assert_eq!(decision.eligible()[0].reason, Reason::Affinity);
        decision.eligible()[0].leaf
    };
    let before: Vec<usize> = (0..400).map(|key| of(&facts, key)).collect();
    for leaf in 0..4 {
        let share = before.iter().filter(|chosen| **chosen == leaf).count();
        assert!((70..130).contains(&share), "{leaf}: {share}");
    }
    assert!(!before.contains(&4), "it does not fit");
    // One goes: only its keys move. It comes back: they come back.
    facts[1].health.breaker = BreakerView::Open { until: at(200) };
    for (key, known) in before.iter().enumerate() {
        assert!(*known == 1 || of(&facts, key as u64) == *known);
    }
    facts[1].health.breaker = BreakerView::Closed;
    assert!(before.iter().enumerate().all(|(key, known)| of(&facts, key as u64) == *known));
    // 1.25 times its share of 21 calls by four members is 7.
    for (in_flight, stays) in [(6, true), (7, false)] {
        facts.iter_mut().for_each(|facts| facts.in_flight = 5);
        facts[0].in_flight = in_flight;
        facts[1].in_flight = 9 - in_flight.min(5);
        let key = before.iter().position(|chosen| *chosen == 0).expect("some key") as u64;
        assert_eq!(of(&facts, key) == 0, stays, "{in_flight}");
    }
}

#[test]
fn softmax_draws_by_the_exponential_of_the_totals() {
    let targets = targets(4);
    let mut facts = known(&targets, &[(0.9, 100), (0.8, 100), (0.5, 100), (0.95, 100)]);
    facts[3].health.breaker = BreakerView::Open { until: at(200) };
    let scoring = Scoring::new(1.0, 0.0, 0.0).unwrap();
    let group = flat(Strategy::Score, 4).scoring(scoring.softmax(0.1).unwrap());
    let counts = firsts(&group, &facts, 20_000);
    assert_eq!(counts[3], 0, "whoever is down is not drawn");
    let exponentials = [0.9_f64, 0.8, 0.5].map(|total| (total / 0.1).exp());
    let sum: f64 = exponentials.iter().sum();
    for (count, exponential) in counts.iter().zip(exponentials) {
        assert!((*count as f64 / 20_000.0 - exponential / sum).abs() < 0.015, "{counts:?}");
    }
    assert_eq!(run(&group, &facts).eligible()[0].reason, Reason::DrawnBySoftmax);
    // At the least temperature it is the best.
    let group = flat(Strategy::Score, 4).scoring(scoring.softmax(0.001).unwrap());
    assert_eq!(firsts(&group, &facts, 100), [100, 0, 0, 0]);
}

#[test]
fn a_target_that_comes_back_is_first_only_by_its_slow_start() {
    let targets = targets(3);
    let mut facts = known(&targets, &[(0.9, 100), (0.5, 100), (0.4, 100)]);
    facts[0].health.slow_start = 0.3;
    let counts = firsts(&scored(3, 1.0, 0.0, 0.0), &facts, 10_000);
    assert!((2800..3200).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
    // All at once: the best still leads.
    facts.iter_mut().for_each(|facts| facts.health.slow_start = 0.01);
    assert!(firsts(&scored(3, 1.0, 0.0, 0.0), &facts, 1000)[0] > 900);
}

#[test]
fn drained_members_come_last_whatever_their_score() {
    let targets = targets(3);
    let facts = known(&targets, &[(0.9, 100), (0.5, 100), (0.4, 100)]);
    let members = [0, 1, 1].iter().enumerate().map(|(leaf, weight)| Member::target(leaf).weighing(*weight));
    let mut group = group(Strategy::Score, members.collect()).scoring(Scoring::new(1.0, 0.0, 0.0).unwrap());
    group.probe_share = 0.5;
    assert_eq!(firsts(&group, &facts, 1000)[0], 0);
    assert_eq!(order(&run(&group, &facts))[2], 0);
}

#[test]
fn groups_that_score_can_be_nested() {
    let targets = targets(4);
    let facts = known(&targets, &[(0.3, 100), (0.6, 100), (0.5, 100), (0.9, 100)]);
    let inner = |leaves: &[usize], strategy| {
        let members = leaves.iter().map(|leaf| Member::target(*leaf)).collect();
        let mut inner = group(strategy, members).scoring(Scoring::new(1.0, 0.0, 0.0).unwrap());
        inner.probe_share = 0.0;
        Member::group(Arc::new(inner))
    };
    let outer = group(Strategy::Fallback, vec![inner(&[0, 1], Strategy::Score), Member::target(2)]);
    let decision = run(&outer, &facts);
    assert_eq!(
        lines(&decision),
        ["1 p/b the best score", "2 p/a next by score", "3 p/c its place in the file", "- p/d not selected"][..3]
    );
    assert_eq!(parts(&decision, 0).weights, Weights::new(1.0, 0.0, 0.0).unwrap());
    // A group stands for its first candidate, but everybody in it is scored.
    let mut outer = scored(0, 1.0, 0.0, 0.0);
    outer.members = vec![inner(&[0, 3], Strategy::Fallback), Member::target(2)];
    let decision = run(&outer, &facts);
    assert_eq!(order(&decision), [2, 0, 3]);
    assert!((parts(&decision, 3).total - 0.9).abs() < 1e-6);
}

#[test]
fn a_lone_survivor_is_the_only_one() {
    let targets = targets(2);
    let mut facts = known(&targets, &[(0.9, 100), (0.5, 100)]);
    facts[0].health.breaker = BreakerView::Open { until: at(200) };
    let decision = run(&scored(2, 0.6, 0.25, 0.15), &facts);
    assert_eq!(lines(&decision), ["1 p/b the only one that may answer", "- p/a breaker open for another 100s"]);
    assert!(decision.candidates[1].parts.score.is_none(), "who may not answer is not compared");
}
