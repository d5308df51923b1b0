//! Checks module zips by the rules of Go's `golang.org/x/mod/zip`, and by stricter ones for the archive itself.
//!
//! A zip says twice where its files are: in front of each and in the directory at its end. Go reads the directory and lets
//! pass whatever else is in the file. Here both have to agree and nothing may be left over: the entries follow each other
//! from the first byte on, without gaps and without overlapping, then comes the directory, then the end. What Go itself
//! writes is like that. Nothing is unpacked to disk; memory is bounded by [`ZipLimits`], work by the size that the directory
//! declares, which the data may not exceed.

mod check;
mod directory;
mod entry;
mod fault;
mod fold;
mod limits;
mod names;
mod read;

pub use check::{ZipFacts, check_zip, check_zip_in};
pub use fault::{BadZip, ZipFault};
pub use limits::ZipLimits;
