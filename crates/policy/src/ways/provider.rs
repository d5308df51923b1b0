//! Lists from elsewhere: of proxies, and of rules.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::Secret;

use super::Proxy;

/// A list of proxies from elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyProvider {
    /// Its name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub vehicle: Vehicle,
    /// Its members are tested with this.
    pub health_check: Option<HealthCheck>,
    /// `filter`, split at backticks.
    pub filter: Vec<String>,
    /// `exclude-filter`.
    pub exclude_filter: Vec<String>,
    /// `exclude-type`.
    pub exclude_type: Vec<String>,
    /// `override.additional-prefix`.
    pub prefix: String,
    /// `override.additional-suffix`.
    pub suffix: String,
    /// `override.dialer-proxy`, or the provider's own `dialer-proxy`.
    pub dialer: Option<Arc<str>>,
    /// `override.udp`.
    pub udp: Option<bool>,
    /// `override.skip-cert-verify`.
    pub skip_cert_verify: Option<bool>,
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Vehicle {
    /// A file beside the configuration.
    File {
        /// Its path, as written.
        path: String,
    },
    /// Fetched.
    Http {
        /// The URL. That of a subscription is all that its server asks for.
        url: Secret<String>,
        /// Where it is kept; a name of our own when nothing is said.
        path: Option<String>,
        /// How often it is fetched anew, zero for never.
        interval: Duration,
        /// `proxy`: the way to it.
        via: Option<Arc<str>>,
        /// `header`.
        headers: Vec<(String, Secret<String>)>,
        /// `size-limit` in bytes; 0 stands for our own bound.
        size_limit: u64,
    },
    /// In the configuration itself: proxies for a provider of proxies.
    InlineProxies(Vec<Proxy>),
    /// In the configuration itself: `payload` of a provider of rules.
    InlineRules(Vec<String>),
}

/// How members are tested.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// `enable`.
    pub enable: bool,
    /// The URL.
    pub url: String,
    /// How often, zero for never.
    pub interval: Duration,
    /// How long one test may take.
    pub timeout: Duration,
    /// Only when used.
    pub lazy: bool,
    /// `expected-status` as written.
    pub expected_status: String,
}

/// A list of rules from elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleProvider {
    /// Its name.
    pub name: Arc<str>,
    /// What its lines are.
    pub behavior: RuleBehavior,
    /// How they are written.
    pub format: RuleFormat,
    /// Where it comes from.
    pub vehicle: Vehicle,
}

/// What the lines of a list of rules are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleBehavior {
    /// Domains: `example.com`, `+.example.com`, `*.example.com`, `.example.com`.
    Domain,
    /// Ranges of addresses.
    IpCidr,
    /// Whole rules without a target.
    Classical,
}

/// How a list of rules is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleFormat {
    /// A YAML map with `payload`.
    #[default]
    Yaml,
    /// A line each.
    Text,
    /// mihomo's binary form.
    Mrs,
}
