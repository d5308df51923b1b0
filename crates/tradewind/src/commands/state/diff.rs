//! `tradewind state diff`

use clap::Args;

use super::api::{Api, Ask, Where};
use super::name::{key, path};
use crate::say;

/// Print what changed between two revisions, as a JSON Patch
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Which
    #[arg(value_name = "NAMESPACE/KEY")]
    which: String,
    /// The one revision
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// The other one [default: the newest]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    #[command(flatten)]
    at: Where,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let key = key(&self.which)?;
        let to = self.to.map(|to| format!("&to={to}")).unwrap_or_default();
        let differ = Api::open(self.at)?.json(&Ask::get(path(&key, &format!("/diff?from={}{to}", self.from))))?;
        say::note(format_args!("from revision {} to {}", differ["from"], differ["to"]));
        say::data(serde_json::to_string_pretty(&differ["patch"])?);
        Ok(())
    }
}
