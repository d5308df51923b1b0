//! `tradewind key`

mod create;
mod list;
mod print;
mod revoke;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use tradewind_policy::{CallerKey, DataDir};
use tradewind_runtime::files;

use crate::caller_keys::KeysFile;
use crate::{Document, Source};

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

/// Whose keys: those of the gateway with this configuration or data directory. Without any of these, of the one that
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

/// The keys of one gateway.
struct Keys {
    created: KeysFile,
    /// Those of its configuration; none when only the data directory is known.
    document: Vec<CallerKey>,
    /// The name of the configuration file.
    name: String,
}

impl Whose {
    fn keys(self) -> anyhow::Result<Keys> {
        let (folder, document, name) = match self.data_dir {
            Some(folder) => (folder, Vec::new(), String::new()),
            None => match Source::choose(self.file, self.dir) {
                Source::File(path) => {
                    let document = Document::load(&path).map_err(|problems| {
                        anyhow!("{problems}  = hint: --data-dir does without the configuration file")
                    })?;
                    let name = path.display().to_string();
                    (document.shared.data_dir.0, document.shared.keys, name)
                }
                Source::BuiltIn => (DataDir::default().0, Vec::new(), String::new()),
            },
        };
        Ok(Keys { created: KeysFile::of(&files::expand_home(&folder)), document, name })
    }
}
