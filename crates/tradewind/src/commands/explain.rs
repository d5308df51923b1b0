//! `tradewind explain`

mod chosen;
mod print;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use tradewind_core::DecisionId;

use super::client;
use crate::say;

pub(super) use self::print::{explain, money, time};

/// Show who answered a call and why
///
/// The id of a call is in the header x-tradewind-decision of its answer.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The id of the decision
    id: DecisionId,
    /// Where the gateway listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7080")]
    url: String,
    /// The key to ask with; better kept in the environment than on the command line
    #[arg(long, env = "TRADEWIND_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Who vouches for the certificate of a gateway with TLS, in PEM, in place of those whom the system knows
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let place = client::Place { url: &self.url, key: self.key.as_deref(), ca: self.ca.as_deref() };
        let (status, body) = client::get(place, &format!("/api/v1/decisions/{}", self.id))?;
        let stranger = || format!("what answers at {} is not Tradewind", self.url);
        let record: Value = serde_json::from_slice(&body).with_context(stranger)?;
        if let Some(message) = record["error"]["message"].as_str() {
            bail!("{message}");
        }
        if status != 200 || record["id"] != self.id.to_string() {
            bail!("{}: it answered {status}", stranger());
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&record)?);
        } else {
            say::data(explain(&record).trim_end());
        }
        Ok(())
    }
}
