//! What outlives a reload, by name: health, what groups have picked, and the proxies themselves as long as nothing about
//! them has changed, so that their connections go on being used.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_egress::{Outbound, OutboundError, Roots};
use tradewind_policy::ways::Proxy;
use tradewind_runtime::environment;

use crate::group::GroupState;
use crate::health::Health;

/// A proxy as the document has it, and the way that was made of it.
type Made = (Proxy, Arc<Outbound>);

/// What outlives a reload.
#[derive(Default)]
pub(crate) struct Memory {
    health: Mutex<FxHashMap<String, Arc<Health>>>,
    groups: Mutex<FxHashMap<Arc<str>, Arc<GroupState>>>,
    system: Mutex<Option<Arc<Outbound>>>,
    /// By name: two lists may have proxies of the same one.
    outbounds: Mutex<FxHashMap<Arc<str>, Vec<Made>>>,
}

impl Memory {
    /// The health of the proxy or group of this name.
    pub(crate) fn health(&self, name: &str) -> Arc<Health> {
        let mut known = self.health.lock();
        if let Some(health) = known.get(name) {
            return health.clone();
        }
        let health = Arc::<Health>::default();
        known.insert(name.to_owned(), health.clone());
        health
    }

    /// What the group of this name remembers.
    pub(crate) fn group(&self, name: &Arc<str>) -> Arc<GroupState> {
        self.groups.lock().entry(name.clone()).or_default().clone()
    }

    /// The proxy, made anew only when something about it has changed.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) fn outbound(&self, proxy: &Proxy, roots: &Roots) -> Result<Arc<Outbound>, OutboundError> {
        let mut known = self.outbounds.lock();
        let named = known.entry(proxy.name.clone()).or_default();
        if let Some((_, outbound)) = named.iter().find(|(same, _)| same == proxy) {
            return Ok(outbound.clone());
        }
        let outbound = Arc::new(Outbound::new(proxy, roots)?);
        named.push((proxy.clone(), outbound.clone()));
        Ok(outbound)
    }

    /// The way that the system's proxy settings name.
    pub(crate) fn system(&self, roots: &Roots) -> Arc<Outbound> {
        let make = || Arc::new(Outbound::system(&environment, roots));
        self.system.lock().get_or_insert_with(make).clone()
    }

    /// Forgets what nobody holds any more. Call it after a set has been replaced.
    pub(crate) fn forget_unused(&self) {
        self.health.lock().retain(|_, health| Arc::strong_count(health) > 1);
        self.groups.lock().retain(|_, state| Arc::strong_count(state) > 1);
        self.outbounds.lock().retain(|_, named| {
            named.retain(|(_, outbound)| Arc::strong_count(outbound) > 1);
            !named.is_empty()
        });
    }
}
