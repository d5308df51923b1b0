//! Rules that lead a call to another model before anything is scored: `route` of an entry of `models`.
//!
//! The first rule that fits wins; it fits when all of its conditions hold. Here because it is configuration whose meaning
//! needs no more than the words of `core`: what was written, checked, and compiled to a form that answers without
//! memory of its own. What `use` names is known by whoever owns the models, so its existence is checked there.

mod compiled;
mod words;

use schemars::JsonSchema;
use serde::Deserialize;
use tradewind_core::{Code, Device};

pub use self::compiled::{RouteFacts, Routes, RuleTrace};
pub use self::words::Words;
use crate::context::DeviceWord;
use crate::node::Shortened;
use crate::problem::Problems;
use crate::spanned::Spanned;

/// The most rules of one entry.
pub const MOST_RULES: usize = 100;
/// The most words of one condition.
const MOST_WORDS: usize = 64;
/// The longest word of a condition, in characters: as long as the name of a model may be.
const LONGEST_WORD: usize = 200;

/// One rule of `route`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteRule {
    /// When it fits: all of these have to hold. A rule without it fits every call, and comes last.
    #[serde(default)]
    pub when: When,
    /// Who answers then: `provider/model`, or the name of another entry of `models`.
    #[serde(rename = "use")]
    #[schemars(with = "String")]
    pub reference: Spanned<String>,
}

/// When a rule fits. A list holds when one of its words does, but for `tags`, which have to be there all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct When {
    /// The caller's role is one of these.
    pub role: Option<Spanned<Words<String>>>,
    /// The caller's tenant is one of these.
    pub tenant: Option<Spanned<Words<String>>>,
    /// The caller's region is one of these, in upper or lower case.
    pub region: Option<Spanned<Words<String>>>,
    /// The caller's device is one of these.
    #[schemars(with = "Option<Words<DeviceWord>>")]
    pub device: Option<Spanned<Words<Device>>>,
    /// The caller has all of these tags.
    pub tags: Option<Spanned<Words<String>>>,
    /// The caller has at least one of these tags.
    pub any_tag: Option<Spanned<Words<String>>>,
    /// The name of the caller's key is one of these.
    pub key: Option<Spanned<Words<String>>>,
    /// What the caller wrote as `model` is one of these.
    pub model: Option<Spanned<Words<String>>>,
    /// Whether region and device count only when the key or a signature says them: anybody can write a `user-agent`.
    /// Role, tenant, tags and key are always proven.
    pub proven: bool,
}

impl When {
    /// The conditions on texts, by the name of their key.
    fn texts(&self) -> [(&'static str, Option<&Spanned<Words<String>>>); 7] {
        [
            ("role", self.role.as_ref()),
            ("tenant", self.tenant.as_ref()),
            ("region", self.region.as_ref()),
            ("tags", self.tags.as_ref()),
            ("any-tag", self.any_tag.as_ref()),
            ("key", self.key.as_ref()),
            ("model", self.model.as_ref()),
        ]
    }

    /// Whether there is no condition.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.device.is_none() && self.texts().iter().all(|(_, words)| words.is_none())
    }
}

/// Reports what cannot be meant in the rules of one entry: conditions that nothing fulfils, rules that nothing reaches,
/// too much of anything. That `use` names something is the owner's to check.
pub fn check_routes(rules: &[RouteRule], problems: &mut Problems) {
    if let Some(rule) = rules.get(MOST_RULES) {
        let message = format!("there are {} rules, the most is {MOST_RULES}", rules.len());
        problems
            .push(rule.reference.problem(Code::ConfigBadValue, message).with_hint("tags say more with fewer rules"));
        return;
    }
    for rule in rules {
        for (key, words) in rule.when.texts() {
            let Some(words) = words else { continue };
            if is_told(problems, words) {
                continue;
            }
            if let Some((message, hint)) = unmeant(key, words) {
                problems.push(words.problem(Code::ConfigBadValue, message).with_hint(hint));
            }
        }
        let device = rule.when.device.as_ref().filter(|device| device.0.is_empty());
        if let Some(device) = device.filter(|device| !is_told(problems, device)) {
            let problem = device.problem(Code::ConfigBadValue, "no device is in this list, so the rule fits no call");
            problems.push(problem.with_hint("leave the key out for any"));
        }
        if rule.when.proven && rule.when.region.is_none() && rule.when.device.is_none() {
            let message = "`proven` is about region and device, and the rule asks for neither";
            problems.push(rule.reference.problem(Code::ConfigBadValue, message).with_hint("leave `proven` out"));
        }
    }
    let always = rules.iter().position(|rule| rule.when.is_always());
    if let Some(next) = always.and_then(|place| rules.get(place + 1)) {
        let problem =
            next.reference.problem(Code::ConfigBadValue, "no call reaches this rule: the one before fits all");
        problems.push(problem.with_hint("put the rule without conditions last"));
    }
}

/// Whether something is known to be wrong in this value already: what could not be read of it is not there.
fn is_told<T>(problems: &Problems, value: &Spanned<T>) -> bool {
    problems.list().iter().any(|problem| problem.path.starts_with(&*value.path))
}

/// Why the words of a condition cannot be meant.
fn unmeant(key: &str, words: &Words<String>) -> Option<(String, &'static str)> {
    if words.0.is_empty() {
        return Some((format!("no word is in `{key}`, so the rule fits no call"), "leave the key out for any"));
    }
    if words.0.len() > MOST_WORDS {
        return Some((format!("`{key}` has at most {MOST_WORDS} words"), "tags say more with fewer words"));
    }
    let is_bad =
        |word: &&String| word.is_empty() || word.chars().count() > LONGEST_WORD || word.chars().any(char::is_control);
    let bad = words.0.iter().find(is_bad)?;
    let message = format!("`{}` in `{key}` is empty, too long, or has line breaks", Shortened(bad));
    Some((message, "1 to 200 characters"))
}

#[cfg(test)]
mod tests;
