//! What the control door shows and moves, and what the metrics show of the process itself.

use std::sync::Arc;

use serde_json::json;
use tradewind_access::Access;
use tradewind_core::{Clock, Code};
use tradewind_door::Front;
use tradewind_door_control::Controls;
use tradewind_door_models::{ModelsDoor, PreviewRequest};
use tradewind_runtime::{Kind, Supervisor};
use tradewind_telemetry::{Journal, Metrics};

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
}

/// What the control door shows and moves.
pub(super) fn controls(parts: &Parts<'_>) -> Controls {
    let (previewing, selecting, showing) = (parts.models.clone(), parts.models.clone(), parts.models.clone());
    let (watched, counted) = (parts.journal.clone(), parts.supervisor.clone());
    let (access, clock, metrics) = (parts.access.clone(), parts.clock.clone(), parts.metrics.clone());
    Controls {
        clock: parts.clock.clone(),
        stages: parts.supervisor.stages().clone(),
        journal: parts.journal.clone(),
        spend: parts.journal.spend(),
        targets: Box::new(move || showing.targets()),
        keys: Box::new(move || json!({"keys": access.shown(clock.wall())})),
        metrics: Box::new(move |format| metrics.encode(format)),
        preview: Box::new(move |body, grant| {
            let asked: PreviewRequest = serde_json::from_slice(body).map_err(|error| {
                let message = format!(
                    "send {{\"dialect\": \"openai\" or \"anthropic\", \"request\": {{…}}}}, and with it \"path\": \"/v1/responses\" \
                     where the body alone does not tell: {error}"
                );
                tradewind_door::Refusal::new(Code::BadField, message)
            })?;
            previewing.preview(&asked, grant).map(|preview| preview.to_json())
        }),
        select: Box::new(move |model, target| selecting.select(model, target)),
        status: Box::new(move || {
            let stats = watched.stats();
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
            })
        }),
    }
}

/// Adds what is not counted call by call to the metrics. The parts hold the metrics, so the metrics hold no part.
pub(super) fn gauges(parts: &Parts<'_>, front: &Arc<Front>) {
    let metrics = parts.metrics;
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let counted = Arc::downgrade(front);
    metrics.gauge("tradewind_calls_in_flight", "Calls that are being answered", move || {
        counted.upgrade().map_or(0, |front| signed(front.calls()))
    });
    let counted = Arc::downgrade(front);
    let help = "Requests refused before they came to a door, and so counted nowhere else, by public code";
    metrics.counters("tradewind_requests_refused", help, "code", move || {
        let refused = counted.upgrade().map(|front| front.refused()).unwrap_or_default();
        refused.into_iter().map(|(code, count)| (code.name().to_owned(), count)).collect()
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
