//! `tradewind embedder list`

use clap::Args;
use serde_json::json;
use tradewind_meaning::{Embedder as _, Encoder};

use super::megabytes;
use crate::commands::whose::Whose;
use crate::{embedders, installed, say};

/// List the embedders that are installed
///
/// Each is loaded once, so that one whose files are damaged is found out; the command fails then.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let data_dir = self.whose.find()?.data_dir;
        let size = embedders::encoder_size(&data_dir);
        let loaded = installed(&data_dir);
        if self.json {
            let row = |dimensions: Option<usize>, problem: Option<String>| {
                json!([{
                    "name": Encoder::NAME,
                    "dimensions": dimensions,
                    "bytes": size,
                    "loads": problem.is_none(),
                    "problem": problem,
                    "path": embedders::encoder_folder(&data_dir),
                }])
            };
            let list = match &loaded {
                Ok(None) => json!([]),
                Ok(Some(encoder)) => row(Some(encoder.dimensions()), None),
                Err(error) => row(None, Some(error.to_string().lines().next().unwrap_or_default().to_owned())),
            };
            say::data(serde_json::to_string_pretty(&list)?);
        }
        match loaded? {
            _ if self.json => {}
            None => say::note("no embedder is installed; `tradewind embedder install` installs one"),
            Some(encoder) => {
                let (name, size) = (encoder.name(), megabytes(size));
                say::data("NAME                        DIMENSIONS  SIZE");
                say::data(format!("{name:<26}  {:<10}  {size}", encoder.dimensions()));
            }
        }
        Ok(())
    }
}
