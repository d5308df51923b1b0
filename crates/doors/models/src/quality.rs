//! The quality gates of a call: what its answers are judged by, the judging of whole answers, and of streams in passing.
//!
//! Everything is judged in the wire format of the provider, before it is translated or sealed: so a gate sees what the
//! model said, and a translator never works on an answer that is given up. The gates themselves are `tradewind_quality`'s;
//! here they get what they look at, and their verdict becomes a fault or remarks for the record.
//!
//! A model without gates costs nothing here: nothing of this is made, and no body is read once more.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use tradewind_core::{Fault, FaultKind, RequestView, Usage};
use tradewind_dialects::{StreamView, Wire, view_answer, view_request};
use tradewind_dispatch::Finding;
use tradewind_quality::{Expected, Gates, Step, StreamGate, StreamMode, Verdict};

use crate::ask::Ask;

/// A remark for the record.
type Note = Cow<'static, str>;

const REQUEST_NOT_READ: &str = "quality: the request could not be read, so nothing is expected of the answer";
const ANSWER_NOT_READ: &str = "quality: the answer could not be read, so it was not judged";
const NOT_JUDGED_WHOLE: &str =
    "quality: the answer is longer than what is kept of it, so only its beginning was judged";
const TOO_LONG_TO_HOLD: &str =
    "quality: the answer was too long to be held back, so it was passed on before it was judged";

/// How the remark on an answer begins that was given though a gate failed it.
const UNFIT: &str = "quality, passed on all the same: ";

/// Whether the remarks on an answer say that every gate has judged it and let it pass, those that only advise included.
pub(crate) fn passed_all(notes: &[Note]) -> bool {
    let speaks_against = |note: &Note| note.starts_with(UNFIT) || *note == NOT_JUDGED_WHOLE || *note == ANSWER_NOT_READ;
    !notes.iter().any(speaks_against)
}

/// The gates of one call.
pub(crate) struct Judging {
    gates: Arc<Gates>,
    /// What the answers are judged by: worked out once, when the first answer comes.
    expected: OnceLock<(Arc<Expected<'static>>, Option<Note>)>,
}

impl Judging {
    pub(crate) const fn new(gates: Arc<Gates>) -> Self {
        Self { gates, expected: OnceLock::new() }
    }

    fn expected(&self, ask: &Ask) -> &(Arc<Expected<'static>>, Option<Note>) {
        self.expected.get_or_init(|| {
            let (view, note) = match ask.operation.wire().filter(|_| self.gates.needs_request()) {
                None => (RequestView::default(), None),
                Some(wire) => match view_request(wire, ask.body()) {
                    Ok(view) => (view, None),
                    // A request that cannot be read may offer any tool.
                    Err(_) => {
                        let view = RequestView { has_other_tools: true, ..RequestView::default() };
                        (view, Some(Note::Borrowed(REQUEST_NOT_READ)))
                    }
                },
            };
            (Arc::new(self.gates.expect(view).into_owned()), note)
        })
    }

    /// Judges the whole answer `body` of wire format `wire`, in which `finding` was found. What the gates could not judge
    /// is noted there.
    ///
    /// # Errors
    /// When a gate fails.
    pub(crate) fn whole(
        &self,
        ask: &Ask,
        wire: Wire,
        body: &[u8],
        finding: &mut Finding,
        question: u64,
    ) -> Result<(), Fault> {
        let (expected, unread) = self.expected(ask);
        let Ok(answer) = view_answer(wire, body) else {
            finding.notes.push(ANSWER_NOT_READ.into());
            return Ok(());
        };
        let verdict = self.gates.judge(expected, &answer);
        if !verdict.passed() {
            return Err(unfit(&verdict, finding, question));
        }
        finding.notes.extend(unread.clone());
        note_unjudged(&verdict, &mut finding.notes);
        Ok(())
    }

    /// The watch over one stream of wire format `wire`.
    pub(crate) fn watch(&self, ask: &Ask, wire: Wire, bounds: WatchBounds, question: u64) -> Watch {
        let (expected, unread) = self.expected(ask);
        Watch {
            view: StreamView::new(wire),
            gate: Some(StreamGate::new(self.gates.clone(), expected.clone(), bounds.answer)),
            holds: self.gates.settings().stream != StreamMode::Advisory,
            kept: BytesMut::new(),
            most_kept: bounds.held,
            question,
            notes: unread.iter().cloned().collect(),
        }
    }
}

/// The bounds of a watch, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchBounds {
    /// How much of a stream may be held back. What is longer is passed on and judged for the record only.
    pub(crate) held: usize,
    /// How much of the answer's text and arguments is kept to be judged at the end.
    pub(crate) answer: usize,
}

/// Watches over one stream.
#[derive(Debug)]
pub(crate) struct Watch {
    view: StreamView,
    /// Taken when the whole answer is judged, or nothing can be judged any more.
    gate: Option<StreamGate>,
    /// Whether what the caller is to see is held back.
    holds: bool,
    /// What is held back, as the caller is to see it.
    kept: BytesMut,
    most_kept: usize,
    /// The estimated tokens of the question, for what an answer costs whose provider has not counted yet.
    question: u64,
    notes: Vec<Note>,
}

impl Watch {
    /// Whether what the caller is to see is held back.
    pub(crate) const fn holds(&self) -> bool {
        self.holds
    }

    /// What is to be remarked in the record.
    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Keeps a piece of what the caller is to see.
    pub(crate) fn keep(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
        if self.kept.len() > self.most_kept {
            self.holds = false;
            self.notes.push(TOO_LONG_TO_HOLD.into());
        }
    }

    /// What was held back.
    pub(crate) fn release(&mut self) -> BytesMut {
        std::mem::take(&mut self.kept)
    }

    /// Takes the data of an event; `finding` tells what has been found in the stream so far.
    ///
    /// # Errors
    /// When a gate fails while everything is held back.
    pub(crate) fn event(&mut self, data: &[u8], finding: impl FnOnce() -> Finding) -> Result<(), Fault> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        let mut step = None;
        let read = self.view.event(data, &mut |delta| {
            if !matches!(step, Some(Step::Fail(_))) {
                step = Some(gate.push(&delta));
            }
        });
        match step {
            Some(Step::Fail(verdict)) if self.holds => return Err(unfit(&verdict, &finding(), self.question)),
            Some(Step::Release) => self.holds = false,
            Some(Step::Hold | Step::Fail(_)) | None => {}
        }
        if read.is_err() {
            self.gate = None;
            self.holds = false;
            self.notes.push(ANSWER_NOT_READ.into());
        }
        Ok(())
    }

    /// Judges the whole answer: its stream has come to its end. Does nothing the second time.
    ///
    /// # Errors
    /// When a gate fails while everything is held back.
    pub(crate) fn end(&mut self, finding: impl FnOnce() -> Finding) -> Result<(), Fault> {
        let Some(gate) = self.gate.take() else { return Ok(()) };
        let ending = gate.finish();
        // What fails stays held back for good.
        if self.holds && !ending.verdict.passed() {
            return Err(unfit(&ending.verdict, &finding(), self.question));
        }
        self.holds = false;
        for failure in &ending.verdict.failures {
            self.notes.push(format!("{UNFIT}{failure}").into());
        }
        note_unjudged(&ending.verdict, &mut self.notes);
        if ending.unjudged {
            self.notes.push(NOT_JUDGED_WHOLE.into());
        }
        Ok(())
    }
}

fn note_unjudged(verdict: &Verdict, notes: &mut Vec<Note>) {
    notes.extend(verdict.notes.iter().map(|note| Note::Owned(format!("quality, not judged: {note}"))));
}

/// The fault of an answer that is not fit to give. It was read, and so it is paid for: by the provider's count, else by ours.
fn unfit(verdict: &Verdict, finding: &Finding, question: u64) -> Fault {
    let counted = || Usage { input: question, output: finding.estimated_output, estimated: true, ..Usage::default() };
    let fault = Fault::new(FaultKind::Quality, format!("the answer is not fit to give: {verdict}"));
    fault.with_usage(Some(finding.usage.unwrap_or_else(counted)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tradewind_dispatch::{Outbox, Phase, StreamReader};
    use tradewind_quality::{FinishName, QualitySettings, SchemaCache};

    use super::*;
    use crate::ask::Operation;
    use crate::stream::ModelStream;

    const BOUNDS: WatchBounds = WatchBounds { held: 10_000, answer: 10_000 };

    fn stream(mode: StreamMode, bounds: WatchBounds) -> ModelStream {
        let settings = QualitySettings {
            finish: Some(vec![FinishName::Stop]),
            refusal: true,
            stream: mode,
            ..QualitySettings::default()
        };
        let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Where is the wind?"}]}"#);
        let ask = Ask::read(Operation::Chat, body).unwrap();
        let judging = Judging::new(Arc::new(Gates::new(settings, Arc::new(SchemaCache::new()))));
        ModelStream::of_wire(Wire::Chat, 10_000).watched(judging.watch(&ask, Wire::Chat, bounds, 7))
    }

    /// A stream that says `texts` and stops for `finish`.
    fn events(texts: &[&str], finish: &str) -> Vec<u8> {
        let mut events = String::new();
        for text in texts {
            events
                .push_str(&format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"));
        }
        events.push_str(&format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{finish}\"}}]}}\n\ndata: [DONE]\n\n"
        ));
        events.into_bytes()
    }

    /// Reads `bytes` in chunks of `size`. Gives what is passed on, the phases in order, and the fault.
    fn read(mut reader: ModelStream, bytes: &[u8], size: usize) -> (Vec<u8>, Vec<Phase>, Option<Fault>, Vec<Note>) {
        let (mut passed, mut phases, mut fault) = (Vec::new(), Vec::new(), None);
        for chunk in bytes.chunks(size).map(Some).chain([None]) {
            let mut out = Outbox::default();
            let read = match chunk {
                Some(chunk) => reader.push(Bytes::copy_from_slice(chunk), &mut out),
                None => reader.end(&mut out),
            };
            phases.push(reader.phase());
            phases.dedup();
            let before = passed.len();
            passed.extend(std::iter::from_fn(|| out.pop()).flatten());
            assert!(reader.phase() >= Phase::Begun || passed.len() == before, "nothing goes out while all is held");
            if let Err(why) = read {
                fault = Some(why);
                break;
            }
        }
        (passed, phases, fault, reader.finding().notes)
    }

    #[test]
    fn however_a_stream_is_cut_the_same_is_held_and_passed() {
        let good = events(&["The wind ", "blows from ", "the north, and hard."], "stop");
        let cut_off = events(&["The wind ", "blows from ", "the north."], "length");
        let refused = events(&["I'm sorry, ", "but I can't help ", "with that."], "stop");
        for size in 1..=good.len() {
            for mode in [StreamMode::Whole, StreamMode::Hold(35), StreamMode::Hold(1000)] {
                let (passed, phases, fault, _) = read(stream(mode, BOUNDS), &good, size);
                assert_eq!((passed.as_slice(), fault), (good.as_slice(), None), "{mode:?} {size}");
                assert_eq!(phases.last(), Some(&Phase::Done));
                let (passed, _, fault, _) = read(stream(mode, BOUNDS), &refused, size);
                assert_eq!((passed.len(), fault.unwrap().kind), (0, FaultKind::Quality), "{mode:?} {size}");
            }
            let (passed, _, fault, _) = read(stream(StreamMode::Whole, BOUNDS), &cut_off, size);
            let fault = fault.unwrap();
            assert_eq!((passed.len(), fault.kind), (0, FaultKind::Quality));
            assert_eq!(fault.usage.map(|usage| (usage.input, usage.estimated)), Some((7, true)));
            let (passed, _, fault, notes) = read(stream(StreamMode::Hold(20), BOUNDS), &cut_off, size);
            // Released before its end, however near that is.
            assert_eq!((passed.as_slice(), fault, notes.len()), (cut_off.as_slice(), None, 1), "{size}");
        }
    }

    #[test]
    fn a_held_stream_says_that_it_is_held() {
        let good = events(&["The wind ", "blows from ", "the north."], "stop");
        let (_, phases, ..) = read(stream(StreamMode::Whole, BOUNDS), &good, 1);
        assert_eq!(phases, [Phase::Waiting, Phase::Held, Phase::Done]);
        let (_, phases, ..) = read(stream(StreamMode::Hold(20), BOUNDS), &good, 1);
        assert_eq!(phases, [Phase::Waiting, Phase::Held, Phase::Begun, Phase::Done]);
        // Advice holds nothing, not even what is no text.
        let mut reader = stream(StreamMode::Advisory, BOUNDS);
        let thought = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n";
        let mut out = Outbox::default();
        reader.push(Bytes::from_static(thought), &mut out).unwrap();
        assert_eq!((reader.phase(), out.bytes()), (Phase::Begun, thought.len()));
        let (_, phases, ..) = read(stream(StreamMode::Advisory, BOUNDS), &good, 1);
        assert_eq!(phases, [Phase::Waiting, Phase::Begun, Phase::Done]);
    }

    #[test]
    fn an_end_without_its_blank_line_is_judged_too() {
        for (finish, fits) in [("stop", true), ("length", false)] {
            let whole = events(&["The wind."], finish);
            let (passed, _, fault, _) = read(stream(StreamMode::Whole, BOUNDS), &whole[..whole.len() - 1], 5);
            assert_eq!(
                (passed.is_empty(), fault.map(|fault| fault.kind)),
                (!fits, (!fits).then_some(FaultKind::Quality))
            );
        }
    }

    #[test]
    fn bounds_release_a_stream_with_a_remark() {
        let text = events(&["The wind ", "blows from ", "the north."], "length");
        let bounds = WatchBounds { held: 100, ..BOUNDS };
        let (passed, _, fault, notes) = read(stream(StreamMode::Whole, bounds), &text, 10);
        assert_eq!((passed, fault), (text.clone(), None));
        assert!(notes[0] == TOO_LONG_TO_HOLD && notes[1].contains("finish"), "{notes:?}");
        let bounds = WatchBounds { answer: 12, ..BOUNDS };
        let (passed, _, fault, notes) = read(stream(StreamMode::Whole, bounds), &text, 10);
        assert_eq!((passed, fault), (text, None));
        assert!(notes.iter().any(|note| *note == NOT_JUDGED_WHOLE), "{notes:?}");
    }

    #[test]
    fn what_cannot_be_read_is_not_judged() {
        let ask = Ask::read(Operation::Chat, Bytes::from_static(br#"{"model":"m","messages":[],"tools":7}"#)).unwrap();
        let settings =
            QualitySettings { tool_arguments: true, finish: Some(vec![FinishName::ToolCalls]), ..Default::default() };
        let judging = Judging::new(Arc::new(Gates::new(settings, Arc::new(SchemaCache::new()))));
        let mut finding = Finding::default();
        let called = br#"{"choices":[{"message":{"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
        judging.whole(&ask, Wire::Chat, called, &mut finding, 1).unwrap();
        assert_eq!(finding.notes[0], REQUEST_NOT_READ);
        let mut finding = Finding::default();
        judging.whole(&ask, Wire::Chat, b"7", &mut finding, 1).unwrap();
        assert_eq!(finding.notes, [ANSWER_NOT_READ]);
    }
}
