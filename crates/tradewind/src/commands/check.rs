//! `tradewind check`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::counted;
use crate::{Document, say};

/// Validate a configuration file
///
/// Prints what is wrong with line, column and fix, and exits with 1 then.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file
    file: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match Document::load(&self.file) {
            Ok(document) => {
                let providers = counted(document.shared.providers.len(), "provider");
                let models = counted(document.models.entries.len(), "model");
                say::data(format!("{}: ok, {providers}, {models}, policy {}", self.file.display(), document.policy));
                Ok(())
            }
            Err(problems) => bail!("{}", problems.trim_end()),
        }
    }
}
