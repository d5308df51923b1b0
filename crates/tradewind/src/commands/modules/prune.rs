//! `tradewind modules prune`

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};
use tradewind_core::parse_duration;
use tradewind_door_modules::{Patterns, Prune};
use tradewind_policy::ByteSize;

use super::place::{Place, warn_of_pins};
use super::progress::{Progress, Unit};
use super::{list, size};
use crate::commands::counted;
use crate::commands::whose::Whose;
use crate::say;

/// Remove versions, the least recently used first
///
/// Without further options, only what belongs to no version and what is more than the configuration allows. Pins stay in
/// any case, and so does what the gateway is reading at the moment.
#[derive(Debug, Args)]
pub(super) struct PruneCommand {
    /// Until no more than this is left, like 5GiB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    to: Option<u64>,
    /// What was not used for so long, like 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    unused_for: Option<Duration>,
    /// Only modules that this pattern covers, as in GOPRIVATE
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what went as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

fn byte_size(text: &str) -> Result<u64, String> {
    let size = serde_json::from_value::<ByteSize>(Value::from(text)).map(|size| size.0);
    size.map_err(|_| "a size like 500MiB, 5GiB or 0 was expected".to_owned())
}

impl PruneCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let place = Place::find(self.whose)?;
        warn_of_pins(&place);
        let only = Patterns::parse(self.only.iter().map(String::as_str)).map_err(|error| anyhow!("{error}"))?;
        let has_bound = self.to.is_some() || self.unused_for.is_some() || !only.is_empty();
        let prune = Prune {
            to_bytes: self.to.or_else(|| (!has_bound).then(|| place.max_bytes())),
            unused_for: self.unused_for,
            only: (!only.is_empty()).then_some(only),
            dry_run: self.dry_run,
        };
        let mut progress = Progress::of("removing", Unit::Bytes);
        let whole = if self.dry_run { 0 } else { place.store.survey()?.bytes };
        let goal = whole.saturating_sub(prune.to_bytes.unwrap_or(0));
        let pruned = place.store.prune(&prune, &mut |freed| progress.at(freed.min(goal), goal))?;
        drop(progress);
        if self.json {
            let removed: Vec<Value> = pruned.rows.iter().map(list::as_json).collect();
            say::data(serde_json::to_string_pretty(&json!({
                "removed": removed,
                "freed_bytes": pruned.freed,
                "left_bytes": pruned.left,
                "dry_run": self.dry_run,
            }))?);
            return Ok(());
        }
        for row in &pruned.rows {
            say::data(&row.of);
        }
        let (count, freed, left) = (counted(pruned.rows.len(), "version"), size(pruned.freed), size(pruned.left));
        let did = if self.dry_run { "would go" } else { "removed" };
        say::note(format!("{count} {did}, {freed} freed, {left} left"));
        Ok(())
    }
}
