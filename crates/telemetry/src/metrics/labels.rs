//! The labels of each metric, and the bound on how many names they may have.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::trace::{Trace, as_text, hex};

/// The distinct names that models, targets and keys may have each.
pub(super) const NAMES: usize = 500;
/// What stands for every further name, and for one that the configuration does not know.
pub(super) const OTHER: &str = "other";

/// The first [`NAMES`] names that came.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashSet<Arc<str>>>);

impl Names {
    pub(super) fn shown(&self, name: &str) -> Arc<str> {
        let mut names = self.0.lock();
        if let Some(known) = names.get(name) {
            return Arc::clone(known);
        }
        if names.len() >= NAMES {
            return Arc::from(OTHER);
        }
        let name = Arc::from(name);
        names.insert(Arc::clone(&name));
        name
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) door: &'static str,
    pub(super) operation: &'static str,
    pub(super) model: Arc<str>,
    pub(super) outcome: &'static str,
    pub(super) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ModelLabels {
    pub(super) door: &'static str,
    pub(super) operation: &'static str,
    pub(super) model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OverheadLabels {
    pub(super) door: &'static str,
    pub(super) operation: &'static str,
    pub(super) translated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CostLabels {
    pub(super) model: Arc<str>,
    pub(super) key: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    pub(super) key: Arc<str>,
    pub(super) code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TranslationLabels {
    pub(super) operation: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AttemptLabels {
    pub(super) target: Arc<str>,
    pub(super) outcome: &'static str,
    pub(super) fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TokenLabels {
    pub(super) kind: &'static str,
    pub(super) model: Arc<str>,
    pub(super) target: Arc<str>,
}

/// The labels of OpenTelemetry's GenAI conventions, with Prometheus's underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    pub(super) gen_ai_operation_name: &'static str,
    pub(super) gen_ai_provider_name: Arc<str>,
    pub(super) gen_ai_request_model: Arc<str>,
    pub(super) error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UsageLabels {
    pub(super) gen_ai_operation_name: &'static str,
    pub(super) gen_ai_provider_name: Arc<str>,
    pub(super) gen_ai_request_model: Arc<str>,
    pub(super) gen_ai_token_type: &'static str,
}

/// The label of an exemplar.
#[derive(Clone, Copy, Debug, EncodeLabelSet)]
pub(super) struct TraceLabel {
    trace_id: TraceId,
}

#[derive(Clone, Copy, Debug)]
struct TraceId([u8; 16]);

impl TraceLabel {
    pub(super) const fn new(trace: &Trace) -> Self {
        Self { trace_id: TraceId(trace.id) }
    }
}

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&as_text(&hex(&self.0)), encoder)
    }
}
