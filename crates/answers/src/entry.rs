//! One answer that is kept.
//!
//! What is kept is what the caller got, in the wire format of the request: either the whole body ([`Form::Whole`]), or the
//! bytes of all events of a stream, its end included ([`Form::Events`]). Of the head only the content type and the list of
//! what a translation left out are kept: a provider's own ids, limits and cookies belong to one call.

use bytes::Bytes;
use tradewind_core::{DecisionId, TargetId, UnixMillis, Usage};

/// What an entry takes beside its texts: its place in tables, the counts, the allocations.
const OVERHEAD: usize = 320;

/// How the bytes of an answer are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// One JSON document.
    Whole,
    /// Server-sent events from the first to the last.
    Events,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The model had said everything, or came to a stop sequence.
    Stop,
    /// It calls tools of the caller.
    ToolCalls,
    /// The token limit cut it.
    Length,
    /// A filter of the provider cut or withheld it.
    Filtered,
    /// There is nothing that could end: vectors.
    Vectors,
    /// The provider did not say, or something that has no name here.
    Unknown,
}

/// What is known about an answer when it has ended.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The status that the caller got.
    pub status: u16,
    /// Whether the answer came to its own end; false for a stream that broke off or whose caller left.
    pub whole: bool,
    /// Why it ended.
    pub finish: Finish,
    /// Whether every quality gate of the model let it pass, advisory ones included.
    pub passed_gates: bool,
    /// How `body` is to be read.
    pub form: Form,
    /// The bytes that the caller got.
    pub body: &'a [u8],
    /// Its content type.
    pub content_type: &'a str,
    /// What a translation left out, as `x-tradewind-dropped` lists it; empty for nothing.
    pub dropped: &'a str,
    /// The tokens that it cost.
    pub usage: Usage,
    /// Who made it.
    pub target: &'a TargetId,
    /// The decision that it was made under.
    pub decision: DecisionId,
    /// When it was made, for people.
    pub at: UnixMillis,
}

/// An answer that may be given again.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// How `body` is to be read.
    pub form: Form,
    /// The bytes that the first caller got, in the wire format of the request.
    pub body: Bytes,
    /// Its content type.
    pub content_type: Box<str>,
    /// What a translation left out; empty for nothing.
    pub dropped: Box<str>,
    /// Why it ended.
    pub finish: Finish,
    /// The tokens that it cost when it was made; giving it again costs none.
    pub usage: Usage,
    /// Who made it.
    pub target: TargetId,
    /// The decision that it was made under.
    pub decision: DecisionId,
    /// When it was made, for people.
    pub at: UnixMillis,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotKept {
    /// An error, or anything else than 200.
    #[error("an answer of status {0} is not kept")]
    Status(u16),
    /// It broke off.
    #[error("an answer that broke off is not kept")]
    BrokenOff,
    /// It was cut at its token limit, withheld by a filter, or ended for reasons unknown.
    #[error("an answer that did not come to its end is not kept")]
    NotAtItsEnd,
    /// A quality gate did not let it pass.
    #[error("an answer that failed a quality gate is not kept")]
    FailedGate,
    /// There is nothing in it.
    #[error("an empty answer is not kept")]
    Empty,
}

impl Entry {
    /// An entry with a copy of the bytes: a slice of a larger buffer would keep all of that.
    ///
    /// # Errors
    /// When the answer must not be given to anybody else.
    pub fn new(answered: &Answered<'_>) -> Result<Self, NotKept> {
        if answered.status != 200 {
            return Err(NotKept::Status(answered.status));
        }
        if !answered.whole {
            return Err(NotKept::BrokenOff);
        }
        if !matches!(answered.finish, Finish::Stop | Finish::ToolCalls | Finish::Vectors) {
            return Err(NotKept::NotAtItsEnd);
        }
        if !answered.passed_gates {
            return Err(NotKept::FailedGate);
        }
        if answered.body.is_empty() {
            return Err(NotKept::Empty);
        }
        Ok(Self {
            form: answered.form,
            body: Bytes::copy_from_slice(answered.body),
            content_type: answered.content_type.into(),
            dropped: answered.dropped.into(),
            finish: answered.finish,
            usage: answered.usage,
            target: answered.target.clone(),
            decision: answered.decision,
            at: answered.at,
        })
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.body.len() + self.content_type.len() + self.dropped.len() + OVERHEAD
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn answered<'a>(body: &'a [u8], target: &'a TargetId) -> Answered<'a> {
        Answered {
            status: 200,
            whole: true,
            finish: Finish::Stop,
            passed_gates: true,
            form: Form::Whole,
            body,
            content_type: "application/json",
            dropped: "",
            usage: Usage::default(),
            target,
            decision: DecisionId::from_number(7),
            at: UnixMillis(0),
        }
    }

    #[test]
    fn errors_and_pieces_of_answers_are_not_kept() {
        let target = TargetId::new("up/model");
        let good = answered(b"{}", &target);
        let kept = Entry::new(&good).unwrap();
        assert_eq!((kept.weight(), kept.body.as_ref()), (OVERHEAD + 2 + 16, &b"{}"[..]));
        assert!(Entry::new(&Answered { finish: Finish::ToolCalls, ..good }).is_ok());
        assert!(Entry::new(&Answered { finish: Finish::Vectors, ..good }).is_ok());
        for (bad, why) in [
            (Answered { status: 500, ..good }, NotKept::Status(500)),
            (Answered { status: 206, ..good }, NotKept::Status(206)),
            (Answered { whole: false, ..good }, NotKept::BrokenOff),
            (Answered { finish: Finish::Length, ..good }, NotKept::NotAtItsEnd),
            (Answered { finish: Finish::Filtered, ..good }, NotKept::NotAtItsEnd),
            (Answered { finish: Finish::Unknown, ..good }, NotKept::NotAtItsEnd),
            (Answered { passed_gates: false, ..good }, NotKept::FailedGate),
            (Answered { body: b"", ..good }, NotKept::Empty),
        ] {
            assert_eq!(Entry::new(&bad), Err(why));
        }
    }
}
