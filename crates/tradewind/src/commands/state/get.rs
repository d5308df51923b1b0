//! `tradewind state get`

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::api::{Api, Ask, Where};
use super::name::{key, path};
use super::size;
use crate::say;

/// Print a value
///
/// The content goes to stdout byte by byte; its revision and type are said on stderr.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Which
    #[arg(value_name = "NAMESPACE/KEY")]
    which: String,
    /// An earlier revision
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rev: Option<u64>,
    #[command(flatten)]
    at: Where,
}

impl Get {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let key = key(&self.which)?;
        let query = self.rev.map(|rev| format!("?rev={rev}")).unwrap_or_default();
        let (headers, content) = Api::open(self.at)?.ask(&Ask::get(path(&key, &query)))?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("?");
        let rev = header("etag").trim_matches('"');
        let size = size(content.len() as u64);
        say::note(format_args!(
            "revision {rev}, {size} of {}, epoch {}",
            header("content-type"),
            header("tradewind-epoch")
        ));
        match std::io::stdout().lock().write_all(&content) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("stdout cannot be written")
            }
            _ => Ok(()),
        }
    }
}
