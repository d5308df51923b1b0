//! Bundles: what a build needs, in one file that is carried to where there is no network.
//!
//! A bundle is a tar file with a tree that is a module proxy of its own: unpacked, `GOPROXY=file://…/cache/download` works
//! with it, the checksum database included.
//!
//! ```text
//! manifest.json                                            every other file with its SHA-256, and what the versions are
//! cache/download/github.com/!azure/x/@v/{list,v1.2.3.info,v1.2.3.mod,v1.2.3.zip}
//! cache/download/sumdb/sum.golang.org/{supported,latest,lookup/…,tile/…}
//! ```
//!
//! All records of a database stand under one signed tree head, so that no proof of consistency is needed to use them
//! together. What is imported is checked again as if it came from a stranger: the manifest's hashes only tell damage from
//! malice. Tar and not zip: it can be read from front to back, is written by a crate that people use, and its contents are
//! compressed already.

mod contents;
mod error;
mod export;
mod import;
mod manifest;
mod proofs;
mod source;
#[cfg(test)]
mod tests;
mod trust;
mod wanted;
mod write;

pub use self::contents::Contents;
pub use self::error::BundleError;
pub use self::export::{Exported, Plan, plan};
pub use self::import::{Imported, Stored, import};
pub use self::trust::{Database, Trust};
pub use self::wanted::{BadWanted, Wanted, toolchain_of, toolchain_version};
pub use self::write::export;
