//! `tradewind completions`

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;
use crate::say;

/// Print a script that completes commands and options in a shell
///
/// For bash: tradewind completions bash > ~/.local/share/bash-completion/completions/tradewind
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "tradewind", &mut script);
        say::data(String::from_utf8(script)?.trim_end());
        Ok(())
    }
}
