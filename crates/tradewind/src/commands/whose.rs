//! Which gateway a command is about: by its configuration or its data directory.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use tradewind_policy::DataDir;
use tradewind_runtime::files;

use crate::{Document, Source};

/// That of the gateway with this configuration or data directory. Without any of these, of the one that `tradewind run`
/// would start here.
#[derive(Debug, Default, Args)]
pub(super) struct Whose {
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

/// What is known of a gateway.
pub(super) struct Found {
    /// Its data directory.
    pub(super) data_dir: PathBuf,
    /// Its configuration, and the name of that file; none when only the data directory is known.
    pub(super) document: Option<(Document, String)>,
}

impl Whose {
    pub(super) fn find(self) -> anyhow::Result<Found> {
        let (folder, document) = match self.data_dir {
            Some(folder) => (folder, None),
            None => {
                let source = Source::choose(self.file, self.dir);
                match source.load() {
                    Some(document) => {
                        let document = document.map_err(|problems| {
                            anyhow!("{problems}  = hint: --data-dir does without the configuration file")
                        })?;
                        (document.shared.data_dir.0.clone(), Some((document, source.name())))
                    }
                    None => (DataDir::default().0, None),
                }
            }
        };
        Ok(Found { data_dir: files::expand_home(&folder), document })
    }
}
