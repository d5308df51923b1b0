//! `GET /api/v1/targets`: each target with its health, as it is now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tradewind_access::ModelBudgetStatus;
use tradewind_core::{Moment, TargetId, UnixMillis};
use tradewind_decide::{BreakerView, HealthSettings};
use tradewind_dispatch::Lane;

use crate::link::Link;
use crate::snapshot::Snapshot;

/// All targets of the document, in the order of their names.
pub(crate) fn targets(snapshot: &Snapshot, settings: &HealthSettings, now: Moment) -> Value {
    let mut shown: BTreeMap<TargetId, (Value, Vec<String>)> = BTreeMap::new();
    for model in snapshot.models() {
        for (lane, link) in model.lanes.iter().zip(model.links.iter()) {
            let entry = shown
                .entry(lane.target.id().clone())
                .or_insert_with(|| (target(lane, link, settings, now), Vec::new()));
            entry.1.push(model.name.as_str().to_owned());
        }
    }
    let rows = shown.into_values().map(|(mut shown, mut models)| {
        models.sort_unstable();
        shown["models"] = json!(models);
        shown
    });
    json!({"targets": rows.collect::<Vec<_>>()})
}

/// The budgets of models and what came of them so far, in the order of the file.
pub(crate) fn budgets(snapshot: &Snapshot, wall: UnixMillis) -> Vec<ModelBudgetStatus> {
    let models = snapshot.names.iter().filter_map(|name| snapshot.model(name.as_str()));
    models.filter_map(|model| model.extras.budget.as_ref()).map(|budget| budget.status(wall)).collect()
}

/// What the metrics show of a target.
#[derive(Clone, Debug)]
pub struct TargetLoad {
    /// `provider/model`.
    pub target: String,
    /// Attempts under way.
    pub in_flight: u32,
    /// Whether it is given calls: neither resting after faults nor ejected.
    pub available: bool,
}

/// The load of all targets of the document, in the order of their names.
pub(crate) fn loads(snapshot: &Snapshot, settings: &HealthSettings, now: Moment) -> Vec<TargetLoad> {
    let mut loads = BTreeMap::new();
    for lane in snapshot.models().flat_map(|model| model.lanes.iter()) {
        loads.entry(lane.target.id().as_str()).or_insert_with(|| {
            let health = lane.target.view(settings, now);
            let rests = matches!(health.breaker, BreakerView::Open { .. }) || health.ejected_until.is_some();
            TargetLoad {
                target: lane.target.id().as_str().to_owned(),
                in_flight: lane.target.in_flight(),
                available: !rests,
            }
        });
    }
    loads.into_values().collect()
}

fn target(lane: &Lane, link: &Link, settings: &HealthSettings, now: Moment) -> Value {
    let id = lane.target.id();
    let health = lane.target.view(settings, now);
    let left = |until: Moment| until.since(now).as_secs_f64();
    let keys_ready = lane.keys.is_ready(id, now);
    let (state, for_seconds) = match health.breaker {
        BreakerView::Open { until } => ("resting", Some(left(until))),
        BreakerView::HalfOpen { .. } => ("probing", None),
        BreakerView::Closed => match health.ejected_until {
            Some(until) => ("ejected", Some(left(until))),
            None if !keys_ready => ("keys-resting", None),
            None if lane.target.is_saturated() => ("full", None),
            None => ("ready", None),
        },
    };
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    json!({
        "target": id.as_str(),
        "provider": link.name.as_str(),
        "dialect": link.dialect,
        "server": &*lane.server,
        "state": state,
        "for_seconds": for_seconds,
        "in_flight": lane.target.in_flight(),
        "queued": lane.target.queued(),
        "tokens_in_flight": lane.target.tokens_in_flight(),
        "first_byte_ms": millis(health.ttft_mean),
        "first_byte_expected_ms": millis(health.ttft_ewma),
        "error_rate": health.error_rate,
        "samples": health.samples,
        "quota": lane.target.quota(now).map(|quota| json!({
            "left": quota.left, "resets_in_seconds": quota.resets_in.as_secs_f64(),
        })),
        "prior": lane.target.prior_view(now),
        "price": lane.price.map(|price| json!({
            "input": price.input, "output": price.output, "cached": price.cached,
            "cache_write": price.cache_write, "reasoning": price.reasoning,
        })),
    })
}
