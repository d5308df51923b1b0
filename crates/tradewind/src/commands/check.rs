//! `tradewind check`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::counted;
use crate::document::CONFIG_FILE;
use crate::{Source, say};

/// Validate a configuration file
///
/// Prints what is wrong with line, column and fix, and exits with 1 then.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file, or a directory with a config.yaml
    file: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let is_directory = self.file.join(CONFIG_FILE).is_file();
        let file = self.file.clone();
        let source = if is_directory { Source::Directory(file) } else { Source::File(file) };
        let Some(document) = source.load() else { bail!("there is nothing to check") };
        match document {
            Ok(document) => {
                for note in &document.notes {
                    say::note(format_args!("note: {}", note.render(&source.name())));
                }
                let ways = &document.shared.ways;
                let mut parts = vec![
                    counted(document.shared.providers.len(), "provider"),
                    counted(document.models.entries.len(), "model"),
                ];
                let rules = ways.rules.main.len();
                for (count, one, several) in [
                    (ways.proxies.len(), "proxy", "proxies"),
                    (ways.groups.len(), "group", "groups"),
                    (rules, "rule", "rules"),
                ] {
                    if count > 0 {
                        parts.push(format!("{count} {}", if count == 1 { one } else { several }));
                    }
                }
                say::data(format!("{}: ok, {}, policy {}", self.file.display(), parts.join(", "), document.policy));
                Ok(())
            }
            Err(problems) => bail!("{}", problems.trim_end()),
        }
    }
}
