//! `tradewind state history`

use clap::Args;
use serde_json::Value;

use super::api::{Api, Ask, Where};
use super::name::{key, path};
use super::table;
use crate::commands::counted;
use crate::say;

/// List the revisions of a key, the newest first
#[derive(Debug, Args)]
pub(super) struct History {
    /// Which
    #[arg(value_name = "NAMESPACE/KEY")]
    which: String,
    /// Print what the API says as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

impl History {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let key = key(&self.which)?;
        let api = Api::open(self.at)?;
        let (mut items, mut before): (Vec<Value>, String) = (Vec::new(), String::new());
        loop {
            let mut page = api.json(&Ask::get(path(&key, &format!("/history?limit=1000{before}"))))?;
            if let Some(more) = page["items"].as_array_mut() {
                items.append(more);
            }
            match page["next"].as_u64() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&items)?);
        } else {
            say::data(table::revisions(&items).trim_end());
            say::note(counted(items.len(), "revision"));
        }
        Ok(())
    }
}
