//! The reader of a model's stream: events in, the same bytes out, judged in passing.

use bytes::Bytes;
use tradewind_core::{DecisionId, Dialect, Fault, FaultKind};
use tradewind_dispatch::{Finding, Outbox, Phase, StreamReader};

use crate::anthropic::{self, MessageStream};
use crate::meaning::Meaning;
use crate::openai::{self, ChatStream};
use crate::sse::{Splitter, data_of};

/// Reads one stream.
#[derive(Debug)]
pub struct ModelStream {
    splitter: Splitter,
    kind: Kind,
    phase: Phase,
    ignored: u32,
}

#[derive(Debug)]
enum Kind {
    OpenAi(ChatStream),
    Anthropic(MessageStream),
    /// Passed through unread: paths that the gateway does not know.
    Unread,
}

impl ModelStream {
    /// A reader of the streams of `dialect`, whose events and tool-call arguments are at most `event_limit` bytes.
    #[must_use]
    pub fn for_dialect(dialect: Dialect, event_limit: usize) -> Self {
        match dialect {
            Dialect::OpenAi => Self::openai(event_limit),
            Dialect::Anthropic => Self::anthropic(event_limit),
        }
    }

    pub(crate) fn openai(event_limit: usize) -> Self {
        Self::new(event_limit, Kind::OpenAi(ChatStream::new(event_limit)))
    }

    pub(crate) fn anthropic(event_limit: usize) -> Self {
        Self::new(event_limit, Kind::Anthropic(MessageStream::new(event_limit)))
    }

    pub(crate) fn unread() -> Self {
        Self::new(0, Kind::Unread)
    }

    fn new(event_limit: usize, kind: Kind) -> Self {
        Self { splitter: Splitter::new(event_limit), kind, phase: Phase::Waiting, ignored: 0 }
    }
}

impl Kind {
    fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        match self {
            Self::OpenAi(stream) => stream.event(data),
            Self::Anthropic(stream) => stream.event(data),
            Self::Unread => Ok(Meaning::Content),
        }
    }
}

impl StreamReader for ModelStream {
    fn push(&mut self, chunk: Bytes, out: &mut Outbox) -> Result<(), Fault> {
        if matches!(self.kind, Kind::Unread) {
            self.phase = Phase::Begun;
            out.push(chunk);
            return Ok(());
        }
        let Self { splitter, kind, phase, ignored } = self;
        let pushed = splitter.push(chunk, out, |event| {
            if *phase == Phase::Done {
                // A lone line feed is the second half of a CR LF, and no event.
                *ignored += u32::from(data_of(event).is_some());
                return Ok(false);
            }
            let meaning = match data_of(event) {
                // A comment, or an event without data: a sign of life, nothing more.
                None => Meaning::Preamble,
                Some(data) => kind.event(&data)?,
            };
            match meaning {
                Meaning::Duplicate => {
                    *ignored += 1;
                    return Ok(false);
                }
                Meaning::Preamble => {}
                Meaning::Content => *phase = Phase::Begun,
                Meaning::End if *phase == Phase::Waiting => return Err(nothing_said()),
                Meaning::End => *phase = Phase::Done,
            }
            Ok(true)
        });
        // What comes after the end, however large, does not undo it.
        if *phase == Phase::Done { Ok(()) } else { pushed }
    }

    fn end(&mut self, out: &mut Outbox) -> Result<(), Fault> {
        if matches!(self.kind, Kind::Unread) {
            self.phase = Phase::Done;
        }
        if self.phase == Phase::Done {
            return Ok(());
        }
        // The specification drops an event without its blank line. One case is told apart: the end marker itself, which
        // some servers send last without the blank line.
        let rest = self.splitter.incomplete();
        if let Some(data) = data_of(&rest)
            && matches!(self.kind.event(&data), Ok(Meaning::End))
        {
            if self.phase == Phase::Waiting {
                return Err(nothing_said());
            }
            self.phase = Phase::Done;
            out.push(rest);
            out.push(Bytes::from_static(b"\n\n"));
            return Ok(());
        }
        Err(Fault::new(FaultKind::Cut, "the provider's stream ended without its end marker"))
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn finding(&self) -> Finding {
        match &self.kind {
            Kind::OpenAi(stream) => stream.finding(self.ignored),
            Kind::Anthropic(stream) => stream.finding(self.ignored),
            Kind::Unread => Finding::default(),
        }
    }

    fn error_event(&self, fault: &Fault, id: DecisionId) -> Bytes {
        match &self.kind {
            Kind::OpenAi(_) => Bytes::from(openai::error_event(fault, id)),
            Kind::Anthropic(_) => Bytes::from(anthropic::error_event(fault, id)),
            // Bytes of unknown meaning cannot be ended in words; their end without an end says it.
            Kind::Unread => Bytes::new(),
        }
    }
}

fn nothing_said() -> Fault {
    Fault::new(FaultKind::EmptyAnswer, "the provider's stream came to its end with nothing said")
}
