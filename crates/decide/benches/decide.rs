//! What one decision costs. Budget: 20 µs over 50 candidates; a tenth of that over 3.

use std::fmt;
use std::time::Duration;

use divan::{Bencher, black_box};
use fastrand::Rng;
use tradewind_core::{FaultKind, ModelName, Moment, TargetId, UnixMillis, Usd};
use tradewind_decide::{
    Affinity, CallFacts, Facts, Fits, Group, Health, HealthSettings, HealthView, KeysView, Member, Observation, Prior,
    Quota, QuotaView, Sample, ScoreFacts, Scoring, Strategy, decide, decide_call,
};

fn main() {
    divan::main();
}

struct Case {
    strategy: Strategy,
    candidates: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} over {}", self.strategy, self.candidates)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let strategies =
        [Strategy::Select, Strategy::Fallback, Strategy::Weighted, Strategy::LeastLatency, Strategy::Score];
    strategies.into_iter().flat_map(|strategy| [3, 50].map(|candidates| Case { strategy, candidates }))
}

fn targets(count: usize) -> Vec<TargetId> {
    (0..count).map(|number| TargetId::new(&format!("provider/model-{number}"))).collect()
}

fn facts(targets: &[TargetId]) -> Vec<Facts<'_>> {
    let fact = |(number, target)| Facts {
        target,
        unfit: None,
        health: HealthView {
            ttft_ewma: Some(Duration::from_millis(100 + 7 * number as u64)),
            error_rate: 0.01,
            error_factor: 1.1,
            samples: 40,
            ..HealthView::default()
        },
        in_flight: number as u32 % 7,
        tokens_in_flight: 900 * (number as u64 % 7),
        saturated: false,
        keys: KeysView::Ready,
        score: ScoreFacts {
            meaning: Some((number as f32 * 0.37).fract()),
            price: Some(Usd::from_pico(40_000_000 + 90_000_000 * number as u64)),
            prior: 1.0 + 0.01 * number as f64,
            quota: Some(QuotaView { left: 0.02 * number as f64, resets_in: Duration::from_secs(40) }),
        },
    };
    targets.iter().enumerate().map(fact).collect()
}

/// One decision, its facts given, the dropping of it included.
#[divan::bench(args = cases())]
fn one_decision(bencher: Bencher<'_, '_>, case: &Case) {
    let targets = targets(case.candidates);
    let facts = facts(&targets);
    let members = (0..case.candidates).map(Member::target).collect();
    let group = Group::new(ModelName::new("assistant"), case.strategy, members);
    let mut random = Rng::with_seed(1);
    let now = Moment::from_micros(1_000_000);
    bencher.bench_local(|| decide(black_box(&group), black_box(&facts), None, now, &mut random));
}

/// One decision over 50 by meaning, load and cost, in its other ways.
#[divan::bench(args = ["affinity", "softmax", "none fits"])]
fn one_score_over_50(bencher: Bencher<'_, '_>, way: &str) {
    let targets = targets(50);
    let facts = facts(&targets);
    let softmax = Scoring::default().softmax(0.1).expect("within its bounds");
    let scoring = if way == "softmax" { softmax } else { Scoring::default().with_default(7) };
    let members = (0..50).map(Member::target).collect();
    let group = Group::new(ModelName::new("assistant"), Strategy::Score, members).scoring(scoring);
    let mut random = Rng::with_seed(1);
    let call = CallFacts {
        weights: Some(&|scoring| scoring.weights.with_meaning(0.7)),
        complexity: Some(0.5),
        fits: if way == "none fits" { Fits::None } else { Fits::Some },
        affinity: (way == "affinity").then_some(Affinity { key: 7 }),
        ..CallFacts::default()
    };
    let now = Moment::from_micros(1_000_000);
    bencher.bench_local(|| decide_call(black_box(&group), black_box(&facts), &call, now, &mut random));
}

/// What the caller does with the headers of each answer.
#[divan::bench]
fn one_reading_of_quotas(bencher: Bencher<'_, '_>) {
    let headers = [
        ("content-type", "application/json"),
        ("date", "Sat, 21 Nov 2026 20:57:31 GMT"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-requests", "45"),
        ("x-ratelimit-remaining-tokens", "15000"),
        ("x-ratelimit-reset-requests", "20ms"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("x-request-id", "req_0123456789"),
    ];
    let wall = UnixMillis(1_795_294_621_000);
    bencher.bench_local(|| Quota::read(black_box(headers), Moment::START, wall));
}

/// What the caller does for each target that has a prior before a decision.
#[divan::bench]
fn one_prior(bencher: Bencher<'_, '_>) {
    let mut prior = Prior::new(Duration::from_secs(15));
    for poll in 0..10 {
        prior.record(Moment::from_micros(poll * 15_000_000), Sample::Value(1.7));
    }
    bencher.bench_local(|| black_box(&prior).at(Moment::from_micros(160_000_000)));
}

fn measured() -> (Health, HealthSettings, Moment) {
    let settings = HealthSettings::default();
    let mut health = Health::new(Moment::START, 1);
    let mut now = Moment::START;
    for call in 0..1000 {
        now = now + Duration::from_millis(10);
        let observation = if call % 20 == 0 {
            Observation::Failure { kind: FaultKind::ServerError, after: Duration::from_millis(3) }
        } else {
            Observation::Success { first_byte: Duration::from_millis(100 + call % 50) }
        };
        health.record(&settings, now, &observation);
    }
    (health, settings, now + Duration::from_millis(5))
}

/// What the caller does for each target before a decision.
#[divan::bench]
fn one_view(bencher: Bencher<'_, '_>) {
    let (health, settings, now) = measured();
    bencher.bench_local(|| black_box(&health).view(&settings, now));
}

/// What the caller does after each attempt.
#[divan::bench]
fn one_record(bencher: Bencher<'_, '_>) {
    let (mut health, settings, mut now) = measured();
    let observation = Observation::Success { first_byte: Duration::from_millis(120) };
    bencher.bench_local(|| {
        now = now + Duration::from_millis(1);
        health.record(&settings, now, black_box(&observation));
    });
}
