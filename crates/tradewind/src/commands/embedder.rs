//! `tradewind embedder`

mod download;
mod index;
mod install;
mod list;
mod progress;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

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

/// `31.7 MB`.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
