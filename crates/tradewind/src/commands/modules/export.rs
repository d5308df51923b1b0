//! `tradewind modules export`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use tradewind_door_modules::{ModuleVersion, Plan, Trust, Wanted, export, plan};

use super::gateway::{DatabaseThrough, Gateway, Refused};
use super::place::{Place, tree};
use super::progress::{Progress, Unit};
use super::size;
use super::wanted::Named;
use super::warm::warm;
use crate::commands::counted;
use crate::commands::reach::Reach;
use crate::commands::whose::Whose;
use crate::say;

/// How many versions an error lists.
const LISTED: usize = 10;
/// How many versions are asked for at once.
const PARALLEL: usize = 8;

/// Make a bundle of versions, to be carried to where there is no network
///
/// The bundle has all files of the versions, and the records and tiles that prove them to a go command with GOSUMDB on.
/// What is not kept is fetched by the running gateway, if there is one. Where the bundle arrives, `tradewind modules
/// import` takes it in; unpacked, GOPROXY=file:///…/cache/download works without a gateway.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    named: Named,
    /// All versions that are kept
    #[arg(long)]
    all: bool,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Those of the mount with this prefix
    #[arg(long, value_name = "PREFIX", default_value = "")]
    mount: String,
    /// Do not ask a gateway for what is not kept
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    reach: Reach,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.output.exists() && !self.force {
            bail!("{} is there already\n  = hint: choose another name, or add --force", self.output.display());
        }
        let mut wanted = self.named.read((!self.all).then_some(", or take --all"))?;
        let place = if self.offline { Place::find(self.whose)? } else { Place::find_or_make(self.whose)? };
        let trees = [tree(&self.mount)];
        if self.all {
            for row in place.store.survey()?.rows.into_iter().filter(|row| trees.contains(&row.tree)) {
                wanted.add(row.of);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let gateway = if self.offline { None } else { Some(Gateway::new(&self.reach, &self.mount)?) };
        let mut trust = Place::trust(place.mount(&self.mount)?)?;
        ask_through(&mut trust, gateway.as_ref());
        let mut found = plan(&place.store, &trees, &wanted);
        if let (false, Some(gateway)) = (found.missing.is_empty(), &gateway) {
            let missing = with_zips(&found.missing, &wanted);
            match runtime.block_on(warm(gateway, missing, PARALLEL)) {
                Ok(warmed) => {
                    for (of, why) in &warmed.failed {
                        say::note(format!("{of}: {why}"));
                    }
                    found = plan(&place.store, &trees, &wanted);
                }
                Err(Refused::Nobody(_) | Refused::Status(..)) => {}
            }
        }
        complete(&found, self.offline, self.reach.place().url)?;
        let mut progress = Progress::of("exporting", Unit::Bytes);
        let mut at = |done, whole| progress.at(done, whole);
        let exporting = export(&place.store, &found, &trust, &self.output, place.now(), &mut at);
        let exported = runtime.block_on(exporting)?;
        drop(progress);
        for problem in &exported.problems {
            say::note(format!("note: {problem}"));
        }
        if !exported.unproven.is_empty() {
            say::note(format!("note: without a record in a checksum database: {}", listed(&exported.unproven)));
        }
        let (count, output) = (counted(exported.versions, "version"), self.output.display());
        say::note(format!("wrote {output}: {count}, {} proven, {}", exported.proven, size(exported.bytes)));
        Ok(())
    }
}

/// Has databases asked through a gateway.
pub(super) fn ask_through(trust: &mut Trust, gateway: Option<&Gateway>) {
    for database in &mut trust.databases {
        let name = database.verifier.name().to_owned();
        database.source = gateway.map(|gateway| Arc::new(DatabaseThrough { gateway: gateway.clone(), name }) as _);
    }
}

fn with_zips(missing: &[ModuleVersion], wanted: &Wanted) -> Vec<(ModuleVersion, bool)> {
    let is_missing = |of: &ModuleVersion| missing.binary_search(of).is_ok();
    wanted.iter().filter(|(of, _)| is_missing(of)).map(|(of, zip)| (of.clone(), zip)).collect()
}

fn complete(found: &Plan, offline: bool, url: &str) -> anyhow::Result<()> {
    if !found.differing.is_empty() {
        bail!("the go.sum has other hashes than what is kept of {}", listed(&found.differing));
    }
    if !found.missing.is_empty() {
        let hint = if offline {
            "without --offline a running gateway is asked for them".to_owned()
        } else {
            format!("start the gateway whose folder this is, or say where it listens with --url; now that is {url}")
        };
        bail!("not kept: {}\n  = hint: {hint}", listed(&found.missing));
    }
    if found.found() == 0 {
        bail!("nothing is kept\n  = hint: `tradewind modules warm` has a running gateway fetch versions");
    }
    Ok(())
}

pub(super) fn listed(versions: &[ModuleVersion]) -> String {
    let mut text = versions.iter().take(LISTED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if versions.len() > LISTED {
        text += &format!(" and {} more", versions.len() - LISTED);
    }
    text
}
