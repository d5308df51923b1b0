//! Semantic versions as Go reads them: with a `v`, and with `v1` and `v1.2` as short forms. Numbers have no upper bound.

use std::cmp::Ordering;

/// The parts of a version; the text of each lies in the version's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Semver<'a> {
    /// Without the `v`.
    pub major: &'a str,
    /// `0` in `v1`.
    pub minor: &'a str,
    /// `0` in `v1` and `v1.2`.
    pub patch: &'a str,
    /// With its `-`, or empty.
    pub prerelease: &'a str,
    /// With its `+`, or empty.
    pub build: &'a str,
    /// Whether minor or patch was left out.
    pub is_short: bool,
}

impl<'a> Semver<'a> {
    /// Nothing when it is not a version.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('v')?;
        let (major, rest) = number(rest)?;
        let short = |minor| Self { major, minor, patch: "0", prerelease: "", build: "", is_short: true };
        if rest.is_empty() {
            return Some(short("0"));
        }
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        if rest.is_empty() {
            return Some(short(minor));
        }
        let (patch, rest) = number(rest.strip_prefix('.')?)?;
        let (prerelease, build) = rest.split_at(rest.find('+').unwrap_or(rest.len()));
        let is_prerelease = prerelease.is_empty()
            || prerelease.strip_prefix('-').is_some_and(|list| {
                list.split('.').all(|part| is_identifier(part) && (!is_number(part) || !has_leading_zero(part)))
            });
        let is_build = build.is_empty() || build[1..].split('.').all(is_identifier);
        (is_prerelease && is_build).then_some(Self { major, minor, patch, prerelease, build, is_short: false })
    }

    /// Precedence; builds do not count.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        compare_numbers(self.major, other.major)
            .then_with(|| compare_numbers(self.minor, other.minor))
            .then_with(|| compare_numbers(self.patch, other.patch))
            .then_with(|| compare_prereleases(self.prerelease, other.prerelease))
    }
}

/// A decimal number without leading zeros, and what is behind it.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (!number.is_empty() && !has_leading_zero(number)).then_some((number, rest))
}

fn has_leading_zero(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0')
}

fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Numbers of any length, without leading zeros.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A version without one is the greater; numbers are below words.
fn compare_prereleases(one: &str, other: &str) -> Ordering {
    if one.is_empty() || other.is_empty() {
        return one.is_empty().cmp(&other.is_empty());
    }
    let (mut ones, mut others) = (one[1..].split('.'), other[1..].split('.'));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (is_number(one), is_number(other)) {
                (true, true) => compare_numbers(one, other),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => one.cmp(other),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
