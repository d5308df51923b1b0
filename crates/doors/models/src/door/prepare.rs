//! From a body to a decision: what is asked, of which model, in which form each target can be asked, who is asked, and
//! what is held back for it. Calls nobody but the provider of an embedder, where a question has no vector yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, request};
use tradewind_access::{Grant, ModelBudget, OverLimit, Reservation};
use tradewind_core::{Code, TargetId, Usd, parse_duration};
use tradewind_dispatch::{Lane, Open};
use tradewind_door::Refusal;
use tradewind_policy::RouteFacts;
use tradewind_quality::Gates;
use tradewind_telemetry::{Choice, Led};

use super::{Incoming, Inner};
use crate::ask::{Ask, Operation};
use crate::call::{ModelCall, What};
use crate::choosing::Understanding;
use crate::failure::over_limit;
use crate::fit::{Fits, Wish};
use crate::headers::passed_on;
use crate::model::Model;
use crate::quality::Judging;
use crate::remote::Remote;
use crate::seal::Seal;
use crate::snapshot::{Snapshot, resource, short};

/// What is served, for whoever asks for something else.
const SERVED: &str = "POST /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, /v1/messages, \
                      /v1/messages/count_tokens and GET /v1/models";
/// The header in which a caller says how long it will wait.
const TIMEOUT: &str = "x-tradewind-timeout";
/// Records keep this much of a model's name.
const NAME_KEPT: usize = 200;

/// A call that has been read.
struct Heard {
    what: What,
    model: Arc<Model>,
    /// How each target can be asked.
    fits: Fits,
    /// The target that keeps the previous response, and its id there.
    previous: Option<(TargetId, String)>,
    /// What the calls of the model that was asked for may cost.
    budget: Option<ModelBudget>,
    gates: Option<Arc<Gates>>,
    choice: Choice,
    /// The text that is compared, where the model scores.
    question: Option<String>,
    patience: Option<Duration>,
}

/// A call on its way to a decision.
pub(super) enum Preparing<'a> {
    Done(Result<Prepared, Refusal>),
    /// Boxed, since it is rare and every call would be the larger for it.
    Waiting(Pin<Box<dyn Future<Output = Result<Prepared, Refusal>> + Send + 'a>>),
}

/// A call that has been decided.
pub(super) struct Prepared {
    pub(super) call: Arc<ModelCall>,
    pub(super) model: Arc<Model>,
    pub(super) patience: Option<Duration>,
}

impl Inner {
    /// Reads the request and decides; at once, save for a question whose vector a provider has to be asked for.
    pub(super) fn prepare<'a>(&'a self, incoming: &'a Incoming, body: Bytes, open: &'a mut Open) -> Preparing<'a> {
        let heard = match self.hear(incoming, body, open) {
            Ok(heard) => heard,
            Err(refusal) => return Preparing::Done(Err(refusal)),
        };
        let Some(remote) = self.to_ask(&heard) else { return Preparing::Done(self.settle(incoming, heard, open)) };
        // Whoever would be refused in the end does not make the gateway pay for a vector before; and what this call may cost
        // is held back while it waits, so that not a burst of them does.
        let Ok(held) = self.hold_for_all(&heard, open) else {
            return Preparing::Done(self.settle(incoming, heard, open));
        };
        Preparing::Waiting(Box::pin(async move {
            let clock = &*self.needs.services.clock;
            let began = clock.now();
            let text = heard.question.as_deref().unwrap_or_default();
            remote.learn(text, &self.needs.embedders, heard.patience, clock).await;
            open.waited(clock.now().since(began));
            drop(held);
            self.settle(incoming, heard, open)
        }))
    }

    /// Whom to ask for the vector of the question: nobody where it is known, and where no target can be asked anyway.
    fn to_ask(&self, heard: &Heard) -> Option<Arc<Remote>> {
        let choosing = heard.model.extras.choosing.as_ref()?;
        let remote = choosing.compared.to_ask(heard.question.as_deref()?, &self.needs.embedders)?;
        (0..heard.model.lanes.len()).any(|leaf| heard.fits.unfit(leaf).is_none()).then(|| remote.clone())
    }

    /// Reads the request, and finds the model for it.
    fn hear(&self, incoming: &Incoming, body: Bytes, open: &mut Open) -> Result<Heard, Refusal> {
        let Incoming { head, operation, dialect, snapshot, arrived } = incoming;
        let patience = patience(head)?;
        let grant = open.grant().clone();
        let mut choice = Choice::default();
        let mut budget = None;
        let mut gates = None;
        let mut led_from: Option<Arc<Model>> = None;
        let (what, model) = if *operation == Operation::Passthrough {
            let path = head.uri.path();
            open.edit().model = Arc::from(path.chars().take(NAME_KEPT).collect::<String>());
            check_path(path)?;
            if grant.has_token_rate() {
                let name = grant.name().map_or("", |name| name);
                let message = format!("the key `{name}` has tokens a minute, and {path} is passed through uncounted");
                return Err(Refusal::new(Code::NotAllowed, message));
            }
            if !grant.allows(&resource(&format!("passthrough{path}"))) {
                let name = grant.name().map_or("", |name| name);
                let message =
                    format!("the key `{name}` may not use paths that are passed through (models/passthrough)");
                return Err(Refusal::new(Code::NotAllowed, message));
            }
            let model = snapshot.passthrough(*dialect, &self.needs, *arrived).ok_or_else(|| {
                let message =
                    format!("{path} is not served, and no provider has `passthrough: true`; served are {SERVED}");
                Refusal::new(Code::UnknownPath, message)
            })?;
            (What::Unknown { method: head.method.clone(), path: path.to_owned(), body }, Arc::new(model))
        } else {
            let ask = Ask::read(*operation, body)?;
            let record = open.edit();
            record.stream = ask.stream;
            record.model = match ask.model.char_indices().nth(NAME_KEPT) {
                None => Arc::from(ask.model.as_str()),
                Some((end, _)) => Arc::from(&ask.model[..end]),
            };
            let asked_for = snapshot.resolve(&ask.model, &grant, &self.needs, *arrived)?;
            let model = self.routed(&ask, asked_for.clone(), snapshot, &grant, &mut choice);
            record.resolved = Some(asked_for.name.shared());
            budget = asked_for.extras.budget.clone();
            led_from = (!Arc::ptr_eq(&asked_for, &model)).then(|| asked_for.clone());
            // A rule may lead to a plain target: what the caller asked for still says what an answer has to be like.
            if ask.operation.wire().is_some() {
                gates = model.extras.gates.as_ref().or(asked_for.extras.gates.as_ref()).cloned();
            }
            (What::Ask(Box::new(ask)), model)
        };
        let ask = what.ask();
        let previous = ask.map_or(Ok(None), |ask| kept_by(ask, &self.needs.seal, &grant))?;
        let wish = Wish {
            ask,
            strict: model.extras.strict,
            needs_price: (grant.needs_price() || budget.is_some()) && *operation != Operation::CountTokens,
            kept_by: previous.as_ref().map(|(target, _)| target),
            // A rule leads to another model, and not out of what the one that was asked for has to keep to.
            led_from: led_from.as_ref().and_then(|from| from.extras.require.as_ref()),
        };
        let fits = Fits::new(&wish, &model.known(), *arrived);
        let choosing = model.extras.choosing.as_ref();
        let question = ask.zip(choosing).and_then(|(ask, choosing)| choosing.compared.question(ask));
        Ok(Heard { what, model, fits, previous, budget, gates, choice, question, patience })
    }

    /// Decides who is asked, and holds back what that may cost.
    fn settle(&self, incoming: &Incoming, heard: Heard, open: &mut Open) -> Result<Prepared, Refusal> {
        let Incoming { head, snapshot, arrived, .. } = incoming;
        let Heard { what, model, fits, previous, budget, gates, mut choice, question, patience } = heard;
        let grant = open.grant().clone();
        let ask = what.ask();
        let question = question.as_deref();
        let understanding =
            ask.and_then(|ask| self.understand(ask, question, &model, &fits, &head.headers, &mut choice));
        let record = open.edit();
        let resolved = || model.name.shared();
        record.resolved.get_or_insert_with(resolved);
        let asked = ask.zip(understanding.as_ref());
        record.decision = model.decide(&fits, &self.needs.services.health, *arrived, asked);
        if !choice.is_empty() {
            record.choice = Some(Box::new(choice));
        }
        let counts_tokens = grant.counts_tokens() || budget.is_some();
        let call = ModelCall {
            what,
            headers: passed_on(&head.headers),
            query: head.uri.query().map(str::to_owned),
            lanes: model.lanes.clone(),
            links: model.links.clone(),
            counters: model.counters.clone(),
            fits,
            event_limit: snapshot.limits.answer.event,
            answer_limit: snapshot.limits.answer.answer,
            // Without spans of our own the caller's header goes on as it came.
            trace: open.look().trace.clone().filter(|_| self.needs.services.sampling.get().is_some()),
            counts_tokens,
            seal: self.needs.seal.clone(),
            judging: gates.map(Judging::new),
            caller: grant.name().cloned(),
            previous: previous.map(|(_, id)| id),
            id: open.id(),
            at: open.look().at,
            arrived: *arrived,
            estimates: Default::default(),
            other_forms: AtomicU64::new(0),
        };
        if counts_tokens && let Some(ask) = call.what.ask() {
            self.reserve(ask, &call, &grant, budget.as_ref(), open)?;
        }
        Ok(Prepared { call: Arc::new(call), model, patience })
    }

    /// The model that the rules of `model` lead to for this call, or itself.
    pub(crate) fn routed(
        &self,
        ask: &Ask,
        model: Arc<Model>,
        snapshot: &Snapshot,
        grant: &Grant,
        choice: &mut Choice,
    ) -> Arc<Model> {
        let context = grant.context();
        let key = grant.name().map(|name| &**name);
        let facts = RouteFacts { context, key, model: &ask.model };
        let routes = &model.extras.routes;
        if !routes.is_empty() && !context.is_empty() {
            choice.context = Some(context.clone());
        }
        let Some((number, to)) = routes.choose(&facts) else { return model };
        choice.rule = Some(Led { number, to: to.clone() });
        snapshot.routed(to).cloned().unwrap_or(model)
    }

    /// What is found out about `ask` and its `question`, where something is scored.
    pub(crate) fn understand(
        &self,
        ask: &Ask,
        question: Option<&str>,
        model: &Model,
        fits: &Fits,
        headers: &HeaderMap,
        choice: &mut Choice,
    ) -> Option<Understanding> {
        let choosing = model.extras.choosing.as_ref()?;
        Some(choosing.understand(question, ask, headers, &self.needs.embedders, fits, choice))
    }

    /// Holds back what the call may use at most at any target that can be asked, until it is decided which can answer.
    fn hold_for_all(&self, heard: &Heard, open: &Open) -> Result<Reservation, OverLimit> {
        let Heard { what, model, fits, budget, .. } = heard;
        let (grant, record) = (open.grant(), open.look());
        let Some(ask) = what.ask().filter(|ask| ask.operation != Operation::CountTokens) else {
            return Ok(Reservation::default());
        };
        if !grant.counts_tokens() && budget.is_none() {
            return Ok(Reservation::default());
        }
        let leaves = (0..model.lanes.len()).filter(|leaf| fits.unfit(*leaf).is_none());
        let (tokens, cost) =
            most(ask, &model.lanes, leaves, |leaf| model.counters[leaf].estimate(&ask.features).tokens);
        grant.reserve_at(budget.as_ref(), tokens, cost, self.needs.services.clock.now(), record.at)
    }

    /// Holds back what the call may use at most, as far as that is known, from what the key may still use.
    fn reserve(
        &self,
        ask: &Ask,
        call: &ModelCall,
        grant: &Grant,
        budget: Option<&ModelBudget>,
        open: &mut Open,
    ) -> Result<(), Refusal> {
        if ask.operation == Operation::CountTokens {
            return Ok(());
        }
        let leaves = open.look().decision.eligible().iter().map(|candidate| candidate.leaf);
        let (tokens, cost) = most(ask, &call.lanes, leaves, |leaf| call.estimate(ask, leaf));
        // On the day on which the call came in, as the spend book has it.
        let reserved = grant.reserve_at(budget, tokens, cost, self.needs.services.clock.now(), open.look().at);
        open.hold(reserved.map_err(|limit| over_limit(&limit))?);
        Ok(())
    }
}

/// The most that `ask` may use at any of the targets `leaves`: its tokens, and what they cost as far as prices are known.
fn most(ask: &Ask, lanes: &[Lane], leaves: impl Iterator<Item = usize>, estimate: impl Fn(usize) -> u64) -> (u64, Usd) {
    let answers = !matches!(ask.operation, Operation::Embeddings);
    let (mut tokens, mut cost) = (0, Usd::default());
    for leaf in leaves {
        let (input, lane) = (estimate(leaf), &lanes[leaf]);
        let output = if answers { ask.largest_answer.unwrap_or(lane.max_output) } else { 0 };
        let expected = if answers { ask.largest_answer.unwrap_or(ask.expected_answer) } else { 0 };
        tokens = tokens.max(input.saturating_add(expected));
        if let Some(price) = lane.price {
            cost = cost.max(price.most(input, output));
        }
    }
    (tokens, cost)
}

/// Refuses paths that a provider may read as another one than what was allowed: with dot segments, empty segments or
/// encoded slashes and dots, and served ones in another spelling.
fn check_path(path: &str) -> Result<(), Refusal> {
    let plain = tradewind_core::percent_decoded(path);
    let odd = plain.split('/').skip(1).any(|segment| matches!(segment, "." | ".."))
        || plain.contains("//")
        || plain.matches('/').count() != path.matches('/').count()
        || plain.contains(['\\', '\0', '?', '#']);
    let spelled = Operation::of_path(plain.trim_end_matches('/').to_ascii_lowercase().as_str()).is_some();
    if odd || spelled {
        let message = format!("{} is not passed on: providers may read it as another path", short(path));
        return Err(Refusal::new(Code::UnknownPath, message));
    }
    Ok(())
}

/// The target that keeps the previous response of `ask`, and its own id there.
///
/// # Errors
/// 400 when the id was not given out here, or to another key.
pub(crate) fn kept_by(ask: &Ask, seal: &Seal, grant: &Grant) -> Result<Option<(TargetId, String)>, Refusal> {
    let Some(previous) = ask.previous.as_ref().filter(|_| ask.operation == Operation::Responses) else {
        return Ok(None);
    };
    let caller = grant.name().map(|name| &**name);
    seal.open(caller, previous).map(Some).ok_or_else(|| {
        let message = "previous_response_id is none that can be gone on from: it was not given out here, or to another \
                       key, or the target that answered keeps no responses; send the whole conversation in `input`";
        Refusal::new(Code::UnknownResponse, message).in_field("previous_response_id")
    })
}

/// How long the caller will wait, if it says so.
fn patience(head: &request::Parts) -> Result<Option<Duration>, Refusal> {
    let Some(value) = head.headers.get(TIMEOUT) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| parse_duration(text).ok()).filter(|wait| !wait.is_zero());
    match parsed {
        Some(wait) => Ok(Some(wait)),
        None => {
            let message = format!("the header {TIMEOUT} has to be a time span like 1500ms or 20s");
            Err(Refusal::new(Code::BadHeader, message))
        }
    }
}
