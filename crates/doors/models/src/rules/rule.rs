//! One rule: the words and patterns that it fits, and its answer.
//!
//! Patterns are those of the crate `regex`: they take time in proportion to the text, whatever it is, and have bounds for
//! their own size. They are compiled when the configuration is read, and what is wrong with them is said there.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::template::{BadTemplate, Template};
use crate::section::ResponderRule;

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1000;
/// The memory that one compiled pattern may take, and that its look-ups may take beside, in bytes.
const LARGEST_PATTERN: usize = 256 * 1024;
/// The most patterns and words of one rule, and the most rules of one responder.
pub(crate) const MOST_CONDITIONS: usize = 100;
pub(crate) const MOST_RULES: usize = 200;

/// A rule that can be applied.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// In lower case.
    words: Vec<String>,
    patterns: Vec<Regex>,
    pub(super) answer: Template,
}

/// What a rule has found in a question.
pub(super) enum Fit<'q> {
    Words,
    Pattern(Captures<'q>),
}

/// What is wrong with a rule: the key that has it, `matches[0]`, the message and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRule {
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: Cow<'static, str>,
}

impl Rule {
    pub(super) fn of(rule: &ResponderRule) -> Result<Self, BadRule> {
        let bad = |path: &str, message: String, hint: &'static str| BadRule {
            path: path.to_owned(),
            message,
            hint: Cow::Borrowed(hint),
        };
        let is_blank = |list: &[String]| list.iter().any(|words| words.trim().is_empty());
        let nothing = rule.contains.is_empty() && rule.matches.is_empty();
        for (path, is_empty) in
            [("contains", nothing || is_blank(&rule.contains)), ("matches", is_blank(&rule.matches))]
        {
            if is_empty {
                let message = "a rule needs words to look for".to_owned();
                return Err(bad(path, message, "the answer for all else is `otherwise`"));
            }
        }
        for (path, list) in [("contains", &rule.contains), ("matches", &rule.matches)] {
            if list.len() > MOST_CONDITIONS {
                let message = format!("a rule has at most {MOST_CONDITIONS} of these");
                return Err(bad(path, message, "make two rules of it"));
            }
        }
        let mut patterns = Vec::with_capacity(rule.matches.len());
        for (index, pattern) in rule.matches.iter().enumerate() {
            let path = format!("matches[{index}]");
            let hint = "the syntax is that of the Rust crate regex; in double quotes YAML wants `\\\\` for `\\`";
            patterns.push(compile(pattern).map_err(|message| bad(&path, message, hint))?);
        }
        let captures = common_captures(&patterns);
        let answer = Template::read(&rule.answer, &captures).map_err(|error| bad_answer("answer", &error))?;
        if let Some(name) = answer.first_capture().filter(|_| !rule.contains.is_empty()) {
            let message = format!("`{{{{{name}}}}}` is empty where the rule fits by `contains`");
            return Err(bad("answer", message, "make a rule of its own of the words"));
        }
        let words = rule.contains.iter().map(|words| words.to_lowercase()).collect();
        Ok(Self { words, patterns, answer })
    }

    /// Whether it fits `question`, whose text in lower case is `lower`.
    pub(super) fn fit<'q>(&self, question: &'q str, lower: &str) -> Option<Fit<'q>> {
        if self.words.iter().any(|words| lower.contains(words.as_str())) {
            return Some(Fit::Words);
        }
        self.patterns.iter().find_map(|pattern| pattern.captures(question)).map(Fit::Pattern)
    }
}

/// A problem with the text at `path`.
pub(crate) fn bad_answer(path: &str, error: &BadTemplate) -> BadRule {
    let hint = match error {
        BadTemplate::Unknown(_, Some(right)) => Cow::Owned(format!("did you mean `{{{{{right}}}}}`?")),
        BadTemplate::Unknown(_, None) => Cow::Borrowed(
            "there are `{{model}}`, `{{time}}`, `{{question}}` and what all of `matches` capture; `\\{{` stands for two braces",
        ),
        BadTemplate::Open => Cow::Borrowed("write `{{model}}`; `\\{{` stands for two braces"),
        BadTemplate::TooLong => Cow::Borrowed("shorten it"),
    };
    BadRule { path: path.to_owned(), message: error.to_string(), hint }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("a pattern has at most {LONGEST_PATTERN} bytes"));
    }
    let built = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("the pattern takes more than {} KiB: repeat less in it", LARGEST_PATTERN / 1024)
        }
        // The last line says what is wrong; those before it point at it.
        other => {
            let text = other.to_string();
            let what = text.lines().last().unwrap_or_default();
            format!("this is no pattern: {}", what.strip_prefix("error: ").unwrap_or(what))
        }
    })
}

/// The groups, by number and name, that every one of `patterns` has.
fn common_captures(patterns: &[Regex]) -> Vec<String> {
    let groups = |pattern: &Regex| -> Vec<String> {
        let numbers = (0..pattern.captures_len()).map(|number| number.to_string());
        numbers.chain(pattern.capture_names().flatten().map(str::to_owned)).collect()
    };
    let Some((first, others)) = patterns.split_first() else { return Vec::new() };
    let mut common = groups(first);
    for pattern in others {
        let own = groups(pattern);
        common.retain(|group| own.contains(group));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(contains: &[&str], matches: &[&str], answer: &str) -> Result<Rule, BadRule> {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Rule::of(&ResponderRule { contains: own(contains), matches: own(matches), answer: answer.to_owned() })
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said_with_its_place() {
        let long = "x".repeat(LONGEST_PATTERN + 1);
        let many = vec!["x"; MOST_CONDITIONS + 1];
        for (contains, matches, answer, path, message) in [
            (&[][..], &[][..], "x", "contains", "a rule needs words to look for"),
            (&["a", " "], &[], "x", "contains", "a rule needs words to look for"),
            (&[], &["a", ""], "x", "matches", "a rule needs words to look for"),
            (&many, &[], "x", "contains", "a rule has at most 100 of these"),
            (&[], &many, "x", "matches", "a rule has at most 100 of these"),
            (&[], &["a", "("], "x", "matches[1]", "this is no pattern: unclosed group"),
            (
                &[],
                &["(?=a)"],
                "x",
                "matches[0]",
                "this is no pattern: look-around, including look-ahead and look-behind, is not supported",
            ),
            (&[], &["\\w{1000}{100}"], "x", "matches[0]", "the pattern takes more than 256 KiB: repeat less in it"),
            (&[], &[&long], "x", "matches[0]", "a pattern has at most 1000 bytes"),
            (&[], &["(a)", "b"], "{{1}}", "answer", "unknown placeholder `{{1}}`"),
            (&["c"], &["(a)"], "{{1}}", "answer", "`{{1}}` is empty where the rule fits by `contains`"),
            (&["c"], &[], "{{mode}}", "answer", "unknown placeholder `{{mode}}`"),
        ] {
            let bad = rule(contains, matches, answer).unwrap_err();
            assert_eq!((bad.path.as_str(), bad.message.as_str()), (path, message));
        }
        assert_eq!(rule(&["c"], &[], "{{mode}}").unwrap_err().hint, "did you mean `{{model}}`?");
        assert!(rule(&["c"], &["(a)"], "{{model}}").is_ok());
        assert!(rule(&[], &["(?<x>a)", "b(?<x>c)"], "{{x}} {{1}}").is_ok());
    }

    /// A pattern that other engines take exponential time for.
    #[test]
    fn no_question_makes_a_pattern_slow() {
        let rule = rule(&[], &["^(a+)+$"], "{{1}}").unwrap();
        let question = format!("{}b", "a".repeat(50_000));
        assert!(rule.fit(&question, &question).is_none());
    }
}
