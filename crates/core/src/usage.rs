//! Token counts of one call.

use serde::{Deserialize, Serialize};

/// How many tokens a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, the cached ones included.
    pub input: u64,
    /// Answer tokens, the reasoning ones included.
    pub output: u64,
    /// Prompt tokens that the provider read from its cache.
    #[serde(default)]
    pub cached: u64,
    /// Prompt tokens that the provider wrote to its cache.
    #[serde(default)]
    pub cache_written: u64,
    /// Answer tokens spent on reasoning.
    #[serde(default)]
    pub reasoning: u64,
    /// Whether these were counted by the gateway because the provider did not say, or said nonsense.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// Above this a count is nonsense, whoever reports it.
    pub const LARGEST: u64 = 1_000_000_000;

    /// The tokens of both; estimated when either is.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
            cache_written: self.cache_written.saturating_add(other.cache_written),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            estimated: self.estimated || other.estimated,
        }
    }

    /// A reported count made safe: `None` when it is negative, not a whole number, or over [`Self::LARGEST`].
    #[must_use]
    pub fn sane(count: f64) -> Option<u64> {
        (count >= 0.0 && count <= Self::LARGEST as f64 && count.fract() == 0.0).then_some(count as u64)
    }
}
