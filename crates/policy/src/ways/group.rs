//! Groups of ways out.

use std::sync::Arc;
use std::time::Duration;

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name, unique among proxies and groups.
    pub name: Arc<str>,
    /// How it picks.
    pub kind: GroupKind,
    /// Who may be picked.
    pub members: Members,
    /// `hidden`: dashboards do not show it.
    pub hidden: bool,
    /// `icon`, for dashboards.
    pub icon: String,
    /// `disable-udp`.
    pub disable_udp: bool,
    /// What its members are tested with.
    pub test_url: String,
    /// How often, zero for never. Seconds in the file.
    pub interval: Duration,
    /// Only when used.
    pub lazy: bool,
    /// How long a test may take. Milliseconds in the file; 5 s by default.
    pub timeout: Duration,
    /// `expected-status`, as written: `*`, `204`, `200/204`, `200-299`.
    pub expected_status: String,
    /// `network-policy` of a `select` group, in the order of the file: name of a network or `default`, and the member.
    pub network_policy: Option<Vec<(Arc<str>, Arc<str>)>>,
}

/// How a group picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// By hand, or by network.
    Select,
    /// The fastest; another one only when it is faster by more than the tolerance, in milliseconds.
    UrlTest {
        /// Milliseconds.
        tolerance: u16,
    },
    /// The first that lives.
    Fallback,
    /// All that live.
    LoadBalance(Balance),
}

impl GroupKind {
    /// Whether `exclude-type` means it by this word, in lower case: the type as the controller API has it.
    #[must_use]
    pub fn is_type(&self, word: &str) -> bool {
        match self {
            Self::Select => word == "selector",
            Self::UrlTest { .. } => word == "urltest",
            Self::Fallback => word == "fallback",
            Self::LoadBalance(_) => word == "loadbalance",
        }
    }
}

/// How load is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The same member for the same site (eTLD+1, or address).
    #[default]
    ConsistentHashing,
    /// One after the other.
    RoundRobin,
    /// The same member for the same caller and site, for ten minutes after its last use.
    StickySessions,
}

/// Who may be picked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// `proxies`, in order.
    pub proxies: Vec<Arc<str>>,
    /// `use`: providers.
    pub providers: Vec<Arc<str>>,
    /// `include-all` or `include-all-proxies`.
    pub all_proxies: bool,
    /// `include-all` or `include-all-providers`.
    pub all_providers: bool,
    /// `filter`, split at backticks: what comes from providers (and `include-all-proxies`) has to match one.
    pub filter: Vec<String>,
    /// `exclude-filter`.
    pub exclude_filter: Vec<String>,
    /// `exclude-type`, split at `|`, lower case.
    pub exclude_type: Vec<String>,
    /// `empty-fallback`: what a group without members uses, `COMPATIBLE` by default.
    pub empty_fallback: Option<Arc<str>>,
}

impl Members {
    /// Whether what the list of this name has may be picked.
    #[must_use]
    pub fn uses(&self, list: &str) -> bool {
        self.all_providers || self.providers.iter().any(|name| **name == *list)
    }
}
