//! The record of one request, closed exactly once: at the end of its body, or when that is dropped.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tradewind_access::Grant;
use tradewind_core::Moment;
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
pub(super) struct Recording(Option<Open>);

struct Open {
    inner: Arc<Inner>,
    arrived: Moment,
    record: Box<Record>,
}

impl Recording {
    pub(super) fn begin(beginning: Beginning<'_>, operation: &'static str, about: &Arc<str>) -> Self {
        let Beginning { inner, arrived, grant, policy, mount } = beginning;
        let at = inner.needs.clock.wall();
        let mut record = Record::boxed(inner.needs.ids.next(at), at, "modules", operation, Arc::clone(policy));
        record.model = match about.len() {
            0..=NAME_KEPT => Arc::clone(about),
            _ => about[..about.floor_char_boundary(NAME_KEPT)].into(),
        };
        record.resolved = Some(Arc::clone(mount.tree.shared_name()));
        record.key = grant.name().cloned();
        record.tenant = grant.tenant().cloned();
        Self(Some(Open { inner, arrived, record }))
    }

    /// The id for the caller.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let letters = self.0.as_ref()?.record.id.letters();
        HeaderValue::from_bytes(&letters).ok()
    }

    /// Notes what is being answered.
    pub(super) fn answers(&mut self, status: u16, taken: Option<(Taken, &str)>) {
        if let Some(Open { inner, arrived, record }) = &mut self.0 {
            record.status = status;
            record.first_byte = Some(inner.needs.clock.now().since(*arrived));
            let note = taken.map(|(taken, from)| Cow::Owned([taken.name(), ", from ", from].concat()));
            record.notes = Vec::from_iter(note);
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
        let Some(Open { inner, arrived, mut record }) = self.0.take() else { return };
        record.network = (inner.needs.network)();
        record.outcome = outcome;
        if let Some(failure) = failure {
            record.fault = Some(failure.kind.fault());
            record.code = Some(failure.kind.code());
            let said = failure.inside.as_ref().unwrap_or(&failure.reason);
            record.detail = Some(Cow::Owned(said.to_string()));
        }
        record.elapsed = inner.needs.clock.now().since(arrived);
        inner.needs.sinks.finish(record);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.close(Outcome::ClientGone, None);
    }
}
