//! Who vouches for what comes in a bundle.

use std::sync::Arc;

use tradewind_ledger::Verifier;

use crate::hash::GoSum;
use crate::name::{ModuleVersion, Patterns};
use crate::section::{KNOWN_SUMDB, MountSettings, Verify};
use crate::store::Checked;
use crate::sumdb::Source;

/// A checksum database.
#[derive(Clone)]
pub struct Database {
    /// Its key.
    pub verifier: Verifier,
    /// Whom to ask for what is not here: a gateway, mostly.
    pub source: Option<Arc<dyn Source>>,
}

/// What a version has to agree with.
#[derive(Clone, Default)]
pub struct Trust {
    /// The databases that may vouch for it, in this order.
    pub databases: Vec<Database>,
    /// The lines that a user trusts.
    pub go_sum: GoSum,
    /// Modules that no database is asked about.
    pub private: Patterns,
    /// Whether the others have to be in a database or a go.sum.
    pub verify: Verify,
}

impl Trust {
    /// That of a mount, with nobody to ask.
    ///
    /// # Errors
    /// What of the settings cannot be used.
    pub fn of(mount: &MountSettings) -> Result<Self, String> {
        let mut databases = Vec::new();
        if let (Some(sumdb), false) = (&mount.sumdb, mount.verify == Verify::Off) {
            let verifier = Verifier::parse(&sumdb.verifier).map_err(|error| format!("sumdb: {error}"))?;
            databases.push(Database { verifier, source: None });
        }
        let patterns = mount.private.iter().flat_map(|private| private.patterns.iter().map(String::as_str));
        let private = Patterns::parse(patterns).map_err(|error| format!("private: {error}"))?;
        Ok(Self { databases, go_sum: GoSum::default(), private, verify: mount.verify })
    }

    /// Whether a version that was compared in this way needs no other look at it: what was taken on trust only where nobody
    /// is asked.
    pub(super) fn suffices(&self, of: &ModuleVersion, checked: &Checked) -> bool {
        if self.verify == Verify::Off || of.path.is_covered_by(&self.private) {
            return true;
        }
        match checked {
            Checked::Sumdb(name) => self.databases.iter().any(|database| database.verifier.name() == name),
            Checked::GoSum => true,
            Checked::Private | Checked::Unreached | Checked::Off => false,
        }
    }

    /// What the go command trusts when nothing is set: its own checksum database, which has to have everything.
    #[must_use]
    pub fn usual() -> Self {
        let verifier = Verifier::parse(KNOWN_SUMDB.1).expect("the key was written down as it is");
        Self { databases: vec![Database { verifier, source: None }], ..Self::default() }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let databases: Vec<&str> = self.databases.iter().map(|database| database.verifier.name()).collect();
        f.debug_struct("Trust").field("databases", &databases).field("verify", &self.verify).finish_non_exhaustive()
    }
}
