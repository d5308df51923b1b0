//! `tradewind modules import athens`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use tradewind_door_modules::athens;

use super::import::How;

/// From the storage of an Athens on disk
///
/// Athens keeps no records of a checksum database: they are asked for through the running gateway, or the hashes come
/// from a go.sum.
#[derive(Debug, Args)]
pub(super) struct Athens {
    /// The folder that ATHENS_DISK_STORAGE_ROOT names
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    how: How,
}

impl Athens {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let contents = athens(&self.folder)?;
        if contents.is_empty() {
            bail!(
                "{} has no versions\n  = hint: name the folder that ATHENS_DISK_STORAGE_ROOT is set to",
                self.folder.display()
            );
        }
        self.how.run(contents)
    }
}
