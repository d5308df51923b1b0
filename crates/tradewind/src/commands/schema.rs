//! `tradewind schema`

use clap::Args;

use crate::document::SECTIONS;
use crate::say;

/// Print the JSON Schema of the configuration
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<()> {
        say::data(serde_json::to_string_pretty(&tradewind_policy::schema(SECTIONS))?);
        Ok(())
    }
}
