//! From "nobody answered" to what the caller is told, in its dialect.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use tradewind_core::{Code, DecisionId, Dialect, Fault, FaultKind, TargetId};
use tradewind_decide::{Decision, Reason};
use tradewind_dispatch::Failure;
use tradewind_door::{Refusal, Response, json_response};

use crate::{anthropic, openai};

pub(crate) const DECISION: HeaderName = HeaderName::from_static("x-tradewind-decision");
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-tradewind-target");

/// What a caller is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// Puts a refusal into `dialect`.
pub(crate) fn render(dialect: Dialect, refusal: &Refusal) -> Response {
    let body = match dialect {
        Dialect::OpenAi => openai::error_body(refusal),
        Dialect::Anthropic => anthropic::error_body(refusal),
    };
    let mut response = json_response(refusal.status, body);
    let headers = response.headers_mut();
    if let Some(wait) = refusal.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if refusal.close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    mark(&mut response, refusal.decision, refusal.target.as_ref());
    response
}

/// Adds who decided and who answered.
pub(crate) fn mark(response: &mut Response, decision: Option<DecisionId>, target: Option<&TargetId>) {
    let headers = response.headers_mut();
    if let Some(id) = decision
        && let Ok(value) = HeaderValue::from_bytes(&id.letters())
    {
        headers.insert(DECISION, value);
    }
    if let Some(target) = target
        && let Ok(value) = HeaderValue::from_str(target.as_str())
    {
        headers.insert(TARGET, value);
    }
}

/// The fault of a call for which no candidate is eligible.
pub(crate) fn nobody_eligible(decision: &Decision, never_fits: bool) -> (Refusal, Fault) {
    let candidates = &decision.candidates;
    let mut reasons: Vec<String> =
        candidates.iter().take(4).map(|one| format!("{}: {}", one.target, one.reason)).collect();
    if candidates.len() > reasons.len() {
        reasons.push(format!("and {} more", candidates.len() - reasons.len()));
    }
    let said = if reasons.is_empty() { "the model has no target".to_owned() } else { reasons.join("; ") };
    let limited = |reason: &Reason| matches!(reason, Reason::KeysCooling(_));
    let (code, kind) = if never_fits && !candidates.is_empty() {
        (Code::WrongDialect, FaultKind::Rejected)
    } else if !candidates.is_empty() && candidates.iter().all(|one| limited(&one.reason)) {
        (Code::RateLimited, FaultKind::RateLimited)
    } else {
        (Code::NoCandidate, FaultKind::Busy)
    };
    let mut refusal = Refusal::new(code, format!("{}: {said}", code.title()));
    if code != Code::WrongDialect {
        refusal.retry_after = Some(decision.retry_after().unwrap_or(SOON));
    }
    (refusal, Fault::new(kind, said))
}

/// What the caller is told after every attempt that could be made has failed.
pub(crate) fn after_attempts(failure: &Failure, model: &str, attempts: usize) -> Refusal {
    let detail = &failure.fault.detail;
    let mut refusal = if failure.budget_spent {
        let message = format!("`{model}` has used up its retry budget, so no other target was tried: {detail}");
        Refusal::new(Code::RetryBudget, message)
    } else {
        let tried = match attempts {
            0 | 1 => String::new(),
            many => format!(" after {many} attempts"),
        };
        Refusal::new(failure.fault.kind.code(), format!("no target of `{model}` answered{tried}: {detail}"))
    };
    if matches!(refusal.status, 429 | 503) {
        refusal.retry_after = Some(failure.retry_after.unwrap_or(SOON));
    }
    refusal
}
