//! The record of one call: what was decided, who was tried, how it ended. How it looks as JSON is `json`'s matter.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Code, DecisionId, Dialect, FaultKind, TargetId, UnixMillis, Usage, Usd};
use tradewind_decide::Decision;

use crate::choice::Choice;
use crate::trace::Trace;
use crate::way::Way;

/// How a call, or one attempt of it, ended.
//
// The journal's file keeps a bit for each, by its place: new ones come at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A whole answer was delivered.
    Ok,
    /// No answer was delivered.
    Failed,
    /// The answer broke off after the caller had seen a part of it.
    Partial,
    /// The caller went away before the end.
    ClientGone,
    /// The request itself was refused, by the gateway or by the target.
    Rejected,
    /// An attempt that was stopped because another one of the same call was faster.
    Cancelled,
    /// The built-in last resort answered in place of a target.
    LastResort,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] =
        &[Self::Ok, Self::Failed, Self::Partial, Self::ClientGone, Self::Rejected, Self::Cancelled, Self::LastResort];

    /// The name in records; stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::ClientGone => "client_gone",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::LastResort => "last_resort",
        }
    }

    /// The outcome of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.name() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One try of one target.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who was tried.
    pub target: TargetId,
    /// Which of the provider's keys was used, counted from 0.
    pub key: Option<usize>,
    /// Whether it was started beside a running attempt, and not after a failed one.
    pub hedge: bool,
    /// When it began, since the call came in.
    pub started: Duration,
    /// When the first byte of its answer came, since the call came in.
    pub first_byte: Option<Duration>,
    /// When it ended, since the call came in.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub fault: Option<FaultKind>,
    /// The target's HTTP status.
    pub status: Option<u16>,
    /// What went wrong, for a person; never the text of prompts or answers. Shown up to 500 bytes.
    pub detail: Option<Cow<'static, str>>,
    /// The provider's host and port: `api.openai.com:443`.
    pub server: Option<Arc<str>>,
    /// The proxy that it went through, or was to go through; `None` where there was no way out to choose.
    pub way: Option<Arc<str>>,
    /// The tokens that this attempt used; `None` when they are known for the whole call only.
    pub usage: Option<Usage>,
    /// What this attempt cost; `None` when its target has no price, or `usage` is `None`.
    pub cost: Option<Usd>,
}

impl Attempt {
    /// An attempt that begins `started` after the call came in, and is running: what follows is filled in by and by.
    #[must_use]
    pub const fn new(target: TargetId, hedge: bool, started: Duration) -> Self {
        Self {
            target,
            key: None,
            hedge,
            started,
            first_byte: None,
            ended: started,
            outcome: Outcome::Cancelled,
            fault: None,
            status: None,
            detail: None,
            server: None,
            way: None,
            usage: None,
            cost: None,
        }
    }
}

/// The record of one call.
#[derive(Clone, Debug)]
pub struct Record {
    /// The id that the caller was told.
    pub id: DecisionId,
    /// When the call came in.
    pub at: UnixMillis,
    /// The door it came in through: `models`.
    pub door: &'static str,
    /// The dialect it was spoken in.
    pub dialect: Option<Dialect>,
    /// What was asked for: `chat`, `completions`, `embeddings`, `messages`, `count_tokens`.
    pub operation: &'static str,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The model as the caller named it. Shown up to 200 bytes; cut it before it is kept here.
    pub model: Arc<str>,
    /// What was decided, and why.
    pub decision: Decision,
    /// Who was tried, in the order in which the attempts began.
    pub attempts: SmallVec<[Attempt; 2]>,
    /// Who answered.
    pub chosen: Option<TargetId>,
    /// How the call ended.
    pub outcome: Outcome,
    /// What went wrong, when something did and nobody made up for it.
    pub fault: Option<FaultKind>,
    /// What went wrong, for a person; never the text of prompts or answers. Shown up to 500 bytes.
    pub detail: Option<Cow<'static, str>>,
    /// The public code that the caller saw, when it is another than the fault's own.
    pub code: Option<Code>,
    /// The HTTP status that the caller saw.
    pub status: u16,
    /// The tokens used, all attempts together.
    pub usage: Option<Usage>,
    /// What it cost; `None` when a target that was used has no price.
    pub cost: Option<Usd>,
    /// From the call's coming in to its end.
    pub elapsed: Duration,
    /// From the call's coming in to the first byte of the answer that was sent to the caller.
    pub first_byte: Option<Duration>,
    /// The network that the machine was in.
    pub network: Option<Arc<str>>,
    /// The digest of the policy that was in force.
    pub policy: Arc<str>,
    /// Events of a stream that were not passed on: after the terminal one, or doubled.
    pub events_dropped: u32,
    /// Remarks for a person, such as "usage estimated"; never the text of prompts or answers.
    pub notes: Vec<Cow<'static, str>>,
    /// The name of the caller's key.
    pub key: Option<Arc<str>>,
    /// The tenant of the caller's key.
    pub tenant: Option<Arc<str>>,
    /// The entry of `models`, or the target, that `model` was resolved to; `None` when nothing is called so.
    pub resolved: Option<Arc<str>>,
    /// The trace that the call belongs to.
    pub trace: Option<Trace>,
    /// Hints of the request that the chosen target's protocol has no words for, and that were left out. Shown up to 16,
    /// 200 bytes each.
    pub dropped: Vec<String>,
    /// The protocol that the chosen target was asked in when it is not the caller's: `messages`, `chat completions`.
    pub translated: Option<&'static str>,
    /// What of the time until the first byte the gateway itself took.
    pub overhead: Option<Duration>,
    /// Why the answer ended, in the words of the chosen target: `stop`, `max_tokens`. Shown up to 200 bytes.
    pub finish: Option<Cow<'static, str>>,
    /// The model that the answer names. Shown up to 200 bytes.
    pub response_model: Option<Box<str>>,
    /// The answer's own id at its provider. Shown up to 200 bytes.
    pub response_id: Option<Box<str>>,
    /// How the model was chosen, where there is something to say.
    pub choice: Option<Box<Choice>>,
    /// Which way out of the network it took, where there is something to say.
    pub way: Option<Box<Way>>,
}

impl Record {
    /// The record of a call that has just come in: everything else is filled in by and by.
    #[must_use]
    #[inline(always)]
    pub fn new(id: DecisionId, at: UnixMillis, door: &'static str, operation: &'static str, policy: Arc<str>) -> Self {
        Self {
            id,
            at,
            door,
            dialect: None,
            operation,
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
            policy,
            events_dropped: 0,
            notes: Vec::new(),
            key: None,
            tenant: None,
            resolved: None,
            trace: None,
            dropped: Vec::new(),
            translated: None,
            overhead: None,
            finish: None,
            response_model: None,
            response_id: None,
            choice: None,
            way: None,
        }
    }

    /// [`Self::new`], made where it stays: most of a record is room for candidates and attempts, and is not moved.
    #[must_use]
    pub fn boxed(
        id: DecisionId,
        at: UnixMillis,
        door: &'static str,
        operation: &'static str,
        policy: Arc<str>,
    ) -> Box<Self> {
        Box::write(Box::new_uninit(), Self::new(id, at, door, operation, policy))
    }

    /// The public code that the caller saw; `None` when all went well.
    #[must_use]
    pub fn public_code(&self) -> Option<Code> {
        self.code.or_else(|| self.fault.map(FaultKind::code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_read_back_from_their_names() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_name(outcome.name()), Some(*outcome));
        }
        assert_eq!(Outcome::from_name("fine"), None);
    }
}
