//! What a door tells `dispatch` about its protocol.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Request, response};
use smallvec::SmallVec;
use tradewind_core::{DecisionId, Fault, Usage};
use tradewind_egress::RequestBody;
use tradewind_telemetry::Record;

/// One request of an attempt: to whom, with what, in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The candidate.
    pub leaf: usize,
    /// The number of the attempt in the record of the call.
    pub attempt: usize,
    /// The number of the provider's key, if it has keys.
    pub key: Option<usize>,
    /// Whether the target has just refused the usual form of the request ([`Protocol::after_status`]).
    pub other_form: bool,
}

/// One call in the words of its protocol. Implemented by each door that uses `dispatch`.
pub trait Protocol: Send + Sync + 'static {
    /// Reads streams of this protocol.
    type Stream: StreamReader;

    /// The request for a candidate.
    fn request(&self, place: &Place) -> Request<RequestBody>;

    /// What a target's `status` means for a request that may not be the only form of it.
    fn after_status(&self, place: &Place, status: u16) -> Next {
        let _ = (place, status);
        Next::AsUsual
    }

    /// Makes the head of an answer fit for the caller.
    fn adapt_head(&self, place: &Place, head: &mut response::Parts) {
        let _ = (place, head);
    }

    /// How the answer that begins with this 2xx head is to be read.
    ///
    /// # Errors
    /// When the head shows that this is no answer: HTML, JSON where a stream was asked for.
    fn reading(&self, place: &Place, head: &response::Parts) -> Result<Reading<Self::Stream>, Fault>;

    /// Checks a whole answer, and gives what the caller is to see of it.
    ///
    /// # Errors
    /// When it is not an answer: cut JSON, a required field missing, nothing said.
    fn check_whole(&self, place: &Place, body: Bytes) -> Result<(Bytes, Finding), Fault>;

    /// What the caller is to see of a target's refusal of the request (4xx); `body` is the target's own words.
    fn refusal(&self, place: &Place, head: &mut response::Parts, body: Bytes) -> Bytes {
        let _ = (place, head);
        body
    }

    /// Notes in the record how the candidate `leaf`, which has answered, was asked.
    fn describe(&self, leaf: usize, record: &mut Record) {
        let _ = (leaf, record);
    }

    /// Whether the caller asked for a stream: the limits for first token and idle time apply to streams only.
    fn is_stream(&self) -> bool;

    /// Whether the call may be sent twice: it costs money, not effects. False when it carries tools that the provider
    /// runs, or asks it to store something.
    fn is_repeatable(&self) -> bool;

    /// Stands for whoever calls, where a connection may belong to one caller alone (see `Route::send`); 0 for the gateway
    /// itself, and where no caller has a key.
    fn owner(&self) -> u64 {
        0
    }

    /// Estimated prompt tokens at the candidate `leaf`, for load and for calls whose provider does not count.
    fn estimated_input(&self, leaf: usize) -> u64;
}

/// What a status is followed by.
pub enum Next {
    /// What follows it in any case.
    AsUsual,
    /// The target has no path for this form: it is asked once more at once, in another one. Belongs to the same attempt,
    /// and says nothing about the target's health or its key.
    OtherForm,
    /// The target has no path for it, and there is no other form: this fault.
    Fault(Fault),
}

/// How an answer is read.
pub enum Reading<S> {
    /// Collected and checked whole before the caller sees any of it.
    Whole,
    /// Relayed as it comes. Boxed, so that whole answers do not move its size about.
    Stream(Box<S>),
}

/// Reads one stream: finds events, judges them, and says what may be passed on.
pub trait StreamReader: Send + Unpin + 'static {
    /// Takes a chunk and puts what may be passed on into `out`: whole events only, so that a stream that breaks off can
    /// still be ended well.
    ///
    /// # Errors
    /// When an event is not acceptable. What `out` holds is good and came before it.
    fn push(&mut self, chunk: Bytes, out: &mut Outbox) -> Result<(), Fault>;

    /// The body has ended.
    ///
    /// # Errors
    /// When the protocol's own end of the stream had not come.
    fn end(&mut self, out: &mut Outbox) -> Result<(), Fault>;

    /// How far the answer is.
    fn phase(&self) -> Phase;

    /// What was found in passing.
    fn finding(&self) -> Finding;

    /// The event that ends the stream with an error, in the caller's dialect.
    fn error_event(&self, fault: &Fault, id: DecisionId) -> Bytes;
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No event of the answer yet.
    Waiting,
    /// At least one event, but nothing that may be passed on yet: the reader holds it back, and may still refuse it all.
    Held,
    /// At least one event that may be passed on.
    Begun,
    /// The protocol's own end has come; whatever follows is ignored.
    Done,
}

/// What was read in passing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// Why the answer ended, in the provider's words.
    pub finish: Option<Cow<'static, str>>,
    /// The model that answered, by the provider's words.
    pub model: Option<Box<str>>,
    /// The provider's own id of the answer.
    pub id: Option<Box<str>>,
    /// Token counts as the provider reports them, if it does and they make sense.
    pub usage: Option<Usage>,
    /// Answer tokens as counted here, for when it does not.
    pub estimated_output: u64,
    /// Events after the end, duplicates and the like: ignored and counted.
    pub ignored: u32,
    /// Remarks for the record; never the text of an answer.
    pub notes: Vec<Cow<'static, str>>,
}

/// Pieces that may be given to the caller, in order.
#[derive(Debug, Default)]
pub struct Outbox(SmallVec<[Bytes; 2]>);

impl Outbox {
    /// Adds a piece.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    /// Adds all pieces of `other` behind its own.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Takes the first piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// Whether there is nothing to give.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}
