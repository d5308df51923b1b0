//! One tree of modules at work: its upstreams, its checksum database, its rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Clock, Moment};
use tradewind_egress::{Egress, Roots};
use tradewind_ledger::Verifier;

use super::places::Places;
use crate::name::{ModulePath, Patterns};
use crate::rules::{RuleSettings, Rules};
use crate::section::{CacheSettings, MountSettings, Release, RulesSection, Together, Upstreams, Verify};
use crate::store::{Store, Tree};
use crate::sumdb::Sumdb;
use crate::upstream::{Chain, Mirrors, Netrc, Reaching, SumdbSource, UpstreamError};

/// The name of the tree of a mount without a prefix.
pub(crate) const MAIN: &str = "go";
/// Mounts that were made so far.
static MADE: AtomicU64 = AtomicU64::new(0);

/// One tree of modules.
pub(crate) struct Mount {
    /// Of this mount of this document: what is under way for another one is not waited for, since it was begun under other rules.
    pub(super) id: u64,
    pub(crate) prefix: String,
    pub(crate) tree: Tree,
    pub(crate) release: Release,
    pub(crate) rules: Rules,
    pub(super) verify: Verify,
    pub(super) chain: Arc<Chain>,
    places: Places,
    private: Option<Inner>,
    pub(super) database: Option<Database>,
    pub(super) fresh: Duration,
    pub(super) missing: Duration,
    pub(super) together: Together,
}

/// Modules that are none of the public's business.
struct Inner {
    patterns: Patterns,
    chain: Arc<Chain>,
    places: Places,
}

/// The checksum database of a mount.
pub(crate) struct Database {
    pub(super) name: Arc<str>,
    pub(super) client: Sumdb,
    pub(super) source: Arc<SumdbSource>,
    /// When it could not be asked the last time about something that may be given without.
    unreached: Mutex<Option<Moment>>,
}

impl Database {
    /// Whether it could not be asked within the last `time`.
    pub(super) fn was_unreached(&self, now: Moment, time: Duration) -> bool {
        self.unreached.lock().is_some_and(|at| now.since(at) < time)
    }

    pub(super) fn note_unreached(&self, now: Moment) {
        *self.unreached.lock() = Some(now);
    }
}

/// With what a mount is made.
pub(crate) struct Building<'a> {
    pub(crate) egress: &'a Arc<Egress>,
    pub(crate) roots: &'a Roots,
    pub(crate) netrc: &'a Netrc,
    pub(crate) mirrors: &'a Arc<Mirrors>,
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) cache: &'a CacheSettings,
}

impl Mount {
    /// A mount as the section says.
    ///
    /// # Errors
    /// When something of it cannot be used.
    pub(crate) fn new(settings: &MountSettings, building: &Building<'_>) -> Result<Self, UpstreamError> {
        let reaching = Reaching {
            egress: building.egress,
            clock: building.clock,
            roots: building.roots,
            tls_roots: settings.tls_roots.as_deref(),
            via: settings.via.as_ref(),
            auth: settings.auth.as_ref(),
            netrc: building.netrc,
            mirrors: building.mirrors,
        };
        let chain = Arc::new(Chain::new(&settings.upstream, &reaching)?);
        let private = match &settings.private {
            None => None,
            Some(private) => {
                let said = |error: crate::name::BadPattern| UpstreamError::Section(format!("private: {error}"));
                let patterns = Patterns::parse(private.patterns.iter().map(String::as_str)).map_err(said)?;
                let chain = match &private.upstream {
                    Some(upstream) => Chain::new(upstream, &Reaching { auth: private.auth.as_ref(), ..reaching })?,
                    None if settings.direct => {
                        let direct = Upstreams::parse("direct").expect("this is a word of the list");
                        Chain::new(&direct, &reaching)?
                    }
                    None => Chain::nothing(building.clock),
                };
                Some(Inner { patterns, chain: Arc::new(chain), places: Places::default() })
            }
        };
        let database = match &settings.sumdb {
            None => None,
            Some(sumdb) => {
                let verifier =
                    Verifier::parse(&sumdb.verifier).map_err(|error| UpstreamError::Sumdb(error.to_string()))?;
                let source = Arc::new(SumdbSource::new(sumdb, Arc::clone(&chain), &reaching)?);
                let client = Sumdb::new(verifier, source.clone(), Arc::new(building.store.clone()));
                Some(Database { name: sumdb.name().into(), client, source, unreached: Mutex::default() })
            }
        };
        let rules = rules_of(&settings.rules)?;
        let tree = Tree::new(if settings.prefix.is_empty() { MAIN } else { &settings.prefix });
        Ok(Self {
            id: MADE.fetch_add(1, Ordering::Relaxed),
            prefix: settings.prefix.clone(),
            tree,
            release: settings.release,
            rules,
            verify: settings.verify,
            chain,
            places: Places::default(),
            private,
            database,
            fresh: building.cache.fresh.get(),
            missing: building.cache.missing.get(),
            together: building.cache.fetch,
        })
    }

    /// Who is asked for this module.
    pub(super) fn chain_of(&self, path: &ModulePath) -> &Arc<Chain> {
        self.inner_of(path).map_or(&self.chain, |inner| &inner.chain)
    }

    /// The places for what comes of this module.
    pub(super) fn places_of(&self, path: &ModulePath) -> &Places {
        self.inner_of(path).map_or(&self.places, |inner| &inner.places)
    }

    fn inner_of(&self, path: &ModulePath) -> Option<&Inner> {
        self.private.as_ref().filter(|inner| inner.patterns.cover(path))
    }

    /// For how long it may be believed that something is not there, in seconds.
    pub(crate) const fn missing_seconds(&self) -> u64 {
        self.missing.as_secs()
    }

    /// Whether the public is not asked about this module.
    pub(super) fn is_private(&self, path: &ModulePath) -> bool {
        self.inner_of(path).is_some()
    }

    /// The database that has to vouch for this module, if any has to.
    pub(super) fn database_of(&self, path: &ModulePath) -> Option<&Database> {
        self.database.as_ref().filter(|_| self.verify != Verify::Off && !self.is_private(path))
    }
}

fn rules_of(section: &RulesSection) -> Result<Rules, UpstreamError> {
    let texts = |texts: &[tradewind_policy::Spanned<String>]| texts.iter().map(|text| text.value.clone()).collect();
    let settings = RuleSettings {
        allow: texts(&section.allow),
        deny: texts(&section.deny),
        min_age: section.min_age.map(tradewind_policy::TimeSpan::get),
        leave_out_licences: texts(&section.leave_out_licences),
    };
    Rules::new(&settings).map_err(|error| UpstreamError::Section(format!("rules: {error}")))
}
