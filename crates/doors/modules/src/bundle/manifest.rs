//! `manifest.json` of a bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::Blob;

/// Its name in the bundle.
pub(super) const NAME: &str = "manifest.json";
/// What it says that it is.
pub(super) const FORMAT: &str = "tradewind-modules/1";
/// The most bytes of it: some 300,000 files.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// What a bundle has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Manifest {
    pub(super) format: String,
    /// When it was made.
    pub(super) made: String,
    /// All other files by their names.
    pub(super) files: BTreeMap<String, Blob>,
    /// The versions, for people; an import looks at the files.
    pub(super) versions: Vec<Version>,
    /// The checksum databases with the sizes of the trees that all records stand under.
    #[serde(default)]
    pub(super) sumdb: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Version {
    pub(super) path: String,
    pub(super) version: String,
    /// Absent where only the go.mod is in the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) h1: Option<String>,
    pub(super) mod_h1: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) upstream: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) licences: Vec<String>,
}
