//! Which versions a command is about: named, in a go.sum, or in a list.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tradewind_door_modules::{ModuleVersion, Wanted};
use tradewind_runtime::files;

/// The most bytes of a list.
const LARGEST: u64 = 64 << 20;

/// Versions that are named in one way or another.
#[derive(Debug, Default, Args)]
pub(super) struct Named {
    /// Versions
    #[arg(value_name = "MODULE@VERSION")]
    versions: Vec<ModuleVersion>,
    /// All that a build with this go.sum needs
    #[arg(long, value_name = "FILE")]
    go_sum: Vec<PathBuf>,
    /// All in this list, as `go list -m all` prints it
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
}

impl Named {
    /// What is wanted; an error when that is nothing and `or` names no other way.
    pub(super) fn read(self, or: Option<&str>) -> anyhow::Result<Wanted> {
        let mut wanted = Wanted::default();
        for version in self.versions {
            wanted.add(version);
        }
        for path in &self.go_sum {
            wanted.add_go_sum(&text(path)?).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        }
        for path in &self.list {
            wanted.add_list(&text(path)?).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        }
        if wanted.is_empty()
            && let Some(or) = or
        {
            bail!(
                "no version is named\n  = hint: name some as MODULE@VERSION, with --go-sum go.sum or with --list FILE{or}"
            );
        }
        Ok(wanted)
    }
}

pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    files::read_text(path, LARGEST).with_context(|| format!("{} cannot be read", path.display()))
}
