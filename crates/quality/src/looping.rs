//! Whether a text says the same over and over, as models do that are caught in a loop. Two signs, each found in time that
//! grows with the length alone:
//!
//! - its end is one piece again and again: the prefix function of the reversed end (Knuth, Morris and Pratt) gives the
//!   shortest period of each end;
//! - most of its runs of words have been there before.
//!
//! Tables, code, JSON, rules and rows of numbers repeat themselves with good reason, and are not looked at; nor is a
//! refrain enough.

use std::hash::Hasher;

use rustc_hash::{FxBuildHasher, FxHashSet, FxHasher};

use crate::prose::{Line, lines};

/// How much of the end is looked at for a period, in bytes. Longer pieces than a sixth of it are found as runs of words.
const LOOKED_AT: usize = 2048;
/// How often the end has to be there, when the text was cut off at a limit, and when it ended by itself.
const TIMES: [usize; 2] = [4, 6];
/// How long all of these have to be together, in bytes, in the same two cases.
const LONG: [usize; 2] = [120, 240];
/// How many words a run has, and how many signs in Chinese and Japanese.
const RUN: usize = 8;
/// The fewest runs that are judged.
const FEWEST_RUNS: usize = 60;
/// The share of runs that were there before, in percent, from which on a text is a loop.
const MOST_REPEATED: usize = 80;
/// The most tokens that are looked at, the last ones.
const MOST_TOKENS: usize = 1500;

/// The loop that a text ends in or consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    /// It ends with a piece of so many bytes, so often.
    Tail {
        /// Bytes of the piece.
        period: usize,
        /// How often.
        times: usize,
    },
    /// So many percent of its runs of words were there before.
    Runs {
        /// Percent.
        repeated: usize,
    },
}

/// The loop in `text`, if there is one; `is_cut` says that the text ended because of a limit.
pub(crate) fn find(text: &str, is_cut: bool) -> Option<Loop> {
    let text = text.trim_end();
    // A whole JSON text has come to its end.
    if text.trim_start().starts_with(['{', '[']) && text.ends_with(['}', ']']) {
        return None;
    }
    tail(text, is_cut).or_else(|| runs(text))
}

fn tail(text: &str, is_cut: bool) -> Option<Loop> {
    let (times, long) = (TIMES[usize::from(!is_cut)], LONG[usize::from(!is_cut)]);
    if text.len() < long {
        return None;
    }
    let start = text.ceil_char_boundary(text.len().saturating_sub(LOOKED_AT));
    let end = &text.as_bytes()[start..];
    let at = |index: usize| end[end.len() - 1 - index];
    // `border[n]`: the longest proper prefix of the reversed text's first n + 1 bytes that is also their suffix.
    let mut border = vec![0u16; end.len()];
    let mut best = None;
    for index in 1..end.len() {
        let mut length = usize::from(border[index - 1]);
        while length > 0 && at(index) != at(length) {
            length = usize::from(border[length - 1]);
        }
        length += usize::from(at(index) == at(length));
        border[index] = u16::try_from(length).unwrap_or(u16::MAX);
        let (covered, period) = (index + 1, index + 1 - length);
        if covered >= long && covered / period >= times {
            best = Some((covered, period));
        }
    }
    let (covered, period) = best?;
    let piece = &end[end.len() - period..];
    says_something(piece, is_in_code(text)).then_some(Loop::Tail { period, times: covered / period })
}

/// Whether a piece has words in it, and not only signs, digits or blanks. In code more of them are asked for: rows of a
/// matrix and closing tags are alike.
fn says_something(piece: &[u8], is_code: bool) -> bool {
    let letters = piece.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80).count();
    let is_table = piece.iter().any(|byte| matches!(byte, b'|' | b'\t'));
    let least = if is_code { 24 } else { 2 };
    letters >= least && letters * 2 >= piece.len() && !is_table
}

/// Whether the text ends inside a fence.
fn is_in_code(text: &str) -> bool {
    text.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1
}

fn runs(text: &str) -> Option<Loop> {
    let tokens = tokens(text);
    let tokens = &tokens[tokens.len().saturating_sub(MOST_TOKENS)..];
    let mut seen: FxHashSet<u64> = FxHashSet::with_capacity_and_hasher(tokens.len(), FxBuildHasher);
    let (mut count, mut repeated) = (0, 0);
    for run in tokens.split(|token| *token == NUMBER).flat_map(hashed_runs) {
        count += 1;
        repeated += usize::from(!seen.insert(run));
    }
    let percent = repeated * 100 / count.max(1);
    (count >= FEWEST_RUNS && percent >= MOST_REPEATED).then_some(Loop::Runs { repeated: percent })
}

/// The hash of each run of [`RUN`] tokens: a polynomial, so that one follows from the one before (Karp and Rabin).
fn hashed_runs(tokens: &[u32]) -> impl Iterator<Item = u64> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    const LEAVING: u64 = BASE.wrapping_pow(RUN as u32);
    let mut hash = 0u64;
    tokens.iter().enumerate().filter_map(move |(at, token)| {
        hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(*token));
        if at >= RUN {
            hash = hash.wrapping_sub(u64::from(tokens[at - RUN]).wrapping_mul(LEAVING));
        }
        (at + 1 >= RUN).then_some(hash)
    })
}

/// What stands for a number: runs do not go across, since a list counts and a loop may count, too.
const NUMBER: u32 = 0;

/// The words of the prose, hashed; in scripts without blanks, each sign.
fn tokens(text: &str) -> Vec<u32> {
    let mut tokens = Vec::with_capacity(text.len() / 5);
    for line in lines(text) {
        let Line::Prose(line) = line else { continue };
        let mut word = Word::default();
        for c in line.chars() {
            if is_sign(c) {
                tokens.extend(word.end());
                tokens.push(u32::from(c));
            } else if c.is_alphanumeric() {
                word.add(c);
            } else {
                tokens.extend(word.end());
            }
        }
        tokens.extend(word.end());
    }
    tokens
}

/// A word that is being read.
#[derive(Default)]
struct Word {
    hasher: FxHasher,
    letters: bool,
    digits: bool,
}

impl Word {
    fn add(&mut self, c: char) {
        if c.is_ascii_digit() {
            self.digits = true;
        } else {
            self.letters = true;
        }
        self.hasher.write_u32(u32::from(c));
    }

    /// The token, if there was a word.
    fn end(&mut self) -> Option<u32> {
        let Self { hasher, letters, digits } = std::mem::take(self);
        match (letters, digits) {
            (true, _) => Some((hasher.finish() as u32).max(NUMBER + 1)),
            (false, true) => Some(NUMBER),
            (false, false) => None,
        }
    }
}

/// Signs of scripts that put no blanks between words.
fn is_sign(c: char) -> bool {
    matches!(u32::from(c), 0x3041..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x0e00..=0x0e7f | 0x2_0000..=0x2_ebef)
}
