//! `tradewind key`

mod create;
mod list;
mod print;
mod revoke;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use tradewind_policy::CallerKey;

use super::whose::{Found, Whose};
use crate::caller_keys::KeysFile;

/// Make, list and revoke callers' keys
///
/// The keys are in keys.json in the data directory. A running gateway takes changes within a second.
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Create(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Revoke(command) => command.run(),
        }
    }
}

/// The keys of one gateway.
struct Keys {
    created: KeysFile,
    /// Those of its configuration; none when only the data directory is known.
    document: Vec<CallerKey>,
    /// The name of the configuration file.
    name: String,
}

impl Keys {
    fn of(whose: Whose) -> anyhow::Result<Self> {
        let Found { data_dir, document } = whose.find()?;
        let (document, name) = document.map(|(document, name)| (document.shared.keys, name)).unwrap_or_default();
        Ok(Self { created: KeysFile::of(&data_dir), document, name })
    }
}
