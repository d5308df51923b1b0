//! What one call brings along for a decision, beside the facts about targets.

use crate::{Affinity, Group, Scoring, Weights};

/// Whether any member fits a call by meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fits {
    /// At least one does, or nobody asked.
    #[default]
    Some,
    /// None does: the group's default leads, if it may answer, before any affinity, and meaning has the weight 0.
    None,
}

/// What is known about one call. The default knows nothing: each group goes by its own settings.
#[derive(Clone, Copy)]
pub struct CallFacts<'a> {
    /// The chosen member of a `select` group; absent or out of bounds means its first.
    pub selected: &'a dyn Fn(&Group) -> Option<usize>,
    /// The weights in effect for this call, from those that a group was set to; without it those.
    pub weights: Option<&'a dyn Fn(&Scoring) -> Weights>,
    /// How complex the call is, 0 to 1. Only noted down; [`Self::weights`] is where it has its effect.
    pub complexity: Option<f64>,
    /// Whether any member fits by meaning.
    pub fits: Fits,
    /// What keeps this call with others of its kind.
    pub affinity: Option<Affinity>,
    /// Whether groups that score leave nothing to chance: the best total comes first, with neither noise nor probes nor
    /// trials, and whatever their mode. For comparing decisions, not for calls, which would flock.
    pub settled: bool,
}

impl CallFacts<'_> {
    /// The weights that a group scores this call by.
    pub(crate) fn weights(&self, scoring: &Scoring) -> Weights {
        let weights = self.weights.map_or(scoring.weights, |weights| weights(scoring));
        if self.fits == Fits::None { weights.with_meaning(0.0) } else { weights }
    }
}

impl Default for CallFacts<'_> {
    fn default() -> Self {
        Self { selected: &|_| None, weights: None, complexity: None, fits: Fits::Some, affinity: None, settled: false }
    }
}
