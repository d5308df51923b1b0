//! Who shares answers with whom. Nobody does across tenants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who shares the answers that are kept for a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKind {
    /// Each key has its own.
    #[default]
    Key,
    /// All keys of a tenant share them; a key without a tenant has its own.
    Tenant,
}

/// The callers that share answers: one key, the keys of one tenant, or all callers without a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    tenant: Option<Box<str>>,
    key: Option<Box<str>>,
}

impl Scope {
    /// The scope of a caller with this tenant and key, both by name. A caller without a key is anonymous, which is a scope
    /// of its own.
    #[must_use]
    pub fn of(kind: ScopeKind, tenant: Option<&str>, key: Option<&str>) -> Self {
        let shares = kind == ScopeKind::Tenant && tenant.is_some();
        Self { tenant: tenant.map(Into::into), key: key.filter(|_| !shares).map(Into::into) }
    }

    /// Tenant and key, for hashing.
    pub(crate) fn parts(&self) -> [Option<&str>; 2] {
        [self.tenant.as_deref(), self.key.as_deref()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_tenant_share_only_where_that_is_asked_for() {
        let of = |kind, key| Scope::of(kind, Some("build"), Some(key));
        assert_eq!(of(ScopeKind::Tenant, "a"), of(ScopeKind::Tenant, "b"));
        assert_ne!(of(ScopeKind::Key, "a"), of(ScopeKind::Key, "b"));
        let alone = |key| Scope::of(ScopeKind::Tenant, None, Some(key));
        assert_ne!(alone("a"), alone("b"), "keys without a tenant share with nobody");
        assert_ne!(alone("a"), Scope::of(ScopeKind::Tenant, None, None), "anonymous callers are a scope of their own");
        assert_ne!(Scope::of(ScopeKind::Key, Some("a"), None), Scope::of(ScopeKind::Key, None, Some("a")));
    }
}
