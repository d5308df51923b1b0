//! What the control door shows and moves, and what the metrics show of the process itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use serde_json::json;
use tradewind_access::Access;
use tradewind_core::{Clock, Code};
use tradewind_door::Front;
use tradewind_door_control::Controls;
use tradewind_door_models::{AnswersKept, ModelsDoor, PreviewRequest};
use tradewind_runtime::{Kind, Supervisor};
use tradewind_telemetry::{Journal, Metrics};

use super::following::followed_name;
use super::outward::Outward;
use super::priors::Priors;
use crate::exporting::Exporting;

/// The parts of a gateway that others look at.
pub(super) struct Parts<'a> {
    pub(super) supervisor: &'a Supervisor,
    pub(super) journal: &'a Arc<Journal>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) models: &'a ModelsDoor,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) access: &'a Arc<Access>,
    pub(super) exporting: &'a Exporting,
    pub(super) priors: &'a Arc<Priors>,
    pub(super) outward: &'a Outward,
}

/// What the control door shows and moves.
pub(super) fn controls(parts: &Parts<'_>) -> Controls {
    let (previewing, selecting, showing) = (parts.models.clone(), parts.models.clone(), parts.models.clone());
    let (ways, shown, leaving) =
        (parts.outward.ways().clone(), parts.outward.ways().clone(), parts.outward.ways().clone());
    let (budgeted, priors) = (parts.models.clone(), parts.priors.clone());
    let (watched, counted) = (parts.journal.clone(), parts.supervisor.clone());
    let (locating, wall) = (parts.access.clone(), parts.clock.clone());
    let (access, clock, metrics) = (parts.access.clone(), parts.clock.clone(), parts.metrics.clone());
    Controls {
        clock: parts.clock.clone(),
        stages: parts.supervisor.stages().clone(),
        journal: parts.journal.clone(),
        spend: parts.journal.spend(),
        targets: Box::new(move || showing.targets()),
        keys: Box::new(move || json!({"keys": access.shown(clock.wall()), "models": budgeted.budgets()})),
        metrics: Box::new(move |format| metrics.encode(format)),
        ways: shown,
        way_out: Box::new(move |url, via| {
            let ways = leaving.clone();
            Box::pin(async move {
                let left = ways.leaving(&url, via.as_deref()).await;
                left.map(|left| json!(left))
                    .map_err(|error| tradewind_door::Refusal::new(Code::BadField, error.to_string()))
            })
        }),
        preview: Box::new(move |body, grant| {
            let asked: PreviewRequest = serde_json::from_slice(body).map_err(|error| {
                let message = format!(
                    "send {{\"dialect\": \"openai\" or \"anthropic\", \"request\": {{…}}}}, and with it \"path\": \"/v1/responses\" \
                     where the body alone does not tell: {error}"
                );
                tradewind_door::Refusal::new(Code::BadField, message)
            })?;
            // Where the call would come from, and not where this question does.
            let context = locating.context(grant, &asked.header_map(), wall.wall());
            let context = context.map_err(|bad| tradewind_door::Refusal::new(bad.code(), bad.to_string()))?;
            let grant = grant.clone().with_context(context);
            previewing.preview(&asked, &grant).map(|preview| preview.to_json())
        }),
        select: Box::new(move |model, target| {
            let set = || selecting.select(model, target).then_some(()).ok_or(());
            ways.select_model(&followed_name(model), target, set).is_ok()
        }),
        status: Box::new(move || {
            let (stats, polled) = (watched.stats(), priors.stats());
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "connections": counted.count(Kind::Connection),
                "journal": {
                    "written": stats.written,
                    "dropped": stats.dropped,
                    "queued": stats.queued,
                    "pruned": stats.pruned,
                    "bytes": stats.bytes,
                    "notice": stats.notice.map(|notice| notice.to_string()),
                },
                "prometheus": {"samples": polled.samples, "failures": polled.failures},
            })
        }),
    }
}

/// Adds what is not counted call by call to the metrics. The parts hold the metrics, so the metrics hold no part.
pub(super) fn gauges(parts: &Parts<'_>, fronts: &[&Arc<Front>]) {
    let metrics = parts.metrics;
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let weak = || fronts.iter().map(|front| Arc::downgrade(front)).collect::<Vec<_>>();
    let counted = weak();
    metrics.gauge("tradewind_calls_in_flight", "Calls that are being answered", move || {
        counted.iter().filter_map(Weak::upgrade).map(|front| signed(front.calls())).sum()
    });
    let counted = weak();
    let help = "Requests refused before they came to a door, and so counted nowhere else, by public code";
    metrics.counters("tradewind_requests_refused", help, "code", move || {
        let mut sums = BTreeMap::<&str, u64>::new();
        for (code, count) in counted.iter().filter_map(Weak::upgrade).flat_map(|front| front.refused()) {
            *sums.entry(code.name()).or_default() += count;
        }
        sums.into_iter().map(|(code, count)| (code.to_owned(), count)).collect()
    });
    let supervisor = parts.supervisor.clone();
    metrics.gauge("tradewind_connections", "Connections of callers that are open", move || {
        signed(supervisor.count(Kind::Connection))
    });
    let models = parts.models.weak();
    metrics.gauges("tradewind_target_in_flight", "Attempts under way at each target", "target", move || {
        let loads = models().map(|models| models.target_loads()).unwrap_or_default();
        loads.into_iter().map(|load| (load.target, i64::from(load.in_flight))).collect()
    });
    let models = parts.models.weak();
    let help = "Whether calls are given to the target: 1, or 0 while its breaker is open or it is ejected";
    metrics.gauges("tradewind_target_available", help, "target", move || {
        let loads = models().map(|models| models.target_loads()).unwrap_or_default();
        loads.into_iter().map(|load| (load.target, i64::from(load.available))).collect()
    });
    answers(parts);
    let journal = Arc::downgrade(parts.journal);
    metrics.gauge("tradewind_journal_queued", "Records that wait for the journal", move || {
        journal.upgrade().map_or(0, |journal| signed(journal.stats().queued))
    });
    let journal = Arc::downgrade(parts.journal);
    let help = "Records that were lost because the journal's queue was full";
    metrics.counter("tradewind_journal_dropped", help, move || {
        journal.upgrade().map_or(0, |journal| journal.stats().dropped)
    });
    let exporting = parts.exporting.weak();
    metrics.counter("tradewind_spans_exported", "Calls whose spans the collector has taken", move || {
        exporting().map_or(0, |exporting| exporting.span_stats().exported)
    });
    let exporting = parts.exporting.weak();
    metrics.counter("tradewind_spans_dropped", "Calls whose spans were lost", move || {
        exporting().map_or(0, |exporting| exporting.span_stats().dropped)
    });
    let exporting = parts.exporting.weak();
    metrics.counter("tradewind_log_lines_dropped", "Lines of the log that were lost", move || {
        exporting().map_or(0, |exporting| exporting.lost_lines())
    });
}

/// Adds what becomes of the kept answers of each model.
fn answers(parts: &Parts<'_>) {
    let metrics = parts.metrics;
    let by_model = |count: fn(&AnswersKept) -> u64| {
        let models = parts.models.weak();
        move || {
            let kept = models().map(|models| models.answers_kept()).unwrap_or_default();
            kept.into_iter().map(|kept| (kept.model.clone(), count(&kept))).collect::<Vec<_>>()
        }
    };
    let help = "Calls that were given the kept answer to the same request";
    metrics.counters("tradewind_cache_exact_hits", help, "model", by_model(|kept| kept.exact.hits));
    let help = "Calls for which there was no kept answer to the same request, and which nobody was asking already";
    metrics.counters("tradewind_cache_exact_misses", help, "model", by_model(|kept| kept.exact.misses));
    let help = "Calls that waited for the answer to another one that was asking the same";
    metrics.counters("tradewind_cache_followed", help, "model", by_model(|kept| kept.exact.followed));
    let help = "Calls that were given the kept answer to a question that means the same";
    metrics.counters("tradewind_cache_meaning_hits", help, "model", by_model(|kept| kept.meaning.hits));
    let help = "Calls for which there was no kept answer to a question that means the same";
    let misses = |kept: &AnswersKept| kept.meaning.misses + kept.meaning.refused;
    metrics.counters("tradewind_cache_meaning_misses", help, "model", by_model(misses));
    let help = "Kept answers that went to make room for others";
    let evicted = |kept: &AnswersKept| kept.exact.evicted + kept.meaning.evicted;
    metrics.counters("tradewind_cache_evicted", help, "model", by_model(evicted));
    let signed = |counts: Vec<(String, u64)>| {
        counts.into_iter().map(|(model, count)| (model, i64::try_from(count).unwrap_or(i64::MAX))).collect()
    };
    let entries = by_model(|kept| (kept.exact.entries + kept.meaning.entries) as u64);
    metrics.gauges("tradewind_cache_entries", "Answers that are kept", "model", move || signed(entries()));
    let bytes = by_model(|kept| (kept.exact.bytes + kept.meaning.bytes) as u64);
    metrics.gauges("tradewind_cache_bytes", "Memory that kept answers take", "model", move || signed(bytes()));
}
