//! What a caller gets whom no target has answered: a refusal, an answer by rule, or a count that was made here. Each
//! closes the record of its call.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tradewind_core::{Dialect, Fault, FaultKind};
use tradewind_dispatch::{Ending, Failure, Open};
use tradewind_door::{Refusal, Response, json_response};
use tradewind_telemetry::Outcome;
use tradewind_tokens::ModelTokens;

use super::Inner;
use crate::ask::{Ask, Operation};
use crate::call::{ModelCall, What};
use crate::failure::{after_attempts, mark, render};
use crate::model::Model;
use crate::rules::Rules;

/// Says that a count is an estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-tradewind-estimated");

impl Inner {
    /// What a caller gets after a call that came to nothing.
    pub(super) async fn failed(&self, call: &ModelCall, model: &Model, dialect: Dialect, failure: Failure) -> Response {
        let attempts = &failure.open.look().attempts;
        let mut refusal = after_attempts(&failure, model.name.as_str(), attempts.len());
        if failure.fault.kind == FaultKind::NoSuchPath {
            refusal.field = attempts.last().and_then(|last| call.field_in_the_way(&last.target)).map(Into::into);
        }
        self.without_answer(call, model, dialect, failure.open, refusal, failure.fault).await
    }

    /// What a caller gets whom no target has answered: a count made here where counting was asked for, an answer by rule
    /// where the model has a last resort, the refusal otherwise.
    pub(super) async fn without_answer(
        &self,
        call: &ModelCall,
        model: &Model,
        dialect: Dialect,
        mut open: Open,
        refusal: Refusal,
        fault: Fault,
    ) -> Response {
        let caller_gave_up = matches!(fault.kind, FaultKind::Deadline | FaultKind::Draining);
        let refused = |open: Open, refusal: Refusal, fault: Fault| {
            let is_callers = matches!(fault.kind, FaultKind::Rejected | FaultKind::NoSuchPath);
            let outcome = if is_callers { Outcome::Rejected } else { Outcome::Failed };
            close_refused(open, dialect, refusal, fault, outcome)
        };
        let What::Ask(ask) = &call.what else { return refused(open, refusal, fault) };
        if caller_gave_up {
            return refused(open, refusal, fault);
        }
        if ask.operation == Operation::CountTokens
            && let Some(leaf) = model.links.iter().position(|link| link.dialect != dialect)
        {
            return self.counted_here(ask, model, leaf, open).await;
        }
        let never = matches!(fault.kind, FaultKind::Rejected | FaultKind::NoSuchPath);
        let Some(rules) = model.last_resort.as_ref().filter(|_| Rules::answers(ask.operation) && !never) else {
            return refused(open, refusal, fault);
        };
        let id = open.id();
        let target = rules.target();
        let input = self.tokens(model, 0).estimate(&ask.features).tokens;
        let mut response = rules.respond(ask, input, id, self.needs.services.clock.wall());
        mark(&mut response, Some(id), Some(&target));
        open.edit().chosen = Some(target);
        open.close(Ending { outcome: Outcome::LastResort, status: 200, fault: Some(fault), code: None });
        response
    }

    /// The token counter of target `leaf`, or of a model that nobody knows.
    fn tokens(&self, model: &Model, leaf: usize) -> Arc<ModelTokens> {
        model.counters.get(leaf).cloned().unwrap_or_else(|| self.needs.estimator.model(""))
    }

    /// The count of a question whose target does not count: an estimate, and marked as one.
    async fn counted_here(&self, ask: &Ask, model: &Model, leaf: usize, mut open: Open) -> Response {
        let (estimator, body) = (self.needs.estimator.clone(), ask.body().clone());
        let target = model.lanes[leaf].target.id().clone();
        // A tokenizer takes milliseconds: not on a thread that serves others.
        let counting = tokio::task::spawn_blocking(move || estimator.exact(target.model(), &body));
        let exact = counting.await.ok().flatten();
        let count = exact.unwrap_or_else(|| model.counters[leaf].estimate(&ask.features));
        let body = serde_json::json!({"input_tokens": count.tokens, "estimated": true}).to_string();
        let mut response = json_response(200, body);
        response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("true"));
        mark(&mut response, Some(open.id()), None);
        open.note("counted by the gateway: no target counts tokens");
        open.close(Ending { outcome: Outcome::Ok, status: 200, fault: None, code: None });
        response
    }
}

/// Refuses a call, and says so in its record.
pub(super) fn close_refused(
    open: Open,
    dialect: Dialect,
    mut refusal: Refusal,
    fault: Fault,
    outcome: Outcome,
) -> Response {
    refusal.decision = Some(open.id());
    refusal.target = open.look().attempts.last().map(|attempt| attempt.target.clone());
    let response = render(dialect, &refusal);
    open.close(Ending { outcome, status: refusal.status, fault: Some(fault), code: Some(refusal.code) });
    response
}
