//! What each strategy does, case by case.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{at, fine, flat, group, lines, millis, order, targets};
use fastrand::Rng;
use tradewind_decide::{BreakerView, Decision, Facts, Group, KeysView, Member, Reason, Strategy, decide, decide_with};

fn run(group: &Group, facts: &[Facts<'_>]) -> Decision {
    decide(group, facts, None, at(100), &mut Rng::with_seed(1))
}

/// How often each leaf comes first in `rounds` decisions.
fn firsts(group: &Group, facts: &[Facts<'_>], rounds: usize) -> Vec<usize> {
    let mut random = Rng::with_seed(42);
    let mut counts = vec![0; facts.len()];
    for _ in 0..rounds {
        let decision = decide(group, facts, None, at(100), &mut random);
        counts[decision.eligible()[0].leaf] += 1;
    }
    counts
}

#[test]
fn select_takes_the_selected_and_never_falls_back() {
    let targets = targets(3);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    let group = flat(Strategy::Select, 3);
    let choose = |facts: &[Facts<'_>], selected| decide(&group, facts, selected, at(100), &mut Rng::with_seed(1));

    assert_eq!(lines(&choose(&facts, Some(1))), ["1 p/b selected", "- p/a not selected", "- p/c not selected"]);
    assert_eq!(order(&choose(&facts, None)), [0]);
    assert_eq!(order(&choose(&facts, Some(3))), [0], "a selection that no longer exists");

    facts[1].health.breaker = BreakerView::Open { until: at(104) };
    let decision = choose(&facts, Some(1));
    assert_eq!(lines(&decision), ["- p/a not selected", "- p/b breaker open for another 4s", "- p/c not selected"]);
    assert_eq!(decision.retry_after(), Some(Duration::from_secs(4)));
}

#[test]
fn select_ignores_an_ejection_of_its_only_choice() {
    let targets = targets(2);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    facts[0].health.ejected_until = Some(at(110));
    let decision = run(&flat(Strategy::Select, 2), &facts);
    assert_eq!(decision.eligible()[0].reason, Reason::KeptThoughEjected);
}

#[test]
fn fallback_keeps_the_order_of_the_file() {
    let targets = targets(7);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    facts[0].health.breaker = BreakerView::HalfOpen { free: true };
    facts[1].unfit = Some("speaks anthropic".into());
    facts[2].saturated = true;
    facts[3].keys = KeysView::CoolingUntil(at(112));
    facts[5].health.breaker = BreakerView::HalfOpen { free: false };
    facts[6].keys = KeysView::Refused;
    let expected = [
        "1 p/a recovering: one trial call",
        "2 p/e its place in the file",
        "3 p/c all its permits are taken, so after the others",
        "- p/b speaks anthropic",
        "- p/d rate limited for another 12s",
        "- p/f recovering: its trial call is under way",
        "- p/g the provider refuses every key",
    ];
    assert_eq!(lines(&run(&flat(Strategy::Fallback, 7), &facts)), expected);
}

#[test]
fn what_is_over_no_longer_counts() {
    let targets = targets(3);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    facts[0].health.breaker = BreakerView::Open { until: at(100) };
    facts[1].keys = KeysView::CoolingUntil(at(100));
    facts[2].health.ejected_until = Some(at(100));
    let decision = run(&flat(Strategy::Fallback, 3), &facts);
    assert_eq!(
        lines(&decision),
        ["1 p/a recovering: one trial call", "2 p/b its place in the file", "3 p/c its place in the file"]
    );
}

#[test]
fn nobody_left_means_nobody() {
    let targets = targets(3);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    facts[0].health.breaker = BreakerView::Open { until: at(120) };
    facts[1].keys = KeysView::CoolingUntil(at(103));
    facts[2].keys = KeysView::Refused;
    for strategy in [Strategy::Fallback, Strategy::Weighted, Strategy::LeastLatency] {
        let decision = run(&flat(strategy, 3), &facts);
        assert!(decision.eligible().is_empty());
        assert_eq!(decision.candidates.len(), 3);
        assert_eq!(decision.retry_after(), Some(Duration::from_secs(3)));
    }
    assert_eq!(run(&flat(Strategy::Fallback, 0), &[]).candidates.len(), 0);
}

#[test]
fn ejection_takes_away_half_at_most() {
    let targets = targets(5);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    for (leaf, until) in [(0, 130), (1, 110), (2, 150), (3, 120)] {
        facts[leaf].health.ejected_until = Some(at(until));
    }
    let kept = "an outlier, kept because at most half of a group is ejected";
    assert_eq!(
        lines(&run(&flat(Strategy::Fallback, 5), &facts)),
        [
            &format!("1 p/b {kept}"),
            &format!("2 p/d {kept}"),
            "3 p/e its place in the file",
            "- p/a ejected as an outlier for another 30s",
            "- p/c ejected as an outlier for another 50s",
        ]
    );
    // Those that are out for other reasons are not what ejection may halve.
    facts[4].health.breaker = BreakerView::Open { until: at(200) };
    facts[3].keys = KeysView::Refused;
    assert_eq!(order(&run(&flat(Strategy::Fallback, 5), &facts)), [0, 1]);
}

#[test]
fn weighted_shares_follow_the_weights() {
    let targets = targets(4);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    let members = [6, 3, 1, 0].iter().enumerate().map(|(leaf, weight)| Member::target(leaf).weighing(*weight));
    let group = group(Strategy::Weighted, members.collect());
    let counts = firsts(&group, &facts, 20_000);
    for (count, share) in counts.iter().zip([0.6, 0.3, 0.1, 0.0]) {
        assert!((*count as f64 / 20_000.0 - share).abs() < 0.015, "{counts:?}");
    }
    assert_eq!(order(&run(&group, &facts))[3], 3, "a drained member is still the last resort");
    // Slow start leaves a tenth of the first one's weight: 0.6 of 4.6.
    facts[0].health.slow_start = 0.1;
    let counts = firsts(&group, &facts, 20_000);
    assert!((counts[0] as f64 / 20_000.0 - 0.6 / 4.6).abs() < 0.015, "{counts:?}");
}

#[test]
fn second_places_follow_the_weights_too() {
    let targets = targets(3);
    let facts: Vec<_> = targets.iter().map(fine).collect();
    let members = [6, 3, 1].iter().enumerate().map(|(leaf, weight)| Member::target(leaf).weighing(*weight));
    let group = group(Strategy::Weighted, members.collect());
    let mut random = Rng::with_seed(5);
    let (mut first, mut then_second) = (0, 0);
    for _ in 0..20_000 {
        let order = order(&decide(&group, &facts, None, at(100), &mut random));
        first += usize::from(order[0] == 0);
        then_second += usize::from(order[..2] == [0, 1]);
    }
    assert!((f64::from(then_second as u32) / f64::from(first as u32) - 0.75).abs() < 0.02);
}

#[test]
fn a_recovering_target_is_tried_first_only_now_and_then() {
    let targets = targets(4);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    facts[1].health.breaker = BreakerView::HalfOpen { free: true };
    facts[2].health.breaker = BreakerView::HalfOpen { free: true };
    facts[3].saturated = true;
    for strategy in [Strategy::Weighted, Strategy::LeastLatency] {
        let group = flat(strategy, 4);
        let counts = firsts(&group, &facts, 10_000);
        assert!((800..1200).contains(&(counts[1] + counts[2])), "{strategy}: {counts:?}");
        assert!(counts[1] > 300 && counts[2] > 300, "{strategy}: {counts:?}");
        assert_eq!(counts[3], 0, "{strategy}");
        let only_recovering = &facts[1..3];
        let decision = run(&flat(strategy, 2), only_recovering);
        assert_eq!(decision.eligible()[0].reason, Reason::Trial);
    }
}

#[test]
fn least_latency_compares_load_latency_errors_and_weight() {
    let targets = targets(2);
    let base = || {
        let mut facts: Vec<_> = targets.iter().map(fine).collect();
        for fact in &mut facts {
            fact.health.ttft_ewma = millis(100);
            fact.in_flight = 3;
        }
        facts
    };
    let mut group = flat(Strategy::LeastLatency, 2);
    group.probe_share = 0.0;
    let mut slow = base();
    slow[0].health.ttft_ewma = millis(110);
    let mut busy = base();
    busy[0].in_flight = 4;
    let mut long = base();
    (long[0].tokens_in_flight, long[1].tokens_in_flight) = (9000, 3000);
    let mut failing = base();
    failing[0].health.error_factor = 1.3;
    let mut starting = base();
    starting[0].health.slow_start = 0.5;
    for (name, facts) in [("slow", slow), ("busy", busy), ("long", long), ("failing", failing), ("starting", starting)]
    {
        assert_eq!(firsts(&group, &facts, 50), [0, 50], "{name}");
        let decision = run(&group, &facts);
        let [best, next] = decision.eligible() else { panic!("two candidates") };
        assert!(best.score == 1.0 && next.score < 1.0 && best.parts.cost < next.parts.cost, "{name}");
        assert_eq!((&best.reason, &next.reason), (&Reason::CheaperOfTwo, &Reason::NextByCost));
    }
    group.members[0].weight = 3;
    assert_eq!(firsts(&group, &base(), 50), [50, 0], "weight");
}

#[test]
fn least_latency_draws_two_and_probes() {
    let targets = targets(4);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    for (leaf, fact) in facts.iter_mut().enumerate() {
        fact.health.ttft_ewma = millis(100 * (leaf as u64 + 1));
    }
    let mut group = flat(Strategy::LeastLatency, 4);
    // Without probes the costliest never wins, the others by 3, 2 and 1 of 6 pairs; probes add 2 % evenly.
    group.probe_share = 0.0;
    let counts = firsts(&group, &facts, 12_000);
    assert_eq!(counts[3], 0);
    for (count, pairs) in counts.iter().zip([3.0, 2.0, 1.0]) {
        assert!((*count as f64 / 2000.0 - pairs).abs() < 0.15, "{counts:?}");
    }
    group.probe_share = Group::PROBE_SHARE;
    let counts = firsts(&group, &facts, 12_000);
    assert!((30..=90).contains(&counts[3]), "{counts:?}");
}

#[test]
fn an_unmeasured_target_counts_as_typical() {
    let targets = targets(4);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    for (fact, ttft) in facts.iter_mut().zip([100, 200, 900]) {
        fact.health.ttft_ewma = millis(ttft);
    }
    let group = flat(Strategy::LeastLatency, 4);
    let decision = run(&group, &facts);
    let cost = |leaf| decision.eligible().iter().find(|candidate| candidate.leaf == leaf).unwrap().parts.cost.unwrap();
    assert!((cost(3) - cost(1)).abs() < 1e-9);
    // Its own calls in flight hold it back like any other.
    facts[3].in_flight = 9;
    assert!(firsts(&group, &facts, 1000)[3] < 20);
}

#[test]
fn groups_are_spliced_in() {
    let targets = targets(5);
    let mut facts: Vec<_> = targets.iter().map(fine).collect();
    for (fact, ttft) in facts.iter_mut().zip([500, 100, 300, 200, 50]) {
        fact.health.ttft_ewma = millis(ttft);
    }
    let inner = |strategy, leaves: &[usize]| {
        Member::group(Arc::new(group(strategy, leaves.iter().map(|leaf| Member::target(*leaf)).collect())))
    };
    let outer = group(Strategy::Fallback, vec![inner(Strategy::LeastLatency, &[0, 1]), Member::target(2)]);
    let mut seen = Vec::new();
    for seed in 0..50 {
        let decision = decide(&outer, &facts, None, at(100), &mut Rng::with_seed(seed));
        seen.push(lines(&decision).join("; "));
    }
    let usual = "1 p/b the cheaper of two drawn at random; 2 p/a next by cost; 3 p/c its place in the file";
    assert!(seen.iter().filter(|line| *line == usual).count() > 40, "{seen:?}");

    // In a group by cost, a group stands for its first candidate: the slow p/a, not the fast p/e behind it.
    let mut outer = group(Strategy::LeastLatency, vec![inner(Strategy::Fallback, &[0, 4]), Member::target(2)]);
    outer.probe_share = 0.0;
    assert_eq!(order(&run(&outer, &facts)), [2, 0, 4]);
    facts[0].health.ttft_ewma = millis(250);
    assert_eq!(order(&run(&outer, &facts)), [0, 4, 2]);
}

#[test]
fn a_target_named_twice_is_tried_once() {
    let targets = targets(3);
    let facts: Vec<_> = targets.iter().map(fine).collect();
    let inner = Member::group(Arc::new(flat(Strategy::Fallback, 2)));
    let outer = group(Strategy::Fallback, vec![Member::target(1), inner.clone(), Member::target(1), Member::target(2)]);
    assert_eq!(order(&run(&outer, &facts)), [1, 0, 2]);
    // Not selected at one place, selected at another: eligible.
    let outer = group(Strategy::Select, vec![inner, Member::target(1)]);
    let decision = run(&outer, &facts);
    assert_eq!(lines(&decision), ["1 p/a selected", "2 p/b its place in the file"]);
}

#[test]
fn nested_selections_are_asked_for() {
    let targets = targets(3);
    let facts: Vec<_> = targets.iter().map(fine).collect();
    let outer = group(Strategy::Fallback, vec![Member::group(Arc::new(flat(Strategy::Select, 2))), Member::target(2)]);
    let second = |asked: &Group| (asked.strategy == Strategy::Select).then_some(1);
    let decision = decide_with(&outer, &facts, &second, at(100), &mut Rng::with_seed(1));
    assert_eq!(lines(&decision), ["1 p/b selected", "2 p/c its place in the file", "- p/a not selected"]);
}
