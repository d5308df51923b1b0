//! Money and prices. Integers, so that sums are right to the last digit.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize, Serializer};

use crate::Usage;

/// An amount of US dollars, held in whole picodollars (10⁻¹² USD): a price of 0.0375 USD per million tokens is exact.
///
/// At most 18 million dollars; sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(u64);

const PICO: f64 = 1e12;

impl Usd {
    /// From whole picodollars.
    #[must_use]
    pub const fn from_pico(pico: u64) -> Self {
        Self(pico)
    }

    /// In whole picodollars.
    #[must_use]
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// In dollars, for showing.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / PICO
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.6}", self.dollars())
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Ok(Self((dollars.max(0.0) * PICO).round() as u64))
    }
}

/// What a target charges, in USD per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Answer tokens.
    pub output: f64,
    /// Prompt tokens read from the provider's cache; `input` when absent.
    pub cached: Option<f64>,
    /// Prompt tokens written to the provider's cache; `input` when absent.
    pub cache_write: Option<f64>,
    /// Reasoning tokens; `output` when absent.
    pub reasoning: Option<f64>,
}

impl Price {
    /// The cost of `usage`. Tokens read from and written to a cache are part of the input, reasoning tokens of the output.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached.min(usage.input);
        let written = usage.cache_written.min(usage.input - cached);
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            (usage.input - cached - written, self.input),
            (written, self.cache_write.unwrap_or(self.input)),
            (cached, self.cached.unwrap_or(self.input)),
            (usage.output - reasoning, self.output),
            (reasoning, self.reasoning.unwrap_or(self.output)),
        ];
        let mut total: u64 = 0;
        for (tokens, per_million) in parts {
            // USD per million tokens is 10⁶ picodollars a token.
            let pico_per_token = (per_million.max(0.0) * 1e6).round() as u64;
            total = total.saturating_add(tokens.saturating_mul(pico_per_token));
        }
        Usd(total)
    }

    /// The most that `input` and `output` tokens can cost, however they are divided into tokens that a cache was read for,
    /// that were written to it, and that were spent on reasoning.
    #[must_use]
    pub fn most(&self, input: u64, output: u64) -> Usd {
        let dearest = |price: f64, others: &[Option<f64>]| others.iter().flatten().copied().fold(price, f64::max);
        let price = Self {
            input: dearest(self.input, &[self.cached, self.cache_write]),
            output: dearest(self.output, &[self.reasoning]),
            ..Self::default()
        };
        price.cost(&Usage { input, output, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_counts_cached_and_reasoning_tokens_once() {
        let price = Price { input: 3.0, output: 15.0, cached: Some(0.3), cache_write: None, reasoning: None };
        let usage = Usage {
            input: 1_000_000,
            output: 1_000_000,
            cached: 500_000,
            cache_written: 100_000,
            reasoning: 200_000,
            estimated: false,
        };
        assert_eq!(price.cost(&usage), Usd::from_pico(16_650_000_000_000));
        let dearer = Price { cache_write: Some(3.75), ..price };
        assert_eq!(dearer.cost(&usage), Usd::from_pico(16_725_000_000_000));
    }

    #[test]
    fn no_division_of_the_tokens_costs_more_than_the_most() {
        let prices = [
            Price { input: 3.0, output: 15.0, cached: Some(0.3), cache_write: Some(6.0), reasoning: Some(20.0) },
            Price { input: 3.0, output: 15.0, cached: Some(4.0), cache_write: Some(1.0), reasoning: Some(1.0) },
            Price { input: 3.0, output: 15.0, ..Price::default() },
        ];
        for (price, most) in prices.iter().zip([26, 19, 18]) {
            let all = 1_000_000;
            assert_eq!(price.most(all, all), Usd::from_pico(most * 1_000_000_000_000));
            for (cached, cache_written, reasoning) in [(0, 0, 0), (all, 0, all), (0, all, all), (all / 2, all / 2, 7)] {
                let usage = Usage { input: all, output: all, cached, cache_written, reasoning, estimated: false };
                assert!(price.cost(&usage) <= price.most(all, all), "{price:?} {usage:?}");
            }
        }
    }

    #[test]
    fn absurd_usage_neither_panics_nor_wraps() {
        let price = Price { input: 1e9, output: 1e9, ..Price::default() };
        let all = u64::MAX;
        let usage = Usage { input: all, output: all, cached: all, cache_written: all, ..Usage::default() };
        assert_eq!(price.cost(&usage), Usd::from_pico(u64::MAX));
    }
}
