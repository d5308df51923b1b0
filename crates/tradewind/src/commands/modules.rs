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

/// `31.7 MB`, `4 KB`.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "KB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// The date and the time to the minute.
fn minute(at: tradewind_core::UnixMillis) -> String {
    at.rfc3339().chars().take(16).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}
