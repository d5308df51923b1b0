//! The store of a gateway, and what its configuration says about it.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use tradewind_core::{Clock, UnixMillis};
use tradewind_door_modules::{Limits, MountSettings, Pins, Store, Tree, Trust};
use tradewind_runtime::SystemClock;

use crate::Document;
use crate::commands::whose::{Found, Whose};
use crate::say;

/// The folder of the store in the data directory.
const FOLDER: &str = "modules";
/// The tree of the gateway's own mount.
const MAIN: &str = "go";

/// The store of one gateway.
pub(super) struct Place {
    pub(super) store: Store,
    /// Its configuration; none where only the data directory is known.
    document: Option<Document>,
    clock: Arc<dyn Clock>,
}

impl Place {
    /// The store that is there.
    pub(super) fn find(whose: Whose) -> anyhow::Result<Self> {
        Self::open(whose, false)
    }

    /// The store, which is made where there is none.
    pub(super) fn find_or_make(whose: Whose) -> anyhow::Result<Self> {
        Self::open(whose, true)
    }

    fn open(whose: Whose, make: bool) -> anyhow::Result<Self> {
        let Found { data_dir, document } = whose.find()?;
        let document = document.map(|(document, _)| document);
        let folder = data_dir.join(FOLDER);
        if !make && !folder.is_dir() {
            bail!(
                "no modules are kept in {}\n  = hint: -f, -d or --data-dir says which gateway is meant",
                data_dir.display()
            );
        }
        let limits = limits(document.as_ref())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store = Store::open(&folder, limits, Arc::clone(&clock))?;
        Ok(Self { store, document, clock })
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.wall()
    }

    /// The most bytes that the configuration allows.
    pub(super) fn max_bytes(&self) -> u64 {
        let modules = self.document.as_ref().and_then(|document| document.modules.as_ref());
        modules.map_or_else(|| Limits::default().max_bytes, |modules| modules.cache.max_size.0)
    }

    /// Whether it is known what is pinned.
    pub(super) fn knows_pins(&self) -> bool {
        self.document.is_some()
    }

    /// The mounts of the configuration, the gateway's own first.
    pub(super) fn mounts(&self) -> Vec<&MountSettings> {
        let modules = self.document.as_ref().and_then(|document| document.modules.as_ref());
        modules.map(|modules| modules.mounts.iter().rev().collect()).unwrap_or_default()
    }

    /// The mount behind `/go/` with this prefix; `None` where there is no configuration to say.
    pub(super) fn mount(&self, prefix: &str) -> anyhow::Result<Option<&MountSettings>> {
        let mounts = self.mounts();
        let found = mounts.iter().find(|mount| mount.prefix == prefix).copied();
        if found.is_none() && !prefix.is_empty() && self.document.is_some() {
            let names: Vec<String> = mounts.iter().map(|mount| format!("`{}`", mount.prefix)).collect();
            bail!("there is no mount `{prefix}`\n  = hint: the configuration has {}", names.join(", "));
        }
        Ok(found)
    }

    /// What has to vouch for modules of a mount: what its configuration says, and where there is none Go's own checksum
    /// database.
    pub(super) fn trust(mount: Option<&MountSettings>) -> anyhow::Result<Trust> {
        match mount {
            Some(mount) => Trust::of(mount).map_err(|error| anyhow!("{error}")),
            None => Ok(Trust::usual()),
        }
    }
}

/// The tree of the mount with this prefix.
pub(super) fn tree(prefix: &str) -> Tree {
    Tree::new(if prefix.is_empty() { MAIN } else { prefix })
}

fn limits(document: Option<&Document>) -> anyhow::Result<Limits> {
    let Some(modules) = document.and_then(|document| document.modules.as_ref()) else { return Ok(Limits::default()) };
    let pins: Vec<&str> = modules.cache.pins.iter().map(|pin| pin.value.as_str()).collect();
    Ok(Limits { max_bytes: modules.cache.max_size.0, pins: Pins::parse(&pins)?, ..Limits::default() })
}

/// Says that pins are not known, where something could go that is pinned.
pub(super) fn warn_of_pins(place: &Place) {
    if !place.knows_pins() {
        say::note("note: without a configuration nothing is known to be pinned; -f names one");
    }
}
