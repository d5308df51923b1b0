//! What is wrong with a document: several problems, each with its code, place, path and fix, and how they are shown.
//!
//! The rendering follows rustc's, in plain text. It never shows a secret: the values of keys that hold secrets are
//! masked in the source line, whatever the problem on that line is.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use tradewind_core::Code;

use crate::node::Place;
use crate::sensitive;

/// One thing that is wrong, at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The public code.
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    /// The line, from 1; 0 when it concerns no line.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters it concerns.
    pub length: u32,
    /// Where it is in the document, `models[0].targets[1].use`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub hint: Option<String>,
}

fn code_name<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

impl Problem {
    /// A problem at `place` and `path`.
    pub fn new(code: Code, place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            line: place.line,
            column: place.column,
            length: place.length,
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with a fix.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Shows it with the line of `source` it concerns; ends with a line break.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut shown = String::new();
        self.render_to(&mut shown, file, source.lines().nth((self.line as usize).saturating_sub(1)));
        shown
    }

    fn render_to(&self, shown: &mut String, file: &str, source_line: Option<&str>) {
        let mut line = |text: std::fmt::Arguments<'_>| {
            shown.write_fmt(text).expect("a String takes what is written to it");
            shown.push('\n');
        };
        line(format_args!("error[{}]: {}", self.code, self.message));
        if self.line == 0 {
            line(format_args!(" --> {file}"));
        } else {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            line(format_args!("{margin}--> {file}:{}:{}", self.line, self.column));
            if let Some(source_line) = source_line {
                let (text, carets) = self.snippet(source_line);
                line(format_args!("{margin} |"));
                line(format_args!("{number} | {text}"));
                line(format_args!("{margin} | {carets}"));
            }
            if !self.path.is_empty() {
                line(format_args!("{margin} = at: {}", self.path));
            }
            if let Some(hint) = &self.hint {
                line(format_args!("{margin} = hint: {hint}"));
            }
            return;
        }
        if let Some(hint) = &self.hint {
            line(format_args!("  = hint: {hint}"));
        }
    }

    /// The part of the source line around the problem, and the carets under it.
    fn snippet(&self, source_line: &str) -> (String, String) {
        let column = (self.column as usize).saturating_sub(1);
        let masked = sensitive::mask_line(source_line, &self.path, column, self.length as usize);
        let start = column.min(masked.len());
        let end = (start + self.length as usize).min(masked.len()).max(start + 1);
        let from = if end > WIDEST_LINE { start.saturating_sub(WIDEST_LINE / 3) } else { 0 };
        let until = masked.len().min(from + WIDEST_LINE);
        let mut text: String = if from > 0 { "…".to_owned() } else { String::new() };
        let mut carets: String = if from > 0 { " ".to_owned() } else { String::new() };
        for (index, character) in masked.iter().enumerate().take(until).skip(from) {
            // Tabs and other control characters would put the carets in the wrong column.
            text.push(if character.is_control() { ' ' } else { *character });
            if index < start {
                carets.push(' ');
            }
        }
        if until < masked.len() {
            text.push('…');
        }
        carets.push_str(&"^".repeat(end.min(until.max(start + 1)) - start));
        (text.trim_end().to_owned(), carets)
    }
}

/// Source lines longer than this many characters are cut around the problem.
const WIDEST_LINE: usize = 120;

/// Something that there is to say about a document that is right: a key that has no effect. It blocks nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The line, from 1; 0 when it concerns no line.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// Where it is in the document, `proxies[1].tfo`.
    pub path: String,
    /// What there is to say; shows no secret.
    pub message: String,
}

impl Note {
    /// One line for a person; `file` is the name to show.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        match self.line {
            0 => format!("{file}: {}", self.message),
            line => format!("{file}:{line}:{}: {}", self.column, self.message),
        }
    }
}

/// All that is wrong with one document, in the order of the file, and what else there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    left_out: usize,
    notes: Vec<Note>,
}

/// More problems than this are counted, not kept: nobody reads them, and a hostile file could bring a million.
pub const MOST_PROBLEMS: usize = 100;

/// More notes than this are left out. Each kind is there once, so no real document comes near.
pub const MOST_NOTES: usize = 200;

impl Problems {
    /// No problem.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, unless the same one is there already (an anchor that is used twice brings its problems twice).
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() == MOST_PROBLEMS {
            self.left_out += 1;
            return;
        }
        let same = |known: &Problem| {
            known.line == problem.line && known.column == problem.column && known.message == problem.message
        };
        if !self.list.iter().any(same) {
            self.list.push(problem);
        }
    }

    /// Adds something that blocks nothing. More than [`MOST_NOTES`] are left out.
    pub fn note(&mut self, place: Place, path: impl Into<String>, message: impl Into<String>) {
        if self.notes.len() < MOST_NOTES {
            let Place { line, column, .. } = place;
            self.notes.push(Note { line, column, path: path.into(), message: message.into() });
        }
    }

    /// What blocks nothing, in the order of the file.
    #[must_use]
    pub fn notes(&self) -> Vec<&Note> {
        let mut sorted: Vec<&Note> = self.notes.iter().collect();
        sorted.sort_by_key(|note| (note.line, note.column));
        sorted
    }

    /// Whether further problems are counted only: then nothing is to be worked out for them.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.list.len() == MOST_PROBLEMS
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, the ones that were not kept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() + self.left_out
    }

    /// The problems that were kept (at most [`MOST_PROBLEMS`]), in the order of the file.
    #[must_use]
    pub fn list(&self) -> Vec<&Problem> {
        let mut sorted: Vec<&Problem> = self.list.iter().collect();
        sorted.sort_by_key(|problem| (problem.line, problem.column));
        sorted
    }

    /// Shows all of them, with an empty line between; `file` is the name to show, `source` the text of the file.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let lines: Vec<&str> = source.lines().collect();
        let mut shown = String::new();
        for problem in self.list() {
            if !shown.is_empty() {
                shown.push('\n');
            }
            let line = (problem.line as usize).checked_sub(1).and_then(|index| lines.get(index).copied());
            problem.render_to(&mut shown, file, line);
        }
        if self.left_out > 0 {
            shown.push_str(&format!("\nand {} more\n", self.left_out));
        }
        shown
    }
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.list())
    }
}
