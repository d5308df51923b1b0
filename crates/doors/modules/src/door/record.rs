//! The record of one request, closed exactly once: at the end of its body, or when that is dropped.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tradewind_access::Grant;
use tradewind_core::{DecisionId, Moment, UnixMillis};
use tradewind_telemetry::{Outcome, Record};

use super::Inner;
use crate::failure::Failure;
use crate::fetch::{Mount, Taken};

/// The header that tells a caller the id of its record.
pub(super) const DECISION: HeaderName = HeaderName::from_static("x-tradewind-decision");
/// What of a module's name stands in a record, in bytes.
const NAME_KEPT: usize = 200;

/// What a record begins with.
pub(super) struct Beginning<'a> {
    pub(super) inner: Arc<Inner>,
    pub(super) arrived: Moment,
    pub(super) grant: &'a Grant,
    pub(super) policy: &'a Arc<str>,
    pub(super) mount: &'a Mount,
}

/// A record that is not closed yet.
pub(super) struct Recording(Option<Box<Open>>);

struct Open {
    inner: Arc<Inner>,
    id: DecisionId,
    at: UnixMillis,
    arrived: Moment,
    operation: &'static str,
    about: Arc<str>,
    tree: Arc<str>,
    key: Option<Arc<str>>,
    tenant: Option<Arc<str>>,
    policy: Arc<str>,
    status: u16,
    taken: Option<(Taken, Arc<str>)>,
    first_byte: Option<Moment>,
}

impl Recording {
    pub(super) fn begin(beginning: Beginning<'_>, operation: &'static str, about: &str) -> Self {
        let Beginning { inner, arrived, grant, policy, mount } = beginning;
        let at = inner.needs.clock.wall();
        Self(Some(Box::new(Open {
            id: inner.needs.ids.next(at),
            at,
            arrived,
            operation,
            about: about[..about.floor_char_boundary(NAME_KEPT)].into(),
            tree: Arc::clone(mount.tree.shared_name()),
            key: grant.name().cloned(),
            tenant: grant.tenant().cloned(),
            policy: Arc::clone(policy),
            status: 0,
            taken: None,
            first_byte: None,
            inner,
        })))
    }

    /// The id for the caller.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let letters = self.0.as_ref()?.id.letters();
        HeaderValue::from_bytes(&letters).ok()
    }

    /// Notes what is being answered.
    pub(super) fn answers(&mut self, status: u16, taken: Option<(Taken, Arc<str>)>) {
        if let Some(open) = &mut self.0 {
            open.status = status;
            open.taken = taken;
            open.first_byte = Some(open.inner.needs.clock.now());
        }
    }

    /// It was answered whole.
    pub(super) fn whole(mut self) {
        self.close(Outcome::Ok, None);
    }

    /// It was refused, or something went wrong.
    pub(super) fn failed(mut self, failure: &Failure) {
        let outcome = if failure.kind.is_refusal() { Outcome::Rejected } else { Outcome::Failed };
        self.answers(failure.status, None);
        self.close(outcome, Some(failure));
    }

    /// Something went wrong after a part of the answer had been given.
    pub(super) fn broke_off(mut self, failure: &Failure) {
        self.close(Outcome::Partial, Some(failure));
    }

    fn close(&mut self, outcome: Outcome, failure: Option<&Failure>) {
        let Some(open) = self.0.take() else { return };
        let Open { inner, id, at, arrived, operation, about, tree, key, tenant, policy, status, taken, first_byte } =
            *open;
        let mut record = Box::new(Record::new(id, at, "modules", operation, policy));
        record.model = about;
        record.resolved = Some(tree);
        record.key = key;
        record.tenant = tenant;
        record.network = (inner.needs.network)();
        record.status = status;
        record.outcome = outcome;
        if let Some(failure) = failure {
            record.fault = Some(failure.kind.fault());
            record.code = Some(failure.kind.code());
            let said = failure.inside.as_ref().unwrap_or(&failure.reason);
            record.detail = Some(Cow::Owned(said.to_string()));
        }
        if let Some((taken, from)) = taken {
            record.notes.push(Cow::Owned([taken.name(), ", from ", &from].concat()));
        }
        record.first_byte = first_byte.map(|at| at.since(arrived));
        record.elapsed = inner.needs.clock.now().since(arrived);
        inner.needs.sinks.finish(record);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.close(Outcome::ClientGone, None);
    }
}
