//! `tradewind state check`

use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::json;
use tradewind_runtime::SystemClock;
use tradewind_store::StoreError;

use super::progress::Progress;
use super::size;
use crate::commands::counted;
use crate::commands::whose::{Found, Whose};
use crate::{say, state};

/// Read everything that is kept, and check every hash and every chain
///
/// It opens the store itself, and what the gateway remembers in `data-dir/state/sqlite`: the gateway has to be stopped,
/// whatever its store. SQLite's own check of its file is part of it. Ends with 1 when something is damaged.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Found { data_dir, document } = self.whose.find()?;
        let section = document.map(|(document, _)| document.state).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (checked, masters, wrong) = runtime.block_on(async {
            let clock = Arc::new(SystemClock::new());
            let opened = state::open(&section, &data_dir, clock).await.map_err(|error| anyhow!("{error}"))?;
            let state = opened.state(&section.settings);
            let mut progress = Progress::new();
            let checked = state
                .check(|checked| {
                    progress.at(checked.revisions / 100, || {
                        format!(
                            "checking: {} keys, {} revisions, {}",
                            checked.keys,
                            checked.revisions,
                            size(checked.bytes)
                        )
                    });
                })
                .await?;
            let masters = state.masters_in_use().await?;
            drop(progress);
            let mut wrong = match opened.inspect().await {
                Err(StoreError::Damaged { what }) => vec![what],
                found => found?,
            };
            if opened.is_beside() {
                wrong.extend(opened.own_state().check(|_| ()).await?.damages.iter().map(ToString::to_string));
            }
            opened.close().await?;
            anyhow::Ok((checked, masters, wrong))
        })?;
        if self.json {
            let mut found = json!(checked);
            found["master-keys"] = json!(masters);
            found["sqlite"] = json!(wrong);
            say::data(serde_json::to_string_pretty(&found)?);
        } else {
            for damage in &checked.damages {
                say::data(damage);
            }
            for what in &wrong {
                say::data(format_args!("state/sqlite: {what}"));
            }
            let keys = usize::try_from(checked.keys).unwrap_or(usize::MAX);
            let revisions = usize::try_from(checked.revisions).unwrap_or(usize::MAX);
            let seen = format!("{}, {}, {}", counted(keys, "key"), counted(revisions, "revision"), size(checked.bytes));
            say::note(format_args!("{seen} in {}", section.engine));
            if checked.overdue > 0 {
                let overdue = counted(usize::try_from(checked.overdue).unwrap_or(usize::MAX), "key");
                say::note(format_args!("  of which the time of {overdue} is over; a gateway that runs removes them"));
            }
            for (master, count) in &masters {
                say::note(format_args!("  the key `{master}` wraps those of {count} namespaces"));
            }
        }
        match checked.damaged + wrong.len() as u64 {
            0 => Ok(()),
            damaged => bail!(
                "{} damaged\n  = hint: an undamaged revision of the same key can be restored; the rest is in your backup",
                counted(usize::try_from(damaged).unwrap_or(usize::MAX), "thing")
            ),
        }
    }
}
