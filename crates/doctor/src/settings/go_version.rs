//! Versions of Go, in their order.

use std::cmp::Ordering;
use std::fmt;

/// A version of Go as `go.mod` and `go version` write it without their `go`: `1.27.3`, `1.21rc2`, `1.21`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoVersion {
    major: u32,
    minor: u32,
    /// `None`: the language version, which comes before its own release candidates.
    patch: Option<u32>,
    /// `beta1`, `rc2`: the kind and its number.
    pre: Option<(String, u32)>,
    text: String,
}

impl GoVersion {
    /// Reads `1.27.3`, `go1.27.3`, and toolchain names with a suffix such as `go1.27.3-custom`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("go").unwrap_or(text);
        let text = text.split([' ', '-', '+']).next()?;
        let mut parts = text.splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor_text = parts.next()?;
        let digits = minor_text.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor_text.len());
        let minor = minor_text[..digits].parse().ok()?;
        let patch = parts.next();
        let pre = &minor_text[digits..];
        let pre = match pre.find(|c: char| c.is_ascii_digit()) {
            None if pre.is_empty() => None,
            Some(place) if patch.is_none() && matches!(&pre[..place], "beta" | "rc") => {
                Some((pre[..place].to_owned(), pre[place..].parse().ok()?))
            }
            _ => return None,
        };
        let patch = patch.map(|patch| patch.parse().ok()).map_or(Some(None), |patch| patch.map(Some))?;
        Some(Self { major, minor, patch, pre, text: text.to_owned() })
    }

    /// Major and minor number: of 1.27.3 that is (1, 27).
    #[must_use]
    pub fn language(&self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// The third number; 0 without one.
    #[must_use]
    pub fn patch(&self) -> u32 {
        self.patch.unwrap_or(0)
    }

    /// Whether it names a language and no release: `1.21`, from which on the first release is `1.21.0`.
    #[must_use]
    pub fn is_language(&self) -> bool {
        self.patch.is_none() && self.pre.is_none()
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialOrd for GoVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GoVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        // Before 1.21 the version without a third number is the first release, after its candidates.
        let stage = |version: &Self| match (&version.pre, version.patch) {
            (Some((kind, number)), _) => (1, kind.clone(), *number),
            (None, None) if version.minor >= 21 => (0, String::new(), 0),
            (None, patch) => (2, String::new(), patch.unwrap_or(0)),
        };
        self.language().cmp(&other.language()).then_with(|| stage(self).cmp(&stage(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_their_order() {
        let order = ["1.4", "1.20rc1", "1.20", "1.20.1", "1.21", "1.21rc1", "1.21.0", "1.21.1", "1.27.3", "1.99"];
        let versions: Vec<GoVersion> = order.iter().map(|text| GoVersion::parse(text).unwrap()).collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
        assert_eq!(GoVersion::parse("go1.27.3").unwrap().to_string(), "1.27.3");
        assert_eq!(GoVersion::parse("go1.27.3-custom").unwrap().patch(), 3);
        for text in ["", "go", "devel", "1", "1.x", "1.21.3rc1", "1.21alpha1", "v1.2.3"] {
            assert_eq!(GoVersion::parse(text), None, "{text}");
        }
    }
}
