//! `tradewind state migrate`

use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;
use tradewind_door_state::Engine;
use tradewind_runtime::SystemClock;
use tradewind_store::state::copy;

use super::progress::{Progress, bar};
use super::size;
use crate::commands::counted;
use crate::commands::whose::{Found, Whose};
use crate::{say, state};

/// Copy everything from one store to another, and check that it arrived
///
/// Both are written as in the section `store`: `sqlite`, `wal`, `redis://HOST`, `nats://HOST`. The gateway has to be
/// stopped. What was interrupted goes on when it is started again; the source is not changed. What is damaged in the source
/// is left out and named, and the command ends with 1.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// What is copied
    #[arg(value_parser = engine)]
    from: Engine,
    /// Where to; empty, or an interrupted copy
    #[arg(value_parser = engine)]
    to: Engine,
    #[command(flatten)]
    whose: Whose,
}

fn engine(text: &str) -> Result<Engine, String> {
    Engine::parse(text).map_err(|expected| format!("expected {expected}"))
}

impl Migrate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { from, to, whose } = self;
        if from == to {
            bail!("both are the same store");
        }
        let Found { data_dir, document } = whose.find()?;
        let section = document.map(|(document, _)| document.state).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let copied = runtime.block_on(async {
            let clock = Arc::new(SystemClock::new());
            let open = async |engine: &Engine| {
                let opened = state::open_engine(engine, &section, &data_dir, clock.clone()).await;
                opened.map_err(|error| anyhow!("{error}"))
            };
            let (source, target) = (open(&from).await?, open(&to).await?);
            let mut progress = Progress::new();
            let copied = copy(&*source, &*target, |copied| {
                let drawn = copied.keys * 100 / copied.keys_in_all.max(1);
                progress.at(drawn, || bar("copying", copied.keys, copied.keys_in_all, "keys"));
            })
            .await;
            drop(progress);
            let copied = copied.map_err(|error| {
                anyhow!("{error}\n  = hint: start it again once that is mended: what was copied stays, and it goes on")
            })?;
            source.close().await?;
            target.close().await?;
            anyhow::Ok(copied)
        })?;
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        say::note(format_args!(
            "{} in {to}; {} copied now, {}, each read back and compared",
            counted(number(copied.keys), "key"),
            counted(number(copied.revisions), "revision"),
            size(copied.bytes)
        ));
        for left in &copied.left_out {
            say::data(format_args!("left out: {left}"));
        }
        match copied.left_out.len() {
            0 => {
                say::note("set `store` to it in the configuration");
                Ok(())
            }
            damaged => bail!(
                "{} in {from} damaged and left out\n  = hint: restore them from a backup of {from} and start this again: what was \
                 copied stays; or go on without them, and set `store` to {to} in the configuration",
                counted(damaged, "thing")
            ),
        }
    }
}
