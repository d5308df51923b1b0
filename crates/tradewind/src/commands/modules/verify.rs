//! `tradewind modules verify`

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::place::Place;
use super::progress::{Progress, Unit};
use super::size;
use crate::commands::counted;
use crate::commands::whose::Whose;
use crate::say;

/// Read all that is kept again and compare it with its hashes
///
/// What is damaged goes into quarantine, and the gateway fetches it anew when it is asked for. The command fails then.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let place = Place::find(self.whose)?;
        let mut progress = Progress::of("verifying", Unit::Bytes);
        let verified = place.store.verify(&mut |done, whole| progress.at(done, whole))?;
        drop(progress);
        if self.json {
            let damaged: Vec<Value> = verified
                .damaged
                .iter()
                .map(|damage| {
                    json!({
                        "module": damage.of.path.as_str(),
                        "version": damage.of.version.as_str(),
                        "tree": damage.tree.name(),
                        "reason": damage.reason,
                    })
                })
                .collect();
            say::data(serde_json::to_string_pretty(&json!({
                "good": verified.good,
                "bytes": verified.bytes,
                "orphaned_bytes": verified.orphaned,
                "damaged": damaged,
            }))?);
        } else {
            for damage in &verified.damaged {
                say::data(format!("{}: {}", damage.of, damage.reason));
            }
            let good = counted(verified.good, "version");
            say::note(format!("{good} as stored, {} read", size(verified.bytes)));
            if verified.orphaned > 0 {
                say::note(format!(
                    "{} belong to no version; `tradewind modules prune` removes them",
                    size(verified.orphaned)
                ));
            }
        }
        if !verified.damaged.is_empty() {
            bail!(
                "{} damaged, now in quarantine\n  = hint: look at the disk; `tradewind modules why MODULE@VERSION` tells more",
                counted(verified.damaged.len(), "version")
            );
        }
        Ok(())
    }
}
