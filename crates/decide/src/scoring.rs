//! The settings of `score`: the weights of meaning, load and cost, how the best is taken, and who leads when none fits.
//!
//! What does not make sense is refused here, when the configuration is loaded; a decision never has to.

use serde::{Deserialize, Serialize};

/// How much meaning, load and cost count: each 0 to 1, together 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Weights {
    meaning: f64,
    load: f64,
    cost: f64,
}

/// Weights as somebody wrote them down.
#[derive(Deserialize)]
struct Written {
    meaning: f64,
    load: f64,
    cost: f64,
}

impl TryFrom<Written> for Weights {
    type Error = ScoringError;

    fn try_from(written: Written) -> Result<Self, ScoringError> {
        Self::new(written.meaning, written.load, written.cost)
    }
}

/// How one of the scored members is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    /// The best total; among those that are as good in all but load, the less loaded of two drawn at random.
    #[default]
    Best,
    /// A draw in which a member's chance is proportional to exp(total / temperature).
    Softmax {
        /// Kept within [`Scoring::TEMPERATURES`]: the lower, the more the best is preferred.
        temperature: f64,
    },
}

/// How a `score` group judges its members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// What counts how much, before the call has its say.
    pub weights: Weights,
    /// How one is taken.
    pub mode: Mode,
    /// The member, by its place in the group, that leads when no member fits a call by meaning.
    pub default: Option<usize>,
}

/// Why settings of `score` cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoringError {
    /// A weight is negative or not a number.
    #[error("the weight of `{part}` is {weight}: a weight is a number from 0 on")]
    Weight {
        /// Whose.
        part: &'static str,
        /// What it is.
        weight: f64,
    },
    /// Nothing counts.
    #[error("the weights of `meaning`, `load` and `cost` are all 0: at least one has to be above 0")]
    AllZero,
    /// A temperature is out of bounds.
    #[error("the temperature {0} is not between 0.001 and 10")]
    Temperature(f64),
}

impl Weights {
    /// Normalises the weights of a configuration to the sum 1.
    ///
    /// # Errors
    /// When one is negative, infinite or not a number, or when all are 0.
    pub fn new(meaning: f64, load: f64, cost: f64) -> Result<Self, ScoringError> {
        for (part, weight) in [("meaning", meaning), ("load", load), ("cost", cost)] {
            if !weight.is_finite() || weight < 0.0 {
                return Err(ScoringError::Weight { part, weight });
            }
        }
        let largest = meaning.max(load).max(cost);
        if largest == 0.0 {
            return Err(ScoringError::AllZero);
        }
        // By the largest first: the sum of three huge numbers is infinite.
        let [meaning, load, cost] = [meaning / largest, load / largest, cost / largest];
        let sum = meaning + load + cost;
        Ok(Self { meaning: meaning / sum, load: load / sum, cost: cost / sum })
    }

    /// Of meaning.
    #[must_use]
    pub const fn meaning(self) -> f64 {
        self.meaning
    }

    /// Of load.
    #[must_use]
    pub const fn load(self) -> f64 {
        self.load
    }

    /// Of cost.
    #[must_use]
    pub const fn cost(self) -> f64 {
        self.cost
    }

    /// The same with another weight of meaning, 0 to 1; load and cost share the rest as they did before. Where neither
    /// counted before, load gets the rest. What is not a number changes nothing.
    #[must_use]
    pub fn with_meaning(self, meaning: f64) -> Self {
        if meaning.is_nan() {
            return self;
        }
        let meaning = meaning.clamp(0.0, 1.0);
        let (rest, others) = (1.0 - meaning, self.load + self.cost);
        if others > 0.0 {
            Self { meaning, load: rest * (self.load / others), cost: rest * (self.cost / others) }
        } else {
            Self { meaning, load: rest, cost: 0.0 }
        }
    }
}

impl Default for Weights {
    /// 0.6 meaning, 0.25 load, 0.15 cost.
    fn default() -> Self {
        Self { meaning: 0.6, load: 0.25, cost: 0.15 }
    }
}

impl Scoring {
    /// The temperatures that softmax takes, both ends included. Below, it is the best total, and herds like it; above,
    /// it is chance.
    pub const TEMPERATURES: [f64; 2] = [0.001, 10.0];

    /// The best by these weights, with nobody to lead when none fits.
    ///
    /// # Errors
    /// Those of [`Weights::new`].
    pub fn new(meaning: f64, load: f64, cost: f64) -> Result<Self, ScoringError> {
        Ok(Self { weights: Weights::new(meaning, load, cost)?, ..Self::default() })
    }

    /// The same, drawn by softmax.
    ///
    /// # Errors
    /// When the temperature is outside [`Self::TEMPERATURES`].
    pub fn softmax(self, temperature: f64) -> Result<Self, ScoringError> {
        let [lowest, highest] = Self::TEMPERATURES;
        if !(lowest..=highest).contains(&temperature) {
            return Err(ScoringError::Temperature(temperature));
        }
        Ok(Self { mode: Mode::Softmax { temperature }, ..self })
    }

    /// The same, with the member at this place of the group as the one that leads when none fits.
    #[must_use]
    pub const fn with_default(self, member: usize) -> Self {
        Self { default: Some(member), ..self }
    }
}

impl Default for Scoring {
    fn default() -> Self {
        Self { weights: Weights::default(), mode: Mode::Best, default: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_normalised() {
        for (given, wanted) in [
            ([0.6, 0.25, 0.15], [0.6, 0.25, 0.15]),
            ([6.0, 2.0, 2.0], [0.6, 0.2, 0.2]),
            ([0.0, 3.0, 0.0], [0.0, 1.0, 0.0]),
            ([f64::MAX, f64::MAX, 0.0], [0.5, 0.5, 0.0]),
            ([f64::MIN_POSITIVE, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ] {
            let weights = Weights::new(given[0], given[1], given[2]).unwrap();
            for (got, wanted) in [weights.meaning(), weights.load(), weights.cost()].iter().zip(wanted) {
                assert!((got - wanted).abs() < 1e-12, "{given:?}: {weights:?}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let said = |result: Result<Scoring, ScoringError>| result.unwrap_err().to_string();
        assert_eq!(said(Scoring::new(-1.0, 1.0, 1.0)), "the weight of `meaning` is -1: a weight is a number from 0 on");
        assert_eq!(
            said(Scoring::new(1.0, f64::NAN, 1.0)),
            "the weight of `load` is NaN: a weight is a number from 0 on"
        );
        assert_eq!(
            said(Scoring::new(1.0, 1.0, f64::INFINITY)),
            "the weight of `cost` is inf: a weight is a number from 0 on"
        );
        assert_eq!(
            said(Scoring::new(0.0, -0.0, 0.0)),
            "the weights of `meaning`, `load` and `cost` are all 0: at least one has to be above 0"
        );
        for temperature in [0.0, -1.0, 10.1, f64::NAN, f64::INFINITY] {
            let text = format!("the temperature {temperature} is not between 0.001 and 10");
            assert_eq!(said(Scoring::default().softmax(temperature)), text);
        }
        assert!(Scoring::default().softmax(0.1).is_ok());
    }

    #[test]
    fn weights_are_read_as_they_are_written() {
        let text = serde_json::to_string(&Weights::default()).unwrap();
        assert_eq!(text, r#"{"meaning":0.6,"load":0.25,"cost":0.15}"#);
        let read: Weights = serde_json::from_str(&text).unwrap();
        assert!((read.meaning() - 0.6).abs() < 1e-12);
        let refused = serde_json::from_str::<Weights>(r#"{"meaning":0,"load":0,"cost":0}"#).unwrap_err();
        assert!(refused.to_string().starts_with("the weights of"), "{refused}");
    }

    #[test]
    fn another_weight_of_meaning_leaves_the_others_in_proportion() {
        let weights = Weights::default().with_meaning(0.8);
        assert!((weights.load() - 0.125).abs() < 1e-12 && (weights.cost() - 0.075).abs() < 1e-12);
        let only_meaning = Weights::new(1.0, 0.0, 0.0).unwrap();
        assert_eq!(only_meaning.with_meaning(0.0), Weights::new(0.0, 1.0, 0.0).unwrap());
        assert_eq!(weights.with_meaning(f64::NAN), weights);
        for meaning in [-1.0, 0.0, 0.3, 1.0, 7.0, f64::INFINITY, f64::NEG_INFINITY] {
            let got = weights.with_meaning(meaning);
            assert!((got.meaning() + got.load() + got.cost() - 1.0).abs() < 1e-12, "{got:?}");
        }
    }
}
