//! `tradewind way-out`

use clap::Args;

use super::reach::Reach;
use super::select::encoded;
use crate::say;

/// Show which way a URL leaves this network, and why
///
/// Nothing is sent to the URL. Without --via the rules decide, as they do for the relay.
#[derive(Debug, Args)]
pub(super) struct WayOut {
    /// The URL, http or https
    #[arg(value_name = "URL")]
    target: String,
    /// The proxy or group that is asked about
    #[arg(long, value_name = "NAME")]
    via: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl WayOut {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let via = self.via.as_deref().map(|via| format!("&via={}", encoded(via))).unwrap_or_default();
        let left = self.reach.get(&format!("/api/v1/way-out?url={}{via}", encoded(&self.target)))?;
        if self.json {
            say::data(left.to_string());
            return Ok(());
        }
        let text = |key: &str| left[key].as_str().unwrap_or("").to_owned();
        say::data(format_args!("{} leaves via {}: {}\n  {}", self.target, text("via"), text("proxy"), text("why")));
        Ok(())
    }
}
