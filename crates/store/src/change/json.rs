//! Reading JSON text without making anything of it: where a value ends, what the parts of an array or object are, what a
//! string says.

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::ChangeError;

/// How deep arrays and objects may be nested: what `serde_json` reads by default, so that whatever is kept can be read.
pub const MAX_DEPTH: usize = 128;

/// Checks that `content` is JSON (RFC 8259) in UTF-8, nested at most [`MAX_DEPTH`] deep, and gives it as text.
///
/// # Errors
/// [`ChangeError::NotJson`], [`ChangeError::TooDeep`].
pub fn check_json(content: &[u8]) -> Result<&str, ChangeError> {
    checked(content, "the content")
}

/// [`check_json`], with a name for what is checked.
pub(super) fn checked<'a>(content: &'a [u8], what: &'static str) -> Result<&'a str, ChangeError> {
    let text = utf8(content, what)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| ChangeError::NotJson { what, why: error.to_string() })?;
    if depth(text) > MAX_DEPTH { Err(ChangeError::TooDeep) } else { Ok(text) }
}

/// The text of what was checked when it came in.
pub(super) fn utf8<'a>(content: &'a [u8], what: &'static str) -> Result<&'a str, ChangeError> {
    std::str::from_utf8(content).map_err(|error| ChangeError::NotJson { what, why: error.to_string() })
}

/// How deep arrays and objects are nested in a value: 0 for a string.
pub(super) fn depth(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut deepest) = (0, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A value without the white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The white space before a value.
pub(super) fn lead(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(is_space).len()]
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// What kind of value begins with `text`'s first byte, for messages.
pub(super) fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Walks over the parts of one array or object.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A part of an array or object, as it is written.
pub(super) struct Part<'a> {
    /// White space before it.
    pub(super) lead: &'a str,
    /// For a member of an object: its name with the quotes, and what stands between name and value.
    pub(super) name: Option<(&'a str, &'a str)>,
    /// The value.
    pub(super) value: &'a str,
}

impl<'a> Reader<'a> {
    /// The parts of `text`, a value without white space around it; `None` when it is neither array nor object.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        text.starts_with(['[', '{']).then_some(Self { text, at: 1 })
    }

    fn space(&mut self) -> &'a str {
        let space = lead(&self.text[self.at..]);
        self.at += space.len();
        space
    }

    fn value(&mut self) -> &'a str {
        let from = self.at;
        self.at = end_of_value(self.text.as_bytes(), from);
        &self.text[from..self.at]
    }

    /// The next part, or the white space before the end.
    pub(super) fn next(&mut self) -> Result<Part<'a>, &'a str> {
        let is_object = self.text.starts_with('{');
        let lead = self.space();
        if matches!(self.text.as_bytes().get(self.at), None | Some(b']' | b'}')) {
            return Err(lead);
        }
        let name = is_object.then(|| {
            let name = self.value();
            let from = self.at;
            self.space();
            if self.text[self.at..].starts_with(':') {
                self.at += 1;
            }
            self.space();
            (name, &self.text[from..self.at])
        });
        let value = self.value();
        let behind = self.at;
        self.space();
        if self.text[self.at..].starts_with(',') {
            self.at += 1;
        } else {
            // Behind the last part it belongs to the end.
            self.at = behind;
        }
        Ok(Part { lead, name, value })
    }
}

/// The place behind the value that begins at `from`: always further on, always between two characters.
fn end_of_value(bytes: &[u8], from: usize) -> usize {
    match bytes.get(from) {
        None => from,
        Some(b'"') => end_of_string(bytes, from + 1),
        Some(b'[' | b'{') => {
            let (mut at, mut open) = (from + 1, 1_usize);
            while let Some(&byte) = bytes.get(at) {
                at += 1;
                match byte {
                    b'"' => at = end_of_string(bytes, at),
                    b'[' | b'{' => open += 1,
                    b']' | b'}' => {
                        open -= 1;
                        if open == 0 {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            at
        }
        Some(_) => {
            let rest = &bytes[from..];
            let is_end = |byte: &u8| {
                matches!(byte, b',' | b':' | b'"' | b'[' | b']' | b'{' | b'}') || byte.is_ascii_whitespace()
            };
            // At least one whole character, so that a walk over what is not JSON ends too.
            let first = 1 + rest[1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
            from + rest[first..].iter().position(is_end).map_or(rest.len(), |length| first + length)
        }
    }
}

/// The place behind the closing quote of a string whose first character is at `at`; the end where there is none.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // The character that a backslash stands before has one byte in JSON; in anything else a boundary is looked for.
        at += 2;
        while bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
            at += 1;
        }
    }
    bytes.len()
}

/// What a string says: its literal with the quotes, read. Half of a surrogate pair alone, which JSON allows, becomes what
/// UTF-8 would make of it were it allowed to, so that two strings say the same when their bytes are equal.
pub(super) fn read_string(literal: &str) -> Cow<'_, [u8]> {
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let inner = inner.strip_suffix('"').unwrap_or(inner).as_bytes();
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        if inner[at] != b'\\' {
            out.push(inner[at]);
            at += 1;
            continue;
        }
        let escaped = inner.get(at + 1).copied().unwrap_or(b'\\');
        at += 2;
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let first = unit(inner, at);
                at += 4;
                let pair = match first {
                    0xd800..=0xdbff if inner.get(at..at + 2) == Some(b"\\u") => unit(inner, at + 2),
                    _ => 0,
                };
                if (0xdc00..=0xdfff).contains(&pair) {
                    at += 6;
                    push(&mut out, 0x1_0000 + ((first - 0xd800) << 10) + (pair - 0xdc00));
                } else {
                    push(&mut out, first);
                }
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// The UTF-16 unit that four hexadecimal digits at `at` are.
fn unit(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
}

fn push(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend([0xe0 | code >> 12, 0x80 | code >> 6 & 0x3f, 0x80 | code & 0x3f].map(|byte| byte as u8)),
    }
}

/// A text as a string literal with its quotes.
pub(super) fn write_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
