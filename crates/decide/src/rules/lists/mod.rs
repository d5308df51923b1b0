//! Lists of rules from elsewhere: `rule-providers`.

mod lines;
mod mrs;

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;
use tradewind_policy::ways::{Cidr, Condition, RuleBehavior, RuleFormat, RuleKind};

use super::addresses::AddressSet;
use super::compiled::{Compiled, Facts, Truth, address, any};
use super::geo::Geo;
use super::names::{DomainSet, DomainSetBuilder};

/// The largest list, in bytes; for `mrs` also when it is unpacked.
pub const LARGEST_LIST: usize = 32 * 1024 * 1024;
/// The most rules of one list.
pub const MOST_LIST_RULES: usize = 2_000_000;
/// How many of the lines that were left out are told.
const MOST_SKIPPED: usize = 8;

/// Lists by name. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct Lists(HashMap<Arc<str>, Arc<RuleList>>);

impl Lists {
    /// The list of this name, when it has come.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<RuleList>> {
        self.0.get(name)
    }

    /// Puts a list in, in place of one of the same name.
    pub fn insert(&mut self, name: Arc<str>, list: Arc<RuleList>) {
        self.0.insert(name, list);
    }

    /// Takes a list out.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// A list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// It is too large.
    #[error("the list has more than {LARGEST_LIST} bytes")]
    TooLarge,
    /// It has too many rules.
    #[error("the list has more than {MOST_LIST_RULES} rules")]
    TooMany,
    /// It is no text.
    #[error("the list is not UTF-8")]
    NotText,
    /// It is no YAML, or has no `payload`.
    #[error("the list is not YAML with a list under `payload`: {0}")]
    NotYaml(String),
    /// It is not mihomo's binary form.
    #[error("the list is not in the format mrs: {0}")]
    NotMrs(&'static str),
    /// It is a binary list of something else.
    #[error("the list is of behavior {has}, and {wants} was asked for")]
    OtherBehavior {
        /// What it is.
        has: &'static str,
        /// What the document says.
        wants: &'static str,
    },
}

/// A list of rules, compiled: it fits when one of its rules does.
#[derive(Debug)]
pub struct RuleList {
    behavior: RuleBehavior,
    count: usize,
    skipped: Vec<String>,
    names: DomainSet,
    /// Ranges of destinations for which a name may be resolved.
    resolved: AddressSet,
    /// Ranges of destinations with `no-resolve`.
    unresolved: AddressSet,
    /// Ranges of callers.
    callers: AddressSet,
    /// Whatever cannot be looked up in a table.
    others: Box<[Compiled]>,
}

impl RuleList {
    /// Reads a list. Lines that are no rules are left out, as mihomo does it, and told by [`RuleList::skipped`].
    ///
    /// # Errors
    /// The list as a whole cannot be read.
    pub fn parse(behavior: RuleBehavior, format: RuleFormat, bytes: &[u8], geo: &Geo) -> Result<Self, ListError> {
        if bytes.len() > LARGEST_LIST {
            return Err(ListError::TooLarge);
        }
        let mut builder = Builder::new(behavior, geo);
        match format {
            RuleFormat::Yaml => lines::yaml(text(bytes)?, &mut |line| builder.line(line))?,
            RuleFormat::Text => lines::plain(text(bytes)?, &mut |line| builder.line(line))?,
            RuleFormat::Mrs => return mrs::read(behavior, bytes),
        }
        Ok(builder.build())
    }

    /// Compiles the lines of a list in the document itself.
    ///
    /// # Errors
    /// [`ListError::TooMany`].
    pub fn from_lines<'a>(
        behavior: RuleBehavior,
        lines: impl IntoIterator<Item = &'a str>,
        geo: &Geo,
    ) -> Result<Self, ListError> {
        let mut builder = Builder::new(behavior, geo);
        lines.into_iter().try_for_each(|line| builder.line(line))?;
        Ok(builder.build())
    }

    /// What its lines are.
    #[must_use]
    pub fn behavior(&self) -> RuleBehavior {
        self.behavior
    }

    /// How many rules it has: `ruleCount` of the controller API.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What was left out, with the reason: the first few of it.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// What the list says of a connection.
    pub(super) fn ask(&self, facts: &Facts<'_>, no_resolve: bool, source: bool) -> Truth {
        let facts =
            &Facts { may_resolve: facts.may_resolve && !no_resolve, swapped: facts.swapped != source, ..*facts };
        if facts.host.is_some_and(|host| self.names.contains(host)) {
            return Truth::Yes;
        }
        let in_set = |set: &AddressSet, no_resolve, source| {
            if set.is_empty() {
                return Truth::No;
            }
            address(facts, no_resolve, source).map_or_else(|unknown| unknown, |address| set.contains(address).into())
        };
        let sets = [
            in_set(&self.callers, true, true),
            in_set(&self.unresolved, true, false),
            in_set(&self.resolved, false, false),
        ];
        any(sets.into_iter().chain(self.others.iter().map(|other| other.ask(facts))))
    }
}

fn text(bytes: &[u8]) -> Result<&str, ListError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ListError::NotText)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Collects a list.
struct Builder<'a> {
    behavior: RuleBehavior,
    geo: &'a Geo,
    count: usize,
    skipped: Vec<String>,
    names: DomainSetBuilder,
    resolved: Vec<Cidr>,
    unresolved: Vec<Cidr>,
    callers: Vec<Cidr>,
    others: Vec<Compiled>,
}

impl<'a> Builder<'a> {
    fn new(behavior: RuleBehavior, geo: &'a Geo) -> Self {
        Self {
            behavior,
            geo,
            count: 0,
            skipped: Vec::new(),
            names: DomainSetBuilder::new(),
            resolved: Vec::new(),
            unresolved: Vec::new(),
            callers: Vec::new(),
            others: Vec::new(),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), ListError> {
        if line.is_empty() {
            return Ok(());
        }
        if self.count == MOST_LIST_RULES {
            return Err(ListError::TooMany);
        }
        let taken = match self.behavior {
            RuleBehavior::Domain => self.names.line(line).map_err(|error| format!("{line}: {error}")),
            RuleBehavior::IpCidr => line.parse().map(|range| self.resolved.push(range)).map_err(|_| line.to_owned()),
            RuleBehavior::Classical => self.rule(line),
        };
        match taken {
            Ok(()) => self.count += 1,
            Err(reason) if self.skipped.len() < MOST_SKIPPED => {
                self.skipped.push(reason.chars().take(LONGEST_REASON).collect());
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn rule(&mut self, line: &str) -> Result<(), String> {
        let condition = Condition::parse(line).map_err(|error| format!("{line}: {error}"))?;
        match &condition.kind {
            RuleKind::Domain(name) => self.names.whole(name),
            RuleKind::DomainSuffix(name) => self.names.suffix(name),
            RuleKind::DomainKeyword(text) => self.names.keyword(text),
            RuleKind::IpCidr(range) if condition.source => self.callers.push(*range),
            RuleKind::IpCidr(range) if condition.no_resolve => self.unresolved.push(*range),
            RuleKind::IpCidr(range) => self.resolved.push(*range),
            _ => {
                let compiled = Compiled::new(&condition, &mut Vec::new(), self.geo);
                self.others.push(compiled.map_err(|error| format!("{line}: {error}"))?);
            }
        }
        Ok(())
    }

    fn build(self) -> RuleList {
        RuleList {
            behavior: self.behavior,
            count: self.count,
            skipped: self.skipped,
            names: self.names.build(),
            resolved: AddressSet::of(self.resolved),
            unresolved: AddressSet::of(self.unresolved),
            callers: AddressSet::of(self.callers),
            others: self.others.into(),
        }
    }
}

/// Reasons are cut at this many characters: a line can be as long as the list.
const LONGEST_REASON: usize = 200;

#[cfg(test)]
mod tests;
