//! A module at a version.

use std::fmt;

use super::path::{BadModulePath, ModulePath};
use super::quote::quoted;
use super::version::{BadVersion, Version};

/// A module at a version that it can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    /// Of which module.
    pub path: ModulePath,
    /// Which version; [`Version::fits`] holds when it was made by [`ModuleVersion::new`].
    pub version: Version,
}

/// Why a text is not a module at a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadModuleVersion {
    /// There is no `@` in it.
    #[error("{} has no version: write MODULE@VERSION", quoted(.0))]
    NoVersion(String),
    /// The path is none.
    #[error(transparent)]
    Path(#[from] BadModulePath),
    /// The version is none.
    #[error("{path}@{}", .fault)]
    Version {
        /// Of which module.
        path: ModulePath,
        /// What is wrong with it.
        fault: BadVersion,
    },
    /// A module of this path cannot have this version.
    #[error("{path}@{version}: invalid version: should be {should}, not {}", .version.major())]
    DoesNotFit {
        /// Of which module.
        path: ModulePath,
        /// Which version.
        version: Version,
        /// The major versions that it can have.
        should: String,
    },
}

impl ModuleVersion {
    /// Puts both together (`module.Check`).
    ///
    /// # Errors
    /// When a module of this path cannot have this version.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, BadModuleVersion> {
        if version.fits(&path) {
            return Ok(Self { path, version });
        }
        let (_, path_major) = path.split_major();
        let should = path_major.get(1..).unwrap_or("v0 or v1").trim_end_matches("-unstable").to_owned();
        Err(BadModuleVersion::DoesNotFit { path, version, should })
    }

    /// Parses `path@version`, both not escaped.
    ///
    /// # Errors
    /// When either is malformed, the version is not canonical, or they do not fit.
    pub fn parse(text: &str) -> Result<Self, BadModuleVersion> {
        let Some((path, version)) = text.split_once('@') else {
            return Err(BadModuleVersion::NoVersion(text.to_owned()));
        };
        let path = ModulePath::parse(path)?;
        let version =
            Version::parse(version).map_err(|fault| BadModuleVersion::Version { path: path.clone(), fault })?;
        Self::new(path, version)
    }

    /// Parses `path@version`, both escaped.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when either is not escaped as it has to be.
    pub fn from_escaped(text: &str) -> Result<Self, BadModuleVersion> {
        let Some((path, version)) = text.split_once('@') else {
            return Err(BadModuleVersion::NoVersion(text.to_owned()));
        };
        let path = ModulePath::from_escaped(path)?;
        let version =
            Version::from_escaped(version).map_err(|fault| BadModuleVersion::Version { path: path.clone(), fault })?;
        Self::new(path, version)
    }

    /// `path@version`, both escaped, as a lookup at a checksum database has it.
    #[must_use]
    pub fn escaped(&self) -> String {
        format!("{}@{}", self.path.escaped(), self.version.escaped())
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

impl std::str::FromStr for ModuleVersion {
    type Err = BadModuleVersion;

    fn from_str(text: &str) -> Result<Self, BadModuleVersion> {
        Self::parse(text)
    }
}
