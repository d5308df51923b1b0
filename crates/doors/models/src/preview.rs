//! What would be decided for a call, without making it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_access::Grant;
use tradewind_core::{Code, Dialect};
use tradewind_door::Refusal;
use tradewind_telemetry::{Choice, Preview};

use crate::ask::{Ask, Operation};
use crate::door::{Inner, kept_by};
use crate::fit::{Fits, Wish};
use crate::rules::Rules;

/// What a comparison rests on for which the call itself would ask a provider.
const UNASKED: &str = "words, since no embedder is asked for a preview; the call would ask it";

/// A call to be decided upon.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// The dialect that the client would speak.
    pub dialect: Dialect,
    /// The body as the client would send it.
    pub request: Box<RawValue>,
    /// The path that the client would use, where the body alone does not tell: `/v1/responses`.
    #[serde(default)]
    pub path: Option<String>,
    /// The headers that the client would send.
    #[serde(default)]
    pub headers: HashMap<String, String>,
}

impl PreviewRequest {
    /// The headers of the call that would be made; what cannot be a header is left out.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let pairs = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)));
        pairs.collect()
    }
}

/// Decides, and calls nobody. `grant` knows where the call would come from. `settled`: with nothing left to chance.
pub(crate) fn preview(inner: &Inner, asked: &PreviewRequest, grant: &Grant, settled: bool) -> Result<Preview, Refusal> {
    let operation = operation_of(asked)?;
    let ask = Ask::read(operation, Bytes::copy_from_slice(asked.request.get().as_bytes()))?;
    let now = inner.needs.services.clock.now();
    let snapshot = inner.snapshot.get();
    let asked_for = snapshot.resolve(&ask.model, grant, &inner.needs, now)?;
    let needs_price = grant.needs_price() || asked_for.extras.budget.is_some();
    let mut choice = Choice::default();
    let model = inner.routed(&ask, asked_for.clone(), &snapshot, grant, &mut choice);
    let previous = kept_by(&ask, &inner.needs.seal, grant)?;
    let led_from = (!Arc::ptr_eq(&asked_for, &model)).then_some(&*asked_for);
    let wish = Wish {
        ask: Some(&ask),
        strict: model.extras.strict,
        needs_price: needs_price && operation != Operation::CountTokens,
        kept_by: previous.as_ref().map(|(target, _)| target),
        led_from: led_from.and_then(|from| from.extras.require.as_ref()),
    };
    let fits = Fits::new(&wish, &model.known(), now);
    let question = model.extras.choosing.as_ref().and_then(|choosing| choosing.compared.question(&ask));
    let headers = asked.header_map();
    let is_unasked = question
        .as_deref()
        .zip(model.extras.choosing.as_ref())
        .is_some_and(|(question, choosing)| choosing.compared.to_ask(question, &inner.needs.embedders).is_some());
    let mut understanding = inner.understand(&ask, question.as_deref(), &model, &fits, &headers, &mut choice);
    if let Some(understanding) = &mut understanding {
        understanding.settled = settled;
    }
    if let Some(meaning) = choice.meaning.as_mut().filter(|_| is_unasked) {
        meaning.basis = UNASKED;
    }
    let decision =
        model.decide(&fits, &inner.needs.services.health, now, understanding.as_ref().map(|known| (&ask, known)));
    let last_resort = model.last_resort.as_ref().filter(|_| Rules::answers(operation));
    let chosen = decision.eligible().first().map(|first| first.target.clone());
    Ok(Preview {
        at: inner.needs.services.clock.wall(),
        door: "models",
        dialect: Some(operation.dialect()),
        operation: operation.name(),
        stream: ask.stream,
        model: Arc::from(ask.model.as_str()),
        chosen: chosen.or_else(|| last_resort.map(|rules| rules.target())),
        choice: (!choice.is_empty()).then(|| Box::new(choice)),
        decision,
        network: None,
        policy: snapshot.policy.clone(),
    })
}

/// The operation, by the path if it is given, else by what the body holds.
fn operation_of(asked: &PreviewRequest) -> Result<Operation, Refusal> {
    if let Some(path) = &asked.path {
        return Operation::of_path(path).ok_or_else(|| {
            let message = "`path` is none that takes requests for models, such as /v1/responses";
            Refusal::new(Code::BadField, message).in_field("path")
        });
    }
    #[derive(Deserialize)]
    struct Shape {
        #[serde(default)]
        messages: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        prompt: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        input: Option<serde::de::IgnoredAny>,
    }
    if asked.dialect == Dialect::Anthropic {
        return Ok(Operation::Messages);
    }
    let shape: Shape = serde_json::from_str(asked.request.get()).map_err(|error| {
        Refusal::new(Code::BadField, format!("`request` is not a request: {error}")).in_field("request")
    })?;
    Ok(match (shape.messages, shape.prompt, shape.input) {
        (None, Some(_), _) => Operation::Completions,
        (None, None, Some(_)) => Operation::Embeddings,
        _ => Operation::Chat,
    })
}
