//! The reader of a model's stream: events in, judged in passing; out go the same bytes, or what a translator or the seal of
//! a response makes of them. Where a model has quality gates, what would go out is held back until they let it pass.

use bytes::Bytes;
use tradewind_core::{DecisionId, Dialect, Fault, FaultKind};
use tradewind_dialects::{StreamTranslator, Wire};
use tradewind_dispatch::{Finding, Outbox, Phase, StreamReader};

use crate::anthropic::{self, MessageStream};
use crate::lesson::Lesson;
use crate::meaning::Meaning;
use crate::openai::{self, ChatStream};
use crate::quality::Watch;
use crate::responses::{self, ResponsesStream};
use crate::seal::IdSeal;
use crate::sse::{Pass, Splitter, data_of};

/// Reads one stream.
#[derive(Debug)]
pub struct ModelStream {
    splitter: Splitter,
    kind: Kind,
    /// What is passed on.
    output: Output,
    /// The wire format in which the caller is told about a fault.
    caller: Option<Wire>,
    /// Learns from the counts at the end.
    lesson: Option<Lesson>,
    /// Judges the answer, and holds it back until it is known to be fit. Boxed: most models have no gates.
    watch: Option<Box<Watch>>,
    /// How far the provider's stream is, whatever is held back of it.
    phase: Phase,
    ignored: u32,
}

/// What the provider's bytes mean.
#[derive(Debug)]
enum Kind {
    OpenAi(ChatStream),
    Anthropic(MessageStream),
    Responses(ResponsesStream),
    /// Passed through unread: paths that the gateway does not know.
    Unread,
}

/// What the caller is given.
#[derive(Debug)]
enum Output {
    /// The events as they came.
    AsItCame,
    /// The events as they came, but for the token counts, which the caller had not asked for.
    WithoutUsage,
    /// The events with sealed response ids.
    Sealed(Box<IdSeal>),
    /// The events in the caller's wire format.
    Translated(Box<StreamTranslator>),
}

impl ModelStream {
    /// A reader of the streams of `dialect`, whose events and tool-call arguments are at most `event_limit` bytes.
    #[must_use]
    pub fn for_dialect(dialect: Dialect, event_limit: usize) -> Self {
        Self::of_wire(
            match dialect {
                Dialect::OpenAi => Wire::Chat,
                Dialect::Anthropic => Wire::Messages,
            },
            event_limit,
        )
    }

    /// A reader of the streams of `wire`, passed on as they come.
    pub(crate) fn of_wire(wire: Wire, event_limit: usize) -> Self {
        let kind = match wire {
            Wire::Chat => Kind::OpenAi(ChatStream::new(event_limit)),
            Wire::Messages => Kind::Anthropic(MessageStream::new(event_limit)),
            Wire::Responses => Kind::Responses(ResponsesStream::new(event_limit)),
        };
        Self::new(event_limit, kind, Some(wire))
    }

    pub(crate) fn unread() -> Self {
        Self::new(0, Kind::Unread, None)
    }

    fn new(event_limit: usize, kind: Kind, caller: Option<Wire>) -> Self {
        let splitter = Splitter::new(event_limit);
        let output = Output::AsItCame;
        Self { splitter, kind, output, caller, lesson: None, watch: None, phase: Phase::Waiting, ignored: 0 }
    }

    /// The same, without the token counts at the end of a chat stream.
    pub(crate) fn without_usage(mut self) -> Self {
        self.output = Output::WithoutUsage;
        self
    }

    /// The same, with sealed response ids.
    pub(crate) fn sealed(mut self, seal: IdSeal) -> Self {
        self.output = Output::Sealed(Box::new(seal));
        self
    }

    /// The same, translated for a caller that speaks `caller`.
    pub(crate) fn translated(mut self, translator: StreamTranslator, caller: Wire) -> Self {
        self.output = Output::Translated(Box::new(translator));
        self.caller = Some(caller);
        self
    }

    /// The same, with `lesson` to be learned from its token counts.
    pub(crate) fn teaching(mut self, lesson: Option<Lesson>) -> Self {
        self.lesson = lesson;
        self
    }

    /// The same, judged by `watch`.
    pub(crate) fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }
}

impl Output {
    /// What becomes of a good event.
    fn pass(&mut self, meaning: Meaning, event: &[u8], data: Option<&[u8]>) -> Result<Pass, Fault> {
        match (self, data) {
            (Self::WithoutUsage, _) if meaning == Meaning::Usage => Ok(Pass::Nothing),
            (Self::AsItCame | Self::WithoutUsage | Self::Sealed(_), None) => Ok(Pass::AsItCame),
            (Self::AsItCame | Self::WithoutUsage, _) => Ok(Pass::AsItCame),
            (Self::Sealed(seal), Some(data)) => {
                let replaced = responses::replace_ids(data, &mut |id| seal.seal(id));
                Ok(replaced.map_or(Pass::AsItCame, |data| Pass::Instead(with_data(event, &data))))
            }
            // Comments keep connections alive; the caller's own server sends none.
            (Self::Translated(_), None) => Ok(Pass::Nothing),
            (Self::Translated(translator), Some(data)) => {
                let mut said = Vec::new();
                translator
                    .event(data, &mut said)
                    .map_err(|error| Fault::new(FaultKind::Untranslatable, error.to_string()))?;
                Ok(Pass::Instead(Bytes::from(said)))
            }
        }
    }
}

/// `event` with other data.
fn with_data(event: &[u8], data: &[u8]) -> Bytes {
    let mut changed = Vec::with_capacity(event.len() + data.len());
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if !line.is_empty() && !line.starts_with(b"data") {
            changed.extend_from_slice(line);
            changed.push(b'\n');
        }
    }
    changed.extend_from_slice(b"data: ");
    changed.extend_from_slice(data);
    changed.extend_from_slice(b"\n\n");
    Bytes::from(changed)
}

impl Kind {
    fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        match self {
            Self::OpenAi(stream) => stream.event(data),
            Self::Anthropic(stream) => stream.event(data),
            Self::Responses(stream) => stream.event(data),
            Self::Unread => Ok(Meaning::Content),
        }
    }

    fn finding(&self, ignored: u32) -> Finding {
        match self {
            Self::OpenAi(stream) => stream.finding(ignored),
            Self::Anthropic(stream) => stream.finding(ignored),
            Self::Responses(stream) => stream.finding(ignored),
            Self::Unread => Finding::default(),
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
        if !self.holds() {
            return self.read(chunk, out);
        }
        let mut passed = Outbox::default();
        let read = self.read(chunk, &mut passed);
        self.hold(passed, out);
        read
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
            let Self { kind, watch, .. } = self;
            if let Some(watch) = watch {
                watch.event(&data, || kind.finding(0))?;
            }
            let mut passed = Outbox::default();
            match self.output.pass(Meaning::End, &rest, Some(&data))? {
                Pass::AsItCame => {
                    passed.push(rest.clone());
                    passed.push(Bytes::from_static(b"\n\n"));
                }
                Pass::Instead(bytes) => passed.push(bytes),
                Pass::Nothing => {}
            }
            self.phase = Phase::Done;
            self.learn();
            self.judge()?;
            self.hold(passed, out);
            return Ok(());
        }
        Err(Fault::new(FaultKind::Cut, "the provider's stream ended without its end marker"))
    }

    fn phase(&self) -> Phase {
        if self.phase > Phase::Waiting && self.holds() { Phase::Held } else { self.phase }
    }

    fn finding(&self) -> Finding {
        let mut finding = self.kind.finding(self.ignored);
        if let Some(watch) = &self.watch {
            finding.notes.extend_from_slice(watch.notes());
        }
        finding
    }

    fn error_event(&self, fault: &Fault, id: DecisionId) -> Bytes {
        match self.caller {
            Some(Wire::Chat) => Bytes::from(openai::error_event(fault, id)),
            Some(Wire::Messages) => Bytes::from(anthropic::error_event(fault, id)),
            Some(Wire::Responses) => Bytes::from(openai::responses_error_event(fault, id)),
            // Bytes of unknown meaning cannot be ended in words; their end without an end says it.
            None => Bytes::new(),
        }
    }
}

impl ModelStream {
    /// Takes a chunk, and puts into `out` what the caller is to see of it.
    fn read(&mut self, chunk: Bytes, out: &mut Outbox) -> Result<(), Fault> {
        let Self { splitter, kind, output, watch, phase, ignored, .. } = self;
        let pushed = splitter.push(chunk, out, |event| {
            if *phase == Phase::Done {
                // A lone line feed is the second half of a CR LF, and no event.
                *ignored += u32::from(data_of(event).is_some());
                return Ok(Pass::Nothing);
            }
            let data = data_of(event);
            let meaning = match &data {
                // A comment, or an event without data: a sign of life, nothing more.
                None => Meaning::Preamble,
                Some(data) => kind.event(data)?,
            };
            let after = match meaning {
                Meaning::Duplicate => {
                    *ignored += 1;
                    return Ok(Pass::Nothing);
                }
                Meaning::Preamble | Meaning::Usage => *phase,
                Meaning::Content => Phase::Begun,
                Meaning::End if *phase == Phase::Waiting => return Err(nothing_said()),
                Meaning::End => Phase::Done,
            };
            if let (Some(watch), Some(data)) = (watch.as_mut(), &data) {
                watch.event(data, || kind.finding(0))?;
            }
            let pass = output.pass(meaning, event, data.as_deref())?;
            *phase = after;
            Ok(pass)
        });
        // What comes after the end, however large, does not undo it.
        if self.phase != Phase::Done {
            return pushed;
        }
        self.learn();
        self.judge()
    }

    /// Whether the caller is to see nothing yet.
    fn holds(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.holds())
    }

    /// Holds back `passed`, or gives it and all that was held back to the caller.
    fn hold(&mut self, mut passed: Outbox, out: &mut Outbox) {
        if let Some(watch) = &mut self.watch {
            while watch.holds() {
                let Some(piece) = passed.pop() else { return };
                watch.keep(&piece);
            }
            out.push(watch.release().freeze());
        }
        out.append(passed);
    }

    /// Judges the answer once it is whole.
    fn judge(&mut self) -> Result<(), Fault> {
        let Self { kind, watch, .. } = self;
        watch.as_mut().map_or(Ok(()), |watch| watch.end(|| kind.finding(0)))
    }

    /// The stream has ended well: what it says about its tokens makes the next estimate better.
    fn learn(&mut self) {
        if let Some(lesson) = self.lesson.take() {
            lesson.learn(self.finding().usage);
        }
    }
}

fn nothing_said() -> Fault {
    Fault::new(FaultKind::EmptyAnswer, "the provider's stream came to its end with nothing said")
}
