//! `tradewind man`: for whoever packs the program, not for its users, who have `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::Cli;

/// Write the manual pages, one for each command, into a directory
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Man {
    /// The directory, which has to be there
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // No page for the `help` that clap adds to each command.
        let command = Cli::command().disable_help_subcommand(true);
        clap_mangen::generate_to(command, &self.directory)
            .with_context(|| format!("the pages cannot be written to {}", self.directory.display()))
    }
}
