//! What one decision costs. Budget: 20 µs over 50 candidates; a tenth of that over 3.

use std::fmt;
use std::time::Duration;

use divan::{Bencher, black_box};
use fastrand::Rng;
use tradewind_core::{FaultKind, ModelName, Moment, TargetId};
use tradewind_decide::{
    Facts, Group, Health, HealthSettings, HealthView, KeysView, Member, Observation, Strategy, decide,
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
    let strategies = [Strategy::Select, Strategy::Fallback, Strategy::Weighted, Strategy::LeastLatency];
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
