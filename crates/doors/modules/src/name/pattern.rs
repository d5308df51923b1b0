//! Patterns over module paths, as GOPRIVATE has them: globs of Go's `path.Match` that are compared with as many leading
//! elements of the path as they have themselves.
//!
//! Go skips a malformed glob in silence. Here it is an error of whoever wrote it: a private module whose pattern is skipped
//! would be asked of the public.

use std::fmt;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

use super::path::ModulePath;
use super::quote::quoted;

/// The longest pattern, in bytes.
const LONGEST: usize = 1024;

/// One pattern: `*.corp.example.com`, `github.com/corp/*`, `example.com/team`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// How many elements of a path it is compared with.
    elements: usize,
    parts: Box<[Part]>,
}

/// What one step of a pattern takes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of characters but `/`.
    Star,
    /// One character but `/`.
    Any,
    /// This one.
    Literal(char),
    /// One of these, or one that is none of them.
    Class { is_negated: bool, ranges: Box<[(char, char)]> },
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// There is nothing, or a comma, which separates patterns.
    #[error("{} is not one pattern: write one for each, like `*.corp.example.com`", quoted(.0))]
    NotOne(String),
    /// It is longer than 1024 bytes.
    #[error("{} is too long for a pattern", quoted(.0))]
    TooLong(String),
    /// A bracket without its other one, an empty class, or a `\` at the end.
    #[error("syntax error in pattern {}", quoted(.0))]
    Syntax(String),
}

impl Pattern {
    /// Parses a pattern: `*` and `?` for characters but `/`, `[a-z]` and `[^a-z]`, and `\` before what is meant as it is. A
    /// `/` at the end is left out.
    ///
    /// # Errors
    /// When it is empty, too long or malformed.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let glob = text.strip_suffix('/').unwrap_or(text);
        if glob.is_empty() || glob.contains(',') {
            return Err(BadPattern::NotOne(text.to_owned()));
        }
        if glob.len() > LONGEST {
            return Err(BadPattern::TooLong(text.to_owned()));
        }
        let Some(parts) = parts(glob) else { return Err(BadPattern::Syntax(text.to_owned())) };
        Ok(Self { text: glob.into(), elements: glob.matches('/').count() + 1, parts: parts.into() })
    }

    /// Whether it matches the path, or as many leading elements of it as it has itself.
    #[must_use]
    pub fn covers(&self, path: &ModulePath) -> bool {
        let path = path.as_str();
        let mut ends = path.match_indices('/').map(|(place, _)| place).chain([path.len()]);
        ends.nth(self.elements - 1).is_some_and(|end| matches(&self.parts, &path[..end]))
    }

    /// The pattern as it was written, without a `/` at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        Self::parse(text)
    }
}

/// Several patterns; a path is covered when one of them covers it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Parses a list, of which each may be a list with commas as well, as GOPRIVATE is; empty ones are left out.
    ///
    /// # Errors
    /// When one is malformed.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let each = texts.into_iter().flat_map(|text| text.split(','));
        each.map(str::trim).filter(|text| !text.is_empty() && *text != "/").map(Pattern::parse).collect()
    }

    /// Whether one of them covers the path.
    #[must_use]
    pub fn cover(&self, path: &ModulePath) -> bool {
        self.first_covering(path).is_some()
    }

    /// The first that covers the path.
    #[must_use]
    pub fn first_covering(&self, path: &ModulePath) -> Option<&Pattern> {
        self.0.iter().find(|pattern| pattern.covers(path))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, in the order that they were written in.
    pub fn iter(&self) -> std::slice::Iter<'_, Pattern> {
        self.0.iter()
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

/// The parts of a glob; nothing when it is malformed.
fn parts(glob: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut characters = glob.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if parts.last() == Some(&Part::Star) => {}
            '*' => parts.push(Part::Star),
            '?' => parts.push(Part::Any),
            '[' => parts.push(class(&mut characters)?),
            '\\' => parts.push(Part::Literal(characters.next()?)),
            _ => parts.push(Part::Literal(character)),
        }
    }
    Some(parts)
}

/// What is between brackets, behind the first; at least one character or range.
fn class(characters: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let is_negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || characters.next_if_eq(&']').is_none() {
        let low = class_character(characters)?;
        let is_range = characters.next_if_eq(&'-').is_some();
        let high = if is_range { class_character(characters)? } else { low };
        ranges.push((low, high));
    }
    Some(Part::Class { is_negated, ranges: ranges.into() })
}

/// A character of a class: `-`, `]` and `\` only behind a `\`.
fn class_character(characters: &mut Peekable<Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        character => Some(character),
    }
}

/// Whether the parts take the whole text. Only the last star is ever tried again, further on: `O(parts × text)`.
fn matches(parts: &[Part], text: &str) -> bool {
    // A module path is ASCII, so that each byte is a character.
    let text = text.as_bytes();
    let (mut part, mut place) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (parts.get(part), text.get(place)) {
            (None, None) => return true,
            (Some(Part::Star), _) => {
                retry = Some((part + 1, place));
                part += 1;
                continue;
            }
            (Some(taking), Some(byte)) if takes(taking, char::from(*byte)) => {
                part += 1;
                place += 1;
                continue;
            }
            _ => {}
        }
        // The last star takes one more, which cannot be a slash.
        match retry {
            Some((after_star, from)) if text.get(from).is_some_and(|byte| *byte != b'/') => {
                retry = Some((after_star, from + 1));
                (part, place) = (after_star, from + 1);
            }
            _ => return false,
        }
    }
}

fn takes(part: &Part, character: char) -> bool {
    match part {
        Part::Star => false,
        Part::Any => character != '/',
        Part::Literal(literal) => character == *literal,
        Part::Class { is_negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *is_negated
        }
    }
}
