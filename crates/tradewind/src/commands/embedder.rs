//! `tradewind embedder`

mod download;
mod index;
mod install;
mod list;
mod progress;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use tradewind_policy::DataDir;
use tradewind_runtime::files;

use crate::{Document, Source};

/// Install and list what turns questions into vectors
///
/// The built-in embedder `lexical` needs no installing. Others are in the folder embedders of the data directory.
#[derive(Debug, Args)]
pub(super) struct Embedder {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Install(install::Install),
    List(list::List),
}

impl Embedder {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Install(command) => command.run(),
            Command::List(command) => command.run(),
        }
    }
}

/// Whose embedders: those of the gateway with this configuration or data directory. Without any of these, of the one that
/// `tradewind run` would start here.
#[derive(Debug, Default, Args)]
struct Whose {
    /// The configuration file of the gateway
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// A directory with the gateway's config.yaml
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The data directory of the gateway
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "dir"])]
    data_dir: Option<String>,
}

impl Whose {
    fn data_dir(self) -> anyhow::Result<PathBuf> {
        let folder = match self.data_dir {
            Some(folder) => folder,
            None => match Source::choose(self.file, self.dir) {
                Source::File(path) => {
                    let document = Document::load(&path).map_err(|problems| {
                        anyhow!("{problems}  = hint: --data-dir does without the configuration file")
                    })?;
                    document.shared.data_dir.0
                }
                Source::BuiltIn => DataDir::default().0,
            },
        };
        Ok(files::expand_home(&folder))
    }
}

/// `31.7 MB`.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
