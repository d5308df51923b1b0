//! `tradewind state put`

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use http::{HeaderName, Method, header};
use tradewind_runtime::files;
use tradewind_store::MAX_VALUE;

use super::api::{Api, Ask, Where};
use super::name::{key, path};
use crate::say;

/// Write a value
///
/// It says what it replaces: nothing (--create), or the revision that you have read (--rev).
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("condition").required(true).args(["create", "rev"])))]
pub(super) struct Put {
    /// Which
    #[arg(value_name = "NAMESPACE/KEY")]
    which: String,
    /// The content; stdin when absent
    #[arg(value_name = "FILE")]
    content: Option<PathBuf>,
    /// There must be no value yet
    #[arg(long)]
    create: bool,
    /// The revision that is replaced
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rev: Option<u64>,
    /// The type of the content [default: application/json when it is JSON, text/plain when it is text, otherwise
    /// application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// How long it lives, such as 30d, or `15m; sliding` to begin again with each read, or `none`
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// The schema of the content, NAME@VERSION
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,
    /// The epoch that you believe to be in
    #[arg(long, value_name = "N")]
    epoch: Option<u64>,
    #[command(flatten)]
    at: Where,
}

impl Put {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let key = key(&self.which)?;
        let content = match &self.content {
            Some(file) => {
                files::read_bytes(file, MAX_VALUE).with_context(|| format!("{} cannot be read", file.display()))?
            }
            None => {
                let mut content = Vec::new();
                std::io::stdin()
                    .lock()
                    .take(MAX_VALUE + 1)
                    .read_to_end(&mut content)
                    .context("stdin cannot be read")?;
                content
            }
        };
        if content.len() as u64 > MAX_VALUE {
            bail!("a value has at most 16 MiB");
        }
        let content_type = self.content_type.as_deref().unwrap_or_else(|| type_of(&content));
        let epoch = self.epoch.map(|epoch| epoch.to_string());
        let ask = Ask::new(Method::PUT, path(&key, ""))
            .with(header::CONTENT_TYPE, content_type)?
            .with_some(HeaderName::from_static("tradewind-ttl"), self.ttl.as_deref())?
            .with_some(HeaderName::from_static("tradewind-schema"), self.schema.as_deref())?
            .with_some(HeaderName::from_static("tradewind-epoch"), epoch.as_deref())?;
        let ask = match self.rev {
            Some(rev) => ask.with(header::IF_MATCH, &format!("\"{rev}\""))?,
            None => ask.with(header::IF_NONE_MATCH, "*")?,
        };
        let written = Api::open(self.at)?.json(&ask.sending(content))?;
        say::note(format_args!("wrote {key}, revision {}", written["rev"]));
        Ok(())
    }
}

/// What a content looks like.
pub(super) fn type_of(content: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(content).is_ok() {
        "application/json"
    } else if std::str::from_utf8(content).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}
