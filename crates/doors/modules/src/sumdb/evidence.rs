//! What went wrong with an answer, and the texts that tell it: to the user, and to whoever has to judge it later.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tradewind_ledger::{Hash, Tile, TreeHead, check_prefix};

use super::lines::NoLine;
use super::timeline::Signed;
use super::{Misbehaviour, SumdbError};

/// The most bytes of an answer that go into the evidence.
const MAX_ANSWER_SHOWN: usize = 16 * 1024;

/// The most bytes of evidence; what proves the most stands first.
const MAX_EVIDENCE: usize = 192 * 1024;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Problem {
    /// There is no record.
    NotThere(String),
    /// Something cannot be had at the moment.
    Unreachable(String),
    /// What came is no answer of a checksum database.
    Garbled(String),
    /// A signature, a tile or a record that does not hold.
    Forged {
        /// In the go command's words, as far as it has any.
        why: String,
        /// The head that the tiles were held against.
        head: Option<TreeHead>,
        /// The tiles, if it was one of them.
        tiles: Vec<(Tile, Bytes)>,
    },
    /// A record that holds, and does not say what was asked.
    NoLine(NoLine),
    /// Two heads that exclude each other.
    Fork(Box<Fork>),
    /// The last head could not be read or kept.
    Kept(String),
}

/// Two heads, both signed, where the records of one are not the first ones of the other.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) older: Signed,
    pub(super) newer: Signed,
    /// What the root of the older one would have to be.
    pub(super) root: Hash,
    /// The proof of that.
    pub(super) proof: Vec<Hash>,
}

impl Problem {
    /// Whether another answer may be better: what was kept could have been damaged.
    pub(super) fn is_of_one_answer(&self) -> bool {
        matches!(self, Self::Garbled(_) | Self::Forged { .. } | Self::NoLine(_))
    }

    /// What it is, on one line.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::NotThere(why) | Self::Unreachable(why) | Self::Garbled(why) | Self::Kept(why) => why.clone(),
            Self::Forged { why, .. } => why.clone(),
            Self::NoLine(line) => {
                let file = match line {
                    NoLine::Zip => "the module",
                    NoLine::GoMod => "its go.mod",
                };
                format!("checksum missing from sumdb response: SECURITY ERROR: no usable hash of {file} in the record")
            }
            Self::Fork(fork) => format!(
                "SECURITY ERROR: go.sum database server misbehavior detected! It signed two trees that exclude each other, \
                 one of {} records and one of {}",
                fork.older.head.size, fork.newer.head.size
            ),
        }
    }

    /// The error, and the evidence to keep when somebody did wrong.
    ///
    /// `answer` is what asking for `of` gave: the lookup of a version, a tile, or the latest head.
    pub(super) fn tell(&self, name: &str, of: &dyn Display, answer: Option<&Bytes>) -> (SumdbError, Option<String>) {
        let summary = format!("{of}: {}", self.summary());
        let (text, is_fork) = match self {
            Self::NotThere(_) => return (SumdbError::NotThere(summary), None),
            Self::Unreachable(_) => return (SumdbError::Unreachable(summary), None),
            Self::Kept(_) => return (SumdbError::Kept(summary), None),
            Self::Garbled(why) | Self::Forged { why, .. } => (format!("verifying module: {of}: {why}\n"), false),
            Self::NoLine(line) => (no_line(*line), false),
            Self::Fork(fork) => (fork.text(), true),
        };
        let mut evidence = text.clone();
        let _ = write!(evidence, "\nchecksum database: {name}\nlookup: {of}\n");
        if let Some(answer) = answer {
            let shown = &answer[..answer.len().min(MAX_ANSWER_SHOWN)];
            let _ = write!(evidence, "answer, {} bytes:\n{}", answer.len(), indented(&printable(shown)));
        }
        if let Self::Forged { head, tiles, .. } = self {
            if let Some(head) = head {
                let _ = writeln!(evidence, "checked against: {head}");
            }
            for (tile, bytes) in tiles {
                let _ = writeln!(evidence, "{tile}: {}", STANDARD.encode(bytes));
            }
        }
        evidence.truncate(evidence.floor_char_boundary(MAX_EVIDENCE));
        if let Self::Garbled(_) = self {
            // More often the page of a network than an attack: it is told, and takes no room from what proves something.
            return (SumdbError::Garbled(Misbehaviour { summary, text: evidence, is_fork }.into()), None);
        }
        (SumdbError::Misbehaved(Misbehaviour { summary, text, is_fork }.into()), Some(evidence))
    }
}

impl Fork {
    /// The report of the go command (`sumdb.Client`), to the letter: both notes, the root that the newer one has for the size
    /// of the older one, and the proof of it.
    fn text(&self) -> String {
        let mut text = "SECURITY ERROR\ngo.sum database server misbehavior detected!\n\n".to_owned();
        for (which, signed) in [("old", &self.older), ("new", &self.newer)] {
            let note = String::from_utf8_lossy(&signed.note).replace('\n', "\n\t");
            let _ = write!(text, "{which} database:\n\t{note}\n");
        }
        let _ = write!(text, "proof of misbehavior:\n\t{}", self.root);
        let implied = TreeHead { size: self.older.head.size, root: self.root };
        match check_prefix(&self.proof, implied, self.newer.head) {
            Ok(()) => self.proof.iter().for_each(|hash| {
                let _ = write!(text, "\n\t{hash}");
            }),
            Err(_) => text.push_str("\tinternal error: generated inconsistent proof\n"),
        }
        text
    }
}

/// The text for a record without a line for what was asked.
fn no_line(line: NoLine) -> String {
    let noun = match line {
        NoLine::Zip => "module",
        NoLine::GoMod => "go.mod",
    };
    format!(
        "verifying {noun}: checksum missing from sumdb response\n\nSECURITY ERROR\n\
         The checksum database answered with a record that has no h1: hash of this {noun}.\n\
         Either the database does not work as it should, or somebody in between answers in its place.\n"
    )
}

/// Text whatever the bytes are: line feeds stay, other control characters are escaped.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

/// Each line behind a tab.
fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "\t{line}");
        indented
    })
}
