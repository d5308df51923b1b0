//! What a door tells `dispatch` about its protocol.

use bytes::Bytes;
use http::{Request, response};
use smallvec::SmallVec;
use tradewind_core::{DecisionId, Fault, Usage};
use tradewind_egress::RequestBody;

/// One call in the words of its protocol. Implemented by each door that uses `dispatch`.
pub trait Protocol: Send + Sync + 'static {
    /// Reads streams of this protocol.
    type Stream: StreamReader;

    /// The request for the candidate `leaf`, with the provider's key number `key` if it has keys.
    fn request(&self, leaf: usize, key: Option<usize>) -> Request<RequestBody>;

    /// How the answer that begins with this 2xx head is to be read.
    ///
    /// # Errors
    /// When the head shows that this is no answer: HTML, JSON where a stream was asked for.
    fn reading(&self, leaf: usize, head: &response::Parts) -> Result<Reading<Self::Stream>, Fault>;

    /// Checks a whole answer.
    ///
    /// # Errors
    /// When it is not an answer: cut JSON, a required field missing, nothing said.
    fn check_whole(&self, body: &Bytes) -> Result<Finding, Fault>;

    /// Whether the caller asked for a stream: the limits for first token and idle time apply to streams only.
    fn is_stream(&self) -> bool;

    /// Whether the call may be sent twice: it costs money, not effects. False when it carries tools that the provider
    /// runs, or asks it to store something.
    fn is_repeatable(&self) -> bool;

    /// Estimated prompt tokens, for load and for calls whose provider does not count.
    fn estimated_input(&self) -> u64;
}

/// How an answer is read.
pub enum Reading<S> {
    /// Collected and checked whole before the caller sees any of it.
    Whole,
    /// Relayed as it comes.
    Stream(S),
}

/// Reads one stream: finds events, judges them, and says what may be passed on. It never changes bytes.
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
    /// At least one event.
    Begun,
    /// The protocol's own end has come; whatever follows is ignored.
    Done,
}

/// What was read in passing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// Token counts as the provider reports them, if it does and they make sense.
    pub usage: Option<Usage>,
    /// Answer tokens as counted here, for when it does not.
    pub estimated_output: u64,
    /// Events after the end, duplicates and the like: ignored and counted.
    pub ignored: u32,
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
