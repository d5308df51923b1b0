//! The record of one call that changes something, closed exactly once: with its answer, or when the caller goes away.
//!
//! Reads have none: an agent reads before every step, and a record of each would make the journal one of reads. They are
//! counted instead, see [`Counted`](crate::Counted). But a read that the store failed has one: what is damaged, or which
//! server is away, stands nowhere else.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tradewind_access::Grant;
use tradewind_core::{Clock, Code, DecisionId, DecisionIds, FaultKind, Moment, UnixMillis};
use tradewind_store::Key;
use tradewind_telemetry::{Outcome, Record, Sinks};

use crate::route::Operation;

/// The header that tells a caller the id of its record.
const DECISION: HeaderName = HeaderName::from_static("x-tradewind-decision");
/// What of a key's name stands in a record, in bytes.
const NAME_KEPT: usize = 200;

/// Where records go.
pub struct Records {
    /// The sinks.
    pub sinks: Arc<Sinks>,
    /// The source of their ids.
    pub ids: Arc<DecisionIds>,
    /// The name of the network that the machine is in.
    pub network: Box<dyn Fn() -> Option<Arc<str>> + Send + Sync>,
}

/// A record that is not closed yet.
pub(crate) struct Recording<'a>(Option<Open<'a>>);

struct Open<'a> {
    records: &'a Records,
    clock: &'a dyn Clock,
    grant: &'a Grant,
    policy: Arc<str>,
    id: DecisionId,
    at: UnixMillis,
    arrived: Moment,
    operation: Operation,
    about: Arc<str>,
    /// The namespace, where the document names it: what only a caller wrote is no label.
    resolved: Option<Arc<str>>,
}

impl<'a> Recording<'a> {
    /// None.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(crate) fn begin(
        records: &'a Records,
        clock: &'a dyn Clock,
        grant: &'a Grant,
        policy: Arc<str>,
        operation: Operation,
        arrived: Moment,
    ) -> Self {
        let at = clock.wall();
        let id = records.ids.next(at);
        let (about, resolved) = (Arc::from(""), None);
        Self(Some(Open { records, clock, grant, policy, id, at, arrived, operation, about, resolved }))
    }

    /// Notes what it is about. `is_known`: whether the document names the namespace.
    pub(crate) fn about(&mut self, key: &Key, is_known: bool) {
        if let Some(open) = &mut self.0 {
            let name = key.to_string();
            open.about = Arc::from(&name[..name.floor_char_boundary(NAME_KEPT)]);
            open.resolved = is_known.then(|| key.namespace.shared());
        }
    }

    /// Closes it. `failure`: the code that the caller saw, what went wrong in the words of who knows, and whether the store
    /// is to blame.
    pub(crate) fn close(
        mut self,
        status: u16,
        failure: Option<(Code, String, bool)>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let open = self.0.take()?;
        let id = HeaderValue::from_bytes(&open.id.letters()).ok();
        let outcome = match &failure {
            None => Outcome::Ok,
            Some((.., true)) => Outcome::Failed,
            Some(_) => Outcome::Rejected,
        };
        open.finish(outcome, status, failure);
        id.map(|id| (DECISION, id))
    }
}

impl Open<'_> {
    fn finish(self, outcome: Outcome, status: u16, failure: Option<(Code, String, bool)>) {
        let mut record = Record::boxed(self.id, self.at, "state", self.operation.name(), self.policy);
        record.model = self.about;
        record.resolved = self.resolved;
        record.key = self.grant.name().cloned();
        record.tenant = self.grant.tenant().cloned();
        record.network = (self.records.network)();
        record.status = status;
        record.outcome = outcome;
        if let Some((code, detail, is_of_store)) = failure {
            record.fault = is_of_store.then_some(FaultKind::Storage);
            record.code = Some(code);
            record.detail = Some(Cow::Owned(detail));
        }
        record.elapsed = self.clock.now().since(self.arrived);
        self.records.sinks.finish(record);
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.finish(Outcome::ClientGone, 0, None);
        }
    }
}
