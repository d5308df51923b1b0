//! What holds for every decision and every course of events, however odd.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{at, group, targets};
use fastrand::Rng;
use proptest::prelude::*;
use tradewind_core::{FaultKind, Moment, TargetId, Usd};
use tradewind_decide::{
    Admission, Affinity, BreakerView, CallFacts, Facts, Fits, Group, Health, HealthSettings, HealthView, KeysView,
    Member, MemberKind, Mode, Observation, QuotaView, ScoreFacts, Scoring, Strategy as GroupStrategy, Weights, decide,
    decide_call, outliers,
};

const NOW: u64 = 100;

fn odd_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), 0.0..=1.0_f64, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![(NOW - 5..NOW + 5).prop_map(at), any::<u64>().prop_map(Moment::from_micros)]
}

fn breaker() -> impl Strategy<Value = BreakerView> {
    prop_oneof![
        4 => Just(BreakerView::Closed),
        1 => moment().prop_map(|until| BreakerView::Open { until }),
        1 => any::<bool>().prop_map(|free| BreakerView::HalfOpen { free }),
    ]
}

prop_compose! {
    fn view()(
        breaker in breaker(),
        ejected_until in proptest::option::of(moment()),
        ttft in proptest::option::of(prop_oneof![any::<u64>(), 0..2_000_000_u64]),
        error_rate in odd_number(),
        error_factor in odd_number(),
        slow_start in odd_number(),
        samples in 0..100_u32,
    ) -> HealthView {
        let ttft = ttft.map(Duration::from_micros);
        HealthView { breaker, ejected_until, ttft_ewma: ttft, ttft_mean: ttft, error_rate, error_factor, slow_start, samples }
    }
}

prop_compose! {
    fn score_facts()(
        meaning in proptest::option::of(odd_number()),
        price in proptest::option::of(prop_oneof![any::<u64>(), Just(0), 0..1_000_000_000_u64]),
        prior in odd_number(),
        left in proptest::option::of(odd_number()),
        resets_in in any::<u64>(),
    ) -> ScoreFacts {
        ScoreFacts {
            meaning: meaning.map(|meaning| meaning as f32),
            price: price.map(Usd::from_pico),
            prior,
            quota: left.map(|left| QuotaView { left, resets_in: Duration::from_micros(resets_in) }),
        }
    }
}

fn weights() -> impl Strategy<Value = Weights> {
    [0.0..1.0_f64, 0.0..1.0, 0.0..1.0]
        .prop_filter_map("all are zero", |[meaning, load, cost]| Weights::new(meaning, load, cost).ok())
}

/// Also with temperatures that [`Scoring::softmax`] refuses, and defaults that are no member.
fn scoring() -> impl Strategy<Value = Scoring> {
    let mode = prop_oneof![Just(Mode::Best), odd_number().prop_map(|temperature| Mode::Softmax { temperature })];
    (weights(), mode, proptest::option::of(0..8_usize)).prop_map(|(weights, mode, default)| Scoring {
        weights,
        mode,
        default,
    })
}

/// Complexity, the weight of meaning that it leads to, whether any fits, and an affinity.
type LooseCall = (Option<f64>, f64, bool, Option<u64>);

fn loose_call() -> impl Strategy<Value = LooseCall> {
    (proptest::option::of(odd_number()), odd_number(), any::<bool>(), proptest::option::of(any::<u64>()))
}

type Loose = (HealthView, bool, u32, u64, bool, KeysView, ScoreFacts);

fn loose_facts() -> impl Strategy<Value = Loose> {
    let keys = prop_oneof![
        4 => Just(KeysView::Ready),
        1 => moment().prop_map(KeysView::CoolingUntil),
        1 => Just(KeysView::Refused),
    ];
    let count = prop_oneof![Just(0), Just(u32::MAX), 0..100_u32];
    let tokens = prop_oneof![Just(0), Just(u64::MAX), 0..100_000_u64];
    (view(), proptest::bool::weighted(0.1), count, tokens, proptest::bool::weighted(0.2), keys, score_facts())
}

fn tie<'a>(targets: &'a [TargetId], loose: &[Loose]) -> Vec<Facts<'a>> {
    let tied =
        |(target, (health, unfit, in_flight, tokens_in_flight, saturated, keys, score)): (&'a TargetId, &Loose)| {
            Facts {
                target,
                unfit: unfit.then(|| "unfit".into()),
                health: *health,
                in_flight: *in_flight,
                tokens_in_flight: *tokens_in_flight,
                saturated: *saturated,
                keys: *keys,
                score: *score,
            }
        };
    targets.iter().zip(loose).map(tied).collect()
}

fn strategy() -> impl Strategy<Value = GroupStrategy> {
    prop_oneof![
        Just(GroupStrategy::Select),
        Just(GroupStrategy::Fallback),
        Just(GroupStrategy::Weighted),
        Just(GroupStrategy::LeastLatency),
        Just(GroupStrategy::Score),
    ]
}

/// Groups over up to ten targets of which some do not exist, with odd probe shares, empty groups and weight 0.
fn any_group() -> impl Strategy<Value = Group> {
    let weight = || prop_oneof![Just(0), Just(u32::MAX), 1..10_u32];
    let leaf = (0..10_usize, weight()).prop_map(|(leaf, weight)| Member::target(leaf).weighing(weight));
    let tree = leaf.prop_recursive(3, 20, 5, move |inner| {
        (strategy(), proptest::collection::vec(inner, 0..5), weight(), scoring()).prop_map(
            |(strategy, members, weight, scoring)| {
                Member::group(Arc::new(group(strategy, members).scoring(scoring))).weighing(weight)
            },
        )
    });
    (strategy(), proptest::collection::vec(tree, 0..6), odd_number(), scoring()).prop_map(
        |(strategy, members, probe_share, scoring)| {
            let mut group = group(strategy, members).scoring(scoring);
            group.probe_share = probe_share;
            group
        },
    )
}

fn leaves(group: &Group, bound: usize, into: &mut BTreeSet<usize>) {
    for member in &group.members {
        match &member.kind {
            MemberKind::Target(leaf) if *leaf < bound => drop(into.insert(*leaf)),
            MemberKind::Target(_) => {}
            MemberKind::Group(inner) => leaves(inner, bound, into),
        }
    }
}

/// One step of a target's life.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Succeed(u64),
    Fail(usize, u64),
    Neutral,
    Admit,
    Eject,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        prop_oneof![Just(0), 0..20_000_u64, 0..1_000_000_u64].prop_map(Step::Wait),
        (0..5000_u64).prop_map(Step::Succeed),
        (0..FaultKind::ALL.len(), 0..20_000_u64).prop_map(|(kind, millis)| Step::Fail(kind, millis)),
        Just(Step::Neutral),
        Just(Step::Admit),
        Just(Step::Eject),
    ];
    proptest::collection::vec(step, 0..120)
}

struct Life {
    health: Health,
    settings: HealthSettings,
    now: Moment,
}

impl Life {
    fn lived(steps: &[Step], seed: u64) -> Self {
        let settings = HealthSettings::default();
        let mut life = Self { health: Health::new(Moment::START, seed), settings, now: Moment::START };
        steps.iter().for_each(|step| life.take(step));
        life
    }

    fn take(&mut self, step: &Step) {
        let millis = Duration::from_millis;
        match step {
            Step::Wait(wait) => self.now = self.now + millis(*wait),
            Step::Succeed(first_byte) => self.record(&Observation::Success { first_byte: millis(*first_byte) }),
            Step::Fail(kind, after) => {
                self.record(&Observation::Failure { kind: FaultKind::ALL[*kind], after: millis(*after) });
            }
            Step::Neutral => self.record(&Observation::Neutral),
            Step::Admit => drop(self.health.admit(&self.settings, self.now)),
            Step::Eject => self.health.eject(&self.settings, self.now),
        }
    }

    fn record(&mut self, observation: &Observation) {
        self.health.record(&self.settings, self.now, observation);
    }

    fn view(&self) -> HealthView {
        self.health.view(&self.settings, self.now)
    }
}

/// What `least-latency` would take it to cost, idle.
fn cost(view: &HealthView) -> f64 {
    view.ttft_ewma.map_or(0.0, |ttft| ttft.as_secs_f64()) * view.error_factor / view.slow_start
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ranks_are_a_permutation_of_the_eligible(
        group in any_group(),
        loose in proptest::collection::vec(loose_facts(), 0..9),
        selected in proptest::option::of(0..8_usize),
        call in loose_call(),
        seed in any::<u64>(),
    ) {
        let targets = targets(8);
        let facts = tie(&targets, &loose);
        let (complexity, meaning, some_fit, key) = call;
        let raised = |scoring: &Scoring| scoring.weights.with_meaning(meaning);
        let call = CallFacts {
            selected: &|_| selected,
            weights: complexity.is_some().then_some(&raised),
            complexity,
            fits: if some_fit { Fits::Some } else { Fits::None },
            affinity: key.map(|key| Affinity { key }),
            settled: seed % 2 == 0,
        };
        let decision = decide_call(&group, &facts, &call, at(NOW), &mut Rng::with_seed(seed));

        let mut named = BTreeSet::new();
        leaves(&group, facts.len(), &mut named);
        let answered: Vec<usize> = decision.candidates.iter().map(|candidate| candidate.leaf).collect();
        prop_assert_eq!(answered.iter().copied().collect::<BTreeSet<_>>(), named);
        prop_assert_eq!(answered.iter().collect::<BTreeSet<_>>().len(), answered.len(), "each target once");

        let eligible = decision.eligible().len();
        for (place, candidate) in decision.candidates.iter().enumerate() {
            prop_assert_eq!(candidate.eligible, place < eligible);
            prop_assert_eq!(candidate.rank, (place < eligible).then_some(place as u16 + 1));
            prop_assert!((0.0..=1.0).contains(&candidate.score), "{}", candidate.score);
            prop_assert_eq!(&candidate.target, facts[candidate.leaf].target);
            prop_assert!(candidate.eligible || candidate.score == 0.0);
            if let Some(parts) = &candidate.parts.score {
                let shown = [parts.total, parts.meaning, parts.load, parts.cost, parts.quota_left.unwrap_or(0.0)];
                prop_assert!(shown.iter().all(|part| (0.0..=1.0).contains(part)), "{parts:?}");
                prop_assert!((0.5..=2.0).contains(&parts.prior.unwrap_or(1.0)), "{parts:?}");
                prop_assert!(parts.complexity.is_none_or(f64::is_finite));
                let sum = parts.weights.meaning() + parts.weights.load() + parts.weights.cost();
                prop_assert!((sum - 1.0).abs() < 1e-9 && (some_fit || parts.weights.meaning() == 0.0), "{parts:?}");
            }
            if group.strategy == GroupStrategy::Score && candidate.eligible {
                let scored = candidate.parts.score.as_ref();
                prop_assert_eq!(scored.map(|parts| parts.total), Some(candidate.score), "each part of each is shown");
            }
        }
        let saturated: Vec<bool> = decision.eligible().iter().map(|known| facts[known.leaf].saturated).collect();
        prop_assert!(saturated.is_sorted(), "saturated ones come last");

        for candidate in decision.eligible() {
            let facts = &facts[candidate.leaf];
            prop_assert!(facts.unfit.is_none() && facts.keys != KeysView::Refused);
            prop_assert!(!matches!(facts.keys, KeysView::CoolingUntil(until) if at(NOW) < until));
            match facts.health.breaker {
                BreakerView::Open { until } => prop_assert!(until <= at(NOW)),
                BreakerView::HalfOpen { free } => prop_assert!(free),
                BreakerView::Closed => {}
            }
        }
        let ejected = decision.candidates.iter().filter(|known| known.reason.name() == "ejected").count();
        prop_assert!(ejected <= eligible, "ejection takes away half at most");
    }

    #[test]
    fn select_never_falls_back(
        count in 1..8_usize,
        selected in 0..8_usize,
        loose in proptest::collection::vec(loose_facts(), 8),
        seed in any::<u64>(),
    ) {
        let targets = targets(8);
        let facts = tie(&targets, &loose);
        let group = group(GroupStrategy::Select, (0..count).map(Member::target).collect());
        let decision = decide(&group, &facts, Some(selected), at(NOW), &mut Rng::with_seed(seed));
        let wanted = if selected < count { selected } else { 0 };
        prop_assert!(decision.eligible().iter().all(|candidate| candidate.leaf == wanted));
        prop_assert!(decision.candidates.iter().filter(|c| c.leaf != wanted).all(|c| c.reason.name() == "not-selected"));
    }

    #[test]
    fn the_same_seed_decides_the_same(
        group in any_group(),
        loose in proptest::collection::vec(loose_facts(), 8),
        seed in any::<u64>(),
    ) {
        let targets = targets(8);
        let facts = tie(&targets, &loose);
        let run = || crate::support::lines(&decide(&group, &facts, None, at(NOW), &mut Rng::with_seed(seed)));
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_failure_never_lowers_the_cost(steps in steps(), seed in any::<u64>(), after in 0..20_000_u64) {
        let mut life = Life::lived(&steps, seed);
        let before = life.view();
        let observation = Observation::Failure { kind: FaultKind::ServerError, after: Duration::from_millis(after) };
        life.record(&observation);
        let later = life.view();
        prop_assert!(cost(&later) >= cost(&before) * (1.0 - 1e-6), "{before:?} {later:?}");
        prop_assert!(later.error_rate >= before.error_rate);
        prop_assert!(later.ttft_ewma >= before.ttft_ewma);
    }

    #[test]
    fn successful_trials_always_close_the_breaker(steps in steps(), seed in any::<u64>()) {
        let mut life = Life::lived(&steps, seed);
        // The longest open time with its jitter, then a lost trial that has to time out, then two trials.
        life.now = life.now + Duration::from_secs(145);
        life.health.admit(&life.settings, life.now);
        life.now = life.now + Duration::from_secs(30);
        for _ in 0..2 {
            let refused = matches!(life.health.admit(&life.settings, life.now), Admission::No { .. });
            prop_assert!(!refused);
            life.record(&Observation::Success { first_byte: Duration::from_millis(10) });
        }
        prop_assert_eq!(life.view().breaker, BreakerView::Closed);
        prop_assert_eq!(life.health.admit(&life.settings, life.now), Admission::Yes);
    }

    #[test]
    fn admission_and_view_agree(steps in steps(), seed in any::<u64>()) {
        let mut life = Life::lived(&steps, seed);
        let view = life.view();
        match (view.breaker, life.health.admit(&life.settings, life.now)) {
            (BreakerView::Closed, Admission::Yes) | (BreakerView::HalfOpen { free: true }, Admission::Probe) => {}
            (BreakerView::Open { until }, Admission::No { until: known }) => prop_assert_eq!(until, known),
            (BreakerView::HalfOpen { free: false }, Admission::No { until }) => prop_assert!(until > life.now),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(view.ejected_until.is_none_or(|until| until > life.now));
        prop_assert!((0.0..=1.0).contains(&view.error_rate) && view.error_factor >= 1.0);
        prop_assert!(view.slow_start > 0.0 && view.slow_start <= 1.0);
    }

    #[test]
    fn only_one_trial_at_a_time(steps in steps(), seed in any::<u64>(), asks in 2..20) {
        let mut life = Life::lived(&steps, seed);
        let trials =
            (0..asks).filter(|_| life.health.admit(&life.settings, life.now) == Admission::Probe).count();
        prop_assert!(trials <= 1);
    }

    #[test]
    fn outliers_are_half_at_most(views in proptest::collection::vec(view(), 0..12)) {
        let found = outliers(&HealthSettings::default(), &views);
        let ejected = views.iter().filter(|view| view.ejected_until.is_some()).count();
        prop_assert!(found.is_empty() || found.len() + ejected <= views.len() / 2);
        prop_assert!(found.iter().all(|index| views[*index].ejected_until.is_none()));
        prop_assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_makes_reading_it_panic(text in ".{0,40}", name in 0..8_usize) {
        let names = [
            "retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-requests-reset", "anthropic-ratelimit-tokens-reset",
            "anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-output-tokens-reset",
        ];
        let wall = tradewind_core::UnixMillis(1_795_294_621_000);
        let wait = tradewind_decide::retry_after(|asked| (asked == names[name]).then_some(text.as_str()), wall);
        prop_assert!(wait.is_none_or(|wait| wait <= tradewind_decide::RETRY_AFTER_CAP));
    }

    #[test]
    fn dates_are_read_as_they_are_written(seconds in 1..86_400_u64, offset in -1439..1440_i64, wall in 1_000_000_000_u64..4_000_000_000) {
        let wall = tradewind_core::UnixMillis(wall * 1000);
        let local = tradewind_core::UnixMillis(wall.0 + seconds * 1000).0.saturating_add_signed(offset * 60_000);
        let written = tradewind_core::UnixMillis(local).rfc3339();
        let sign = if offset < 0 { '-' } else { '+' };
        let text = format!("{}{sign}{:02}:{:02}", written.trim_end_matches('Z'), offset.abs() / 60, offset.abs() % 60);
        let wait = tradewind_decide::retry_after(
            |asked| (asked == "anthropic-ratelimit-tokens-reset").then_some(text.as_str()),
            wall,
        );
        let expected = Duration::from_secs(seconds).min(tradewind_decide::RETRY_AFTER_CAP);
        prop_assert_eq!(wait, Some(expected));
    }
}
