//! `tradewind key revoke`

use anyhow::{anyhow, bail};
use clap::Args;
use tradewind_access::StoredKeysError;
use tradewind_core::{Clock, nearest};
use tradewind_runtime::SystemClock;

use super::{Keys, Whose};
use crate::say;

/// Revoke a key
///
/// Calls with it are refused from then on, and its running streams end.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The name of the key
    name: String,
    #[command(flatten)]
    whose: Whose,
}

impl Revoke {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { name, whose } = self;
        let keys = Keys::of(whose)?;
        if keys.document.iter().any(|key| key.name.value == name) {
            let hint =
                format!("take its entry out of `keys` in {}: a running gateway sees it within a second", keys.name);
            bail!("the key `{name}` is in the configuration\n  = hint: {hint}");
        }
        // Nothing is written, and no directory made, when there is nothing to revoke.
        if keys.created.read()?.keys().is_empty() {
            bail!("there is no key named `{name}`\n  = hint: no key was made here; -f or --data-dir says where");
        }
        let now = SystemClock::new().wall();
        keys.created.change(|stored| {
            let near = nearest(&name, stored.keys().iter().map(|key| &*key.name)).map(str::to_owned);
            stored.revoke(&name, now).map_err(|error| match (error, near) {
                (error @ StoredKeysError::Unknown(_), Some(near)) => {
                    anyhow!("{error}\n  = hint: did you mean `{near}`?")
                }
                (error @ StoredKeysError::Unknown(_), None) => {
                    anyhow!("{error}\n  = hint: `tradewind key list` shows all of them")
                }
                (error, _) => anyhow!(error),
            })
        })?;
        say::note(format_args!("revoked the key `{name}`; a running gateway refuses it within a second"));
        Ok(())
    }
}
