//! `tradewind import`

mod deployment;
mod ledger;
mod litellm;
mod provider;
mod settings;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use tradewind_core::Code;
use tradewind_policy::{MOST_BYTES, Problems, parse_yaml};
use tradewind_runtime::files;

use self::ledger::Left;
use self::litellm::Imported;
use super::counted;
use crate::say;

/// Make a configuration file out of another program's
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    Litellm(Litellm),
}

/// From the configuration of a LiteLLM proxy
///
/// The new file goes to stdout. What was not carried over is listed on stderr, with its path and the reason. Secrets
/// that stand in the old file are not written into the new one: it names the variables to put them into.
#[derive(Debug, Args)]
struct Litellm {
    /// The configuration file of the proxy, mostly config.yaml
    file: PathBuf,
    /// Write to this new file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let From::Litellm(command) = self.from;
        let name = command.file.display().to_string();
        let text = files::read_text(&command.file, MOST_BYTES as u64).map_err(|error| {
            let code = Code::ConfigUnreadable;
            anyhow!(
                "error[{code}]: {name} cannot be read: {error}\n  = hint: check the path, and whether you may read it"
            )
        })?;
        let imported = import(&name, &text)?;
        match &command.output {
            None => say::data(imported.document.trim_end()),
            Some(output) => {
                write_new(output, &imported.document)?;
                say::note(format_args!("wrote {0}; check it with `tradewind check {0}`", output.display()));
            }
        }
        say::note(listed(&imported).trim_end());
        Ok(())
    }
}

fn import(name: &str, text: &str) -> anyhow::Result<Imported> {
    let mut problems = Problems::new();
    let node = parse_yaml(text, &mut problems);
    match node {
        Some(node) if problems.is_empty() => litellm::import(name, &node).ok_or_else(|| {
            anyhow!(
                "{name} has no list `model_list`\n  = hint: give the file that the proxy is started with, by --config"
            )
        }),
        _ => bail!("{}", problems.render(name, text).trim_end()),
    }
}

/// What was not carried over, one a line.
fn listed(imported: &Imported) -> String {
    let left = imported.ledger.left();
    if left.is_empty() {
        return "everything was carried over".to_owned();
    }
    let mut text = format!("{} of the old file not carried over as written:\n", counted(left.len(), "setting"));
    for left in left {
        let Left { path, line, reason } = left;
        text += &format!("  line {line:<4} {path}\n            {reason}\n");
    }
    text
}

/// Writes a file that must not be there yet. Nobody else may read it: it is a configuration.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} is there already\n  = hint: remove it, or choose another name with --output", path.display());
    }
    files::replace_private(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
