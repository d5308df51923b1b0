//! Why a zip is refused.

use std::fmt;
use std::io;

use crate::name::{BadFilePath, ModuleVersion, quoted};

/// Why a zip is refused, in the words of the go command where it has any.
#[derive(Debug)]
pub struct BadZip {
    /// Which module it was to be.
    pub of: ModuleVersion,
    /// What is wrong with it.
    pub fault: ZipFault,
}

/// What is wrong with a zip. Names of entries are cut when they are shown.
#[derive(Debug, thiserror::Error)]
pub enum ZipFault {
    /// The file could not be read: it speaks against the disk, and not against the zip.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The file is too large.
    #[error("module zip file is too large ({is} bytes; limit is {limit} bytes)")]
    ArchiveTooLarge {
        /// Its size.
        is: u64,
        /// The most that it may have.
        limit: u64,
    },
    /// The sizes that are declared are too much in total.
    #[error("total uncompressed size of module contents too large (max size is {limit} bytes)")]
    UnpackedTooLarge {
        /// The most that it may be.
        limit: u64,
    },
    /// A file has a limit of its own.
    #[error("{file} file too large (max size is {limit} bytes)")]
    FileTooLarge {
        /// `go.mod` or `LICENSE`.
        file: &'static str,
        /// The most that it may have.
        limit: u64,
    },
    /// There are too many entries or folders, or their names or the directory are too long in total.
    #[error("zip: too many files ({what}; limit is {limit})")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: u64,
    },
    /// It breaks off, has no end, or has other bytes where a header belongs.
    #[error("zip: not a valid zip file ({0})")]
    Format(&'static str),
    /// There is something in front of the first entry.
    #[error("zip: data before the first file")]
    DataBefore,
    /// There is something between this entry and the next one, or the directory.
    #[error("{}: zip: data behind its content", shown(.0))]
    DataBetween(String),
    /// There is something behind the end.
    #[error("zip: data after the end")]
    DataAfter,
    /// An entry has bytes behind the end of its compressed data.
    #[error("{}: zip: data after the compressed content", shown(.0))]
    DataInside(String),
    /// Two entries share bytes, or one lies in the directory.
    #[error("{}: zip: overlapping entries", shown(.0))]
    Overlap(String),
    /// It is one of several disks.
    #[error("zip: split over several disks")]
    Disks,
    /// The name is not UTF-8.
    #[error("{}: invalid UTF-8 in name", shown(.0))]
    NotUtf8(String),
    /// An entry is in no folder of the module.
    #[error("unexpected file {}", shown(.0))]
    Prefix(String),
    /// The name has elements like `.`, `..` in the middle, or nothing.
    #[error("{}: file path is not clean", shown(.0))]
    NotClean(String),
    /// The name is malformed.
    #[error("{}: {fault}", shown(.name))]
    Name {
        /// The entry.
        name: String,
        /// What is wrong with it.
        fault: BadFilePath,
    },
    /// Two names are one where upper and lower case are not told apart.
    #[error("{}: case-insensitive file name collision: {} and {}", shown(.name), quoted(.one), quoted(.other))]
    Collision {
        /// The entry.
        name: String,
        /// The name that was there first, without the module's folder.
        one: String,
        /// The name of this one, or of a folder that it is in.
        other: String,
    },
    /// A name is that of a file and of a folder.
    #[error("{}: entry {} is both a file and a directory", shown(.name), quoted(.what))]
    FileAndFolder {
        /// The entry.
        name: String,
        /// What is both.
        what: String,
    },
    /// A name is there twice.
    #[error("{}: multiple entries for file {}", shown(.name), quoted(.what))]
    Twice {
        /// The entry.
        name: String,
        /// The same without the module's folder.
        what: String,
    },
    /// A go.mod below the top: what is beside it belongs to another module, also below `vendor`.
    #[error("{}: go.mod file not in module root directory", shown(.0))]
    GoModBelow(String),
    /// A go.mod in upper case.
    #[error("{}: go.mod files must have lowercase names", shown(.0))]
    GoModCase(String),
    /// A symbolic link, a device or the like.
    #[error("{}: {what}", shown(.name))]
    Irregular {
        /// The entry.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// It is encrypted.
    #[error("{}: zip: encrypted", shown(.0))]
    Encrypted(String),
    /// It is neither stored nor deflated.
    #[error("{}: zip: unsupported compression algorithm {method}", shown(.name))]
    Method {
        /// The entry.
        name: String,
        /// The number of the method (APPNOTE 4.4.5).
        method: u16,
    },
    /// The header in front of the data says something else than the directory.
    #[error("{}: zip: local header differs from central directory ({what})", shown(.name))]
    Differs {
        /// The entry.
        name: String,
        /// In what.
        what: &'static str,
    },
    /// A field for 64-bit sizes is malformed.
    #[error("{}: zip: malformed extra field", shown(.0))]
    Extra(String),
    /// The compressed data is damaged.
    #[error("{}: zip: corrupt compressed content", shown(.0))]
    Corrupt(String),
    /// There is more in it than is declared.
    #[error("uncompressed size of file {} is larger than declared size ({declared} bytes)", shown(.name))]
    LargerThanDeclared {
        /// The entry.
        name: String,
        /// The size in the directory.
        declared: u64,
    },
    /// There is less in it than is declared.
    #[error("uncompressed size of file {} is smaller than declared size ({declared} bytes)", shown(.name))]
    SmallerThanDeclared {
        /// The entry.
        name: String,
        /// The size in the directory.
        declared: u64,
    },
    /// What is in it has another checksum than is declared.
    #[error("{}: zip: checksum error", shown(.0))]
    Checksum(String),
}

impl ZipFault {
    /// A word for it, for metrics and for `why`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::ArchiveTooLarge { .. } => "archive-too-large",
            Self::UnpackedTooLarge { .. } => "unpacked-too-large",
            Self::FileTooLarge { .. } => "file-too-large",
            Self::TooMany { .. } => "too-many",
            Self::Format(_) => "format",
            Self::DataBefore => "data-before",
            Self::DataBetween(_) => "data-between",
            Self::DataAfter => "data-after",
            Self::DataInside(_) => "data-inside",
            Self::Overlap(_) => "overlap",
            Self::Disks => "disks",
            Self::NotUtf8(_) => "not-utf8",
            Self::Prefix(_) => "prefix",
            Self::NotClean(_) => "not-clean",
            Self::Name { .. } => "name",
            Self::Collision { .. } => "collision",
            Self::FileAndFolder { .. } => "file-and-folder",
            Self::Twice { .. } => "twice",
            Self::GoModBelow(_) => "go-mod-below",
            Self::GoModCase(_) => "go-mod-case",
            Self::Irregular { .. } => "irregular",
            Self::Encrypted(_) => "encrypted",
            Self::Method { .. } => "method",
            Self::Differs { .. } => "differs",
            Self::Extra(_) => "extra",
            Self::Corrupt(_) => "corrupt",
            Self::LargerThanDeclared { .. } => "larger-than-declared",
            Self::SmallerThanDeclared { .. } => "smaller-than-declared",
            Self::Checksum(_) => "checksum",
        }
    }
}

impl BadZip {
    /// Whether the file could not be read, so that nothing is known of the zip.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self.fault, ZipFault::Read(_))
    }
}

impl fmt::Display for BadZip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.of;
        match &self.fault {
            fault @ ZipFault::Prefix(_) => write!(f, "zip for {of} has {fault}"),
            fault => write!(f, "unzip {}/@v/{}.zip: {fault}", of.path.escaped(), of.version.escaped()),
        }
    }
}

impl std::error::Error for BadZip {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

/// A name as it is, but for what a terminal must not see, and cut after 200 characters.
fn shown(name: &str) -> String {
    let quoted = quoted(name).to_string();
    let inner = &quoted[1..quoted.len() - 1];
    inner.replace("\\\"", "\"")
}
