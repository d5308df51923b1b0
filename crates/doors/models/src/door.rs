//! The way of a call through the door: path, body, model, decision, dispatch, response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header, request};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tradewind_core::{Code, DecisionIds, Dialect, Fault, FaultKind, Moment, TargetId, parse_duration};
use tradewind_decide::Decision;
use tradewind_dispatch::{Call, Ending, Open, Reply, Services, run};
use tradewind_door::{Body, Door, Refusal, Request, Response, read_body};
use tradewind_egress::{Egress, Roots};
use tradewind_policy::Shared;
use tradewind_runtime::{Caller, KeyRings, Live, Targets};
use tradewind_telemetry::{Outcome, Preview, Record};

use crate::ask::{Ask, Operation};
use crate::call::{ModelCall, What};
use crate::failure::{after_attempts, mark, nobody_eligible, render};
use crate::headers::passed_on;
use crate::link::LinkError;
use crate::list::{dialect_of, list};
use crate::model::{Model, Wish};
use crate::preview::{PreviewRequest, preview};
use crate::rules::Rules;
use crate::section::Models;
use crate::snapshot::{Snapshot, Source};

/// What is served, for whoever asks for something else.
const SERVED: &str = "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/messages, \
                      /v1/messages/count_tokens and GET /v1/models";
/// The header in which a caller says how long it will wait.
const TIMEOUT: &str = "x-tradewind-timeout";
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
}

/// The models door.
#[derive(Clone)]
pub struct ModelsDoor(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: Needs,
    pub(crate) snapshot: Live<Snapshot>,
    roots: Roots,
    /// What providers have told; kept over reloads.
    discovered: Mutex<Vec<TargetId>>,
}

impl ModelsDoor {
    /// A door for one document.
    ///
    /// # Errors
    /// When a provider cannot be used: its file of certificates, its URL, a key that is not a header.
    pub fn new(shared: &Shared, models: &Models, policy: &str, needs: Needs, roots: Roots) -> Result<Self, LinkError> {
        let source = Source {
            shared,
            models,
            policy,
            discovered: Vec::new(),
            needs: &needs,
            roots: &roots,
            now: needs.services.clock.now(),
        };
        let snapshot = Live::new(Snapshot::new(source)?);
        Ok(Self(Arc::new(Inner { needs, snapshot, roots, discovered: Mutex::default() })))
    }

    /// Puts another document in place. Calls in flight finish on the one that they started with.
    ///
    /// # Errors
    /// As [`Self::new`]; then the old document stays.
    pub fn reload(&self, shared: &Shared, models: &Models, policy: &str) -> Result<(), LinkError> {
        let inner = &self.0;
        let discovered = inner.discovered.lock().clone();
        let now = inner.needs.services.clock.now();
        let source = Source { shared, models, policy, discovered, needs: &inner.needs, roots: &inner.roots, now };
        let next = Snapshot::new(source)?;
        next.keep_selections(&inner.snapshot.get());
        inner.snapshot.swap(next);
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

    /// What would be decided for a call. Calls nobody.
    ///
    /// # Errors
    /// When the call would be refused before a decision.
    pub fn preview(&self, asked: &PreviewRequest) -> Result<Preview, Refusal> {
        preview(&self.0, asked)
    }

    /// Lets the `select` model `name` use `target`, until the process ends or the target is taken out of the document. False when there is no such model or member.
    #[must_use]
    pub fn select(&self, name: &str, target: &str) -> bool {
        self.0.snapshot.get().model(name).is_some_and(|model| model.select_target(target))
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
        let inner = self.0.clone();
        Box::pin(async move { inner.answer(request).await })
    }

    fn refuse(&self, head: &request::Parts, refusal: &Refusal) -> Response {
        let dialect = Operation::of_path(head.uri.path()).map_or_else(|| dialect_of(head), Operation::dialect);
        render(dialect, refusal)
    }
}

impl Inner {
    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let Request { head, body, arrived, caller } = request;
        let snapshot = self.snapshot.get();
        if head.method == Method::GET
            && let Some(response) = list(&head, &snapshot)
        {
            return response;
        }
        let operation = Operation::of_path(head.uri.path()).unwrap_or(Operation::Passthrough);
        let dialect = match operation {
            Operation::Passthrough => dialect_of(&head),
            known => known.dialect(),
        };
        if operation != Operation::Passthrough && head.method != Method::POST {
            let message = format!("{} takes POST only", head.uri.path());
            let mut response = render(dialect, &Refusal::new(Code::MethodNotAllowed, message));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let mut open = self.open(operation, dialect, &snapshot, arrived, caller);
        let read = read_body(&head, body, snapshot.limits.body).await;
        let prepared =
            read.and_then(|body| self.prepare(&head, operation, dialect, body, &snapshot, arrived, &mut open));
        match prepared {
            Ok(prepared) => self.drive(prepared, dialect, open, arrived).await,
            Err(refusal) => {
                let fault = Fault::new(FaultKind::Rejected, refusal.message.clone());
                close_refused(open, dialect, refusal, fault, Outcome::Rejected)
            }
        }
    }

    /// Opens the record of a call: from here on there is exactly one, however the call ends.
    fn open(
        &self,
        operation: Operation,
        dialect: Dialect,
        snapshot: &Snapshot,
        arrived: Moment,
        caller: Caller,
    ) -> Open {
        let services = &self.needs.services;
        let at = services.clock.wall();
        let record = Record {
            id: self.needs.ids.next(at),
            at,
            door: "models",
            dialect: Some(dialect),
            operation: operation.name(),
            stream: false,
            model: Arc::from(""),
            decision: Decision::default(),
            attempts: SmallVec::new(),
            chosen: None,
            outcome: Outcome::Failed,
            fault: None,
            detail: None,
            code: None,
            status: 0,
            usage: None,
            cost: None,
            elapsed: Duration::ZERO,
            first_byte: None,
            network: None,
            policy: snapshot.policy.clone(),
            events_dropped: 0,
            notes: Vec::new(),
        };
        Open::new(Box::new(record), services.clone(), arrived, caller)
    }

    /// Reads the request and decides.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another thing, and a struct for one call site hides nothing"
    )]
    fn prepare(
        &self,
        head: &request::Parts,
        operation: Operation,
        dialect: Dialect,
        body: Bytes,
        snapshot: &Snapshot,
        arrived: Moment,
        open: &mut Open,
    ) -> Result<Prepared, Refusal> {
        let patience = patience(head)?;
        let (what, model, wish) = if operation == Operation::Passthrough {
            let path = head.uri.path();
            let model = snapshot.passthrough(dialect, &self.needs, arrived).ok_or_else(|| {
                let message =
                    format!("{path} is not served, and no provider has `passthrough: true`; served are {SERVED}");
                Refusal::new(Code::UnknownPath, message)
            })?;
            open.edit().model = Arc::from(path.chars().take(NAME_KEPT).collect::<String>());
            let what = What::Unknown { method: head.method.clone(), path: path.to_owned(), body };
            (what, Arc::new(model), Wish::Passthrough)
        } else {
            let ask = Ask::read(operation, body)?;
            let record = open.edit();
            record.stream = ask.stream;
            record.model = match ask.model.char_indices().nth(NAME_KEPT) {
                None => Arc::from(ask.model.as_str()),
                Some((end, _)) => Arc::from(&ask.model[..end]),
            };
            let model = snapshot.resolve(&ask.model, &self.needs, arrived)?;
            (What::Ask(ask), model, Wish::Dialect(dialect))
        };
        open.edit().decision = model.decide(wish, &self.needs.services.health, arrived);
        let call = ModelCall {
            what,
            headers: passed_on(&head.headers),
            query: head.uri.query().map(str::to_owned),
            lanes: model.lanes.clone(),
            links: model.links.clone(),
            event_limit: snapshot.limits.answer.event,
        };
        Ok(Prepared { call: Arc::new(call), model, wish, patience })
    }

    async fn drive(&self, prepared: Prepared, dialect: Dialect, mut open: Open, arrived: Moment) -> Response {
        let Prepared { call, model, wish, patience } = prepared;
        let id = open.id();
        let decision = &open.look().decision;
        if decision.eligible().is_empty() {
            let (refusal, fault) = nobody_eligible(decision, model.never_fits(wish));
            return self.last_resort(&call, &model, dialect, open, refusal, fault);
        }
        let tokens = match &call.what {
            What::Ask(ask) => ask.estimated_total,
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
            Ok(Reply::Whole { head, body, target } | Reply::Refusal { head, body, target }) => {
                (head, Body::whole(body), target)
            }
            Ok(Reply::Stream { head, relay, target }) => (head, Body::stream(relay), target),
            Err(failure) => {
                let attempts = failure.open.look().attempts.len();
                let refusal = after_attempts(&failure, model.name.as_str(), attempts);
                open = failure.open;
                return self.last_resort(&call, &model, dialect, open, refusal, failure.fault);
            }
        };
        let mut response = Response::from_parts(head, body);
        // The version is that of the connection to the provider; the caller's own is the server's to say.
        *response.version_mut() = http::Version::HTTP_11;
        mark(&mut response, Some(id), Some(&target));
        response
    }

    /// Answers by rule where the model has a last resort, with the refusal otherwise.
    fn last_resort(
        &self,
        call: &ModelCall,
        model: &Model,
        dialect: Dialect,
        mut open: Open,
        refusal: Refusal,
        fault: Fault,
    ) -> Response {
        let caller_gave_up = matches!(fault.kind, FaultKind::Deadline | FaultKind::Draining);
        let (What::Ask(ask), Some(rules), false) = (&call.what, &model.last_resort, caller_gave_up) else {
            let outcome = if refusal.code == Code::WrongDialect { Outcome::Rejected } else { Outcome::Failed };
            return close_refused(open, dialect, refusal, fault, outcome);
        };
        if !Rules::answers(ask.operation) {
            return close_refused(open, dialect, refusal, fault, Outcome::Failed);
        }
        let id = open.id();
        let target = rules.target();
        let mut response = rules.respond(ask, id, self.needs.services.clock.wall());
        mark(&mut response, Some(id), Some(&target));
        open.edit().chosen = Some(target);
        open.close(Ending { outcome: Outcome::LastResort, status: 200, fault: Some(fault), code: None });
        response
    }
}

/// A call that has been decided.
struct Prepared {
    call: Arc<ModelCall>,
    model: Arc<Model>,
    wish: Wish,
    patience: Option<Duration>,
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
