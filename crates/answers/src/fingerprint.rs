//! What must agree in two questions before they may share an answer, however near their vectors are.
//!
//! Vectors see the topic and lose the details: `2023` and `2024`, `with` and `without`, `from A to B` and `from B to A`
//! are close to each other and have different answers. So numbers with their units, words that turn a meaning, quoted
//! texts, identifiers and operators, names, and scripts are compared as they are written. The check errs on the side of
//! asking again: a paraphrase that writes `two` for `2` is not recognised. It knows English and Chinese words; in other
//! languages only what is not a word is compared, and telling languages of one script apart is left to the caller
//! ([`crate::Asked::variant`]).
//!
//! Only hashes are kept, no text.

mod words;

use self::words::{NUMBERS, NUMBERS_HAN, TURNING, TURNING_HAN, is_in};
use crate::canonical::{Digest, HashKey};

/// The hashes of what must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Each kind of detail, in the order in which it is said.
    details: u128,
    /// All words, whatever their order.
    words: u128,
    /// All words, in their order.
    order: u128,
}

impl Fingerprint {
    pub(crate) fn of(text: &str, key: &HashKey) -> Self {
        let mut reader = Reader::new(key);
        reader.read(text);
        reader.finish()
    }

    /// Whether two questions that are near each other may share an answer: their details agree, and they are not the same
    /// words in another order.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.details == other.details && (self.words != other.words || self.order == other.order)
    }
}

struct Reader<'k> {
    key: &'k HashKey,
    numbers: Digest,
    turning: Digest,
    quoted: Digest,
    names: Digest,
    operators: Digest,
    order: Digest,
    words: u128,
    /// One bit for each script.
    scripts: u8,
    /// Whether the next word begins a sentence, where a capital letter makes no name.
    begins: bool,
}

impl<'k> Reader<'k> {
    fn new(key: &'k HashKey) -> Self {
        let digest = || key.hasher();
        Self {
            key,
            numbers: digest(),
            turning: digest(),
            quoted: digest(),
            names: digest(),
            operators: digest(),
            order: digest(),
            words: 0,
            scripts: 0,
            begins: true,
        }
    }

    fn finish(self) -> Fingerprint {
        let mut details = self.key.hasher();
        for digest in [&self.numbers, &self.turning, &self.quoted, &self.names, &self.operators] {
            details.number(digest.finish());
        }
        details.number(self.scripts.into());
        Fingerprint { details: details.finish(), words: self.words, order: self.order.finish() }
    }

    fn read(&mut self, text: &str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let taken = if let Some(length) = quotation(rest, first) {
                let quoted = &rest.as_bytes()[..length];
                self.quoted.part(quoted);
                self.count(quoted);
                length
            } else if is_wide(first) {
                self.wide(first);
                first.len_utf8()
            } else if first.is_alphanumeric() || first == '_' {
                let end = rest.find(|c: char| !in_token(c)).unwrap_or(rest.len());
                // A full stop or an apostrophe at the end belongs to the sentence.
                let token = rest[..end].trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
                self.token(token);
                token.len()
            } else {
                self.mark(first);
                first.len_utf8()
            };
            rest = &rest[taken..];
        }
    }

    /// Counts a word for the comparison of orders.
    fn count(&mut self, word: &[u8]) {
        self.order.part(word);
        // A sum knows no order.
        self.words = self.words.wrapping_add(self.key.hasher().part(word).finish());
    }

    /// A character of a script without spaces between words.
    fn wide(&mut self, character: char) {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        if NUMBERS_HAN.contains(character) {
            self.numbers.part(bytes);
        } else if TURNING_HAN.contains(character) {
            self.turning.part(bytes);
        }
        self.scripts |= script(character);
        self.count(bytes);
        self.begins = false;
    }

    fn token(&mut self, token: &str) {
        let lower = token.to_lowercase();
        let word = lower.replace('\u{2019}', "'");
        let starts = std::mem::replace(&mut self.begins, false);
        self.count(word.as_bytes());
        token.chars().for_each(|c| self.scripts |= script(c));
        if token.contains(|c: char| c.is_numeric()) || is_in(NUMBERS, &word) {
            self.numbers.part(word.as_bytes());
        } else if word.ends_with("n't") || matches!(word.as_str(), "dont" | "doesnt" | "isnt" | "cant" | "wont") {
            self.turning.part(b"not");
        } else if is_in(TURNING, &word) {
            self.turning.part(word.as_bytes());
        } else if is_identifier(token) || (!starts && token.starts_with(char::is_uppercase) && token != "I") {
            // Its case counts: `Map` and `map` are two things in code.
            self.names.part(token.as_bytes());
        }
    }

    /// A character that is in no word.
    fn mark(&mut self, character: char) {
        match character {
            '.' | '!' | '?' | ':' | '\n' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}' => self.begins = true,
            '+' | '-' | '*' | '/' | '=' | '<' | '>' | '%' | '^' | '&' | '|' | '~' | '$' | '#' | '@' | '\\' | '{'
            | '}' | '[' | ']' | '\u{a3}' | '\u{a5}' | '\u{20ac}' | '\u{b0}' | '\u{2212}' | '\u{d7}' | '\u{f7}'
            | '\u{2264}' | '\u{2265}' | '\u{2260}' => {
                let mut buffer = [0; 4];
                self.operators.part(character.encode_utf8(&mut buffer).as_bytes());
            }
            // What is no letter of any script known here, such as a smiley, counts as it is.
            _ if !character.is_ascii() && !character.is_whitespace() && !is_punctuation(character) => {
                self.operators.part(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => {}
        }
    }
}

/// Characters that hold a token together: `foo.bar`, `a_b`, `std::fmt`, `don't`, `1,000`, `x@y`, `a/b`, `e-mail`.
fn in_token(c: char) -> bool {
    !is_wide(c) && (c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '\'' | '\u{2019}' | ',' | '@' | '/' | '-'))
}

/// Whether a token is code, a path, an address or an abbreviation rather than a word.
fn is_identifier(token: &str) -> bool {
    let mut letters = token.chars();
    letters.next();
    token.contains(['_', ':', '@', '/', '.', ',']) || letters.any(char::is_uppercase)
}

/// The length of a quoted text that begins here, its quotes included; at most 500 bytes long.
fn quotation(rest: &str, first: char) -> Option<usize> {
    const LONGEST: usize = 500;
    let closing = match first {
        '"' => '"',
        '`' => '`',
        '\'' => '\'',
        '\u{201c}' | '\u{201d}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        '\u{ab}' => '\u{bb}',
        '\u{300c}' => '\u{300d}',
        '\u{300e}' => '\u{300f}',
        '\u{300a}' => '\u{300b}',
        _ => return None,
    };
    let inner = &rest[first.len_utf8()..];
    let end = inner.char_indices().take_while(|(at, _)| *at < LONGEST).find(|(_, c)| *c == closing)?.0;
    (end > 0).then(|| first.len_utf8() + end + closing.len_utf8())
}

/// Scripts that put no spaces between words.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

fn is_punctuation(c: char) -> bool {
    matches!(u32::from(c), 0xA0..=0xBF | 0x2000..=0x206F | 0x3000..=0x303F | 0xFF00..=0xFF0F | 0xFF1A..=0xFF20
        | 0xFF3B..=0xFF40 | 0xFF5B..=0xFF65 | 0xFE00..=0xFE0F)
}

/// The bit of a letter's script: the same question in another script wants another answer.
fn script(c: char) -> u8 {
    match u32::from(c) {
        0x41..=0x24F if c.is_alphabetic() => 1,
        0x400..=0x52F => 2,
        0x590..=0x6FF => 4,
        0x900..=0xDFF => 8,
        0x3040..=0x30FF | 0x31F0..=0x31FF => 16,
        0xAC00..=0xD7AF | 0x1100..=0x11FF => 32,
        0x2E80..=0x2FDF | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF => 64,
        _ if c.is_alphabetic() => 128,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Fingerprint {
        Fingerprint::of(text, &HashKey([3; 16]))
    }

    #[test]
    fn details_have_to_agree() {
        for (left, right) in [
            ("who won the cup in 2023", "who won the cup in 2024"),
            ("is 3.5 more than that", "is 35 more than that"),
            ("a list of two cities", "a list of three cities"),
            ("a walk of 5 km", "a walk of 5 miles"),
            ("a price of $5", "a price of \u{20ac}5"),
            ("pasta with meat", "pasta without meat"),
            ("should I go", "should I not go"),
            ("does it work", "doesn't it work"),
            ("what happened before the war", "what happened after the war"),
            ("translate \"hello\" into French", "translate \"good bye\" into French"),
            ("translate 'yes' now", "translate 'no' now"),
            ("what does `map` do", "what does `filter` do"),
            ("what is foo_bar", "what is foo_baz"),
            ("explain std::fmt to me", "explain std::io to me"),
            ("is a < b", "is a > b"),
            ("x + y", "x - y"),
            ("what is the capital of France?", "what is the capital of Spain?"),
            ("compare HTTP to others", "compare FTP to others"),
            ("a flight from paris to london", "a flight from london to paris"),
            ("does a dog bite a man", "does a man bite a dog"),
            ("北京有多少人", "北京没有多少人"),
            ("写三首诗", "写四首诗"),
            ("从北京到上海", "从上海到北京"),
            ("法国的首都是什么", "what is the capital of it"),
            ("how to enable the log", "how to disable the log"),
            ("email a@example.com", "email b@example.com"),
            ("delete /etc/hosts", "delete /etc/passwd"),
            ("is this funny \u{1f600}", "is this funny \u{1f62d}"),
        ] {
            assert!(!of(left).agrees(&of(right)), "{left} | {right}");
            assert!(!of(right).agrees(&of(left)), "{right} | {left}");
        }
    }

    #[test]
    fn the_same_in_other_words_agrees() {
        for (left, right) in [
            ("What is the capital of France?", "what's the capital city of France"),
            ("Tell me a joke about cats.", "please tell a joke about a cat"),
            ("Who won the cup in 2023?", "In 2023, who was the winner of the cup?!"),
            ("isn't it raining", "isn\u{2019}t it raining"),
            ("北京的天气怎么样", "请问北京天气怎么样？"),
        ] {
            let (a, b) = (of(left), of(right));
            assert!(a.agrees(&a) && a.agrees(&b) && b.agrees(&a), "{left} | {right}");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_one(text in "\\PC{0,80}") {
            let one = of(&text);
            prop_assert!(one.agrees(&of(&text)));
        }

        #[test]
        fn another_number_never_agrees(before in "[a-z ]{0,20}", a in 0_u32..1000, b in 0_u32..1000, after in "[a-z ]{0,20}") {
            prop_assume!(a != b);
            let (left, right) = (format!("{before} {a} {after}"), format!("{before} {b} {after}"));
            prop_assert!(!of(&left).agrees(&of(&right)));
        }
    }
}
