//! The head of a tree, as the text of a note: what the log is called, how many records, which root.

use std::fmt;

use thiserror::Error;

use crate::Hash;

/// How many records a log has, and the root of the tree above them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TreeHead {
    /// Records, at most [`TreeHead::MAX_SIZE`].
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// A text that is not a tree head of the log in question.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("malformed tree note")]
pub struct HeadError;

impl TreeHead {
    /// The most records that a tree may have: what fits a signed 64-bit number, as everywhere in Go.
    pub const MAX_SIZE: u64 = i64::MAX as u64;

    /// The head of a log without records.
    pub const EMPTY: Self = Self { size: 0, root: Hash::OF_NOTHING };

    /// Reads three lines: `origin` (`go.sum database tree` for checksum databases), the number of records in decimal, the
    /// root in base64. Further lines are passed over, as the format demands.
    ///
    /// # Errors
    /// [`HeadError`] for anything else, other spellings of the number and the root included.
    pub fn parse(text: &str, origin: &str) -> Result<Self, HeadError> {
        let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n'));
        let mut line = || lines.next().flatten().ok_or(HeadError);
        if line()? != origin {
            return Err(HeadError);
        }
        let size = decimal(line()?).filter(|size| *size <= Self::MAX_SIZE).ok_or(HeadError)?;
        let root = Hash::parse(line()?).map_err(|_| HeadError)?;
        Ok(Self { size, root })
    }
}

impl fmt::Display for TreeHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tree of {} records with root {}", self.size, self.root)
    }
}

/// Reads a decimal number in its one spelling: digits alone, and no zero in front.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
