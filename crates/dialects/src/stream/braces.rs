//! Watches the arguments of a tool call as they come in pieces, to see when the JSON object is complete. It counts
//! brackets; whether everything between them is JSON is not its question.

use crate::answer::{Untranslatable, not_an_object};

/// How far an object is.
#[derive(Debug, Default)]
pub(super) struct Braces {
    depth: usize,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Braces {
    /// Takes the next piece.
    ///
    /// # Errors
    /// When this is no object, or something comes after it.
    pub(super) fn feed(&mut self, piece: &str) -> Result<(), Untranslatable> {
        for byte in piece.bytes() {
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                _ if self.complete => return Err(not_an_object()),
                b'{' | b'[' if self.depth > 0 || byte == b'{' => self.depth += 1,
                _ if self.depth == 0 => return Err(not_an_object()),
                b'}' | b']' => {
                    self.depth -= 1;
                    self.complete = self.depth == 0;
                }
                b'"' => self.in_string = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the object is complete.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the object has begun and is not complete.
    pub(super) const fn is_cut(&self) -> bool {
        self.depth > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_brace() {
        for (pieces, complete) in [
            (&["{}"][..], true),
            (&[" {", "\"a\":[{\"}\"", ":1}]}", " "], true),
            (&["{\"a\":\"}\\", "\"}"], false),
            (&["{\"a\":\"\\\\\"}"], true),
            (&["{\"a\":{}"], false),
            (&["", " "], false),
        ] {
            let mut braces = Braces::default();
            for piece in pieces {
                braces.feed(piece).unwrap();
            }
            assert_eq!(braces.is_complete(), complete, "{pieces:?}");
        }
    }

    #[test]
    fn anything_else_is_no_object() {
        for text in ["[1]", "null", "\"{}\"", "}", "{}{}", "{} x", "7"] {
            assert!(Braces::default().feed(text).is_err(), "{text}");
        }
    }
}
