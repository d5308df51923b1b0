//! Finds what a model is given in the JSON of a request, in one pass and without building a tree.
//!
//! It knows the shapes of OpenAI's chat completions, completions, embeddings and responses and of Anthropic's messages
//! by the names of their fields. It does not validate: of what is no JSON it counts something, in time that grows with
//! its length. A name is a name also when it is written with escapes.

use std::borrow::Cow;

use memchr::memchr2;

use crate::features::Features;
use crate::media;
use crate::states::{Lexer, Tally};

/// Containers below this are read as lists, so that their keys count as text too.
const DEEPEST: usize = 128;
/// No name that matters is longer, each of its characters written as an escape of six.
const LONGEST_NAME: usize = 6 * 20;

/// How the strings of a value count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not at all: the envelope.
    Skip,
    /// Each string value is text; keys and numbers are the envelope.
    Text,
    /// The JSON itself is the text: tool definitions, arguments, schemas.
    Json,
    /// A string is the address of a picture, or the picture.
    Url,
    /// A string is a picture, or an address that is spoken of.
    Link,
    /// A string is a picture, a document, a recording.
    Data,
    /// What a picture or a document comes from: its `url` is an address, a string is text.
    Source,
    /// A string says what a part of a message is.
    Kind,
}

/// What is known of a value by its name and by what it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    object: bool,
    pub(crate) mode: Mode,
    /// Counts among tool definitions.
    tools: bool,
    /// Its objects are messages, or tools.
    list: bool,
}

/// What parts of messages are called that are pictures, however these are given.
const PICTURES: [&[u8]; 5] = [b"image", b"image_url", b"input_image", b"computer_screenshot", b"image_generation_call"];

const NOTHING: Frame = Frame { object: false, mode: Mode::Skip, tools: false, list: false };

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    frames: [Frame; DEEPEST],
    depth: usize,
    /// What the next value is.
    value: Frame,
    /// Whether the next string names a member.
    key: bool,
    lexer: Lexer,
    text: Tally,
    tools: Tally,
    found: Features,
}

/// What `body` asks a model to read.
pub(crate) fn scan(body: &[u8]) -> Features {
    let mut scan = Scan {
        body,
        at: 0,
        frames: [NOTHING; DEEPEST],
        depth: 0,
        value: NOTHING,
        key: false,
        lexer: Lexer::START,
        text: Tally::new(),
        tools: Tally::new(),
        found: Features::default(),
    };
    scan.run();
    scan.found.text = scan.text.counts();
    scan.found.tool_text = scan.tools.counts();
    scan.found
}

impl Scan<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.body.get(self.at) {
            self.at += 1;
            match byte {
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => self.close(byte),
                b'"' => self.string(),
                b':' => self.json_mark_in(self.frame(), byte),
                b',' => {
                    let frame = self.frame();
                    self.json_mark_in(frame, byte);
                    self.key = frame.object;
                    self.value = Frame { list: false, object: false, ..frame };
                }
                b' ' | b'\t' | b'\n' | b'\r' => {}
                b'-' | b'0'..=b'9' => self.number(byte),
                _ => self.json_mark(byte),
            }
        }
    }

    fn frame(&self) -> Frame {
        if self.depth == 0 { NOTHING } else { self.frames[self.depth.min(DEEPEST) - 1] }
    }

    fn open(&mut self, byte: u8) {
        self.json_mark(byte);
        if byte == b'{' && self.frame().list {
            let count = if self.value.tools { &mut self.found.tools } else { &mut self.found.messages };
            *count = count.saturating_add(1);
        }
        self.depth += 1;
        if self.depth <= DEEPEST {
            self.frames[self.depth - 1] = Frame { object: byte == b'{', ..self.value };
        } else {
            self.frames[DEEPEST - 1].object = false;
        }
        self.key = self.frame().object;
        self.value.list = false;
    }

    fn close(&mut self, byte: u8) {
        self.json_mark_in(self.frame(), byte);
        self.depth = self.depth.saturating_sub(1);
        self.key = false;
        self.value = Frame { list: false, object: false, ..self.frame() };
    }

    /// Counts a byte that is JSON's own where the JSON is the text.
    fn json_mark(&mut self, byte: u8) {
        self.json_mark_in(self.value, byte);
    }

    fn json_mark_in(&mut self, of: Frame, byte: u8) {
        if of.mode == Mode::Json {
            let tally = if of.tools { &mut self.tools } else { &mut self.text };
            self.lexer.take_byte(tally, byte);
        }
    }

    /// A number; in a list under `prompt` or `input` it is a token itself.
    fn number(&mut self, first: u8) {
        let from = self.at;
        while self.body.get(self.at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        {
            self.at += 1;
        }
        match self.value.mode {
            Mode::Json => {
                let tally = if self.value.tools { &mut self.tools } else { &mut self.text };
                self.lexer.take_byte(tally, first);
                self.lexer.take_text(tally, &self.body[from..self.at]);
            }
            Mode::Text if !self.frame().object && self.depth > 1 => {
                self.found.token_ids = self.found.token_ids.saturating_add(1);
            }
            _ => {}
        }
    }

    fn string(&mut self) {
        if self.key {
            return self.name();
        }
        match self.value.mode {
            Mode::Skip => self.pass_string(),
            Mode::Kind => {
                let from = self.at;
                self.pass_string();
                let kind = unescaped(&self.body[from..self.at.saturating_sub(1).max(from)]);
                self.found.images = self.found.images.saturating_add(u32::from(PICTURES.contains(&&*kind)));
            }
            Mode::Text | Mode::Source => {
                self.lexer = Lexer::START;
                self.take_string(false);
            }
            Mode::Json => {
                self.json_mark(b'"');
                self.take_string(true);
                self.json_mark(b'"');
            }
            mode @ (Mode::Url | Mode::Link | Mode::Data) => {
                let from = self.at;
                self.pass_string();
                let value = &self.body[from..self.at.saturating_sub(1).max(from)];
                let is_words = mode == Mode::Link && !value.starts_with(b"data:");
                if let Some(tokens) = media::cost(value, mode == Mode::Url).filter(|_| !is_words) {
                    self.found.media = self.found.media.saturating_add(1);
                    self.found.media_tokens = self.found.media_tokens.saturating_add(tokens);
                } else {
                    self.at = from;
                    self.lexer = Lexer::START;
                    self.take_string(false);
                }
            }
        }
    }

    /// The name of a member, which says what its value is.
    fn name(&mut self) {
        let from = self.at;
        self.key = false;
        let frame = self.frame();
        if frame.mode == Mode::Json {
            self.value = Frame { object: false, list: false, ..frame };
            self.json_mark(b'"');
            self.take_string(true);
            self.json_mark(b'"');
            return;
        }
        self.pass_string();
        let name = unescaped(&self.body[from..self.at.saturating_sub(1).max(from)]);
        self.value = if self.depth == 1 { field(&name) } else { member(&name, frame) };
    }

    /// Goes behind the end of a string without looking at it.
    fn pass_string(&mut self) {
        while let Some(found) = self.body.get(self.at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            self.at += found + 1;
            if self.body[self.at - 1] == b'"' {
                return;
            }
            self.at += 1;
        }
        self.at = self.body.len() + 1;
    }

    /// Counts a string and goes behind its end; `quoted` when its escapes are text as well.
    fn take_string(&mut self, quoted: bool) {
        let tally = if self.value.tools { &mut self.tools } else { &mut self.text };
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let taken = self.lexer.run(tally, rest);
            self.at += taken + 1;
            if rest.get(taken) != Some(&b'\\') {
                return;
            }
            let Some(&escape) = rest.get(taken + 1) else { return };
            self.at += 1;
            if quoted && escape != b'u' {
                self.lexer.take_byte(tally, b'\\');
            }
            match escape {
                b'n' | b'r' => self.lexer.take_byte(tally, b'\n'),
                b't' | b'b' | b'f' => self.lexer.take_byte(tally, b'\t'),
                b'u' => {
                    let hex = rest.get(taken + 2..taken + 6).and_then(|hex| std::str::from_utf8(hex).ok());
                    if let Some(unit) = hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
                        self.at += 4;
                        self.lexer.take_unit(tally, unit);
                    }
                }
                other => self.lexer.take_byte(tally, other),
            }
        }
    }
}

/// What a field of the request itself holds.
pub(crate) fn field(name: &[u8]) -> Frame {
    let frame = |mode, tools, list| Frame { object: false, mode, tools, list };
    match name {
        b"messages" | b"input" => frame(Mode::Text, false, true),
        b"system" | b"instructions" | b"prompt" | b"suffix" => frame(Mode::Text, false, false),
        b"tools" | b"functions" => frame(Mode::Json, true, true),
        b"response_format" | b"output_config" | b"text" => frame(Mode::Json, true, false),
        _ => NOTHING,
    }
}

/// What a member of a message holds, at any depth.
pub(crate) fn member(name: &[u8], frame: Frame) -> Frame {
    let mode = match (frame.mode, name) {
        (Mode::Skip | Mode::Kind, _) => Mode::Skip,
        (_, b"type") => Mode::Kind,
        (
            _,
            b"role" | b"id" | b"tool_call_id" | b"tool_use_id" | b"call_id" | b"file_id" | b"cache_control" | b"detail"
            | b"status" | b"media_type" | b"format" | b"signature" | b"encrypted_content",
        ) => Mode::Skip,
        (_, b"input" | b"schema") => Mode::Json,
        (Mode::Url | Mode::Source, b"url") | (_, b"image_url" | b"file_url" | b"video_url" | b"audio_url") => Mode::Url,
        // Of a citation, of a page that was found.
        (_, b"url") => Mode::Link,
        (_, b"data" | b"file_data" | b"result") => Mode::Data,
        (_, b"source") => Mode::Source,
        (Mode::Url | Mode::Link | Mode::Data | Mode::Source, _) => Mode::Text,
        (mode, _) => mode,
    };
    Frame { object: false, mode, tools: frame.tools, list: false }
}

/// `name` without its escapes; as it is when it is longer than any name that matters.
fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') || name.len() > LONGEST_NAME {
        return Cow::Borrowed(name);
    }
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or(Cow::Borrowed(name), |plain| Cow::Owned(plain.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the text of a request counts like this plain text.
    #[track_caller]
    fn reads(body: &str, text: &str) -> Features {
        let found = scan(body.as_bytes());
        assert_eq!(found.text, Features::of_text(text).text, "{body}");
        found
    }

    #[test]
    fn the_envelope_costs_nothing() {
        let body = r#"{"model":"a long name of a model","metadata":{"content":"not read"},"user":"somebody",
            "messages":[{"role":"user","content":"hello world"}],"stop":["END"],"temperature":0.123}"#;
        let found = reads(body, "hello world");
        assert_eq!((found.messages, found.tools, found.media, found.token_ids), (1, 0, 0, 0));
        assert_eq!(found.tool_text, [0; crate::states::STATES]);
    }

    #[test]
    fn all_dialects_are_read() {
        let hello = "hello world";
        reads(r#"{"prompt":"hello world"}"#, hello);
        reads(r#"{"input":"hello world"}"#, hello);
        reads(r#"{"instructions":"hello world","previous_response_id":"resp_1"}"#, hello);
        reads(r#"{"system":[{"type":"text","text":"hello world","cache_control":{"type":"ephemeral"}}]}"#, hello);
        reads(
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"hello world"}]}]}"#,
            hello,
        );
        let found = reads(
            r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hello world"}]}]}"#,
            hello,
        );
        assert_eq!(found.messages, 1);
    }

    #[test]
    fn escapes_are_what_they_stand_for() {
        reads(r#"{"prompt":"a \"b\"\n\tc \\ d\/e"}"#, "a \"b\"\n\tc \\ d/e");
        reads(r#"{"prompt":"\u4f60\u597d, caf\u00e9 \u0041 \ud83e\udde0"}"#, "你好, café A 🧠");
        reads(r#"{"prom\u0070t":"hello"}"#, "hello");
        reads(r#"{"\u006d\u0065\u0073\u0073\u0061\u0067\u0065\u0073":[{"content":"hello"}]}"#, "hello");
    }

    #[test]
    fn tools_count_as_their_json() {
        let tool = r#"{"name":"f","description":"a \"b\"","parameters":{"n":1.5,"list":[true,null]}}"#;
        for field in ["tools", "functions"] {
            let found = scan(format!(r#"{{"{field}": [ {tool}, {tool} ]}}"#).as_bytes());
            let as_text = Features::of_text(&format!("[{tool},{tool}]"));
            assert_eq!((found.tools, found.messages), (2, 0));
            assert_eq!(found.tool_text, as_text.text);
            assert_eq!(found.text, [0; crate::states::STATES]);
        }
        let body =
            r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","input":{"a": "b"}}]}]}"#;
        reads(body, r#"{"a":"b"}"#);
    }

    #[test]
    fn pictures_are_not_text() {
        let data = "iVBORw0KGgoAAAANSUhEUg".repeat(1000);
        for content in [
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}","detail":"high"}}}}"#),
            r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#.to_owned(),
            format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
            format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#),
            r#"{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}"#.to_owned(),
        ] {
            let body = format!(
                r#"{{"messages":[{{"role":"user","content":[{content},{{"type":"text","text":"hello world"}}]}}]}}"#
            );
            let found = reads(&body, "hello world");
            assert_eq!((found.media, found.media_tokens), (1, media::PICTURE), "{content}");
        }
        // A document given as text is text, whatever it begins with.
        let text = format!("{} {}", "A".repeat(100), "the quick brown fox ".repeat(1000));
        let body = format!(
            r#"{{"messages":[{{"content":[{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"{text}"}}}}]}}]}}"#
        );
        assert_eq!(reads(&body, &text).media, 0);
        let body = r#"{"messages":[{"content":[{"type":"document","source":{"type":"text","data":"hello world"}}]}]}"#;
        assert_eq!(reads(body, "hello world").media, 0);
    }

    #[test]
    fn pictures_are_told_by_what_they_are_called() {
        let images = |content: &str| {
            let found = scan(format!(r#"{{"messages":[{{"role":"user","content":[{content}]}}]}}"#).as_bytes());
            (found.images, found.media)
        };
        let pdf = format!("JVBERi0x{}", "A".repeat(100));
        for (content, expected) in [
            (r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#.to_owned(), (1, 1)),
            (r#"{"type":"ima\u0067e","source":{"type":"url","url":"https://example.com/a.png"}}"#.to_owned(), (1, 1)),
            // Kept at the provider, drawn in words, or too small to be told from them.
            (r#"{"type":"image","source":{"type":"file","file_id":"file_1"}}"#.to_owned(), (1, 0)),
            (r#"{"type":"input_image","file_id":"file-1"}"#.to_owned(), (1, 0)),
            (r#"{"type":"input_image","image_url":"data:image/svg+xml,<svg/>"}"#.to_owned(), (1, 0)),
            (r#"{"type":"image","source":{"type":"base64","data":"R0lGODlh"}}"#.to_owned(), (1, 0)),
            (
                r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"https://a.example"}}]}"#
                    .to_owned(),
                (1, 1),
            ),
            // Documents and recordings are none.
            (format!(r#"{{"type":"document","source":{{"type":"base64","data":"{pdf}"}}}}"#), (0, 1)),
            (format!(r#"{{"type":"input_audio","input_audio":{{"data":"{}"}}}}"#, "A".repeat(100)), (0, 1)),
            // Neither are addresses that are spoken of, and words.
            (r#"{"type":"text","text":"image","citations":[{"type":"web","url":"https://a.example"}]}"#.to_owned(), (0, 0)),
            (r#"{"type":"search_result","source":"https://a.example","content":[]}"#.to_owned(), (0, 0)),
            (
                r#"{"type":"web_search_tool_result","content":[{"type":"web_search_result","url":"https://a.example"}]}"#
                    .to_owned(),
                (0, 0),
            ),
            (r#"{"type":"tool_use","name":"draw","input":{"type":"image","url":"https://a.example"}}"#.to_owned(), (0, 0)),
            (r#"{"type":{"type":"image"}}"#.to_owned(), (0, 0)),
            // What the provider's tools have made.
            (r#"{"type":"x","outputs":[{"type":"image","url":"data:image/png;base64,iVBORw0K"}]}"#.to_owned(), (1, 1)),
            (format!(r#"{{"type":"image_generation_call","result":"iVBORw0K{}"}}"#, "A".repeat(100)), (1, 1)),
            (r#"{"type":"mcp_call","result":"words"}"#.to_owned(), (0, 0)),
        ] {
            assert_eq!(images(&content), expected, "{content}");
        }
        let annotated = r#"{"input":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"so",
            "annotations":[{"type":"url_citation","url":"https://a.example","title":"A"}]}]}],"tools":[{"type":"image"}]}"#;
        let found = scan(annotated.as_bytes());
        assert_eq!((found.images, found.media, found.media_tokens), (0, 0, 0));
    }

    #[test]
    fn numbers_of_a_prompt_are_tokens() {
        assert_eq!(reads(r#"{"input":[[15339, 1917],[1]],"dimensions":256}"#, "").token_ids, 3);
    }

    #[test]
    fn depth_is_no_way_around_being_counted() {
        let deep = format!(r#"{{"messages":[{}"hello world"{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
        reads(&deep, "hello world");
    }

    #[test]
    fn whatever_the_bytes_are_nothing_fails() {
        let whole = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a\u00e9\n\"b"},{"image_url":{"url":"data:x,y"}}]}],"tools":[{"a":-1.5e3}]}"#;
        for end in 0..=whole.len() {
            let _ = scan(&whole.as_bytes()[..end]);
        }
        let mut random = fastrand::Rng::with_seed(1);
        let pieces: [&[u8]; 16] = [
            b"{",
            b"}",
            b"[",
            b"]",
            b"\"",
            b"\\",
            b"\\u",
            b":",
            b",",
            b"messages",
            b"tools",
            b"url",
            b"12",
            b"\xff",
            b"\xe4\xbd",
            b"\0",
        ];
        for _ in 0..20_000 {
            let length = random.usize(0..60);
            let body: Vec<u8> =
                (0..length).flat_map(|_| pieces[random.usize(0..pieces.len())].iter().copied()).collect();
            let found = scan(&body);
            assert!(
                found.text.iter().chain(&found.tool_text).map(|count| *count as usize).sum::<usize>() <= 4 * body.len()
            );
        }
    }
}
