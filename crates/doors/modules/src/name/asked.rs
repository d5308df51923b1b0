//! What the path of a request asks for.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::element::{Kind, check_element};
use super::escape::{escaped, escaped_length, unescaped};
use super::module_version::{BadModuleVersion, ModuleVersion};
use super::path::{BadModulePath, ModulePath};
use super::quote::quoted;
use super::version::{BadVersion, LONGEST_VERSION, Version};

/// The longest path of a request, in bytes as it comes.
pub const LONGEST_REQUEST: usize = 8192;
/// The longest name of a checksum database, in bytes.
const LONGEST_DATABASE: usize = 255;
/// The longest path of a tile behind `tile/`, in bytes; a number of 64 bits in groups of three takes half of it.
const LONGEST_TILE: usize = 80;

/// What a request asks for (the GOPROXY protocol, `go help goproxy`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asked {
    /// `MODULE/@v/list`: the tagged versions.
    List(ModulePath),
    /// `MODULE/@latest`.
    Latest(ModulePath),
    /// `MODULE/@v/QUERY.info`: the version that a query means, and its time.
    Info(ModulePath, Query),
    /// `MODULE/@v/VERSION.mod`.
    Mod(ModuleVersion),
    /// `MODULE/@v/VERSION.zip`.
    Zip(ModuleVersion),
    /// `sumdb/NAME/…`.
    Sumdb(SumdbAsked),
}

/// What may stand before `.info`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    /// A canonical version that the module can have: the answer has to be about exactly this one.
    Version(Version),
    /// Anything else: a branch, a commit, `v1`, or a version that the module would have to be given `+incompatible` for.
    /// It is fit for a file's name, and not escaped.
    Other(Arc<str>),
}

/// What is asked of a checksum database through the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SumdbAsked {
    /// Whether the proxy passes requests on to it.
    Supported {
        /// Of the database.
        name: SumdbName,
    },
    /// The latest tree head.
    Latest {
        /// Of the database.
        name: SumdbName,
    },
    /// The record about a module at a version.
    Lookup {
        /// Of the database.
        name: SumdbName,
        /// About which.
        version: ModuleVersion,
    },
    /// A tile of the tree, or of its records.
    Tile {
        /// Of the database.
        name: SumdbName,
        /// From `tile/` on. It has the form of one; whether there can be such a tile is not known.
        path: Arc<str>,
    },
}

impl SumdbAsked {
    /// Of which database.
    #[must_use]
    pub fn name(&self) -> &SumdbName {
        match self {
            Self::Supported { name } | Self::Latest { name } | Self::Lookup { name, .. } | Self::Tile { name, .. } => {
                name
            }
        }
    }
}

/// The name of a checksum database, as its key has it: `sum.golang.org`, also with slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SumdbName(Arc<str>);

impl SumdbName {
    /// Nothing when it cannot be part of a URL and of a file's path: elements of ASCII letters, digits, `-`, `.`, `_` and
    /// `:`, none of them empty or of dots only, 255 bytes in all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let is_element = |element: &str| {
            !element.is_empty() && !element.bytes().all(|byte| byte == b'.') && element.bytes().all(is_name)
        };
        (text.len() <= LONGEST_DATABASE && text.split('/').all(is_element)).then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SumdbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the path of a request asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// It is longer than [`LONGEST_REQUEST`].
    #[error("path is longer than {LONGEST_REQUEST} bytes")]
    TooLong,
    /// A `%` without two hexadecimal digits, an encoded slash, or bytes that are no text.
    #[error("path is encoded in a way that no go command uses")]
    Encoding,
    /// It has no form of the protocol.
    #[error("path is none of the module proxy protocol")]
    Form,
    /// The module path is malformed.
    #[error(transparent)]
    Path(#[from] BadModulePath),
    /// The version is malformed.
    #[error(transparent)]
    Version(#[from] BadVersion),
    /// The module cannot have the version.
    #[error(transparent)]
    ModuleVersion(#[from] BadModuleVersion),
    /// A query that could not be the name of a file.
    #[error("version {} invalid: disallowed version string", quoted(.0))]
    Query(String),
    /// The name of the checksum database is malformed.
    #[error("malformed name of a checksum database")]
    Database,
    /// The path of the tile is malformed.
    #[error("malformed tile path")]
    Tile,
}

impl Query {
    /// Reads what stands before `.info`, escaped.
    fn from_escaped(text: &str, of: &ModulePath) -> Result<Self, BadRequest> {
        let refused = || BadRequest::Query(text.to_owned());
        let query = unescaped(text).ok_or_else(refused)?;
        match Version::parse(&query) {
            Ok(version) if version.fits(of) => return Ok(Self::Version(version)),
            _ => {}
        }
        if check_element(&query, Kind::File).is_err() || escaped_length(&query) > LONGEST_VERSION {
            return Err(refused());
        }
        Ok(Self::Other(query.into()))
    }

    /// The query, not escaped.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Version(version) => version.as_str(),
            Self::Other(text) => text,
        }
    }

    /// The query as it is written in requests and names of files.
    #[must_use]
    pub fn escaped(&self) -> Cow<'_, str> {
        escaped(self.as_str())
    }
}

impl Asked {
    /// Reads the path of a request behind the mount, still percent-encoded, with or without the first slash, and without a
    /// query.
    ///
    /// # Errors
    /// When it is too long, is encoded oddly (`%2F`, `%zz`), has no form of the protocol, or names what Go would not.
    pub fn parse(path: &str) -> Result<Self, BadRequest> {
        if path.len() > LONGEST_REQUEST {
            return Err(BadRequest::TooLong);
        }
        let decoded = percent_decoded(path).ok_or(BadRequest::Encoding)?;
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        if let Some(rest) = path.strip_prefix("sumdb/") {
            return SumdbAsked::parse(rest).map(Self::Sumdb);
        }
        // A module path has no `@`, so that the first one ends it.
        let (module, rest) = path.split_once("/@").ok_or(BadRequest::Form)?;
        let module = ModulePath::from_escaped(module)?;
        match rest {
            "latest" => return Ok(Self::Latest(module)),
            "v/list" => return Ok(Self::List(module)),
            _ => {}
        }
        let (version, extension) =
            rest.strip_prefix("v/").and_then(|file| file.rsplit_once('.')).ok_or(BadRequest::Form)?;
        match extension {
            "info" => Ok(Self::Info(module.clone(), Query::from_escaped(version, &module)?)),
            "mod" => Ok(Self::Mod(ModuleVersion::new(module, Version::from_escaped(version)?)?)),
            "zip" => Ok(Self::Zip(ModuleVersion::new(module, Version::from_escaped(version)?)?)),
            _ => Err(BadRequest::Form),
        }
    }

    /// The module that it is about; nothing for what is asked of a checksum database other than a lookup.
    #[must_use]
    pub fn module(&self) -> Option<&ModulePath> {
        match self {
            Self::List(path) | Self::Latest(path) | Self::Info(path, _) => Some(path),
            Self::Mod(of) | Self::Zip(of) | Self::Sumdb(SumdbAsked::Lookup { version: of, .. }) => Some(&of.path),
            Self::Sumdb(_) => None,
        }
    }

    /// The path without a first slash, escaped as on a file system: `github.com/!azure/x/@v/v1.0.0.zip`.
    #[must_use]
    pub fn escaped(&self) -> String {
        match self {
            Self::List(path) => format!("{}/@v/list", path.escaped()),
            Self::Latest(path) => format!("{}/@latest", path.escaped()),
            Self::Info(path, query) => format!("{}/@v/{}.info", path.escaped(), query.escaped()),
            Self::Mod(of) => format!("{}/@v/{}.mod", of.path.escaped(), of.version.escaped()),
            Self::Zip(of) => format!("{}/@v/{}.zip", of.path.escaped(), of.version.escaped()),
            Self::Sumdb(SumdbAsked::Supported { name }) => format!("sumdb/{name}/supported"),
            Self::Sumdb(SumdbAsked::Latest { name }) => format!("sumdb/{name}/latest"),
            Self::Sumdb(SumdbAsked::Lookup { name, version }) => format!("sumdb/{name}/lookup/{}", version.escaped()),
            Self::Sumdb(SumdbAsked::Tile { name, path }) => format!("sumdb/{name}/{path}"),
        }
    }

    /// The same as the go command sends it, with `%21` for `!`, and what else a URL's path does not take.
    #[must_use]
    pub fn percent_encoded(&self) -> String {
        let mut encoded = String::new();
        for byte in self.escaped().bytes() {
            // What Go's url.PathEscape leaves as it is, and the slashes between elements.
            if byte.is_ascii_alphanumeric() || b"-_.~$&+=:@/".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        encoded
    }
}

impl SumdbAsked {
    /// Reads what is behind `sumdb/`.
    fn parse(path: &str) -> Result<Self, BadRequest> {
        let database = |text| SumdbName::parse(text).ok_or(BadRequest::Database);
        // The name comes first and may have slashes, the module of a lookup as well: the first of both words decides.
        let lookup = path.split_once("/lookup/");
        let tile = path.split_once("/tile/");
        match (lookup, tile) {
            (Some((name, of)), _) if tile.is_none_or(|(other, _)| name.len() < other.len()) => {
                Ok(Self::Lookup { name: database(name)?, version: ModuleVersion::from_escaped(of)? })
            }
            (_, Some((name, rest))) => {
                if rest.len() > LONGEST_TILE || !is_tile(rest) {
                    return Err(BadRequest::Tile);
                }
                Ok(Self::Tile { name: database(name)?, path: format!("tile/{rest}").into() })
            }
            _ => match path.rsplit_once('/') {
                Some((name, "supported")) => Ok(Self::Supported { name: database(name)? }),
                Some((name, "latest")) => Ok(Self::Latest { name: database(name)? }),
                _ => Err(BadRequest::Form),
            },
        }
    }
}

/// Whether it has the form of a tile's path: height, level or `data`, and the number in groups of three digits, of which all
/// but the last begin with `x`; then `.p` and a width when the tile is not full (C2SP tlog-tiles).
fn is_tile(path: &str) -> bool {
    let is_number =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut elements: Vec<&str> = path.split('/').collect();
    if let [.., group, width] = elements[..]
        && let Some(group) = group.strip_suffix(".p")
    {
        if !is_number(width, 3) {
            return false;
        }
        elements.truncate(elements.len() - 2);
        elements.push(group);
    }
    let [height, level, groups @ .., last] = &elements[..] else { return false };
    let is_group = |text: &str| text.len() == 3 && is_number(text, 3);
    is_number(height, 2)
        && (*level == "data" || is_number(level, 2))
        && groups.iter().all(|group| group.strip_prefix('x').is_some_and(is_group))
        && is_group(last)
}

/// Undoes percent-encoding. Nothing when it is malformed, hides a slash, or is not UTF-8 in the end.
fn percent_decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let [high, low, after @ ..] = tail else { return None };
        let byte = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
        let byte = u8::try_from(byte).ok().filter(|byte| *byte != b'/')?;
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
