//! Additions to the end of a content, without looking at what stands before it.

use super::json::{checked, kind, trim};
use super::{ChangeError, Format};

/// What an addition makes of a content: so many of its bytes stay, and these come behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Bytes of the old content that stay. For JSON a few less than all, since the closing bracket comes again.
    pub keep: usize,
    /// What comes behind them.
    pub bytes: Vec<u8>,
}

impl Tail {
    /// The new content. Its owner may know of a shorter way, with `keep` bytes hashed and cut already.
    #[must_use]
    pub fn on(&self, content: &[u8]) -> Vec<u8> {
        [&content[..self.keep], &self.bytes].concat()
    }
}

/// Adds like to like: the elements of a JSON array to a JSON array, the characters of a JSON string to a JSON string, and
/// where the content is not JSON, bytes to bytes. The new content has at most `limit` bytes.
///
/// # Errors
/// [`ChangeError::NotJson`] and [`ChangeError::TooDeep`] for the addition, [`ChangeError::NotAlike`],
/// [`ChangeError::TooLarge`].
pub fn append(format: Format, content: &[u8], addition: &[u8], limit: usize) -> Result<Tail, ChangeError> {
    let tail = match format {
        Format::Bytes => Tail { keep: content.len(), bytes: addition.to_vec() },
        Format::Json => append_json(content, addition)?,
    };
    if tail.bytes.len() > limit.saturating_sub(tail.keep) { Err(ChangeError::TooLarge { limit }) } else { Ok(tail) }
}

fn append_json(content: &[u8], addition: &[u8]) -> Result<Tail, ChangeError> {
    let addition = trim(checked(addition, "the addition")?);
    let value = content.trim_ascii();
    let not_alike = || {
        // The first byte says what it is, and a first byte that is no character says nothing that JSON has.
        let first = value.first().map_or("", |first| if first.is_ascii() { ascii(*first) } else { "" });
        Err(ChangeError::NotAlike { content: kind(first), addition: kind(addition) })
    };
    // Where the value ends: its closing bracket or quote.
    let Some(closing) = content.trim_ascii_end().len().checked_sub(1) else { return not_alike() };
    match (value, addition.as_bytes()) {
        ([b'"', .., b'"'], [b'"', .., b'"']) => {
            let bytes = [&addition.as_bytes()[1..addition.len() - 1], &content[closing..]].concat();
            Ok(if addition.len() == 2 { unchanged(content) } else { Tail { keep: closing, bytes } })
        }
        ([b'[', .., b']'], [b'[', .., b']']) => {
            let elements = trim(&addition[1..addition.len() - 1]);
            if elements.is_empty() {
                return Ok(unchanged(content));
            }
            let keep = content[..closing].trim_ascii_end().len();
            // What stands before the closing bracket of a JSON array is an opening one only when the array is empty.
            let comma: &[u8] = if content[..keep].ends_with(b"[") { b"" } else { b"," };
            Ok(Tail { keep, bytes: [comma, elements.as_bytes(), &content[keep..]].concat() })
        }
        _ => not_alike(),
    }
}

const fn unchanged(content: &[u8]) -> Tail {
    Tail { keep: content.len(), bytes: Vec::new() }
}

/// A text of the one character that tells kinds of values apart.
const fn ascii(first: u8) -> &'static str {
    match first {
        b'{' => "{",
        b'[' => "[",
        b'"' => "\"",
        b't' | b'f' => "t",
        b'n' => "n",
        _ => "0",
    }
}
