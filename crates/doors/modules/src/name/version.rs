//! Canonical versions of modules.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use tradewind_core::UnixMillis;

use super::escape::{escaped, escaped_length, unescaped};
use super::path::ModulePath;
use super::pseudo::Pseudo;
use super::quote::quoted;
use super::semver::Semver;

/// The longest version, in bytes, escaped; with what is put behind it, it is still a name of a file.
pub const LONGEST_VERSION: usize = 240;

/// What pre-module major versions above 1 carry.
const INCOMPATIBLE: &str = "+incompatible";

/// A canonical version: a semantic version with all three numbers, and no build but `+incompatible`
/// (`module.CanonicalVersion`). Cheap to clone; ordered by precedence, then by its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

/// Why a text is not a canonical version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadVersion {
    /// It is no semantic version.
    #[error("version {} invalid: not a semantic version", quoted(.0))]
    NotSemantic(String),
    /// It is one that is not written in full, or has a build.
    #[error("version {} is not canonical (should be {})", quoted(.is), quoted(.should))]
    NotCanonical {
        /// The text.
        is: String,
        /// The canonical form of the same version.
        should: String,
    },
    /// It is longer than [`LONGEST_VERSION`].
    #[error("version {} invalid: too long", quoted(.0))]
    TooLong(String),
    /// It is not escaped as it has to be.
    #[error("invalid escaped version {}", quoted(.0))]
    Escape(String),
}

impl Version {
    /// Checks a version that is not escaped.
    ///
    /// # Errors
    /// When it is not canonical or too long.
    pub fn parse(text: &str) -> Result<Self, BadVersion> {
        if escaped_length(text) > LONGEST_VERSION {
            return Err(BadVersion::TooLong(text.to_owned()));
        }
        let Some(semver) = Semver::parse(text) else { return Err(BadVersion::NotSemantic(text.to_owned())) };
        if semver.is_short || (!semver.build.is_empty() && semver.build != INCOMPATIBLE) {
            let Semver { major, minor, patch, prerelease, .. } = semver;
            let should = format!("v{major}.{minor}.{patch}{prerelease}");
            return Err(BadVersion::NotCanonical { is: text.to_owned(), should });
        }
        Ok(Self(text.into()))
    }

    /// Undoes the escape (`v1.0.0-!r!c1` for `v1.0.0-RC1`) and checks the version.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when it is not escaped as it has to be.
    pub fn from_escaped(text: &str) -> Result<Self, BadVersion> {
        match unescaped(text) {
            Some(unescaped) => Self::parse(&unescaped),
            None => Err(BadVersion::Escape(text.to_owned())),
        }
    }

    /// The version as it is written in requests and names of files.
    #[must_use]
    pub fn escaped(&self) -> Cow<'_, str> {
        escaped(&self.0)
    }

    /// The version.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `v` and the major number.
    #[must_use]
    pub fn major(&self) -> &str {
        &self.0[..=self.semver().major.len()]
    }

    /// Whether it comes before the release of its numbers; pseudo-versions do.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.semver().prerelease.is_empty()
    }

    /// Whether it ends in `+incompatible`.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.0.ends_with(INCOMPATIBLE)
    }

    /// Whether it stands for a commit without a tag: `v0.0.0-20161208181325-20d25e280405` and its like.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        Pseudo::parse(&self.0).is_some()
    }

    /// The time of the commit that a pseudo-version stands for; nothing for other versions, and when there is no such time
    /// from 1970 on.
    #[must_use]
    pub fn pseudo_time(&self) -> Option<UnixMillis> {
        Pseudo::parse(&self.0)?.time()
    }

    /// The beginning of the commit's hash that a pseudo-version ends in.
    #[must_use]
    pub fn pseudo_revision(&self) -> Option<&str> {
        Some(Pseudo::parse(&self.0)?.revision)
    }

    /// Whether the module can have this version (`module.CheckPathMajor`): `v2` and on only where the path says so, or with
    /// `+incompatible`.
    #[must_use]
    pub fn fits(&self, path: &ModulePath) -> bool {
        let (_, path_major) = path.split_major();
        self.belongs_to(path_major)
    }

    /// The same for a major version as [`ModulePath::split_major`] gives it.
    pub(crate) fn belongs_to(&self, path_major: &str) -> bool {
        if path_major.is_empty() {
            return matches!(self.major(), "v0" | "v1") || self.is_incompatible();
        }
        let major = path_major[1..].trim_end_matches("-unstable");
        // Go once made pseudo-versions of v0 for modules of gopkg.in with .v1, and go.mod files still name them.
        self.major() == major || (path_major.starts_with(".v1") && major == "v1" && self.0.starts_with("v0.0.0-"))
    }

    fn semver(&self) -> Semver<'_> {
        Semver::parse(&self.0).expect("a version was parsed when it was made")
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.semver().compare(&other.semver()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        Self::parse(text)
    }
}
