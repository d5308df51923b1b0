//! `tradewind explain`

mod chosen;
mod print;
#[cfg(test)]
mod tests;

use anyhow::bail;
use clap::Args;
use tradewind_core::DecisionId;

use super::reach::Reach;
use crate::say;

pub(super) use self::print::{explain, money, preview, time};

/// Show who answered a call and why
///
/// The id of a call is in the header x-tradewind-decision of its answer.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The id of the decision
    id: DecisionId,
    #[command(flatten)]
    reach: Reach,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let record = self.reach.get(&format!("/api/v1/decisions/{}", self.id))?;
        if record["id"] != self.id.to_string() {
            bail!("what answered is not Tradewind, or gave another record than that of {}", self.id);
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&record)?);
        } else {
            say::data(explain(&record).trim_end());
        }
        Ok(())
    }
}
