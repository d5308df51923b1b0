//! `tradewind key list`

use clap::Args;
use serde_json::Value;
use tradewind_core::Clock;
use tradewind_runtime::SystemClock;

use super::{Keys, Whose, print};
use crate::say;

/// List the keys, without their secrets
///
/// Those of the configuration file and those made with `tradewind key create`. What each has spent is in the gateway's
/// own API: GET /api/v1/spend.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let now = SystemClock::new().wall();
        let keys = Keys::of(self.whose)?;
        let stored = keys.created.read()?;
        let document = keys.document.iter().map(|key| print::Row::document(key, now));
        let rows: Vec<print::Row> =
            document.chain(stored.keys().iter().map(|key| print::Row::created(key, now))).collect();
        if self.json {
            let list: Vec<Value> = rows.iter().map(print::as_json).collect();
            say::data(serde_json::to_string_pretty(&list)?);
        } else if rows.is_empty() {
            say::note("there are no keys; `tradewind key create NAME` makes one");
        } else {
            say::data(print::table(&rows).trim_end());
        }
        Ok(())
    }
}
