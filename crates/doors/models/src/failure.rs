//! From "nobody answered" to what the caller is told, in its dialect.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use tradewind_access::OverLimit;
use tradewind_core::{Code, DecisionId, Dialect, Fault, FaultKind, TargetId};
use tradewind_decide::{Decision, Reason};
use tradewind_dispatch::Failure;
use tradewind_door::{Refusal, Response, json_response};

use crate::fit::Unfit;
use crate::{anthropic, openai};

pub(crate) const DECISION: HeaderName = HeaderName::from_static("x-tradewind-decision");
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-tradewind-target");
pub(crate) const DROPPED: HeaderName = HeaderName::from_static("x-tradewind-dropped");

/// Asks the official clients not to try again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// A wait that clients may be trusted with: what is counted by the minute passes within it.
const LONGEST_RETRY: Duration = Duration::from_secs(61);

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
    // The official clients try again by themselves on 429. What does not pass within a minute is not worth that.
    let is_long = refusal.retry_after.is_none_or(|wait| wait > LONGEST_RETRY);
    if refusal.status == 429 && is_long {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
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
/// `never` is the reason when no target could ever answer this call.
pub(crate) fn nobody_eligible(decision: &Decision, never: Option<&Unfit>) -> (Refusal, Fault) {
    let candidates = &decision.candidates;
    let mut reasons: Vec<String> =
        candidates.iter().take(4).map(|one| format!("{}: {}", one.target, one.reason)).collect();
    if candidates.len() > reasons.len() {
        reasons.push(format!("and {} more", candidates.len() - reasons.len()));
    }
    let said = if reasons.is_empty() { "the model has no target".to_owned() } else { reasons.join("; ") };
    let limited = |reason: &Reason| matches!(reason, Reason::KeysCooling(_));
    let (code, kind) = if let Some(unfit) = never.filter(|_| !candidates.is_empty()) {
        (unfit.code, FaultKind::Rejected)
    } else if !candidates.is_empty() && candidates.iter().all(|one| limited(&one.reason)) {
        (Code::RateLimited, FaultKind::RateLimited)
    } else {
        (Code::NoCandidate, FaultKind::Busy)
    };
    let mut refusal = Refusal::new(code, format!("{}: {said}", code.title()));
    if let Some(unfit) = never {
        refusal.field = unfit.field.clone().map(Into::into);
    } else {
        refusal.retry_after = Some(decision.retry_after().unwrap_or(SOON));
    }
    (refusal, Fault::new(kind, said))
}

/// What a key is told that has used up what it may.
pub(crate) fn over_limit(limit: &OverLimit) -> Refusal {
    let mut refusal = Refusal::new(limit.code(), limit.to_string());
    refusal.retry_after = limit.retry_after();
    refusal
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
