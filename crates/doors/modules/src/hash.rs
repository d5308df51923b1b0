//! `h1:` hashes, and the lines of go.sum.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256, digest};

use crate::name::{BadModuleVersion, ModulePath, ModuleVersion, Version, quoted};

/// What the hash begins with; the number is the version of the algorithm.
const PREFIX: &str = "h1:";
/// The longest go.sum that is read, in bytes: some 120,000 lines.
pub const LONGEST_GO_SUM: usize = 16 << 20;
/// The hash of an empty go.mod, which an old go command wrote for modules without one by mistake; Go passes over it.
const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// The hash of a module's files, or of its go.mod: SHA-256 over a line for each file, `hash␠␠name`, in the order of names
/// (`dirhash.Hash1`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct H1([u8; 32]);

/// Why a text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not an h1: hash", quoted(.0))]
pub struct BadH1(String);

impl H1 {
    /// The hash of a go.mod.
    #[must_use]
    pub fn of_mod(go_mod: &[u8]) -> Self {
        let mut files = H1Builder::default();
        files.add("go.mod", digest(&SHA256, go_mod).as_ref());
        files.finish()
    }

    /// Parses `h1:` and 32 bytes in base64.
    ///
    /// # Errors
    /// When it is anything else, also another form of the same bytes.
    pub fn parse(text: &str) -> Result<Self, BadH1> {
        let bytes = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(BadH1(text.to_owned())),
        }
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for H1 {
    type Err = BadH1;

    fn from_str(text: &str) -> Result<Self, BadH1> {
        Self::parse(text)
    }
}

impl serde::Serialize for H1 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for H1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Adds up the files of a module, which have to come in the order of their names' bytes.
pub(crate) struct H1Builder(Context);

impl Default for H1Builder {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl H1Builder {
    /// The next file, by its name with the module's path and version, and the SHA-256 of its content.
    pub(crate) fn add(&mut self, name: &str, sha256: &[u8]) {
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(sha256) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        self.0.update(&hex);
        self.0.update(b"  ");
        self.0.update(name.as_bytes());
        self.0.update(b"\n");
    }

    pub(crate) fn finish(self) -> H1 {
        let digest = self.0.finish();
        H1(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// What a line of go.sum is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SumOf {
    /// All files of the module.
    Zip,
    /// Its go.mod alone.
    GoMod,
}

/// One line of a go.sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSumLine {
    /// About which module at which version.
    pub module: ModuleVersion,
    /// About what of it.
    pub of: SumOf,
    /// The hash.
    pub h1: H1,
}

/// A go.sum: the hashes that a build wants its modules to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoSum {
    /// In the order of the file.
    pub lines: Vec<GoSumLine>,
    /// How many lines had a hash of another kind than `h1:`, or were one of Go's old mistakes.
    pub passed_over: usize,
}

/// Why a text is not a go.sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGoSum {
    /// It is longer than [`LONGEST_GO_SUM`].
    #[error("go.sum is longer than {LONGEST_GO_SUM} bytes")]
    TooLong,
    /// A line has not three fields.
    #[error("malformed go.sum: line {line}: wrong number of fields {fields}")]
    Fields {
        /// The number of the line, from 1.
        line: usize,
        /// How many it has.
        fields: usize,
    },
    /// The module or its version is malformed.
    #[error("malformed go.sum: line {line}: {fault}")]
    Module {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        fault: BadModuleVersion,
    },
    /// The hash is malformed.
    #[error("malformed go.sum: line {line}: {fault}")]
    Hash {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        fault: BadH1,
    },
}

impl GoSum {
    /// Parses the text of a go.sum. Hashes of other kinds than `h1:` are counted and passed over, as Go does.
    ///
    /// # Errors
    /// At the first line that is malformed.
    pub fn parse(text: &str) -> Result<Self, BadGoSum> {
        if text.len() > LONGEST_GO_SUM {
            return Err(BadGoSum::TooLong);
        }
        let mut sums = Self::default();
        for (index, text) in text.split('\n').enumerate() {
            let line = index + 1;
            let fields: Vec<&str> = text.split_whitespace().collect();
            let [path, version, hash] = fields[..] else {
                match fields.len() {
                    0 => continue,
                    fields => return Err(BadGoSum::Fields { line, fields }),
                }
            };
            let is_other_kind = hash.split_once(':').is_some_and(|(kind, _)| kind != "h1");
            if is_other_kind || hash == EMPTY_GO_MOD {
                sums.passed_over += 1;
                continue;
            }
            let (version, of) = match version.strip_suffix("/go.mod") {
                Some(version) => (version, SumOf::GoMod),
                None => (version, SumOf::Zip),
            };
            let module = module_version(path, version).map_err(|fault| BadGoSum::Module { line, fault })?;
            let h1 = H1::parse(hash).map_err(|fault| BadGoSum::Hash { line, fault })?;
            sums.lines.push(GoSumLine { module, of, h1 });
        }
        Ok(sums)
    }
}

fn module_version(path: &str, version: &str) -> Result<ModuleVersion, BadModuleVersion> {
    let path = ModulePath::parse(path)?;
    let version = Version::parse(version).map_err(|fault| BadModuleVersion::Version { path: path.clone(), fault })?;
    ModuleVersion::new(path, version)
}
