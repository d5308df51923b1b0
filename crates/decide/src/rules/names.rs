//! Sets of names: the lines of a list of domains, a category of sites, the domains among rules.
//!
//! A line is a name, label by label; `*` stands for one label, `+.` before it for any number of labels and none, `.` before
//! it for any number but none. Measured on mihomo, as are the lines that are refused.

use tradewind_policy::ways::{LONGEST_DOMAIN, Pattern, to_ascii};

use super::domains::{DomainTable, DomainTableBuilder, Host};

/// The name itself.
const WHOLE: u8 = 1;
/// Every name under it.
const BELOW: u8 = 2;
/// Every name with one label more.
const ONE_BELOW: u8 = 4;
/// There are lines with `*` in other places that end in this name.
const PATTERNS: u8 = 8;

/// A set of names.
#[derive(Debug, Default)]
pub(crate) struct DomainSet {
    names: DomainTable<u8>,
    /// Lines with `*` in other places, sorted by the name after the last `*`.
    patterns: Box<[LabelPattern]>,
    keywords: Box<[Box<str>]>,
    regexes: Box<[Pattern]>,
}

impl DomainSet {
    pub(crate) fn contains(&self, host: &Host<'_>) -> bool {
        self.has_name(host)
            || self.keywords.iter().any(|keyword| host.name.contains(&**keyword))
            || self.regexes.iter().any(|regex| regex.is_match(host.name))
    }

    fn has_name(&self, host: &Host<'_>) -> bool {
        if self.names.is_empty() && self.patterns.is_empty() {
            return false;
        }
        let one_below = host.name.find('.').map_or(usize::MAX, |dot| host.name.len() - dot - 1);
        for (hash, ending, is_whole) in host.endings() {
            let Some(value) = self.names.get(hash, ending) else { continue };
            let fits = if is_whole {
                value & WHOLE > 0
            } else {
                value & BELOW > 0 || (value & ONE_BELOW > 0 && ending.len() == one_below)
            };
            if fits || (value & PATTERNS > 0 && self.has_pattern(host.name, ending)) {
                return true;
            }
        }
        // What ends in `*` ends in no name.
        self.has_pattern(host.name, "")
    }

    fn has_pattern(&self, host: &str, ending: &str) -> bool {
        let from = self.patterns.partition_point(|pattern| *pattern.ending < *ending);
        self.patterns[from..].iter().take_while(|pattern| *pattern.ending == *ending).any(|pattern| pattern.fits(host))
    }
}

/// A line with `*` in it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LabelPattern {
    /// The name after the last `*`.
    ending: Box<str>,
    /// Labels from the last to the first; `None` for a `*`.
    labels: Box<[Option<Box<str>>]>,
    front: Front,
}

/// What may stand before the labels of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Front {
    Nothing,
    Something,
    Anything,
}

impl LabelPattern {
    fn fits(&self, host: &str) -> bool {
        let mut labels = host.rsplit('.');
        let fit = self.labels.iter().all(|own| match (labels.next(), own) {
            (Some(label), Some(own)) => label == &**own,
            (Some(label), None) => !label.is_empty(),
            (None, _) => false,
        });
        fit && match self.front {
            Front::Nothing => labels.next().is_none(),
            Front::Something => labels.next().is_some(),
            Front::Anything => true,
        }
    }
}

/// Why a line is no line of a list of domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLine {
    #[error("trailing dot is not allowed")]
    TrailingDot,
    #[error("a label is empty")]
    EmptyLabel,
    #[error("\"+\" wildcard must be followed by another label")]
    LonePlus,
    #[error("\"+\" wildcard is only allowed in the first label")]
    LatePlus,
    #[error("a wildcard must occupy an entire label")]
    PartOfLabel,
    #[error("it is longer than a name may be")]
    TooLong,
}

/// Collects a set.
#[derive(Debug)]
pub(crate) struct DomainSetBuilder {
    names: DomainTableBuilder<u8>,
    patterns: Vec<LabelPattern>,
    keywords: Vec<Box<str>>,
    regexes: Vec<Pattern>,
}

impl DomainSetBuilder {
    pub(crate) fn new() -> Self {
        Self { names: DomainTableBuilder::new(), patterns: Vec::new(), keywords: Vec::new(), regexes: Vec::new() }
    }

    /// Adds a name alone.
    pub(crate) fn whole(&mut self, name: &str) {
        self.names.push(&to_ascii(name), WHOLE);
    }

    /// Adds a name and all names under it.
    pub(crate) fn suffix(&mut self, name: &str) {
        self.names.push(&to_ascii(name), WHOLE | BELOW);
    }

    /// Adds all names that have this in them.
    pub(crate) fn keyword(&mut self, text: &str) {
        self.keywords.push(text.to_lowercase().into());
    }

    /// Adds all names that this fits.
    pub(crate) fn regex(&mut self, pattern: Pattern) {
        self.regexes.push(pattern);
    }

    /// Adds a line of a list of domains.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), BadLine> {
        let line = &*to_ascii(line);
        if line.len() > LONGEST_DOMAIN {
            return Err(BadLine::TooLong);
        }
        if line.ends_with('.') {
            return Err(BadLine::TrailingDot);
        }
        let (front, rest) = if let Some(rest) = line.strip_prefix("+.") {
            (Front::Anything, rest)
        } else if let Some(rest) = line.strip_prefix('.') {
            (Front::Something, rest)
        } else {
            (Front::Nothing, line)
        };
        for label in rest.split('.') {
            match label {
                "" => return Err(BadLine::EmptyLabel),
                "+" if rest == "+" => return Err(BadLine::LonePlus),
                "+" => return Err(BadLine::LatePlus),
                "*" => {}
                _ if label.contains(['*', '+']) => return Err(BadLine::PartOfLabel),
                _ => {}
            }
        }
        let after_star = rest.strip_prefix("*.").unwrap_or(rest);
        if after_star.contains('*') {
            self.pattern(rest, front);
            return Ok(());
        }
        match (front, after_star.len() < rest.len()) {
            (Front::Nothing, false) => self.names.push(rest, WHOLE),
            (Front::Nothing, true) => self.names.push(after_star, ONE_BELOW),
            (Front::Something, false) | (Front::Anything, true) => self.names.push(after_star, BELOW),
            (Front::Anything, false) => self.names.push(rest, WHOLE | BELOW),
            (Front::Something, true) => self.pattern(rest, front),
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str, front: Front) {
        let ending = text.rsplit_once('*').map_or("", |(_, ending)| ending.trim_start_matches('.'));
        if !ending.is_empty() {
            self.names.push(ending, PATTERNS);
        }
        let labels = text.rsplit('.').map(|label| (label != "*").then(|| label.into())).collect();
        self.patterns.push(LabelPattern { ending: ending.into(), labels, front });
    }

    pub(crate) fn build(self) -> DomainSet {
        let mut patterns = self.patterns;
        patterns.sort();
        patterns.dedup();
        DomainSet {
            names: self.names.build(|a, b| a | b),
            patterns: patterns.into(),
            keywords: self.keywords.into(),
            regexes: self.regexes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines, and what mihomo 1.19.32 says of names under them.
    const MEASURED: [(&str, &[&str], &[&str]); 13] = [
        ("a.com", &["a.com"], &["x.a.com", "com", "aa.com"]),
        ("+.b.com", &["b.com", "x.b.com", "y.x.b.com"], &["bb.com", "com"]),
        ("*.c.com", &["x.c.com"], &["c.com", "y.x.c.com"]),
        (".d.com", &["x.d.com", "y.x.d.com"], &["d.com"]),
        ("*.*.e.com", &["y.x.e.com"], &["e.com", "x.e.com", "z.y.x.e.com"]),
        ("x.*.f.com", &["x.y.f.com"], &["x.f.com", "z.y.f.com", "z.x.y.f.com"]),
        ("+.*.g.com", &["x.g.com", "y.x.g.com", "z.y.x.g.com"], &["g.com"]),
        ("*", &["single"], &["a.single"]),
        ("h.*", &["h.com"], &["h.x.com", "h"]),
        ("UP.com", &["up.com"], &["x.up.com"]),
        (".*.i.com", &["y.x.i.com", "z.y.x.i.com"], &["i.com", "x.i.com"]),
        ("+.j.*.com", &["j.x.com", "y.j.x.com"], &["j.com", "j.y.x.com"]),
        ("例子.com", &["xn--fsqu00a.com"], &["com"]),
    ];

    #[test]
    fn lines_mean_what_they_mean_to_mihomo() {
        for (line, inside, outside) in MEASURED {
            let mut names = DomainSetBuilder::new();
            names.line(line).unwrap();
            let names = names.build();
            for host in inside {
                assert!(names.contains(&Host::new(host)), "{host} in {line}");
            }
            for host in outside {
                assert!(!names.contains(&Host::new(host)), "{host} not in {line}");
            }
        }
    }

    #[test]
    fn lines_that_mean_nothing_are_refused() {
        let long = format!("{}.com", "a".repeat(LONGEST_DOMAIN));
        for (line, error) in [
            ("x..y", BadLine::EmptyLabel),
            ("+", BadLine::LonePlus),
            ("+.", BadLine::TrailingDot),
            (".", BadLine::TrailingDot),
            ("*.", BadLine::TrailingDot),
            ("x.com.", BadLine::TrailingDot),
            ("*.+.a", BadLine::LatePlus),
            (".+.x", BadLine::LatePlus),
            ("*x.com", BadLine::PartOfLabel),
            ("+x.com", BadLine::PartOfLabel),
            ("**.x", BadLine::PartOfLabel),
            (&long, BadLine::TooLong),
        ] {
            assert_eq!(DomainSetBuilder::new().line(line), Err(error), "{line}");
        }
    }

    #[test]
    fn keywords_and_expressions_are_asked_too() {
        let mut names = DomainSetBuilder::new();
        names.keyword("Goo");
        names.regex(Pattern::new("^ads?\\.").unwrap());
        names.suffix("例子.com");
        names.whole("Exact.com");
        let names = names.build();
        for (host, fits) in [("agoob", true), ("ad.x", true), ("bad.x", false), ("a.xn--fsqu00a.com", true)] {
            assert_eq!(names.contains(&Host::new(host)), fits, "{host}");
        }
        assert!(names.contains(&Host::new("exact.com")) && !names.contains(&Host::new("a.exact.com")));
    }
}
