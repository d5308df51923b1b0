//! A record as a lookup gives it: its number, its text, an empty line, and a signed note with a tree head.

use thiserror::Error;

use crate::head::decimal;
use crate::{Hash, TreeHead};

/// Bytes of the longest record text that is looked at; those of checksum databases have two lines, some 200 bytes.
pub const MAX_RECORD: usize = 64 * 1024;

/// A record as somebody gave it: nothing in it is believed before its hash was found in a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    /// Its place in the log, the first being 0.
    pub id: u64,
    /// What is recorded: lines, each with its line feed.
    pub text: &'a str,
    /// What follows: a signed note with the head of a tree.
    pub note: &'a [u8],
}

/// An answer that does not start with a record.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("malformed record data: {0}")]
pub struct RecordError(&'static str);

impl<'a> Record<'a> {
    /// Reads the number on a line of its own, then the text up to the first empty line; the rest is the note.
    ///
    /// # Errors
    /// [`RecordError`] when there is no number in its one spelling, no empty line, a text of more than [`MAX_RECORD`] bytes,
    /// one that is not UTF-8, or one with control characters.
    pub fn parse(answer: &'a [u8]) -> Result<Self, RecordError> {
        let (id, rest) = split_at(answer, b"\n").ok_or(RecordError("no number"))?;
        let id = std::str::from_utf8(id).ok().and_then(decimal).ok_or(RecordError("no number"))?;
        if id > TreeHead::MAX_SIZE {
            return Err(RecordError("no number"));
        }
        let (text, note) = split_at(rest, b"\n\n").ok_or(RecordError("no empty line behind the text"))?;
        // The first of the two line feeds belongs to the text.
        let text = &rest[..=text.len()];
        if text.len() > MAX_RECORD {
            return Err(RecordError("longer than 64 KiB"));
        }
        let text = std::str::from_utf8(text).map_err(|_| RecordError("not UTF-8"))?;
        if text.starts_with('\n') || text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(RecordError("an empty line or a control character in the text"));
        }
        Ok(Self { id, text, note })
    }

    /// Its hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of_record(self.text.as_bytes())
    }
}

/// What stands before and behind the first `separator`.
fn split_at<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}
