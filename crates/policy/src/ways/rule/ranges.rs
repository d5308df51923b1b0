//! Ranges of numbers: `80/443/8000-9000`.

use std::sync::Arc;

use super::RuleError;

/// The most ranges of one rule.
pub const MOST_RANGES: usize = 1024;

/// Ranges of numbers, sorted and without overlap. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Arc<[(u32, u32)]>);

impl Ranges {
    /// Reads `80/443/8000-9000`; also with commas in place of strokes, and with spaces around the numbers. `9-1` is `1-9`.
    ///
    /// # Errors
    /// [`RuleError::Payload`] when there is none, [`RuleError::Range`] when one is no range or exceeds `largest`.
    pub fn parse(text: &str, largest: u32) -> Result<Self, RuleError> {
        let mut ranges = Vec::new();
        for part in text.split(['/', ',']) {
            let part = part.trim_matches(' ');
            if part.is_empty() {
                continue;
            }
            if ranges.len() == MOST_RANGES {
                return Err(RuleError::TooManyRanges);
            }
            let range = range(part).filter(|range| range.1 <= largest);
            ranges.push(range.ok_or_else(|| RuleError::Range(part.into()))?);
        }
        if ranges.is_empty() {
            return Err(RuleError::Payload);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Ok(Self(merged.into()))
    }

    /// Whether the number is in one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|range| range.0 <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    /// The largest number in them.
    #[must_use]
    pub fn largest(&self) -> u32 {
        self.0.last().map_or(0, |range| range.1)
    }
}

/// One number, or two with a hyphen between them, the smaller first.
fn range(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let text = text.trim_matches(' ');
        // `parse` would take a sign.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten()
    };
    match text.split_once('-') {
        None => number(text).map(|only| (only, only)),
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            Some((from.min(to), from.max(to)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_told() {
        let ranges = Ranges::parse("80/443/8000-9000", 65535).unwrap();
        for (number, fits) in [(79, false), (80, true), (81, false), (443, true), (7999, false), (8000, true)] {
            assert_eq!(ranges.contains(number), fits, "{number}");
        }
        assert!(ranges.contains(9000) && !ranges.contains(9001) && !ranges.contains(0));
        let ranges = Ranges::parse(" 80 / 81 - 90 /85/91/", 65535).unwrap();
        assert_eq!(*ranges.0, [(80, 91)]);
        assert_eq!(*Ranges::parse("9-1", 65535).unwrap().0, [(1, 9)]);
        assert!(Ranges::parse("0-4294967295", u32::MAX).unwrap().contains(u32::MAX));
    }

    #[test]
    fn what_is_no_range_is_named() {
        let range = |text: &str| Err(RuleError::Range(text.into()));
        for text in ["x", "1-", "-1", "1-2-3", "0x50", "+80", "80;81", "70000", "99999999999999999999"] {
            assert_eq!(Ranges::parse(text, 65535), range(text), "{text}");
        }
        assert_eq!(Ranges::parse("80/443/*", 65535), range("*"));
        assert_eq!(Ranges::parse("//", 65535), Err(RuleError::Payload));
        assert_eq!(Ranges::parse(&"1/".repeat(MOST_RANGES + 1), 65535), Err(RuleError::TooManyRanges));
    }
}
