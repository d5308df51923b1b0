//! Where a running gateway is, for the commands that ask it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{self, Place};

/// Which gateway is asked, and with which key.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Where the gateway listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7080")]
    url: String,
    /// The key to ask with; better kept in the environment than on the command line
    #[arg(long, env = "TRADEWIND_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Who vouches for the gateway's certificate, in PEM, when that is nobody whom the system knows
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Reach {
    /// Asks for `path`, and returns what was answered.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.read(client::get(self.place(), path)?)
    }

    /// Sends `body` to `path`.
    pub(super) fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        self.read(client::send(self.place(), method, path, body)?)
    }

    /// The gateway.
    pub(super) fn place(&self) -> Place<'_> {
        Place { url: &self.url, key: self.key.as_deref(), ca: self.ca.as_deref() }
    }

    fn read(&self, (status, body): (u16, Bytes)) -> anyhow::Result<Value> {
        let stranger = || format!("what answers at {} is not Tradewind: it answered {status}", self.url);
        let answer: Value = serde_json::from_slice(&body).with_context(stranger)?;
        if let Some(message) = answer["error"]["message"].as_str() {
            bail!("{message}");
        }
        if status != 200 {
            bail!("{}", stranger());
        }
        Ok(answer)
    }
}
