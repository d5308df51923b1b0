//! What a check found.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::{Cause, about};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the catalogue.
    pub cause: Cause,
    /// What is wrong, in one sentence without a full stop.
    pub title: String,
    /// What was seen, a sentence each, the most telling first. Holds no secret.
    pub evidence: Vec<String>,
    /// A command of curl, go or the system that shows the same.
    pub check: String,
    /// What to do.
    pub fix: Fix,
    /// Whether it breaks something now.
    pub weight: Weight,
    /// What it is about, where a setting could be the reason for it.
    pub subject: Option<Subject>,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A host that cannot be reached, in lower case and without a port. The HTTP proxy's, when that is what fails.
    Host(String),
    /// A module that cannot be had, by its path.
    Module(String),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The go command fails because of it.
    Breaks,
    /// The go command works, and should not be left like this.
    Warns,
}

/// What to do about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// One command line for this system and shell; a sentence when it has to be done by hand.
    pub text: String,
    /// Who can run it.
    pub kind: FixKind,
}

/// Who can run a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixKind {
    /// Any process of the user: it changes a file or a program's own settings.
    Command,
    /// The shell in which go is run: it changes that shell's environment.
    InShell,
    /// A person: it says what to do, or whom to ask.
    ByHand,
}

impl Fix {
    /// A command that any process of the user can run.
    pub fn command(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: FixKind::Command }
    }

    /// A command for the shell in which go is run.
    pub fn in_shell(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: FixKind::InShell }
    }

    /// Something for a person to do.
    pub fn by_hand(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: FixKind::ByHand }
    }

    /// Whether it is one shell command.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.kind != FixKind::ByHand
    }
}

impl Finding {
    /// A finding with the catalogue's title and nothing seen yet.
    #[must_use]
    pub fn new(cause: Cause, check: impl Into<String>, fix: Fix) -> Self {
        Self {
            cause,
            title: about(cause).title.to_owned(),
            evidence: Vec::new(),
            check: check.into(),
            fix,
            weight: Weight::Breaks,
            subject: None,
        }
    }

    /// Adds what was seen.
    #[must_use]
    pub fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Says it in other words than the catalogue.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Names the host that is not reached.
    #[must_use]
    pub fn at(mut self, host: &str) -> Self {
        self.subject = Some(Subject::Host(host.to_ascii_lowercase()));
        self
    }

    /// Names the module that cannot be had.
    #[must_use]
    pub fn of_module(mut self, path: &str) -> Self {
        self.subject = Some(Subject::Module(path.to_owned()));
        self
    }

    /// Go works in spite of it.
    #[must_use]
    pub fn warns(mut self) -> Self {
        self.weight = Weight::Warns;
        self
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Finding", 6)?;
        object.serialize_field("cause", &self.cause)?;
        object.serialize_field("title", &self.title)?;
        object.serialize_field("evidence", &self.evidence)?;
        object.serialize_field("check", &self.check)?;
        object.serialize_field("fix", &self.fix.text)?;
        object.serialize_field("automatic", &self.fix.is_automatic())?;
        object.end()
    }
}
