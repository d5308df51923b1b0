//! `tradewind modules warm`

use anyhow::bail;
use clap::Args;
use tokio::task::JoinSet;
use tradewind_door_modules::ModuleVersion;

use super::gateway::{Gateway, Refused};
use super::progress::{Progress, Unit};
use super::size;
use super::wanted::Named;
use crate::commands::counted;
use crate::commands::reach::Reach;
use crate::say;

/// Have a running gateway fetch versions before somebody waits for them
#[derive(Debug, Args)]
pub(super) struct Warm {
    #[command(flatten)]
    named: Named,
    /// Those of the mount with this prefix
    #[arg(long, value_name = "PREFIX", default_value = "")]
    mount: String,
    /// Ask for so many at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    #[command(flatten)]
    reach: Reach,
}

impl Warm {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let wanted = self.named.read(Some(""))?;
        let versions: Vec<(ModuleVersion, bool)> = wanted.iter().map(|(of, zip)| (of.clone(), zip)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let gateway = Gateway::new(&self.reach, &self.mount)?;
        let warmed = runtime.block_on(warm(&gateway, versions, usize::from(self.parallel)));
        let warmed = warmed.map_err(|nobody| nobody.error(self.reach.place().url))?;
        for (of, why) in &warmed.failed {
            say::note(format!("{of}: {why}"));
        }
        say::note(format!("{} in the gateway's store, {} read", counted(warmed.count, "version"), size(warmed.bytes)));
        if !warmed.failed.is_empty() {
            bail!("{} could not be had", counted(warmed.failed.len(), "version"));
        }
        Ok(())
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Warmed {
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) failed: Vec<(ModuleVersion, String)>,
}

/// Has the gateway fetch versions, `parallel` at once; whether the zip is wanted stands with each.
///
/// # Errors
/// [`Refused::Nobody`], when nobody answers at all.
pub(super) async fn warm(
    gateway: &Gateway,
    versions: Vec<(ModuleVersion, bool)>,
    parallel: usize,
) -> Result<Warmed, Refused> {
    let mut progress = Progress::of("warming", Unit::Versions);
    let (mut done, whole) = (0, versions.len() as u64);
    let mut warmed = Warmed::default();
    let mut asked = JoinSet::new();
    let mut waiting = versions.into_iter();
    progress.at(done, whole);
    loop {
        while asked.len() < parallel
            && let Some((of, zip)) = waiting.next()
        {
            let gateway = gateway.clone();
            asked.spawn(async move {
                let got = gateway.warm(&of, zip).await;
                (of, got)
            });
        }
        let Some(next) = asked.join_next().await else { break };
        let Ok((of, got)) = next else { continue };
        match got {
            Ok(bytes) => {
                warmed.count += 1;
                warmed.bytes += bytes;
            }
            Err(Refused::Nobody(why)) if warmed.count == 0 => return Err(Refused::Nobody(why)),
            Err(refused) => warmed.failed.push((of, refused.told())),
        }
        done += 1;
        progress.at(done, whole);
    }
    warmed.failed.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(warmed)
}
