//! The lines of a record that say which hashes a module's files have.

use crate::hash::H1;
use crate::name::ModuleVersion;

/// The hashes that a checksum database vouches for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sums {
    /// Of the module's zip.
    pub zip: H1,
    /// Of its go.mod.
    pub go_mod: H1,
}

/// Why a record has no hash of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoLine {
    /// There is no line for the zip.
    Zip,
    /// There is no line for go.mod.
    GoMod,
}

/// Reads both hashes out of the authenticated text of a record.
///
/// A line counts when it is exactly `path version h1:…` or `path version/go.mod h1:…`. Lines of others and hashes of unknown
/// kinds are passed over; a hash that is malformed, or named twice in two ways, is as good as none.
pub(super) fn read(text: &str, of: &ModuleVersion) -> Result<Sums, NoLine> {
    let zip = only(text, &format!("{} {} ", of.path, of.version)).ok_or(NoLine::Zip)?;
    let go_mod = only(text, &format!("{} {}/go.mod ", of.path, of.version)).ok_or(NoLine::GoMod)?;
    Ok(Sums { zip, go_mod })
}

fn only(text: &str, start: &str) -> Option<H1> {
    let mut hashes = text.lines().filter_map(|line| line.strip_prefix(start)).filter(|hash| hash.starts_with("h1:"));
    let first = hashes.next()?;
    if hashes.any(|other| other != first) {
        return None;
    }
    H1::parse(first).ok()
}
