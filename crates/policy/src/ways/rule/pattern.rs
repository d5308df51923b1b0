//! Regular expressions and wildcards of rules: linear in the text, whatever the pattern.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::RuleError;

/// The longest regular expression or wildcard, in bytes.
pub const LONGEST_PATTERN: usize = 4096;
/// The most memory that one compiled expression may take, in bytes.
pub(super) const LARGEST_PROGRAM: usize = 1 << 20;

/// A regular expression of a rule, compiled. Fits without regard to case, anywhere in the text, like mihomo's.
///
/// What looks around or back (`(?!…)`, `\1`) is refused: the time of such expressions has no bound.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// [`RuleError::Regex`], [`RuleError::RegexTooBig`], [`RuleError::TooLong`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        bounded(text)?;
        let built = RegexBuilder::new(text).case_insensitive(true).size_limit(LARGEST_PROGRAM).build();
        match built {
            Ok(regex) => Ok(Self { text: text.into(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => Err(RuleError::RegexTooBig),
            Err(error) => Err(RuleError::Regex(first_cause(&error.to_string()).into())),
        }
    }

    /// Whether it fits somewhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The last line of what the parser says: the others draw the place with carets.
fn first_cause(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

/// A text with `*` for any characters and `?` for one, without regard to case, like mihomo's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard(Arc<str>);

impl Wildcard {
    /// Takes the pattern as it is.
    ///
    /// # Errors
    /// [`RuleError::TooLong`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        bounded(text)?;
        Ok(Self(text.into()))
    }

    /// Whether it fits the whole text. At most length of the text times length of the pattern steps.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut position) = (0, 0);
        // Where to go on after the last `*`, when it has to take one byte more.
        let mut back: Option<(usize, usize)> = None;
        while position < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    back = Some((at + 1, position));
                    at += 1;
                }
                Some(b'?') => {
                    at += 1;
                    position += 1;
                }
                Some(byte) if byte.eq_ignore_ascii_case(&text[position]) => {
                    at += 1;
                    position += 1;
                }
                _ => {
                    let Some((after, taken)) = back else { return false };
                    back = Some((after, taken + 1));
                    (at, position) = (after, taken + 1);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

fn bounded(text: &str) -> Result<(), RuleError> {
    if text.len() > LONGEST_PATTERN {
        return Err(RuleError::TooLong { length: text.len(), most: LONGEST_PATTERN });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("exa?ple.com", "example.com", true),
            ("exa?ple.com", "exaple.com", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*a*b", "xxaxxbxxb", true),
            ("*a*b", "xxaxxbxxc", false),
            ("a**c", "abc", true),
            ("CUR?", "curl", true),
        ] {
            assert_eq!(Wildcard::new(pattern).unwrap().is_match(text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn expressions_without_a_bound_are_refused() {
        for text in ["^(?!x).*$", "(a)\\1", "[", "(", "*a"] {
            assert!(matches!(Pattern::new(text), Err(RuleError::Regex(_))), "{text}");
        }
        assert_eq!(Pattern::new("(?:a{1000}){1000}"), Err(RuleError::RegexTooBig));
        let long = "a".repeat(LONGEST_PATTERN + 1);
        assert_eq!(Pattern::new(&long), Err(RuleError::TooLong { length: 4097, most: 4096 }));
        assert_eq!(Wildcard::new(&long), Err(RuleError::TooLong { length: 4097, most: 4096 }));
        assert!(Pattern::new("^A{1,2}\\.com$").unwrap().is_match("aa.com"));
    }
}
