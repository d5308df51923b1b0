//! Reads JSON in place: one pass over a text, no tree, nothing copied.
//!
//! For what is looked at on every call: a request's own fields, a whole answer. A value is either read as what it has to
//! be, or skipped; skipped values are checked as well, so that a text which was read to its end is JSON (RFC 8259), but for
//! halves of surrogate pairs in what was skipped. Other places use `serde_json`, which finds the same and takes three
//! times as long for it, mostly with keys and values that nobody asked for.

use std::borrow::Cow;

/// The deepest nesting that is read: what `serde_json`, and others with it, read by default.
pub(crate) const DEEPEST: u32 = 128;

/// Why a text could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not JSON, or ends too early.
    Malformed,
    /// It is nested deeper than [`DEEPEST`] levels.
    TooDeep,
    /// It is JSON, but has something else where this was expected.
    Expected(&'static str),
    /// It has this field twice.
    Twice(&'static str),
}

/// A text of a JSON text, as it is written there, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a str,
    /// How many escapes are in it.
    escapes: usize,
}

impl<'a> Text<'a> {
    /// What it says.
    pub(crate) fn decoded(self) -> Result<Cow<'a, str>, Broken> {
        if self.escapes == 0 {
            return Ok(Cow::Borrowed(self.raw));
        }
        let decoded = serde_json::from_str(&["\"", self.raw, "\""].concat()); // a half of a surrogate pair is an error
        decoded.map(Cow::Owned).map_err(|_| Broken::Malformed)
    }

    /// About how many bytes it has when it is decoded: exact without escapes of the kind `\u`.
    pub(crate) const fn len(self) -> usize {
        self.raw.len() - self.escapes
    }
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

/// A place in a JSON text.
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Json<'a> {
    /// At the beginning of `text`.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not blank.
    fn next(&mut self) -> Result<u8, Broken> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Broken::Malformed)
    }

    /// What comes next.
    pub(crate) fn kind(&mut self) -> Result<Kind, Broken> {
        Ok(match self.next()? {
            b'{' => Kind::Object,
            b'[' => Kind::List,
            b'"' => Kind::Text,
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Bool,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => return Err(Broken::Malformed),
        })
    }

    /// Takes a null, if that comes next.
    pub(crate) fn null(&mut self) -> Result<bool, Broken> {
        if self.kind()? != Kind::Null {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    /// Reads an object. `field` is called behind each key and has to read or skip the value. Returns the number of fields.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Text<'a>) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        self.open(Kind::Object, "a map")?;
        let mut fields = 0;
        if self.next()? == b'}' {
            return self.close(fields);
        }
        loop {
            if self.next()? != b'"' {
                return Err(Broken::Malformed);
            }
            let key = self.take_text()?;
            if self.next()? != b':' {
                return Err(Broken::Malformed);
            }
            self.at += 1;
            field(self, key)?;
            fields += 1;
            match self.next()? {
                b',' => self.at += 1,
                b'}' => return self.close(fields),
                _ => return Err(Broken::Malformed),
            }
        }
    }

    /// Reads a list. `item` is called before each item and has to read or skip it. Returns the number of items.
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Broken>) -> Result<usize, Broken> {
        self.open(Kind::List, "a list")?;
        let mut items = 0;
        if self.next()? == b']' {
            return self.close(items);
        }
        loop {
            item(self)?;
            items += 1;
            match self.next()? {
                b',' => self.at += 1,
                b']' => return self.close(items),
                _ => return Err(Broken::Malformed),
            }
        }
    }

    fn open(&mut self, kind: Kind, wanted: &'static str) -> Result<(), Broken> {
        if self.kind()? != kind {
            return Err(Broken::Expected(wanted));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Broken::TooDeep);
        }
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, count: usize) -> Result<usize, Broken> {
        self.depth -= 1;
        self.at += 1;
        Ok(count)
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Broken> {
        if self.kind()? != Kind::Text {
            return Err(Broken::Expected("a text"));
        }
        self.take_text()
    }

    /// Skips a value, and returns it as it is written.
    pub(crate) fn skip(&mut self) -> Result<&'a str, Broken> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Null => self.word("null")?,
            Kind::Bool if self.byte() == Some(b't') => self.word("true")?,
            Kind::Bool => self.word("false")?,
            Kind::Number => self.number()?,
            Kind::Text => drop(self.take_text()?),
            Kind::List => drop(self.list(|json| json.skip().map(drop))?),
            Kind::Object => drop(self.object(|json, _| json.skip().map(drop))?),
        }
        Ok(&self.text[start..self.at])
    }

    /// That nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), Broken> {
        match self.next() {
            Err(Broken::Malformed) => Ok(()),
            _ => Err(Broken::Malformed),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Broken> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Broken::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), Broken> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Broken::Malformed) } else { Ok(()) }
    }

    /// Reads the text whose opening quote comes next.
    fn take_text(&mut self) -> Result<Text<'a>, Broken> {
        self.at += 1;
        let start = self.at;
        let mut escapes = 0;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.byte() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escapes });
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                    escapes += 1;
                }
                _ => return Err(Broken::Malformed),
            }
        }
    }

    /// Behind a backslash.
    fn escape(&mut self) -> Result<(), Broken> {
        let rest = &self.text.as_bytes()[self.at..];
        match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 1,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => self.at += 5,
            _ => return Err(Broken::Malformed),
        }
        Ok(())
    }
}

/// How many bytes at the beginning of `bytes` are neither a quote, nor a backslash, nor a control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let quotes = word ^ (ONES * b'"' as u64);
        let backslashes = word ^ (ONES * b'\\' as u64);
        // The lowest byte that is zero, or below 32, has its highest bit set here; bytes above it may have it wrongly.
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let found = (controls | zeros(quotes) | zeros(backslashes)) & HIGHS;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn is_json(text: &str) -> Result<(), Broken> {
        let mut json = Json::new(text);
        json.skip()?;
        json.end()
    }

    #[test]
    fn what_is_json_is_what_serde_says() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "nulll",
            "true",
            "tru",
            "false",
            "0",
            "-0",
            "-",
            "01",
            "1.",
            "1.5",
            ".5",
            "1e",
            "1e5",
            "1E+5",
            "1e-",
            "\"",
            "\"a",
            "\"a\"",
            "\"\\",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12aB\"",
            "\"\n\"",
            "\"\u{1f}\"",
            "\"\u{7f}é漢😀\"",
            "[]",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[1 2]",
            "[1,2]",
            "{}",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" : [ 1 , { \"b\" : null } ] } ",
            "[1]]",
            "1 1",
            "\"1234567\\\"8\"",
            "\"12345678\u{0}\"",
            "{\"a\":1 \"b\":2}",
        ] {
            assert_eq!(is_json(text).is_ok(), serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(is_json(&nested(128)), Ok(()));
        assert_eq!(is_json(&nested(129)), Err(Broken::TooDeep));
        assert_eq!(is_json(&nested(1_000_000)), Err(Broken::TooDeep));
        assert_eq!(is_json(&format!("[{}1]", "[[]],".repeat(10_000))), Ok(()));
    }

    #[test]
    fn texts_are_decoded() {
        let text = |text| Json::new(text).text().and_then(|text: Text<'_>| text.decoded().map(Cow::into_owned));
        assert_eq!(text(r#""plain""#).as_deref(), Ok("plain"));
        assert_eq!(text(r#""a\n\u00e9\ud83d\ude00""#).as_deref(), Ok("a\né😀"));
        assert_eq!(text(r#""\ud83d""#), Err(Broken::Malformed));
        assert_eq!(text("1"), Err(Broken::Expected("a text")));
        assert_eq!(Json::new(r#""a\n\"b""#).text().map(Text::len), Ok(4));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_does(text in r#"[\[\]{}:,"\\ntfaeu0-9.+ \-\n\x00é]{0,40}"#) {
            prop_assert_eq!(is_json(&text).is_ok(), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn plain_bytes_are_counted(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            prop_assert_eq!(plain(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
        }
    }
}
