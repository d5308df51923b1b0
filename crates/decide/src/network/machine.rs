//! How one group follows the network.
//!
//! A group remembers who selected its member and the match that this was for. As long as the match stays the same nothing
//! moves, so that a choice made by hand stands, also while the access point or the address changes; another match is
//! followed, whoever chose before. What cannot be followed because the member is not there is tried again each time.

use std::sync::Arc;

use serde::Serialize;

use super::answers::{Applied, Why};
use super::record::Record;

/// Who selected the member of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Nobody yet.
    #[default]
    Unknown,
    /// The policy.
    Auto,
    /// Somebody.
    Manual,
}

/// What a group was last evaluated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LastMatch {
    /// No network fitted.
    Nothing,
    /// The network of this name; it may be gone from the file since, and is only ever compared.
    Network(Arc<str>),
}

impl LastMatch {
    fn of(matched: Option<&Arc<str>>) -> Self {
        matched.map_or(Self::Nothing, |name| Self::Network(Arc::clone(name)))
    }

    fn is(&self, matched: Option<&Arc<str>>) -> bool {
        match self {
            Self::Nothing => matched.is_none(),
            Self::Network(name) => matched == Some(name),
        }
    }
}

/// One group at the moment of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// The name of the group.
    pub group: &'a Arc<str>,
    /// Its policy, in the order of the file: a network or `default`, and the member.
    pub policy: &'a [(Arc<str>, Arc<str>)],
    /// The present network.
    pub matched: Option<&'a Arc<str>>,
    /// What is selected.
    pub current: &'a Arc<str>,
}

/// The key of a policy that counts where no other does.
const DEFAULT: &str = "default";

impl<'a> Turn<'a> {
    /// What the policy says, and whether it names the network.
    fn answer(&self) -> Option<(&'a Arc<str>, bool)> {
        let find = |key: &str| self.policy.iter().find(|(name, _)| **name == *key).map(|(_, target)| target);
        let named = self.matched.and_then(|name| find(name));
        named.map(|target| (target, true)).or_else(|| find(DEFAULT).map(|target| (target, false)))
    }
}

/// What an evaluation came to.
#[derive(Clone, Debug)]
pub struct Step {
    /// The row for the answer.
    pub row: Applied,
    /// The member to select; `None` when there is nothing to do. When selecting it fails, the step is taken back with
    /// [`Machine::set_failed`].
    pub set: Option<Arc<str>>,
    before: (Source, Option<LastMatch>, Arc<str>),
}

/// What one group remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    source: Source,
    last: Option<LastMatch>,
    is_missing: bool,
}

impl Machine {
    /// A group that nothing is known of.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The group of a record.
    #[must_use]
    pub fn restored(record: &Record) -> Self {
        Self { source: record.source(), last: record.last().cloned(), is_missing: false }
    }

    /// What is to be kept of it; nothing while nobody has selected anything.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        Record::new(self.source, self.last.clone())
    }

    /// Who selected the member.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What it was last evaluated for; `None` when it never was.
    #[must_use]
    pub const fn last(&self) -> Option<&LastMatch> {
        self.last.as_ref()
    }

    /// Whether the last evaluation could not be followed, for want of the member.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Evaluates the group. `is_candidate` says whether a member of this name may be selected now. When `forced`, the
    /// group is set to what the policy says even when the network is the same, whoever selected before.
    pub fn evaluate(&mut self, turn: &Turn<'_>, forced: bool, is_candidate: impl FnOnce(&str) -> bool) -> Step {
        let before = (self.source, self.last.clone(), Arc::clone(turn.current));
        let nothing = |row: Applied| Step { row, set: None, before: before.clone() };
        if !forced && self.is_settled(turn.matched) {
            self.is_missing = false;
            return nothing(self.standing(turn));
        }
        let Some((target, is_named)) = turn.answer() else {
            self.settle(turn.matched);
            return nothing(self.row(turn, turn.current, Why::NoChangeNoDefault));
        };
        if !is_candidate(target) {
            self.is_missing = true;
            return nothing(self.row(turn, turn.current, Why::MissingTarget));
        }
        self.settle(turn.matched);
        let is_other = target != turn.current;
        let why = match (is_named, is_other) {
            (false, _) => Why::Default,
            (true, true) => Why::Matched,
            (true, false) => Why::AlreadySelected,
        };
        Step { row: self.row(turn, target, why), set: is_other.then(|| Arc::clone(target)), before }
    }

    /// Takes a step back whose member could not be selected: as if it had not been there.
    pub fn set_failed(&mut self, step: Step) -> Applied {
        let (source, last, current) = step.before;
        (self.source, self.last, self.is_missing) = (source, last, true);
        Applied {
            applied_proxy: current,
            changed: false,
            selection_source: source,
            reason: Why::MissingTarget,
            ..step.row
        }
    }

    /// The row of a group for which nothing is evaluated because nothing has changed.
    #[must_use]
    pub fn standing(&self, turn: &Turn<'_>) -> Applied {
        let why = if self.source == Source::Manual { Why::ManualLocked } else { Why::UnchangedNetwork };
        self.row(turn, turn.current, why)
    }

    /// Somebody has selected a member, perhaps the same one. A selection that failed is not told.
    pub const fn manual(&mut self) {
        self.source = Source::Manual;
    }

    /// Whether the group was evaluated for this match already.
    fn is_settled(&self, matched: Option<&Arc<str>>) -> bool {
        self.source != Source::Unknown && self.last.as_ref().is_some_and(|last| last.is(matched))
    }

    fn settle(&mut self, matched: Option<&Arc<str>>) {
        (self.source, self.last, self.is_missing) = (Source::Auto, Some(LastMatch::of(matched)), false);
    }

    fn row(&self, turn: &Turn<'_>, applied: &Arc<str>, reason: Why) -> Applied {
        Applied {
            group: Arc::clone(turn.group),
            target_proxy: turn.answer().map(|(target, _)| Arc::clone(target)),
            applied_proxy: Arc::clone(applied),
            changed: applied != turn.current,
            selection_source: self.source,
            reason,
        }
    }
}
