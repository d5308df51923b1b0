//! Whether a key may use a resource: `door/resource` against the patterns of its allow-list.
//!
//! Compared as it is: no case folding, no percent-decoding, no normalising, so what a door asks about must be the name
//! that it goes on with. A pattern is matched in one pass, part by part: there is nothing to go back to.

use tradewind_policy::DOORS;

/// What a key without `allow` may not use.
const NOT_BY_DEFAULT: &str = "control";

/// The allow-list of a key.
#[derive(Debug)]
pub(crate) enum Allow {
    /// Every door but control.
    Usual,
    /// What matches one of these.
    Patterns(Box<[Box<str>]>),
}

impl Allow {
    pub(crate) fn new(patterns: Option<&[String]>) -> Self {
        match patterns {
            None => Self::Usual,
            Some(patterns) => Self::Patterns(patterns.iter().map(|pattern| pattern.as_str().into()).collect()),
        }
    }

    pub(crate) fn allows(&self, resource: &str) -> bool {
        match self {
            Self::Usual => {
                let door = resource.split_once('/').map(|(door, _)| door);
                door.is_some_and(|door| door != NOT_BY_DEFAULT && DOORS.contains(&door))
            }
            Self::Patterns(patterns) => patterns.iter().any(|pattern| matches(pattern, resource)),
        }
    }
}

/// Whether `text` is `pattern` with each `*` standing for any characters, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    // The leftmost place of a part is as good as any other, since what follows is free to be anywhere behind it.
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(patterns: &[&str]) -> Allow {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Allow::new(Some(&patterns))
    }

    #[test]
    fn patterns_match_whole_names_only() {
        let allow = list(&["models/assistant", "models/openai/*", "modules/*.corp.example.com/*", "control/read"]);
        for resource in [
            "models/assistant",
            "models/openai/gpt-5",
            "models/openai/org/gpt",
            "models/openai/",
            "modules/git.corp.example.com/a/b",
            "control/read",
        ] {
            assert!(allow.allows(resource), "{resource}");
        }
        for resource in [
            "",
            "models",
            "models/",
            "models/assistant2",
            "models/assistant ",
            " models/assistant",
            "models/Assistant",
            "models/assistan",
            "models/assistant/x",
            "models/assistant%20",
            "models/%61ssistant",
            "models/ａssistant",
            "models/assistant\0",
            "models/openai",
            "models//openai/x",
            "xmodels/openai/x",
            "modules/corp.example.com/a",
            "control/write",
            "control/read/x",
        ] {
            assert!(!allow.allows(resource), "{resource:?}");
        }
    }

    #[test]
    fn without_a_list_everything_but_control() {
        let allow = Allow::new(None);
        for resource in ["models/x", "modules/example.com/x", "state/a/b"] {
            assert!(allow.allows(resource), "{resource}");
        }
        for resource in ["control/read", "control/", "control", "", "models", "other/x", "Models/x", "/models/x"] {
            assert!(!allow.allows(resource), "{resource:?}");
        }
    }

    #[test]
    fn overlapping_parts_do_not_count_twice() {
        assert!(matches("a*a", "aa"));
        assert!(!matches("a*a", "a"));
        assert!(matches("a*bc*c", "abcc"));
        assert!(!matches("a*bc*c", "abc"));
        assert!(matches("**", ""));
        assert!(matches("*é*", "xéy"));
    }

    /// A million steps at most, where a matcher that goes back would take 10³⁰.
    #[test]
    fn no_pattern_is_slow() {
        let (pattern, text) = ("a*".repeat(120) + "b", "a".repeat(100_000));
        assert!(!matches(&pattern, &text));
    }

    /// The plain definition, slow and surely right.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skipped| defined(rest, &text[skipped..])),
            [first, rest @ ..] => text.first() == Some(first) && defined(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_definition_matches(pattern in "[ab*/é]{0,8}", text in "[ab/é]{0,10}") {
            let (letters, characters): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), defined(&letters, &characters), "{} {}", pattern, text);
        }
    }
}
