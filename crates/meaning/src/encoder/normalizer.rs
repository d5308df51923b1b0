//! Normalises a text as SentencePiece does: replacements out of the model's own table (NFKC and some more, `nmt_nfkc`),
//! then white space: one space in front, none at the end, never two, each written as U+2581.
//!
//! The table is a double-array trie of byte strings, as the library darts-clone writes it, and the replacements, each
//! ended by a zero byte. At each place the longest entry of the trie that fits is replaced; where none fits, the
//! character stays. (SentencePiece, `normalizer.cc`.)

use super::EncoderError;

/// How a space is written.
const SPACE: &[u8] = "\u{2581}".as_bytes();

/// The rules.
pub(super) struct Normalizer {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl Normalizer {
    /// Reads a model's table. An empty one replaces nothing.
    pub(super) fn new(table: &[u8]) -> Result<Self, EncoderError> {
        if table.is_empty() {
            return Ok(Self { units: Vec::new(), replacements: Vec::new() });
        }
        let damaged = EncoderError::Model("the table of its normaliser is damaged");
        let Some((length, rest)) = table.split_first_chunk::<4>() else { return Err(damaged) };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((units, replacements)) = rest.split_at_checked(length) else { return Err(damaged) };
        let (units, odd) = units.as_chunks::<4>();
        if !odd.is_empty() || units.is_empty() || std::str::from_utf8(replacements).is_err() {
            return Err(damaged);
        }
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Ok(Self { units, replacements: replacements.to_vec() })
    }

    /// Writes the normalised text over `normal`, and stops when that is longer than `limit` bytes. Nothing is written
    /// for a text of white space alone.
    pub(super) fn normalize(&self, text: &str, limit: usize, normal: &mut Vec<u8>) {
        normal.clear();
        let mut rest = text.as_bytes();
        let mut after_space = true;
        while !rest.is_empty() && normal.len() < limit {
            let (length, mut replacement) = self.next(rest);
            rest = &rest[length..];
            if after_space {
                replacement = replacement.trim_prefix_spaces();
            }
            let Some(last) = replacement.last() else { continue };
            if normal.is_empty() {
                normal.extend_from_slice(SPACE);
            }
            after_space = *last == b' ';
            for byte in replacement {
                match byte {
                    b' ' => normal.extend_from_slice(SPACE),
                    other => normal.push(*other),
                }
            }
        }
        while normal.ends_with(SPACE) {
            normal.truncate(normal.len() - SPACE.len());
        }
    }

    /// How many bytes at the beginning of `text`, which is not empty, are replaced, and by what.
    fn next<'a>(&'a self, text: &'a [u8]) -> (usize, &'a [u8]) {
        if let Some((length, value)) = self.longest(text)
            && let Some(replacement) = self.replacements.get(value..)
            && let Some(end) = memchr::memchr(0, replacement)
        {
            return (length, &replacement[..end]);
        }
        let length = character(text[0]).min(text.len());
        (length, &text[..length])
    }

    /// The longest entry that `text` begins with: its length and its value.
    fn longest(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut found = None;
        let mut place = offset(*self.units.first()?);
        for (at, byte) in text.iter().enumerate() {
            place ^= usize::from(*byte);
            let Some(&unit) = self.units.get(place) else { break };
            // The label, and the bit that marks a value.
            if unit & 0x8000_00ff != u32::from(*byte) {
                break;
            }
            place ^= offset(unit);
            if unit & 0x100 != 0
                && let Some(value) = self.units.get(place)
            {
                found = Some((at + 1, (value & 0x7fff_ffff) as usize));
            }
        }
        found
    }
}

/// Where the children of a unit are, relative to it.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}

/// How many bytes the character that begins with `first` has.
pub(super) fn character(first: u8) -> usize {
    match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    }
}

/// `bytes` without the spaces at its beginning.
trait TrimPrefixSpaces {
    fn trim_prefix_spaces(self) -> Self;
}

impl TrimPrefixSpaces for &[u8] {
    fn trim_prefix_spaces(self) -> Self {
        let start = self.iter().position(|byte| *byte != b' ').unwrap_or(self.len());
        &self[start..]
    }
}
