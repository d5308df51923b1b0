//! Text from outside in messages, quoted as the go command quotes it.

use std::fmt::{self, Write as _};

use unicode_general_category::{GeneralCategory, get_general_category};

/// The longest text that is repeated in a message, in characters; what is longer is cut, with `…`.
const LONGEST: usize = 200;

/// A text between double quotes, with escapes for what cannot be shown (Go's `%q`), cut after 200 characters.
#[must_use]
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted { text, mark: '"' }
}

/// A character between single quotes, escaped in the same way.
pub(crate) struct QuotedChar(pub char);

impl fmt::Display for QuotedChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted { text: self.0.encode_utf8(&mut [0; 4]), mark: '\'' })
    }
}

/// What [`quoted`] gives.
pub struct Quoted<'a> {
    text: &'a str,
    mark: char,
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.mark)?;
        for (index, character) in self.text.chars().enumerate() {
            if index == LONGEST {
                f.write_char('…')?;
                break;
            }
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                _ if character == self.mark => write!(f, "\\{character}")?,
                _ if is_shown(character) => f.write_char(character)?,
                _ => match u32::from(character) {
                    code @ 0..0x80 => write!(f, "\\x{code:02x}")?,
                    code @ 0x80..0x1_0000 => write!(f, "\\u{code:04x}")?,
                    code => write!(f, "\\U{code:08x}")?,
                },
            }
        }
        f.write_char(self.mark)
    }
}

/// Whether a terminal may be given the character as it is: not what moves the cursor, has no shape, or changes the direction
/// or the joining of what is around it, and would let a name lie about itself.
fn is_shown(character: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    let category = get_general_category(character);
    character == ' '
        || !matches!(
            category,
            Control
                | Format
                | LineSeparator
                | ParagraphSeparator
                | PrivateUse
                | SpaceSeparator
                | Surrogate
                | Unassigned
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        for (text, shown) in [
            ("plain", "\"plain\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("\u{1}\n\t\r\u{7f}", "\"\\x01\\n\\t\\r\\x7f\""),
            ("\u{85}\u{202e}\u{e0001}é☺", "\"\\u0085\\u202e\\U000e0001é☺\""),
        ] {
            assert_eq!(quoted(text).to_string(), shown);
        }
        assert_eq!(QuotedChar('\'').to_string(), "'\\''");
        assert_eq!(QuotedChar('"').to_string(), "'\"'");
        assert_eq!(quoted(&"x".repeat(500)).to_string().chars().count(), 203);
    }
}
