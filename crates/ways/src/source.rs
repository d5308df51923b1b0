//! Where a list comes from and where it is kept: what lists of proxies and of rules have in common.
//!
//! What was fetched is kept on disk, so that the next start has it at once, and as old as its file. What the bytes of a list
//! mean is not known here: whoever knows is handed them, and they are kept only when they were understood.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tradewind_core::UnixMillis;
use tradewind_egress::Roots;
use tradewind_policy::ways::{LARGEST_LIST, Vehicle};
use tradewind_runtime::files;

use crate::fetch::{Fetched, Fetcher, Wanted, shown};
use crate::memory::Memory;
use crate::pick::key_of;

/// The time that a file system gives a change may be as many milliseconds behind the clock.
const GRAIN: u64 = 20;

/// What bringing a list up to date needs.
pub(crate) struct Surroundings<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) roots: &'a Roots,
    /// What relative paths are relative to.
    pub(crate) base: &'a Path,
    /// Where fetched lists are kept that have no path of their own.
    pub(crate) folder: &'a Path,
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) now: UnixMillis,
}

/// Where a list comes from, and where it is kept when it was fetched and has no path of its own.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) vehicle: &'a Vehicle,
    /// The folder, below the data directory.
    pub(crate) shelf: &'static str,
    /// How the name of the file ends.
    pub(crate) ending: &'static str,
}

/// What was read or fetched.
pub(crate) struct Came<'b> {
    pub(crate) bytes: &'b [u8],
    /// How old it is.
    pub(crate) at: UnixMillis,
    /// What its server says of the subscription.
    pub(crate) subscription: Option<&'b str>,
}

impl Source<'_> {
    /// Whether it is fetched, and not read.
    pub(crate) const fn is_fetched(&self) -> bool {
        matches!(self.vehicle, Vehicle::Http { .. })
    }

    /// mihomo's word for where it comes from.
    pub(crate) const fn name(&self) -> &'static str {
        match self.vehicle {
            Vehicle::File { .. } => "File",
            Vehicle::Http { .. } => "HTTP",
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => "Inline",
        }
    }

    /// The file that it is read from, or kept in.
    fn file(&self, base: &Path, folder: &Path) -> Option<PathBuf> {
        match self.vehicle {
            Vehicle::File { path } | Vehicle::Http { path: Some(path), .. } => {
                Some(base.join(files::expand_home(path)))
            }
            Vehicle::Http { url, .. } => {
                let name = format!("{:016x}.{}", key_of(&[url.expose().as_bytes()]), self.ending);
                Some(folder.join(self.shelf).join(name))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => None,
        }
    }

    /// Hands what is on disk to `take`; nothing when it was never fetched.
    ///
    /// # Errors
    /// When the file cannot be read, and what `take` finds wrong.
    pub(crate) fn load(
        &self,
        around: &Surroundings<'_>,
        take: impl FnOnce(Came<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let Some(path) = self.file(around.base, around.folder) else { return Ok(()) };
        let bytes = match files::read_bytes(&path, LARGEST_LIST) {
            Ok(bytes) => bytes,
            Err(error) if self.is_fetched() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        // What was fetched before the start is as old as its file.
        let modified = if self.is_fetched() { files::modified(&path) } else { None };
        let came = Came { bytes: &bytes, at: modified.unwrap_or(around.now), subscription: None };
        take(came).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Fetches it, hands it to `take`, and keeps it. What is not fetched is read again.
    ///
    /// # Errors
    /// When it does not come, what `take` finds wrong, and when it cannot be kept.
    pub(crate) async fn update(
        &self,
        around: &Surroundings<'_>,
        take: impl FnOnce(Came<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let Vehicle::Http { url, via, headers, size_limit, .. } = self.vehicle else {
            return self.load(around, take);
        };
        let limit = if *size_limit == 0 { LARGEST_LIST } else { (*size_limit).min(LARGEST_LIST) };
        let wanted = Wanted { url: url.expose(), via: via.as_ref(), headers, limit };
        let Fetched { body, subscription } = around.fetcher.get(&wanted).await?;
        let came = Came { bytes: &body, at: around.now, subscription: subscription.as_deref() };
        take(came).map_err(|error| format!("{}: {error}", shown(url.expose())))?;
        let Some(path) = self.file(around.base, around.folder) else { return Ok(()) };
        let made = path.parent().map_or(Ok(()), files::make_private_dir);
        let kept = made.and_then(|()| files::replace_private_bytes(&path, &body));
        kept.map_err(|error| format!("fetched and in use, but {} cannot be written: {error}", path.display()))
    }

    /// Why it should be read or fetched now, as a number: a file that has changed since `updated`, what was never fetched, and
    /// what was fetched longer ago than its interval. What was done for one reason is not done again for the same one; a
    /// later change of the file, another URL and the next interval are other reasons.
    pub(crate) fn reason(
        &self,
        updated: Option<UnixMillis>,
        base: &Path,
        folder: &Path,
        now: UnixMillis,
    ) -> Option<u64> {
        match self.vehicle {
            Vehicle::Http { url, interval, .. } => {
                let is_due = updated.is_none_or(|at| {
                    !interval.is_zero() && Duration::from_millis(now.0.saturating_sub(at.0)) >= *interval
                });
                let before = updated.map_or(0, |at| at.0);
                is_due.then(|| key_of(&[url.expose().as_bytes(), &before.to_le_bytes()]))
            }
            Vehicle::File { path } => {
                let changed = files::modified(&self.file(base, folder)?)?;
                let is_due = updated.is_none_or(|updated| changed.0.saturating_add(GRAIN) > updated.0);
                is_due.then(|| key_of(&[path.as_bytes(), &changed.0.to_le_bytes()]))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => None,
        }
    }
}
