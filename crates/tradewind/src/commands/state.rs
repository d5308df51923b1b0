//! `tradewind state`

mod api;
mod check;
mod diff;
mod get;
mod handoff;
mod history;
mod ls;
mod migrate;
mod name;
mod progress;
mod put;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use clap::{Args, Subcommand};

use super::{minute, size};

/// Look at agents' long-lived state, and look after it
///
/// A running gateway is asked, where one answers at `listen` of the configuration; otherwise the store is opened here. A key
/// is written as NAMESPACE/KEY.
#[derive(Debug, Args)]
pub(super) struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::Ls),
    Get(get::Get),
    Put(put::Put),
    History(history::History),
    Diff(diff::Diff),
    Watch(watch::Watch),
    Handoff(handoff::Handoff),
    Check(check::Check),
    Migrate(migrate::Migrate),
}

impl State {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Ls(command) => command.run(),
            Command::Get(command) => command.run(),
            Command::Put(command) => command.run(),
            Command::History(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Watch(command) => command.run(),
            Command::Handoff(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Migrate(command) => command.run(),
        }
    }
}
