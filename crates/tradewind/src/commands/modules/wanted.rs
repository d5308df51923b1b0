//! Which versions a command is about: named, in a go.sum, or in a list.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tradewind_door_modules::{ModuleVersion, Wanted, toolchain_of, toolchain_version};
use tradewind_runtime::files;

use crate::say;

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
    /// With the go.sum, the toolchain that the go.mod beside it names, for a platform such as linux-amd64
    #[arg(long, value_name = "GOOS-GOARCH", requires = "go_sum")]
    toolchain: Vec<String>,
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
            add_toolchains(&mut wanted, path, &self.toolchain)?;
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

/// Adds the toolchain of the go.mod beside a go.sum, which names everything else that a build needs.
fn add_toolchains(wanted: &mut Wanted, go_sum: &Path, platforms: &[String]) -> anyhow::Result<()> {
    let go_mod = go_sum.with_file_name("go.mod");
    let named = if go_mod.is_file() { toolchain_of(&text(&go_mod)?) } else { None };
    match named {
        Some(name) if platforms.is_empty() => say::note(format!(
            "note: {} wants {name}, which no go.sum names: with --toolchain linux-amd64, or another platform, it is taken too",
            go_mod.display()
        )),
        Some(name) => {
            for platform in platforms {
                let of = toolchain_version(&name, platform);
                wanted.add(of.map_err(|error| anyhow!("--toolchain {platform}: {error}"))?);
            }
        }
        None if platforms.is_empty() => {}
        None => bail!(
            "no toolchain is named in {}\n  = hint: name one as golang.org/toolchain@v0.0.1-go1.25.3.linux-amd64",
            go_mod.display()
        ),
    }
    Ok(())
}

pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    files::read_text(path, LARGEST).with_context(|| format!("{} cannot be read", path.display()))
}
