//! `tradewind modules`

mod athens;
mod export;
mod gateway;
mod import;
mod list;
mod place;
mod progress;
mod prune;
#[cfg(test)]
mod tests;
mod verify;
mod wanted;
mod warm;
mod why;

use clap::{Args, Subcommand};

use super::{minute, size};

/// Look after the Go modules that the gateway keeps, and carry them where there is no network
///
/// They are in the folder modules of the data directory. All commands may be used while the gateway runs.
#[derive(Debug, Args)]
pub(super) struct Modules {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Verify(verify::Verify),
    Prune(prune::PruneCommand),
    Warm(warm::Warm),
    Export(Box<export::Export>),
    Import(Box<import::Import>),
    Why(why::Why),
}

impl Modules {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Prune(command) => command.run(),
            Command::Warm(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Why(command) => command.run(),
        }
    }
}
