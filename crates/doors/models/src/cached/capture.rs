//! Takes the answer to a call that had to be made, so that it can be given again: whole, or in passing from a stream.
//!
//! A stream goes on as it would otherwise: its caller's reading draws it, and no more than a copy of what the caller was
//! given is held, up to [`LARGEST_ENTRY`]. One that breaks off, or whose caller leaves, hands the duty to ask on to
//! whoever waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::response;
use http_body::{Body, Frame, SizeHint};
use tradewind_answers::{Answered, Entry, Finish, Form, Keyed, LARGEST_ENTRY, Leader};
use tradewind_core::{Clock, DecisionId, TargetId, UnixMillis};
use tradewind_dispatch::{Finding, Relay};
use tradewind_meaning::Vector;

use super::{Store, form};
use crate::ask::{Ask, Operation};
use crate::call::ModelCall;
use crate::quality::passed_all;

/// The duty to keep the answer to a call, or to let those who wait for it go. Dropping it says that none has come.
pub(crate) struct Keeping {
    store: Arc<Store>,
    keyed: Keyed,
    /// The vector of the question.
    vector: Option<Arc<Vector>>,
    leader: Option<Leader>,
    clock: Arc<dyn Clock>,
    form: Form,
    is_vectors: bool,
    /// Whether the answer may call tools, whatever it says at its end.
    has_tools: bool,
}

/// What is known of an answer when it begins.
pub(crate) struct Told {
    status: u16,
    content_type: Box<str>,
    dropped: Box<str>,
    target: TargetId,
    decision: DecisionId,
    at: UnixMillis,
}

impl Told {
    pub(crate) fn new(head: &response::Parts, target: &TargetId, call: &ModelCall) -> Self {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let leaf = call.lanes.iter().position(|lane| lane.target.id() == target);
        let dropped = leaf.map_or(&[][..], |leaf| call.dropped(leaf)).join(", ");
        Self {
            status: head.status.as_u16(),
            content_type: content_type.into(),
            dropped: dropped.into(),
            target: target.clone(),
            decision: call.id,
            at: call.at,
        }
    }
}

impl Keeping {
    pub(super) fn new(
        store: Arc<Store>,
        keyed: Keyed,
        vector: Option<Arc<Vector>>,
        leader: Option<Leader>,
        clock: Arc<dyn Clock>,
        ask: &Ask,
    ) -> Self {
        let is_vectors = ask.operation == Operation::Embeddings;
        Self { store, keyed, vector, leader, clock, form: form(ask), is_vectors, has_tools: ask.demands.tools }
    }

    /// Keeps the answer `body`, in which `finding` was found, if anybody else may have it.
    pub(crate) fn keep(mut self, told: &Told, body: &[u8], finding: &Finding) {
        let answered = Answered {
            status: told.status,
            whole: true,
            finish: self.finish(finding.finish.as_deref()),
            passed_gates: passed_all(&finding.notes),
            form: self.form,
            body,
            content_type: &told.content_type,
            dropped: &told.dropped,
            usage: finding.usage.unwrap_or_default(),
            target: &told.target,
            decision: told.decision,
            at: told.at,
        };
        let Ok(entry) = Entry::new(&answered) else { return self.let_go() };
        let now = self.clock.now();
        let leader = self.leader.take();
        let Self { store, keyed, vector, .. } = &self;
        let entry = match (leader, &store.exact) {
            (Some(leader), _) => leader.complete(entry, now),
            (None, Some(exact)) => {
                exact.keep(keyed.exact, entry.clone(), now);
                Arc::new(entry)
            }
            (None, None) => Arc::new(entry),
        };
        if let (Some(meaning), Some(question), Some(vector)) = (&store.meaning, &keyed.question, vector) {
            meaning.keep(question, vector.values(), entry, now);
        }
    }

    /// There is an answer, and it is for this caller alone.
    pub(crate) fn let_go(mut self) {
        if let Some(leader) = self.leader.take() {
            leader.release();
        }
    }

    /// Why the answer ended, out of the words of any provider.
    fn finish(&self, said: Option<&str>) -> Finish {
        match said {
            _ if self.is_vectors => Finish::Vectors,
            // Where tools are offered, `stop` and `completed` may stand behind a call of one.
            Some("stop" | "end_turn" | "stop_sequence" | "completed") if self.has_tools => Finish::ToolCalls,
            Some("stop" | "end_turn" | "stop_sequence" | "completed") => Finish::Stop,
            Some("tool_calls" | "tool_use" | "function_call") => Finish::ToolCalls,
            Some("length" | "max_tokens" | "max_output_tokens" | "model_context_window_exceeded") => Finish::Length,
            Some("content_filter" | "refusal") => Finish::Filtered,
            _ => Finish::Unknown,
        }
    }
}

/// A stream on its way to the caller, and a copy of it.
pub(crate) struct Tee {
    relay: Box<Relay<ModelCall>>,
    seen: BytesMut,
    /// Taken when the stream has ended, or is too long to be kept.
    keeping: Option<(Box<Keeping>, Told)>,
}

impl Tee {
    pub(crate) fn new(relay: Box<Relay<ModelCall>>, keeping: Box<Keeping>, told: Told) -> Self {
        Self { relay, seen: BytesMut::new(), keeping: Some((keeping, told)) }
    }

    fn note(&mut self, piece: &Bytes) {
        if self.keeping.is_none() {
            return;
        }
        if self.seen.len() + piece.len() <= LARGEST_ENTRY {
            self.seen.extend_from_slice(piece);
            return;
        }
        self.seen = BytesMut::new();
        if let Some((keeping, _)) = self.keeping.take() {
            keeping.let_go();
        }
    }

    /// Keeps the copy once the stream has come to its own end and all of it was handed on; gives it up when it broke off.
    fn conclude(&mut self) {
        let Some((keeping, told)) = self.keeping.take() else { return };
        let seen = std::mem::take(&mut self.seen);
        if let Some(finding) = self.relay.finding_at_end() {
            keeping.keep(&told, &seen, &finding);
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut *this.relay).poll_frame(context);
        match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(piece) = frame.data_ref() {
                    this.note(piece);
                }
            }
            Poll::Ready(Some(Err(_)) | None) => {}
        }
        // A server does not ask for more behind the end.
        if this.relay.is_end_stream() || matches!(polled, Poll::Ready(None)) {
            this.conclude();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.relay.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.relay.size_hint()
    }
}
