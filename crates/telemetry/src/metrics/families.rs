//! Every metric that is counted from records: names, help, units, buckets, and which of them a call or an attempt counts
//! for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use tradewind_core::{Code, FaultKind, Usd};

use super::labels::{
    AttemptLabels, CallLabels, CostLabels, ModelLabels, Names, OTHER, OperationLabels, OverheadLabels, RefusalLabels,
    TokenLabels, TraceLabel, TranslationLabels, UsageLabels,
};
use super::{AttemptKey, CallKey};
use crate::genai::operation_name;

/// Kinds of tokens, in the order of [`AttemptSeries::tokens`].
const KINDS: [&str; 4] = ["input", "output", "cached", "reasoning"];
/// Refusals because of a limit or of the caller's key.
const LIMITS: [Code; 8] = [
    Code::UnknownKey,
    Code::KeyRevoked,
    Code::NotAllowed,
    Code::RequestRate,
    Code::TokenRate,
    Code::BudgetSpent,
    Code::AllBusy,
    Code::Overloaded,
];

type Exemplars = HistogramWithExemplars<TraceLabel>;
type Timed<L> = Family<L, Exemplars, fn() -> Exemplars>;
type Plain<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics by their labels.
#[derive(Debug)]
pub(super) struct Families {
    models: Names,
    targets: Names,
    keys: Names,
    calls: Family<CallLabels, Counter>,
    duration: Timed<ModelLabels>,
    first_byte: Timed<ModelLabels>,
    overhead: Timed<OverheadLabels>,
    cost: Family<CostLabels, Money>,
    unpriced: Family<ModelLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    translations: Family<TranslationLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    gen_duration: Plain<OperationLabels>,
    gen_first_chunk: Plain<OperationLabels>,
    gen_usage: Plain<UsageLabels>,
}

/// What a call counts for.
#[derive(Debug)]
pub(super) struct CallSeries {
    pub(super) calls: Counter,
    pub(super) duration: Exemplars,
    pub(super) first_byte: Exemplars,
    pub(super) overhead: Exemplars,
    pub(super) cost: Money,
    pub(super) unpriced: Counter,
    pub(super) refusals: Option<Counter>,
    pub(super) translations: Option<Counter>,
}

/// What an attempt counts for.
#[derive(Debug)]
pub(super) struct AttemptSeries {
    pub(super) attempts: Counter,
    /// In the order of [`KINDS`].
    pub(super) tokens: [Counter; 4],
    pub(super) duration: Histogram,
    pub(super) first_chunk: Histogram,
    /// Input and output.
    pub(super) usage: [Histogram; 2],
}

/// A counter of dollars that is exact: a sum of floating-point numbers would not be.
#[derive(Clone, Debug, Default)]
pub(super) struct Money(Arc<AtomicU64>);

impl Money {
    pub(super) fn add(&self, cost: Usd) {
        self.0.fetch_add(cost.pico(), Ordering::Relaxed);
    }
}

impl TypedMetric for Money {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Money {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let dollars = Usd::from_pico(self.0.load(Ordering::Relaxed)).dollars();
        encoder.encode_counter::<NoLabelSet, f64, f64>(&dollars, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// From 1 ms to some nine minutes.
fn call_seconds() -> Exemplars {
    Exemplars::new([0.001, 0.0025, 0.005].into_iter().chain(exponential_buckets(0.01, 2.0, 16)))
}

/// From 10 µs to some 80 ms.
fn overhead_seconds() -> Exemplars {
    Exemplars::new(exponential_buckets(0.000_01, 2.0, 14))
}

/// The conventions' buckets for durations: 10 ms, doubled up to 81.92 s.
fn operation_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 14))
}

/// The conventions' buckets for tokens: powers of 4 up to 67,108,864.
fn token_buckets() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 14))
}

fn timed<L: Clone + Eq + std::hash::Hash>(make: fn() -> Exemplars) -> Timed<L> {
    Family::new_with_constructor(make)
}

fn plain<L: Clone + Eq + std::hash::Hash>(make: fn() -> Histogram) -> Plain<L> {
    Family::new_with_constructor(make)
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            models: Names::default(),
            targets: Names::default(),
            keys: Names::default(),
            calls: Family::default(),
            duration: timed(call_seconds),
            first_byte: timed(call_seconds),
            overhead: timed(overhead_seconds),
            cost: Family::default(),
            unpriced: Family::default(),
            refusals: Family::default(),
            translations: Family::default(),
            attempts: Family::default(),
            tokens: Family::default(),
            gen_duration: plain(operation_seconds),
            gen_first_chunk: plain(operation_seconds),
            gen_usage: plain(token_buckets),
        };
        let this = &families;
        registry.register("tradewind_calls", "Calls that ended", this.calls.clone());
        registry.register(
            "tradewind_attempts",
            "Tries of targets that ended; a call may need several",
            this.attempts.clone(),
        );
        registry.register(
            "tradewind_tokens",
            "Tokens used; input has the cached ones in it, output the reasoning ones",
            this.tokens.clone(),
        );
        registry.register(
            "tradewind_cost_usd",
            "What the calls cost in US dollars, as far as their targets have a price",
            this.cost.clone(),
        );
        registry.register("tradewind_unpriced_uses", "Uses of targets that have no price", this.unpriced.clone());
        registry.register("tradewind_refusals", "Calls refused because of a key or a limit", this.refusals.clone());
        registry.register(
            "tradewind_translations",
            "Calls answered by a target that was asked in another protocol than the caller's",
            this.translations.clone(),
        );
        let seconds = || Unit::Seconds;
        registry.register_with_unit(
            "tradewind_call_duration",
            "From a call's coming in to its end",
            seconds(),
            this.duration.clone(),
        );
        registry.register_with_unit(
            "tradewind_time_to_first_byte",
            "From a call's coming in to the first byte of the answer",
            seconds(),
            this.first_byte.clone(),
        );
        registry.register_with_unit(
            "tradewind_overhead",
            "What of the time to the first byte the gateway itself took",
            seconds(),
            this.overhead.clone(),
        );
        registry.register_with_unit(
            "gen_ai_client_operation_duration",
            "How long an attempt took, to its last byte",
            seconds(),
            this.gen_duration.clone(),
        );
        registry.register_with_unit(
            "gen_ai_client_operation_time_to_first_chunk",
            "From the start of an attempt to the first byte of its stream",
            seconds(),
            this.gen_first_chunk.clone(),
        );
        registry.register("gen_ai_client_token_usage", "Tokens that an attempt used", this.gen_usage.clone());
        families
    }

    /// What a call of this kind counts for.
    pub(super) fn call(&self, key: &CallKey) -> CallSeries {
        let CallKey { door, operation, outcome, status, .. } = *key;
        let model = self.model(key.model.as_deref());
        let by_model = ModelLabels { door, operation, model: model.clone() };
        let owner = key.key.as_deref().map_or_else(|| Arc::from(""), |name| self.keys.shown(name));
        let translated = key.translated.is_some();
        let refused = key.code.filter(|code| LIMITS.contains(code));
        CallSeries {
            calls: self.calls.get_or_create_owned(&CallLabels {
                door,
                operation,
                model: model.clone(),
                outcome: outcome.name(),
                status,
            }),
            duration: self.duration.get_or_create_owned(&by_model),
            first_byte: self.first_byte.get_or_create_owned(&by_model),
            overhead: self.overhead.get_or_create_owned(&OverheadLabels { door, operation, translated }),
            cost: self.cost.get_or_create_owned(&CostLabels { model, key: owner.clone() }),
            unpriced: self.unpriced.get_or_create_owned(&by_model),
            refusals: refused.map(|code| {
                self.refusals.get_or_create_owned(&RefusalLabels { key: owner.clone(), code: code.name() })
            }),
            translations: key.translated.map(|to| {
                let from = key.dialect.unwrap_or_default();
                self.translations.get_or_create_owned(&TranslationLabels { operation, from, to })
            }),
        }
    }

    /// What an attempt of this kind counts for.
    pub(super) fn attempt(&self, key: &AttemptKey) -> AttemptSeries {
        let model = self.model(key.model.as_deref());
        let target = self.targets.shown(key.target.as_str());
        let fault = key.fault.map_or("", FaultKind::name);
        let (provider, asked) = target.split_once('/').unwrap_or((&target, &target));
        let (provider, asked): (Arc<str>, Arc<str>) = (Arc::from(provider), Arc::from(asked));
        let operation = OperationLabels {
            gen_ai_operation_name: operation_name(key.operation),
            gen_ai_provider_name: provider.clone(),
            gen_ai_request_model: asked.clone(),
            error_type: fault,
        };
        let usage = |kind| {
            self.gen_usage.get_or_create_owned(&UsageLabels {
                gen_ai_operation_name: operation_name(key.operation),
                gen_ai_provider_name: provider.clone(),
                gen_ai_request_model: asked.clone(),
                gen_ai_token_type: kind,
            })
        };
        AttemptSeries {
            attempts: self.attempts.get_or_create_owned(&AttemptLabels {
                target: target.clone(),
                outcome: key.outcome.name(),
                fault,
            }),
            tokens: KINDS.map(|kind| {
                self.tokens.get_or_create_owned(&TokenLabels { kind, model: model.clone(), target: target.clone() })
            }),
            duration: self.gen_duration.get_or_create_owned(&operation),
            first_chunk: self.gen_first_chunk.get_or_create_owned(&operation),
            usage: [usage("input"), usage("output")],
        }
    }

    fn model(&self, resolved: Option<&str>) -> Arc<str> {
        resolved.map_or_else(|| Arc::from(OTHER), |name| self.models.shown(name))
    }
}
