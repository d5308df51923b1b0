//! Pins: versions that are never removed to make room.

use crate::name::{BadPattern, ModuleVersion, Pattern};

/// Which versions are pinned.
#[derive(Clone, Debug, Default)]
pub struct Pins(Vec<Pin>);

#[derive(Clone, Debug)]
struct Pin {
    modules: Pattern,
    /// Only this version; all of them without it.
    version: Option<String>,
}

/// A text that is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPin {
    /// What stands before the `@` is no pattern.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// There is nothing before the `@`, or nothing behind it.
    #[error("`{0}` pins nothing: write a pattern of module paths, or PATTERN@VERSION")]
    Empty(String),
}

impl Pins {
    /// Reads pins: a pattern of module paths as in GOPRIVATE each, and `@` with a version where only that one is meant.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn parse(texts: &[impl AsRef<str>]) -> Result<Self, BadPin> {
        let mut pins = Vec::new();
        for text in texts {
            let text = text.as_ref().trim();
            let (pattern, version) = match text.split_once('@') {
                Some((pattern, version)) => (pattern, Some(version)),
                None => (text, None),
            };
            if pattern.is_empty() || version == Some("") {
                return Err(BadPin::Empty(text.to_owned()));
            }
            pins.push(Pin { modules: Pattern::parse(pattern)?, version: version.map(str::to_owned) });
        }
        Ok(Self(pins))
    }

    /// Whether one of them holds `of`.
    #[must_use]
    pub fn hold(&self, of: &ModuleVersion) -> bool {
        self.0.iter().any(|pin| {
            pin.version.as_deref().is_none_or(|version| version == of.version.as_str()) && pin.modules.covers(&of.path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_pattern_and_perhaps_a_version() {
        let pins = Pins::parse(&["golang.org/toolchain", "github.com/*/core@v1.2.3"]).unwrap();
        for (of, held) in [
            ("golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64", true),
            ("golang.org/x/text@v0.3.0", false),
            ("github.com/a/core@v1.2.3", true),
            ("github.com/a/core/sub@v1.2.3", true),
            ("github.com/a/core@v1.2.4", false),
        ] {
            assert_eq!(pins.hold(&ModuleVersion::parse(of).unwrap()), held, "{of}");
        }
        for bad in ["", "@v1.0.0", "a.b/c@", "a.b/[c"] {
            assert!(Pins::parse(&[bad]).is_err(), "{bad}");
        }
    }
}
