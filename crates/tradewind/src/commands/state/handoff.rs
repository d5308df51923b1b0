//! `tradewind state handoff`

use anyhow::bail;
use clap::{ArgGroup, Args};
use http::{HeaderName, Method, header};
use serde_json::json;

use super::api::{Api, Ask, Where};
use super::name::{key, path};
use crate::say;

/// Hand a key over: print a token for it, or redeem one
///
/// Whoever redeems the token holds the key from then on; writes of the old holder that name their epoch are refused.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["which", "redeem"])))]
pub(super) struct Handoff {
    /// What is handed over
    #[arg(value_name = "NAMESPACE/KEY", requires = "rev")]
    which: Option<String>,
    /// The revision that you have read or written last
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rev: Option<u64>,
    /// How long the token is good for, 60s at most
    #[arg(long, value_name = "TIME", default_value = "60s")]
    ttl: String,
    /// The epoch that you believe to be in
    #[arg(long, value_name = "N")]
    epoch: Option<u64>,
    /// Take over what this token is for
    #[arg(long, value_name = "TOKEN")]
    redeem: Option<String>,
    #[command(flatten)]
    at: Where,
}

impl Handoff {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if let Some(token) = self.redeem {
            let ask = Ask::new(Method::POST, "/api/v1/handoff/redeem".to_owned());
            let taken = Api::open(self.at)?.json(&ask.sending(json!({ "token": token.trim() }).to_string()))?;
            let name = |field: &str| taken[field].as_str().unwrap_or_default().to_owned();
            say::note(format_args!(
                "took over {}/{}: revision {}, epoch {}",
                name("namespace"),
                name("key"),
                taken["rev"],
                taken["epoch"]
            ));
            return Ok(());
        }
        let (Some(name), Some(rev)) = (&self.which, self.rev) else { bail!("name a key and its revision") };
        let epoch = self.epoch.map(|epoch| epoch.to_string());
        let ask = Ask::new(Method::POST, path(&key(name)?, "/handoff"))
            .with(header::IF_MATCH, &format!("\"{rev}\""))?
            .with_some(HeaderName::from_static("tradewind-epoch"), epoch.as_deref())?;
        let given = Api::open(self.at)?.json(&ask.sending(json!({ "ttl": self.ttl }).to_string()))?;
        say::note(format_args!("good until {}", given["expires-at"].as_str().unwrap_or_default()));
        say::data(given["token"].as_str().unwrap_or_default());
        Ok(())
    }
}
