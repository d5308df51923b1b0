//! The rules: who may be had at all, how old a version has to be, and which licences are left out.
//!
//! A refusal is an answer with status 403 and a sentence as text, which the go command shows to its user behind
//! `server response:`. A denial wins over an allowance.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tradewind_core::{UnixMillis, format_duration};

use super::licence::{BadLicence, Licence};
use crate::name::{BadPattern, BadVersion, ModulePath, ModuleVersion, Pattern, Version, quoted};

/// What the rules are made of, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// Patterns; when there are any, only what one of them covers may be had. `PATTERN`, or `PATTERN@VERSION` with a version
    /// or a bound: `@v1.2.3`, `@<v1.2.3`, `@>=v2.0.0`.
    pub allow: Vec<String>,
    /// Patterns of the same form; what one of them covers may not be had.
    pub deny: Vec<String>,
    /// How old a version has to be, by the time in its `.info`, or in the version itself where that is later.
    pub min_age: Option<Duration>,
    /// SPDX identifiers, with `*` at the end for all that begin so; `unknown` for texts that are not recognised, `none` for
    /// modules without a licence file.
    pub leave_out_licences: Vec<String>,
}

/// The rules, ready to judge by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Vec<Entry>,
    deny: Vec<Entry>,
    min_age: Option<Duration>,
    left_out: Vec<Licence>,
    leaves_out_none: bool,
}

/// Whether a version may be had.
pub type Verdict = Result<(), Refusal>;

/// Why a version may not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// By which rule.
    pub rule: RuleKind,
    /// What the go command shows: one line.
    pub sentence: String,
}

/// The kinds of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleKind {
    /// A pattern denies it.
    Deny,
    /// No pattern allows it.
    Allow,
    /// It is too young.
    MinAge,
    /// Its licence is left out.
    Licence,
}

impl RuleKind {
    /// The name of the setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
            Self::MinAge => "min-age",
            Self::Licence => "leave-out-licences",
        }
    }
}

/// Why a rule is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// The pattern is.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// The version behind `@` is.
    #[error(transparent)]
    Version(#[from] BadVersion),
    /// The licence is.
    #[error(transparent)]
    Licence(#[from] BadLicence),
    /// No known licence begins so.
    #[error("{} covers no licence that can be recognised", quoted(.0))]
    NoLicence(String),
}

/// A pattern, and which versions it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    pattern: Pattern,
    versions: Option<(Bound, Version)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Is,
    Below,
    UpTo,
    Above,
    From,
}

impl FromStr for Entry {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let Some((pattern, versions)) = text.split_once('@') else {
            return Ok(Self { pattern: Pattern::parse(text)?, versions: None });
        };
        // The longer signs first.
        let signs = [("<=", Bound::UpTo), (">=", Bound::From), ("<", Bound::Below), (">", Bound::Above)];
        let sign = signs.iter().find_map(|(sign, bound)| Some((*bound, versions.strip_prefix(sign)?)));
        let (bound, version) = sign.unwrap_or((Bound::Is, versions));
        Ok(Self { pattern: Pattern::parse(pattern)?, versions: Some((bound, Version::parse(version)?)) })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)?;
        let Some((bound, version)) = &self.versions else { return Ok(()) };
        let sign = match bound {
            Bound::Is => "",
            Bound::Below => "<",
            Bound::UpTo => "<=",
            Bound::Above => ">",
            Bound::From => ">=",
        };
        write!(f, "@{sign}{version}")
    }
}

impl Entry {
    fn covers(&self, of: &ModuleVersion) -> bool {
        self.pattern.covers(&of.path)
            && self.versions.as_ref().is_none_or(|(bound, version)| match bound {
                Bound::Is => of.version == *version,
                Bound::Below => of.version < *version,
                Bound::UpTo => of.version <= *version,
                Bound::Above => of.version > *version,
                Bound::From => of.version >= *version,
            })
    }
}

impl Rules {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a pattern, a version or a licence is malformed or not known.
    pub fn new(settings: &RuleSettings) -> Result<Self, BadRule> {
        let entries = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Entry>, _>>();
        let mut rules = Self {
            allow: entries(&settings.allow)?,
            deny: entries(&settings.deny)?,
            min_age: settings.min_age.filter(|age| !age.is_zero()),
            ..Self::default()
        };
        for name in &settings.leave_out_licences {
            if name.eq_ignore_ascii_case("none") {
                rules.leaves_out_none = true;
            } else if let Some(beginning) = name.strip_suffix('*') {
                let is_covered = |licence: &Licence| {
                    let start = licence.name().get(..beginning.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(beginning))
                };
                let covered: Vec<Licence> = Licence::all().filter(is_covered).collect();
                if covered.is_empty() {
                    return Err(BadRule::NoLicence(name.clone()));
                }
                rules.left_out.extend(covered);
            } else {
                rules.left_out.push(name.parse()?);
            }
        }
        Ok(rules)
    }

    /// Whether the time of a version has to be known for judging it.
    #[must_use]
    pub const fn need_time(&self) -> bool {
        self.min_age.is_some()
    }

    /// Whether the licences of a version have to be known for judging it.
    #[must_use]
    pub const fn need_licences(&self) -> bool {
        self.leaves_out_none || !self.left_out.is_empty()
    }

    /// Judges by everything: [`judge_name`](Self::judge_name), [`judge_time`](Self::judge_time) and
    /// [`judge_licences`](Self::judge_licences).
    ///
    /// # Errors
    /// The first refusal.
    pub fn judge(
        &self,
        of: &ModuleVersion,
        time: Option<UnixMillis>,
        licences: &[Licence],
        now: UnixMillis,
    ) -> Verdict {
        self.judge_name(of)?;
        self.judge_time(of, time, now)?;
        self.judge_licences(of, licences)
    }

    /// Judges a module whatever its version, before its versions are asked for.
    ///
    /// # Errors
    /// When no version of it may be had.
    pub fn judge_path(&self, path: &ModulePath) -> Verdict {
        let denies = |entry: &&Entry| entry.versions.is_none() && entry.pattern.covers(path);
        if let Some(entry) = self.deny.iter().find(denies) {
            return Err(denied(path, entry));
        }
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|entry| entry.pattern.covers(path));
        if is_allowed { Ok(()) } else { Err(not_allowed(path)) }
    }

    /// Judges by the name alone, before anything is fetched.
    ///
    /// # Errors
    /// When it is denied, or not allowed.
    pub fn judge_name(&self, of: &ModuleVersion) -> Verdict {
        if let Some(entry) = self.deny.iter().find(|entry| entry.covers(of)) {
            return Err(denied(of, entry));
        }
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|entry| entry.covers(of));
        if is_allowed { Ok(()) } else { Err(not_allowed(of)) }
    }

    /// Judges by the time in the version's `.info`. A pseudo-version's own time counts where it is later.
    ///
    /// # Errors
    /// When it is too young, or nothing says how old it is.
    pub fn judge_time(&self, of: &ModuleVersion, time: Option<UnixMillis>, now: UnixMillis) -> Verdict {
        let Some(min_age) = self.min_age else { return Ok(()) };
        let least = format_duration(min_age);
        let refuse = |sentence| Err(Refusal { rule: RuleKind::MinAge, sentence });
        let Some(time) = time.max(of.version.pseudo_time()) else {
            return refuse(format!("blocked by policy: the age of {of} is not known, and it has to be {least}"));
        };
        let from = time.0.saturating_add(u64::try_from(min_age.as_millis()).unwrap_or(u64::MAX));
        if now.0 >= from {
            return Ok(());
        }
        let from = UnixMillis(from).rfc3339();
        refuse(format!("blocked by policy: {of} is younger than {least}; it may be had from {from} on"))
    }

    /// Judges by the licences of its files.
    ///
    /// # Errors
    /// When one of them is left out.
    pub fn judge_licences(&self, of: &ModuleVersion, licences: &[Licence]) -> Verdict {
        let refuse = |what: String| {
            let sentence = format!("blocked by policy: {of} {what}, and that is left out");
            Err(Refusal { rule: RuleKind::Licence, sentence })
        };
        if licences.is_empty() && self.leaves_out_none {
            return refuse("has no licence file".to_owned());
        }
        match licences.iter().find(|licence| self.left_out.contains(licence)) {
            Some(&Licence::UNKNOWN) => refuse("has a licence that is not recognised".to_owned()),
            Some(licence) => refuse(format!("is under {licence}")),
            None => Ok(()),
        }
    }
}

fn denied(what: &impl fmt::Display, entry: &Entry) -> Refusal {
    let sentence = format!("blocked by policy: {what} is denied by {}", quoted(&entry.to_string()));
    Refusal { rule: RuleKind::Deny, sentence }
}

fn not_allowed(what: &impl fmt::Display) -> Refusal {
    Refusal {
        rule: RuleKind::Allow,
        sentence: format!("blocked by policy: {what} is not on the list of what is allowed"),
    }
}
