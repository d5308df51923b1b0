//! GOPRIVATE, GONOPROXY, GONOSUMDB and GOINSECURE: lists of globs that are matched against prefixes of module paths.

/// A list of patterns, as `GOPRIVATE` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Splits a list at its commas. Go does not trim the parts; one with a space in it matches nothing.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        Self(list.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns as they are written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The first pattern that covers `module`, by the rules of Go's `module.MatchPrefixPatterns`.
    #[must_use]
    pub fn covering(&self, module: &str) -> Option<&str> {
        self.iter().find(|pattern| covers(pattern, module))
    }
}

/// Whether `pattern` matches as many leading elements of `module` as it has itself.
#[must_use]
pub fn covers(pattern: &str, module: &str) -> bool {
    let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
    if pattern.is_empty() {
        return false;
    }
    let elements = pattern.matches('/').count() + 1;
    let end = module.match_indices('/').nth(elements - 1).map_or(module.len(), |(place, _)| place);
    let prefix = &module[..end];
    prefix.matches('/').count() + 1 == elements && glob(pattern.as_bytes(), prefix.as_bytes()).unwrap_or(false)
}

/// The error of Go's `path.Match`: an open bracket, or a backslash at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BadPattern;

/// Whether `pattern` is one that can match at all.
#[must_use]
pub fn is_well_formed(pattern: &str) -> bool {
    // Walks the pattern alone, as a match that gets to its end does.
    let mut rest = pattern.as_bytes();
    while !rest.is_empty() {
        match rest[0] {
            b'[' => match class(&rest[1..], b'x') {
                Ok((_, after)) => rest = after,
                Err(BadPattern) => return false,
            },
            b'\\' if rest.len() == 1 => return false,
            b'\\' => rest = &rest[2..],
            _ => rest = &rest[1..],
        }
    }
    true
}

/// Go's `path.Match`: `*` and `?` do not cross a slash. Goes back only to the last `*`, so it is at worst quadratic.
fn glob(pattern: &[u8], text: &[u8]) -> Result<bool, BadPattern> {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if t == text.len() {
            return Ok(p == pattern.len());
        }
        if let Some(after) = one(pattern, p, text[t])? {
            p = after;
            t += 1;
            continue;
        }
        match star {
            Some((place, from)) if text[from] != b'/' => {
                star = Some((place, from + 1));
                p = place + 1;
                t = from + 1;
            }
            _ => return Ok(false),
        }
    }
}

/// Where the pattern goes on when its part at `p` matches `byte`.
fn one(pattern: &[u8], p: usize, byte: u8) -> Result<Option<usize>, BadPattern> {
    let Some(first) = pattern.get(p) else { return Ok(None) };
    match first {
        b'?' => Ok((byte != b'/').then_some(p + 1)),
        b'[' => {
            let (matches, after) = class(&pattern[p + 1..], byte)?;
            Ok(matches.then_some(pattern.len() - after.len()))
        }
        b'\\' => match pattern.get(p + 1) {
            None => Err(BadPattern),
            Some(literal) => Ok((*literal == byte).then_some(p + 2)),
        },
        _ => Ok((*first == byte).then_some(p + 1)),
    }
}

/// A class behind its `[`: whether it has `byte`, and what follows its `]`.
fn class(mut rest: &[u8], byte: u8) -> Result<(bool, &[u8]), BadPattern> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let (mut found, mut count) = (false, 0);
    loop {
        if rest.first() == Some(&b']') && count > 0 {
            return Ok((found != negated, &rest[1..]));
        }
        let (low, after) = class_byte(rest)?;
        rest = after;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            (high, rest) = class_byte(&rest[1..])?;
        }
        found |= (low..=high).contains(&byte);
        count += 1;
    }
}

fn class_byte(rest: &[u8]) -> Result<(u8, &[u8]), BadPattern> {
    match rest {
        [] | [b'-' | b']', ..] => Err(BadPattern),
        [b'\\', literal, after @ ..] => Ok((*literal, after)),
        [b'\\'] => Err(BadPattern),
        [byte, after @ ..] => Ok((*byte, after)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_cover_prefixes_element_by_element() {
        for (pattern, module, expected) in [
            ("corp.example.com", "corp.example.com/team/x", true),
            ("corp.example.com/", "corp.example.com/team/x", true),
            ("*.example.com", "corp.example.com/team/x", true),
            ("*.example.com", "example.com/team", false),
            ("*.corp.example.com", "git.eu.corp.example.com/x", true),
            ("*.corp.example.com/*", "git.corp.example.com/team/x", true),
            ("*.corp.example.com/*", "git.corp.example.com", false),
            ("github.com/corp", "github.com/corporation/x", false),
            ("github.com/corp*", "github.com/corporation/x", true),
            ("*", "anything.example.com/x", true),
            ("https://github.com/corp", "github.com/corp/x", false),
            (" github.com/corp", "github.com/corp/x", false),
            ("git[a-g]ub.com", "github.com/x", false),
            ("git[a-h]ub.com", "github.com/x", true),
            ("git[^a-h]ub.com", "gitxub.com/x", true),
            ("git[", "git[/x", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            (r"a\*c", "a*c", true),
            ("", "x", false),
        ] {
            assert_eq!(covers(pattern, module), expected, "{pattern} {module}");
        }
        let list = Patterns::parse("a.example.com,,b.example.com");
        assert_eq!(list.covering("b.example.com/x"), Some("b.example.com"));
        assert_eq!(list.covering("c.example.com/x"), None);
        assert!(!is_well_formed("a[b") && !is_well_formed("a\\") && is_well_formed("a[b-c]*"));
    }

    proptest! {
        #[test]
        fn no_pattern_is_too_strange(pattern in "[a-c/*?\\[\\]\\\\^-]{0,16}ü?", module in "[a-c/ü]{0,16}") {
            let _ = (covers(&pattern, &module), is_well_formed(&pattern));
        }

        #[test]
        fn a_path_covers_itself(module in "[a-c]{1,4}(/[a-c]{1,3}){0,3}") {
            prop_assert!(covers(&module, &module));
            let deeper = format!("{module}/x");
            prop_assert!(covers(&module, &deeper));
        }
    }
}
