//! Server-sent events as bytes, in the ways that the WHATWG rules allow ("Server-sent events", parsing an event stream).

use crate::SimFault;
use crate::answer::{Data, Event};
use crate::script::Part;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Style {
    line_ends: &'static [&'static str],
    comments: bool,
    multi_line: bool,
    bom: bool,
    unfinished: bool,
}

/// Writes events as lines.
struct Writer {
    style: Style,
    text: String,
    lines: usize,
    last_end: &'static str,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let ends = self.style.line_ends;
        let mut end = ends[self.lines % ends.len()];
        // An LF right behind a CR would be read as one line end, and the blank line would be lost.
        if line.is_empty() && self.last_end == "\r" && end == "\n" {
            end = "\r";
        }
        self.text.push_str(line);
        self.text.push_str(end);
        self.lines += 1;
        self.last_end = end;
    }

    fn event(&mut self, event: &Event) {
        if self.style.comments {
            // No `id:`: behind one, the official Python client takes every comment for an event without data.
            self.line(": keep-alive");
            self.line("");
            self.line(":");
            self.line("retry: 3000");
            self.line("x-unknown: field");
            self.line("no-colon");
        }
        if let Some(name) = event.name {
            self.line(&format!("event: {name}"));
        }
        match &event.data {
            Data::Json(value) if self.style.multi_line => {
                let pretty = serde_json::to_string_pretty(value).expect("a JSON value can be written");
                for (at, line) in pretty.lines().enumerate() {
                    self.line(&format!("{}{line}", if at % 2 == 0 { "data: " } else { "data:" }));
                }
            }
            _ => self.line(&format!("data: {}", event.data_text())),
        }
        self.line("");
    }
}

/// One part for each event, written in the style that `fault` asks for.
pub(crate) fn encode(events: &[Event], fault: Option<SimFault>) -> Vec<Part> {
    let line_ends: &'static [&'static str] = match fault {
        Some(SimFault::SseCrlf) => &["\r\n"],
        Some(SimFault::SseCr) => &["\r"],
        Some(SimFault::SseMixedLineEnds) => &["\r\n", "\r", "\n"],
        _ => &["\n"],
    };
    let style = Style {
        line_ends,
        comments: fault == Some(SimFault::SseComments),
        multi_line: fault == Some(SimFault::SseMultiLineData),
        bom: fault == Some(SimFault::SseBom),
        unfinished: fault == Some(SimFault::SseNoFinalBlankLine),
    };
    let mut writer = Writer { style, text: String::new(), lines: 0, last_end: "" };
    if style.bom {
        writer.text.push('\u{feff}');
    }
    let mut parts = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        writer.event(event);
        if style.unfinished && at + 1 == events.len() {
            writer.text.pop();
        }
        parts.push(Part::bytes(std::mem::take(&mut writer.text), event.place));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Place;
    use serde_json::json;

    fn written(fault: Option<SimFault>) -> String {
        let events = [
            Event::json(Some("a"), Place::Opening, json!({"n": 1})),
            Event { name: None, data: Data::Text("[DONE]".to_owned()), place: Place::Terminal },
        ];
        let mut text = Vec::new();
        for part in encode(&events, fault) {
            let Part::Bytes { bytes, .. } = part else { panic!("not bytes") };
            text.extend_from_slice(&bytes);
        }
        String::from_utf8(text).unwrap()
    }

    /// Parses as the standard says, which is the judge of every style.
    fn parsed(text: &str) -> Vec<String> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        let mut data: Vec<String> = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.trim_end_matches('\n') {
                "" if !data.is_empty() => events.push(std::mem::take(&mut data).join("\n")),
                line => {
                    if let Some(value) = line.strip_prefix("data:") {
                        data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
                    }
                }
            }
        }
        events
    }

    #[test]
    fn every_style_says_the_same() {
        for fault in [
            None,
            Some(SimFault::SseCrlf),
            Some(SimFault::SseCr),
            Some(SimFault::SseMixedLineEnds),
            Some(SimFault::SseComments),
            Some(SimFault::SseMultiLineData),
            Some(SimFault::SseBom),
        ] {
            let events = parsed(&written(fault));
            assert_eq!(events.len(), 2, "{fault:?}: {:?}", written(fault));
            let first: serde_json::Value = serde_json::from_str(&events[0]).unwrap();
            assert_eq!((first, events[1].as_str()), (json!({"n": 1}), "[DONE]"), "{fault:?}");
        }
    }

    #[test]
    fn the_styles_are_what_they_say() {
        assert_eq!(written(None), "event: a\ndata: {\"n\":1}\n\ndata: [DONE]\n\n");
        assert_eq!(written(Some(SimFault::SseCr)), "event: a\rdata: {\"n\":1}\r\rdata: [DONE]\r\r");
        assert_eq!(written(Some(SimFault::SseMixedLineEnds)), "event: a\r\ndata: {\"n\":1}\r\rdata: [DONE]\r\n\r");
        assert!(written(Some(SimFault::SseBom)).starts_with('\u{feff}'));
        assert!(written(Some(SimFault::SseMultiLineData)).contains("data: {\ndata:  \"n\": 1\ndata: }\n\n"));
        assert_eq!(parsed(&written(Some(SimFault::SseNoFinalBlankLine))).len(), 1);
    }
}
