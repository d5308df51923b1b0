//! Module paths: `github.com/Azure/azure-sdk-for-go/v68`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::element::{Kind, PathFault, check_path, is_reserved};
use super::escape::{escaped, escaped_length, unescaped};
use super::pattern::Patterns;
use super::quote::quoted;

/// The longest module path, in bytes. Go has no limit of its own but that of file systems.
pub const LONGEST_MODULE_PATH: usize = 1024;
/// The longest element of an escaped module path, in bytes: the longest name of a file on most systems.
pub(crate) const LONGEST_ELEMENT: usize = 255;

/// The path of a module, checked by Go's rules (`module.CheckPath`) and not escaped. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(Arc<str>);

/// Why a text is not a module path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed module path {}: {fault}", quoted(path))]
pub struct BadModulePath {
    /// The text.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

impl ModulePath {
    /// Checks a path that is not escaped.
    ///
    /// # Errors
    /// When Go would refuse it, when it is longer than [`LONGEST_MODULE_PATH`], or when an element is longer than a file's
    /// name may be.
    pub fn parse(path: &str) -> Result<Self, BadModulePath> {
        match check(path) {
            Ok(()) => Ok(Self(path.into())),
            Err(fault) => Err(BadModulePath { path: path.to_owned(), fault }),
        }
    }

    /// Undoes the escape of a path (`!azure` for `Azure`) and checks it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when it is not escaped as it has to be, upper case included.
    pub fn from_escaped(path: &str) -> Result<Self, BadModulePath> {
        match unescaped(path) {
            Some(unescaped) => Self::parse(&unescaped),
            None => Err(BadModulePath { path: path.to_owned(), fault: PathFault::Escape }),
        }
    }

    /// The path as it is written in requests and names of folders.
    #[must_use]
    pub fn escaped(&self) -> Cow<'_, str> {
        escaped(&self.0)
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of the patterns matches the path or the beginning of it, as GOPRIVATE is read.
    #[must_use]
    pub fn is_covered_by(&self, patterns: &Patterns) -> bool {
        patterns.cover(self)
    }

    /// The path without its major version, and that: `/v2`, `.v1` and `.v1-unstable` with gopkg.in, or nothing.
    #[must_use]
    pub fn split_major(&self) -> (&str, &str) {
        split_major(&self.0).unwrap_or((&self.0, ""))
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ModulePath {
    type Err = BadModulePath;

    fn from_str(path: &str) -> Result<Self, BadModulePath> {
        Self::parse(path)
    }
}

/// Whether it is a path of the usual kind, of which all but the major version is sound: what [`check`] finds in many passes,
/// for each request, in one. `false` says nothing.
fn is_plain(path: &str) -> bool {
    if path.len() > LONGEST_ELEMENT {
        return false;
    }
    // Where the element and the part of it before its first dot begin and end.
    let (mut begin, mut stem, mut is_first) = (0, None, true);
    let bytes = path.as_bytes();
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            Some(b'a'..=b'z' | b'0'..=b'9' | b'-') => {}
            Some(b'_') if !is_first => {}
            Some(b'.') if at > begin => {
                stem.get_or_insert(at);
            }
            Some(b'/') | None => {
                let is_sound = at > begin && bytes[at - 1] != b'.' && bytes[begin] != b'-';
                if !is_sound || is_reserved(&path[begin..stem.unwrap_or(at)]) || (is_first && stem.is_none()) {
                    return false;
                }
                (begin, stem, is_first) = (at + 1, None, false);
            }
            Some(_) => return false,
        }
    }
    true
}

/// Everything that has to hold of a module path.
fn check(path: &str) -> Result<(), PathFault> {
    if is_plain(path) {
        return split_major(path).map(|_| ()).ok_or(PathFault::Major);
    }
    check_all(path)
}

fn check_all(path: &str) -> Result<(), PathFault> {
    if path.len() > LONGEST_MODULE_PATH || path.split('/').any(|element| escaped_length(element) > LONGEST_ELEMENT) {
        return Err(PathFault::TooLong);
    }
    check_path(path, Kind::Module)?;
    let first = path.split('/').next().unwrap_or(path);
    if !first.contains('.') {
        return Err(PathFault::NoDotInFirst);
    }
    if first.starts_with('-') {
        return Err(PathFault::LeadingDashInFirst);
    }
    let is_domain = |character: &char| matches!(character, '-' | '.' | '0'..='9' | 'a'..='z');
    if let Some(character) = first.chars().find(|character| !is_domain(character)) {
        return Err(PathFault::CharInFirst(character));
    }
    match split_major(path) {
        Some(_) => Ok(()),
        None => Err(PathFault::Major),
    }
}

/// `module.SplitPathVersion`: nothing when the end looks like a major version and cannot be one.
pub(crate) fn split_major(path: &str) -> Option<(&str, &str)> {
    if path.starts_with("gopkg.in/") {
        return split_gopkg_in(path);
    }
    let stem = path.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    let number = &path[stem.len()..];
    let Some(prefix) = stem.strip_suffix("/v") else { return Some((path, "")) };
    if number.is_empty() {
        return Some((path, ""));
    }
    let is_major = !number.contains('.') && !number.starts_with('0') && number != "1";
    is_major.then(|| path.split_at(prefix.len()))
}

/// The same for gopkg.in, where each path ends in `.vN` or `.vN-unstable`, from `.v0` on.
fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let numbered = path.strip_suffix("-unstable").unwrap_or(path);
    let stem = numbered.trim_end_matches(|character: char| character.is_ascii_digit());
    let number = &numbered[stem.len()..];
    let prefix = stem.strip_suffix(".v")?;
    let is_major = !number.is_empty() && (!number.starts_with('0') || &path[prefix.len()..] == ".v0");
    is_major.then(|| path.split_at(prefix.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_paths_are_plain() {
        for path in ["github.com/go-chi/chi/v5", "gopkg.in/yaml.v3", "golang.org/x/mod", "example.com/m000"] {
            assert!(is_plain(path), "{path}");
        }
        for path in
            ["", "a", "a.b/", "/a.b", "a.b//c", ".a.b", "a.b.", "-a.b/c", "a_b.c/d", "a.b/con", "a.b/com1.x", "a.b/C"]
        {
            assert!(!is_plain(path), "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_plain_passes_every_rule(path in "[a-c]{0,3}(\\.[a-c1]{0,2}){0,2}(/[-a-cnou._1v/~!A]{0,6}){0,3}") {
            let expected = split_major(&path).map(|_| ()).ok_or(PathFault::Major);
            prop_assert!(!is_plain(&path) || check_all(&path) == expected);
        }
    }
}
