//! `tradewind network`

mod print;

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use http::Method;
use tradewind_runtime::files;

use self::print::{applied, explained, shown};
use super::reach::Reach;
use crate::say;

/// The largest context that is read.
const LARGEST: u64 = 10 * 1024 * 1024;

/// Show, say or explain which network this is
#[derive(Debug, Args)]
pub(super) struct Network {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is known of the network, and how each group stands
    Show(Asked),
    /// Say what the network looks like, in place of the gateway's own sampler
    Push(Push),
    /// Forget what was pushed: the gateway's own sampler says what the network looks like again
    Clear(Asked),
    /// Show why a network fits, or none does
    Explain(Asked),
}

#[derive(Debug, Args)]
struct Asked {
    #[command(flatten)]
    reach: Reach,
    /// Print what the gateway says as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Push {
    /// A file with the context as JSON, - for standard input
    file: PathBuf,
    #[command(flatten)]
    asked: Asked,
}

/// Where the context is.
const CONTEXT: &str = "/api/v1/network/context";

impl Network {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Show(asked) => {
                let answer = asked.reach.get(CONTEXT)?;
                asked.say(&answer, shown)
            }
            Action::Explain(asked) => {
                let answer = asked.reach.get("/api/v1/network/explain")?;
                asked.say(&answer, explained)
            }
            Action::Clear(asked) => {
                asked.reach.send(Method::DELETE, CONTEXT, Vec::new())?;
                say::data("what was pushed is forgotten; the groups stay where they are");
                Ok(())
            }
            Action::Push(push) => {
                let body = push.read()?;
                let answer = push.asked.reach.send(Method::PUT, CONTEXT, body)?;
                push.asked.say(&answer, applied)
            }
        }
    }
}

impl Push {
    fn read(&self) -> anyhow::Result<Vec<u8>> {
        if self.file.as_os_str() == "-" {
            let mut body = Vec::new();
            std::io::stdin().take(LARGEST).read_to_end(&mut body).context("standard input cannot be read")?;
            return Ok(body);
        }
        files::read_bytes(&self.file, LARGEST).with_context(|| format!("{} cannot be read", self.file.display()))
    }
}

impl Asked {
    fn say(&self, answer: &serde_json::Value, words: fn(&serde_json::Value) -> String) -> anyhow::Result<()> {
        if self.json {
            say::data(serde_json::to_string_pretty(answer)?);
        } else {
            say::data(words(answer).trim_end());
        }
        Ok(())
    }
}
