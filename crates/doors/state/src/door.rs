//! The door itself: who may have what, which of the operations it is, and how an answer or a failure goes out.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, ETAG, HeaderValue};
use http::request;
use http_body::Body as _;
use tradewind_access::Grant;
use tradewind_core::{Clock, Code, Moment};
use tradewind_door::{BodyLimits, Door, Refusal, Request, Response, Unread, discard, read_body};
use tradewind_runtime::{Live, Stages};
use tradewind_store::state::At;
use tradewind_store::{Key, Namespace, Settings, State, StateError};

use crate::failure::{code, detail, is_of_store, refusal, rendered};
use crate::head::{EPOCH, Return, epoch_value, etag, preferred};
use crate::query::Query;
use crate::record::{Recording, Records};
use crate::route::{self, About, Operation};
use crate::spec::{Content, spec};
use crate::{manage, openapi, read, watch, write};

/// The most that a body of JSON that is no value can be.
const SMALL: usize = 64 * 1024;
/// Silence between two pieces of a body, and how long all of it may take.
const IDLE: Duration = Duration::from_secs(15);
const TOTAL: Duration = Duration::from_secs(120);

/// What the door needs from the rest of the process.
pub struct Needs {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether the process is stopping: watches end then.
    pub stages: Stages,
    /// Where records of calls that change something go; none where nobody keeps any.
    pub records: Option<Records>,
}

/// The state door.
#[derive(Clone)]
pub struct StateDoor(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: Needs,
    snapshot: Live<Snapshot>,
    /// How many documents were put in place.
    documents: Arc<AtomicU64>,
    counters: Counters,
}

/// One document.
struct Snapshot {
    state: Arc<State>,
    /// Namespaces that the document names.
    known: BTreeSet<Namespace>,
    /// The most that any value can be, in bytes.
    largest: usize,
    policy: Arc<str>,
}

#[derive(Default)]
struct Counters {
    reads: AtomicU64,
    refused_reads: AtomicU64,
    watches: Arc<AtomicU64>,
}

/// What the door counts beside the records of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Reads that were answered: values, lists, histories, differences.
    pub reads: u64,
    /// Reads that were answered with an error.
    pub refused_reads: u64,
    /// Watches that are open now.
    pub watches: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    State(StateError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// A call on its way through the door.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) head: &'a request::Parts,
    pub(crate) grant: &'a Grant,
    pub(crate) query: Query<'a>,
    pub(crate) body: Bytes,
}

impl StateDoor {
    /// A door over `state`, which has these settings, for the document of this digest.
    #[must_use]
    pub fn new(state: Arc<State>, settings: &Settings, policy: &str, needs: Needs) -> Self {
        let snapshot = Live::new(Snapshot::new(state, settings, policy));
        Self(Arc::new(Inner { needs, snapshot, documents: Arc::default(), counters: Counters::default() }))
    }

    /// Goes on with another document. Calls in flight finish on the one that they started with, but for watches, which never
    /// would: they end with the next change or beat, and their callers begin anew with what they may use now.
    pub fn put_in_place(&self, state: Arc<State>, settings: &Settings, policy: &str) {
        self.0.snapshot.swap(Snapshot::new(state, settings, policy));
        self.0.documents.fetch_add(1, Ordering::AcqRel);
    }

    /// The state that is served now.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.0.snapshot.look().state.clone()
    }

    /// What is counted beside records.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let Counters { reads, refused_reads, watches } = &self.0.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted { reads: count(reads), refused_reads: count(refused_reads), watches: count(watches) }
    }

    /// A way back to the door for those that it holds itself, such as metrics: nothing once the door is gone.
    pub fn weak(&self) -> impl Fn() -> Option<Self> + Send + Sync + use<> + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map(Self)
    }

    /// Answers a request that came by no connection: for the command line, when no gateway runs.
    pub async fn answer_here(&self, head: &request::Parts, body: Bytes, grant: &Grant) -> Response {
        self.0.answer(head, Unsent::Here(body), grant, self.0.needs.clock.now()).await
    }
}

/// A body that is still to be read, or is here already.
enum Unsent {
    Coming(Unread),
    Here(Bytes),
}

impl Unsent {
    /// All of it, for `operation`.
    async fn read(self, operation: Operation, head: &request::Parts, largest: usize) -> Result<Bytes, Refusal> {
        let size = match spec(operation).body.map(|body| body.content) {
            Some(Content::Value | Content::Change) => largest,
            _ => SMALL,
        };
        let body = match self {
            Self::Here(body) if body.len() > size => return Err(too_large(size)),
            Self::Here(body) => return Ok(body),
            Self::Coming(body) => body,
        };
        let read = read_body(head, body, BodyLimits { size, idle: IDLE, total: TOTAL }).await;
        read.map_err(|refusal| match refusal.code {
            Code::BodyTooLarge => too_large(size).closing(),
            _ => refusal,
        })
    }

    /// Reads it away. `false` when some of it is left, and the connection has to be closed.
    async fn discard(self, head: &request::Parts) -> bool {
        match self {
            Self::Coming(body) if !body.is_end_stream() => discard(&head.headers, body).await,
            Self::Coming(_) | Self::Here(_) => true,
        }
    }
}

fn too_large(size: usize) -> Refusal {
    Refusal::new(Code::StateTooLarge, format!("the body is over the limit of {size} bytes"))
}

impl Snapshot {
    fn new(state: Arc<State>, settings: &Settings, policy: &str) -> Self {
        let own = settings.namespaces.values().filter_map(|own| own.max_value);
        let largest = own.fold(settings.max_value, u64::max);
        Self {
            state,
            known: settings.namespaces.keys().cloned().collect(),
            largest: usize::try_from(largest).unwrap_or(usize::MAX),
            policy: policy.into(),
        }
    }
}

impl Inner {
    async fn answer(&self, head: &request::Parts, body: Unsent, grant: &Grant, arrived: Moment) -> Response {
        let snapshot = self.snapshot.get();
        let mut body = Some(body);
        let (operation, about) = match route::asked(&head.method, head.uri.path()) {
            Ok(asked) => asked,
            Err(refusal) => {
                self.counters.refused_reads.fetch_add(1, Ordering::Relaxed);
                return unread(rendered(&refusal, head.uri.path()), head, body).await;
            }
        };
        let begin = || match &self.needs.records {
            Some(records) => {
                let policy = snapshot.policy.clone();
                Recording::begin(records, &*self.needs.clock, grant, policy, operation, arrived)
            }
            None => Recording::none(),
        };
        let mut recording = if operation.changes() { begin() } else { Recording::none() };
        let asked = Asked { snapshot: &snapshot, head, grant, operation, about: &about };
        match self.operate(&asked, &mut body, &mut recording).await {
            Ok(mut response) => {
                if !operation.changes() {
                    self.counters.reads.fetch_add(1, Ordering::Relaxed);
                }
                let id = recording.close(response.status().as_u16(), None);
                response.headers_mut().extend(id);
                response
            }
            Err(failure) => {
                if !operation.changes() {
                    self.counters.refused_reads.fetch_add(1, Ordering::Relaxed);
                }
                let (mut response, why) = asked.failed(failure).await;
                let (.., is_of_store) = why;
                if is_of_store && !operation.changes() {
                    // Whoever mends the store finds in it what the caller is not told.
                    recording = begin();
                    if let About::Key(key) = &about {
                        recording.about(key, snapshot.known.contains(&key.namespace));
                    }
                }
                let id = recording.close(response.status().as_u16(), Some(why));
                response.headers_mut().extend(id);
                unread(response, head, body).await
            }
        }
    }

    async fn operate(
        &self,
        asked: &Asked<'_>,
        body: &mut Option<Unsent>,
        recording: &mut Recording<'_>,
    ) -> Result<Response, Failure> {
        let Asked { snapshot, head, grant, operation, about } = *asked;
        if let About::Key(key) = about {
            recording.about(key, snapshot.known.contains(&key.namespace));
            may_use(grant, key)?;
        }
        let query = Query::read(head.uri.query(), operation)?;
        let unread = body.take();
        let body = match unread {
            Some(unread) if spec(operation).body.is_some() => unread.read(operation, head, snapshot.largest).await?,
            Some(unread) => {
                if !unread.discard(head).await {
                    return Err(too_large(0).closing().into());
                }
                Bytes::new()
            }
            None => Bytes::new(),
        };
        let call = Call { state: &snapshot.state, head, grant, query, body };
        match (operation, about) {
            (Operation::Get, About::Key(key)) => read::value(&call, key).await,
            (Operation::History, About::Key(key)) => read::history(&call, key).await,
            (Operation::Diff, About::Key(key)) => read::diff(&call, key).await,
            (Operation::Put, About::Key(key)) => write::put(call, key).await,
            (Operation::Patch, About::Key(key)) => write::patch(call, key).await,
            (Operation::Delete, About::Key(key)) => write::delete(&call, key).await,
            (Operation::Restore, About::Key(key)) => write::restore(&call, key).await,
            (Operation::Fork, About::Key(key)) => write::fork(&call, key).await,
            (Operation::Pin, About::Key(key)) => manage::pin(&call, key, true).await,
            (Operation::Unpin, About::Key(key)) => manage::pin(&call, key, false).await,
            (Operation::Prune, About::Key(key)) => manage::prune(&call, key).await,
            (Operation::Handoff, About::Key(key)) => manage::handoff(&call, key).await,
            (Operation::Redeem, _) => {
                let note = |key: &Key| recording.about(key, snapshot.known.contains(&key.namespace));
                manage::redeem(&call, note).await
            }
            (Operation::List, About::Namespace(namespace)) => read::keys(&call, namespace).await,
            (Operation::Watch, About::Namespace(namespace)) => {
                let stages = self.needs.stages.clone();
                let documents = watch::Documents::new(&self.documents);
                watch::changes(&call, namespace, stages, self.counters.watches.clone(), documents).await
            }
            (Operation::Namespaces, _) => read::namespaces(&call).await,
            (Operation::Describe, _) => Ok(openapi::response()),
            // The table has each operation at a place of one kind.
            (operation, _) => {
                let message = format!("`{}` has been asked about something else", operation.name());
                Err(Refusal::new(Code::Internal, message).into())
            }
        }
    }
}

/// Whose body has not been read: reads it away, or closes the connection.
async fn unread(mut response: Response, head: &request::Parts, body: Option<Unsent>) -> Response {
    if let Some(body) = body
        && !body.discard(head).await
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    snapshot: &'a Snapshot,
    head: &'a request::Parts,
    grant: &'a Grant,
    operation: Operation,
    about: &'a About,
}

impl Asked<'_> {
    /// The response to a failure, and what the record says of it.
    async fn failed(&self, failure: Failure) -> (Response, (Code, String, bool)) {
        let path = self.head.uri.path();
        let error = match failure {
            Failure::Refused(refusal) => {
                let why = (refusal.code, refusal.message.to_string(), false);
                return (rendered(&refusal, path), why);
            }
            Failure::State(error) => error,
        };
        let why = (code(&error), detail(&error), is_of_store(&error));
        let mut response = rendered(&refusal(&error), path);
        if let StateError::Lost { head: Some(head) } = &error {
            response.headers_mut().insert(ETAG, etag(head.rev));
            response.headers_mut().insert(EPOCH, epoch_value(head.epoch));
            if preferred(&self.head.headers) == Return::Representation
                && let About::Key(key) = self.about
                && let Ok(value) = self.snapshot.state.get(key, At::Head).await
            {
                response = read::lost(&value, path);
            }
        }
        (response, why)
    }
}

/// Whether the caller's key may use `state/NAMESPACE/NAME`.
pub(crate) fn may_use(grant: &Grant, key: &Key) -> Result<(), Refusal> {
    if grant.is_anyone() || grant.allows(&format!("state/{key}")) {
        return Ok(());
    }
    let name = grant.name().map_or("", |name| name);
    Err(Refusal::new(
        Code::NotAllowed,
        format!("the key `{name}` may not use this: `state/{key}` is not in its `allow`"),
    ))
}

impl Door for StateDoor {
    fn serves(&self, path: &str) -> bool {
        route::serves(path)
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let Request { head, body, arrived, grant, .. } = request;
            inner.answer(&head, Unsent::Coming(body), &grant, arrived).await
        })
    }

    fn refuse(&self, head: &request::Parts, refusal: &Refusal) -> Response {
        rendered(refusal, head.uri.path())
    }
}
