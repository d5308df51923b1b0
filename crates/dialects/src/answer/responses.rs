//! Whole answers for callers of the responses API: what the stream's writer would say, without the stream. One writer for
//! both, so that a streamed answer and a whole one never differ.

use super::{Answer, AnswerContext, Part, Untranslatable};
use crate::stream::{Event, ResponsesWriter};

pub(super) fn render(answer: &Answer<'_>, context: &AnswerContext) -> Result<Vec<u8>, Untranslatable> {
    // The answer is in memory already; it bounds what is held.
    let mut writer = ResponsesWriter::new(context.clone(), usize::MAX);
    let mut events = Vec::new();
    let mut send = |event: Event<'_>| writer.event(event, &mut events);
    send(Event::Start { id: &answer.id, model: &answer.model })?;
    let mut call = 0;
    for part in &answer.parts {
        match part {
            Part::Thinking { text, .. } if !text.is_empty() => send(Event::Thinking(text))?,
            Part::Thinking { .. } | Part::Redacted(_) => {}
            Part::Text(text) => send(Event::Text(text))?,
            Part::Refusal(text) => send(Event::Refusal(text))?,
            Part::Tool { id, name, arguments } => {
                send(Event::Tool { call, id, name })?;
                if !arguments.is_empty() {
                    send(Event::Arguments { call, piece: arguments })?;
                }
                call += 1;
            }
        }
        send(Event::BlockEnd)?;
    }
    send(Event::Stop(answer.stop.clone()))?;
    if let Some(usage) = answer.usage {
        send(Event::Usage(usage))?;
    }
    writer.response()
}
