//! The way of a call through the door: path, body, model, decision, dispatch, response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tradewind_access::{Grant, ModelBudget, ModelBudgetStatus, ModelBudgets};
use tradewind_core::{Code, DecisionIds, Dialect, Fault, FaultKind, Moment, TargetId, Usage, Usd, parse_duration};
use tradewind_dispatch::{Call, Ending, Failure, Open, Reply, Services, run};
use tradewind_door::{Body, Door, Refusal, Request, Response, Unread, discard, json_response, read_body};
use tradewind_egress::{Egress, Roots};
use tradewind_policy::{RouteFacts, Shared};
use tradewind_quality::{Gates, SchemaCache};
use tradewind_runtime::{Caller, KeyRings, Live, Targets};
use tradewind_telemetry::{Choice, Led, Outcome, Preview, Record, Trace};
use tradewind_tokens::{Estimator, ModelTokens};

use crate::ask::{Ask, Operation};
use crate::cached::{AnswersKept, Found, Keeping, Patience, Tee, Told};
use crate::call::{ModelCall, What};
use crate::choosing::Understanding;
use crate::embedding::Embedders;
use crate::failure::{DROPPED, after_attempts, mark, nobody_eligible, over_limit, render};
use crate::fit::{Fits, Wish};
use crate::headers::passed_on;
use crate::link::LinkError;
use crate::list::{dialect_of, list};
use crate::model::Model;
use crate::preview::{PreviewRequest, preview};
use crate::quality::Judging;
use crate::rules::Rules;
use crate::seal::Seal;
use crate::section::Models;
use crate::snapshot::{Snapshot, Source, resource, short};
use crate::targets::{TargetLoad, budgets, loads, targets};

/// What is served, for whoever asks for something else.
const SERVED: &str = "POST /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, /v1/messages, \
                      /v1/messages/count_tokens and GET /v1/models";
/// The header in which a caller says how long it will wait.
const TIMEOUT: &str = "x-tradewind-timeout";
/// Says that a count is an estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-tradewind-estimated");
/// Records keep this much of a model's name.
const NAME_KEPT: usize = 200;

/// What the door needs from the rest of the process.
pub struct Needs {
    /// The way out.
    pub egress: Arc<Egress>,
    /// What is known about each target.
    pub targets: Arc<Targets>,
    /// The keys of each provider.
    pub key_rings: Arc<KeyRings>,
    /// What every call needs.
    pub services: Arc<Services>,
    /// The source of decision ids.
    pub ids: DecisionIds,
    /// Counts tokens before there is an answer.
    pub estimator: Arc<Estimator>,
    /// Compares questions.
    pub embedders: Arc<Embedders>,
    /// What the calls of models may cost.
    pub budgets: Arc<ModelBudgets>,
    /// Seals the ids of responses.
    pub seal: Arc<Seal>,
}

/// The models door.
#[derive(Clone)]
pub struct ModelsDoor(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: Needs,
    pub(crate) snapshot: Live<Snapshot>,
    roots: Roots,
    /// The schemas that answers are held against; kept over reloads.
    schemas: Arc<SchemaCache>,
    /// What providers have told; kept over reloads.
    discovered: Mutex<Vec<TargetId>>,
    /// Told after each reload: there may be texts that have no vectors yet.
    reloaded: Notify,
}

impl ModelsDoor {
    /// A door for one document.
    ///
    /// # Errors
    /// When a provider cannot be used: its file of certificates, its URL, a key that is not a header.
    pub fn new(shared: &Shared, models: &Models, policy: &str, needs: Needs, roots: Roots) -> Result<Self, LinkError> {
        let schemas = Arc::new(SchemaCache::new());
        let source = Source {
            shared,
            models,
            policy,
            discovered: Vec::new(),
            needs: &needs,
            roots: &roots,
            schemas: &schemas,
            before: None,
            now: needs.services.clock.now(),
        };
        let snapshot = Live::new(Snapshot::new(source)?);
        Ok(Self(Arc::new(Inner {
            needs,
            snapshot,
            roots,
            schemas,
            discovered: Mutex::default(),
            reloaded: Notify::new(),
        })))
    }

    /// Puts another document in place. Calls in flight finish on the one that they started with.
    ///
    /// # Errors
    /// As [`Self::new`]; then the old document stays.
    pub fn reload(&self, shared: &Shared, models: &Models, policy: &str) -> Result<(), LinkError> {
        let inner = &self.0;
        let discovered = inner.discovered.lock().clone();
        let now = inner.needs.services.clock.now();
        let Inner { needs, roots, schemas, .. } = &**inner;
        let before = inner.snapshot.get();
        let known = Some(&*before);
        let source = Source { shared, models, policy, discovered, needs, roots, schemas, before: known, now };
        let next = Snapshot::new(source)?;
        next.keep_selections(&before);
        next.keep_vectors(&before);
        inner.snapshot.swap(next);
        inner.reloaded.notify_one();
        Ok(())
    }

    /// What providers have told about their models; takes effect with the next [`Self::reload`].
    pub fn set_discovered(&self, targets: Vec<TargetId>) {
        *self.0.discovered.lock() = targets;
    }

    /// The present document.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.get()
    }

    /// What the door was given.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.0.needs
    }

    /// What would be decided for a call of `grant`. Calls nobody.
    ///
    /// # Errors
    /// When the call would be refused before a decision.
    pub fn preview(&self, asked: &PreviewRequest, grant: &Grant) -> Result<Preview, Refusal> {
        preview(&self.0, asked, grant)
    }

    /// Lets the `select` model `name` use `target`, until the process ends or the target is taken out of the document. False when there is no such model or member.
    #[must_use]
    pub fn select(&self, name: &str, target: &str) -> bool {
        self.0.snapshot.get().model(name).is_some_and(|model| model.select_target(target))
    }

    /// The targets of the document with their health, as JSON.
    #[must_use]
    pub fn targets(&self) -> serde_json::Value {
        let services = &self.0.needs.services;
        targets(&self.0.snapshot.get(), &services.health, services.clock.now())
    }

    /// Told after each reload.
    pub(crate) fn reloaded(&self) -> &Notify {
        &self.0.reloaded
    }

    /// The budgets of models and what came of them so far.
    #[must_use]
    pub fn budgets(&self) -> Vec<ModelBudgetStatus> {
        budgets(&self.0.snapshot.get(), self.0.needs.services.clock.wall())
    }

    /// A way back to the door for those that the door itself holds, such as metrics: nothing once the door is gone.
    pub fn weak(&self) -> impl Fn() -> Option<Self> + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map(Self)
    }

    /// The load of each target of the document.
    #[must_use]
    pub fn target_loads(&self) -> Vec<TargetLoad> {
        let services = &self.0.needs.services;
        loads(&self.0.snapshot.get(), &services.health, services.clock.now())
    }

    /// What has become of the kept answers of each model that keeps any, in the order of the file.
    #[must_use]
    pub fn answers_kept(&self) -> Vec<AnswersKept> {
        let snapshot = self.0.snapshot.get();
        let models = snapshot.names.iter().filter_map(|name| snapshot.model(name.as_str()));
        models.filter_map(|model| Some(model.extras.kept.as_ref()?.stats())).collect()
    }

    /// Forgets kept answers whose time is over. Call it about once a second.
    pub fn sweep_answers(&self) {
        let now = self.0.needs.services.clock.now();
        for model in self.0.snapshot.get().models() {
            if let Some(kept) = &model.extras.kept {
                kept.sweep(now);
            }
        }
    }

    /// Takes outliers of each model out of the choice for a while. Call it about once a second.
    pub fn eject_outliers(&self) {
        let services = &self.0.needs.services;
        let now = services.clock.now();
        for model in self.0.snapshot.get().models() {
            model.eject_outliers(&services.health, now);
        }
    }
}

impl Door for ModelsDoor {
    fn serves(&self, path: &str) -> bool {
        path.starts_with("/v1/")
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let Request { head, body, arrived, caller, grant } = request;
        let snapshot = self.0.snapshot.get();
        if head.method == Method::GET
            && let Some(response) = list(&head, &snapshot, &grant)
        {
            return Box::pin(std::future::ready(response));
        }
        let operation = Operation::of_path(head.uri.path()).unwrap_or(Operation::Passthrough);
        let dialect = match operation {
            Operation::Passthrough => dialect_of(&head),
            known => known.dialect(),
        };
        let incoming = Incoming { head, operation, dialect, snapshot, arrived };
        if operation != Operation::Passthrough && incoming.head.method != Method::POST {
            return Box::pin(method_not_allowed(incoming, body));
        }
        let open = self.0.open(&incoming, caller, grant);
        Box::pin(self.0.clone().answer(incoming, body, open))
    }

    fn refuse(&self, head: &request::Parts, refusal: &Refusal) -> Response {
        let dialect = Operation::of_path(head.uri.path()).map_or_else(|| dialect_of(head), Operation::dialect);
        render(dialect, refusal)
    }
}

impl Inner {
    /// The way of a call that is recorded.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold each of its arguments twice")]
    fn answer(self: Arc<Self>, incoming: Incoming, body: Unread, mut open: Open) -> impl Future<Output = Response> {
        async move {
            let (dialect, arrived) = (incoming.dialect, incoming.arrived);
            let prepared = match open.grant().count_request(arrived) {
                Err(limit) => {
                    // Whoever is still sending would see a broken connection instead of the refusal.
                    let was_read = discard(&incoming.head.headers, body).await;
                    let refusal = over_limit(&limit);
                    Err(if was_read { refusal } else { refusal.closing() })
                }
                Ok(()) => {
                    let reading = self.needs.services.clock.now();
                    let read = read_body(&incoming.head, body, incoming.snapshot.limits.body).await;
                    open.waited(self.needs.services.clock.now().since(reading));
                    match read.map(|body| self.prepare(&incoming, body, &mut open)) {
                        Ok(Preparing::Done(prepared)) => prepared,
                        Ok(Preparing::Waiting(preparing)) => preparing.await,
                        Err(refusal) => Err(refusal),
                    }
                }
            };
            match prepared {
                Ok(prepared) if prepared.model.extras.kept.is_some() => {
                    Box::pin(self.find_or_drive(prepared, dialect, open, arrived)).await
                }
                Ok(prepared) => self.drive(prepared, dialect, open, arrived, None).await,
                Err(refusal) => {
                    let kind = match refusal.code {
                        Code::NotAllowed
                        | Code::RequestRate
                        | Code::TokenRate
                        | Code::BudgetSpent
                        | Code::ModelBudgetSpent => FaultKind::KeyLimit,
                        _ => FaultKind::Rejected,
                    };
                    let fault = Fault::new(kind, refusal.message.clone());
                    close_refused(open, dialect, refusal, fault, Outcome::Rejected)
                }
            }
        }
    }

    /// Opens the record of a call: from here on there is exactly one, however the call ends.
    fn open(&self, incoming: &Incoming, caller: Caller, grant: Grant) -> Open {
        let services = &self.needs.services;
        let at = services.clock.wall();
        let (id, policy) = (self.needs.ids.next(at), incoming.snapshot.policy.clone());
        let mut record = Box::new(Record::new(id, at, "models", incoming.operation.name(), policy));
        record.dialect = Some(incoming.dialect);
        record.key = grant.name().cloned();
        record.tenant = grant.tenant().cloned();
        record.trace = trace(&incoming.head.headers, services.sampling.get());
        Open::new(record, services.clone(), incoming.arrived, caller, grant)
    }

    /// Reads the request and decides; at once, save for a question whose vector a provider has to be asked for.
    fn prepare<'a>(&'a self, incoming: &'a Incoming, body: Bytes, open: &'a mut Open) -> Preparing<'a> {
        let heard = match self.hear(incoming, body, open) {
            Ok(heard) => heard,
            Err(refusal) => return Preparing::Done(Err(refusal)),
        };
        let embedders = &self.needs.embedders;
        let choosing = heard.model.extras.choosing.as_ref();
        let remote =
            choosing.zip(heard.question.as_deref()).and_then(|(choosing, text)| choosing.to_ask(text, embedders));
        let Some(remote) = remote.cloned() else { return Preparing::Done(self.settle(incoming, heard, open)) };
        Preparing::Waiting(Box::pin(async move {
            let clock = &*self.needs.services.clock;
            let began = clock.now();
            let text = heard.question.as_deref().unwrap_or_default();
            remote.learn(text, embedders, heard.patience, clock).await;
            open.waited(clock.now().since(began));
            self.settle(incoming, heard, open)
        }))
    }

    /// Reads the request, and finds the model for it.
    fn hear(&self, incoming: &Incoming, body: Bytes, open: &mut Open) -> Result<Heard, Refusal> {
        let Incoming { head, operation, dialect, snapshot, arrived } = incoming;
        let patience = patience(head)?;
        let grant = open.grant().clone();
        let mut choice = Choice::default();
        let mut budget = None;
        let mut gates = None;
        let mut led_from = None;
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
        let question =
            what.ask().zip(model.extras.choosing.as_ref()).and_then(|(ask, choosing)| choosing.question(ask));
        Ok(Heard { what, model, led_from, budget, gates, choice, question, patience })
    }

    /// Decides who is asked, and holds back what that may cost.
    fn settle(&self, incoming: &Incoming, heard: Heard, open: &mut Open) -> Result<Prepared, Refusal> {
        let Incoming { head, operation, snapshot, arrived, .. } = incoming;
        let Heard { what, model, led_from, budget, gates, mut choice, question, patience } = heard;
        let grant = open.grant().clone();
        let ask = what.ask();
        let previous = ask.map_or(Ok(None), |ask| kept_by(ask, &self.needs.seal, &grant))?;
        let wish = Wish {
            ask,
            strict: model.extras.strict,
            needs_price: (grant.needs_price() || budget.is_some()) && *operation != Operation::CountTokens,
            kept_by: previous.as_ref().map(|(target, _)| target),
            // A rule leads to another model, and not out of what the one that was asked for has to keep to.
            require: [&model.extras, led_from.as_ref().map_or(&model.extras, |from| &from.extras)]
                .map(|extras| extras.require.as_ref()),
        };
        let fits = Fits::new(&wish, &model.known(), *arrived);
        let question = question.as_deref();
        let understanding = ask.and_then(|ask| self.understand(ask, question, &model, &head.headers, &mut choice));
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

    /// What is found out about `ask` and its `question`, where the model scores.
    pub(crate) fn understand(
        &self,
        ask: &Ask,
        question: Option<&str>,
        model: &Model,
        headers: &HeaderMap,
        choice: &mut Choice,
    ) -> Option<Understanding> {
        let choosing = model.extras.choosing.as_ref()?;
        let leaves = model.lanes.len();
        Some(choosing.understand(question, ask, headers, &self.needs.embedders, leaves, choice))
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
        let answers = !matches!(ask.operation, Operation::Embeddings);
        let (mut tokens, mut cost) = (0, Usd::default());
        for candidate in open.look().decision.eligible() {
            let input = call.estimate(ask, candidate.leaf);
            let lane = &call.lanes[candidate.leaf];
            let output = if answers { ask.largest_answer.unwrap_or(lane.max_output) } else { 0 };
            let expected = if answers { ask.largest_answer.unwrap_or(ask.expected_answer) } else { 0 };
            tokens = tokens.max(input.saturating_add(expected));
            if let Some(price) = lane.price {
                let usage = Usage { input, output, estimated: true, ..Usage::default() };
                cost = cost.max(price.cost(&usage));
            }
        }
        // On the day on which the call came in, as the spend book has it.
        let reserved = grant.reserve_at(budget, tokens, cost, self.needs.services.clock.now(), open.look().at);
        open.hold(reserved.map_err(|limit| over_limit(&limit))?);
        Ok(())
    }

    /// Gives a kept answer, or has the call driven.
    async fn find_or_drive(&self, prepared: Prepared, dialect: Dialect, open: Open, arrived: Moment) -> Response {
        let Prepared { call, model, patience } = &prepared;
        let Some(kept) = &model.extras.kept else { return self.drive(prepared, dialect, open, arrived, None).await };
        let timeouts = &model.terms.timeouts;
        let limit = patience.map_or(timeouts.total, |patience| patience.min(timeouts.total));
        let by_caller = patience.is_some_and(|patience| patience < timeouts.total);
        let patience = Patience { until: arrived + limit, by_caller, first_token: timeouts.first_token };
        let Needs { services, embedders, .. } = &self.needs;
        match kept.look(call, open, services, embedders, patience).await {
            Found::Answer(response) => response,
            Found::Ask(open, keeping) => self.drive(prepared, dialect, open, arrived, keeping).await,
            Found::Over(open, fault) => {
                let failure = Failure { fault, retry_after: None, budget_spent: false, open };
                self.failed(call, model, dialect, failure).await
            }
        }
    }

    /// Has the call driven. What comes of it is kept with `keeping`.
    async fn drive(
        &self,
        prepared: Prepared,
        dialect: Dialect,
        open: Open,
        arrived: Moment,
        keeping: Option<Box<Keeping>>,
    ) -> Response {
        let Prepared { call, model, patience } = prepared;
        let id = open.id();
        let decision = &open.look().decision;
        if decision.eligible().is_empty() {
            let (refusal, fault) = nobody_eligible(decision, call.fits.nobody());
            return Box::pin(self.without_answer(&call, &model, dialect, open, refusal, fault)).await;
        }
        let first = decision.eligible()[0].leaf;
        let tokens = match &call.what {
            What::Ask(ask) => call.estimate(ask, first) + ask.expected_answer,
            What::Unknown { .. } => 0,
        };
        let result = run(Call {
            services: self.needs.services.clone(),
            lanes: model.lanes.clone(),
            terms: model.terms.clone(),
            open,
            arrived,
            patience,
            tokens,
            protocol: call.clone(),
        })
        .await;
        let (head, body, target) = match result {
            Ok(Reply::Whole { head, body, target, finding }) => {
                if let Some(keeping) = keeping {
                    keeping.keep(&Told::new(&head, &target, &call), &body, &finding);
                }
                (head, Body::whole(body), target)
            }
            Ok(Reply::Refusal { head, body, target }) => {
                // It is about this request, which others may have sent with other words beside it.
                if let Some(keeping) = keeping {
                    keeping.let_go();
                }
                (head, Body::whole(body), target)
            }
            Ok(Reply::Stream { head, relay, target }) => {
                let body = match keeping {
                    None => Body::stream(relay),
                    Some(keeping) => Body::stream(Tee::new(relay, keeping, Told::new(&head, &target, &call))),
                };
                (head, body, target)
            }
            Err(failure) => {
                // Whoever waits for this answer asks now, and does not wait for what is said here instead.
                drop(keeping);
                return Box::pin(self.failed(&call, &model, dialect, failure)).await;
            }
        };
        let mut response = Response::from_parts(head, body);
        // The version is that of the connection to the provider; the caller's own is the server's to say.
        *response.version_mut() = http::Version::HTTP_11;
        mark(&mut response, Some(id), Some(&target));
        let leaf = model.lanes.iter().position(|lane| *lane.target.id() == target);
        let dropped = leaf.map_or(&[][..], |leaf| call.dropped(leaf));
        if !dropped.is_empty()
            && let Ok(value) = HeaderValue::try_from(dropped.join(", "))
        {
            response.headers_mut().insert(DROPPED, value);
        }
        response
    }

    /// What a caller gets after a call that came to nothing.
    async fn failed(&self, call: &ModelCall, model: &Model, dialect: Dialect, failure: Failure) -> Response {
        let attempts = &failure.open.look().attempts;
        let mut refusal = after_attempts(&failure, model.name.as_str(), attempts.len());
        if failure.fault.kind == FaultKind::NoSuchPath {
            refusal.field = attempts.last().and_then(|last| call.field_in_the_way(&last.target)).map(Into::into);
        }
        self.without_answer(call, model, dialect, failure.open, refusal, failure.fault).await
    }

    /// What a caller gets whom no target has answered: a count made here where counting was asked for, an answer by rule
    /// where the model has a last resort, the refusal otherwise.
    async fn without_answer(
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

/// A request whose body has not been read.
struct Incoming {
    head: request::Parts,
    operation: Operation,
    dialect: Dialect,
    snapshot: Arc<Snapshot>,
    arrived: Moment,
}

/// Says that a path takes POST only.
async fn method_not_allowed(incoming: Incoming, body: Unread) -> Response {
    let message = format!("{} takes POST only", incoming.head.uri.path());
    let refusal = Refusal::new(Code::MethodNotAllowed, message);
    let was_read = discard(&incoming.head.headers, body).await;
    let mut response = render(incoming.dialect, &if was_read { refusal } else { refusal.closing() });
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A call that has been read.
struct Heard {
    what: What,
    model: Arc<Model>,
    /// The model that was asked for, when a rule led from it to another.
    led_from: Option<Arc<Model>>,
    /// What the calls of the model that was asked for may cost.
    budget: Option<ModelBudget>,
    gates: Option<Arc<Gates>>,
    choice: Choice,
    /// The text that is compared, where the model scores.
    question: Option<String>,
    patience: Option<Duration>,
}

/// A call on its way to a decision.
enum Preparing<'a> {
    Done(Result<Prepared, Refusal>),
    /// Boxed, since it is rare and every call would be the larger for it.
    Waiting(Pin<Box<dyn Future<Output = Result<Prepared, Refusal>> + Send + 'a>>),
}

/// A call that has been decided.
struct Prepared {
    call: Arc<ModelCall>,
    model: Arc<Model>,
    patience: Option<Duration>,
}

/// The trace that a call belongs to: the caller's, or a new one when spans are exported, of which `share` are recorded.
fn trace(headers: &HeaderMap, share: Option<f64>) -> Option<Trace> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let parent = text("traceparent");
    if share.is_none() && parent.is_none() {
        return None;
    }
    let trace = Trace::from_headers(parent, text("tracestate"), &mut || fastrand::u64(..));
    Some(trace.sampled_at(share.unwrap_or(0.0)))
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

fn close_refused(open: Open, dialect: Dialect, mut refusal: Refusal, fault: Fault, outcome: Outcome) -> Response {
    refusal.decision = Some(open.id());
    refusal.target = open.look().attempts.last().map(|attempt| attempt.target.clone());
    let response = render(dialect, &refusal);
    open.close(Ending { outcome, status: refusal.status, fault: Some(fault), code: Some(refusal.code) });
    response
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
