//! The models door itself: what it was given and which document it serves, and the way of a call through it, of which
//! each step has a file: `prepare` from body to decision, `drive` from decision to response, `reply` where nobody answered.

mod drive;
mod prepare;
mod reply;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header, request};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tradewind_access::{Grant, ModelBudgetStatus, ModelBudgets};
use tradewind_core::{Code, DecisionIds, Dialect, Fault, FaultKind, Moment, TargetId};
use tradewind_dispatch::{Open, Services};
use tradewind_door::{Door, Refusal, Request, Response, Unread, discard, read_body};
use tradewind_egress::{Egress, Roots};
use tradewind_policy::Shared;
use tradewind_quality::SchemaCache;
use tradewind_runtime::{Caller, KeyRings, Live, Targets};
use tradewind_telemetry::{Outcome, Preview, Record, Trace};
use tradewind_tokens::Estimator;

use self::prepare::Preparing;
pub(crate) use self::prepare::kept_by;
use self::reply::close_refused;
use crate::ask::Operation;
use crate::cached::AnswersKept;
use crate::embedding::Embedders;
use crate::failure::{over_limit, render};
use crate::link::LinkError;
use crate::list::{dialect_of, list};
use crate::preview::{PreviewRequest, preview};
use crate::seal::Seal;
use crate::section::Models;
use crate::snapshot::{Snapshot, Source};
use crate::targets::{TargetLoad, budgets, loads, targets};

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
    pub ids: Arc<DecisionIds>,
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
        preview(&self.0, asked, grant, false)
    }

    /// The same, where scores leave nothing to chance: the best total is taken.
    ///
    /// # Errors
    /// As [`Self::preview`].
    pub fn preview_settled(&self, asked: &PreviewRequest, grant: &Grant) -> Result<Preview, Refusal> {
        preview(&self.0, asked, grant, true)
    }

    /// Lets the `select` model `name` use `target`, until the target is taken out of the document. False when there is no such model or
    /// member.
    #[must_use]
    pub fn select(&self, name: &str, target: &str) -> bool {
        self.0.snapshot.get().model(name).is_some_and(|model| model.select_target(target))
    }

    /// The member that the `select` model `name` uses.
    #[must_use]
    pub fn selected(&self, name: &str) -> Option<String> {
        self.0.snapshot.get().model(name)?.selected_target().map(str::to_owned)
    }

    /// Whether the model `name` has the member `target`.
    #[must_use]
    pub fn has_member(&self, name: &str, target: &str) -> bool {
        self.0.snapshot.get().model(name).is_some_and(|model| model.place_of(target).is_some())
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
        let mut record = Record::boxed(id, at, "models", incoming.operation.name(), policy);
        record.dialect = Some(incoming.dialect);
        record.key = grant.name().cloned();
        record.tenant = grant.tenant().cloned();
        record.trace = trace(&incoming.head.headers, services.sampling.get());
        Open::new(record, services.clone(), incoming.arrived, caller, grant)
    }
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
